"""The learner's copy of the lessons under kill -9, on a full disk and on one that may not be written."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and mounts of Unix")

ROOT = Path(__file__).parents[2]
NAMES = [f"{number:02}_lesson.ipynb" for number in range(40)]


def edition(name, words):
    return f'{{"cells": [{{"source": "{name} {words} {"x" * 50_000}", "metadata": {{}}}}], "metadata": {{}}}}'.encode()


class Lab:
    """A clone with a tool and many lessons, in a git of its own where there is one."""

    def __init__(self, root):
        self.root, self.mine = root, root / "my_notebooks"
        (root / "tools").mkdir(parents=True)
        (root / "notebooks").mkdir()
        for name in "copy_lessons.py", "_interrupt.py":
            shutil.copy(ROOT / "tools" / name, root / "tools")
        self.git("init")
        self.publish("first")

    def git(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", self.root, *identity, *arguments], check=True, capture_output=True)

    def publish(self, words):
        for name in NAMES:
            (self.root / "notebooks" / name).write_bytes(edition(name, words))
        self.git("add", "notebooks")
        self.git("commit", "-m", words)

    def start(self):
        command = [sys.executable, self.root / "tools" / "copy_lessons.py"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def copy(self):
        """What is opened, and what is said."""
        copying = self.start()
        opens, said = copying.communicate(timeout=60)
        assert copying.returncode == 0, said
        return opens.strip(), said


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab" if shutil.which("git") else pytest.skip("there is no git"))


def test_killed_at_any_moment_a_copy_is_whole_and_what_somebody_wrote_stays(lab):
    """In the midst of a first copy, and of an update beside and over what is there."""
    chance, stopped = random.Random(0), 0
    written = {}
    for number in range(20):
        lab.publish(f"edition {number}")
        remains = set(lab.mine.glob(".*.copying"))
        copying = lab.start()
        while set(lab.mine.glob(".*.copying")) <= remains and copying.poll() is None:  # it asks git first
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.1))
        copying.kill()
        copying.communicate()
        stopped += copying.returncode != 0
        for path in lab.mine.glob("*.ipynb"):
            content = path.read_bytes()
            if path.name in written:
                assert content == written[path.name]
            else:
                name = path.name.split(" (")[0].removesuffix(".ipynb") + ".ipynb"
                assert content in [edition(name, f"edition {at}") for at in range(number + 1)], "whole, of one edition"
        for name in NAMES[::2]:  # the learner comes, and writes
            if (lab.mine / name).exists():
                written[name] = edition(name, f"mine, after {number}")
                (lab.mine / name).write_bytes(written[name])
    assert stopped > 5, "most were stopped before their end"
    assert lab.copy()[0] == f"my_notebooks/{NAMES[0]}" and lab.copy()[1] == ""
    assert len(written) > 5 and {name: (lab.mine / name).read_bytes() for name in written} == written
    untouched = {name for name in NAMES if name not in written}
    assert {name: (lab.mine / name).read_bytes() for name in untouched} == {
        name: edition(name, "edition 19") for name in untouched
    }
    beside = {re.sub(r" \(new\)", "", path.name) for path in lab.mine.glob("*(new*")}
    assert beside == set(written), "one newest version beside each that somebody wrote into, and none beside others"


@contextmanager
def mounted(folder, *options):
    """A small disk at a folder, where this user may mount one."""
    mount = shutil.which("mount")
    folder.mkdir()
    command = [mount, "-t", "tmpfs", "-o", ",".join(options), "tiny", str(folder)]
    if not mount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_on_a_full_disk_what_found_room_is_whole_and_the_rest_comes_when_there_is_room(lab):
    with mounted(lab.mine, "size=600k"):
        opens, said = lab.copy()
        assert (
            opens == f"my_notebooks/{NAMES[0]}" and "Not copied into my_notebooks/ (No space left on device): " in said
        )
        copied = sorted(path.name for path in lab.mine.glob("*.ipynb"))
        assert 3 < len(copied) < 20
        assert all((lab.mine / name).read_bytes() == edition(name, "first") for name in copied)
        assert not list(lab.mine.glob(".*.copying"))
        subprocess.run(["mount", "-o", "remount,size=10m", str(lab.mine)], check=True)
        lab.copy()
        assert sorted(path.name for path in lab.mine.glob("*.ipynb")) == NAMES and lab.copy()[1] == ""


def test_on_a_disk_that_may_not_be_written_the_lessons_themselves_are_opened(lab):
    with mounted(lab.mine, "size=1m", "ro"):
        opens, said = lab.copy()
        assert opens == f"notebooks/{NAMES[0]}" and "(Read-only file system)" in said and "Traceback" not in said
        assert "So notebooks/ itself is opened" in said and os.listdir(lab.mine) == []


def test_a_copy_that_may_not_be_written_any_more_is_opened_as_it_is(lab):
    with mounted(lab.mine, "size=10m"):
        lab.copy()
        subprocess.run(["mount", "-o", "remount,ro", str(lab.mine)], check=True)
        assert lab.copy() == (f"my_notebooks/{NAMES[0]}", "")
        lab.publish("second")
        opens, said = lab.copy()
        assert opens == f"my_notebooks/{NAMES[0]}" and said.startswith("Not copied into my_notebooks/ (Read-only")


def test_of_many_commands_at_once_each_ends_well_and_nothing_is_copied_twice(lab):
    lab.copy()
    lab.publish("second")
    theirs = edition(NAMES[3], "mine")
    (lab.mine / NAMES[3]).write_bytes(theirs)
    commands = [lab.start() for _ in range(6)]
    said = [command.communicate(timeout=60) for command in commands]
    assert [command.returncode for command in commands] == [0] * 6, said
    assert {opens for opens, _ in said} == {f"my_notebooks/{NAMES[0]}\n"}
    assert sorted(path.name for path in lab.mine.glob("*.ipynb")) == sorted([*NAMES, "03_lesson (new).ipynb"])
    assert (lab.mine / NAMES[3]).read_bytes() == theirs and lab.copy()[1] == ""
