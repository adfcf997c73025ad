"""The instructor version: the lesson solved, and beside each exercise and prediction what a teacher needs."""

import re
from copy import deepcopy

from class_versions.exercises import FOLD, a_cell, aloud, exercises, rubric, solved
from mha_lab.checks.card import stars
from mha_lab.checks.question import key_of

PREDICT = re.compile(r"\*\*Predict\*?\*?\.?\*{0,2}(.*)", re.S)
GUESS = re.compile(r"widgets\.Guess\(\s*\"([^\"]+)\",\s*(.+)\)", re.S)


def instructor(notebook):
    """The lesson, its outputs as stored, every stub solved, a teacher's cell below each exercise and prediction."""
    made, notes = deepcopy(notebook), {}
    for task in exercises(notebook):
        stub = made.cells[task.stub]
        stub.source = solved(task, stub.source)
        notes[task.check] = exercise_note(task)
    for number, question, answered in discussions(notebook):
        notes[number] = discussion_note(question, answered)
    said = aloud(notebook)
    if said:
        notes[said[0]] = "\n".join(["**For the teacher: the rubric.** A point for each:", "", *_list(rubric(said[2]))])
    cells = []
    for number, cell in enumerate(made.cells):
        cells += [cell, *([a_cell("markdown", notes[number], f"teacher-{number}")] if number in notes else [])]
    made.cells = cells
    return made


def key(notebook, title):
    """The same as one page of text: answer key, common wrong answers, questions to discuss, the rubric."""
    lines = [f"# {title}: for the teacher", "", "## Answers, and the wrong answers to expect", ""]
    for task in exercises(notebook):
        source = solved(task, notebook.cells[task.stub].source)
        lines += [f"### {task.name} ({stars(task.task)})", "", "```python", source, "```", ""]
        lines += [*wrong_answers(task), ""]
    lines += ["## Questions to discuss", ""]
    for number, question, answered in discussions(notebook):
        lines += [f"**{question}**", "", *answered, f"Where: the cell after number {number + 1} of the lesson.", ""]
    said = aloud(notebook)
    if said:
        lines += ["## Say it aloud", "", said[1], "", "A point for each:", "", *_list(rubric(said[2])), ""]
    return "\n".join(lines)


def exercise_note(task):
    points = f"{task.task.stars} point{'s' if task.task.stars > 1 else ''}"
    return "\n".join([f"**For the teacher: {task.name}**, {points}.", "", *wrong_answers(task)])


def wrong_answers(task):
    """The mistakes that the check knows by name, each with the sentence that it answers; hints where it knows none."""
    known = {}
    for mistake, sentence in getattr(task.task, "mistakes", []):
        known.setdefault(key_of(mistake), sentence)
    if not known:
        return [f"If somebody is stuck: {task.task.hint}"]
    rows = [f"| `{name}` | {sentence.replace('|', chr(92) + '|')} |" for name, sentence in known.items()]
    return ["| a wrong answer | what its card asks |", "|---|---|", *rows]


def discussions(notebook):
    """(number of the cell, question, lines that answer it) of each Predict and each Guess of a lesson."""
    found = []
    for number, cell in enumerate(notebook.cells):
        predicted = PREDICT.search(cell.source) if cell.cell_type == "markdown" else None
        guessed = GUESS.search(cell.source) if cell.cell_type == "code" else None
        if predicted and predicted[1].strip():
            found += [(number, _question(predicted[1]), answers(notebook, number))]
        elif guessed:
            asked, *choices = re.findall(r'"([^"]+)"', cell.source.replace(f'"{guessed[1]}"', "", 1))
            found += [(number, f"{asked} {' / '.join(choices)}?", answers(notebook, number))]
    return found


def _question(text):
    text = FOLD.sub("", text).strip(" ,:\n")
    return re.sub(r"\s+", " ", text.split("\n\n")[0]) if "?" in text.split("\n\n")[0] else re.sub(r"\s+", " ", text)


def answers(notebook, number, reach=6):
    """What answers a prediction: the next fold, and what the hidden outputs above it say or draw."""
    lines = []
    for cell in notebook.cells[number + 1 : number + 1 + reach]:
        if cell.cell_type == "code" and cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            lines += _points_at(cell)
        fold = FOLD.search(cell.source) if cell.cell_type == "markdown" else None
        if fold:
            return [*lines, re.sub(r"\s*\n\s*", " ", fold[2].strip()), ""]
        if cell.cell_type == "markdown" and ("**Predict" in cell.source or cell.source.startswith("## ")):
            break
    return [*lines, ""] if lines else []


def _points_at(cell):
    said = "".join(output.get("text", "") for output in cell.outputs).strip()
    title = re.search(r"title=\s*(f?\"(?:[^\"\\]|\\.)*\")", cell.source)
    if said:
        return ["It prints:", "", "```", said, "```", ""]
    if not title:
        return []
    words = re.sub(r"\{[^}]*\}", "…", title[1].lstrip("f").strip('"')).strip()
    return [f"Point at the figure “{words}”.", ""]


def discussion_note(question, answered):
    return "\n".join(["**For the teacher: to discuss.** " + question, "", *answered])


def _list(lines):
    return [f"- {line}" for line in lines]
