"""Lessons run under nbval as they run in Jupyter, and without the user's own IPython start-up files and history."""

import os
import tempfile

from nbval.kernel import RunningKernel

IPYTHON_DIR = tempfile.TemporaryDirectory(prefix="ipython-")
os.environ["IPYTHONDIR"] = IPYTHON_DIR.name


def execute_cell_input(self, cell_input, allow_stdin=None):
    """As nbval does it, but with history: IPython looks there for the closing ; that hides a cell's value."""
    return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = execute_cell_input
