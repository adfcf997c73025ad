"""Running a function on the cases: on tensors first, on arrays where that does not lead on, on the same ground."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mha_lab.checks import learner
from mha_lab.checks.returned import as_parts


@dataclass
class Outcome:
    """One call: what came back as arrays (None where it is not readable as such), or what was raised.

    dtypes  what the numbers were before they became arrays, as the learner knows them: "bfloat16", "uint8"
    """

    parts: tuple[np.ndarray, ...] | None = None
    returned: Any = None
    error: Exception | None = None
    changed: Sequence[str] = ()
    dtypes: tuple[str, ...] = ()
    in_numpy: bool = False


@contextlib.contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Nothing is printed and nobody is warned; what would have been printed is given."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield printed


@contextlib.contextmanager
def plain_ground() -> Iterator[None]:
    """CPU, float32, gradients on, no autocast: whatever the notebook has set; all of it is put back afterwards."""
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))  # which turns gradients on as well
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="__array")  # numpy's, of tensors: code for arrays meets them first
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def on_plain_ground(function: Callable) -> Callable:
    """The function, run on plain ground."""

    def run(*given):
        with plain_ground():
            return function(*given)

    return run


def outcome(function: Callable, case: tuple, names: Sequence[str], parts: Sequence, in_numpy: bool = False) -> Outcome:
    """One call with copies of the arguments. parts holds the axes of each thing that is asked for."""
    given = [copied(argument, in_numpy) for argument in case]
    try:
        returned = function(*given)
    except Exception as error:  # whatever a learner's code raises is news for the learner
        return Outcome(error=error, in_numpy=in_numpy)
    found, dtypes = as_parts(returned, parts)
    changed = [name for name, was, now in zip(names, case, given, strict=True) if _changed(was, now)]
    return Outcome(found, returned, None, changed, dtypes, in_numpy)


def outcomes(function: Callable, cases: list[tuple], names: Sequence[str], parts: Sequence, right: Callable):
    """The learner's outcomes that are judged. right says whether a list of outcomes has the right numbers.

    Tensors come first, as in the notebook. Arrays are tried where tensors do not lead to the right numbers, quietly:
    what is printed there is shown only if arrays are what the function is made for."""
    on_tensors = [outcome(function, case, names, parts) for case in cases]
    if not any(isinstance(argument, torch.Tensor) for argument in cases[0]) or right(on_tensors):
        return on_tensors
    if not any(each.error for each in on_tensors) and not learner.speaks_numpy(function):
        return on_tensors  # it is made for tensors: that a method of the same name does something else is no matter
    with quietly() as printed:
        on_arrays = [outcome(function, case, names, parts, in_numpy=True) for case in cases]
    if not right(on_arrays) and not _made_for_arrays(on_tensors, on_arrays):
        return on_tensors
    print(printed.getvalue(), end="")
    return on_arrays


def all_changed(outcomes: list[Outcome]) -> str:
    """The inputs that came back changed in any call: "input `x`", or "inputs `x` and `mask`"."""
    names = list(dict.fromkeys(f"`{name}`" for each in outcomes for name in each.changed))
    return "" if not names else f"{'inputs' if len(names) > 1 else 'input'} {' and '.join(names)}"


def _made_for_arrays(on_tensors: list[Outcome], on_arrays: list[Outcome]) -> bool:
    """Whether the code is numpy's, though its numbers are wrong: no call ran on tensors, and arrays got further."""
    if not all(each.error is not None for each in on_tensors):
        return False
    if any(each.error is None for each in on_arrays):
        return True
    # Both raise. The tensors' error is told, but where it only says that a tensor is not an array.
    if not isinstance(on_tensors[0].error, (AttributeError, TypeError)):
        return False
    return learner.line_of(on_arrays[0].error) > learner.line_of(on_tensors[0].error)


def copied(argument: Any, in_numpy: bool) -> Any:
    """A copy of an argument, to be written into; a tensor as an array where that is asked for."""
    if not isinstance(argument, torch.Tensor):
        return argument
    return argument.numpy().copy() if in_numpy else argument.clone()


def _changed(was: Any, now: Any) -> bool:
    return isinstance(was, torch.Tensor) and not torch.equal(was, torch.as_tensor(now).detach())
