"""What can be read off the learner's own code: is it a stub, does the signature fit, which line raised."""

import dis
import inspect
import linecache
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import CodeType

import numpy as np
import torch

from mha_lab.checks.card import Code

_OURS = os.path.join(Path(__file__).parents[1], "")
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
    code = getattr(_innermost(function), "__code__", None)
    if code is None or code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return False
    body = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP", "CACHE")]
    returns_none = all(step.opname in ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE") for step in body)
    if returns_none:
        return all(step.argval is None for step in body)
    return code.co_names == ("NotImplementedError",) and body[-1].opname == "RAISE_VARARGS"


def speaks_numpy(function: Callable) -> bool:
    """Whether the code names numpy, itself or in a function within."""
    waiting = [getattr(_innermost(function), "__code__", None)]
    while waiting:
        code = waiting.pop()
        if code is not None:
            if {"np", "numpy"} & {*code.co_names, *code.co_freevars, *code.co_varnames}:
                return True
            waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return False


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
        if isinstance(function, type):
            return f"You handed in the class `{name}`. Can you hand in an object of it, `{name}()`, or a function?"
        takes = ", ".join(_as_written(signature)) or "no arguments"
        return f"The check calls `{name}({', '.join(names)})`; yours takes {takes}. Do the arguments match the task?"
    return None


def other_order(function: Callable, names: Sequence[str]) -> str | None:
    """One sentence where the arguments have the task's names in another order, else None."""
    try:
        theirs = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    if theirs == list(names) or sorted(theirs) != sorted(names):
        return None
    return (
        f"The check hands the arguments over in the order ({', '.join(names)}), and yours takes them as "
        f"({', '.join(theirs)}): which one gets which?"
    )


def what_was_raised(error: Exception) -> tuple[str, Code]:
    """Where the learner's code raised (" in line 3 of your cell", or nothing), and that line with what was said."""
    try:
        text = str(error)
    except Exception:  # an error of the learner's own that cannot say what it is
        text = ""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text).strip()  # an address differs from run to run
    text = text.splitlines()[0] if text else ""
    where, line = _last_line_of_the_learner(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return where, Code(f"{line}\n{said}" if line else said)


def line_of(error: Exception | None) -> int:
    """How far the learner's function got: the number of its own line that led to the error; 0 where there is none."""
    frames = [] if error is None else traceback.walk_tb(error.__traceback__)
    return next((number for frame, number in frames if is_the_learners(frame.f_code.co_filename)), 0)


def is_the_learners(file: str) -> bool:
    """Whether code in this file was written by the learner, and not by us or a library."""
    return not file.startswith(("<frozen", "<__array_function__", *_NOT_THE_LEARNERS))


def _innermost(function: Callable) -> Callable:
    """What a decorator, a partial or an object with a __call__ of its own is about."""
    for _ in range(20):  # a chain of wrappers that leads back to itself has no inside
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            break
    if isinstance(function, torch.nn.Module):
        return type(function).forward
    return function if hasattr(function, "__code__") or isinstance(function, type) else type(function).__call__


def _as_written(signature: inspect.Signature) -> Iterator[str]:
    """The names of the parameters with the stars that go with them: x, *, num_heads."""
    starred = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
            yield f"*{name}"
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name


def _last_line_of_the_learner(error: Exception) -> tuple[str, str]:
    """(" in line 3 of your cell", "3  scores = query @ keys"), or two empty strings."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if not is_the_learners(file):
            continue
        source = linecache.getline(file, number, frame.f_globals).strip()
        place = Path(file).name if os.path.exists(file) else "your cell"
        return f" in line {number} of {place}", f"{number}  {source}" if source else ""
    return "", ""


def helpers_of_the_lab(function: Callable, *given) -> list[str]:
    """The functions and classes of mha_lab, checks apart, that a call goes through, by name in order of their calls."""
    seen = {}

    def look(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("mha_lab") and not module.startswith("mha_lab.checks"):
            caller = frame.f_back.f_globals.get("__name__", "") if frame.f_back else ""
            if not caller.startswith("mha_lab.") or caller.startswith("mha_lab.checks"):
                seen[frame.f_code.co_qualname.split(".")[0]] = True  # the class of a method

    if sys.getprofile() is not None:  # somebody else is watching
        return []
    sys.setprofile(look)
    try:
        function(*given)
    except Exception:  # it ran before; whatever it does not like about being watched is no news for the learner
        return []
    finally:
        sys.setprofile(None)
    return [name for name in seen if name.isidentifier() and not name.startswith("_")]


def is_the_labs(function: Callable, solution: Callable) -> bool:
    """Whether this is our solution, or was written in mha_lab: the function itself, or what it is wrapped around."""
    inner = _innermost(function)
    code = getattr(inner, "__code__", None)
    if code is None:  # a class of mha_lab, say
        return str(getattr(inner, "__module__", "")).split(".")[0] == "mha_lab"
    return code == solution.__code__ or code.co_filename.startswith(_OURS)


def work_of_the_lab(function: Callable, solution: CodeType, *given) -> tuple[bool, list] | None:
    """(whether the code of our solution ran, what each function of mha_lab returned to the learner's code) of one call;
    None where it cannot be watched."""
    ran, returned = [], []

    def look(frame, event, value):
        if frame.f_code is solution:
            ran.append(True)
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        if event == "return" and frame.f_code.co_filename.startswith(_OURS) and not caller.startswith(_OURS):
            returned.append(value)

    if sys.getprofile() is not None:
        return None
    sys.setprofile(look)
    try:
        function(*given)
    except Exception:
        return None
    finally:
        sys.setprofile(None)
    return bool(ran), returned
