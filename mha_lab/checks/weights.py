"""What a wrong map of attention weights shows: is it a map of weights at all, and if so, of which scores?

Each sentence is a fact about every call, right whatever the learner did. What it means is left as a question.
"""

from collections.abc import Sequence

import numpy as np

from mha_lab.checks.compare import place
from mha_lab.checks.pattern import Pairs, Sizes, comparable, made_of, number, same_values, two_values


def about_weights(pairs: Pairs, sizes: Sizes, axes: Sequence[str]) -> str | None:
    """The first thing that is wrong with yours as attention weights, in one sentence; pairs of yours and target."""
    if not all(comparable(*pair) for pair in pairs):
        return None
    return _no_shares(pairs, axes) or _hidden_keys(pairs, axes) or sharpness(pairs, sizes)


def _no_shares(pairs: Pairs, axes: Sequence[str]) -> str | None:
    negative = next((yours for yours, _ in pairs if (yours < -1e-6).any()), None)
    if negative is not None:
        return (
            f"Some of your weights are negative, the first is {number(float(negative[negative < -1e-6][0]))}. What "
            "makes a weight out of any score, so that none is below 0?"
        )
    sums = [yours.sum(axis=-1) for yours, _ in pairs]
    if all(np.allclose(each, 1, atol=1e-3) for each in sums):
        return None
    for i, axis in enumerate(axes[:-1]):
        if all(np.allclose(yours.sum(axis=i), 1, atol=1e-3) for yours, _ in pairs):
            return f"Your weights sum to 1 over the axis {axis}, and not over {axes[-1]}: who shares out what?"
    first = next(each for each in sums if not np.allclose(each, 1, atol=1e-3))
    where = np.argwhere(~np.isclose(first, 1, atol=1e-3))[0]
    return (
        f"Your weights do not sum to 1 over the axis {axes[-1]}: at {place(where, axes[:-1])} they sum to "
        f"{number(float(first[tuple(where)]))}. What shares out exactly 1, and is it the last step?"
    )


def _hidden_keys(pairs: Pairs, axes: Sequence[str]) -> str | None:
    for yours, target in pairs:
        seen = np.argwhere((target == 0) & (yours > 1e-4))
        if len(seen):
            return (
                f"Keys that are hidden get weight, the first {number(float(yours[tuple(seen[0])]))} at "
                f"{place(seen[0], axes)}. Which score does softmax turn into 0?"
            )
    return None


def sharpness(pairs: Pairs, sizes: Sizes) -> str | None:
    """One sentence where yours are the target's softmax weights with all scores larger or smaller by a factor."""
    factors = [_temperature(*pair) for pair in pairs]
    if any(factor is None for factor in factors):
        return None
    told = [i for i, factor in enumerate(factors) if np.isfinite(factor)]
    factors, sizes = [factors[i] for i in told], [sizes[i] for i in told]
    if not told or same_values(factors, [1.0] * len(factors)):
        return None
    if max(map(abs, factors)) < 1e-6:
        return "Your weights are all alike, whatever the scores are. Where do the scores get lost?"
    if same_values(factors, factors[:1] * len(factors)):
        return (
            f"Your weights are what softmax makes of scores that are all {number(factors[0])} times the right ones, "
            "in every call. What are the scores multiplied or divided by?"
        )
    word = made_of(factors, sizes, same_values)
    if word:
        return (
            f"Your weights are what softmax makes of scores that are all {word} times the right ones. "
            "By what should a score be divided?"
        )
    return (
        f"Your weights are what softmax makes of scores that are all one factor too large or too small, and the factor "
        f"is not the same in every call ({two_values(factors)}). By what should a score be divided?"
    )


def _temperature(yours: np.ndarray, target: np.ndarray) -> float | None:
    """The one number with which the scores behind the target's rows have to be multiplied to give yours."""
    seen = target > 1e-12
    if yours.ndim < 1 or not ((yours > 0) == (target > 0)).all() or not np.allclose(yours.sum(-1), 1, atol=1e-3):
        return None
    with np.errstate(all="ignore"):
        mine, right = (_centred(np.log(np.where(seen, w.astype(float), 1)), seen) for w in (yours, target))
    size = float((right**2).sum())
    if size < 1e-6:  # rows of one key, or of keys alike: no factor shows
        return np.nan if np.allclose(yours, target, rtol=1e-3, atol=1e-5) else None
    factor = float((mine * right).sum()) / size
    scores = np.where(seen, factor * right, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return factor if np.allclose(yours, weights, rtol=1e-3, atol=1e-5) else None


def _centred(logs: np.ndarray, seen: np.ndarray) -> np.ndarray:
    count = np.maximum(seen.sum(-1, keepdims=True), 1)
    return np.where(seen, logs - (logs * seen).sum(-1, keepdims=True) / count, 0)
