"""What a lesson says where nothing runs: a handout has no cell to run, no check that answers, and nobody's guesses.

`tests/unit/test_handouts.py` holds that each sentence here is still in a lesson, and that no lesson has another one.
"""

import html
import re

import nbformat

from mha_lab import checks
from mha_lab.checks import card

INSTEAD = {
    "**Click the cell below and press Shift+Enter**: the picture comes alive.": "The picture below is alive on a "
    "screen: heads can be clicked, and pointed at. On paper it stands still.",
    "Put the word, in quotation marks, in place of `None`; run the cell, then the check.": "Write the word down.",
    "That card is how every exercise answers: *not attempted*, *not yet* and why, or *passes*; hint and solution open "
    "on a click. Nothing stops you: skip an exercise, and the page still runs.": "Every exercise has such a fold. In "
    "JupyterLab a card stands there, which checks what you wrote: *not attempted*, *not yet* and why, or *passes*. "
    "Nothing stops you: skip an exercise, and read on.",
    "Search by eye, or change the first number of `diagonal` in the cell that drew the map above.": "Search by eye.",
    "say your guess aloud before you run the cell; its output is hidden until then. The large ones you write down, by "
    "a click, and the lesson comes back to them.": "say your guess aloud before you look at the answer. The large ones "
    "you mark, and the lesson comes back to them.",
    "**Run**: Shift+Enter, cell by cell. Then change a number, run the cell again, and see what moves.": "**Run**: in "
    "JupyterLab the code of this page runs, and can be changed.",
    "write code in place of `...`, or an answer in place of `None`, and run the check below it. Wrong answers are "
    "welcome: the card says what differs.": "write the code that stands for `...`, or the answer that stands for "
    "`None`, on paper. In JupyterLab a check says what differs.",
    "`make lab` opened a copy of the lessons that is yours.": "`make lab` opens a copy of the lessons that is yours.",
    "The cell below shows how far you are. Run it whenever you come back; `checks.reset()` says how to forget it.": ""
    "In JupyterLab this page shows here how far you are.",
    "(Run the cells first; a picture cannot switch.)": "(On paper it stands still.)",
    "(Set `measure_here` for your own machine's numbers, and run everything from here on.)": "",
    "With the models installed, set `again = True` and run what follows.": "What follows does it where the models are "
    "installed.",
    "**Predict** before you run the cell:": "**Predict** before you read on:",
    "Where do you stand, and what is worth reading again? Run this cell whenever you like.": "What is worth reading "
    "again?",
    "what you said then is kept, and comes in the next cell.": "what each of them was comes next.",
    "Predict, then run the cell.": "Predict, then read on.",
    "True or false? Run this cell to answer.": "True or false?",
    "(Controls, for a page with a kernel: run this cell.)": "Controls stand here, which need JupyterLab.",
}
"""{what a lesson or an output says: what its handout says}"""

ONLY_FOR_A_KERNEL = "checks.progress()", "interview.result()"
"""Cells that show what their reader did: a page has no reader yet."""

ANSWER, IT_WAS = "Predict first, then open", "What was asked, and what it was"
CELL = r"<td[^>]*>(.*?)</td>"


def where_nothing_runs(notebook, solutions=True):
    """In place: sentences about running say what a page offers, and what shows a reader's own doings shows the answers
    or the exercise. Which words a cell's fold has is in its metadata, under "fold"."""
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip() not in ONLY_FOR_A_KERNEL]
    for cell in notebook.cells:
        cell.metadata.fold = ANSWER
        if cell.cell_type == "markdown":
            cell.source = reworded(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in [kind for kind in ("text/html", "text/plain") if kind in data]:
                data[kind] = reworded(data[kind])
            if "text/html" in data:
                _for_nobody(cell, data, solutions)


def reworded(text):
    """The text with what INSTEAD has for it, however its lines are broken."""
    for words, instead in INSTEAD.items():
        if words.split()[0] in text:
            text = re.sub(r"\s+".join(map(re.escape, words.split())), lambda _, new=instead: new, text)
    return text


def _for_nobody(cell, data, solutions):
    plain = data.get("text/plain", "")
    if plain.startswith("○ "):
        data["text/html"] = exercise(plain.split()[1], solutions) or data["text/html"]
    elif plain.startswith("TrueOrFalse("):
        data["text/html"] = data["text/html"].replace("</li>", " <small>○ true ○ false</small></li>")
    elif "you said: " in plain:  # a reckoning
        data["text/html"] = table(("asked", "it was"), data["text/html"], (0, 2))
    elif plain.count("then: no answer"):  # then_and_now
        data["text/html"] = table(("statement", "it was", "settled in lesson"), data["text/html"], (0, 3, 4))
    else:
        return
    if "it was:" in plain:
        cell.metadata.jupyter = nbformat.from_dict({"outputs_hidden": True})
        cell.metadata.fold = IT_WAS


def table(heads, old, columns):
    """Some columns of a table of an output, under these heads."""
    rows = [re.findall(CELL, row, re.S) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", old, re.S)]
    rows = ["".join(f"<td>{row[at]}</td>" for at in columns) for row in rows if len(row) > max(columns)]
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="it-was">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def exercise(name, solutions=True):
    """An exercise that nobody has tried: its hints, and our solution, behind a fold. None for what is no exercise."""
    task = getattr(checks, name, None)
    if not isinstance(task, card.Task):
        return None
    inside = [_fold("Hint", _paragraph(task.hint))]
    if task.second_hint:
        inside += [_fold("A second hint", _paragraph(task.second_hint))]
    if solutions:
        inside += [_fold("Solution", f'<pre class="highlight">{html.escape(task.source)}</pre>')]
    title = f"{'Hints and solution' if solutions else 'Hints'} of <code>{name}</code>, {card.stars(task)}"
    return f'<details class="exercise"><summary>{title}</summary>\n{"".join(inside)}\n</details>'


def _fold(summary, inside):
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _paragraph(words):
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(words))
    return f"<p>{marked}</p>"
