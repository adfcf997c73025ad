"""What is stored in the lessons: a clean run from top to bottom that reads the same on every machine."""

import importlib.metadata
import re
import sys
import tempfile
import unicodedata
from pathlib import Path

import nbformat
import pytest
import run_notebooks

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECTED = 104  # columns of code that JupyterLab shows on a page of 1,024 pixels


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


def outputs(notebook):
    return [(cell, output) for cell in notebook.cells for output in cell.get("outputs", [])]


def test_there_are_lessons():
    assert LESSONS


def test_a_stored_lesson_ran_from_top_to_bottom_without_a_complaint(lesson):
    counts = [cell.execution_count for cell in lesson.cells if cell.cell_type == "code" and cell.source]
    assert counts == list(range(1, len(counts) + 1))
    complaints = [o for _, o in outputs(lesson) if o.output_type == "error" or o.get("name") == "stderr"]
    assert complaints == []


def test_a_stored_lesson_is_tidy(lesson):
    before = nbformat.writes(lesson)
    assert nbformat.writes(run_notebooks.tidy(lesson)) == before, "make notebooks tidies it"
    assert not any(run_notebooks.WIDGET in output.get("data", {}) for _, output in outputs(lesson))


def test_the_sections_of_a_lesson_are_counted_without_a_gap(lesson):
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    sections = [int(number) for number in re.findall(r"^## (\d+)\.", text, re.M)]
    assert sections == list(range(1, len(sections) + 1))


def columns(line):
    """The width of a line in letters; a Chinese one takes the room of two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


def test_the_code_of_a_lesson_is_read_on_a_projector_without_scrolling(lesson):
    lines = [line for cell in lesson.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if columns(line) > PROJECTED] == []


def test_a_stored_lesson_names_no_machine_and_no_version(lesson):
    places = {str(Path.home()), str(ROOT.parent), tempfile.gettempdir(), sys.prefix, sys.base_prefix}
    unwanted = [re.escape(place.rstrip("/") + "/") for place in places if len(place) > 1]
    unwanted += ["site-packages", r"\b0x[0-9a-f]{8,}"]
    for cell, output in outputs(lesson):
        data = output.get("data", {})
        text = "".join(data.get(kind, "") for kind in ("text/plain", "text/html", "text/markdown")) + output.get(
            "text", ""
        )
        measured = run_notebooks.MEASUREMENT in cell.metadata.get("tags", [])
        versions = (
            [] if measured else [re.escape(importlib.metadata.version("torch").split("+")[0]), r"\b3\.1\d\.\d+\b"]
        )
        found = re.search("|".join(unwanted + versions), text)
        assert not found, f"cell {cell.id}: {found.group()}"


def test_what_answers_a_prediction_is_hidden_until_its_cell_is_run(lesson):
    """JupyterLab shows a hidden output when its cell is run. An explorer's picture answers nothing by itself."""
    open_answers = []
    for at, cell in enumerate(lesson.cells):
        if cell.cell_type != "markdown" or "**Predict" not in cell.source:
            continue
        answer = next((c for c in lesson.cells[at + 1 : at + 4] if c.cell_type == "code" and c.outputs), None)
        texts = [output.get("data", {}).get("text/plain", "") for output in answer.outputs] if answer else []
        explorer = all("Explorer" in text for text in texts)
        if not explorer and not answer.metadata.get("jupyter", {}).get("outputs_hidden"):
            open_answers.append(answer.id)
    assert open_answers == []


def test_a_card_says_the_minutes_that_a_lesson_takes(lesson):
    """150 words a minute, 6 s a code line, 45 s a figure, 40 s a prediction, and exercises take a third longer."""
    prose = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    code = [line.strip() for cell in lesson.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    lines = sum(1 for line in code if line and not line.startswith("#"))
    figures = sum(any("image/png" in o.get("data", {}) for o in c.get("outputs", ())) for c in lesson.cells)
    exercises = sum(int(minutes) for minutes in re.findall(r"### Exercise [^\n]*?, (\d+) minutes\)", prose))
    told = int(re.search(r"\| (\d+) min", lesson.cells[0].source)[1])
    reading = len(prose.split()) / 150 + lines / 10 + figures * 0.75 + prose.count("**Predict") * 2 / 3
    true = reading + 1.3 * exercises
    assert 0.8 * true <= told <= 1.25 * true, f"{true:.0f} minutes, not {told}"
