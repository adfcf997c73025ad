"""The versions of every lesson for a class: what each of them holds, and what it must not hold."""

import ast

import make_class
import nbformat
import pytest
from class_versions import exercises
from class_versions.graders import nbgrader, otter
from class_versions.instructor import discussions, instructor, key
from class_versions.student import student
from run_notebooks import read

from mha_lab import checks
from mha_lab.checks.engine import AnswerExercise

LESSONS = [path for path in sorted(make_class.LESSONS.glob("*.ipynb")) if exercises.exercises(read(path))]


def source(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem, scope="module")
def lesson(request):
    return read(request.param)


def test_every_exercise_of_the_course_is_found_once():
    found = [task.name for path in LESSONS for task in exercises.exercises(read(path))]
    assert sorted(found) == sorted(checks.__all__)


def test_the_student_version_has_no_output_and_no_answer(lesson):
    made = student(lesson)
    nbformat.validate(made)
    assert not any(cell.get("outputs") for cell in made.cells) and "checks.class_mode()" in source(made)
    assert len(made.cells) == len(lesson.cells) + 1
    for line in exercises.aloud(lesson)[2].splitlines():
        assert not line.strip() or line not in source(made)


def test_the_solutions_of_the_instructor_version_pass(lesson):
    made = instructor(lesson)
    nbformat.validate(made)
    for task in exercises.exercises(lesson):
        solved = exercises.solved(task, lesson.cells[task.stub].source)
        assert solved in source(made)
        if isinstance(task.task, AnswerExercise):
            assert solved.splitlines()[-1].startswith(f"{task.target} = ")
            continue
        shown = dict.fromkeys(())
        exec("import torch\n" + solved, shown)
        assert task.task(shown[task.name]).passed


def test_the_key_has_every_answer_every_known_mistake_and_every_question(lesson):
    page = key(lesson, "A lesson")
    for task in exercises.exercises(lesson):
        assert f"### {task.name} (" in page
        for _, sentence in getattr(task.task, "mistakes", [])[:3]:
            assert sentence.replace("|", "\\|") in page
    asked = discussions(lesson)
    assert len(asked) >= 3 and all(question in page for _, question, _ in asked)
    assert len(exercises.rubric(exercises.aloud(lesson)[2])) >= 4


def test_the_assignment_has_its_points_where_nbgrader_looks_for_them(lesson):
    made, tasks = nbgrader(lesson), exercises.exercises(lesson)
    nbformat.validate(made)
    marked = {c.metadata.nbgrader.grade_id: c for c in made.cells if "nbgrader" in c.metadata}
    for task in tasks:
        check, answer = marked[task.name], marked[f"{task.name}_answer"]
        assert check.metadata.nbgrader.points == task.task.stars and check.metadata.nbgrader.locked
        assert "### BEGIN SOLUTION" in answer.source and "### BEGIN HIDDEN TESTS" in check.source
        assert f'hidden("{task.name}"' in check.source
        ast.parse(check.source), ast.parse(answer.source)
    assert marked["say_it_aloud"].metadata.nbgrader.points >= 4
    assert len({cell.id for cell in made.cells}) == len(made.cells)


def test_otter_finds_its_questions(lesson):
    made, tasks = otter(lesson), exercises.exercises(lesson)
    nbformat.validate(made)
    for word in "QUESTION", "SOLUTION", "TESTS":
        begun = sum(c.cell_type == "raw" and c.source.startswith(f"# BEGIN {word}") for c in made.cells)
        ended = sum(c.cell_type == "raw" and c.source.startswith(f"# END {word}") for c in made.cells)
        assert begun == ended == len(tasks) + (word != "TESTS")
    assert len({cell.id for cell in made.cells}) == len(made.cells)


def test_a_class_key_is_made_once_and_kept(tmp_path):
    make_class.make(LESSONS[0], tmp_path)
    kept = (tmp_path / "key.txt").read_text()
    make_class.make(LESSONS[0], tmp_path)
    assert (tmp_path / "key.txt").read_text() == kept and len(kept) > 30
    assert (tmp_path / "key.txt").stat().st_mode & 0o077 == 0
