"""What a grader calls: an exercise by its name, judged in class mode and with the cases of the class key.

The exercises are those that were imported, whatever a notebook has put in their place since.
"""

import os
from typing import Any

from mha_lab import checks
from mha_lab.checks import class_key, classroom
from mha_lab.checks.card import Result

_BY_NAME = {task.__name__: task for task in checks._TASKS}


def hidden(exercise: str, *answer: Any) -> Result:
    """The result of an answer on our cases and on those of the class key; the lab's own code earns nothing.

    Raises KeyError for an exercise that there is not, and ValueError where no class key is set: a hidden test without
    one would try what every student can read."""
    if not class_key.key():
        raise ValueError(f"No class key is set: {class_key.NAME} must hold it, or name the file that does.")
    before = os.environ.get(classroom.MODE)
    os.environ[classroom.MODE] = "1"
    try:
        return _BY_NAME[exercise](*answer)
    finally:
        os.environ.pop(classroom.MODE) if before is None else os.environ.update({classroom.MODE: before})
