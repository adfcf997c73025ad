"""Two results side by side: are they the same, and if not, what is the first thing to see?"""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import torch

RTOL, ATOL = 1e-3, 1e-5  # wide enough for single precision in any order of summation, too narrow for any known mistake
PLAIN = (str, int, float)


def as_array(value: Any) -> np.ndarray | None:
    """A tensor, array, number or nested list as an array of booleans or of numbers; None for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.numpy() if value.dtype in (torch.bool, torch.float32) else value.double().numpy()
    if value is None or value is ...:
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return array if array.dtype.kind in "biuf" else None


def as_parts(returned: Any, count: int) -> tuple[np.ndarray, ...] | None:
    """What a function returned as `count` arrays, or None where it is something else."""
    if count == 1:
        array = as_array(returned)
        return None if array is None else (array,)
    if not isinstance(returned, (tuple, list)) or len(returned) != count:
        return None
    arrays = tuple(as_array(part) for part in returned)
    return None if any(array is None for array in arrays) else arrays


def alike(yours: np.ndarray, other: np.ndarray, rtol: float = RTOL) -> bool:
    """Same shape, both boolean or both numbers, and equal up to rounding; NaN equals NaN."""
    same_kind = (yours.dtype.kind == "b") == (other.dtype.kind == "b")
    return same_kind and yours.shape == other.shape and bool(_close(yours, other, rtol).all())


def difference(yours: np.ndarray, target: np.ndarray, axes: Sequence[str], rtol: float = RTOL) -> str | None:
    """How yours differs from the target in one sentence, or None. axes names the target's axes."""
    if target.dtype.kind == "b" and yours.dtype.kind != "b":
        return f"yours holds numbers ({yours.dtype}) and True or False was asked for. Which comparison gives a boolean?"
    if target.dtype.kind != "b" and yours.dtype.kind == "b":
        return "yours holds True and False, and numbers were asked for."
    if yours.shape != target.shape:
        return _shapes_differ(yours.shape, target.shape, axes)
    lost = np.argwhere(~np.isfinite(yours) & np.isfinite(target))
    if len(lost):
        value = "NaN" if np.isnan(yours[tuple(lost[0])]) else "infinity"
        return (
            f"yours has {value} at {place(lost[0], axes)} ({len(lost)} of {yours.size} elements). "
            "Where did a division by 0, a 0 · ∞ or an exp of a large number come in?"
        )
    differs = np.argwhere(~_close(yours, target, rtol))
    if not len(differs):
        return None
    mine, right = number_pair(yours[tuple(differs[0])], target[tuple(differs[0])])
    if not yours.ndim:
        return f"yours is {mine}, the target {right}."
    many = f"{len(differs)} of {yours.size} elements differ"
    return f"first difference at {place(differs[0], axes)}: yours is {mine}, the target {right} ({many})."


def place(index: Sequence[int], axes: Sequence[str]) -> str:
    """An index in words: batch 0, head 1, token 2."""
    return ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=True))


def number_pair(yours, target) -> tuple[str, str]:
    """Two unequal numbers, with as many digits as it takes to tell them apart."""
    if isinstance(target, (bool, np.bool_)):
        return str(bool(yours)), str(bool(target))
    for digits in (3, 6, 9):
        mine, right = f"{yours:.{digits}f}", f"{target:.{digits}f}"
        if mine != right:
            break
    return mine.replace("-", "−"), right.replace("-", "−")


def a_thing(value: Any) -> str:
    """What a value is, in words without an address."""
    if value is None:
        return "None"
    kind = f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{kind} of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list) and (len(value) > 4 or not all(isinstance(v, PLAIN) for v in value)):
        return f"{kind} of {len(value)}"
    if isinstance(value, (*PLAIN, tuple, list)):
        return f"the {type(value).__name__} {value!r}"
    return kind


def _shapes_differ(yours: tuple, target: tuple, axes: Sequence[str]) -> str:
    both = f"yours has shape {yours}, the target {target}: ({', '.join(axes)})."
    if len(yours) != len(target):
        return f"{both} Yours has {len(yours)} {'axis' if len(yours) == 1 else 'axes'}, the target {len(target)}."
    wrong = [i for i, (a, b) in enumerate(zip(yours, target)) if a != b]
    for order in permutations(wrong):
        if tuple(yours[i] for i in order) == tuple(target[i] for i in wrong):
            misplaced = " and ".join(axes[i] for i in wrong)
            return f"{both} The sizes are right and their order is not: where do {misplaced} belong?"
    return f"{both} Look at the axis {axes[wrong[0]]}: {yours[wrong[0]]} instead of {target[wrong[0]]}."


def _close(yours: np.ndarray, other: np.ndarray, rtol: float) -> np.ndarray:
    if yours.dtype.kind == "b":
        return yours == other
    return np.isclose(yours, other, rtol=rtol, atol=ATOL, equal_nan=True)
