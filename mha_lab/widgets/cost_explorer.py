"""CostExplorer: what a layer costs in parameters, FLOPs, memory and time, while its sizes move."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Literal

import traitlets

from mha_lab import _door, cost
from mha_lab._door import whole
from mha_lab.cost import Machine
from mha_lab.published import MODELS, Model, layers_in_words, projections, shelf, source_in_words
from mha_lab.widgets._base import STATIC, Explorer, OneOf, plural
from mha_lab.widgets._picture import LINE, MUTED, Page

LENGTHS = [16 * 2**i * step // 2 for i in range(14) for step in (2, 3)][:-1]  # 16, 24, 32, 48 … 131,072 tokens
MOST = {"n": 2**20, "d_model": 2**14, "num_heads": 2**14, "d_head": 2**12, "batch": 64}
BYTES = {"float32": 4, "bfloat16": 2}
PATHS = {"explicit": "#AA3377", "fused": "#4477AA"}
TERM_COLOURS = {
    "W^Q": "#3D6A99",
    "W^K": "#C23B4E",
    "W^V": "#1F7A2E",
    "W^O": "#AA3377",
    "QKᵀ": "#BBBBBB",
    "AV": "#D8D8D8",
}
"""Projections first, then the two products that no layer owns; the order in which the bar is stacked."""


def _layer_of(m: Model) -> dict[str, object]:
    """The layer of a model that is shown, a global one where its width is d_head, and what that leaves out."""
    letter = "L" if m.global_d_head or not set(m.kinds) & set("GN") else "G"
    follows = m.num_heads * m.d_head == m.d_model
    left = []
    if m.gate_width:
        left.append(f"the output gate's W^G ({m.d_model * m.gate_width:,} parameters)")
    if m.indexer:
        left.append(f"the indexer, which picks {m.indexer.keys:,} keys for each query")
    if m.sinks:
        left.append(f"the sinks, {m.sinks}")
    if m.values != m.d_head:
        left.append(f"that values are {m.values} wide: they are counted as {m.d_head}")
    several = len(set(m.kinds.replace("N", "G"))) > 1
    return {
        "n": m.window if letter == "L" else min(m.context, LENGTHS[-1]),
        "d_model": m.d_model,
        "num_heads": m.num_heads,
        "num_kv_heads": m.num_kv_heads,
        "d_head": None if follows else m.d_head,
        "bias": m.bias,
        "context": m.context,
        "window": m.window if letter == "L" else 0,
        "year": m.year,
        "group": shelf(m),
        "source": source_in_words(m),
        "layers": f"{layers_in_words(m)}; shown is a {'local' if letter == 'L' else 'global'} one" if several else "",
        "left_out": "; ".join(left),
    }


def _not_shown(m: Model) -> str:
    """Why the layers of a model are not counted here; nothing where they are."""
    if m.latent is None or m.d_head is None or m.kinds is None:
        return "not all of its sizes are known"
    if m.key_is_value:
        return "one key that is the value too, see KVCacheExplorer"
    if not m.latent:
        return ""
    return f"a latent, {sum(projections(m).values()):,} parameters a layer; see KVCacheExplorer"


def _point(point) -> list:
    """A measurement as [tokens, seconds, path]. Raises ValueError, in one sentence, where it is none."""
    try:
        tokens, seconds, path = point
        found = [whole("tokens", tokens), float(seconds), path]
        if not 0 < found[1] < math.inf or path not in PATHS:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"{point!r} is no point: tokens, seconds, 'explicit' or 'fused'.") from None
    return found


class CostExplorer(Explorer):
    """One attention layer's price, as its sizes move: counted, predicted for a machine, and as it was measured.

        CostExplorer(n=1024, d_model=512, num_heads=8)
        CostExplorer(..., machine=measure.calibrate(), measured=[(1024, 0.065, "explicit"), (1024, 0.037, "fused")])

    Every size is a trait, to be set or observed from Python: n (tokens), d_model, num_heads, num_kv_heads, d_head (None
    for d_model / num_heads), batch, dtype ("float32" or "bfloat16") and bias (True, False, or "QKV": on all but W^O).
    `CostExplorer.models` has the sizes of real models, each with its source and with what is left out of it.
    """

    models = {m.name: _layer_of(m) for m in MODELS if not _not_shown(m)}
    """context is the longest text that the model is made for, n how much of it the layer sees, up to 131,072 tokens."""

    _esm = STATIC / "cost_explorer.js"
    _css = STATIC / "cost_explorer.css"

    n = traitlets.Int(1024).tag(sync=True)
    d_model = traitlets.Int(512).tag(sync=True)
    num_heads = traitlets.Int(8).tag(sync=True)
    num_kv_heads = traitlets.Int(8).tag(sync=True)
    # Int(allow_none=True) would let None pass unseen, where d_model / num_heads may not come out even.
    d_head = traitlets.Union([traitlets.Int(), traitlets.Enum([None])], default_value=None).tag(sync=True)
    batch = traitlets.Int(1).tag(sync=True)
    dtype = OneOf(list(BYTES), "float32").tag(sync=True)
    bias = OneOf([True, False, "QKV"], True).tag(sync=True)
    _models = traitlets.List().tag(sync=True)
    _others = traitlets.List().tag(sync=True)  # models that are not counted here, with the reason
    _machine = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    _measured = traitlets.List().tag(sync=True)  # [n, seconds, path]
    _measured_at = traitlets.Dict().tag(sync=True)  # the sizes that the measured points belong to

    def __init__(
        self,
        *,
        n: int = 1024,
        d_model: int = 512,
        num_heads: int = 8,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        batch: int = 1,
        dtype: str = "float32",
        bias: bool | Literal["QKV"] = True,
        machine: Machine | None = None,
        measured: Iterable[tuple[int, float, str]] = (),
    ):
        """machine   as measure.calibrate() finds it: adds the predicted time, in float32.
        measured  (n, seconds, "explicit" or "fused") at the sizes given here: shown while these sizes stand.

        Raises ValueError or TypeError for sizes that no layer has, and for points that cannot be drawn."""
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        cost.parameters(d_model, num_heads, num_kv_heads, d_head=d_head)  # says what does not divide
        measured = [_point(point) for point in _door.several("measured", measured, "(n, seconds, path)")]
        if machine is not None:
            _door.instance("machine", machine, Machine, "a Machine, as measure.calibrate() finds it")
        sizes = {
            "d_model": d_model,
            "num_heads": num_heads,
            "num_kv_heads": num_kv_heads,
            "d_head": d_head,
            "batch": batch,
            "dtype": dtype,
        }
        super().__init__(
            n=n,
            bias=bias,
            **sizes,
            _models=[{"name": name, **model} for name, model in self.models.items()],
            _others=[[m.name, _not_shown(m)] for m in MODELS if _not_shown(m)],
            _machine=None if machine is None else asdict(machine),
            _measured=measured,
            _measured_at=sizes | {"d_head": d_model // num_heads if d_head is None else d_head},
        )
        self._of = machine

    @property
    def costs(self) -> dict[str, object]:
        """What the browser shows, computed here: parameters, flops (by term), scores (numbers), scores_bytes,
        peak_bytes (explicit), moved_bytes (read and written, by path), cache_bytes (of this layer's keys and values),
        crossing (the n where attention's two products overtake the projections), and seconds by path (empty without a
        machine, and in anything but float32)."""
        return self._costs_at(self.n)

    @property
    def head_width(self) -> int:
        """d_head, or d_model / num_heads where it is not set."""
        return self.d_model // self.num_heads if self.d_head is None else self.d_head

    def _costs_at(self, n):
        layer = self.d_model, self.num_heads, self.num_kv_heads
        width, d_head = BYTES[self.dtype], {"d_head": self.head_width}
        sizes = self.batch, n, *layer
        scores = cost.stored_scores(self.batch, n, self.num_heads)
        unbiased = self.d_model if self.bias == "QKV" else 0  # W^O's outputs
        seconds = {}
        if self._of is not None and self.dtype == "float32":
            seconds = {path: cost.predict(self._of, *sizes, **d_head, path=path) for path in PATHS}
        moved = {path: cost.traffic_bytes(*sizes, **d_head, path=path, bytes_per_number=width) for path in PATHS}
        return {
            "parameters": cost.parameters(*layer, **d_head, bias=bool(self.bias)) - unbiased,
            "flops": cost.flops(*sizes, **d_head),
            "scores": scores,
            "scores_bytes": scores * width,
            "peak_bytes": cost.explicit_peak_bytes(*sizes, **d_head, bytes_per_number=width),
            "moved_bytes": {path: sum(steps.values()) for path, steps in moved.items()},
            "cache_bytes": cost.kv_cache_bytes(self.batch, n, self.num_kv_heads, **d_head, bytes_per_number=width),
            "crossing": self.d_model + self.d_model * self.num_kv_heads // self.num_heads,
            "seconds": seconds,
        }

    def _points(self):
        """The measured points, where they were measured at these sizes."""
        sizes = {name: getattr(self, name) for name in self._measured_at} | {"d_head": self.head_width}
        here = sizes == self._measured_at
        return self._measured if here else []

    def picture(self) -> tuple[bytes, int]:
        """The counts, the stacked FLOPs and the curves as PNG, and its width in CSS pixels."""
        return _draw(self)

    def __repr__(self):
        heads = plural(self.num_heads, "head")
        shared = "" if self.num_kv_heads == self.num_heads else f" on {self.num_kv_heads}"
        wide = "" if self.num_heads * self.head_width == self.d_model else f", d_head {self.head_width}"
        return f"CostExplorer({self.n:,} tokens, d_model {self.d_model:,}, {heads}{shared}{wide})"

    @traitlets.validate("d_model", "num_heads", "num_kv_heads", "d_head")
    def _heads_divide(self, proposal):
        names = "d_model", "num_heads", "num_kv_heads", "d_head"
        sizes = {name: getattr(self, name) for name in names} | {proposal["trait"].name: proposal["value"]}
        try:
            cost.parameters(**sizes)
        except ValueError as problem:
            raise traitlets.TraitError(str(problem)) from None
        return self._within(proposal)

    @traitlets.validate("n", "batch")
    def _within(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name in MOST and value is not None and not 1 <= value <= MOST[name]:
            raise traitlets.TraitError(f"{name}={value}: it must lie between 1 and {MOST[name]:,}.")
        return value


# ------------------------------------------------------------------------------------------------------------- picture


def amount(value: float, unit: str) -> str:
    """A positive number in three digits, with its unit: "FLOP" and "" in thousands, "B" in 1,024s, "s" from µs on."""
    steps = {"B": ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), "s": ("µs", "ms", "s")}.get(unit)
    steps = steps or tuple(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P", "E"))
    base = 1024 if unit == "B" else 1000
    value = value * 1e6 if unit == "s" else value
    for step in steps:
        if value < 999.5 or step == steps[-1]:
            digits = f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
            return f"{digits} {step}".rstrip()
        value /= base


def _draw(explorer: CostExplorer) -> tuple[bytes, int]:
    now, page = explorer.costs, Page(960, 486)
    total = sum(now["flops"].values())
    page.text(0, 14, repr(explorer).removeprefix("CostExplorer(").removesuffix(")"), 15, bold=True)
    facts = [
        ("parameters", f"{now['parameters']:,}"),
        ("one forward pass", amount(total, "FLOP")),
        ("stored scores", amount(now["scores_bytes"], "B")),
        ("explicit peak", amount(now["peak_bytes"], "B")),
        ("read and written", amount(now["moved_bytes"]["explicit"], "B")),
        ("KV cache", amount(now["cache_bytes"], "B")),
        *((f"predicted, {path}", amount(seconds, "s")) for path, seconds in now["seconds"].items()),
    ]
    for i, (name, value) in enumerate(facts):
        page.text(i * 120, 44, value, 15, bold=True)
        page.text(i * 120, 62, name, 11, colour=MUTED)
    x = 0.0
    for name, colour in TERM_COLOURS.items():
        width = 960 * now["flops"][name] / total
        page.box(x, 82, width, 26, colour)
        if width > page.width_of(name, 12) + 6:
            light = name in ("QKᵀ", "AV")
            page.text(x + width / 2, 95, name, 12, anchor="mm", colour="#333333" if light else "white", bold=True)
        x += width
    points = explorer._points()
    lines = {"projections": [], "QKᵀ and AV": []}
    memory = {"explicit peak": [], "stored scores": [], "KV cache": []}
    times = {path: [] for path in PATHS if path in now["seconds"] or any(path == one for *_, one in points)}
    for n in LENGTHS:
        at = explorer._costs_at(n)
        products = at["flops"]["QKᵀ"] + at["flops"]["AV"]
        lines["projections"].append((n, sum(at["flops"].values()) - products))
        lines["QKᵀ and AV"].append((n, products))
        memory["explicit peak"].append((n, at["peak_bytes"]))
        memory["stored scores"].append((n, at["scores_bytes"]))
        memory["KV cache"].append((n, at["cache_bytes"]))
        for path, seconds in at["seconds"].items():
            times[path].append((n, seconds))
    charts = [("FLOPs", lines, "FLOP", []), ("Memory", memory, "B", [])]
    if times:
        charts.append(("Time: predicted, and measured as points", times, "s", points))
    room = 960 / len(charts)
    for i, (title, curves, unit, dots) in enumerate(charts):
        crossing = now["crossing"] if unit == "FLOP" else None
        meeting = "n = 2d =" if explorer.num_kv_heads == explorer.num_heads else "equal at"
        words = f"{meeting} {now['crossing']:,}"
        _chart(page, i * room, 130, room - 20, title, curves, unit, dots, explorer.n, crossing, words)
    return page.finished()


CURVE_COLOURS = {
    "projections": "#AA3377",
    "QKᵀ and AV": "#4477AA",
    "explicit peak": "#AA3377",
    "stored scores": "#777777",
    "KV cache": "#228833",
    **PATHS,
}

# Drawn, then left out, as in the live view: curves are told apart without their colours.
DASHES = {"QKᵀ and AV": (9, 3), "fused": (9, 3), "stored scores": (9, 3), "KV cache": (2, 3)}


def _chart(page, left, top, width, title, curves, unit, dots, n, crossing, words):
    """Curves over n with both axes logarithmic; dots are measured; n and the crossing stand as vertical lines."""
    height, margin = 290, 66
    dots = [(m, value, path) for m, value, path in dots if LENGTHS[0] <= m <= LENGTHS[-1]]
    values = [value for curve in curves.values() for _, value in curve] + [value for _, value, _ in dots]
    base = 32 if unit == "B" else 10  # so that ticks are round
    low = math.floor(math.log(min(values), base))
    high = max(low + 1, math.ceil(math.log(max(values), base)))  # an axis has a length, even for a single point
    first, last = math.log(LENGTHS[0]), math.log(LENGTHS[-1])

    def place(m, value):
        across = (math.log(m) - first) / (last - first)
        up = (math.log(value, base) - low) / (high - low)
        return left + margin + across * (width - margin), top + 24 + (1 - up) * height

    page.text(left, top + 4, title, 13, bold=True)
    for power in range(low, high + 1, max(1, (high - low) // 6)):
        _, y = place(16, float(base) ** power)
        page.box(left + margin, y, width - margin, 0.5, "#E4E4E4")
        page.text(left + margin - 6, y, amount(float(base) ** power, unit), 10, anchor="rm", colour=MUTED)
    for m in 16, 128, 1024, 8192, 65536:
        x, y = place(m, base**low)
        page.text(x, y + 12, f"{m:,}", 10, anchor="mm", colour=MUTED)
    page.text(left + margin + (width - margin) / 2, top + height + 54, "tokens", 11, anchor="mm", colour=MUTED)
    if LENGTHS[0] <= n <= LENGTHS[-1]:
        x, _ = place(n, base**low)
        page.box(x, top + 24, 1, height, LINE)
    if crossing and LENGTHS[0] <= crossing <= LENGTHS[-1]:
        x, _ = place(crossing, base**low)
        for step in range(0, height, 8):
            page.box(x, top + 24 + step, 1, 4, "#333333")
        page.text(x + 5, top + 24 + height - 12, words, 11)
    for row, (name, curve) in enumerate(curves.items()):
        x, y = left + margin + 6, top + 36 + 17 * row
        page.box(x - 4, y - 9, page.width_of(name, 12, bold=True) + 46, 18, "white")  # the vertical lines stop here
        if curve:
            page.line([place(m, value) for m, value in curve], CURVE_COLOURS[name], DASHES.get(name))
            page.line([(x, y), (x + 30, y)], CURVE_COLOURS[name], DASHES.get(name))
        if any(path == name for *_, path in dots):
            page.mark(x + 15, y, PATHS[name], diamond=name == "fused")
        page.text(x + 36, y, name, 12, colour=CURVE_COLOURS[name], bold=True)
    for m, value, path in dots:
        page.mark(*place(m, value), PATHS[path], diamond=path == "fused")
