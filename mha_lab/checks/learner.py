"""What can be read off the learner's own code: is it a stub, does it loop, which library, which line raised."""

import dis
import inspect
import linecache
import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

import numpy as np
import torch

from mha_lab.checks.card import Code

# Code in these places is ours or a library's. The learner's last line is the deepest one outside them.
_NOT_THE_LEARNERS = tuple(
    os.path.join(folder, "")
    for folder in (
        Path(__file__).parents[1],
        *(os.path.dirname(module.__file__) for module in (np, torch)),
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    )
)


def is_stub(function: Callable) -> bool:
    """Whether the body is only `...`, `pass`, a docstring or `raise NotImplementedError`. Nothing is run."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    body = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP", "CACHE")]
    returns_none = all(step.opname in ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE") for step in body)
    if returns_none:
        return all(step.argval is None for step in body)
    return code.co_names == ("NotImplementedError",) and body[-1].opname == "RAISE_VARARGS"


def loop_line(function: Callable) -> int | None:
    """The line of the first `for`, `while` or comprehension, as counted in the learner's cell or file."""
    for code in _codes(function):
        line = None
        for step in dis.get_instructions(code):
            line = step.positions.lineno or line
            if step.opname == "FOR_ITER" or step.opname.startswith("JUMP_BACKWARD"):
                return line
    return None


def prefers_numpy(function: Callable) -> bool:
    """Whether the code speaks of numpy and not of torch."""
    names = {name for code in _codes(function) for name in code.co_names}
    return bool(names & {"np", "numpy"}) and not names & {"torch", "F", "nn"}


def signature_problem(function: Callable, names: list[str]) -> str | None:
    """One sentence where the function cannot be called with so many arguments, else None."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions tell nobody
        return None
    try:
        signature.bind(*names)
    except TypeError:
        name = getattr(function, "__name__", "your function")
        takes = ", ".join(signature.parameters) or "no arguments"
        return f"The check calls `{name}({', '.join(names)})`; yours takes {takes}. Do the arguments match the task?"
    return None


def what_was_raised(error: Exception) -> tuple[str, Code]:
    """Where the learner's code raised (" in line 3 of your cell", or nothing), and that line with what was said."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error)).strip()  # an address differs from run to run
    text = text.splitlines()[0] if text else ""
    where, line = _last_line_of_the_learner(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return where, Code(f"{line}\n{said}" if line else said)


def _codes(function: Callable) -> Iterator[CodeType]:
    waiting = [getattr(function, "__code__", None)]
    while waiting:
        code = waiting.pop()
        if code is not None:
            yield code
            waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _last_line_of_the_learner(error: Exception) -> tuple[str, str]:
    """(" in line 3 of your cell", "3  scores = query @ keys"), or two empty strings."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if file.startswith(("<frozen", "<__array_function__")) or file.startswith(_NOT_THE_LEARNERS):
            continue
        source = linecache.getline(file, number, frame.f_globals).strip()
        place = Path(file).name if os.path.exists(file) else "your cell"
        return f" in line {number} of {place}", f"{number}  {source}" if source else ""
    return "", ""
