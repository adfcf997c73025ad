"""Lessons run under nbval as they run in Jupyter, and without what belongs to the user: IPython's start-up files and
history, and what the user has passed and guessed so far."""

import os
import tempfile

from nbval.kernel import RunningKernel

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
