"""AttentionStepper: how one query becomes one output, in five stages: q·k → scale → mask → softmax → Σ w·v."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
import traitlets

from mha_lab.attention import attention
from mha_lab.widgets._base import Explorer, allowed_cells, joined, numbers, plural, shown_words, words
from mha_lab.widgets._picture import LINE, MUTED, Page, weight_colour

MOST_TOKENS, MOST_WIDE = 32, 128


class AttentionStepper(Explorer):
    """One query row of attention, stage by stage, with every number beside its word.

        AttentionStepper(query, key, value, ["trophy", "suitcase", "it"], position=2, stage=1)

    Every state is a trait, to be set or observed from Python: position (the token that looks), stage (1 to 5: how much
    is uncovered), temperature (scores are divided by √K · temperature; 1 is attention as published), causal, and
    hovered (the key whose arithmetic is written out, -1 for the one with the largest weight).
    """

    _esm = joined("attention_stepper.js")
    _css = joined("attention_stepper.css")

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    stage = traitlets.Int(5).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    hovered = traitlets.Int(-1).tag(sync=True)
    d_head = traitlets.Int(1).tag(sync=True)
    d_value = traitlets.Int(1).tag(sync=True)
    _query = traitlets.Bytes().tag(sync=True)  # float32 (N, K)
    _key = traitlets.Bytes().tag(sync=True)
    _value = traitlets.Bytes().tag(sync=True)
    _mask = traitlets.Bytes().tag(sync=True)  # (N, N), 1 = may attend; empty when all may

    def __init__(
        self,
        query,
        key,
        value,
        tokens: Sequence[str],
        *,
        position: int = 0,
        stage: int = 5,
        temperature: float = 1.0,
        causal: bool = False,
        mask=None,
    ):
        """query and key (N, K), value (N, any width) of N tokens; mask (N, N) boolean, True = may attend.

        Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean."""
        query, key = numbers("query", query, "(N, K)"), numbers("key", key, "(N, K)")
        value = numbers("value", value, "(N, width)")
        if query.shape != key.shape:
            raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
        if len(value) != len(key):
            raise ValueError(f"there are {len(key)} keys and {len(value)} values: each key needs its value.")
        n = len(query)
        tokens = words(tokens, n, "rows of query, key and value")
        if n > MOST_TOKENS or max(query.shape[1], value.shape[1]) > MOST_WIDE or 0 in (query.shape[1], value.shape[1]):
            raise ValueError(
                f"{n} tokens of widths {query.shape[1]} and {value.shape[1]}: the stepper writes out "
                f"1 to {MOST_TOKENS} tokens of 1 to {MOST_WIDE} numbers."
            )
        mask = allowed_cells(mask, n)
        super().__init__(
            tokens=tokens,
            d_head=query.shape[1],
            d_value=value.shape[1],
            _query=query.tobytes(),
            _key=key.tobytes(),
            _value=value.tobytes(),
            _mask=b"" if mask is None else mask.astype(np.uint8).tobytes(),
            position=position,
            stage=stage,
            temperature=temperature,
            causal=causal,
        )

    @property
    def stages(self) -> dict[str, np.ndarray]:
        """What the browser shows, computed here: scores, scaled, allowed and weights (N,), terms (N, width), output."""
        n, row = len(self.tokens), self.position
        sent = self._query, self._key, self._value
        query, key, value = (np.frombuffer(data, np.float32).reshape(n, -1).astype(float) for data in sent)
        mask = np.frombuffer(self._mask or bytes([1] * n * n), np.uint8).reshape(n, n)
        allowed = mask[row].astype(bool)
        if self.causal:
            allowed = allowed & (np.arange(n) <= row)
        scale = 1 / (sqrt(self.d_head) * self.temperature)
        tensors = (torch.from_numpy(data) for data in (query[row : row + 1], key, value))
        output, weights = attention(*tensors, scale=scale, mask=torch.from_numpy(allowed[None]))
        scores = key @ query[row]
        return {
            "scores": scores,
            "scaled": scores * scale,
            "allowed": allowed,
            "weights": weights[0].numpy(),
            "terms": weights[0, :, None].numpy() * value,
            "output": output[0].numpy(),
        }

    def picture(self) -> tuple[bytes, int]:
        """The stages uncovered so far as PNG, and its width in CSS pixels."""
        return _draw(self)

    def __repr__(self):
        looking = self.tokens[self.position]
        return f"AttentionStepper({plural(len(self.tokens), 'token')}, d_head {self.d_head}; {looking!r} looks)"

    @traitlets.validate("position")
    def _position_exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.tokens):
            raise traitlets.TraitError(f"position={proposal['value']}: the tokens are 0 to {len(self.tokens) - 1}.")
        return proposal["value"]

    @traitlets.validate("stage")
    def _stage_exists(self, proposal):
        if not 1 <= proposal["value"] <= 5:
            raise traitlets.TraitError(f"stage={proposal['value']}: the stages are 1 to 5.")
        return proposal["value"]

    @traitlets.validate("temperature")
    def _temperature_is_positive(self, proposal):
        if not 1e-3 <= proposal["value"] <= 1e3:
            raise traitlets.TraitError(f"temperature={proposal['value']}: it must lie between 0.001 and 1000.")
        return proposal["value"]


def _draw(stepper: AttentionStepper) -> tuple[bytes, int]:
    now, n, stage = stepper.stages, len(stepper.tokens), stepper.stage
    tokens = shown_words(stepper.tokens)
    factor = f"√{stepper.d_head}" if stepper.temperature == 1 else f"(√{stepper.d_head} · {stepper.temperature:g})"
    titles = "1  q·k", f"2  / {factor}", "3  mask", "4  softmax", "5  weight · v"
    lefts, widths = (100, 290, 480, 560, 750), (170, 170, 60, 170, 170)
    row_height, top = 30, 76
    page = Page(930, top + (n + 1) * row_height + 10)
    page.text(0, 14, f"{tokens[stepper.position]} looks: from q·k to the output", 14, bold=True)
    for number, (title, x) in enumerate(zip(titles, lefts), 1):
        page.text(x, 44, title, 13, bold=number <= stage, colour=MUTED if number > stage else "#333333")
    for number, name in (1, "scores"), (2, "scaled"), (4, "weights"):
        reach = 1.0 if name == "weights" else np.abs(now[name]).max() or 1.0
        low = 0.0 if name == "weights" else -reach
        x, width = lefts[number - 1], widths[number - 1] - 60
        if number > stage:
            continue
        page.text(x, 62, _short(low), 10, colour=MUTED)
        page.text(x + width, 62, _short(reach), 10, anchor="rm", colour=MUTED)
        for j, value in enumerate(now[name]):
            y = top + j * row_height + 5
            zero, end = x + width * (0 - low) / (reach - low), x + width * (value - low) / (reach - low)
            if name == "weights" and not now["allowed"][j]:
                page.hatched(x, y, width, 18)
            colour = weight_colour(value) if name == "weights" else "#D5801F" if value > 0 else "#7D6BB3"
            if abs(end - zero) >= 0.5:
                page.box(min(zero, end), y, abs(end - zero), 18, colour)
            page.box(zero, y - 2, 0.5, 22, LINE)
            page.text(x + width + 52, y + 9, f"{value:.3f}" if name == "weights" else _short(value), 12, anchor="rm")
    for j, token in enumerate(tokens):
        y = top + j * row_height + 14
        page.text(90, y, page.clipped(token, 13, 88), 13, anchor="rm")
        if stage >= 3 and now["allowed"][j]:
            page.text(lefts[2] + 14, y, "✓", 13)
        elif stage >= 3:
            page.hatched(lefts[2], y - 10, 44, 20)
            page.text(lefts[2] + 22, y, "−∞", 13, anchor="mm")
        if stage >= 5:
            page.text(lefts[4], y, _vector(now["terms"][j]), 12, colour="#228833")
    if stage >= 5:
        y = top + n * row_height
        page.box(0, y, 930, 0.5, LINE)
        page.text(90, y + 16, "output", 13, anchor="rm", bold=True)
        page.text(lefts[4], y + 16, _vector(now["output"]), 12, colour="#AA3377", bold=True)
    return page.png(), page.width


def _short(number: float) -> str:
    """In few characters, with a true minus sign."""
    return "0" if abs(number) < 5e-7 else f"{number:.3g}".replace("-", "−")


def _vector(data: np.ndarray) -> str:
    shown = "  ".join(_short(float(number)) for number in data[:4])
    return shown if len(data) <= 4 else f"{shown}  …"
