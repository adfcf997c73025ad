"""Lessons run under nbval as they run in Jupyter, and without what belongs to the user: IPython's start-up files and
history, and what the user has passed and guessed so far. Then each of their cells runs again in the same kernel, and
must say the same (tools/run_again.py tells more of one that does not)."""

import os
import tempfile

from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

IPYTHON_DIR = tempfile.TemporaryDirectory(prefix="ipython-")
os.environ["IPYTHONDIR"] = IPYTHON_DIR.name
HOMES = tempfile.TemporaryDirectory(prefix="mha_lab-")
os.environ["MHA_LAB_HOME"] = HOMES.name

start_kernel = RunningKernel.__init__


def start_with_a_home_of_its_own(self, *arguments, **options):
    """Nobody has passed or guessed anything in another lesson, whichever ran before."""
    os.environ["MHA_LAB_HOME"] = tempfile.mkdtemp(dir=HOMES.name)
    start_kernel(self, *arguments, **options)


def execute_cell_input(self, cell_input, allow_stdin=None):
    """As nbval does it, but with history: IPython looks there for the closing ; that hides a cell's value."""
    return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = execute_cell_input
RunningKernel.__init__ = start_with_a_home_of_its_own


class CellAgain(IPyNbCell):
    """A cell once more, when all others have run: what it says is compared with what is stored, as the first time, and
    its pictures with those that it drew the first time."""

    def runtest(self):
        super().runtest()
        if pictures(self.test_outputs) != pictures(self.first.test_outputs):
            self.raise_cell_error("Run again, the cell draws another picture.")


def pictures(outputs):
    return [output.data["image/png"] for output in outputs or () if "image/png" in output.get("data", {})]


def cells_and_again(self):
    """nbval's items, and after them each cell that says the same each time."""
    cells = list(collect(self))
    yield from cells
    for first in cells:
        if first.options["check"] and first.cell.source.strip():
            again = CellAgain.from_parent(
                self, name=f"{first.name} again", cell_num=first.cell_num, cell=first.cell, options=first.options
            )
            again.first = first
            yield again


collect, IPyNbFile.collect = IPyNbFile.collect, cells_and_again
