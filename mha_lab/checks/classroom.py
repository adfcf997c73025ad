"""Class mode: solutions and second hints are withheld until the lecturer opens them, and our own code earns no points.

MHA_LAB_CLASS=1 sets it, or `checks.class_mode()` in a notebook's first cell. MHA_LAB_OPENED says what is open: numbers
of lessons ("01 02"), or "all", or a file that holds such a line. It is read each time, so that a lecturer who writes
into that file opens lessons for everybody at once.
"""

import os
import sys
from pathlib import Path

MODE, OPENED = "MHA_LAB_CLASS", "MHA_LAB_OPENED"
LATER = "The solution is there when your lecturer opens it."


class Withheld(RuntimeError):
    """Asked for in a class, and not open yet."""


def class_mode() -> None:
    """Withhold solutions and second hints in this kernel, and give no points for the lab's own code."""
    os.environ[MODE] = "1"


def on() -> bool:
    """Whether this kernel is in class mode."""
    return os.environ.get(MODE, "").strip() not in ("", "0")


def withheld(lesson: str) -> bool:
    """Whether the solutions and second hints of this lesson, such as "02", are withheld at this moment."""
    if not on():
        return False
    opened = os.environ.get(OPENED, "").strip()
    if os.sep in opened:
        try:
            opened = Path(opened).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # the lecturer has not written it yet
            opened = ""
    return not {"all", lesson} & {*opened.replace(",", " ").split()}


def asked_from_outside() -> bool:
    """Whether the code that asks, two calls above, is neither the lab's nor a library's helper of the lab's."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == "dataclasses":
        frame = frame.f_back
    return frame is None or frame.f_globals.get("__name__", "").split(".")[0] != "mha_lab"
