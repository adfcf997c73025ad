"""HeadSwitches: a model's heads as switches, and what it predicts with some of them off."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import torch
import traitlets

from mha_lab import _door
from mha_lab.widgets._base import STATIC, Explorer, Whole, plural, shown_words
from mha_lab.widgets._picture import INK, MUTED, Page

MOST_HEADS, MOST_PREDICTIONS = 1024, 40
MOST_ALONE = 64  # heads of which each is switched off alone beforehand …
PATIENCE = 5.0  # … if that takes no more seconds
NOW, BEFORE = "#AA3377", "#BBBBBB"
LINE_HEIGHT = 30  # of a prediction in the picture

Head = tuple[int, int]
Predictions = Mapping[str, float] | Mapping[str, Mapping[str, float]]


class HeadSwitches(Explorer):
    """Heads of a model are switched off, and its predictions move: shown beside those with all heads on.

        def predict(head_mask):  # float32 (num_layers, num_heads): 1 is on, 0 is off
            gate = head_mask[0].repeat_interleave(layer.d_head)  # the heads lie side by side where W^O reads them
            with layer.out_proj.register_forward_pre_hook(lambda _, heads: heads[0] * gate):
                return dict(zip(classes, classify(layer(x)).softmax(-1).tolist()))

        HeadSwitches(predict, num_layers=1, num_heads=4)

    predict runs here, in the kernel, and its answers are kept: the same heads must give the same predictions. Those
    with all heads on and with each head alone off are computed at once, so that a page without a kernel has them too.

    Every state is a trait: off, the heads that are off as [layer, head] pairs, to be set or observed from Python;
    predictions, what predict gave for them (empty where it failed); and message, what went wrong.
    """

    _esm = STATIC / "head_switches.js"
    _css = STATIC / "head_switches.css"

    fixed = "num_layers", "num_heads"

    num_layers = Whole(1).tag(sync=True)
    num_heads = Whole(1).tag(sync=True)
    off = traitlets.List().tag(sync=True)
    predictions = traitlets.Dict()
    message = traitlets.Unicode().tag(sync=True)
    can_predict = traitlets.Bool(True, read_only=True).tag(sync=True)  # a saved page has no kernel to do it
    _labels = traitlets.List().tag(sync=True)  # [layer, head, words]
    _answers = traitlets.List().tag(sync=True)  # [off, rows] known from the beginning; a row is [example, name, number]
    _answer = traitlets.List().tag(sync=True)  # [off, rows] of the latest state

    def __init__(
        self,
        predict: Callable[[torch.Tensor], Predictions],
        *,
        num_layers: int,
        num_heads: int,
        labels: Mapping[Head, str] | None = None,
        off: Sequence[Head] = (),
        precompute: bool = True,
    ):
        """predict     takes a mask (num_layers, num_heads), returns {name: number}, or {example: {name: number}}.
        labels      words for some heads, {(layer, head): "looks one back"}.
        precompute  switch each head off alone beforehand: for up to 64 heads, if that takes no more than 5 seconds.

        Raises ValueError for sizes and answers that cannot be shown, and whatever predict raises with all heads on."""
        if not callable(predict):
            raise TypeError(f"predict is {_door.told(predict)}; it must be a function of a mask (layers, heads).")
        sizes = ("num_layers", num_layers), ("num_heads", num_heads)
        num_layers, num_heads = (_door.whole(name, size, at_least=None) for name, size in sizes)
        if num_layers < 1 or num_heads < 1 or num_layers * num_heads > MOST_HEADS:
            raise ValueError(f"{num_layers} layers of {num_heads} heads: it shows 1 to {MOST_HEADS:,} heads in all.")
        self._predict, self._known = predict, {}
        self._thread, self._loop = threading.current_thread(), None
        with suppress(RuntimeError):  # in a script there is none
            self._loop = asyncio.get_running_loop()
        super().__init__(num_layers=num_layers, num_heads=num_heads)
        _door.instance("labels", {} if labels is None else labels, Mapping, "words by (layer, head)")
        off = _door.several("off", off, "(layer, head) pairs")
        self._labels = [[*self._checked([head])[0], str(words)] for head, words in (labels or {}).items()]
        start = time.perf_counter()
        self._rows([])
        each, heads = time.perf_counter() - start, num_layers * num_heads
        if precompute and heads <= MOST_ALONE and each * heads <= PATIENCE:
            for i in range(heads):
                self._rows([list(divmod(i, num_heads))])
        self._answers = [[[list(head) for head in key], rows] for key, rows in self._known.items()]
        self.off = [list(_door.several("one of off", head, "two numbers, (layer, head)")) for head in off]
        self._show()
        self.observe(self._changed, "off")

    def _changed(self, _):
        """Predict in the thread of the cell that made this. A message may come on another one (a subshell) while a cell
        runs the same model: it must not switch heads off under it. When its turn comes, the newest state counts."""
        if self._loop and self._loop.is_running() and threading.current_thread() is not self._thread:
            self._loop.call_soon_threadsafe(self._show)
        else:
            self._show()

    def _show(self):
        """Predict for the present heads; what predict raises becomes the message."""
        try:
            rows, message = self._rows(self.off), ""
        except (Exception, KeyboardInterrupt, SystemExit) as problem:  # on a click, an exit would take the kernel along
            rows, message = [], f"predict failed with {type(problem).__name__}: {problem}"
        with self.hold_sync():
            self._answer, self.message = [self.off, rows], message
        self.predictions = _nested(rows)

    def _rows(self, off: list[list[int]]) -> list[list]:
        """What predict gives with these heads off: rows [example, name, number], the example "" where there is one."""
        key = tuple(map(tuple, off))
        if key not in self._known:
            mask = torch.ones(self.num_layers, self.num_heads)
            for layer, head in off:
                mask[layer, head] = 0.0
            self._known[key] = _checked_rows(self._predict(mask))
        return self._known[key]

    @traitlets.validate("off")
    def _off_exists(self, proposal):
        return self._checked(proposal["value"])

    def _checked(self, heads) -> list[list[int]]:
        """Heads in order, each once; TraitError for one that the model does not have."""
        for head in heads:
            if not (isinstance(head, list | tuple) and len(head) == 2 and all(isinstance(i, int) for i in head)):
                raise traitlets.TraitError(f"{head!r} is no head: a head is a pair (layer, head).")
            if not (0 <= head[0] < self.num_layers and 0 <= head[1] < self.num_heads):
                raise traitlets.TraitError(
                    f"there is no head {head[1]} in layer {head[0]}: layers are 0 to {self.num_layers - 1}, "
                    f"heads 0 to {self.num_heads - 1}."
                )
        return [list(head) for head in sorted({tuple(head) for head in heads})]

    def picture(self) -> tuple[bytes, int]:
        """The switches and the predictions as PNG, and its width in CSS pixels."""
        return _draw(self)

    def __repr__(self):
        size = f"{plural(self.num_layers, 'layer')} of {plural(self.num_heads, 'head')}"
        return f"HeadSwitches({size}, {len(self.off)} off; {plural(len(self._known[()]), 'prediction')})"


def _checked_rows(answer: Predictions) -> list[list]:
    """An answer of predict as rows [example, name, number]; ValueError where it cannot be shown."""
    if not isinstance(answer, Mapping) or not answer:
        given = "nothing" if answer is None or answer == {} else type(answer).__name__
        raise ValueError(f"predict returned {given}: it must return {{name: number}} or {{example: {{name: number}}}}.")
    examples = answer if all(isinstance(inner, Mapping) for inner in answer.values()) else {"": answer}
    rows = []
    for example, named in examples.items():
        for name, value in named.items():
            try:
                number = float(value.item() if hasattr(value, "item") else value)
            except (TypeError, ValueError, RuntimeError):
                raise ValueError(
                    f"predict returned {type(value).__name__} for {name!r}: it must be one number."
                ) from None
            if not math.isfinite(number):
                raise ValueError(f"predict returned {number} for {name!r}: it must be a finite number.")
            rows.append([str(example), str(name), number])
    if not 1 <= len(rows) <= MOST_PREDICTIONS:
        raise ValueError(f"predict returned {len(rows)} numbers: the explorer shows 1 to {MOST_PREDICTIONS}.")
    return rows


def _nested(rows):
    """Rows as predict gave them: {name: number}, or {example: {name: number}}."""
    examples = {}
    for example, name, number in rows:
        examples.setdefault(example, {})[name] = number
    return examples[""] if list(examples) == [""] else examples


# ------------------------------------------------------------------------------------------------------------- picture


def _draw(switches: HeadSwitches) -> tuple[bytes, int]:
    side = 30 if switches.num_heads <= 16 else max(6, 480 // switches.num_heads)
    left, top = 64 + switches.num_heads * side + 40, 46
    lines = _lines(switches)
    page = Page(left + 540, top + max(switches.num_layers * side, len(lines) * LINE_HEIGHT) + 16)
    page.text(0, 14, page.clipped(_headline(switches), 15, 0.85 * page.width), 15, bold=True)
    off = {tuple(head) for head in switches.off}
    for layer in range(switches.num_layers):
        if side >= 12 or switches.num_layers <= 12:
            page.text(0, top + (layer + 0.5) * side, f"layer {layer}", 12)
        for head in range(switches.num_heads):
            _switch(page, 64 + head * side, top + layer * side, side, head, (layer, head) not in off)
    _predictions(page, left, top, lines)
    return page.finished()


def _switch(page, x, y, side, head, on):
    """Filled with its number where it is on; hollow, and the number struck out, where it is off."""
    page.box(x + 1, y + 1, side - 2, side - 2, "#3D6A99" if on else None, None if on else MUTED)
    if side >= 16:
        page.text(x + side / 2, y + side / 2, str(head), 12, anchor="mm", colour="white" if on else INK)
        if not on:
            page.box(x + 7, y + side / 2, side - 14, 1, INK)


def _lines(switches):
    """What is written one below the other: [example] as a heading, or [name, number now, number with all heads on]."""
    before = {(example, name): number for example, name, number in switches._known[()]}
    now = {(example, name): number for example, name, number in switches._answer[1]}
    lines, last = [], ""
    for example, name in before | now:
        if example != last:
            lines.append([example])
            last = example
        lines.append([name, now.get((example, name)), before.get((example, name))])
    return lines


def _predictions(page, left, top, lines):
    """Names, bars and numbers: now above, with all heads on below."""
    numbers = [number for line in lines for number in line[1:] if number is not None]
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    high = 1.0 if low == 0 and high <= 1 else high
    page.text(left + 440, top - 12, "now", 11, anchor="rm", colour=MUTED)
    page.text(left + 520, top - 12, "all on", 11, anchor="rm", colour=MUTED)
    for i, (name, *pair) in enumerate(lines):
        y = top + i * LINE_HEIGHT
        page.text(left, y + 13, page.clipped(shown_words([name])[0], 12, 180 if pair else 520), 12, bold=not pair)
        looks = (NOW, 4, 12, 440), (BEFORE, 17, 6, 520)
        for number, (colour, above, thick, right) in zip(pair, looks):
            text = "–" if number is None else short(number)
            page.text(left + right, y + 13, text, 12, anchor="rm", bold=colour == NOW)
            start, end = sorted((at - low) / (high - low) for at in (0.0, number or 0.0))
            page.box(left + 190 + 190 * start, y + above, max(1, 190 * (end - start)), thick, colour)


def _headline(switches: HeadSwitches) -> str:
    """Which heads are off, or what went wrong."""
    off, heads = switches.off, switches.num_layers * switches.num_heads
    if switches.message:
        return switches.message
    if not off or len(off) == heads:
        return f"All {plural(heads, 'head')} {'off' if off else 'on'}"
    if len(off) > 6:
        return f"{len(off)} of {plural(heads, 'head')} off"
    names = [str(head) if switches.num_layers == 1 else f"{layer}.{head}" for layer, head in off]
    return f"Off: {'head' if len(off) == 1 else 'heads'} {', '.join(names)}"


def short(number: float) -> str:
    """Two decimals, with a true minus sign."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")
