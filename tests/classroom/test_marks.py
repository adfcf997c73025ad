"""A class's submissions, marked for real by nbgrader and by Otter-Grader: every mark is as it should be."""

import json
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import make_class
import nbformat
import pytest
from submissions import NOTHING, STARS, handed_in, submissions

from mha_lab import checks
from mha_lab.checks.card import source_of

LESSON = next(make_class.LESSONS.glob("02_*.ipynb"))
MADE = submissions()
LANES = 2  # as many as a small machine has cores
READ = """import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({sent.student.id: {grade.name: grade.score for sheet in sent.notebooks for grade in sheet.grades
                                        if grade.max_score and not grade.needs_manual_grade}
                      for sent in book.assignment_submissions("02")}))"""


def called(command, folder, environment):
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-6000:]}"
    return ended.stdout


def name_of(submission):
    return submission.replace(" ", "_")


@pytest.fixture(scope="module")
def marked(class_environment, tmp_path_factory):
    """({submission: {exercise: points}}, {submission: feedback page}), every submission marked by nbgrader."""

    def lane(number):
        top = tmp_path_factory.mktemp(f"lane{number}")
        make_class.make(LESSON, top)
        course = top / "nbgrader"
        called(["nbgrader", "generate_assignment", "02"], course, class_environment)
        released = course / "release" / "02" / LESSON.name
        for name in list(MADE)[number::LANES]:
            answers, change, _ = MADE[name]
            folder = course / "submitted" / name_of(name) / "02"
            folder.mkdir(parents=True)
            nbformat.write(handed_in(nbformat.read(released, 4), answers, change), folder / LESSON.name)
        called(["nbgrader", "autograde", "02"], course, class_environment)
        called(["nbgrader", "generate_feedback", "02"], course, class_environment)
        marks = json.loads(called(["python", "-c", READ], course, class_environment))
        pages = {path.parts[-3]: path.read_text(encoding="utf-8") for path in course.glob("feedback/*/02/*.html")}
        return marks, pages

    with ThreadPoolExecutor(LANES) as pool:
        lanes = list(pool.map(lane, range(LANES)))
    marks, pages = ({name: each for lane in lanes for name, each in lane[part].items()} for part in (0, 1))
    return marks, pages


@pytest.mark.parametrize("name", MADE)
def test_nbgrader_gives_the_marks_that_a_submission_earns(marked, name):
    marks, _ = marked
    assert {exercise: marks[name_of(name)][exercise] for exercise in STARS} == MADE[name][2]


def test_feedback_shows_no_solution_and_no_second_hint_and_no_key(marked):
    _, pages = marked
    assert set(pages) == {name_of(name) for name in MADE}
    tasks = [getattr(checks, name) for name in STARS]
    secret = [line.strip() for task in tasks for line in source_of(task.solution).splitlines()[1:]]
    secret = [line for line in secret if len(line) > 30 and '"""' not in line and "→" not in line]
    secret += [task.second_hint[:60] for task in tasks]
    assert len(secret) > 12
    for name in (name for name in MADE if not name.startswith("right")):
        page = pages[name_of(name)].replace("&#39;", "'")
        plain = nbformat_free(page)
        assert not [line for line in secret if line in plain], name
        assert "Traceback" in page or MADE[name][2] == STARS  # and the sentence that says what is wrong


def nbformat_free(page):
    """The text of a page without its tags: highlighted code has one around every word."""
    import html
    import re

    return html.unescape(re.sub(r"<[^>]+>", "", page))


OTTER = ["right by einsum", "wrong 0", "untouched", "half done", "ours handed in", "around ours", "prints a pass"]
OTTER += ["made for the known cases", "patches the check", "does not parse"]


@pytest.fixture(scope="module")
def otter(class_environment, tmp_path_factory):
    """(the folder of the assigned notebook, the autograder, the environment of marking)."""
    top = tmp_path_factory.mktemp("otter")
    make_class.make(LESSON, top)
    called(["otter", "assign", "--no-run-tests", f"otter/{LESSON.name}", "dist"], top, class_environment)
    (grader,) = top.glob("dist/autograder/*.zip")
    assert not any(b"class_key" in zipfile.ZipFile(grader).read(name) for name in zipfile.ZipFile(grader).namelist())
    marking = {**class_environment, "MHA_LAB_CLASS": "1", "MHA_LAB_CLASS_KEY": str(top / "key.txt")}
    return top / "dist" / "student" / LESSON.name, grader, marking


@pytest.fixture(scope="module")
def marked_by_otter(otter, tmp_path_factory):
    released, grader, environment = otter

    def run(name):
        folder = tmp_path_factory.mktemp("handed-in")
        notebook = handed_in(nbformat.read(released, 4), *MADE[name][:2])
        nbformat.write(notebook, folder / LESSON.name)
        called(["otter", "run", "-a", str(grader), "--no-logo", LESSON.name], folder, environment)
        return json.loads(Path(folder, "results.json").read_text())["tests"]

    with ThreadPoolExecutor(LANES) as pool:
        return dict(zip(OTTER, pool.map(run, OTTER)))


@pytest.mark.parametrize("name", OTTER)
def test_otter_gives_the_same_marks(marked_by_otter, name):
    points = dict.fromkeys(STARS, 0)
    for test in marked_by_otter[name]:
        exercise = test["name"].split()[0]
        if exercise in points:
            points[exercise] += test.get("score", 0)
    assert points == MADE[name][2]


def test_there_are_thirty_submissions_and_every_known_mistake_is_among_them():
    assert len(MADE) >= 30
    assert sum(marks == NOTHING for _, _, marks in MADE.values()) < len(MADE)
