"""KVCacheExplorer: what a decoder keeps for every token, how much that is, and how fast it can be read."""

import math
from dataclasses import asdict

import traitlets

from mha_lab import _door
from mha_lab._door import divisors
from mha_lab.published import MODELS, Model, Store, layers_in_words, shelf, source_in_words, stores
from mha_lab.widgets._base import STATIC, Explorer, OneOf, plural
from mha_lab.widgets._picture import MUTED, Page

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

    A bar for every number of key/value heads that divides the query heads, a line for the memory that is free, and the
    most tokens a second that a bandwidth allows. Local layers keep their window, latent ones their latent, linear ones
    their state, and layers that share keys and values nothing; a line says what is left out. Weights and all other
    memory come on top and are not counted.
    Everything is computed in the browser. Every state is a trait: model (a name of `models`), context (tokens), batch
    (texts), num_kv_heads, bytes_per_number, budget (GiB) and bandwidth (GB/s, 10⁹ bytes a second). A new model brings
    its own context and key/value heads.
    """

    _esm = STATIC / "kv_cache_explorer.js"
    _css = STATIC / "kv_cache_explorer.css"

    model = traitlets.Unicode().tag(sync=True)
    context = traitlets.Int(1024).tag(sync=True)
    batch = traitlets.Int(1).tag(sync=True)
    num_kv_heads = traitlets.Int(1).tag(sync=True)
    bytes_per_number = OneOf(list(WIDTHS), 2).tag(sync=True)
    budget = OneOf(list(BUDGETS), 16).tag(sync=True)
    bandwidth = traitlets.Float(100.0).tag(sync=True)
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
        m, heads = self._model(), self._heads()
        growing = [store for store in stores(m) if store.kind != "state"]
        numbers = sum(store.layers * _numbers(store, m, heads) / store.every for store in growing)
        return int(numbers * self.bytes_per_number)

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
        return _draw(self)

    def __repr__(self):
        return f"KVCacheExplorer({self.model}, {self.context:,} tokens: {size(self.cache_bytes)})"

    def _model(self, name: str | None = None) -> Model:
        """The sizes of the present model, or of the named one."""
        name = self.model if name is None else name
        if not isinstance(name, str) or name not in self._models:
            raise traitlets.TraitError(f"{name!r:.60} is none of the models: {', '.join(self._models)}.")
        return self._models[name]

    def _heads(self) -> int | None:
        """Key/value heads, as far as they can be chosen: a latent has none."""
        return None if self._model().latent else self.num_kv_heads

    def _bytes(self, *heads) -> int:
        m, (heads,) = self._model(), heads or (self._heads(),)
        kept = sum(s.layers * s.entries(self.context) * _numbers(s, m, heads) for s in stores(m))
        return self.batch * kept * self.bytes_per_number

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
                f"{heads} query heads cannot share num_kv_heads={g}; what divides it: {divisors(heads)}."
            )
        return g

    @traitlets.validate("context", "batch")
    def _is_in_range(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        most = CONTEXTS[-1] if name == "context" else BATCHES[-1]
        if not 1 <= value <= most:
            raise traitlets.TraitError(f"{name}={value}: it must lie between 1 and {most:,}.")
        return value

    @traitlets.validate("bandwidth")
    def _bandwidth_is_positive(self, proposal):
        if not 1 <= proposal["value"] <= 10_000:
            raise traitlets.TraitError(f"bandwidth={proposal['value']}: it must lie between 1 and 10,000 GB/s.")
        return proposal["value"]


def _preset(m: Model) -> dict[str, object]:
    """What the page needs of a model."""
    kept = {
        "stores": [asdict(store) for store in stores(m)],
        "layers": layers_in_words(m),
        "left_out": _left_out(m),
        "kept": _kept_in_words(m),
    }
    named = {name: getattr(m, name) for name in ("name", "num_heads", "num_kv_heads", "latent")}
    return {
        **named,
        **kept,
        "source": source_in_words(m),
        "context": _longest(m),
        "published": m.context,
        "group": shelf(m),
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
        left.append(f"the indexer's keys ({m.indexer.width} more numbers for {every} in {layers or 'some'} layers)")
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
    missing = {"layers": m.kinds, "d_head": m.d_head, "latent": m.latent}
    return "its source does not say " + ", ".join(name for name, value in missing.items() if value is None)


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


def size(count: float) -> str:
    """A number of bytes in words: 128 KiB, 1.5 GiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    digits = 0 if count >= 100 or count == int(count) else 1 if count >= 10 else 2
    return f"{count:,.{digits}f} {unit}"


def _draw(explorer: KVCacheExplorer) -> tuple[bytes, int]:
    m, bars = explorer._model(), explorer._bars()
    largest, budget = max(b for _, b, _ in bars), explorer.budget * 2**30
    left, room, top, row = 150, 560, 114, 28
    left_out = _left_out(m)
    page = Page(900, top + len(bars) * row + (78 if left_out else 56))
    texts = plural(explorer.batch, "text")
    page.text(0, 14, f"{m.name}: {size(explorer.cache_bytes)} of {_kept_in_words(m)}", 15, bold=True)
    first = " until a window is full" if any(s.kind == "local" for s in stores(m)) else ""
    page.text(0, 38, f"{texts} of {explorer.context:,} tokens; {size(explorer.token_bytes)} a token{first}", 12)
    page.text(0, 58, f"at most {rate(explorer)} at {explorer.bandwidth:,.0f} GB/s, the cache read once a token", 12)
    page.text(0, 78, f"layers: {layers_in_words(m)}", 12)
    page.text(left - 10, top - 10, "key/value heads", 11, anchor="rm", colour=MUTED)
    for i, (label, count, chosen) in enumerate(bars):
        y = top + i * row
        page.text(left - 10, y + 12, label, 12, anchor="rm", bold=chosen)
        page.box(left, y + 3, max(1, room * count / largest), 18, "#4477AA" if chosen else "#BBBBBB")
        fits = "" if count <= budget else "  over budget"
        page.text(left + room * count / largest + 8, y + 12, size(count) + fits, 12, bold=chosen)
    bottom = top + len(bars) * row
    if budget <= largest:
        x = left + room * budget / largest
        page.box(x, top - 4, 1.5, bottom - top + 8, "#CC3311")
        page.text(x, bottom + 14, f"{explorer.budget} GiB", 11, anchor="mm", colour="#CC3311")
    else:
        page.text(left, bottom + 14, f"The budget, {explorer.budget} GiB, is beyond the longest bar.", 11, colour=MUTED)
    page.text(0, bottom + 40, f"Sizes: {source_in_words(m)}", 11, colour=MUTED)
    if left_out:
        page.text(0, bottom + 58, f"Left out: {left_out}", 11, colour=MUTED)
    return page.finished()


def rate(explorer: KVCacheExplorer) -> str:
    """Tokens a second in words."""
    each = explorer.tokens_per_second
    number = f"{each:,.0f}" if each >= 10 else f"{each:.2g}"
    return f"{number} tokens/s" + (" for each text" if explorer.batch > 1 else "")
