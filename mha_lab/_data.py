"""The files in data/: read whole, and verified before anything is made of them."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data"


def read(path: Path, sha256: str) -> bytes:
    """The content of a file of this repository.

    Raises FileNotFoundError or ValueError where it is missing or is not the one this code was written for."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it is part of the repository{_remedy(path)}")
    if not path.is_file():
        raise ValueError(f"{path} is no file: it is part of the repository{_remedy(path)}")
    content = path.read_bytes()
    _compare(path, hashlib.sha256(content).hexdigest(), sha256, _remedy(path))
    return content


def verify(path: Path, sha256: str) -> Path:
    """The path of a file too large to be read for this alone. Raises ValueError, in words, where it is another one."""
    with path.open("rb") as file:
        _compare(path, hashlib.file_digest(file, "sha256").hexdigest(), sha256, "; install its package again.")
    return path


def _compare(path, found, expected, remedy):
    if found != expected:
        raise ValueError(f"{path} was altered or cut short: its sha256 is {found[:12]}…, not {expected[:12]}…{remedy}")


def _remedy(path):
    """How the file comes back: from Git, or, where there is no clone but a package or an unpacked archive, anew."""
    if (path.parents[1] / ".git").exists():
        return f"; `git restore {path.parent.name}/{path.name}` brings it back."
    return "; data/ comes with the repository and with no installed package: work in a clone, or unpack it anew."
