"""What is stored in the lessons: a clean run from top to bottom that reads the same on every machine."""

import ast
import importlib.metadata
import re
import sys
import tempfile
import unicodedata
from pathlib import Path

import nbformat
import pytest
import reading_time
import run_notebooks
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))  # the lessons, and the appendices, which have no number
LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
PROJECTED = 104  # columns of code that JupyterLab shows on a page of 1,024 pixels


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def in_sittings(request):
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


def tells(cell):
    """Whether a cell's stored output is there to read. An explorer's picture answers nothing by itself."""
    hidden = cell.metadata.get("jupyter", {}).get("outputs_hidden")
    return not hidden and not all("Explorer" in (reading_time.explorer(output) or "") for output in cell.outputs)


def test_what_answers_a_prediction_is_hidden_until_its_cell_is_run(lesson):
    """JupyterLab shows a hidden output when its cell is run."""
    open_answers = []
    for at, cell in enumerate(lesson.cells):
        shown = [c for c in lesson.cells[at + 1 : at + 5] if c.cell_type == "code" and c.outputs]
        below = [c for c in shown if {*map(reading_time.explorer, c.outputs)} != {"Guess"}]
        if cell.cell_type == "markdown" and "**Predict" in cell.source:
            open_answers += [c.id for c in below[:1] if tells(c)]
        elif "Guess" in map(
            reading_time.explorer, cell.get("outputs", ())
        ):  # what prepares the answer may stand between
            open_answers += [cell.id] if below and all(map(tells, below)) else []
    assert open_answers == []


# the sittings: see tools/reading_time.py -----------------------------------------------------------------------------


def sittings(notebook):
    """For each cell that begins a sitting: its place, its number, and how many it says there are."""
    found = [(at, reading_time.SITTING.match(cell.source)) for at, cell in enumerate(notebook.cells)]
    return [(at, int(head[1]), int(head[2])) for at, head in found if head]


def within_a_fifth(told, true):
    return abs(told - true) <= max(true / 5, 1)


def test_a_lesson_has_sittings_and_each_begins_with_its_own_line(in_sittings):
    found = sittings(in_sittings)
    assert found, "no cell begins with '### Sitting 1 of 2 · 40 minutes'"
    assert [(number, count) for _, number, count in found] == [(n + 1, len(found)) for n in range(len(found))]
    assert found[0][0] == 1, "the first sitting's cell stands right after the card's"
    for at, number, _ in found:
        line = in_sittings.cells[at].source.partition("\n")[2].strip()
        recalls = r"\*So far: [^*\n]+[.?]\*" if number > 1 else r"\*[^*\n]+[.?]\*"
        assert re.fullmatch(recalls, line), f"sitting {number}: after its heading one line, *So far: …*, and no more"


def test_a_sitting_lies_between_sections_and_ends_with_what_can_now_be_said(in_sittings):
    found = sittings(in_sittings)
    ends = {
        int(end[1]): at
        for at, cell in enumerate(in_sittings.cells)
        if (end := re.match(r"\*\*End of sitting (\d+)\.\*\* \S", cell.source))
    }
    assert sorted(ends) == [number for _, number, _ in found], "a cell '**End of sitting 1.** …' ends each sitting"
    for at, number, _ in found[1:]:
        assert ends[number - 1] == at - 1, f"what ends sitting {number - 1} stands right before sitting {number}"
        assert re.match("## ", in_sittings.cells[at + 1].source), f"a section begins sitting {number}"
    last = in_sittings.cells[ends[len(found)] + 1 :]
    assert not any(cell.cell_type == "code" for cell in last), "after the last ending nothing is left to run"


def test_a_sitting_takes_the_minutes_that_it_says_and_at_most_45(in_sittings):
    rows = reading_time.sitting_minutes(in_sittings)
    wrong = {n: (told, round(true)) for n, (told, true, _) in rows.items() if not within_a_fifth(told, true)}
    assert wrong == {}, "{sitting: (told, true)}"
    assert {n: round(true) for n, (_, true, _) in rows.items() if true > 45} == {}


def test_what_only_specialists_need_says_its_minutes(in_sittings):
    parts = reading_time.specialists(in_sittings)
    assert [part.title for part in parts if not within_a_fifth(part.for_specialists, part.minutes)] == []
    marks = len(re.findall(r"^\*For specialists", reading_time.text_of(in_sittings), re.M))
    assert marks == len(parts), "*For specialists, 8 minutes: nothing later needs it.* is a section's first line"


def test_a_card_says_the_sum_of_its_sittings(in_sittings):
    card, rows = reading_time.card(in_sittings), reading_time.sitting_minutes(in_sittings)
    assert card.minutes == sum(told for told, _, _ in rows.values())
    assert (card.sittings or 1) == len(rows)
    assert within_a_fifth(card.exercises, sum(exercises for _, _, exercises in rows.values()))
    assert card.for_specialists == sum(part.for_specialists for part in reading_time.specialists(in_sittings))


def test_an_exercise_says_its_minutes(lesson):
    headings = re.findall(r"^### Exercise .*", reading_time.text_of(lesson), re.M)
    assert [heading for heading in headings if not re.search(r", \d+ minutes\)$", heading)] == []


# the appendices ------------------------------------------------------------------------------------------------------


def test_an_appendix_has_no_number_and_no_exercise():
    for path in (path for path in NOTEBOOKS if path not in LESSONS):
        notebook = nbformat.read(path, as_version=4)
        assert re.match(r"# \D+\n\*[^*]+\*\n", notebook.cells[0].source), "a title, and in italics what it answers"
        assert "### Exercise" not in reading_time.text_of(notebook)


def test_pytorch_in_ten_minutes_takes_ten_to_twelve():
    refresher = nbformat.read(ROOT / "notebooks/refresher.ipynb", as_version=4)
    assert 10 <= sum(section.minutes for section in reading_time.sections(refresher)) <= 12.4
    code = [cell for cell in refresher.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if len(cell.source.splitlines()) > 8] == []
    questions = reading_time.text_of(refresher).count("**Predict**")
    assert questions == len(re.findall(r"^## \d", reading_time.text_of(refresher), re.M)) == 9


# the guesses ---------------------------------------------------------------------------------------------------------


def calls(notebook, name):
    """(cell, call) of each call of widgets.<name>."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and f"{name}(" in cell.source:
            nodes = ast.walk(ast.parse(TransformerManager().transform_cell(cell.source)))
            called = [node for node in nodes if isinstance(node, ast.Call)]
            yield from ((cell, node) for node in called if ast.unparse(node.func).removeprefix("widgets.") == name)


def shown(cell):
    return cell.outputs[0].data["text/plain"]


def test_each_guess_of_a_lesson_is_met_again_below_it_under_its_own_question(in_sittings):
    places = [cell.id for cell in in_sittings.cells]
    asked = {node.args[0].value: cell for cell, node in calls(in_sittings, "Guess")}
    met = {key.value: cell for cell, node in calls(in_sittings, "reckoning") for key in node.args[0].keys}
    assert asked and sorted(met) == sorted(asked)
    for key, cell in asked.items():
        assert places.index(cell.id) < places.index(met[key].id)
        question = re.match(r"Guess\((.*?)( \[.*\])?, no guess yet\)", shown(cell))[1]
        assert question in shown(met[key]), f"{met[key].id} was stored when {key} asked something else"
