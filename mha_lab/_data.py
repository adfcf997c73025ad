"""The files in mha_lab/data: read whole and once, and verified before anything is made of them.

They are found as parts of the package, and so in the same way in a clone, in an installed package and in a zip.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

PACKAGE = files("mha_lab")
FOLDER = PACKAGE / "data"
LARGEST = 16 * 2**20
"""No file in data/ has more bytes: what is larger is refused before it is read."""


def read(path: Traversable, sha256: str) -> bytes:
    """The content of a file of this package.

    Raises FileNotFoundError or ValueError where it is missing or is not the one this code was written for."""
    return content(path, sha256, largest=LARGEST, remedy=_remedy(path))


def content(path: Traversable, sha256: str = "", *, largest: int, remedy: str = ".") -> bytes:
    """What stands in a file, read once: what is checked by its sha256, where one is given, is what is returned.

    remedy  the end of the sentence: how the right file comes back. Errors as `opened` raises them, and ValueError for
            another sha256."""
    with opened(path, largest, remedy) as file:
        found = file.read(largest + 1)
    _compare_size(path, len(found), largest, remedy)
    if sha256:
        compare(path, hashlib.sha256(found).hexdigest(), sha256, remedy)
    return found


@contextmanager
def opened(path: Traversable, largest: int, remedy: str = ".") -> Iterator[BinaryIO]:
    """A file, open for reading. Raises FileNotFoundError where there is none, and ValueError for what is no file but a
    folder, a pipe or a device, has more than `largest` bytes or cannot be read: in one sentence, and at once."""
    if "\0" in str(path):
        raise ValueError(f"{str(path)!r} is no name that a file could have{remedy}")
    try:
        if isinstance(path, Path):
            _compare_kind(path, path.stat(), largest, remedy)  # before it is opened: a device may answer to that
            with open(path, "rb", opener=_at_once) as file:
                _compare_kind(path, os.fstat(file.fileno()), largest, remedy)
                yield file
        elif path.is_dir():
            raise IsADirectoryError
        else:
            with path.open("rb") as file:  # in a zip
                yield file
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is missing{remedy}") from None
    except IsADirectoryError:
        raise _no_file(path, remedy) from None
    except (BadZipFile, zlib.error, EOFError) as problem:
        raise ValueError(f"{path} was altered or cut short: {problem}{remedy}") from None
    except OSError as problem:
        raise ValueError(f"{path} cannot be read: {problem.strerror or problem}{remedy}") from None


def compare(path, found: str, expected: str, remedy: str = ".") -> None:
    """Raises ValueError where a file's sha256 is another than the expected one."""
    if found != expected:
        raise ValueError(f"{path} was altered or cut short: its sha256 is {found[:12]}…, not {expected[:12]}…{remedy}")


def _at_once(path, flags):
    """Opens without waiting for a writer, in case a pipe took the file's place since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _compare_kind(path, status, largest, remedy):
    if not stat.S_ISREG(status.st_mode):
        raise _no_file(path, remedy)
    _compare_size(path, status.st_size, largest, remedy)


def _compare_size(path, size, largest, remedy):
    if size > largest:
        raise ValueError(f"{path} is too large: it has {size:,} bytes, and at most {largest:,} are read{remedy}")


def _no_file(path, remedy):
    return ValueError(f"{path} is no file{remedy}")


def _remedy(path):
    """How the file comes back in this installation: from Git, from an archive, or with the package."""
    package = path.parent.parent
    if not isinstance(path, Path):
        return "; fetch the zip that it lies in again."
    if os.path.exists(package.parent / ".git"):  # which says no, too, where we may not look
        name = f"{package.name}/{path.parent.name}/{path.name}"
        return f'; `git -C "{package.parent}" restore {name}` brings it back.'
    if os.path.exists(package.parent / "pyproject.toml"):
        return "; unpack the archive of this project again."
    return "; install mha-lab again, from where you have it, with `pip install --force-reinstall --no-deps`."
