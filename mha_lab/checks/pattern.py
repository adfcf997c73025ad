"""What all numbers of a wrong result have in common: one factor, or one difference.

Such a sentence is a fact about every call, right whatever the learner did. What it means is left as a question.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np

RTOL = 1e-3
POWERS = {1: "{}", 0.5: "√{}", 2: "{}²", 1.5: "{}·√{}", -1: "1/{}", -0.5: "1/√{}", -2: "1/{}²", -1.5: "1/({}·√{})"}
TWO_SIZES = {
    "{0}/{1}": lambda a, b: a / b,
    "{1}/{0}": lambda a, b: b / a,
    "√({0}/{1})": lambda a, b: (a / b) ** 0.5,
    "√({1}/{0})": lambda a, b: (b / a) ** 0.5,
    "{0}·{1}": lambda a, b: a * b,
    "1/({0}·{1})": lambda a, b: 1 / (a * b),
}
# Factors that have a name of their own.
NAMED = {math.log(2): "ln 2", 1 / math.log(2): "1/ln 2", 2**0.5: "√2", 0.5**0.5: "1/√2", 1 / 3: "1/3", 2 / 3: "2/3"}

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # yours and the target, one pair a call
Sizes = Sequence[dict[str, float]]  # what a factor may be made of, by name, for every call


def regularity(pairs: Pairs, sizes: Sizes) -> str | None:
    """One sentence where yours is a constant times the target, or a constant more or less, in every call."""
    if not all(comparable(*pair) for pair in pairs):
        return None
    counts = all(target.ndim == 0 and target.dtype.kind in "iu" for _, target in pairs)
    same = partial(same_values, rtol=1e-9 if counts else RTOL)
    factors, steps = [_factor(*pair) for pair in pairs], [_step(*pair) for pair in pairs]
    subject = "Every number" if any(target.ndim for _, target in pairs) else "Yours"
    words = _constant_in_words(pairs, subject)
    if words:
        return words
    if all(factor is not None for factor in factors):
        words = _factor_in_words(factors, sizes, subject, same)
    if words is None and all(step is not None for step in steps):
        small = min(_largest(target) for _, target in pairs)
        words = _step_in_words(steps, sizes, subject, lambda a, b: same(a, b) and np.allclose(a, b, 0, _slack(small)))
    return words


def _constant_in_words(pairs: Pairs, subject: str) -> str | None:
    """One sentence where yours is one number, other than 0, in every call."""
    if not all(yours.size for yours, _ in pairs):
        return None
    first = float(pairs[0][0].flat[0])
    if first == 0 or not all(same_values(yours.ravel(), [first] * yours.size) for yours, _ in pairs):
        return None
    if all(same_values(target.ravel(), [float(pairs[0][1].flat[0])] * target.size) for _, target in pairs):
        return None  # the target is one number too
    return f"{subject} is {number(first)} in every call, whatever it is given. Where do the arguments come in?"


def _factor_in_words(factors: list[float], sizes: Sizes, subject: str, same: Callable) -> str | None:
    if same(factors, [-1.0] * len(factors)):
        return f"{subject} has the opposite sign of the target, in every call. Which sign is turned?"
    if same(factors, [1.0] * len(factors)):
        return None
    if not any(factors):
        return f"{subject} is 0, in every call. Where does it get lost?"
    if same(factors, factors[:1] * len(factors)):
        return f"{subject} is {number(factors[0])} times the target, in every call. Where does this factor come in?"
    word = made_of(factors, sizes, same)
    if word:
        return f"{subject} is {word} times the target ({two_values(factors)}). Where does {word} come in?"
    if subject != "Yours":
        return (
            f"In each call every number is the same factor times the target: {two_values(factors)}. What do these "
            "two calls differ in?"
        )
    return None


def _step_in_words(steps: list[float], sizes: Sizes, subject: str, same: Callable) -> str | None:
    if not any(abs(step) > 1e-6 for step in steps):
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
        return f"{both}.".replace("-", "−")
    if ratio >= 1.5 and abs(ratio - round(ratio)) < 1e-9:
        return f"{both}: yours is {round(ratio):,} times the target."
    if abs(1 / ratio - round(1 / ratio)) < 1e-9 * round(1 / ratio) and ratio < 1:
        return f"{both}: yours is 1/{round(1 / ratio):,} of the target."
    if f"{ratio:.3g}" == "1":
        return f"{both}: yours is {step} the target."
    if 0.001 < ratio < 10_000:
        return f"{both}: yours is {step} the target, and {ratio:.4g} times the target."
    return f"{both}: yours is {ratio:.4g} times the target."


def _more_or_less(step: float) -> str:
    return f"{number(abs(step))} {'more' if step > 0 else 'less'} than"


def comparable(yours: np.ndarray, target: np.ndarray) -> bool:
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
    if not steps.size:
        return None
    first = float(steps.flat[0])
    slack = _slack(min(abs(first), _largest(target)))
    return first if np.allclose(steps, first, rtol=0, atol=slack) else None


def _largest(target: np.ndarray) -> float:
    return float(np.abs(target).max(initial=0))


def _slack(size: float) -> float:
    """How far two steps may lie apart and still be one. Beside a huge step the targets themselves would vanish."""
    return 1e-5 + RTOL * size


def made_of(factors: list[float], sizes: Sizes, same: Callable) -> str | None:
    """√K where every call's factor is the root of its K; None where nothing fits, or where two things do."""
    if not sizes:
        return None
    found = []
    sizes = without_zeros(sizes)
    for name in sizes[0]:
        for power, words in POWERS.items():
            if same(factors, [size[name] ** power for size in sizes]):
                found.append(words.format(name, name))
    for one, other in combinations(sizes[0], 2) if not found else ():
        for words, value in TWO_SIZES.items():
            if same(factors, [value(size[one], size[other]) for size in sizes]):
                found.append(words.format(one, other))
    for name in sizes[0] if not found else ():
        for power in (1, 0.5, -1, -0.5):  # a number that was written in, in place of a size
            constants = [factor / size[name] ** power for factor, size in zip(factors, sizes, strict=True)]
            if same(constants, constants[:1] * len(constants)):
                found.append(f"{number(constants[0])} · {POWERS[power].format(name)}")
    return found[0] if len(found) == 1 else None


def without_zeros(sizes: Sizes) -> Sizes:
    """The sizes that no call has as 0, such as the number of head 0 or of old tokens: nothing is divided by those."""
    kept = [name for name in sizes[0] if all(size[name] for size in sizes)]
    return [{name: size[name] for name in kept} for size in sizes]


def same_values(some: Sequence[float], others: Sequence[float], rtol: float = RTOL) -> bool:
    return bool(np.allclose(some, others, rtol=rtol, atol=1e-12))


def two_values(factors: list[float]) -> str:
    """The factor of the first call, and the next one that differs from it."""
    first = factors[0]
    for i, other in enumerate(factors):
        if not same_values([other], [first]):
            return f"{number(first)} in the first call, {number(other)} in the {ORDINALS[i]}"
    return f"{number(first)} in the first call"


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def number(value: float) -> str:
    if abs(value - round(value)) < 1e-6 * max(1, abs(value)):
        return f"{round(value):,}".replace("-", "−")
    name = next((name for known, name in NAMED.items() if math.isclose(value, known, rel_tol=2e-4)), None)
    number = f"{value:.3g}".replace("-", "−")
    return f"{number} ({name})" if name else number
