"""KVCacheExplorer: what a decoder keeps for every token, how much that is, and how fast it can be read."""

import math
from dataclasses import asdict

import traitlets

from mha_lab import _door
from mha_lab._door import divisors
from mha_lab.published import MODELS, Model, Store, stores
from mha_lab.widgets._base import STATIC, Between, Explorer, OneOf, Whole
from mha_lab.widgets._cache_picture import draw, size
from mha_lab.widgets._presets import preset

DECODERS = tuple(model for model in MODELS if model.decoder and stores(model))
"""The models that can be shown: all that write and whose widths are known."""
CONTEXTS = tuple(2**i for i in range(7, 21))
MOST_HEADS = 2**14
BATCHES = tuple(2**i for i in range(9))
WIDTHS = {4: "32 bits", 2: "16 bits", 1: "8 bits"}
BUDGETS = (8, 16, 24, 80)


class KVCacheExplorer(Explorer):
    """The cache of a real model for any context, batch, number of key/value heads and width of a number.

        KVCacheExplorer("Llama-3-8B")

    A bar for every number of key/value heads that divides the query heads, a line for the memory that is free, the
    cache against the context beside that of plain multi-head layers, and the most tokens a second that a bandwidth
    allows. Local layers keep their window, latent ones their latent, linear ones their state, and layers that share
    keys and values nothing; a line says what is left out. Weights and all other memory come on top and are not counted.
    Everything is computed in the browser. Every state is a trait: model (a name of `models`), context (tokens), batch
    (texts), num_kv_heads, bytes_per_number, budget (GiB) and bandwidth (GB/s, 10⁹ bytes a second). A new model brings
    its own context and key/value heads.
    """

    _esm = STATIC / "kv_cache_explorer.js"
    _css = STATIC / "kv_cache_explorer.css"
    fixed = ("_presets", "_others", "_contexts", "_batches")

    model = traitlets.Unicode().tag(sync=True)
    context = Whole(1024).tag(sync=True)
    batch = Whole(1).tag(sync=True)
    num_kv_heads = Whole(1).tag(sync=True)
    bytes_per_number = OneOf(list(WIDTHS), 2).tag(sync=True)
    budget = OneOf(list(BUDGETS), 16).tag(sync=True)
    bandwidth = Between(100.0, 1, 10_000, "GB/s").tag(sync=True)
    _presets = traitlets.List().tag(sync=True)
    _others = traitlets.List().tag(sync=True)  # models that cannot be shown, with the reason
    _contexts = traitlets.List(list(CONTEXTS)).tag(sync=True)
    _batches = traitlets.List(list(BATCHES)).tag(sync=True)

    def __init__(
        self,
        model: str = "Llama-3-8B",
        *,
        context: int | None = None,
        batch: int = 1,
        num_kv_heads: int | None = None,
        bytes_per_number: int = 2,
        budget: int = 16,
        bandwidth: float = 100.0,
        models: tuple[Model, ...] = DECODERS,
    ):
        """context and num_kv_heads are the model's own unless given; `models` are the ones to choose from.

        Raises TraitError for a size that no such model can have, ValueError for models that cannot be shown."""
        models = _door.several("models", models, "published.Model")
        for m in models:
            _door.instance("one of models", m, Model, "a published.Model")
        self._models = {m.name: m for m in models}
        if not self._models:
            raise ValueError("models is empty: there must be at least one to show.")
        for m in models:
            if not stores(m):
                raise ValueError(f"{m.name} cannot be shown: {_unknown(m)}.")
            if m.num_heads > MOST_HEADS:
                raise ValueError(f"{m.name} cannot be shown: {m.num_heads:,} heads are more than {MOST_HEADS:,}.")
        first = self._model(model)
        super().__init__(
            _presets=[_preset(m) for m in models],
            _others=[[m.name, _unknown(m)] for m in MODELS if m.decoder and not stores(m)]
            if models is DECODERS
            else [],
            model=model,
            context=_longest(first) if context is None else context,
            num_kv_heads=first.num_kv_heads if num_kv_heads is None else num_kv_heads,
            batch=batch,
            bytes_per_number=bytes_per_number,
            budget=budget,
            bandwidth=bandwidth,
        )
        self.observe(self._take_the_models_own, "model")  # only now: the sizes given above are meant

    @property
    def token_bytes(self) -> int:
        """Bytes that one token adds to the cache of one text, in all layers, while no window is full."""
        return self._added(self._heads())

    @property
    def cache_bytes(self) -> int:
        """Bytes of the whole cache: what the browser shows, computed here."""
        return self._bytes()

    @property
    def tokens_per_second(self) -> float:
        """The most tokens a second for each text, where a step reads the whole cache once and nothing else."""
        return self.bandwidth * 1e9 / self.cache_bytes

    def picture(self) -> tuple[bytes, int]:
        """The present state as PNG, and its width in CSS pixels."""
        return draw(self, kept=_kept_in_words(self._model()), left_out=_left_out(self._model()))

    def __repr__(self):
        return f"KVCacheExplorer({self.model}, {self.context:,} tokens: {size(self.cache_bytes)})"

    def _model(self, name: str | None = None) -> Model:
        """The sizes of the present model, or of the named one."""
        name = self.model if name is None else name
        if not isinstance(name, str) or name not in self._models:
            raise traitlets.TraitError(f"{_door._short(name)} is none of the models: {', '.join(self._models)}.")
        return self._models[name]

    def _heads(self) -> int | None:
        """Key/value heads, as far as they can be chosen: a latent has none."""
        return None if self._model().latent else self.num_kv_heads

    def _bytes(self, *heads) -> int:
        m, (heads,) = self._model(), heads or (self._heads(),)
        kept = sum(s.layers * s.entries(self.context) * _numbers(s, m, heads) for s in stores(m))
        return self.batch * kept * self.bytes_per_number

    def _added(self, heads: int | None) -> int:
        m = self._model()
        growing = [store for store in stores(m) if store.kind != "state"]
        numbers = sum(store.layers * _numbers(store, m, heads) / store.every for store in growing)
        return int(numbers * self.bytes_per_number)

    def _bars(self) -> list[tuple[str, int, bool]]:
        """(label, bytes, whether it is the present choice), few heads first; a latent in front of them all."""
        m = self._model()
        bars = [("latent", self._bytes(), True)] if m.latent else []
        for heads in _divisors(m.num_heads):
            name = {m.num_heads: " (MHA)", 1: " (MQA)"}.get(heads, "")
            bars.append((f"{heads}{name}", self._bytes(heads), heads == self._heads()))
        return bars

    _told: frozenset[str] = frozenset()  # traits in the message from the page that is being read

    def set_state(self, sync_data):
        """While Python is busy, the page makes one message of a new model and of what was moved after it."""
        self._told = frozenset(sync_data)
        try:
            super().set_state(sync_data)
        finally:
            self._told = frozenset()

    def _take_the_models_own(self, _):
        own = self._model()
        for name, value in {"context": _longest(own), "num_kv_heads": own.num_kv_heads}.items():
            if name not in self._told:
                setattr(self, name, value)

    @traitlets.validate("model")
    def _model_exists(self, proposal):
        return self._model(proposal["value"]).name

    @traitlets.validate("num_kv_heads")
    def _num_kv_heads_divides(self, proposal):
        heads, g = self._model().num_heads, proposal["value"]
        if g < 1 or heads % g:
            raise traitlets.TraitError(
                f"{heads} query heads cannot share num_kv_heads={_door._short(g)}; what divides it: {divisors(heads)}."
            )
        return g

    @traitlets.validate("context", "batch")
    def _is_in_range(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        most = CONTEXTS[-1] if name == "context" else BATCHES[-1]
        if not 1 <= value <= most:
            raise traitlets.TraitError(f"{name}={_door._short(value)}: it must lie between 1 and {most:,}.")
        return value


def _preset(m: Model) -> dict[str, object]:
    """What the page needs of a model; `full` are the numbers that a token would leave in all its layers, were each a
    plain multi-head one."""
    return {
        **preset(m),
        "num_heads": m.num_heads,
        "num_kv_heads": m.num_kv_heads,
        "latent": m.latent,
        "full": m.layers * m.num_heads * (m.d_head + m.values),
        "stores": [asdict(store) for store in stores(m)],
        "left_out": _left_out(m),
        "kept": _kept_in_words(m),
        "context": _longest(m),
        "published": m.context,
    }


def _longest(m: Model) -> int:
    """The longest text that the explorer shows of a model; where it is not published, 8,192 tokens."""
    return min(m.context or 8192, CONTEXTS[-1])


def _left_out(m: Model) -> str:
    """What a model keeps and the explorer does not count."""
    left = []
    if m.indexer:
        layers = m.indexer.layers
        if layers is None:
            layers = sum(m.kinds.count(letter) for letter in ("K" if m.compressed else "GN"))
        every = f"every {m.indexer.pooled} tokens" if m.indexer.pooled > 1 else "a token"
        more = "?" if m.indexer.width is None else m.indexer.width
        left.append(f"the indexer's keys ({more} more numbers for {every} in {layers or 'some'} layers)")
    if "S" in m.kinds and not m.state:
        left.append("the states of the linear layers")
    if set("SV") & set(m.kinds):
        left.append("the last few inputs that short convolutions remember")
    return "; ".join(left)


def _kept_in_words(m: Model) -> str:
    """What the cache is made of."""
    state = any(store.kind == "state" for store in stores(m))
    if m.latent:
        return "latents and states" if state else "latents"
    return "keys, values and states" if state else "keys and values"


def _unknown(m: Model) -> str:
    """Why a model cannot be shown."""
    known = {"layers": m.kinds, "d_head": m.d_head, "latent": m.latent}
    missing = [name for name, value in known.items() if value is None]
    return f"its source does not say {', '.join(missing)}" if missing else "its layers keep nothing that is counted"


def _numbers(store: Store, m: Model, heads: int | None) -> int:
    """Numbers an entry and layer with so many key/value heads; None: with the latent."""
    if heads is None or store.kind == "state":
        return store.numbers
    own = min(m.num_heads, heads * store.heads // m.num_kv_heads)  # some models' local layers have twice as many
    return own * (store.key + store.value)


def _divisors(number: int) -> list[int]:
    """What divides a number, found by trying no further than its root."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
