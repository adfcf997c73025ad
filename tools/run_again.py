"""Runs a lesson whole and then each of its cells once more, in the same kernel, and tells which say something else.

Usage: python tools/run_again.py [--times] [01 02 …]      (all lessons unless some are named)

A learner changes a number and runs a cell again: what later cells made may not change what it says. Cells tagged
nbval-ignore-output hold measurements, which differ on each run, and run only once. No file of the course is changed.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import copy
import difflib
import sys
import time
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from run_notebooks import CELL_TIMEOUT, KERNEL, MEASUREMENT, WIDGET, for_each_lesson, merge_streams, parser_of_lessons

IN_WORDS = {"text/plain": "its value", "text/html": "its table", "image/png": "its picture"}


class Rerun(NamedTuple):
    """A cell's first outputs and those of its second run, each as `compared` gives them, and the second's seconds."""

    cell: str
    first: list
    second: list
    seconds: float


def deterministic(notebook):
    """The code cells that say the same whenever they are run."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.strip() and MEASUREMENT not in cell.metadata.get("tags", [])
    ]


def compared(outputs):
    """What of a cell's outputs must be the same each time: printed text, values, tables, pictures and errors. The view
    of a widget has a new name each time."""
    kept = []
    for output in merge_streams(copy.deepcopy(outputs)):
        if output.output_type == "stream":
            kept.append((f"{output.name}", output.text))
        elif output.output_type == "error":
            kept.append(("an error", f"{output.ename}: {output.evalue}"))
        else:
            kept += sorted((kind, value) for kind, value in output.data.items() if kind != WIDGET)
    return kept


def run_twice(notebook, folder):
    """Execute the notebook in place, in a fresh kernel that starts in `folder`, then its deterministic cells again:
    a Rerun for each of them. Raises what nbclient raises where the first run fails."""
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(folder)}},
        timeout=CELL_TIMEOUT,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        return [rerun(client, cell) for cell in deterministic(notebook)]


def rerun(client, cell):
    again, start = copy.deepcopy(cell), time.perf_counter()
    try:
        client.execute_cell(again, client.nb.cells.index(cell))
    except CellExecutionError:
        pass  # its error stands in its outputs
    return Rerun(cell.id, compared(cell.outputs), compared(again.outputs), time.perf_counter() - start)


def difference(rerun):
    """In a line, what a cell says the second time and did not say the first; None where it says the same."""
    if rerun.first == rerun.second:
        return None
    for kind, text in rerun.second:
        if kind == "an error":
            return f"{rerun.cell}: {text}"
    for (kind, before), (other, after) in zip(rerun.first, rerun.second):
        if kind != other:
            break
        if before != after:
            return f"{rerun.cell}: {IN_WORDS.get(kind, 'its ' + kind)} is another one{first_line(kind, before, after)}"
    return f"{rerun.cell}: {len(rerun.second)} outputs, {len(rerun.first)} before"


def first_line(kind, before, after):
    if kind == "image/png":
        return ""
    changed = [
        line for line in difflib.ndiff(str(before).splitlines(), str(after).splitlines()) if line[:2] in ("- ", "+ ")
    ]
    return "".join(f"\n      {line[:110]}" for line in changed[:4])


def report(path, times=False):
    """Run one lesson twice; what differs in words. Raises ValueError where something does."""
    start = time.perf_counter()
    reruns = run_twice(nbformat.read(path, as_version=4), path.parent)
    total, again = time.perf_counter() - start, sum(rerun.seconds for rerun in reruns)
    lines = [line for line in map(difference, reruns) if line]
    slow = sorted(reruns, key=lambda rerun: -rerun.seconds)[:5] if times else []
    spent = f"({total - again:.0f} s, then {again:.0f} s)" + "".join(f"\n   {r.seconds:5.1f} s {r.cell}" for r in slow)
    if lines:
        raise ValueError(f"{len(lines)} of {len(reruns)} cells say something else {spent}\n   " + "\n   ".join(lines))
    return f"{len(reruns)} cells say the same again {spent}"


def main(arguments):
    parser = parser_of_lessons("Run each cell of a lesson once more at its end, and tell which say something else.")
    parser.add_argument("--times", action="store_true", help="also the five cells that take longest")
    options = parser.parse_args(arguments)
    return for_each_lesson(parser, options.lessons, lambda path: report(path, options.times))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
