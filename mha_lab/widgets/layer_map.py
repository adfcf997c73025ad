"""LayerMap: a whole multi-head layer as one drawing, with the shape, the parameters and the FLOPs of every part."""

from collections.abc import Sequence

import traitlets

from mha_lab import _door
from mha_lab.widgets import _layer_map_picture
from mha_lab.widgets._base import STATIC, Explorer, OneOf, Whole, plural
from mha_lab.widgets._layer_parts import MODES, NAMES, learned, numbers, parts_of, told, value

MOST = {
    "batch": 1024,
    "tokens": 131072,
    "num_keys": 131072,
    "d_model": 32768,
    "num_heads": 512,
    "num_kv_heads": 512,
    "d_head": 1024,
}
"""No larger layer is drawn."""


class Parts(traitlets.List):
    """Names of parts; a single one may stand for a list of it."""

    def validate(self, obj, value):
        return super().validate(obj, [value] if isinstance(value, str) else value)


class LayerMap(Explorer):
    """The whole layer: tokens → x → query, key, value → heads → concatenation → W^O → output.

        LayerMap(d_model=512, num_heads=8, lit="scores")

    Pointing at a part, tapping it or walking to it with the arrow keys shows its formula, its shape in letters and
    numbers, its parameters and FLOPs (those of `mha_lab.cost`) and the lesson that builds it.

    Every state is a trait, to be set or observed from Python: mode ("self", "causal", "cross", or "cache": the tokens
    are new ones, whose keys join those that are kept), batch (B), tokens (N), num_keys (S, of a context or a cache;
    otherwise N), d_model (D), num_heads (H), num_kv_heads (G; None: as many as heads), d_head (K; None: d_model /
    num_heads), lit (the parts that are lit), pointed and pinned (the part in the read-out). Sizes that go together are
    set together:

        layer.set(num_heads=8, num_kv_heads=2)
    """

    _esm = STATIC / "layer_map.js"
    _css = STATIC / "layer_map.css"

    fixed = "_modes", "_parts"

    mode = OneOf(list(MODES), "self").tag(sync=True)
    batch = Whole(1).tag(sync=True)
    tokens = Whole(512).tag(sync=True)
    num_keys = Whole(512).tag(sync=True)
    d_model = Whole(512).tag(sync=True)
    num_heads = Whole(8).tag(sync=True)
    num_kv_heads = Whole(None, allow_none=True).tag(sync=True)
    d_head = Whole(None, allow_none=True).tag(sync=True)
    bias = traitlets.Bool(True).tag(sync=True)
    bytes_per_number = OneOf([4, 2, 1], 2).tag(sync=True)
    lit = Parts(traitlets.Unicode()).tag(sync=True)
    pointed = traitlets.Unicode("").tag(sync=True)
    pinned = traitlets.Unicode("").tag(sync=True)
    _modes = traitlets.Dict(MODES).tag(sync=True)
    _parts = traitlets.List(told()).tag(sync=True)

    def __init__(
        self,
        *,
        mode: str = "self",
        batch: int = 1,
        tokens: int | None = None,
        num_keys: int = 512,
        d_model: int = 512,
        num_heads: int = 8,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        bytes_per_number: int = 2,
        lit: str | Sequence[str] = (),
        pinned: str = "",
    ):
        """tokens is 512 unless given, and 1 with a cache; bytes_per_number is of the cache's numbers.

        Raises TraitError, with the numbers and the rule, for sizes that no layer has."""
        super().__init__(
            mode=mode,
            batch=batch,
            tokens=(1 if mode == "cache" else 512) if tokens is None else tokens,
            num_keys=num_keys,
            d_model=d_model,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            d_head=d_head,
            bias=bias,
            bytes_per_number=bytes_per_number,
            lit=lit if isinstance(lit, str) else list(_door.several("lit", lit, "names of parts")),
            pinned=pinned,
        )

    def set(self, **traits) -> None:
        """Sets several traits at once: what goes together is judged together."""
        with self.hold_trait_notifications():
            for name, new in traits.items():
                setattr(self, name, new)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes by their letters; P are the pairs of a query and a key that it may see, and R = H / G."""
        N, H = self.tokens, self.num_heads
        S = self.num_keys if self.mode in ("cross", "cache") else N
        G = H if self.num_kv_heads is None else self.num_kv_heads
        K = self.d_model // H if self.d_head is None else self.d_head
        P = N * S - (N * (N - 1) // 2 if self.mode in ("causal", "cache") else 0)
        return {"B": self.batch, "N": N, "S": S, "D": self.d_model, "H": H, "G": G, "K": K, "P": P, "R": H // G}

    @property
    def parts(self) -> dict[str, dict]:
        """What the browser shows, computed here: {name: shape, parameters, flops} of each part, as the numbers flow."""
        sizes = self.sizes
        return {
            part.name: {
                "shape": numbers(part.shape, sizes),
                "parameters": value(learned(part, self.bias), sizes),
                "flops": value(part.flops, sizes),
            }
            for part in parts_of(self.mode)
        }

    @property
    def cache_bytes(self) -> int:
        """Bytes of the keys and values that a cache keeps; 0 where there is none."""
        return self.bytes_per_number * value("2·B·G·S·K", self.sizes) if self.mode == "cache" else 0

    def picture(self) -> tuple[bytes, int]:
        return _layer_map_picture.draw(self)

    def __repr__(self):
        sizes, learned_ = self.sizes, sum(part["parameters"] for part in self.parts.values())
        heads = f"{plural(sizes['H'], 'head')} of {sizes['K']}"
        shared = f", {sizes['G']} for keys and values" if sizes["R"] > 1 else ""
        return f"LayerMap({MODES[self.mode]}: {heads}{shared}, d_model {sizes['D']}, {learned_:,} parameters)"

    @traitlets.validate("mode", *MOST)
    def _there_is_such_a_layer(self, proposal):
        name, new = proposal["trait"].name, proposal["value"]
        if words := _problem({each: getattr(self, each) for each in ("mode", *MOST)} | {name: new}):
            raise traitlets.TraitError(words)
        return new

    @traitlets.validate("lit", "pointed", "pinned")
    def _is_a_part(self, proposal):
        name, new = proposal["trait"].name, proposal["value"]
        for part in new if isinstance(new, list) else [new] if new else []:
            if part not in NAMES:
                raise traitlets.TraitError(
                    f"{name}={part!r:.60} is no part of the layer; there are {', '.join(NAMES)}."
                )
        return new


def _problem(asked: dict) -> str:
    """Why there is no such layer, in one sentence; empty where there is one. The page says the same (state.js)."""
    for name, most in MOST.items():
        if asked[name] is not None and not 1 <= asked[name] <= most:
            return f"{name}={_door._short(asked[name])}: it must lie between 1 and {most:,}."
    d_model, num_heads, num_kv_heads = (asked[name] for name in ("d_model", "num_heads", "num_kv_heads"))
    try:
        if asked["d_head"] is None:
            _door.divides(d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}")
        if num_kv_heads is not None:
            _door.divides(num_heads, num_kv_heads, f"num_heads={num_heads} cannot share num_kv_heads={num_kv_heads}")
    except ValueError as problem:
        return str(problem)
    if asked["mode"] == "cache" and asked["tokens"] > asked["num_keys"]:
        last = f"tokens={asked['tokens']} are the last of num_keys={asked['num_keys']}"
        return f"{last}, which the cache holds: they cannot be more."
    return ""
