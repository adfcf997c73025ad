"""The first import of every tool: an interrupt while the others load, which takes seconds, is told in one line.

Usage: python tools/_interrupt.py SCRIPT [ARGUMENT …]    runs a script that says nothing of an interrupt: whoever
called it does.

Standard library only, and Python 3.6 can read it, as tools/set_up.py, which imports it, asks.
"""

import os
import sys


def is_interrupt(error):
    """Whether this is an interrupt, or what a library that was loading made of one."""
    while isinstance(error, (ImportError, SystemError)):
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)


def in_one_line(kind, error, trace):
    """Takes the place of sys.excepthook: everything but an interrupt is shown as ever."""
    if not is_interrupt(error):
        sys.__excepthook__(kind, error, trace)
    elif not runs_another:
        print("\nInterrupted.", file=sys.stderr)


started = os.path.realpath(getattr(sys.modules["__main__"], "__file__", None) or os.curdir)
runs_another = __name__ == "__main__"
if os.path.dirname(started) == os.path.dirname(os.path.realpath(__file__)):  # and not where tests import a tool
    sys.excepthook = in_one_line

if runs_another:
    import runpy

    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
