"""Runs the lessons again in place and tidies what is stored, so that the same code always gives the same file.

Usage: python tools/run_notebooks.py [--measure] [01 02 …]      (make notebooks; all lessons unless some are named)

Each lesson runs in a fresh kernel, in its own folder. Cells tagged nbval-ignore-output hold measurements, which differ
on each run: they keep their stored output while their source stays as it was, unless --measure asks for new ones.
A lesson that raises an error, or whose file is no notebook, is reported and left as it was; the others run.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import argparse
import asyncio
import importlib.util
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from mha_lab import _whole

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
    before = {cell.get("id"): cell for cell in stored.cells if cell.cell_type == "code" and cell.outputs}
    for cell in notebook.cells:
        old = before.get(cell.get("id"))
        if old and old.source == cell.source and MEASUREMENT in cell.metadata.get("tags", []):
            cell.outputs = old.outputs


def read(path):
    """The notebook in a file. Raises ValueError, in a sentence, where there is none in it."""
    content = path.read_bytes()
    try:
        notebook = nbformat.reads(content.decode(), as_version=4)
        if all(isinstance(cell.source, str) and cell.cell_type for cell in notebook.cells):
            return notebook
    except Exception:  # each way of being no notebook raises something else
        pass
    raise ValueError(f"{path.name} is no notebook: it is empty, cut short, or something else. Git has the one before.")


def execute(path, widget_state=False):
    """The lesson as a fresh kernel leaves it, with the state of its widgets in its metadata if that is wanted."""
    client = NotebookClient(
        read(path),
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=widget_state,
        extra_arguments=["--log-level=ERROR"],  # not its warning about a connection that never leaves this machine
    )
    return asyncio.run(interruptible(client))


async def interruptible(client):
    """What client.execute() does, but an interrupt ends it: nbclient by itself would take the kernel for dead and the
    lesson for failed, and the next one would begin."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def refuse(*_):
        raise NotImplementedError  # as on Windows: so nbclient leaves the signals alone

    def tell(loop, context):
        if not task.cancelling():  # what an interrupt leaves half done has nothing to tell
            loop.default_exception_handler(context)

    loop.add_signal_handler = refuse
    loop.set_exception_handler(tell)
    try:
        return await client.async_execute()
    except DeadKernelError:
        if task.cancelling():
            raise asyncio.CancelledError from None
        raise


def run(path, measure=False):
    """Execute and tidy one lesson; True if its file changed.

    Raises ValueError where somebody else changed the file meanwhile, and leaves it as it is."""
    before, stored = path.read_bytes(), read(path)
    notebook = execute(path)
    if not measure:
        keep_measurements(notebook, stored)
    content = (nbformat.writes(tidy(notebook)) + "\n").encode()
    if path.read_bytes() != before:
        raise ValueError(f"{path.name} was saved by somebody else while it ran: that is kept. Run it again.")
    if content != before:
        _whole.write(path, content)
    return content != before


@contextmanager
def own_settings():
    """The environment that a lesson runs in: no user's settings leave their traces in what is stored."""
    theirs = "MPLBACKEND", "COLUMNS", "LINES", "PYTHONOPTIMIZE", "PYTHONSTARTUP"
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    matplotlib = Path(importlib.util.find_spec("matplotlib").origin).parent
    environment["MATPLOTLIBRC"] = str(matplotlib / "mpl-data" / "matplotlibrc")
    # The kernel of this environment, even where the user has installed another one of the same name.
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    with tempfile.TemporaryDirectory(prefix="mha_lab-", ignore_cleanup_errors=True) as folder:
        # No start-up files of the user's, nothing passed so far, and no need of a home that can be written to.
        ours = "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MHA_LAB_HOME"
        environment |= {name: str(Path(folder) / name.lower()) for name in ours}
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(environment)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def parser_of_lessons(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("lessons", nargs="*", help="numbers or names to begin with; all lessons unless given")
    return parser


def for_each_lesson(parser, names, act):
    """Call act(path) on every lesson, or those that `names` begin, and print what it returns; at the end print which of
    them failed, and return how many."""
    paths = sorted(LESSONS.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            parser.error(f"no lesson begins with {name}; there are {', '.join(path.stem for path in paths) or 'none'}")
    chosen, failed = [path for path in paths if not names or path.name.startswith(tuple(names))], []
    with own_settings():
        for path in chosen:
            start = time.perf_counter()
            try:
                result = act(path)
            except KeyboardInterrupt:
                sys.exit(f"\nInterrupted in {path.name}: its file is as it was; those before it are done.")
            except Exception as error:
                result = f"FAILED\n{in_words(error)}"
                failed.append(path.name)
            print(f"{path.name}  {time.perf_counter() - start:.1f} s  {result}", flush=True)
    if failed:
        print(f"{len(failed)} of {len(chosen)} failed and were left as they were: {', '.join(failed)}", flush=True)
    return len(failed)


def in_words(error):
    """What stopped a lesson: a cell's own error as the kernel tells it, all else in a line."""
    if isinstance(error, (CellExecutionError, CellTimeoutError, DeadKernelError)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'its file'}: {error.strerror}."
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def main(arguments):
    parser = parser_of_lessons("Run the lessons again in place, ready to commit.")
    parser.add_argument("--measure", action="store_true", help="also store the measurements anew")
    options = parser.parse_args(arguments)
    return for_each_lesson(
        parser, options.lessons, lambda path: "changed" if run(path, options.measure) else "as it was"
    )


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
