"""Published models as data: what decides the cost of their attention, how sure it is, and where it is published.

The rows stand in published.json. None, and "?" where it is shown, is what the source does not say.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from mha_lab import _data, _door
from mha_lab._door import divides, whole

CERTAINTY = {
    "A": "from the model's own files, a paper, or a notebook that was tested against the model",
    "A-": "class defaults, most of them confirmed in a copied configuration",
    "B": "class defaults of transformers 5.24.0, which need not be the checkpoint's",
    "C": "defaults of an experimental class",
}
LAYERS = {
    "G": "global",  # looks at the whole text
    "N": "global without positions",  # NoPE: nothing tells its keys where they stand
    "L": "local",  # looks at `window` tokens at most
    "K": "compressed",  # looks at the window, and at one key for every compressed[0] tokens before it
    "H": "heavily compressed",  # the same for every compressed[1] tokens
    "S": "linear",  # has no keys: a state of fixed size, which every token changes
    "V": "convolution",  # sees the last few tokens, and is no attention
}
"""The alphabet of `Model.pattern`."""


@dataclass(frozen=True)
class Indexer:
    """A small scorer that chooses which keys a query looks at (DeepSeek sparse attention)."""

    heads: int | None = None
    width: int | None = None
    keys: int | None = None
    """Keys that a query looks at in the end. None: its source does not say."""
    block: int = 1
    """Neighbouring keys that are chosen together."""
    pooled: int = 1
    """Tokens that share one of the indexer's keys."""
    layers: int | None = None
    """Layers that have an indexer of their own; the others take over its choice. None: all that look globally;
    0: its source does not say which."""


@dataclass(frozen=True)
class Model:
    """The attention layers of one model, one decision a field."""

    name: str
    layers: int | None
    d_model: int
    num_heads: int
    num_kv_heads: int
    d_head: int | None
    """Width of a query and a key of one head; with latent attention its rotated part included."""
    source: str
    context: int | None = None
    """Tokens of the longest text."""
    year: int | None = None
    certainty: str = "A"
    """How sure the numbers are, a key of `CERTAINTY`."""
    d_value: int | None = None
    """Width of a value of one head; None: d_head."""
    bias: bool | Literal["QKV"] = False
    """Whether the projections have biases; "QKV": all but W^O."""
    pattern: str | None = "G"
    """What each layer looks at, in letters of `LAYERS`, from the first layer on and repeated to the last."""
    window: int = 0
    """Tokens that a local layer looks at and keeps, the query's own included."""
    local_kv_heads: int | None = None
    """num_kv_heads of the local layers; None: as everywhere."""
    global_d_head: int | None = None
    """d_head of the global layers; None: as everywhere."""
    rotary: float | None = 1.0
    """Share of d_head that is rotated by the position; 0: none."""
    global_rotary: float | None = None
    """rotary of the global layers; None: as everywhere."""
    latent: int | None = 0
    """Numbers a token that stand for all keys and values of a layer (latent attention); 0: no latent; None: a latent
    whose width the source does not say."""
    latent_rotary: int | None = 0
    """How many of `latent` are a key with the position, shared by all heads."""
    query_latent: int | None = 0
    """Numbers a token of which all queries of a layer are made; 0: they are made of the token itself."""
    key_is_value: bool = False
    """Whether one vector is both key and value."""
    compressed: tuple[int, int] | None = None
    """Tokens that share one key in the layers K and H."""
    indexer: Indexer | None = None
    sinks: str = ""
    """A score without a key, on which attention can rest: "learned" (a number a head), "from the token", or none."""
    gate: Literal["", "feature", "head"] = ""
    """The output gate σ(x W^G), which multiplies the heads before W^O: a number for each feature, or for each head."""
    qk_norm: bool | None = False
    """Whether queries and keys are normalised before the scores."""
    shared_layers: int = 0
    """Layers, the last ones, that look at keys and values of earlier layers and keep none."""
    state: int | None = None
    """Numbers in the state of a linear layer."""
    decoder: bool = True
    """Whether it writes token by token, with a cache."""
    note: str = ""

    def __post_init__(self):
        """Refuse, in a sentence, what no layer can be."""
        sizes = "d_model", "num_heads", "num_kv_heads"
        maybe = "layers", "d_head", "context", "d_value", "local_kv_heads", "global_d_head", "state"
        for name in (*sizes, *(name for name in maybe if getattr(self, name) is not None)):
            whole(f"{self.name}: {name}", getattr(self, name))
        for heads in self.num_kv_heads, self.local_kv_heads or 1:
            divides(
                self.num_heads, heads, f"{self.name}: {self.num_heads} heads cannot share {heads} of keys and values"
            )
        at_least_0 = "window", "shared_layers", "latent", "latent_rotary", "query_latent"
        for name in (name for name in at_least_0 if getattr(self, name) is not None):
            whole(f"{self.name}: {name}", getattr(self, name), at_least=0)
        _door.layers(f"{self.name}: layers", self.layers or 1)
        if self.shared_layers and self.shared_layers >= (self.layers or 1):
            raise ValueError(
                f"{self.name}: shared_layers={self.shared_layers} of {self.layers} layers: one must keep keys."
            )
        if self.latent and (self.latent_rotary or 0) >= self.latent:
            raise ValueError(f"{self.name}: latent_rotary={self.latent_rotary} must be less than latent={self.latent}.")
        for tokens in self.compressed or ():
            whole(f"{self.name}: one of compressed", tokens)
        letters = set(self.pattern or "")
        if letters - set(LAYERS):
            raise ValueError(f"{self.name}: pattern={self.pattern!r} must be made of {', '.join(LAYERS)}.")
        if (self.window > 0) != bool(letters & set("LKH")) and self.pattern is not None:
            raise ValueError(f"{self.name}: window={self.window} and pattern={self.pattern!r}: local layers need both.")

    @property
    def values(self) -> int | None:
        """Width of a value of one head."""
        return self.d_head if self.d_value is None else self.d_value

    @property
    def kinds(self) -> str | None:
        """The letter of every layer."""
        if self.layers is None or self.pattern is None:
            return None
        return (self.pattern * self.layers)[: self.layers]

    @property
    def gate_width(self) -> int:
        """Columns of the gate's matrix W^G."""
        return {"": 0, "head": self.num_heads, "feature": self.num_heads * (self.values or 0)}[self.gate]


@dataclass(frozen=True)
class Store:
    """What a number of equal layers keep of a text."""

    kind: str
    layers: int
    heads: int = 0
    """Key/value heads."""
    key: int = 0
    value: int = 0
    """Widths of one head's key and value; value 0: the key is the value."""
    fixed: int = 0
    """Numbers an entry that no head count changes: a latent, or a linear layer's state."""
    window: int = 0
    """Entries at most; 0: any number."""
    every: int = 1
    """Tokens for one entry."""

    @property
    def numbers(self) -> int:
        """Numbers an entry in one layer."""
        return self.fixed or self.heads * (self.key + self.value)

    def entries(self, tokens: int) -> int:
        """Entries that stand for so many tokens."""
        return min(tokens // self.every, self.window) if self.window else tokens // self.every


def stores(model: Model) -> tuple[Store, ...]:
    """What the layers of a model keep, in the order of the layers. Empty where the source leaves open how much that is.

    Not counted: an indexer's keys, and what the short convolutions of linear and convolution layers remember."""
    counts = Counter()
    for kind in layer_kinds(model):
        if not kind.shared:
            counts.update(dict.fromkeys(kind.stores, kind.layers))
    return tuple(replace(store, layers=count) for store, count in counts.items())


@dataclass(frozen=True)
class Kind:
    """A number of equal layers: what a query of theirs looks at, and what one of them keeps."""

    letter: str
    layers: int
    stores: tuple[Store, ...]
    """Of one layer, or of the earlier one whose keys and values it takes."""
    width: int = 0
    """Multiply-adds for one query and one key in all heads: a key's numbers and a value's. 0: there are no keys."""
    picked: int = 0
    """Keys that an indexer leaves of the last store; 0: all."""
    shared: bool = False
    """Whether it takes the keys and values of an earlier layer, and keeps none."""

    def keys(self, tokens: int) -> int:
        """Keys that the last of so many tokens looks at."""
        if not self.width:
            return 0
        *near, far = (store.entries(tokens) for store in self.stores)
        return sum(near) + (min(far, self.picked) if self.picked else far)

    def flops(self, tokens: int) -> int:
        """QKᵀ and AV of one layer, with as many keys for every token as for the last: `cost.flops` where all are looked
        at. Keys and values of a latent are made for every head, as where a text is read."""
        return 2 * tokens * self.keys(tokens) * self.width

    def numbers(self, tokens: int) -> int:
        """Numbers that one layer keeps of a text."""
        return 0 if self.shared else sum(store.entries(tokens) * store.numbers for store in self.stores)


def layer_kinds(model: Model) -> tuple[Kind, ...]:
    """The layers of a model by their kind, in the order of the layers; none where its source leaves one open.

    Not counted: what an indexer itself computes, and all that linear and convolution layers compute."""
    kinds, G = model.kinds, model.num_kv_heads
    if kinds is None or model.d_head is None or model.latent is None:
        return ()
    widths = {"key": model.d_head, "value": 0 if model.key_is_value else model.values}
    far = widths if model.global_d_head is None else dict.fromkeys(widths, model.global_d_head)
    near = G if model.local_kv_heads is None else model.local_kv_heads
    local = Store("local", 1, near, **widths, window=model.window)
    squeezed = model.compressed or (1, 1)
    kept = {  # what one layer of each kind keeps
        "G": (Store("latent" if model.latent else "global", 1, G, **far, fixed=model.latent),),
        "L": (local,),
        "K": (local, Store(f"compressed {squeezed[0]}:1", 1, G, **widths, every=squeezed[0])),
        "H": (local, Store(f"compressed {squeezed[1]}:1", 1, G, **widths, every=squeezed[1])),
        "S": (Store("state", 1, fixed=model.state, window=1),) if model.state else (),
        "V": (),
    }
    kept["N"] = kept["G"]
    indexed = "" if model.indexer is None or model.indexer.layers == 0 else "K" if model.compressed else "GN"
    counts = Counter((letter, at >= len(kinds) - model.shared_layers) for at, letter in enumerate(kinds))
    found = []
    for (letter, shared), layers in counts.items():
        store = kept[letter][-1] if kept[letter] and letter not in "SV" else None
        width = model.num_heads * (store.key + (store.value or store.key)) if store else 0
        picked = model.indexer.keys or 0 if letter in indexed else 0
        found.append(Kind(letter, layers, kept[letter], width, picked, shared))
    return tuple(found)


def projections(model: Model) -> dict[str, int]:
    """Numbers that one layer learns by matrix (a global layer, where they differ); W^G is the output gate's.

    A latent's two matrices count as W^K, but for its values' part of the second. Not counted: biases, norms, sinks, an
    indexer. Empty where the source leaves a width open, or W^O is cut into groups (a key that is the value)."""
    d, H, G, K, V = model.d_model, model.num_heads, model.num_kv_heads, model.d_head, model.values
    if None in (K, model.latent, model.query_latent) or model.key_is_value:
        return {}
    inner = model.latent - model.latent_rotary  # what all heads' keys and values are made of
    found = {
        "W^Q": model.query_latent * (d + H * K) or d * H * K,
        "W^K": d * model.latent + inner * H * (K - model.latent_rotary) if model.latent else d * G * K,
        "W^V": inner * H * V if model.latent else d * G * V,
        "W^O": H * V * d,
    }
    return found | ({"W^G": d * model.gate_width} if model.gate else {})


def numbers_per_token(model: Model) -> dict[str, int]:
    """Numbers that one token leaves in one layer, by kind of store; 0 for a state, which does not grow."""
    return {store.kind: 0 if store.kind == "state" else store.numbers for store in stores(model)}


def added_per_token(model: Model, *, windows_full: bool = False) -> int | None:
    """Numbers that a token adds to the cache of all layers, while no window is full or once every one is. None where
    the source leaves that open, and where there is no cache."""
    if not model.decoder or not stores(model):
        return None
    growing = [s for s in stores(model) if s.kind != "state" and not (windows_full and s.window)]
    return int(sum(store.layers * store.numbers / store.every for store in growing))


FEATURES = {
    "qk_norm": ("QK-norm", "QK-norm"),
    "gate": ("gate", "an output gate"),
    "sinks": ("sinks", "sinks"),
    "latent": ("latent", "a latent"),
    "indexer": ("indexer", "an indexer"),
    "linear": ("linear", "linear layers"),
    "shared": ("shared K/V", "layers that share keys and values"),
    "window": ("window", "a window"),
    "nope": ("NoPE", "layers without positions"),
    "partial": ("part rotated", "heads rotated in part"),
}
"""What can be special about a model's attention: its name in few letters, and in a sentence."""


def features(model: Model) -> dict[str, str | None]:
    """What is special about a model, by the keys of `FEATURES` in words; "" where it has no such thing, None where its
    source does not say."""

    def layers_of(letters: str, words: str) -> str | None:
        if model.kinds is None:
            return None
        count = sum(map(model.kinds.count, letters))
        return f"{count} of {model.layers} layers {words}" if count else ""

    shares = [model.rotary, *([] if model.global_rotary is None else [model.global_rotary])]
    parts = [share for share in shares if share is not None and 0 < share < 1]
    where = " in global layers" if model.global_rotary is not None else ""
    partial = f"{parts[-1]:.3g} of d_head is rotated{where}" if parts else None if None in shares else ""
    local = layers_of("LKH", f"look at {model.window:,} tokens at most") or ""
    if set(model.kinds or "") & set("KH"):
        local = layers_of("LKH", f"look at {model.window:,} tokens, and at the earlier ones compressed")
    return {
        "qk_norm": {True: "queries and keys are normalised", False: "", None: None}[model.qk_norm],
        "gate": model.gate and f"an output gate, a number for each {model.gate}",
        "sinks": model.sinks and f"sinks, {model.sinks}",
        "latent": _latent_in_words(model),
        "indexer": _indexer_in_words(model.indexer),
        "linear": layers_of("S", "are linear"),
        "shared": f"the last {model.shared_layers} layers share keys and values" if model.shared_layers else "",
        "window": local or (f"a window of {model.window:,} tokens" if model.window else ""),
        "nope": layers_of("N", "have no positions"),
        "partial": partial,
    }


def _latent_in_words(model: Model) -> str:
    if model.latent is None:
        return "a latent, its width unknown"
    rotary = f", {model.latent_rotary} of them with the position" if model.latent_rotary else ""
    return f"a latent of {model.latent:,} numbers{rotary}" if model.latent else ""


def _indexer_in_words(indexer: Indexer | None) -> str:
    if indexer is None:
        return ""
    if indexer.keys is None:
        return "an indexer, its sizes unknown"
    blocks = f" in blocks of {indexer.block:,}" if indexer.block > 1 else ""
    return f"an indexer that picks {indexer.keys:,} keys{blocks}"


def shelf(model: Model) -> str:
    """Under which heading a list shows it: by age, and the new ones by how sure their numbers are."""
    if (model.year or 0) < 2025:
        return "until 2024" if model.year else "your own"
    return {"A": "2025/26, A: own files", "B": "2025/26, B: class defaults", "C": "2025/26, C: experimental"}[
        model.certainty[0]
    ]


def source_in_words(model: Model) -> str:
    """Where the numbers stand, and what else must be said of them."""
    more = {"B": ": class defaults, which need not be the checkpoint's", "C": ": defaults of an experimental class"}
    return model.source + more.get(model.certainty, "")


def layers_in_words(model: Model) -> str:
    """How many layers of each kind there are: "27 local (128 tokens), 9 global"."""
    if model.kinds is None:
        return "layers: ?"
    window = f" ({model.window:,} tokens)" if model.window else ""
    counts = [
        f"{model.kinds.count(letter)} {LAYERS[letter]}{window if letter in 'LKH' else ''}"
        for letter in dict.fromkeys(model.kinds)
    ]
    shared = [f"the last {model.shared_layers} share keys and values"] if model.shared_layers else []
    return ", ".join(counts + shared)


def _read() -> tuple[Model, ...]:
    rows = json.loads((_data.PACKAGE / "published.json").read_text(encoding="utf-8"))
    for row in rows:
        if "indexer" in row:
            row["indexer"] = Indexer(**row["indexer"])
        if "compressed" in row:
            row["compressed"] = tuple(row["compressed"])
    return tuple(Model(**row) for row in rows)


MODELS = _read()
