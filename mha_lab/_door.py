"""What every public function does first with what it was given: one sentence, with the number and the rule.

No torch in here, so that `cost` stays arithmetic.
"""

import math
import numbers
import operator
from typing import Any

LARGEST = 10**30
"""No count is larger, of anything: products of several such still fit into a float."""

MOST_LAYERS = 10_000
"""No model that we make has more layers."""


def whole(name: str, value: Any, at_least: int | None = 1) -> int:
    """A count as Python's own int, whose products never overflow as NumPy's do.

    Raises TypeError for what is not a whole number, ValueError for one that is too small or beyond `LARGEST`."""
    if type(value).__name__ == "SymInt":  # a size that torch.export leaves open
        return value
    try:
        if isinstance(value, bool):  # Python's True is 1, and nobody's count
            raise TypeError
        number = value if isinstance(value, int) else operator.index(value)
    except Exception:  # whatever an index of somebody's own raises
        raise TypeError(f"{name} is {told(value)}; it must be a whole number.") from None
    if at_least is not None and number < at_least:
        raise ValueError(f"{name}={_short(number)}: it must be at least {at_least}.")
    if abs(number) > LARGEST:
        raise ValueError(f"{name}={_short(number)}: no count is larger than 10**{len(str(LARGEST)) - 1}.")
    return number


def counts(least: int = 1, /, **values: Any) -> tuple[int, ...]:
    """Several counts by their names, each at least `least`, as `whole` gives them."""
    return tuple(whole(name, value, least) for name, value in values.items())


def seed(name: str, value: Any) -> int:
    """A random generator's seed. Raises TypeError or ValueError for what is none."""
    number = whole(name, value, at_least=None)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"{name}={_short(number)}: a seed has 64 bits.")
    return number


def layers(name: str, value: Any) -> int:
    """How many layers: none, or up to `MOST_LAYERS`, which are made one after the other."""
    number = whole(name, value, at_least=0)
    if number > MOST_LAYERS:
        raise ValueError(f"{name}={_short(number)}: it must be at most {MOST_LAYERS:,}.")
    return number


def several(name: str, values: Any, things: str) -> tuple:
    """What a list, a tuple or a generator gives. Raises TypeError, in words, for a single one or a string."""
    try:
        if isinstance(values, str):
            raise TypeError
        return tuple(values)
    except TypeError:
        raise TypeError(f"{name} is {told(values)}; it must be a list of {things}.") from None


def sizes(name: str, values: Any) -> list[int]:
    """A list of counts, each at least 1."""
    return [whole(f"one of {name}", value) for value in several(name, values, "counts")]


def instance(name: str, value: Any, kind: type, wanted: str) -> None:
    """Raises TypeError where the value is not of this kind, such as a list in a tensor's place."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {told(value)}; it must be {wanted}.")


def share(name: str, value: Any) -> None:
    """Raises ValueError where the value is not a probability below 1."""
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name}={_short(value)} is not a probability below 1.")


def finite(name: str, value: Any) -> float:
    """The value as a float. Raises ValueError where it is no finite number, or one that no float holds."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name}={_short(value)} is not a finite number, an int or a float.")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}={_short(value)} is larger than any finite float.") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}={_short(value)} is not a finite number.")
    return number


def divides(whole: int, parts: int, problem: str) -> int:
    """whole // parts where that comes out even; ValueError, with what would, where it does not."""
    if parts < 1:
        raise ValueError(f"{problem}: there must be at least 1.")
    rest = whole % parts
    if rest:
        raise ValueError(f"{problem}: {whole} / {parts} leaves {rest}; divisors of {whole}: {divisors(whole)}.")
    return whole // parts


def divisors(number: int) -> str:
    """What divides a number, in words. No more than 1,000 are tried, however large it is: above a million, … stands
    between those up to 1,000 and what they leave."""
    small = [d for d in range(1, min(math.isqrt(number), 1000) + 1) if number % d == 0]
    large = [number // d for d in reversed(small) if d * d != number]
    between = ["…"] if number > 1_000_000 else []
    return ", ".join(map(str, [*small, *between, *large]))


def told(value: Any) -> str:
    """A value in a few words: the float 2.5, the list [1, 2], a list of 9000, a Tensor of shape (2, 3)."""
    kind = type(value).__name__
    if value is None:
        return "None"
    if getattr(value, "shape", ()):
        return f"a {kind} of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) > 40:
        return f"a {kind} of {len(value)}"
    words = _repr(value)
    return f"the {kind} {words}" if len(words) <= 40 else f"a {kind}"


def _short(value):
    """What stands behind name=, however long it is."""
    words = " ".join(_repr(value).split())
    return words if len(words) <= 60 else f"{words[:30]}…"


def _repr(value):
    """What a value says of itself; Python writes no number of thousands of digits, and not everything has words."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} of many digits>" if isinstance(value, int) else f"<{type(value).__name__}>"
