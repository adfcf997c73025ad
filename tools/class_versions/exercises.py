"""Where a lesson's exercises stand, and what all versions of it do with them."""

import ast
import inspect
import re
from copy import deepcopy
from dataclasses import dataclass

import nbformat

from mha_lab import checks
from mha_lab.checks.engine import AnswerExercise

CALL = re.compile(r"^checks\.(\w+)\((.*)\)$", re.M)
FOLD = re.compile(r"\n*<details><summary>(.*?)</summary>\n(.*?)</details>", re.S)
ALOUD = "## Say it aloud"
DATA = {"where_it_looks": "pretrained.recorded()"}  # its check cell makes the data, below the cell of the answer


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson: the numbers of its two cells, and its task in `mha_lab.checks`.

    given   what the check is called with, as the cell writes it: "split_heads", "slide, relays[4]"
    target  what the learner's cell defines: the name of a function, or "floor, ceiling"
    """

    stub: int
    check: int
    task: object
    given: str
    target: str

    @property
    def name(self):
        return self.task.__name__


def exercises(notebook):
    """The exercises of a lesson in order, each once. Raises ValueError where no cell above a check has its stub."""
    found = {}
    for number, cell in enumerate(notebook.cells):
        call = CALL.search(cell.source) if cell.cell_type == "code" else None
        if call and hasattr(checks, call[1]) and call[1] in checks.__all__ and call[1] not in found:
            task = getattr(checks, call[1])
            found[call[1]] = _exercise(notebook, number, task, call[2])
    return list(found.values())


def _exercise(notebook, check, task, given):
    first = ast.parse(f"f({given})").body[0].value.args[0]
    names = [node.id for node in ast.walk(first) if isinstance(node, ast.Name)]
    for number in range(check - 1, -1, -1):
        cell = notebook.cells[number]
        if cell.cell_type == "code" and re.search(rf"^(def {names[0]}\(|{', '.join(names)} = )", cell.source, re.M):
            return Exercise(number, check, task, given, ", ".join(names))
    raise ValueError(f"No cell above the check of {task.__name__} defines {names[0]}.")


def solved(exercise, source, begin="", end=""):
    """The learner's cell with our solution in it, between the two lines that a grader's tool asks for."""
    before, inside, after = parts(exercise, source)
    marks = [[f"{_indent(inside)}{line}"] if line else [] for line in (begin, end)]
    return "\n".join([*before, *marks[0], *inside, *marks[1], *after])


def parts(exercise, source):
    """The lines of the learner's cell: before the solution, the solution itself, and after it."""
    lines = source.splitlines()
    if isinstance(exercise.task, AnswerExercise):
        return lines, [f"{exercise.target} = {answer(exercise)}"], []
    function = next(node for node in ast.parse(source).body if getattr(node, "name", "") == exercise.name)
    stub = function.body[-1]  # the `...`
    return lines[: stub.lineno - 1], _body(exercise.task).splitlines(), lines[stub.end_lineno :]


def answer(exercise):
    """The right answer of an exercise that is no function, as a cell writes it."""
    if not inspect.signature(exercise.task.solution).parameters or _all_have_defaults(exercise.task.solution):
        return repr(exercise.task.solution())
    data = DATA.get(exercise.name) or exercise.given[len(_first(exercise.given)) :].lstrip(", ")
    return f"checks.{exercise.name}.ours({data})"


def _first(given):
    return ast.get_source_segment(f"f({given})", ast.parse(f"f({given})").body[0].value.args[0])


def _all_have_defaults(function):
    return all(p.default is not p.empty for p in inspect.signature(function).parameters.values())


def _body(task):
    """The solution's lines below its docstring, indented as in a function."""
    source = task.source
    function = ast.parse(source).body[0]
    first = function.body[1 if ast.get_docstring(function) is not None else 0]
    return "\n".join(source.splitlines()[first.lineno - 1 :])


def _indent(lines):
    return re.match(" *", lines[0])[0]


# what every version that students get has in common ------------------------------------------------------------------


def without_outputs(notebook):
    """A copy with no outputs, no run numbers, and no fold that answers what is asked to be said aloud."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        elif cell.source.startswith(ALOUD):
            cell.source = FOLD.sub("", cell.source).replace("Answer aloud, then open.", "Answer aloud, then write.")
    notebook.metadata.pop("widgets", None)
    return notebook


def in_class_mode(notebook):
    """In place: the first code cell sets class mode; the numbers of cells below it grow by one. Returns its number."""
    place = next(number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    source = "from mha_lab import checks\n\nchecks.class_mode()  # solutions wait until your lecturer opens them"
    notebook.cells.insert(place, a_cell("code", source, "class-mode"))
    return place


def a_cell(kind, source, name):
    """A new cell whose id is the same each time."""
    cell = getattr(nbformat.v4, f"new_{kind}_cell")(source)
    cell.id = f"class-{re.sub(r'[^a-zA-Z0-9-]', '-', name)}"[:64]
    return cell


def aloud(notebook):
    """(number, question, model answer as markdown) of what the lesson asks to be said aloud."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and cell.source.startswith(ALOUD):
            question = FOLD.sub("", cell.source.removeprefix(ALOUD)).replace("Answer aloud, then open.", "").strip()
            fold = FOLD.search(cell.source)
            return number, question, fold[2].strip() if fold else ""
    return None


def rubric(answers):
    """One line for each point that a written answer can earn: what the sentence is about, and our sentence."""
    sentences = re.findall(r"^\d+\. +(.+)$", answers, re.M)
    return [re.sub(r"^\*+([^*]+?)[.:]?\*+[.:]?", r"**\1**:", sentence) for sentence in sentences]
