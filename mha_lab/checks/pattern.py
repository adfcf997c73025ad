"""What all numbers of a wrong result have in common: one factor, one difference, one temperature of the softmax.

Such a sentence is a fact about every call, right whatever the learner did. What it means is left as a question.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np

RTOL = 1e-3
POWERS = {1: "{}", 0.5: "√{}", 2: "{}²", 1.5: "{}·√{}", -1: "1/{}", -0.5: "1/√{}", -2: "1/{}²", -1.5: "1/({}·√{})"}
# Factors that have a name of their own.
NAMED = {math.log(2): "ln 2", 1 / math.log(2): "1/ln 2", 2**0.5: "√2", 0.5**0.5: "1/√2", 1 / 3: "1/3", 2 / 3: "2/3"}

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # yours and the target, one pair a call
Sizes = Sequence[dict[str, float]]  # what a factor may be made of, by name, for every call


def regularity(pairs: Pairs, sizes: Sizes) -> str | None:
    """One sentence where yours is a constant times the target, or a constant more or less, in every call."""
    if not all(_comparable(*pair) for pair in pairs):
        return None
    counts = all(target.ndim == 0 and target.dtype.kind in "iu" for _, target in pairs)
    same = partial(_same, rtol=1e-9 if counts else RTOL)
    factors, steps = [_factor(*pair) for pair in pairs], [_step(*pair) for pair in pairs]
    subject = "Every number" if any(target.ndim for _, target in pairs) else "Yours"
    words = None
    if all(factor is not None for factor in factors):
        words = _factor_in_words(factors, sizes, subject, same)
    if words is None and all(step is not None for step in steps):
        words = _step_in_words(steps, sizes, subject, same)
    return words


def sharpness(pairs: Pairs, sizes: Sizes, mine: str = "weights") -> str | None:
    """One sentence where yours are the target's softmax weights with all scores larger or smaller by a factor."""
    if not all(_comparable(*pair) for pair in pairs):
        return None
    factors = [_temperature(*pair) for pair in pairs]
    if any(factor is None for factor in factors) or _same(factors, [1.0] * len(factors)):
        return None
    if _same(factors, [0.0] * len(factors)):
        return f"Your {mine} are all alike, whatever the scores are. Where do the scores get lost?"
    if _same(factors, factors[:1] * len(factors)):
        return (
            f"Your {mine} are what softmax makes of scores that are all {_number(factors[0])} times the right ones, "
            "in every call. What are the scores multiplied or divided by?"
        )
    word = _made_of(factors, sizes, _same)
    if word:
        return (
            f"Your {mine} are what softmax makes of scores that are all {word} times the right ones. "
            "By what should a score be divided?"
        )
    return (
        f"Your {mine} are what softmax makes of scores that are all one factor too large or too small, and the factor "
        f"is not the same in every call ({_two_values(factors)}). By what should a score be divided?"
    )


def _factor_in_words(factors: list[float], sizes: Sizes, subject: str, same: Callable) -> str | None:
    if same(factors, [-1.0] * len(factors)):
        return f"{subject} has the opposite sign of the target, in every call. Which sign is turned?"
    if same(factors, [1.0] * len(factors)):
        return None
    if same(factors, [0.0] * len(factors)):
        return f"{subject} is 0, in every call. What was it multiplied by?"
    if same(factors, factors[:1] * len(factors)):
        return f"{subject} is {_number(factors[0])} times the target, in every call. Where does this factor come in?"
    word = _made_of(factors, sizes, same)
    if word:
        return f"{subject} is {word} times the target ({_two_values(factors)}). Where does {word} come in?"
    if subject != "Yours":
        return (
            f"In each call every number is the same factor times the target: {_two_values(factors)}. What do these "
            "two calls differ in?"
        )
    return None


def _step_in_words(steps: list[float], sizes: Sizes, subject: str, same: Callable) -> str | None:
    if same(steps, [0.0] * len(steps)):
        return None
    if same(steps, steps[:1] * len(steps)):
        return f"{subject} is {_more_or_less(steps[0])} the target, in every call. What is counted or added there?"
    for name in sizes[0] if sizes else ():
        for times in (1, 2, 3, 4, 0.5):
            for sign in (1, -1):
                if same(steps, [sign * times * size[name] for size in sizes]):
                    many = name if times == 1 else f"{name} / 2" if times == 0.5 else f"{times}·{name}"
                    side = "more" if sign > 0 else "less"
                    return f"{subject} is {many} {side} than the target, in every call. What is counted there?"
    return None


def number_in_words(yours: float, target: float, unit: str = "") -> str:
    """Two whole numbers that differ: a factor where it tells something, else how many more or less."""
    if not math.isfinite(yours):
        return f"yours is {yours}, the target {target:,}{unit}."
    both = f"yours is {yours:,.12g}{unit}, the target {target:,}{unit}"
    ratio = yours / target
    step = _more_or_less(yours - target)
    if yours <= 0:
        return f"{both}."
    if ratio >= 1.5 and abs(ratio - round(ratio)) < 1e-9:
        return f"{both}: yours is {round(ratio):,} times the target."
    if abs(1 / ratio - round(1 / ratio)) < 1e-9 * round(1 / ratio) and ratio < 1:
        return f"{both}: yours is 1/{round(1 / ratio):,} of the target."
    if f"{ratio:.4g}" == "1":
        return f"{both}: yours is {step} the target."
    if 0.001 < ratio < 10_000:
        return f"{both}: yours is {step} the target, and {ratio:.4g} times the target."
    return f"{both}: yours is {ratio:.4g} times the target."


def _more_or_less(step: float) -> str:
    return f"{_number(abs(step))} {'more' if step > 0 else 'less'} than"


def _comparable(yours: np.ndarray, target: np.ndarray) -> bool:
    numbers = yours.dtype.kind != "b" and target.dtype.kind != "b"
    return numbers and yours.shape == target.shape and bool(np.isfinite(yours).all() and np.isfinite(target).all())


def _factor(yours: np.ndarray, target: np.ndarray) -> float | None:
    """The one number with which target has to be multiplied to give yours."""
    size = float((target.astype(float) ** 2).sum())
    if size == 0:
        return None
    factor = float((yours.astype(float) * target).sum()) / size
    wide = 1e-5 * max(1.0, abs(factor)) * float(np.abs(target).max())
    return factor if np.allclose(yours, factor * target, rtol=RTOL, atol=wide) else None


def _step(yours: np.ndarray, target: np.ndarray) -> float | None:
    """The one number that has to be added to target to give yours."""
    steps = yours.astype(float) - target
    return float(steps.flat[0]) if steps.size and np.allclose(steps, steps.flat[0], rtol=RTOL, atol=1e-5) else None


def _temperature(yours: np.ndarray, target: np.ndarray) -> float | None:
    """The one number with which the scores behind the target's rows have to be multiplied to give yours."""
    seen = target > 1e-12
    if yours.ndim < 1 or not ((yours > 0) == (target > 0)).all() or not np.allclose(yours.sum(-1), 1, atol=1e-3):
        return None
    with np.errstate(all="ignore"):
        mine, right = (_centred(np.log(np.where(seen, w.astype(float), 1)), seen) for w in (yours, target))
    size = float((right**2).sum())
    if size < 1e-6:
        return None
    factor = float((mine * right).sum()) / size
    scores = np.where(seen, factor * right, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return factor if np.allclose(yours, weights, rtol=1e-3, atol=1e-5) else None


def _centred(logs: np.ndarray, seen: np.ndarray) -> np.ndarray:
    count = np.maximum(seen.sum(-1, keepdims=True), 1)
    return np.where(seen, logs - (logs * seen).sum(-1, keepdims=True) / count, 0)


def _made_of(factors: list[float], sizes: Sizes, same: Callable) -> str | None:
    """√K where every call's factor is the root of its K; None where nothing fits, or where two things do."""
    if not sizes:
        return None
    found = []
    for name in sizes[0]:
        for power, words in POWERS.items():
            if same(factors, [size[name] ** power for size in sizes]):
                found.append(words.format(name, name))
    for one, other in combinations(sizes[0], 2) if not found else ():
        for a, b in ((one, other), (other, one)):
            for power, words in ((1, "{}/{}"), (0.5, "√({}/{})")):
                if same(factors, [(size[a] / size[b]) ** power for size in sizes]):
                    found.append(words.format(a, b))
    return found[0] if len(found) == 1 else None


def _same(some: Sequence[float], others: Sequence[float], rtol: float = RTOL) -> bool:
    return bool(np.allclose(some, others, rtol=rtol, atol=1e-6))


def _two_values(factors: list[float]) -> str:
    """The factor of the first call, and the next one that differs from it."""
    first = factors[0]
    for i, other in enumerate(factors):
        if not _same([other], [first]):
            return f"{_number(first)} in the first call, {_number(other)} in the {ORDINALS[i]}"
    return f"{_number(first)} in the first call"


ORDINALS = ("first", "second", "third", "fourth", "fifth")


def _number(value: float) -> str:
    if abs(value - round(value)) < 1e-6 * max(1, abs(value)):
        return f"{round(value):,}".replace("-", "−")
    name = next((name for known, name in NAMED.items() if math.isclose(value, known, rel_tol=2e-4)), None)
    number = f"{value:.3g}".replace("-", "−")
    return f"{number} ({name})" if name else number
