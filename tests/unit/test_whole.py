"""A file is the old one or the new one, never a piece of either."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from mha_lab import _whole


def test_what_is_written_is_what_is_read_and_nothing_else_is_left(tmp_path):
    for content in "first\n", "第二\r\n", b"\x00\xff":
        _whole.write(tmp_path / "notes", content)
        assert (tmp_path / "notes").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["notes"]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_fault_in_the_midst_leaves_the_old_file_whole(fault, tmp_path):
    path = tmp_path / "notes"
    path.write_text("a learner's notes")
    with pytest.raises(type(fault)), _whole.beside(path) as partial:
        partial.write_text("half of the n")
        raise fault
    assert path.read_text() == "a learner's notes" and os.listdir(tmp_path) == ["notes"]


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
def test_rights_stay_and_new_files_get_the_users(tmp_path):
    path = tmp_path / "notes"
    path.write_text("old")
    path.chmod(0o640)
    _whole.write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    made = tmp_path / "made"
    made.write_text("by Python itself")
    _whole.write(tmp_path / "other", "by us")
    assert (tmp_path / "other").stat().st_mode == made.stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_goes_on_leading_where_it_led(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    _whole.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_of_many_writers_each_ends_well_and_one_file_stands_whole(tmp_path):
    path, failures = tmp_path / "notes", []

    def write(letter):
        try:
            for _ in range(20):
                _whole.write(path, letter * 10_000)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    content = path.read_text()
    assert not failures and len(content) == 10_000 and len(set(content)) == 1 and os.listdir(tmp_path) == ["notes"]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_writer_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "notes"
    path.write_text("a learner's notes")
    code = f"""
import os, signal
from mha_lab import _whole
with _whole.beside({str(path)!r}) as partial:
    partial.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code])
    assert path.read_text() == "a learner's notes"
