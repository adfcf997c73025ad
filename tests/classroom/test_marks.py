"""A class's submissions, marked for real by nbgrader and by Otter-Grader: every mark is as it should be.

The submissions are of lesson 02 cut down to its exercises, so that forty runs fit into minutes; one of each kind of
grader's runs is of the whole lesson."""

import html
import json
import re
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import make_class
import nbformat
import pytest
from class_versions.exercises import aloud, exercises
from run_notebooks import read
from submissions import FUNCTIONS, STARS, handed_in, submissions

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


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """The lesson cut down: its card, its imports, its exercises, and what is said aloud."""
    notebook = read(LESSON)
    kept = {0, next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), aloud(notebook)[0]}
    for task in exercises(notebook):
        kept |= {task.stub - 1, task.stub, task.check}
    notebook.cells = [cell for i, cell in enumerate(notebook.cells) if i in kept]
    path = tmp_path_factory.mktemp("lesson") / LESSON.name
    nbformat.write(notebook, path)
    return path


def called(command, folder, environment):
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-6000:]}"
    return ended.stdout


def name_of(submission):
    return submission.replace(" ", "_")


def marks_of(course, environment):
    return json.loads(called(["python", "-c", READ], course, environment))


@pytest.fixture(scope="module")
def marked(class_environment, short, tmp_path_factory):
    """({submission: {exercise: points}}, {submission: feedback page}), every submission marked by nbgrader."""

    def lane(number):
        top = tmp_path_factory.mktemp(f"lane{number}")
        make_class.make(short, top)
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
        marks = marks_of(course, class_environment)
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


def test_the_whole_lesson_is_marked_too(class_environment, tmp_path):
    make_class.make(LESSON, tmp_path)
    course, environment = tmp_path / "nbgrader", {**class_environment, "MHA_LAB_CELL_SECONDS": "300"}
    called(["nbgrader", "generate_assignment", "02"], course, environment)
    answers, _, marks = MADE["right by einsum"]
    folder = course / "submitted" / "right" / "02"
    folder.mkdir(parents=True)
    released = nbformat.read(course / "release" / "02" / LESSON.name, 4)
    nbformat.write(handed_in(released, answers, None), folder / LESSON.name)
    called(["nbgrader", "autograde", "02"], course, environment)
    found = marks_of(course, environment)["right"]
    assert {exercise: found[exercise] for exercise in STARS} == marks
    (done,) = course.glob("autograded/right/02/*.ipynb")
    outputs = [each for cell in nbformat.read(done, 4).cells for each in cell.get("outputs", [])]
    assert not [each for each in outputs if each.output_type == "error"]  # what goes on with ours goes on in a class


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
        plain = text_of(page)
        assert not [line for line in secret if line in plain], name
        assert "Error: " in plain or MADE[name][2] == STARS  # and the sentence that says what is wrong


def text_of(page):
    """The text of a page without its tags: highlighted code has one around every word."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


OTTER = ["right by einsum", "wrong 0", "untouched", "half done", "ours handed in", "around ours", "prints a pass"]
OTTER += ["made for the known cases", "patches the check", "does not parse"]


@pytest.fixture(scope="module")
def otter(class_environment, short, tmp_path_factory):
    """(the folder of the assigned notebook, the autograder, the environment of marking)."""
    top = tmp_path_factory.mktemp("otter")
    make_class.make(short, top)
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
    met = {
        (name, number % len(getattr(checks, name).mistakes))
        for number in range(sum(name.startswith("wrong") for name in MADE))
        for name in FUNCTIONS
    }
    assert met == {(name, i) for name in FUNCTIONS for i in range(len(getattr(checks, name).mistakes))}
