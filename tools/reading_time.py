"""Tells how many minutes a lesson really takes: each sitting, what only specialists need, and the exercises.

Usage: python tools/reading_time.py [--sections] [01 02 …]      (all lessons unless some are named)

A sitting begins with a cell "### Sitting 2 of 3 · 40 minutes" and ends where the next one begins, or with the lesson;
"## Sources" belongs to none. A section that begins with "*For specialists, 8 minutes: …*" is counted apart.
"""

import re
import sys
from typing import NamedTuple

import nbformat
from run_notebooks import LESSONS, parser_of_lessons

from mha_lab import widgets

WORDS = 1 / 150  # minutes each
CODE_LINE, FIGURE, PREDICTION, CONTROL, EXPLORER = 0.1, 0.75, 2 / 3, 1, 5
OWN_MINUTES = {"LayerMap": CONTROL, "Guess": PREDICTION}  # the explorers that take less
EXERCISE = 1.3  # of the minutes in its heading

SITTING = re.compile(r"^### Sitting (\d+) of (\d+) · (\d+) minutes$", re.M)
SPECIALISTS = re.compile(r"^\*For specialists, (\d+) minutes?: [^*]+\*$", re.M)
HEADING = re.compile(r"^#{1,2} (.+)$", re.M)
CARD = re.compile(
    r"\| (\d+) min(?: in (\d+) sittings?)?(?:, (\d+) of them exercises)?(?:; (\d+) more for specialists)? \|"
)


class Section(NamedTuple):
    """A section's minutes by the rules above; sitting 0 is what comes before the first one."""

    title: str
    sitting: int = 0
    for_specialists: int | None = None  # the minutes that it says
    reading: float = 0
    exercises: float = 0

    @property
    def minutes(self):
        return self.reading + self.exercises


class Card(NamedTuple):
    """What a lesson's card says: minutes, sittings (None where it says none), minutes of exercises, for specialists."""

    minutes: int
    sittings: int | None
    exercises: int
    for_specialists: int


def words(markdown):
    """How many words a reader meets: no tags, no marks, no bars of a table."""
    text = re.sub(r"</?[a-z][^>]*>", " ", markdown)
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def explorer(output):
    """The name of the explorer's class whose picture or list an output is, or None."""
    shown = re.match(r"(\w+)\(", output.get("data", {}).get("text/plain", ""))
    return shown[1] if shown and shown[1] in widgets.__all__ else None


def output_minutes(output):
    data = output.get("data", {})
    if name := explorer(output):
        return OWN_MINUTES.get(name, EXPLORER)
    if data.get("text/plain", "").startswith("(Controls,"):
        return CONTROL
    return FIGURE * ("image/png" in data)


def code_minutes(cell):
    lines = [line.strip() for line in cell.source.splitlines()]
    reading = CODE_LINE * sum(bool(line) and not line.startswith("#") for line in lines)
    return reading + sum(map(output_minutes, cell.outputs))


def text_minutes(markdown):
    """Minutes of reading and of exercises."""
    claimed = re.findall(r"^### Exercise .*?(\d+) minutes?\)", markdown, re.M)
    return words(markdown) * WORDS + markdown.count("**Predict") * PREDICTION, EXERCISE * sum(map(int, claimed))


def pieces(markdown):
    """The text before the first heading, and from each heading to the next: a heading may stand at a cell's end."""
    cuts = [0, *(found.start() for found in HEADING.finditer(markdown)), len(markdown)]
    return [markdown[a:b] for a, b in zip(cuts, cuts[1:]) if a < b]


def sections(notebook):
    """The sections of a lesson in order, each with its minutes; a sitting's first cell begins a piece of its own."""
    found = [Section("(top)")]

    def add(reading, exercises=0):
        last = found[-1]
        found[-1] = last._replace(reading=last.reading + reading, exercises=last.exercises + exercises)

    for cell in notebook.cells:
        if cell.cell_type == "code":
            add(code_minutes(cell))
            continue
        for piece in pieces(cell.source) if cell.cell_type == "markdown" else ():
            if sitting := SITTING.match(piece):
                found.append(Section(f"(sitting {sitting[1]})", int(sitting[1])))
            elif heading := HEADING.match(piece):
                first_line = piece[heading.end() :].strip().partition("\n")[0]
                specialists = SPECIALISTS.match(first_line)
                found.append(Section(heading[1], found[-1].sitting, specialists and int(specialists[1])))
            add(*text_minutes(piece))
    return found


def sitting_minutes(notebook):
    """{1: (minutes told, true minutes, those of exercises), …}. What comes before the first sitting belongs to it; a
    lesson without sittings is one, of which nothing is told."""
    told = {int(n): int(minutes) for n, _, minutes in SITTING.findall(text_of(notebook))} or {1: None}
    rows = {}
    for number, minutes in told.items():
        parts = [
            part
            for part in sections(notebook)
            if max(part.sitting, 1) == number and part.for_specialists is None and part.title != "Sources"
        ]
        rows[number] = minutes, sum(part.minutes for part in parts), sum(part.exercises for part in parts)
    return rows


def specialists(notebook):
    """The sections that only specialists need."""
    return [part for part in sections(notebook) if part.for_specialists is not None]


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def card(notebook):
    """What the lesson's first cell says, as a Card."""
    found = CARD.search(notebook.cells[0].source)
    if not found:
        raise ValueError("the card's Time column must read | 85 min in 2 sittings, 30 of them exercises |")
    minutes, count, exercises, more = found.groups()
    return Card(int(minutes), count and int(count), int(exercises or 0), int(more or 0))


def table(name, notebook, all_sections=False):
    """The lesson's minutes in lines: told, true, and of them exercises."""
    rows = sitting_minutes(notebook)
    lines = [f"{name}  {words(text_of(notebook)):,} words", f"  {'':32} told  true  exercises"]
    try:
        said = card(notebook)
    except ValueError as error:
        said = Card(0, None, 0, 0)
        lines.insert(1, f"  {error}")

    def line(what, told, true, exercises):
        lines.append(f"  {what:32} {told or '–':>4} {true:5.0f} {exercises:10.0f}")

    for number, (told, true, exercises) in rows.items():
        line(f"sitting {number} of {len(rows)}", told, true, exercises)
    line("all sittings", said.minutes, sum(true for _, true, _ in rows.values()), sum(row[2] for row in rows.values()))
    for part in specialists(notebook):
        line(f"for specialists: {part.title}"[:32], part.for_specialists, part.minutes, part.exercises)
    for part in sections(notebook) if all_sections else ():
        lines.append(f"    {part.title[:62]:64} {part.reading:5.1f} + {part.exercises:4.1f}")
    return "\n".join(lines)


def main(arguments):
    parser = parser_of_lessons("Tell how many minutes a lesson really takes.")
    parser.add_argument("--sections", action="store_true", help="also each section's reading + exercises")
    options = parser.parse_args(arguments)
    names = tuple(options.lessons)
    paths = [
        path
        for path in sorted(LESSONS.glob("*.ipynb" if names else "[0-9]*.ipynb"))
        if path.name.startswith(names or "")
    ]
    for path in paths:
        print(table(path.stem, nbformat.read(path, as_version=4), options.sections), flush=True)
    if not paths:
        parser.error(f"no lesson begins with {' or '.join(options.lessons)}")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
