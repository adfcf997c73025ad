"""KVCacheExplorer: what a decoder keeps for every token, how much that is, and how fast it can be read."""

from dataclasses import asdict

import traitlets

from mha_lab.cost import kv_cache_bytes
from mha_lab.widgets._base import Explorer, OneOf, joined, plural
from mha_lab.widgets._picture import MUTED, Page
from mha_lab.widgets.published import MODELS, Model

DECODERS = tuple(model for model in MODELS if model.decoder)
CONTEXTS = tuple(2**i for i in range(7, 18))
BATCHES = tuple(2**i for i in range(9))
WIDTHS = {4: "32 bits", 2: "16 bits", 1: "8 bits"}
BUDGETS = (8, 16, 24, 80)


class KVCacheExplorer(Explorer):
    """The cache of a real model for any context, batch, number of key/value heads and width of a number.

        KVCacheExplorer("Llama-3-8B")

    A bar for every number of key/value heads that divides the query heads, a line for the memory that is free, and the
    most tokens a second that a bandwidth allows. Weights and all other memory come on top and are not counted.
    Everything is computed in the browser. Every state is a trait: model (a name of `models`), context (tokens), batch
    (texts), num_kv_heads, bytes_per_number, budget (GiB) and bandwidth (GB/s, 10⁹ bytes a second). A new model brings
    its own context and key/value heads.
    """

    _esm = joined("kv_cache_explorer.js")
    _css = joined("kv_cache_explorer.css")

    model = traitlets.Unicode().tag(sync=True)
    context = traitlets.Int(1024).tag(sync=True)
    batch = traitlets.Int(1).tag(sync=True)
    num_kv_heads = traitlets.Int(1).tag(sync=True)
    bytes_per_number = OneOf(list(WIDTHS), 2).tag(sync=True)
    budget = OneOf(list(BUDGETS), 16).tag(sync=True)
    bandwidth = traitlets.Float(100.0).tag(sync=True)
    _presets = traitlets.List().tag(sync=True)
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

        Raises traitlets.TraitError for a size that no such model can have."""
        known = {m.name: m for m in models}
        first = known.get(model, models[0])
        super().__init__(
            _presets=[asdict(m) for m in models],
            model=model,
            context=first.context if context is None else context,
            num_kv_heads=first.num_kv_heads if num_kv_heads is None else num_kv_heads,
            batch=batch,
            bytes_per_number=bytes_per_number,
            budget=budget,
            bandwidth=bandwidth,
        )
        self.observe(self._take_the_models_own, "model")  # only now: the sizes given above are meant

    @property
    def token_bytes(self) -> int:
        """Bytes that one token leaves in the cache of one text, in all layers."""
        return self._bytes(batch=1, tokens=1)

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
        models = {m["name"]: m for m in self._presets}
        if name not in models:
            raise traitlets.TraitError(f"{name!r} is none of the models: {', '.join(models)}.")
        return Model(**models[name])

    def _bytes(self, *, num_kv_heads=None, batch=None, tokens=None) -> int:
        m = self._model()
        batch = self.batch if batch is None else batch
        tokens = (min(self.context, m.window) if m.window else self.context) if tokens is None else tokens
        if m.latent and num_kv_heads is None:
            return batch * tokens * m.layers * m.latent * self.bytes_per_number
        heads = self.num_kv_heads if num_kv_heads is None else num_kv_heads
        return kv_cache_bytes(batch, tokens, heads, m.d_head, layers=m.layers, bytes_per_number=self.bytes_per_number)

    def _bars(self) -> list[tuple[str, int, bool]]:
        """(label, bytes, whether it is the present choice), few heads first; a latent in front of them all."""
        m = self._model()
        bars = [("latent", self._bytes(), True)] if m.latent else []
        for heads in (g for g in range(1, m.num_heads + 1) if m.num_heads % g == 0):
            name = {m.num_heads: " (MHA)", 1: " (MQA)"}.get(heads, "")
            bars.append(
                (f"{heads}{name}", self._bytes(num_kv_heads=heads), not m.latent and heads == self.num_kv_heads)
            )
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
        for name in {"context", "num_kv_heads"} - self._told:
            setattr(self, name, getattr(own, name))

    @traitlets.validate("model")
    def _model_exists(self, proposal):
        return self._model(proposal["value"]).name

    @traitlets.validate("num_kv_heads")
    def _num_kv_heads_divides(self, proposal):
        heads, g = self._model().num_heads, proposal["value"]
        if g < 1 or heads % g:
            divisors = ", ".join(str(d) for d in range(1, heads + 1) if heads % d == 0)
            raise traitlets.TraitError(
                f"{heads} query heads cannot share num_kv_heads={g}; what divides it: {divisors}."
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
    left, room, top, row = 150, 560, 92, 28
    page = Page(900, top + len(bars) * row + 56)
    texts = plural(explorer.batch, "text")
    page.text(0, 14, f"{m.name}: {size(explorer.cache_bytes)} of keys and values", 15, bold=True)
    kept = f", of which a layer keeps {m.window:,}" if m.window and explorer.context > m.window else ""
    page.text(0, 38, f"{texts} of {explorer.context:,} tokens{kept}; {size(explorer.token_bytes)} a token", 12)
    page.text(0, 58, f"at most {rate(explorer)} at {explorer.bandwidth:,.0f} GB/s, the cache read once a token", 12)
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
    page.text(0, bottom + 40, f"Sizes: {m.source}", 11, colour=MUTED)
    return page.finished()


def rate(explorer: KVCacheExplorer) -> str:
    """Tokens a second in words."""
    each = explorer.tokens_per_second
    number = f"{each:,.0f}" if each >= 10 else f"{each:.2g}"
    return f"{number} tokens/s" + (" for each text" if explorer.batch > 1 else "")
