"""A recording of attention at the door of HeadExplorer: checked, and made into what is sent to the page."""

import zlib
from typing import NamedTuple

import numpy as np

from mha_lab._shown import plain
from mha_lab.widgets._base import allowed_cells, numbers, words

DEFLATED = 256**2  # cells; larger maps are sent deflated: of 512 tokens, random ones are half as many bytes
SHAPE = "(layers, H, N, S)"


class Reading(NamedTuple):
    """A recording that was checked: N tokens look at S keys, which are the tokens themselves without a context.

    allowed   (N, S) boolean, True = may attend, or None where every token may look at all
    weights   (layers, H, N, S) float32"""

    sentence: str
    tokens: list[str]
    keys: list[str]
    allowed: np.ndarray | None
    weights: np.ndarray

    @property
    def model(self) -> tuple[int, int]:
        """(layers, heads)."""
        return self.weights.shape[:2]


def checked(recording, mask=None) -> Reading:
    """What recording.sentence, .tokens, .weights and, where it has them, .context and .mask say.

    Raises ValueError, in words with the remedy, for what attention weights cannot be; TypeError for a mask that is not
    boolean."""
    missing = [name for name in ("sentence", "tokens", "weights") if not hasattr(recording, name)]
    if missing:
        raise ValueError(
            f"{type(recording).__name__} has no .{missing[0]}: a recording has .sentence, .tokens, .weights."
        )
    weights, context = _maps(recording.weights), getattr(recording, "context", None)
    n, s = weights.shape[-2:]
    if 0 in weights.shape or (context is None and n != s):
        raise ValueError(
            f"weights have shape {weights.shape}; they must be (layers, H, N, N), or {SHAPE} where the "
            "recording has a .context of S words that are looked at."
        )
    tokens = words(recording.tokens, n, "weights")
    keys = tokens if context is None else words(context, s, "weights", name="context words", part="column")
    allowed = allowed_cells(getattr(recording, "mask", None) if mask is None else mask, (n, s))
    _compare(weights, allowed)
    return Reading(str(recording.sentence), tokens, keys, allowed, weights)


def same_model(reading: Reading, model: tuple[int, int], other: str = "the first recording") -> None:
    """Raises ValueError where the recording has other numbers of layers or heads."""
    if reading.model != model:
        raise ValueError(
            f"{reading.sentence!r} has (layers, heads) {reading.model} and {other} {model}: "
            "one explorer shows one model."
        )


def packed(reading: Reading) -> dict:
    """A recording as it is sent. The bytes of a long sentence are deflated: by their frequencies and runs alone, as the
    browser waits for it."""
    sent = in_bytes(reading.weights)
    if reading.weights[0, 0].size > DEFLATED:
        deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
        sent = deflate.compress(sent) + deflate.flush()
    mask = b"" if reading.allowed is None else reading.allowed.astype(np.uint8).tobytes()
    context = {} if reading.keys is reading.tokens else {"context": reading.keys}
    return {"sentence": reading.sentence, "tokens": reading.tokens, **context, "weights": sent, "mask": mask}


def in_bytes(weights: np.ndarray) -> bytes:
    """A byte a weight, which is the square of byte / 255.

    So its error is at most sqrt(weight) / 255: below 0.004 for any weight, and smaller where weights are small, which
    show too when [CLS] is hidden or the colours are stretched. (With even steps, all below 0.002 would be lost.)"""
    return (np.sqrt(weights.clip(0, 1)) * 255).round().astype(np.uint8).tobytes()


def _maps(given) -> np.ndarray:
    """Weights (layers, H, N, S). A batch of one is taken too, as the models of transformers give it: a tuple of
    (1, H, N, S), one for each layer."""
    given = plain(given)
    if given is None or (isinstance(given, list) and any(layer is None for layer in given)):
        raise ValueError(
            "weights is None: the model kept none. Models of transformers give them when they are loaded with "
            'attn_implementation="eager" and called with output_attentions=True.'
        )
    weights = numbers("weights", given, f"(H, N, S) or {SHAPE} or (layers, batch, H, N, S)")
    if weights.ndim == 3:
        raise ValueError(
            f"weights have shape {weights.shape}, (H, N, S): the maps of one layer are shown as weights[None]."
        )
    if weights.ndim == 4:
        return weights
    if weights.shape[1] != 1:
        raise ValueError(
            f"weights have shape {weights.shape}, (layers, batch, H, N, S) with a batch of {weights.shape[1]}: a "
            "recording is of one sentence, such as [layer[0] for layer in weights]."
        )
    return weights[:, 0]


def _compare(weights, allowed):
    """Raises ValueError where rows are not attention, or a masked cell has weight."""
    sums, smallest = weights.sum(axis=-1), weights.min(axis=-1)
    expected = 1.0 if allowed is None else allowed.any(axis=-1)
    wrong = np.argwhere((np.abs(sums - expected) > 0.01) | (smallest < 0))
    if len(wrong):
        told = [row for row in wrong if sums[tuple(row)] != 0]  # dropout may empty a row too: the others tell it
        raise ValueError(_not_attention((told or wrong)[0], sums, smallest, allowed))
    if allowed is not None and weights[..., ~allowed].max(initial=0.0) > 0.001:
        raise ValueError(
            f"a masked cell has weight {weights[..., ~allowed].max():.3g}, not 0: in the mask, True = may attend."
        )


def _not_attention(where, sums, smallest, allowed) -> str:
    """What is wrong with this row of weights, and where it usually comes from."""
    layer, head, row = where
    total, least = sums[layer, head, row], smallest[layer, head, row]
    if least < 0:
        cause = "Scores become weights by softmax(dim=-1)."
    elif total == 0:
        cause = "A query that may attend to nothing, such as padding, is shown with mask=, where True = may attend."
    elif allowed is not None and not allowed[row].any():
        cause = "In the mask, True = may attend, and this row has none."
    else:
        cause = "Dropout leaves such rows: call .eval() on the model before it reads."
    return (
        f"layer {layer}, head {head}, row {row} is not attention: its smallest weight is {least:.3g} and its sum "
        f"{total:.3g}. Weights lie from 0 to 1, and rows sum to 1. {cause}"
    )
