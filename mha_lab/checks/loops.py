"""Does a loop over heads run? Counted in what runs, for 2 heads and for 4, whatever the code looks like."""

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mha_lab.checks import learner
from mha_lab.checks.run import quietly

PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "mul", "addcmul", "linear", "convolution"}
NUMPY_PRODUCTS = {"matmul", "multiply", "vecdot", "dot", "einsum", "tensordot", "inner", "vdot", "outer"}


def loop_over_heads(function: Callable, few: tuple, many: tuple, in_numpy: bool) -> str | None:
    """A sentence where there are more products for many heads than for few, with the line that makes them.

    few and many are arguments that differ in the number of heads alone. Code of which no product is seen, because it
    leaves tensors and arrays behind, is judged by the steps of Python it takes."""
    counts = [_counted(_count_products, function, case, in_numpy) for case in (few, many)]
    if counts[0] is None or counts[1] is None:
        return None
    if not counts[0]:
        counts = [_counted(_count_steps, function, case, in_numpy) or Counter() for case in (few, many)]
    before, after = counts
    if after.total() <= before.total():
        return None
    line = max(after, key=lambda each: after[each] - before[each])
    where = f"line {line} runs again for each head" if line else "a loop runs over the heads"
    return (
        f"The numbers are right, and {where}: from 2 heads to 4 it does more and more products, one "
        "after another. Which one operation serves all heads at once?"
    )


def _counted(count: Callable, function: Callable, case: tuple, in_numpy: bool) -> Counter | None:
    given = [_as_given(argument, in_numpy) for argument in case]
    with quietly():
        try:
            return count(function, given)
        except Exception:  # a function that cannot be watched is not accused
            return None


def _as_given(argument, in_numpy: bool):
    if not isinstance(argument, torch.Tensor):
        return argument
    return argument.numpy().copy().view(_Watched) if in_numpy else argument.clone()


def _learners_line() -> int:
    """The line of the learner's code that is running, 0 where none is."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not _count_products.__code__:
        if learner.is_the_learners(frame.f_code.co_filename):
            return frame.f_lineno
        frame = frame.f_back
    return 0


_seen: Counter = Counter()  # of the arrays that are being watched; arrays have no place to keep it


def _count_products(function: Callable, given: list) -> Counter:
    """Products of two tensors or arrays, by the line that makes them."""
    _seen.clear()
    with _Watch():
        function(*given)
    return Counter(_seen)


class _Watch(TorchDispatchMode):
    """Sees every operation of torch, whoever calls it: a helper, a compiled function, a vmap, a map."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        several = sum(isinstance(each, torch.Tensor) and each.numel() > 1 for each in args) > 1
        if several and operation.overloadpacket.__name__.rstrip("_") in PRODUCTS:
            _seen[_learners_line()] += 1
        return operation(*args, **(kwargs or {}))


class _Watched(np.ndarray):
    """An array that notes the products it takes part in."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if ufunc.__name__ in NUMPY_PRODUCTS and all(np.size(each) > 1 for each in inputs):
            _seen[_learners_line()] += 1
        if out is not None:
            kwargs["out"] = tuple(_plain(each) for each in out)
        return _again_watched(getattr(ufunc, method)(*map(_plain, inputs), **kwargs))

    def __array_function__(self, function, types, args, kwargs):
        if function.__name__ in NUMPY_PRODUCTS:
            _seen[_learners_line()] += 1
            return _again_watched(function(*map(_plain, args), **kwargs))
        return super().__array_function__(function, types, args, kwargs)

    def dot(self, other, out=None):
        return np.dot(self, other)


def _plain(value):
    return value.view(np.ndarray) if isinstance(value, _Watched) else value


def _again_watched(value):
    return value.view(_Watched) if isinstance(value, np.ndarray) else value


def _count_steps(function: Callable, given: list) -> Counter:
    """Steps of Python in the learner's code, by line."""
    steps, before = Counter(), sys.gettrace()
    if before is not None and not callable(before):  # a tracer that could not be put back
        return steps

    def step(frame, event, _):
        if not learner.is_the_learners(frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps[frame.f_lineno] += 1
        return step

    sys.settrace(step)
    try:
        function(*given)
    finally:
        sys.settrace(before)
    return steps
