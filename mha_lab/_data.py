"""The files in data/: read whole, and verified before anything is made of them."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data"


def read(path: Path, sha256: str) -> bytes:
    """The content of a file of this repository.

    Raises FileNotFoundError or ValueError where it is missing or is not the one this code was written for."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: it is part of the repository (git restore data).") from None
    _compare(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def verify(path: Path, sha256: str) -> Path:
    """The path of a file too large to be read for this alone. Raises ValueError, in words, where it is another one."""
    with path.open("rb") as file:
        _compare(path, hashlib.file_digest(file, "sha256").hexdigest(), sha256)
    return path


def _compare(path, found, expected):
    if found != expected:
        raise ValueError(f"{path} was altered or cut short: its sha256 is {found[:12]}…, not {expected[:12]}….")
