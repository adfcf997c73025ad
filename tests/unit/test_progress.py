"""What a learner passed and guessed: kept between sittings, by two kernels at once, and never needed."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import run_notebooks
from exercise_promises import as_a_learner
from nbval.kernel import RunningKernel

from mha_lab import checks, pretrained, progress
from mha_lab.checks import course

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder that is named for the file; nobody has made it yet."""
    folder = tmp_path / "a home" / "多头"
    monkeypatch.setenv("MHA_LAB_HOME", str(folder))
    return folder


def stored(home):
    return json.loads((home / "progress.json").read_text(encoding="utf-8"))


PACKAGE = Path(progress.__file__).parent
ANOTHER = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "mha_lab", {str(PACKAGE / "__init__.py")!r}, submodule_search_locations=[{str(PACKAGE)!r}]
)
sys.modules["mha_lab"] = importlib.util.module_from_spec(spec)  # without torch, which takes seconds to load
from mha_lab import progress
"""


def other_kernel(code, *arguments):
    """Another Python, in the same home, which runs this code."""
    return subprocess.Popen([sys.executable, "-c", ANOTHER + code, *arguments])


# where ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "platform, variables, folder",
    [
        ("linux", {}, ".local/share/mha-lab"),
        ("linux", {"XDG_DATA_HOME": "/data of mine"}, "/data of mine/mha-lab"),
        ("linux", {"XDG_DATA_HOME": "not/absolute"}, ".local/share/mha-lab"),
        ("linux", {"MHA_LAB_HOME": "/elsewhere", "XDG_DATA_HOME": "/data"}, "/elsewhere"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "Library/Application Support/mha-lab"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/mha-lab"),
        ("win32", {}, "AppData/Local/mha-lab"),
    ],
)
def test_the_file_lies_where_the_system_keeps_what_belongs_to_a_user(platform, variables, folder, monkeypatch):
    for name in "MHA_LAB_HOME", "XDG_DATA_HOME", "LOCALAPPDATA":
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home of mine")
    monkeypatch.setattr(sys, "platform", platform)
    assert progress.place() == Path("/home of mine") / folder / "progress.json"


def test_no_test_and_no_lesson_meets_what_the_one_who_runs_it_has_passed(monkeypatch):
    assert not progress.place().exists() and progress.place().parent.parent.name == "homes"
    homes = []
    start = RunningKernel.__init__.__globals__  # of the conftest.py in the repository's root
    monkeypatch.setitem(start, "start_kernel", lambda kernel: homes.append(os.environ["MHA_LAB_HOME"]))
    for _ in range(2):
        RunningKernel.__init__(None)
    assert len(set(homes)) == 2 and all(os.listdir(home) == [] for home in homes)
    with run_notebooks.own_settings():
        assert not progress.place().exists() and os.environ["MHA_LAB_HOME"] not in homes


# what ----------------------------------------------------------------------------------------------------------------


def stub(x, num_heads): ...


def test_a_check_that_passes_is_remembered_and_no_other(home):
    checks.split_heads(lambda x, num_heads: x)
    checks.split_heads(stub)
    checks.where_it_looks("trophy", pretrained.recorded())
    assert not home.exists()
    assert checks.split_heads(as_a_learner(checks.split_heads.solution))
    assert list(stored(home)["passed"]) == ["split_heads"]
    assert checks.where_it_looks("suitcase", pretrained.recorded())
    assert list(stored(home)["passed"]) == ["split_heads", "where_it_looks"]


def test_the_day_of_the_first_pass_stays_and_a_second_pass_writes_nothing(home, monkeypatch):
    monkeypatch.setattr(progress, "_today", lambda: "2025-01-31")
    progress.passed("split_heads")
    before = (home / "progress.json").stat().st_mtime_ns
    monkeypatch.setattr(progress, "_today", lambda: "2025-02-01")
    progress.passed("split_heads")
    assert (home / "progress.json").stat().st_mtime_ns == before
    assert stored(home)["passed"] == {"split_heads": "2025-01-31"}


def test_the_file_can_be_read_by_people(home, monkeypatch):
    monkeypatch.setattr(progress, "_today", lambda: "2025-01-31")
    progress.passed("split_heads")
    progress.guessed("02.time", "How many times as long? 几倍？", "× 2")
    progress.answered("02.time", "× 1.1")
    text = (home / "progress.json").read_text(encoding="utf-8")
    assert stored(home)["guesses"]["02.time"] == {
        "asked": "How many times as long? 几倍？",
        "said": "× 2",
        "day": "2025-01-31",
        "it_was": "× 1.1",
    }
    assert text.endswith("}\n") and '\n  "passed": {\n    "split_heads": "2025-01-31"\n  }' in text and "几倍" in text
    assert sorted(path.name for path in home.iterdir()) == ["progress.json", "progress.lock"]


def test_a_guess_can_be_changed_and_taken_back(home):
    progress.guessed("02.time", "How long?", "× 2")
    progress.guessed("02.time", "How long?", "× 3")
    assert progress.kept()["guesses"]["02.time"]["said"] == "× 3"
    progress.guessed("02.time", "How long?", "")
    assert progress.kept()["guesses"] == {}
    progress.answered("02.time", "× 1")
    assert progress.kept()["guesses"] == {}, "who has not guessed has nothing to be reminded of"


# by several ----------------------------------------------------------------------------------------------------------


def test_what_another_kernel_wrote_meanwhile_is_neither_lost_nor_overlooked(home):
    progress.passed("split_heads")
    assert other_kernel("progress.passed('merge_heads'); progress.guessed('01.a', 'Why?', 'so')").wait() == 0
    progress.passed("causal_mask")
    assert list(stored(home)["passed"]) == ["split_heads", "merge_heads", "causal_mask"]
    assert set(progress.kept()["guesses"]) == {"01.a"}


def test_what_another_kernel_forgot_stays_forgotten(home):
    progress.passed("split_heads")
    assert other_kernel("progress.forget()").wait() == 0
    assert progress.kept()["passed"] == {}
    progress.passed("merge_heads")
    assert list(stored(home)["passed"]) == ["merge_heads"]


def test_six_kernels_that_write_at_once_lose_nothing(home):
    code = "for i in range(25): progress.passed(f'{sys.argv[1]} {i}')"
    several = [other_kernel(code, str(k)) for k in range(6)]
    assert [each.wait() for each in several] == [0] * 6
    assert set(stored(home)["passed"]) == {f"{k} {i}" for k in range(6) for i in range(25)}


@pytest.mark.skipif(progress.fcntl is None, reason="another system call holds the lock there")
def test_a_kernel_that_hangs_while_it_writes_stops_no_other_for_long(home, monkeypatch):
    progress.passed("split_heads")
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    start = time.monotonic()
    with progress._alone(progress.place()):
        progress.passed("merge_heads")
    assert set(stored(home)["passed"]) == {"split_heads", "merge_heads"} and time.monotonic() - start < 2


# never needed --------------------------------------------------------------------------------------------------------


def assert_works_without_a_file():
    """The course goes on, remembers while this kernel runs, and says so where it is asked."""
    assert checks.split_heads(as_a_learner(checks.split_heads.solution))
    progress.guessed("02.time", "How long?", "× 2")
    assert "split_heads" in progress.kept()["passed"] and "02.time" in progress.kept()["guesses"]
    words = repr(checks.progress())
    assert "1 of " in words and "This is remembered only until the kernel stops, because no file can be kept: " in words
    assert words.endswith(".") and not words.endswith("..")
    checks.reset("everything")
    assert progress.kept()["passed"] == {} == progress.kept()["guesses"]


def test_a_home_that_cannot_be_made_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("here is no folder")
    monkeypatch.setenv("MHA_LAB_HOME", str(tmp_path / "file" / "home"))
    assert_works_without_a_file()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_home_that_is_read_only_is_no_obstacle(home):
    home.mkdir(parents=True)
    home.chmod(0o500)
    assert_works_without_a_file()


def test_no_home_at_all_is_no_obstacle(monkeypatch):
    monkeypatch.delenv("MHA_LAB_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert progress.place() is None
    assert_works_without_a_file()


def test_a_full_disk_loses_nothing_and_is_written_once_there_is_room(home, monkeypatch):
    progress.passed("merge_heads")

    def full(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as now:
        now.setattr(progress._whole, "write", full)
        progress.passed("split_heads")
        assert progress.problem() == "No space left on device"
        assert set(progress.kept()["passed"]) == {"merge_heads", "split_heads"}
    assert list(stored(home)["passed"]) == ["merge_heads"]
    progress.guessed("02.time", "How long?", "× 2")
    assert set(stored(home)["passed"]) == {"merge_heads", "split_heads"} and progress.problem() == ""


def test_what_is_forgotten_where_nothing_can_be_written_is_forgotten_in_this_kernel(home, monkeypatch):
    progress.passed("split_heads")

    def refused(path, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(progress._whole, "write", refused)
    progress.forget()
    assert progress.kept()["passed"] == {}


@pytest.mark.parametrize("kind", ["folder", "too large", "pipe"])
def test_something_else_in_the_files_place_is_left_alone(kind, home):
    place = home / "progress.json"
    home.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
    elif kind == "too large":
        place.write_bytes(b" " * (progress.LARGEST + 1))
    else:
        os.mkfifo(place)
    assert_works_without_a_file()
    assert os.path.lexists(place) and not list(home.glob("*broken*"))


GOOD = {"about": "", "passed": {"merge_heads": "2025-01-31"}, "guesses": {}}


@pytest.mark.parametrize(
    "text, survives",
    [
        (b"", []),
        (b"{", []),
        (b"[]", []),
        (b"\xff\xfe\x00", []),
        (b"[" * 100_000, []),
        (json.dumps({**GOOD, "passed": 3}).encode(), []),
        (json.dumps({**GOOD, "passed": {"merge_heads": "2025-01-31", "split_heads": 1}}).encode(), ["merge_heads"]),
        (json.dumps({**GOOD, "guesses": {"02.time": "× 2", "02.b": {"asked": "?"}}}).encode(), ["merge_heads"]),
        (json.dumps(GOOD)[:-20].encode(), []),
    ],
)
def test_a_broken_file_is_kept_beside_and_said_in_one_sentence(text, survives, home, capsys):
    home.mkdir(parents=True)
    (home / "progress.json").write_bytes(text)
    assert list(progress.kept()["passed"]) == survives
    said = capsys.readouterr().out
    assert said == (
        f"What you passed and guessed could not be read from {home / 'progress.json'}: "
        "it is kept as progress (broken).json beside it.\n"
    )
    assert (home / "progress (broken).json").read_bytes() == text
    assert checks.split_heads(as_a_learner(checks.split_heads.solution))
    assert list(stored(home)["passed"]) == [*survives, "split_heads"]
    (home / "progress.json").write_bytes(b"{")  # and another time
    progress.passed("causal_mask")
    assert (home / "progress (broken).json").read_bytes() == text
    assert (home / "progress (broken 2).json").read_bytes() == b"{"
    assert capsys.readouterr().out.count("\n") == 1


def test_what_a_person_added_stays_and_an_editors_mark_does_no_harm(home):
    home.mkdir(parents=True)
    text = json.dumps({**GOOD, "my notes": ["ask about W^O"]})
    (home / "progress.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    progress.passed("split_heads")
    assert stored(home)["my notes"] == ["ask about W^O"] and not list(home.glob("*broken*"))
    assert list(stored(home)["passed"]) == ["merge_heads", "split_heads"]


def test_half_a_letter_that_a_page_may_send_spoils_nothing(home):
    progress.guessed("02.time", "How long?", "twice \ud83d")
    assert stored(home)["guesses"]["02.time"]["said"] == "twice ?"


# the map -------------------------------------------------------------------------------------------------------------


def test_the_map_names_every_lesson_that_exists_by_its_title():
    assert [file for _, file in course.LESSONS.values()] == [path.name for path in LESSONS]
    for (number, (title, _)), path in zip(course.LESSONS.items(), LESSONS):
        assert nbformat.read(path, as_version=4).cells[0].source.startswith(f"# {number} · {title}\n")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:3].strip("_"))
def test_a_lessons_exercises_are_those_that_its_notebook_checks(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    called = {name for name in re.findall(r"\bchecks\.(\w+)\(", code) if name in checks.__all__}
    assert set(course.exercises_of(path.name.split("_")[0], checks._TASKS)) == called


def test_every_exercise_belongs_to_a_lesson():
    of_lessons = [name for number in course.LESSONS for name in course.exercises_of(number, checks._TASKS)]
    assert sorted(of_lessons) == sorted(checks.__all__)


def test_nothing_yet_is_the_same_map_everywhere_and_begins_with_lesson_00():
    shown = checks.progress()
    count = sum(len(row.open) for row in shown.rows)
    assert repr(shown).startswith(f"The course: 0 of {count} exercises passed, 0 guesses made.\n○ 00  Start here")
    assert shown.next.number == "00" and "Nothing is kept yet." in repr(shown)
    assert "/" not in repr(shown) and str(progress.place()) not in shown._repr_html_()
    assert not progress.place().parent.exists()


def test_the_map_says_what_is_done_what_is_begun_and_what_is_next(home):
    for name in course.exercises_of("00", checks._TASKS):
        progress.passed(name)
    progress.passed("split_heads")
    progress.guessed("01.first", "Why?", "<b>so</b>")
    shown = checks.progress()
    signs = {row.number: row.sign for row in shown.rows}
    assert (signs.pop("00"), signs.pop("01"), signs.pop("02")) == ("●", "◐", "◐") and set(signs.values()) == {"○"}
    assert shown.next.number == "01" and "Next: lesson 01, Single-head attention." in repr(shown)
    assert re.search(r"◐ 01  Single-head attention +0 of \d+ exercises +1 guess\n", repr(shown))
    assert str(home / "progress.json") in repr(shown)
    page = shown._repr_html_()
    assert page.count("← next") == 1 and page.count("<td") == 3 * len(course.LESSONS)
    assert '<a href="01_single_head_attention.ipynb">Single-head attention</a>' in page
    assert "<script" not in page and re.findall(r"(?<![\w-])color:", page) == []


def test_a_lesson_that_is_begun_names_what_is_still_open(home):
    first, *others = course.exercises_of("00", checks._TASKS)
    progress.passed(first)
    assert f"Next: lesson 00, Start here; still open: {', '.join(others)}." in repr(checks.progress())


def test_when_all_is_passed_nothing_is_next(home):
    for name in checks.__all__:
        progress.passed(name)
    shown = checks.progress()
    assert shown.next is None and "All exercises are passed." in repr(shown) and "← next" not in shown._repr_html_()


# forgetting ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(home):
    progress.passed("split_heads")
    progress.passed("causal_mask")
    progress.guessed("02.time", "How long?", "× 2")
    progress.guessed("01.first", "Why?", "so")
    return home


def test_without_a_word_nothing_is_forgotten(begun, capsys):
    before = (begun / "progress.json").read_bytes()
    assert checks.reset() is None
    assert (begun / "progress.json").read_bytes() == before
    said = capsys.readouterr().out
    assert "Nothing is forgotten yet. Kept so far: 2 passed exercises and 2 guesses." in said
    assert 'checks.reset("everything")' in said and 'checks.reset("02")' in said


def test_one_lesson_or_everything_is_forgotten(begun, capsys):
    checks.reset("02")
    assert capsys.readouterr().out == "Forgotten: 1 passed exercise and 1 guess.\n"
    assert list(stored(begun)["passed"]) == ["causal_mask"] and list(stored(begun)["guesses"]) == ["01.first"]
    checks.reset("everything")
    assert stored(begun)["passed"] == {} == stored(begun)["guesses"]
    capsys.readouterr()
    checks.reset()
    assert capsys.readouterr().out == "There is nothing to forget.\n"


@pytest.mark.parametrize("what", ["2", "15", "all", "", 2, True, ["02"], "split_heads"])
def test_what_is_no_lesson_is_answered_in_one_sentence(what, begun):
    before = (begun / "progress.json").read_bytes()
    with pytest.raises(ValueError, match=r'it must be "everything" or the number of a lesson, "00" to "14"\.$'):
        checks.reset(what)
    assert (begun / "progress.json").read_bytes() == before


# the interview -------------------------------------------------------------------------------------------------------


def test_an_answer_of_the_interview_is_kept_with_its_points_and_taken_back(home):
    progress.interviewed("mask", "Why −∞?", "because", None)
    assert set(stored(home)["interview"]["mask"]) == {"asked", "said", "day"}
    progress.interviewed("mask", "Why −∞?", "because", [0, 2])
    assert progress.kept()["interview"]["mask"]["points"] == [0, 2]
    progress.interviewed("mask", "Why −∞?", "", None)
    assert stored(home)["interview"] == {}


def test_what_makes_no_sense_among_the_answers_is_put_aside_and_the_rest_stays(home):
    progress.interviewed("mask", "Why −∞?", "because", [0])
    content = stored(home)
    content["interview"]["scale"] = {"asked": "Why?", "said": "so", "points": "all"}
    (home / "progress.json").write_text(json.dumps(content), encoding="utf-8")
    assert set(progress.kept()["interview"]) == {"mask"}


def test_forgetting_some_leaves_the_others_and_is_remembered(home):
    progress.passed("split_heads")
    progress.interviewed("mask", "Why −∞?", "because", [0])
    progress.forget([], [], [])
    assert progress.kept()["forgotten"] == ""
    progress.forget([], [], ["mask"])
    assert list(progress.kept()["passed"]) == ["split_heads"] and progress.kept()["forgotten"] > "2000"
    progress.forget()
    assert progress.kept()["passed"] == {}
