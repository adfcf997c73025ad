"""Files are written whole: beside the old one, which is then replaced at one stroke."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8 with the line ends that it has. A full disk, an interrupt, a kill or a power cut
    leaves the old file as it was; of two writers the last one's file stands, whole."""
    with beside(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """A path in the same folder, of this writer alone, for whoever writes by a function of its own. When the block ends
    well it takes the place of `path` (of what a link leads to), with the rights that the old file had."""
    path = Path(path).resolve()
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        partial.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _umask():
    """What a new file does not get: it can be asked for only by changing it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
