"""What the explorers share: the picture beside the live view, colours, and checks at the door."""

import base64
import operator
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np
import traitlets

from mha_lab import _data, _door
from mha_lab._shown import plain
from mha_lab.widgets import _static
from mha_lab.widgets._life import Living

CIVIDIS = [
    [0, "#00224e"],
    [20, "#003070"],
    [23, "#013271"],
    [28, "#123570"],
    [39, "#263d6e"],
    [60, "#3f4c6c"],
    [97, "#62656f"],
    [134, "#828079"],
    [171, "#a69c74"],
    [204, "#c8b866"],
    [229, "#e4ce53"],
    [246, "#f7de3e"],
    [251, "#fde334"],
    [255, "#fee838"],
]
"""Matplotlib's cividis as straight pieces: of its 256 colours these are the corners (index, colour)."""

DIFFERENCE = [[0, "#542788"], [64, "#998ec3"], [128, "#f7f7f7"], [191, "#f1a340"], [255, "#b35806"]]
"""ColorBrewer's PuOr the other way round: below 0 purple, above it orange, as in every diverging map here."""

STATIC = _data.PACKAGE / "widgets/static"
"""Where the explorers' bundles lie: what frontend/build.js makes of frontend/src."""

MOST_TOKENS = 512  # a map then has half a pixel a cell


class Explorer(Living):
    """An anywidget that shows its picture where no kernel runs. A subclass says `picture()` and `__repr__()`."""

    _colours = traitlets.List(CIVIDIS).tag(sync=True)
    save_html = _static.save_html

    def picture(self) -> tuple[bytes, int]:
        """The present state as PNG, and the width in CSS pixels at which it is sharp on a fine screen."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        try:
            png, width = self.picture()
        except Exception as problem:  # an aid for pages without a kernel: the live view does without
            why = f"Its picture could not be drawn ({type(problem).__name__}: {problem})."
            return {**data, "text/plain": f"{data['text/plain']}\n{why}"}, metadata
        picture = {"image/png": base64.b64encode(png).decode()}
        return {**data, **picture}, {**metadata, "image/png": {"width": width}}


class OneOf(traitlets.Enum):
    """A choice of few values. traitlets.Enum's own error names a class and a trait, but not what to do."""

    def error(self, obj, value, error=None, info=None):
        *others, last = map(repr, self.values)
        raise traitlets.TraitError(f"{self.name}={value!r}: it must be {', '.join(others)} or {last}.")


class Whole(traitlets.Int):
    """A whole number, one of NumPy's too. True is none, though Python and a page's JSON would let it pass for 1."""

    info_text = "a whole number"

    def validate(self, obj, value):
        if not isinstance(value, bool) and hasattr(value, "__index__"):
            with suppress(TypeError):  # an array of several numbers has one too
                return operator.index(value)
        if self.name is None:  # within a list, whose own error says which
            self.error(obj, value)
        raise traitlets.TraitError(f"{self.name} is {_door.told(value)}; it must be a whole number.")


class Between(traitlets.Float):
    """A number from `low` to `high`; whatever is none is answered in one sentence, 10**400 and words too."""

    def __init__(self, default: float, low: float, high: float, unit: str = ""):
        super().__init__(default)
        self.low, self.high, self.unit = low, high, unit

    def validate(self, obj, value):
        try:
            number = _door.finite(self.name, value)
        except ValueError:
            self.error(obj, value)
        if not self.low <= number <= self.high:
            self.error(obj, value)
        return number

    def error(self, obj, value, error=None, info=None):
        ends = f"{self.low:,} and {self.high:,} {self.unit}".rstrip()
        raise traitlets.TraitError(f"{self.name}={_door._short(value)}: it must be a number between {ends}.")


def numbers(name: str, data, shape: str, dtype=np.float32) -> np.ndarray:
    """`data` (a tensor, an array, nested lists) as an array of as many dimensions as `shape` names, all finite.

    shape is such as "(N, K)", or "(N, K) or (H, N, K)" where two will do."""
    try:
        array = np.asarray(plain(data), dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise ValueError(f"{name} is not a block of numbers of shape {shape}: {problem}.") from None
    if array.ndim not in {one.count(",") + 1 for one in shape.split(" or ")}:
        raise ValueError(f"{name} has shape {array.shape}; it must be {shape}.")
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} holds {array[bad]} at {bad}: every number must be finite.")
    return np.ascontiguousarray(array)


def words(tokens: Sequence[str], n: int, what: str, *, name: str = "tokens", part: str = "row") -> list[str]:
    """`tokens` as a list of n strings, each of which names a `part` of `what`."""
    if isinstance(tokens, str):
        raise ValueError(f"{name} is one string; it must be a list of {n}: try {tokens.split()[:3]} …")
    if not isinstance(tokens, Iterable):
        raise ValueError(f"{name} is {_door.told(tokens)}; it must be a list of {n} words.")
    tokens = list(tokens)
    if len(tokens) != n:
        raise ValueError(f"there are {len(tokens)} {name} and {what} for {n}: each token needs its {part}.")
    if not 1 <= n <= MOST_TOKENS:
        raise ValueError(f"there are {n} tokens: an explorer shows 1 to {MOST_TOKENS}.")
    for token in tokens:
        if not isinstance(token, str):
            raise ValueError(f"the token {token!r} is {type(token).__name__}: every token must be a string.")
    return tokens


def allowed_cells(mask, shape: tuple[int, int]) -> np.ndarray | None:
    """`mask` as a boolean array of this shape (N, S), True = may attend; None stays None."""
    if mask is None:
        return None
    try:
        mask = np.asarray(plain(mask))
    except ValueError as problem:
        raise ValueError(f"mask is no array of True and False: {problem}.") from None
    if mask.dtype != bool:
        raise TypeError(f"mask has dtype {mask.dtype}; it must be boolean, True = may attend.")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape} and the maps {shape}: they must be equal.")
    return mask


# Letters that take no room, and those that turn the direction of what follows; as in frontend/src/shared/words.js.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|^[\u200c\u200d]+|[\u200c\u200d]+$"
)


def visible(word: str) -> str:
    """A word with what cannot be seen in it made visible: white space at its ends, line ends, letters without width."""
    word = word.replace("\n", "↵").replace("\t", "⇥")
    word = _UNSEEN.sub(lambda unseen: "".join(f"⟨{ord(letter):04X}⟩" for letter in unseen[0]), word)
    return re.sub(r"^\s+|\s+$", lambda space: "␣" * len(space[0]), word) or "∅"


def shown_words(tokens: Sequence[str]) -> list[str]:
    """Tokens as the explorers show them: visible, and a word that occurs again numbered (the₁ … the₂)."""
    tokens = [visible(token) for token in tokens]
    seen: dict[str, int] = {}
    shown = []
    for token in tokens:
        seen[token] = seen.get(token, 0) + 1
        shown.append(token + "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(seen[token])))
    return [token if seen[token] == 1 else numbered for token, numbered in zip(tokens, shown)]


def found(readings: Sequence[dict], sentence: str) -> dict:
    """The one with this sentence. Raises TraitError, in words, where there is none."""
    for reading in readings:
        if reading["sentence"] == sentence:
            return reading
    raise traitlets.TraitError(f"{sentence!r} is not among the {plural(len(readings), 'sentence')}; read() adds one.")


def plural(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
