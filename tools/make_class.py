"""Makes of each lesson the versions that a class needs, in class/.

Usage: python tools/make_class.py [01 02 …]      (make class LESSONS="01 02"; all lessons unless some are named)

class/student/     the lesson without outputs, in class mode, which withholds solutions until the lecturer opens them
class/instructor/  the lesson with its solutions and notes for the teacher, and the same as one page, NN_key.md
class/nbgrader/    a course for nbgrader: source/ with solutions, locked checks and hidden tests, and its configuration
class/otter/       the same for `otter assign`
class/README.md    what is done with each of them, and what earns points
class/key.txt      the class key, made once: hidden tests draw their cases from it. Keep it, and give it to nobody.

Points are the stars of an exercise, all or none; a person marks what is said aloud, with the rubric in NN_key.md.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import os
import secrets
import sys
from pathlib import Path

import nbformat
from class_versions.exercises import exercises
from class_versions.graders import nbgrader, otter
from class_versions.instructor import instructor, key
from class_versions.student import student
from run_notebooks import LESSONS, for_each_lesson, parser_of_lessons, read

from mha_lab import _whole

CLASS = LESSONS.parent / "class"
CONFIG = Path(__file__).parent / "class_versions" / "nbgrader_config.py"
GUIDE = Path(__file__).parent / "class_versions" / "handed_out.md"


def make(path, folder=None):
    """Write the versions of one lesson; what was written, in words."""
    folder = folder or CLASS
    notebook = read(path)
    tasks = exercises(notebook)
    if not tasks:
        return "no exercises: nothing to hand in"
    name, number = path.stem, path.stem.split("_")[0]
    _write(folder / "student" / f"{name}.ipynb", student(notebook))
    _write(folder / "instructor" / f"{name}.ipynb", instructor(notebook))
    _text(folder / "instructor" / f"{number}_key.md", key(notebook, name))
    _write(folder / "nbgrader" / "source" / number / f"{name}.ipynb", nbgrader(notebook))
    _write(folder / "otter" / f"{name}.ipynb", otter(notebook))
    _text(folder / "nbgrader" / "nbgrader_config.py", CONFIG.read_text(encoding="utf-8"))
    _text(folder / "README.md", GUIDE.read_text(encoding="utf-8"))
    _class_key(folder / "key.txt")
    stars = sum(task.task.stars for task in tasks)
    return f"{folder.name}/: {len(tasks)} exercises, {stars} points, and what is said aloud"


def _class_key(path):
    """A key of its own for every class; one that is there is kept, since marks hang on it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as text:
            text.write(secrets.token_urlsafe(24) + "\n")


def _write(path, notebook):
    nbformat.validate(notebook)
    _text(path, nbformat.writes(notebook) + "\n")


def _text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    _whole.write(path, text)


def main(arguments):
    parser = parser_of_lessons("Make the student, instructor, nbgrader and Otter versions of the lessons.")
    return for_each_lesson(parser, parser.parse_args(arguments).lessons, make)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
