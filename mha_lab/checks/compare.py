"""Two results side by side: are they the same, and if not, what is the first thing to see?"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

RTOL, ATOL = 1e-3, 1e-5  # wide enough for single precision in any order of summation, too narrow for any known mistake
# What one number in half precision is rounded to, of its size. A result in it is a few roundings off, of its largest:
# measured on our solutions 9 at most, and no known mistake is nearer than 35.
ROUNDED, ROUNDINGS = {"bfloat16": 2**-8, "float16": 2**-11}, 12


def alike(yours: np.ndarray, other: np.ndarray, rtol: float = RTOL, dtype: str = "") -> bool:
    """Same shape, both boolean or both numbers, and equal up to rounding; NaN equals NaN. dtype: what yours was."""
    same_kind = (yours.dtype.kind == "b") == (other.dtype.kind == "b")
    return same_kind and yours.shape == other.shape and bool(close(yours, other, rtol, dtype).all())


def close(yours: np.ndarray, other: np.ndarray, rtol: float = RTOL, dtype: str = "") -> np.ndarray:
    """Which elements are equal up to rounding. In half precision a whole tensor has one step, that of its largest."""
    if yours.dtype.kind == "b" or other.dtype.kind == "b":
        return yours == other
    atol = ATOL if rtol >= RTOL else 0
    if dtype in ROUNDED and other.size:
        finite = np.abs(other[np.isfinite(other)])
        atol = max(atol, ROUNDINGS * ROUNDED[dtype] * float(finite.max(initial=0)))
    if dtype == "float32":
        rtol = max(rtol, 2**-22)  # a count as a float32
    with np.errstate(all="ignore"):
        return np.isclose(yours, other, rtol=rtol, atol=atol, equal_nan=True)


def difference(
    yours: np.ndarray, target: np.ndarray, axes: Sequence[str], rtol: float = RTOL, dtype: str = ""
) -> str | None:
    """How yours differs from the target in one sentence, or None. axes names the target's axes; dtype is what the
    learner's numbers were."""
    if target.dtype.kind == "b" and yours.dtype.kind != "b":
        kind = dtype or yours.dtype.name
        return f"yours holds numbers ({kind}) and True or False was asked for. Which comparison gives a boolean?"
    if target.dtype.kind != "b" and yours.dtype.kind == "b":
        return (
            "yours holds True and False, and numbers were asked for."
            if axes
            else f"yours is {bool(yours.flat[0])}, and a number was asked for."
        )
    if yours.shape != target.shape:
        return _shapes_differ(yours, target, axes)
    lost = np.argwhere(~np.isfinite(yours) & np.isfinite(target))
    if len(lost):
        first = yours[tuple(lost[0])]
        if first == -np.inf:
            many = int(((yours == -np.inf) & np.isfinite(target)).sum())
            return (
                f"yours has −∞ at {place(lost[0], axes)} ({many} of {yours.size} elements). "
                "Was it put there for a softmax that is still to come, or is it the log of a 0?"
            )
        value = "NaN" if np.isnan(first) else "infinity"
        return (
            f"yours has {value} at {place(lost[0], axes)} ({len(lost)} of {yours.size} elements). "
            "Where did a division by 0, a 0 · ∞, a softmax of nothing but −∞ or an exp of a large number come in?"
        )
    differs = np.argwhere(~close(yours, target, rtol, dtype))
    if not len(differs):
        return None
    mine, right = number_pair(yours[tuple(differs[0])], target[tuple(differs[0])])
    if not yours.ndim:
        return f"yours is {mine}, the target {right}."
    many = f"{len(differs)} of {yours.size} elements differ"
    shuffled = same_numbers(yours, target) and target.dtype.kind != "b"
    more = " All numbers of the target are there, and stand in other places." if shuffled else ""
    half = f" Yours is in {dtype}." if dtype in ROUNDED else ""
    return f"first difference at {place(differs[0], axes)}: yours is {mine}, the target {right} ({many}).{more}{half}"


def same_numbers(yours: np.ndarray, target: np.ndarray) -> bool:
    """Whether both hold the same numbers, wherever they stand; more than one, and not all alike."""
    if yours.size != target.size or target.size < 2 or not (np.isfinite(yours).all() and np.isfinite(target).all()):
        return False
    mine, right = np.sort(yours, axis=None), np.sort(target, axis=None)
    return right[0] != right[-1] and bool(close(mine, right).all())


def place(index: Sequence[int], axes: Sequence[str]) -> str:
    """An index in words: batch 0, head 1, token 2."""
    if tuple(axes) == ("i", "j"):  # the exercise writes [i, j], and its rows and columns are of one kind
        return f"[{index[0]}, {index[1]}]"
    return ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=True))


def number_pair(yours, target) -> tuple[str, str]:
    """Two unequal numbers, with as many digits as it takes to tell them apart."""
    if isinstance(target, (bool, np.bool_)):
        return str(bool(yours)), str(bool(target))
    if isinstance(target, np.integer):
        return f"{yours:,.9g}".replace("-", "−"), f"{target:,}".replace("-", "−")
    yours, target = yours + 0.0, target + 0.0  # no −0
    for digits in (3, 6, 9):
        mine, right = f"{yours:.{digits}f}", f"{target:.{digits}f}"
        if mine != right:
            break
    return mine.replace("-", "−"), right.replace("-", "−")


def _shapes_differ(yours: np.ndarray, target: np.ndarray, axes: Sequence[str]) -> str:
    both = f"yours has shape {yours.shape}, the target {target.shape}: ({', '.join(axes)})."
    if not axes:
        return f"yours has shape {yours.shape}, and one number was asked for."
    if yours.size == target.size and close(yours.ravel(), target.ravel()).all():
        both += " The numbers are right, in the right order."
    if yours.ndim != target.ndim:
        return f"{both} Yours has {yours.ndim} {'axis' if yours.ndim == 1 else 'axes'}, the target {target.ndim}."
    wrong = [i for i, (a, b) in enumerate(zip(yours.shape, target.shape)) if a != b]
    for order in permutations(wrong):
        if tuple(yours.shape[i] for i in order) == tuple(target.shape[i] for i in wrong):
            misplaced = " and ".join(axes[i] for i in wrong)
            return f"{both} The sizes are right and their order is not: where do {misplaced} belong?"
    first = wrong[0]
    return f"{both} Look at the axis {axes[first]}: {yours.shape[first]} instead of {target.shape[first]}."
