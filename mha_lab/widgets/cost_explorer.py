"""CostExplorer: what a layer costs in parameters, FLOPs, memory and time, while its sizes move."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Literal

import traitlets

from mha_lab import _door, cost
from mha_lab.cost import Machine
from mha_lab.measure import Timing
from mha_lab.published import MODELS, Model, projections
from mha_lab.widgets import _cost_picture
from mha_lab.widgets._base import STATIC, Explorer, OneOf, Whole, plural
from mha_lab.widgets._cost_sizes import (
    BYTES,
    HEADS,
    LAYER,
    MOST,
    MOST_POINTS,
    PATHS,
    check_latent,
    layer_of,
    nearest,
    not_shown,
    point_of,
)


class Width(Whole):
    """A whole number or None, which is checked too: d_model / num_heads may not come out even. (allow_none would let it
    pass unseen.)"""

    def validate(self, obj, value):
        return None if value is None else super().validate(obj, value)


class CostExplorer(Explorer):
    """One attention layer's price, as its sizes move: counted, predicted for a machine, and as it was measured.

        CostExplorer(n=1024, d_model=512, num_heads=8)
        CostExplorer(..., machine=measure.calibrate(), measured=[(1024, 0.065, "explicit"), (1024, 0.037, "fused")],
                     by_heads={1: [(1024, 0.05, "explicit")], 32: [(1024, 0.12, "explicit")]}, against="heads")

    Every size is a trait, to be set or observed from Python: n (tokens), d_model, num_heads, num_kv_heads, d_head (None
    for d_model / num_heads), latent (None, or its sizes as `_cost_sizes.LATENT` names them), batch, dtype ("float32" or
    "bfloat16") and bias (True, False, or "QKV": on all but W^O); and `against`, what the charts go over: "tokens" or
    "heads".
    `CostExplorer.models` has the sizes of real models, each with its source and with what is left out of it.
    """

    models = {m.name: layer_of(m) for m in MODELS if not not_shown(m)}
    """context is the longest text that the model is made for, n how much of it the layer sees, up to 131,072 tokens."""

    _esm = STATIC / "cost_explorer.js"
    _css = STATIC / "cost_explorer.css"
    fixed = ("_models", "_others", "_machine", "_measured", "_measured_at")

    n = Whole(1024).tag(sync=True)
    d_model = Whole(512).tag(sync=True)
    num_heads = Whole(8).tag(sync=True)
    num_kv_heads = Whole(8).tag(sync=True)
    d_head = Width(None).tag(sync=True)
    latent = traitlets.Union([traitlets.Dict(), traitlets.Enum([None])], default_value=None).tag(sync=True)
    batch = Whole(1).tag(sync=True)
    dtype = OneOf(list(BYTES), "float32").tag(sync=True)
    bias = OneOf([True, False, "QKV"], True).tag(sync=True)
    against = OneOf(["tokens", "heads"], "tokens").tag(sync=True)
    _models = traitlets.List().tag(sync=True)
    _others = traitlets.List().tag(sync=True)  # models that are not counted here, with the reason
    _machine = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    _measured = traitlets.List().tag(sync=True)  # as point_of gives them
    _measured_at = traitlets.Dict().tag(sync=True)  # the sizes that all measured points share

    def __init__(
        self,
        *,
        n: int = 1024,
        d_model: int = 512,
        num_heads: int = 8,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        latent: Mapping[str, int] | None = None,
        batch: int = 1,
        dtype: str = "float32",
        bias: bool | Literal["QKV"] = True,
        against: str = "tokens",
        machine: Machine | None = None,
        measured: Iterable[tuple[int, float | Timing, str]] = (),
        by_heads: Mapping[int, Iterable[tuple[int, float | Timing, str]]] | None = None,
    ):
        """machine   as measure.calibrate() finds it: adds the predicted time, in float32
        measured  (n, seconds or a Timing, "explicit" or "fused") at the sizes given here
        by_heads  such points at other head counts, {head count: points}; there every head has its own keys and values
                  where it has them here. Points show where the sizes are those at which they were measured

        Raises ValueError or TypeError for sizes that no layer has, and for points that cannot be drawn."""
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        cost.parameters(d_model, num_heads, num_kv_heads, d_head=d_head)  # says what does not divide
        if machine is not None:
            _door.instance("machine", machine, Machine, "a Machine, as measure.calibrate() finds it")
        if by_heads is not None:
            _door.instance("by_heads", by_heads, Mapping, "a dict, {head count: points}")
        points = [(num_heads, measured), *(by_heads or {}).items()]
        shared = None if num_kv_heads == num_heads else num_kv_heads
        found = {}  # a later point at the same place stands for the earlier one
        for heads, several in points:
            sizes = heads, heads if shared is None else shared, d_head
            cost.parameters(d_model, sizes[0], sizes[1], d_head=d_head)
            for point in _door.several("measured", several, "(n, seconds, path)"):
                one = point_of(point, *sizes)
                found[one["n"], one["path"], heads] = one
        if len(found) > MOST_POINTS:
            raise ValueError(f"there are {len(found):,} measured points: an explorer shows up to {MOST_POINTS:,}.")
        super().__init__(
            n=n,
            d_model=d_model,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            d_head=d_head,
            latent=None if latent is None else dict(latent),
            batch=batch,
            dtype=dtype,
            bias=bias,
            against=against,
            _models=[{"name": name, **model} for name, model in self.models.items()],
            _others=[[m.name, not_shown(m)] for m in MODELS if not_shown(m)],
            _machine=None if machine is None else asdict(machine),
            _measured=list(found.values()),
            _measured_at={"d_model": d_model, "batch": batch, "dtype": dtype},
        )
        self._of = machine

    @property
    def costs(self) -> dict[str, object]:
        """What the browser shows, computed here: parameters, flops (by term), scores (numbers), scores_bytes,
        peak_bytes (explicit), moved_bytes (read and written, by path), cache_bytes (of this layer's keys and values),
        crossing (the n where attention's two products overtake the projections), and seconds by path (empty without a
        machine, and in anything but float32). With a latent, peak_bytes is None and moved_bytes empty: not counted."""
        return self._costs_at(self.n, self.num_heads)

    @property
    def head_width(self) -> int:
        """d_head, or d_model / num_heads where it is not set."""
        return self.d_model // self.num_heads if self.d_head is None else self.d_head

    def _costs_at(self, n, heads):
        """Costs at another length, or at another head count: with as many heads of keys where none are shared here."""
        B, d, K = self.batch, self.d_model, self.d_model // heads if self.d_head is None else self.d_head
        kv_heads = self._kv_heads_at(heads)
        layer, width, d_head = (d, heads, kv_heads), BYTES[self.dtype], {"d_head": K}
        scores = cost.stored_scores(B, n, heads)
        counted = {"scores": scores, "scores_bytes": scores * width}
        if self.latent:
            return counted | self._latent_costs(n, heads, K)
        unbiased = d if self.bias == "QKV" else 0  # W^O's outputs
        seconds = {}
        if self._of is not None and self.dtype == "float32":
            seconds = {path: cost.predict(self._of, B, n, *layer, **d_head, path=path) for path in PATHS}
        moved = {path: cost.traffic_bytes(B, n, *layer, **d_head, path=path, bytes_per_number=width) for path in PATHS}
        return counted | {
            "parameters": cost.parameters(*layer, **d_head, bias=bool(self.bias)) - unbiased,
            "flops": cost.flops(B, n, *layer, **d_head),
            "peak_bytes": cost.explicit_peak_bytes(B, n, *layer, **d_head, bytes_per_number=width),
            "moved_bytes": {path: sum(steps.values()) for path, steps in moved.items()},
            "cache_bytes": cost.kv_cache_bytes(B, n, kv_heads, **d_head, bytes_per_number=width),
            "crossing": d + d * kv_heads // heads,
            "seconds": seconds,
        }

    def _latent_costs(self, n, heads, K):
        """Where keys and values are made from a latent, for every head, as where a text is read; without biases."""
        B, latent = self.batch, self.latent
        sizes = {"layers": 1, "d_model": self.d_model, "num_heads": heads, "num_kv_heads": heads, "d_head": K}
        kinds = {"latent": latent["numbers"], "latent_rotary": latent["rotary"], "query_latent": latent["query"]}
        matrices = projections(Model("", **sizes, **kinds, d_value=latent["value"], source=""))
        pairs = 2 * B * n * n * heads
        return {
            "parameters": sum(matrices.values()),
            "flops": {name: 2 * B * n * numbers for name, numbers in matrices.items()}
            | {"QKᵀ": pairs * K, "AV": pairs * latent["value"]},
            "peak_bytes": None,
            "moved_bytes": {},
            "cache_bytes": B * n * latent["numbers"] * BYTES[self.dtype],
            "crossing": sum(matrices.values()) // (heads * (K + latent["value"])),
            "seconds": {},
        }

    def _head_counts(self) -> list[int]:
        """The head counts that charts against heads go over: what divides d_model, or with a d_head of its own, every
        count that the slider offers."""
        if self.d_head is not None:
            return HEADS
        return [heads for heads in range(1, self.d_model + 1) if self.d_model % heads == 0]

    def _kv_heads_at(self, heads: int) -> int:
        """Key/value heads beside so many heads: as many where each has its own now, else the nearest that divides."""
        if self.latent or self.num_kv_heads == self.num_heads:
            return heads
        return nearest([g for g in range(1, heads + 1) if heads % g == 0], min(self.num_kv_heads, heads))

    def _points(self, heads: int | None = None) -> list[dict]:
        """The measured points of the present layer, or of the same with so many heads."""
        heads = self.num_heads if heads is None else heads
        if self.latent or any(getattr(self, name) != value for name, value in self._measured_at.items()):
            return []

        def width(d_head, count):
            return self.d_model / count if d_head is None else d_head

        now = heads, self._kv_heads_at(heads), width(self.d_head, heads)
        return [
            one for one in self._measured
            if (one["num_heads"], one["num_kv_heads"], width(one["d_head"], one["num_heads"])) == now
        ]  # fmt: skip

    def picture(self) -> tuple[bytes, int]:
        """The counts, the stacked FLOPs, the stored maps and the curves as PNG, and its width in CSS pixels."""
        return _cost_picture.draw(self)

    def __repr__(self):
        heads = plural(self.num_heads, "head")
        shared = "" if self.num_kv_heads == self.num_heads else f" on {self.num_kv_heads}"
        if self.latent:
            shared = f" on a latent of {self.latent['numbers']:,}"
        wide = "" if self.num_heads * self.head_width == self.d_model else f", d_head {self.head_width}"
        return f"CostExplorer({self.n:,} tokens, d_model {self.d_model:,}, {heads}{shared}{wide})"

    @traitlets.validate("d_model", "num_heads", "num_kv_heads", "d_head", "latent")
    def _heads_divide(self, proposal):
        now = {name: getattr(self, name) for name in (*LAYER, "latent")}
        sizes = now | {proposal["trait"].name: proposal["value"]}
        latent = sizes.pop("latent")
        try:
            cost.parameters(**sizes)
            if latent is not None:
                check_latent(latent, **sizes)
        except (TypeError, ValueError) as problem:
            raise traitlets.TraitError(str(problem)) from None
        return self._within(proposal)

    @traitlets.validate("n", "batch")
    def _within(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name in MOST and value is not None and not 1 <= value <= MOST[name]:
            raise traitlets.TraitError(f"{name}={_door._short(value)}: it must lie between 1 and {MOST[name]:,}.")
        return value
