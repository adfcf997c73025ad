"""The learner's copy of the lessons: what somebody wrote, ran or deleted there is as they left it, whatever comes."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import copy_lessons
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "00_start_here.ipynb", "02_heads.ipynb"
BESIDE = "02_heads (new).ipynb"
HEADS = "import torch\nheads = ..."
TAG = {"tags": ["a"]}
KERNEL = {"name": "python3", "display_name": "Python 3"}
WIDGETS = "application/vnd.jupyter.widget-state+json"


def lesson(source=HEADS, output="", **metadata):
    """A notebook's bytes, as the lab stores it."""
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)] if output else []
    cells = [
        nbformat.v4.new_markdown_cell("# 02 · Heads\n[data](../data/README.md)", id="card"),
        nbformat.v4.new_code_cell(source, id="code", outputs=outputs, execution_count=1, metadata=TAG),
    ]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, **metadata}
    return (nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)) + "\n").encode()


class Lab:
    """A folder with lessons, and what the tool does there. What git would say is what the test says."""

    def __init__(self, root):
        self.lessons, self.mine = root / "notebooks", root / "my_notebooks"
        self.lessons.mkdir(parents=True)
        self.publish(FIRST, lesson("1 + 1"))
        self.publish(SECOND, lesson())

    def publish(self, name, content):
        (self.lessons / name).parent.mkdir(exist_ok=True)
        (self.lessons / name).write_bytes(content)

    def copy(self, *asked, changed=()):
        """What it tells, as {what was done: names}."""
        return dict(copy_lessons.bring(self.lessons, self.mine, changed, asked))

    def write(self, name, content):
        (self.mine / name).write_bytes(content)

    def held(self, name=SECOND):
        return (self.mine / name).read_bytes()

    def names(self):
        return sorted(path.relative_to(self.mine).as_posix() for path in self.mine.rglob("*.ipynb"))


@pytest.fixture
def lab(tmp_path):
    """A learner's, with a folder of spaces and Chinese letters; the lessons were copied once."""
    lab = Lab(tmp_path / "多头 注意力 (2)")
    assert lab.copy() == {"first": [FIRST, SECOND]}
    return lab


# what is the learner's -----------------------------------------------------------------------------------------------


def test_a_copy_is_byte_for_byte_and_the_next_call_has_nothing_to_do_or_tell(lab):
    assert lab.names() == [FIRST, SECOND] and lab.held() == lesson()
    before = {path: path.stat().st_mtime_ns for path in lab.mine.iterdir()}
    assert lab.copy() == {}
    assert {path: path.stat().st_mtime_ns for path in lab.mine.iterdir()} == before, "not even the record is written"


def test_what_answers_a_prediction_has_no_output_before_its_cell_is_run(lab):
    told = nbformat.reads(lesson(output="it stays the same").decode(), as_version=4)
    told.cells[1].metadata["jupyter"] = {"outputs_hidden": True, "source_hidden": False}
    told.cells.append(nbformat.v4.new_code_cell("2", id="two", outputs=told.cells[1].outputs, execution_count=2))
    lab.publish(SECOND, (nbformat.writes(told) + "\n").encode())
    assert lab.copy() == {"replaced": [SECOND]}
    _, asked, other = nbformat.reads(lab.held().decode(), as_version=4).cells
    assert asked.outputs == [] and asked.metadata == {"tags": ["a"], "jupyter": {"source_hidden": False}}
    assert other.outputs and asked.source == HEADS
    assert lab.copy() == {}
    lab.publish(SECOND, lesson(HEADS + " # newer"))
    assert lab.copy() == {"replaced": [SECOND]}, "nothing was run in it"
    lab.publish(SECOND, (nbformat.writes(told) + "\n").encode())
    lab.copy()
    lab.write(SECOND, (nbformat.writes(told) + "\n").encode())  # somebody ran the cell
    lab.publish(SECOND, lesson(HEADS + " # newest"))
    assert lab.copy() == {"beside": [BESIDE]}


WRITTEN = {
    "in a cell": lesson(HEADS + "\nheads = 2"),
    "a space": lesson(HEADS + " "),
    "an output": lesson(output="0.125"),
    "a text in an explorer": lesson(widgets={WIDGETS: {"state": {"1": {"text": "hi"}}}}),
    "a tag": lesson().replace(b'"a"', b'"b"'),
    "two tags out of one": lesson().replace(b'"a"', b'"", "a"'),
    "in the card": lesson().replace(b"# 02", b"# my 02"),
    "a cell that was taken out": json.dumps(json.loads(lesson()) | {"cells": []}).encode(),
    "what is no notebook any more": lesson()[:100],
    "binary": bytes(range(256)),
    "a list": b"[]",
}  # fmt: skip


@pytest.mark.parametrize("what", WRITTEN)
def test_nothing_that_was_written_is_overwritten_and_another_version_comes_beside_it_once(what, lab):
    lab.write(SECOND, WRITTEN[what])
    assert lab.copy() == {}, "the same version is no news"
    lab.publish(SECOND, lesson("# the second edition"))
    assert lab.copy() == {"beside": [BESIDE]}
    assert lab.held() == WRITTEN[what] and lab.held(BESIDE) == lesson("# the second edition")
    assert lab.copy() == {} and lab.names() == [FIRST, BESIDE, SECOND]
    (lab.mine / BESIDE).unlink()
    assert lab.copy() == {}, "nor is it brought back when they have taken what they wanted"
    assert lab.held() == WRITTEN[what]


def opened(content):
    """As JupyterLab leaves a lesson that was opened, unfolded and saved: with the kernel's version, and other JSON."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    notebook.metadata["kernelspec"] = KERNEL | {"display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13.1", "file_extension": ".py"}
    notebook.metadata["widgets"] = {WIDGETS: {"state": {}, "version_major": 2, "version_minor": 0}}
    notebook.cells[1].execution_count = 7
    notebook.cells[1].metadata = TAG | {"collapsed": False, "scrolled": True, "execution": {"start": "12:00"}}
    return json.dumps(notebook, indent=4, ensure_ascii=False).encode()


def test_a_copy_that_was_only_opened_is_replaced_by_the_next_version(lab):
    lab.write(SECOND, opened(lesson()))
    for edition in "second", "third":
        lab.publish(SECOND, lesson(f"# the {edition} edition"))
        assert lab.copy() == {"replaced": [SECOND]}
        assert lab.names() == [FIRST, SECOND] and lab.held() == lesson(f"# the {edition} edition")


def test_versions_beside_are_numbered_where_somebody_wrote_into_them_and_replaced_where_not(lab):
    lab.write(SECOND, lesson("mine"))
    for edition in "2", "3":
        lab.publish(SECOND, lesson(edition))
        assert lab.copy() == {"beside": [BESIDE]}, "one that nobody wrote into makes room"
    lab.write(BESIDE, lesson("mine, in the third"))
    lab.publish(SECOND, lesson("4"))
    assert lab.copy() == {"beside": ["02_heads (new 2).ipynb"]}
    theirs = lab.held(), lab.held(BESIDE), lab.held("02_heads (new 2).ipynb")
    assert theirs == (lesson("mine"), lesson("mine, in the third"), lesson("4"))
    assert lab.copy() == {}


def test_a_new_version_that_is_put_in_the_place_of_the_old_one_is_a_copy_like_any_other(lab):
    lab.write(SECOND, lesson("mine"))
    lab.publish(SECOND, lesson("2"))
    lab.copy()
    (lab.mine / BESIDE).replace(lab.mine / SECOND)
    lab.publish(SECOND, lesson("3"))
    assert lab.copy() == {"replaced": [SECOND]}


def test_a_deleted_lesson_stays_away_until_it_is_asked_for(lab):
    (lab.mine / SECOND).unlink()
    assert lab.copy() == {"deleted": [SECOND]} and lab.names() == [FIRST]
    lab.publish(SECOND, lesson("2"))
    assert lab.copy() == {"deleted": [SECOND]} and lab.names() == [FIRST]
    assert lab.copy(SECOND) == {"added": [SECOND]} and lab.held() == lesson("2")
    assert lab.copy() == {}


def test_what_is_asked_for_again_comes_beside_what_was_written(lab):
    assert lab.copy(SECOND) == {"same": [SECOND]}
    lab.write(SECOND, lesson("mine"))
    assert lab.copy(SECOND) == {"beside": [BESIDE]}
    assert (lab.held(), lab.held(BESIDE)) == (lesson("mine"), lesson())
    assert lab.copy(SECOND) == {"same": [BESIDE]}


def test_a_new_lesson_is_added_and_so_are_subfolders_but_nothing_that_jupyter_hides(lab):
    lab.publish("12_more.ipynb", lesson("12"))
    lab.publish("zh/02_heads.ipynb", lesson("多头"))
    lab.publish(".ipynb_checkpoints/02_heads-checkpoint.ipynb", lesson("kept by Jupyter"))
    lab.publish("cut.ipynb", b"")
    assert lab.copy() == {"added": ["12_more.ipynb", "zh/02_heads.ipynb"]}
    lab.write("zh/02_heads.ipynb", lesson("我的"))
    lab.publish("zh/02_heads.ipynb", lesson("第二版"))
    assert lab.copy() == {"beside": ["zh/02_heads (new).ipynb"]} and lab.held("zh/02_heads.ipynb") == lesson("我的")
    (lab.lessons / "12_more.ipynb").unlink()
    assert lab.copy() == {} and "12_more.ipynb" in lab.names(), "what a later edition leaves out stays"


def test_files_of_the_learners_own_are_left_alone(lab):
    lab.write("notes.ipynb", lesson("notes"))
    lab.write("heads.html", b"a saved page")
    lab.publish("notes.ipynb", lesson("a lesson that happens to have this name"))
    assert lab.copy() == {"beside": ["notes (new).ipynb"]}
    assert lab.held("notes.ipynb") == lesson("notes") and lab.held("heads.html") == b"a saved page"


# edits in notebooks/, from the time before there was a copy ----------------------------------------------------------


def test_what_was_written_in_the_lessons_themselves_is_in_the_copy_and_outlives_their_restoring(tmp_path):
    lab = Lab(tmp_path)
    lab.publish(SECOND, lesson("written in the first edition"))
    assert lab.copy(changed={SECOND}) == {"first": [FIRST, SECOND], "changed": [SECOND]}
    lab.publish(SECOND, lesson("and one word more"))
    assert lab.copy(changed={SECOND}) == {"left": [SECOND]}
    assert lab.copy(SECOND, changed={SECOND}) == {"beside": [BESIDE]}
    lab.publish(SECOND, lesson())  # git restore
    assert lab.copy() == {"beside": ["02_heads (new 2).ipynb"]}
    lab.publish(SECOND, lesson("the second edition"))
    assert lab.copy() == {"beside": ["02_heads (new 2).ipynb"]}
    assert lab.held() == lesson("written in the first edition") and lab.held(BESIDE) == lesson("and one word more")


def test_work_on_a_lesson_itself_reaches_its_copy_when_git_has_it(lab):
    lab.publish(SECOND, lesson("half of a new"))
    assert lab.copy(changed={SECOND}) == {"left": [SECOND]} and lab.held() == lesson()
    lab.publish(SECOND, lesson("a new edition"))
    assert lab.copy() == {"replaced": [SECOND]} and lab.names() == [FIRST, SECOND]


def test_without_git_nobody_knows_who_wrote_and_nothing_is_replaced(tmp_path):
    lab = Lab(tmp_path)
    assert lab.copy(changed=None) == {"first": [FIRST, SECOND]}
    lab.publish(SECOND, lesson("2"))
    assert lab.copy(changed=None) == {"beside": [BESIDE]} and lab.held() == lesson()


@pytest.fixture
def git(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    if not shutil.which("git"):
        pytest.skip("there is no git")
    git("init")
    return git


def test_git_is_asked_what_was_changed_staged_or_added_and_hides_nothing(git, tmp_path):
    lab = Lab(tmp_path)
    assert copy_lessons.changed_since_commit(lab.lessons) is None, "nothing is committed yet"
    lab.publish("03 多头.ipynb", lesson())
    (tmp_path / ".gitignore").write_text("*ignored*\n")
    git("add", ".")
    git("commit", "-m", "lessons")
    assert copy_lessons.changed_since_commit(lab.lessons) == {""}
    for name in "03 多头.ipynb", SECOND, "zh/ignored.ipynb":
        lab.publish(name, lesson("mine"))
    git("add", "notebooks/03 多头.ipynb")
    assert copy_lessons.changed_since_commit(lab.lessons) == {"", "03 多头.ipynb", SECOND, "zh/ignored.ipynb"}


def test_where_git_is_not_there_or_not_the_labs_own_it_says_nothing(git, tmp_path, monkeypatch):
    lab = Lab(tmp_path / "unpacked")
    git("add", ".")
    git("commit", "-m", "somebody's own repository, around the lab")
    assert copy_lessons.changed_since_commit(lab.lessons) is None
    monkeypatch.setenv("PATH", str(tmp_path / "gone"))
    assert copy_lessons.changed_since_commit(tmp_path / "notebooks") is None


# damage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"lessons": 3}', b'{"lessons": {"02_heads.ipynb": "x"}}', bytes(range(256)), b'{"les']
    + [b'{"lessons": {"02_heads.ipynb": {"last": 3, "upstream": []}}}', b"[" * 100_000],
)
def test_with_a_broken_record_nothing_is_replaced_and_it_is_begun_anew(content, lab):
    lab.write(SECOND, lesson("mine"))
    lab.write(copy_lessons.RECORD, content)
    lab.publish(FIRST, lesson("2"))
    assert lab.copy() == {
        "unreadable": [copy_lessons.RECORD],
        "beside": ["00_start_here (new).ipynb", BESIDE],
    }
    assert lab.held() == lesson("mine") and lab.held(FIRST) == lesson("1 + 1")
    assert lab.copy() == {}


def test_without_a_record_what_equals_a_lesson_is_known_as_its_copy(lab):
    (lab.mine / copy_lessons.RECORD).unlink()
    assert lab.copy() == {}
    lab.publish(SECOND, lesson("2"))
    assert lab.copy() == {"replaced": [SECOND]}


def test_an_empty_copy_which_an_interrupt_may_leave_is_filled(lab):
    lab.write(SECOND, b"")
    lab.write(FIRST, b"")
    (lab.mine / copy_lessons.RECORD).unlink()
    assert lab.copy() == {"added": [FIRST, SECOND]} and lab.held() == lesson()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_left_as_somebody_laid_them(lab, tmp_path):
    (tmp_path / "elsewhere.ipynb").write_bytes(lesson())
    (lab.mine / SECOND).unlink()
    (lab.mine / SECOND).symlink_to(tmp_path / "elsewhere.ipynb")
    (lab.mine / FIRST).unlink()
    (lab.mine / FIRST).symlink_to(tmp_path / "gone")
    assert lab.copy() == {}
    lab.publish(FIRST, lesson("2"))
    lab.publish(SECOND, lesson("2"))
    assert lab.copy() == {"beside": ["00_start_here (new).ipynb", BESIDE]}
    assert (lab.mine / SECOND).is_symlink() and (tmp_path / "elsewhere.ipynb").read_bytes() == lesson()
    assert os.readlink(lab.mine / FIRST) == str(tmp_path / "gone") and not (tmp_path / "gone").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_folder_that_is_a_link_leads_where_it_leads(tmp_path):
    lab = Lab(tmp_path / "lab")
    (tmp_path / "stick").mkdir()
    lab.mine.symlink_to(tmp_path / "stick")
    assert lab.copy() == {"first": [FIRST, SECOND]} and (tmp_path / "stick" / SECOND).read_bytes() == lesson()
    lab.mine.unlink()
    lab.mine.symlink_to(lab.lessons)
    assert lab.copy() == {} and sorted(os.listdir(lab.lessons)) == [FIRST, SECOND], (
        "into the lessons nothing is written"
    )


def test_a_folder_that_has_a_lessons_name_stays(lab):
    (lab.mine / SECOND).unlink()
    (lab.mine / SECOND).mkdir()
    lab.publish(SECOND, lesson("2"))
    assert lab.copy() == {"beside": [BESIDE]} and (lab.mine / SECOND).is_dir()


def test_a_fault_in_the_midst_leaves_no_half_lesson_and_the_others_come(tmp_path, monkeypatch):
    lab, faults = Lab(tmp_path), iter([None, OSError(28, "No space left on device"), None, None])

    def sync(handle):  # of the record, the first lesson, the second, the record
        if fault := next(faults):
            raise fault

    monkeypatch.setattr(os, "fsync", sync)
    told = lab.copy()
    assert told == {"No space left on device": [FIRST], "first": [FIRST, SECOND]}
    assert sorted(os.listdir(lab.mine)) == [copy_lessons.RECORD, SECOND] and lab.held() == lesson()
    monkeypatch.undo()
    assert lab.copy() == {"added": [FIRST]}


def test_a_lesson_that_may_not_be_read_is_told_and_the_others_come(tmp_path, monkeypatch):
    lab, read = Lab(tmp_path), Path.read_bytes

    def refused(path):
        if path == lab.lessons / FIRST:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert lab.copy() == {"Permission denied": [FIRST], "first": [SECOND]}


def test_on_a_disk_without_links_a_copy_is_whole_too_and_takes_nobodys_name(tmp_path, monkeypatch):
    def link(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    lab = Lab(tmp_path)
    assert lab.copy() == {"first": [FIRST, SECOND]} and lab.held() == lesson()
    with pytest.raises(FileExistsError):
        copy_lessons.create(lab.mine / SECOND, b"other")
    assert lab.held() == lesson() and len(os.listdir(lab.mine)) == 3


def test_what_somebody_else_makes_at_the_same_moment_is_not_overwritten(tmp_path, monkeypatch):
    lab, link = Lab(tmp_path), os.link

    def late(partial, path):
        if Path(path).name == SECOND and not Path(path).exists():
            Path(path).write_bytes(lesson("typed just now"))
        link(partial, path)

    monkeypatch.setattr(os, "link", late)
    assert lab.copy() == {"first": [FIRST, SECOND], "beside": [BESIDE]}
    assert lab.held() == lesson("typed just now") and lab.held(BESIDE) == lesson()


def test_what_somebody_saves_while_the_next_version_is_written_is_theirs(lab, monkeypatch):
    syncs = iter(["the record", "the second edition", "its copy beside", "the record"])

    def late(handle):
        if next(syncs) == "the second edition":
            lab.write(SECOND, lesson("typed just now"))

    lab.publish(SECOND, lesson("2"))
    monkeypatch.setattr(os, "fsync", late)
    assert lab.copy() == {"beside": [BESIDE]}
    assert lab.held() == lesson("typed just now") and lab.held(BESIDE) == lesson("2")


def test_of_many_copies_at_once_each_ends_well_and_nothing_is_copied_twice(lab):
    lab.write(SECOND, lesson("mine"))
    for number in range(8):
        lab.publish(f"{20 + number}.ipynb", lesson(str(number)))
    lab.publish(SECOND, lesson("2"))
    lab.publish(FIRST, lesson("2"))
    told, begin = [], threading.Barrier(6)

    def copy():
        begin.wait()
        told.append(lab.copy())

    threads = [threading.Thread(target=copy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6 and not {word for each in told for word in each} - {"added", "beside", "replaced"}
    assert lab.names() == sorted([FIRST, BESIDE, SECOND, *(f"{20 + number}.ipynb" for number in range(8))])
    assert lab.held() == lesson("mine") and lab.held(FIRST) == lesson("2") and lab.copy() == {}
    assert not list(lab.mine.glob(".*.copying"))


def test_what_a_killed_copy_left_is_removed_after_an_hour(lab):
    old, at_work, theirs = (lab.mine / name for name in (".1.copying", ".2.copying", ".3.partial"))
    for path in old, at_work, theirs:
        path.touch()
    os.utime(old, (0, 0))
    os.utime(theirs, (0, 0))
    assert lab.copy() == {} and not old.exists() and at_work.exists() and theirs.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
def test_a_copy_of_a_lesson_that_may_not_be_written_can_be_written(tmp_path):
    lab = Lab(tmp_path)
    (lab.lessons / SECOND).chmod(0o444)
    lab.copy()
    assert (lab.mine / SECOND).stat().st_mode & 0o200


# the command ---------------------------------------------------------------------------------------------------------


def run(root, *arguments):
    """What the tool, in a lab of its own, answers: the status, the file to open, the sentences."""
    (root / "tools").mkdir(exist_ok=True)
    for name in "copy_lessons.py", "_interrupt.py":
        shutil.copy(ROOT / "tools" / name, root / "tools")
    command = [sys.executable, root / "tools" / "copy_lessons.py", *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, env=os.environ | {"PYTHONUTF8": "1"})
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_the_command_says_which_file_to_open_and_in_a_sentence_what_it_did(tmp_path):
    root = tmp_path / "多头 注意力"
    lab = Lab(root)
    code, opens, said = run(root)
    assert (code, opens) == (0, f"my_notebooks/{FIRST}\n")
    assert said == [
        "The lessons are copied into my_notebooks/: what you write there is yours, and no update changes it."
    ]
    assert run(root) == (0, f"my_notebooks/{FIRST}\n", [])
    (lab.mine / FIRST).unlink()
    (lab.mine / SECOND).unlink()
    code, opens, said = run(root)
    assert (code, opens) == (0, "my_notebooks\n")
    assert said == [
        f'Deleted from my_notebooks/, and not brought back unless you say make lab AGAIN="00 02": {FIRST}, {SECOND}.'
    ]
    assert run(root, "02")[1:] == ("my_notebooks\n", [said[0].replace('"00 02"', "00").replace(f", {SECOND}", ""),
                                                       f"New in my_notebooks/: {SECOND}."])  # fmt: skip


def test_a_name_of_no_lesson_is_refused_with_those_there_are(tmp_path):
    Lab(tmp_path)
    code, opens, said = run(tmp_path, "99")
    assert code == 2 and not opens and said[-1].endswith(f"no lesson begins with 99; there are {FIRST}, {SECOND}")
    assert not (tmp_path / "my_notebooks").exists()


def test_where_no_copy_can_be_made_the_lessons_themselves_are_opened(tmp_path):
    lab = Lab(tmp_path)
    for number in range(4):
        lab.publish(f"1{number}.ipynb", lesson())
    lab.mine.write_text("a file of this name")
    code, opens, said = run(tmp_path)
    assert (code, opens) == (0, f"notebooks/{FIRST}\n") and lab.mine.read_text() == "a file of this name"
    assert said == [
        f"Not copied into my_notebooks/ (File exists): {FIRST}, {SECOND}, 10.ipynb, 11.ipynb and 2 more.",
        "So notebooks/ itself is opened, where an update may meet what you write.",
    ]


def test_every_sentence_has_its_names_and_is_short():
    told = {word: [FIRST] for word in [*copy_lessons.SENTENCES, "Permission denied"]}
    said = list(copy_lessons.sentences(told, Path("notebooks"), Path("my_notebooks")))
    assert len(said) == len(told) == len(set(said))
    for sentence in said:
        assert "my_notebooks/" in sentence and not re.search("[{}]", sentence) and len(sentence) < 150
        assert sentence.endswith(".") and sentence.isascii()


# the house around it -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_lab_opens_what_the_tool_names_and_passes_on_what_is_asked_for():
    dry = subprocess.run(
        ["make", "-n", "lab", "AGAIN=02 05", "ARGS=--no-browser"], cwd=ROOT, capture_output=True, text=True
    )
    commands = dry.stdout.replace("\\\n", "")
    assert "tools/copy_lessons.py 02 05" in commands and "--no-browser" in commands
    assert '"--LabApp.default_url=/lab/tree/$first"' in commands


def test_no_command_but_make_lab_meets_the_learners_copy():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r".*my_notebooks.*", makefile) == [
        line
        for line in makefile.splitlines()
        if "my_notebooks" in line and (line.startswith("lab:") or "exclude" in line)
    ]
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"notebooks"' in config and "my_notebooks" not in re.search(r"testpaths = .*", config)[0]
    assert "/my_notebooks" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines(), "a link of this name too"


def test_the_lessons_of_the_lab_are_told_apart_by_their_fingerprints():
    paths = copy_lessons.lessons(ROOT / "notebooks").values()
    prints = {copy_lessons.fingerprint(path.read_bytes()) for path in paths}
    assert len(prints) == len(paths) >= 12
