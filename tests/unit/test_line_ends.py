"""A clone made by Git for Windows, which turns LF into CR LF unless .gitattributes says otherwise, works like any."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mha_lab import _data

ROOT = Path(__file__).parents[2]
SHA256 = re.compile(r'"([0-9a-f]{64})"')

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="this is no Git repository"
)


def git(*arguments, folder=ROOT):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def windows_clone(tmp_path_factory):
    """HEAD, with the attributes as they stand here, checked out as Git for Windows does it by default."""
    folder = tmp_path_factory.mktemp("clone") / "lab"
    git("clone", "-q", "--shared", "--no-checkout", str(ROOT), str(folder))
    for name, value in ("core.autocrlf", "true"), ("core.eol", "crlf"), ("core.safecrlf", "false"):
        git("config", name, value, folder=folder)
    git("reset", "-q", folder=folder)
    shutil.copy(ROOT / ".gitattributes", folder)  # what stands in the index counts only where there is no file
    git("checkout", "-q", "HEAD", "--", ".", ":!.gitattributes", folder=folder)
    return folder


def texts(folder):
    """The tracked files that Git takes for text, or that are never to be touched but are text all the same."""
    for line in git("ls-files", "--eol", "-z", folder=folder).split("\0"):
        if line and not line.startswith("i/-text"):
            yield folder / line.split("\t", 1)[1]


def test_no_text_of_a_windows_clone_has_a_carriage_return(windows_clone):
    checked = list(texts(windows_clone))
    assert {windows_clone / ".ci/run", windows_clone / "Makefile", windows_clone / "mha_lab/data/timings.json"} <= set(
        checked
    )
    assert [path for path in checked if b"\r" in path.read_bytes()] == []


def test_every_file_that_is_checked_has_its_sha256_in_a_windows_clone(windows_clone):
    known = {digest for path in (ROOT / "mha_lab").rglob("*.py") for digest in SHA256.findall(path.read_text("utf-8"))}
    names = git("ls-files", "mha_lab/data", folder=windows_clone).split()
    assert len(names) >= 17
    assert [n for n in names if hashlib.sha256((windows_clone / n).read_bytes()).hexdigest() not in known] == []


def test_what_is_altered_says_how_it_comes_back(tmp_path):
    """In a clone Git brings it, in an unpacked archive that archive, and elsewhere the package is installed again."""
    path = tmp_path / "mha_lab" / "data" / "timings.json"
    path.parent.mkdir(parents=True)
    path.write_bytes((_data.FOLDER / "timings.json").read_bytes().replace(b"\n", b"\r\n"))
    altered = r"timings.json was altered or cut short: its sha256 is \w{12}…, not 0{12}…; "
    with pytest.raises(ValueError, match=altered + "install mha-lab again, from where you have it, with `pip"):
        _data.read(path, "0" * 64)
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(ValueError, match=altered + "unpack the archive of this project again"):
        _data.read(path, "0" * 64)
    (tmp_path / ".git").mkdir()
    restore = f'; `git -C "{re.escape(str(tmp_path))}" restore mha_lab/data/timings.json` brings it back\\.$'
    with pytest.raises(ValueError, match=altered.removesuffix("; ") + restore):
        _data.read(path, "0" * 64)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"timings.json is missing{restore}"):
        _data.read(path, "0" * 64)
    path.mkdir()
    with pytest.raises(ValueError, match=f"timings.json is no file{restore}"):
        _data.read(path, "0" * 64)


def test_the_command_that_the_sentence_names_brings_a_file_back(windows_clone):
    path = windows_clone / "mha_lab" / "data" / "timings.json"
    right = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(ValueError) as refused:
        _data.read(path, hashlib.sha256(right).hexdigest())
    subprocess.run(re.search("`(.*)`", str(refused.value))[1], shell=True, check=True)
    assert path.read_bytes() == right


def test_the_attributes_change_nothing_that_is_stored():
    """Else the first who commits on Windows would rewrite files."""
    stored = [line.split()[0] for line in git("ls-files", "--eol").splitlines()]
    assert set(stored) <= {"i/lf", "i/-text", "i/none"}
