"""Runs the lessons again in place and tidies what is stored, so that the same code always gives the same file.

Usage: python tools/run_notebooks.py [--measure] [01 02 …]      (make notebooks; all lessons unless some are named)

Each lesson runs in a fresh kernel, in its own folder. Cells tagged nbval-ignore-output hold measurements, which differ
on each run: they keep their stored output while their source stays as it was, unless --measure asks for new ones.
A lesson that raises an error is reported and left as it was.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
MEASUREMENT = "nbval-ignore-output"
WIDGET = "application/vnd.jupyter.widget-view+json"
CONTROLS = "(Controls, for a page with a kernel: run this cell.)"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_TIMEOUT = 120  # seconds, as in the tests


def tidy(notebook):
    """Take out of an executed notebook, in place, what differs between machines or means nothing without a kernel."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.metadata.pop("execution", None)  # times
        cell.outputs = merge_streams(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count  # a kept measurement may have had another
            shown = set(output.get("data", {}))
            if shown == {WIDGET, "text/plain"}:  # controls without a picture: their repr tells nobody anything
                output.data["text/plain"] = CONTROLS
            if shown - {WIDGET}:  # a widget view is dead without its kernel: its picture stays
                output.data.pop(WIDGET, None)
    return notebook


def merge_streams(outputs):
    """How the kernel cuts printed text into pieces is a matter of timing: pieces that follow each other become one."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and output.name == last.get("name"):
            last.text += output.text
        else:
            merged.append(output)
    return merged


def keep_measurements(notebook, stored):
    """Give measurement cells whose source is as stored the outputs that are stored with it."""
    before = {cell.id: cell for cell in stored.cells if cell.cell_type == "code" and cell.outputs}
    for cell in notebook.cells:
        old = before.get(cell.id)
        if old and old.source == cell.source and MEASUREMENT in cell.metadata.get("tags", []):
            cell.outputs = old.outputs


def execute(path, widget_state=False):
    """The lesson as a fresh kernel leaves it, with the state of its widgets in its metadata if that is wanted."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=widget_state,
        extra_arguments=["--log-level=ERROR"],  # not its warning about a connection that never leaves this machine
    )
    return client.execute()


def run(path, measure=False):
    """Execute and tidy one lesson; True if its file changed."""
    stored = nbformat.read(path, as_version=4)
    notebook = execute(path)
    if not measure:
        keep_measurements(notebook, stored)
    text = nbformat.writes(tidy(notebook)) + "\n"
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        path.write_text(text, encoding="utf-8")
    return changed


def parser_of_lessons(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("lessons", nargs="*", help="numbers or names to begin with; all lessons unless given")
    return parser


def for_each_lesson(parser, names, act):
    """Call act(path) on every lesson, or those that `names` begin; print what it returns, and count the failures."""
    paths = sorted(LESSONS.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            parser.error(f"no lesson begins with {name}; there are {', '.join(path.stem for path in paths)}")
    # The kernel of this environment, even where the user has installed another one of the same name.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    failed = 0
    for path in [path for path in paths if not names or path.name.startswith(tuple(names))]:
        start = time.perf_counter()
        try:
            result = act(path)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            result = f"FAILED\n{error}"
            failed += 1
        print(f"{path.name}  {time.perf_counter() - start:.1f} s  {result}", flush=True)
    return failed


def main(arguments):
    parser = parser_of_lessons("Run the lessons again in place, ready to commit.")
    parser.add_argument("--measure", action="store_true", help="also store the measurements anew")
    options = parser.parse_args(arguments)
    return for_each_lesson(
        parser, options.lessons, lambda path: "changed" if run(path, options.measure) else "as it was"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
