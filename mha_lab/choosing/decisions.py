"""The decisions of an attention layer, one by one: what to begin with, why, what it costs, and when not.

Nothing here is typed that can be computed: a number of the evidence is read from the register of claims, from the
recorded trainings or from the published models, and a cost from `cost`, in the sizes of `EXAMPLE`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from mha_lab import communication, cost, published, tasks
from mha_lab._door import finite, whole
from mha_lab.choosing import register
from mha_lab.choosing.register import Place
from mha_lab.tasks.memories_results import recorded_memories

EXAMPLE = next(model for model in published.MODELS if model.name == "Llama-3-8B")
"""The model in whose sizes costs are told, with 16 bits a number."""

TOKENS = 8192
STATE_BYTES = 4
"""Of a number in a linear layer's state, to which every token adds: in 16 bits the sum would drift (lesson 12b)."""
LINKS = communication.NVLINK, communication.INFINIBAND
TODAY = tuple(model for model in published.MODELS if (model.year or 0) >= 2025)


@dataclass(frozen=True)
class Evidence:
    """Why: a sentence with its numbers, the place in the lessons that shows it, and the claim in the register that was
    tried to be broken ("" where a recorded cell shows it)."""

    text: str
    place: Place
    claim: str = ""


@dataclass(frozen=True)
class Decision:
    """One row of the page.

    missing  claims that the row asks for and the register does not have"""

    name: str
    default: str
    evidence: tuple[Evidence, ...]
    cost: str
    when_not: str
    missing: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.default}"]
        lines += [f"    why       {each.text} ({each.claim or each.place})" for each in self.evidence]
        return "\n".join([*lines, f"    cost      {self.cost}", f"    when not  {self.when_not}"])


def decisions() -> tuple[Decision, ...]:
    """All decisions, in the order in which somebody meets them who designs a model.

    Raises FileNotFoundError where the register of claims does not lie beside the package."""
    return tuple(make() for make in _ROWS)


_ROWS: list[Callable[[], Decision]] = []


def _row(make):
    _ROWS.append(make)
    return make


# evidence ------------------------------------------------------------------------------------------------------------


def _why(*evidence: Evidence | str) -> dict[str, tuple]:
    """The fields evidence and missing: what is only a name is a claim that the register does not have."""
    return {
        "evidence": tuple(each for each in evidence if isinstance(each, Evidence)),
        "missing": tuple(each for each in evidence if isinstance(each, str)),
    }


def _beside(words: dict[str, str], losses: Callable, digits: int = 2) -> str:
    """Mean losses side by side: "without 0.19 nats, with 0.01"."""
    means = [f"{word} {float(losses(kind).mean()):.{digits}f}" for kind, word in words.items()]
    return f"{means[0]} nats, {', '.join(means[1:])}"


def _claim(name: str, text: str) -> Evidence | str:
    """The text with the numbers of a claim as its fields, where it has some; the claim's name alone, where the register
    has no such row or its trial measured other numbers."""
    if not register.is_registered(name):
        return name
    row = register.claim(name)
    try:
        return Evidence(text.format(**row.found), row.place, name)
    except (KeyError, ValueError):
        return name


def _cell(lesson: str, cell: str, text: str) -> Evidence:
    """What a cell of a lesson shows from a record."""
    return Evidence(text, register.place(lesson, cell))


def share_of(models: Iterable[published.Model], has: Callable[[published.Model], object]) -> str:
    """How many of the models have something: "12 of 38". A model whose source does not say has it not."""
    found = [bool(has(model)) for model in models]
    return f"{sum(found)} of {len(found)}"


def special(feature: str) -> Callable[[published.Model], object]:
    """Whether a model has a feature, a name of `published.features`."""
    return lambda model: published.features(model)[feature]


def shares_keys(model: published.Model) -> bool:
    """Whether heads share keys and values, or a latent in their place."""
    return model.num_kv_heads < model.num_heads or bool(model.latent)


def _released(text: str, has: Callable[[published.Model], object]) -> Evidence:
    """How many of the models of 2025 and 2026 have something. The cell of lesson 12 that counts them is the place."""
    return _cell("12", "which-count", f"{share_of(TODAY, has)} new models {text}")


# costs ---------------------------------------------------------------------------------------------------------------


def cache_bytes(
    model: published.Model = EXAMPLE, tokens: int = TOKENS, *, bytes_per_number: float = 2, **changed
) -> int:
    """Bytes that a model keeps of one text, with some of its decisions changed: cache_bytes(num_kv_heads=1). The states
    of linear layers are summed up token by token, and counted in 32 bits.

    Raises TypeError for a decision that no model has; ValueError for a size below 0, and where it is open how much the
    layers keep, such as linear layers without a state."""
    tokens, bytes_per_number = whole("tokens", tokens, at_least=0), finite("bytes_per_number", bytes_per_number)
    if bytes_per_number <= 0:
        raise ValueError(f"bytes_per_number={bytes_per_number:g}: it must be more than 0.")
    names = [each.name for each in fields(published.Model)]
    if unknown := sorted(changed.keys() - set(names)):
        raise TypeError(f"a model has no {unknown[0]!r}; it has: {', '.join(names)}.")
    model = replace(model, **changed) if changed else model
    if "S" in (model.kinds or "") and not model.state:
        raise ValueError(f"pattern={model.pattern!r} has linear layers (S): `state` says how many numbers each keeps.")
    stores = published.stores(model)
    if not stores:
        raise ValueError(f"{model.name}: its source leaves open how much its layers keep.")
    sizes = {"state": STATE_BYTES}
    kept = (
        each.layers * each.numbers * each.entries(tokens) * sizes.get(each.kind, bytes_per_number) for each in stores
    )
    return round(sum(kept))


def in_bytes(size: float) -> str:
    """A size as people say it: 1.0 GiB, 131 KiB."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:,.0f} {name}" if size >= 10 * unit else f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"


def _layer_parameters(**changed) -> int:
    sizes = {"num_kv_heads": EXAMPLE.num_kv_heads, "d_head": EXAMPLE.d_head, "bias": False} | changed
    heads = sizes.pop("num_heads", EXAMPLE.num_heads)
    return cost.parameters(EXAMPLE.d_model, heads, sizes.pop("num_kv_heads"), **sizes)


# the rows ------------------------------------------------------------------------------------------------------------


@_row
def heads() -> Decision:
    found = tasks.recorded_head_counts()
    long = found.characters_long.mean(dim=1)[found.heads.index(4) :]
    same = {_layer_parameters(num_heads=H, num_kv_heads=H, d_head=EXAMPLE.d_model // H) for H in (8, 16, 32, 64)}
    assert len(same) == 1
    return Decision(
        "heads, H",
        "as many as H · d_head = d_model gives at the d_head below",
        cost="at fixed H · d_head no parameter and no FLOP of the products; H · N² scores on the explicit path",
        when_not="a short training: narrow heads learn late. Fewer heads than look-ups that a word must make at once",
        **_why(
            _claim(
                "06.four-heads",
                "four look-ups at once, no MLP: one head {one_fast:.2f} right, two {two:.2f}, four {four:.2f}",
            ),
            _cell(
                "06",
                "text-what",
                f"text, 3,000 steps: 4 to 64 heads lie within {float(long.max() - long.min()):.2f} nats",
            ),
        ),
    )


@_row
def d_head() -> Decision:
    widths = [model.d_head for model in published.MODELS if model.d_head and not model.latent]
    wide, narrow = (_layer_parameters(d_head=width) / 1e6 for width in (128, 64))
    return Decision(
        "d_head",
        "128; 64 where d_model is below 1,024",
        cost=f"with H fixed, the layer grows with it: {narrow:.0f} → {wide:.0f} M parameters from 64 to 128",
        when_not="below 16: kernels are slow. (H · d_head need not be d_model)",
        **_why(
            _cell(
                "06",
                "rules-md",
                f"{widths.count(128)} of {len(widths)} published models have 128, all {min(widths)} to {max(widths)}",
            ),
            _claim(
                "04.narrow-heads", "d_head 16 takes {layer_16:.1f} times the time of 64, d_head 4 {layer_4:.1f} times"
            ),
        ),
    )


@_row
def kv_heads() -> Decision:
    found = tasks.recorded_head_counts()
    base = found.characters[found.heads.index(8)]
    costs = {
        shape: float((seeds - base[: len(seeds)]).mean()) for shape, seeds in found.shared.items() if shape[0] == 8
    }
    each = ", ".join(f"{costs[8, G, 8]:+.2f} with {G}" for G in (4, 2, 1))
    own, shared = cache_bytes(num_kv_heads=EXAMPLE.num_heads), cache_bytes()
    return Decision(
        "K/V heads, G",
        "8, and at least one for each GPU that shares the layer",
        cost=f"cache {in_bytes(own)} → {in_bytes(shared)} with 8 of 32 ({TOKENS:,} tokens); fewer parameters",
        when_not="an encoder keeps no cache. A trained model: pooling its heads ruins it, unless it is trained on",
        **_why(
            _cell(
                "06",
                "shared-groups",
                f"8 heads on text, nats: {each}; {costs[8, 1, 14]:+.2f} with 1 and its width given back",
            ),
            _released("share keys and values or keep a latent", shares_keys),
            _claim("11.pooled", "a trained model with 3 → 1 by the mean: perplexity {whole:.0f} → {mean:,.0f}"),
        ),
    )


@_row
def fusion() -> Decision:
    share = EXAMPLE.d_model * EXAMPLE.num_heads * EXAMPLE.d_head / _layer_parameters()
    return Decision(
        "fusion of heads",
        "Concat · W^O, which is a sum over heads",
        cost=f"H · d_head · d_model parameters, {share:.0%} of the example's layer",
        when_not="never left out where H · d_head is not d_model. A gated linear unit after it is no sum over heads",
        **_why(
            _claim("03.without-w-o-text", "text without W^O costs {cost:.2f} nats"),
            _claim("03.sum", "the output is the sum of the heads, to {worst:.0e}"),
            _claim("03.gates", "a gate before W^O leaves the sum exact, a gated linear unit does not"),
        ),
    )


@_row
def gate() -> Decision:
    feature = EXAMPLE.d_model * EXAMPLE.num_heads * EXAMPLE.d_head / _layer_parameters()
    head = EXAMPLE.d_model * EXAMPLE.num_heads / _layer_parameters()
    found = tasks.recorded_modern()
    quiet = _beside(
        {"plain": "without", "gate for each head": "with"}, lambda kind: found.idle_loss[kind]["window"][:, 0]
    )
    text = _beside({"wider": "wider heads", "gate for each number": "a gate"}, lambda kind: found.text_loss[kind])
    return Decision(
        "output gate",
        "none; σ(x W^G) before W^O where a large model is trained anew, by others' reports",
        cost=f"{feature:+.0%} of the layer's parameters a feature, {head:+.1%} a head; no cache",
        when_not="a trained model: its weights know no gate",
        **_why(
            _claim("12.quiet", f"idle heads, windows of 6: {quiet}"),
            _claim("12.gate-on-text", f"text, as many parameters: {text}"),
            _claim("12.still-a-sum", "made of x, before W^O, it leaves the sum over heads exact"),
            _released("have one", special("gate")),
        ),
    )


@_row
def qk_norm() -> Decision:
    rates = tasks.recorded_modern().rate_loss
    low, high = min(rates["plain"]), max(rates["plain"])
    words = {"plain": "without", "QK-norm": "with"}
    best, lost = (_beside(words, lambda kind, rate=rate: rates[kind][rate]) for rate in (low, high))
    return Decision(
        "QK-norm",
        "yes, in a model that is trained anew",
        cost=f"2 · d_head = {2 * EXAMPLE.d_head} parameters a layer; no cache, no product",
        when_not="latents that are absorbed: there is no key to be normalised",
        **_why(
            _claim("12.qk-norm", f"text, learning rate {high:g}: {lost}; at {low:g}: {best}"),
            _claim("12.norm-bound", "with gains of 1, a score is at most √d_head"),
            _released("have it", special("qk_norm")),
        ),
    )


@_row
def positions() -> Decision:
    found = tasks.recorded_intents()
    main = {name: float(found.accuracy(name).mean()) for name in ("learned", "rotary", "relative")}
    places = tasks.recorded_modern().places
    longer = {}
    for kind, runs in places.items():
        order, content = runs[:, -1].T.tolist()
        seeds = " ".join(f"{share:.2f}" for share in sorted(content))
        longer[kind] = f"order {min(order):.2f} to {max(order):.2f}, content {seeds}"
    return Decision(
        "positions",
        "rotary, of a quarter of d_head where texts get longer than in training",
        cost="rotary: none. A relative bias: H · N² numbers, or FlexAttention, which makes them in its tiles",
        when_not="short texts, short training: a relative bias learns order sooner",
        **_why(
            _cell(
                "09",
                "rotary-table",
                "who wants what: "
                "absolute {learned:.2f} right, rotary {rotary:.2f}, relative bias {relative:.3f}".format(**main),
            ),
            _claim("09.rotary-late", "rotary after 500 steps {short:.2f}, after 2,000 {long:.2f}"),
            _claim(
                "12.quarter",
                "trained on 64 tokens, read at 256, by seed: rotary (base 10,000) {rotary}; a quarter rotary "
                "{a quarter rotary}; none {none}".format(**longer),
            ),
            _released("rotate only a share of d_head", special("partial")),
        ),
    )


@_row
def windows() -> Decision:
    found = tasks.recorded_modern().patterns
    words = {"G": "all global", "LLLLLG": "5 local : 1 global", "L": "all local"}
    patterns = ", ".join(f"{word} {float(found[kind][:, 2].mean()):.2f}" for kind, word in words.items())
    mixed = cache_bytes(pattern="LLLG", window=1024)
    return Decision(
        "windows",
        "none up to some 8,000 tokens; beyond, 3 to 5 local layers for each global one",
        cost=f"cache {in_bytes(cache_bytes())} → {in_bytes(mixed)} with 3 : 1 and windows of 1,024 ({TOKENS:,} tokens)",
        when_not="windows alone where any place may be asked for. A trained model without its first token",
        **_why(
            _claim(
                "10.relay",
                "far names, 1,200 steps: windows alone {window:.2f} right, a full layer behind one {full:.2f}",
            ),
            _claim("12.pattern", f"twelve layers, facts beyond a window of 8: {patterns}"),
            _released("have local layers", special("window")),
        ),
    )


@_row
def sinks() -> Decision:
    idle = tasks.recorded_modern().idle_loss
    quiet = _beside({"plain": "without", "sink": "with a learned sink"}, lambda kind: idle[kind]["window"][:, 0])
    return Decision(
        "sinks",
        "keep the first token beside any window; a learned sink where windows are trained",
        cost="one place in the cache; learned: one number a head",
        when_not="layers that see everything have the first token already",
        **_why(
            _claim("10.sink", "SmolLM2's perplexity: all {full:.1f}, last 128 {window:.1f}, first and 127 {first:.1f}"),
            _claim("12.quiet", f"idle heads, windows of 6: {quiet}"),
            _released("have sinks", special("sinks")),
        ),
    )


@_row
def selection() -> Decision:
    found = recorded_memories()
    at, words = found.keys.index(64), {"exact": "the best", "indexer": "by an indexer", "last": "the last"}
    kept = ", ".join(f"{word} {float(found.perplexity[how][:, at].mean()):.0f}" for how, word in words.items())
    kept += f", all {found.everything:.0f}"
    copied = ", ".join(f"{word} {float(found.copied[how].mean()):.1f}" for how, word in words.items())
    return Decision(
        "selected keys",
        "none; an indexer with top-k keys for texts of 100,000 tokens and more",
        cost="the cache stays; the indexer's own keys come on top; fewer keys are read",
        when_not="texts shorter than a few times k",
        **_why(
            _claim("12b.indexer", f"SmolLM2, perplexity with 64 keys of 900 tokens: {kept}"),
            _claim("12b.copy", f"nats a token of what comes again after 350 tokens: {copied}"),
            _released("select keys", special("indexer")),
        ),
    )


@_row
def linear() -> Decision:
    found = recorded_memories()
    words = {"SSSS": "four with a state", "SSSG": "three and a softmax", "GGGG": "four softmax"}
    right = ", ".join(f"{word} {float(found.stacks[kind][:, -1].mean()):.2f}" for kind, word in words.items())
    state = EXAMPLE.num_heads * EXAMPLE.d_head**2
    cross = STATE_BYTES * state // (2 * 2 * EXAMPLE.num_kv_heads * EXAMPLE.d_head)
    return Decision(
        "linear layers",
        "none; 3 linear to 1 global where texts are long and many",
        cost=f"a state of {in_bytes(STATE_BYTES * state)} a layer (32 bits) in place of a cache: smaller beyond "
        f"{cross:,} tokens",
        when_not="all layers: a state of fixed size forgets what a cache keeps",
        **_why(
            _claim("12b.hybrid", f"four layers, {found.pairs[-1]} pairs to keep, right: {right}"),
            _released("have linear layers", special("linear")),
        ),
    )


@_row
def shared_layers() -> Decision:
    found = recorded_memories().sharing
    words = {("OOBB", 4): "2 of 4 layers borrow", ("OOOO", 2): "half of the K/V heads", ("OBBB", 4): "3 borrow"}
    more = {shape: float((found[shape] - found["OOOO", 4]).mean()) for shape in words}
    told = ", ".join(f"{word} {more[shape]:+.3f}" for shape, word in words.items())
    halved = cache_bytes(shared_layers=EXAMPLE.layers // 2)
    return Decision(
        "keys of other layers",
        "none; where one K/V head is left, the later layers borrow",
        cost=f"cache {in_bytes(cache_bytes())} → {in_bytes(halved)} if half of the layers borrow; fewer parameters",
        when_not="while K/V heads can still be shared: that costs as little. A trained model",
        **_why(
            _claim(
                "12b.sharing", f"text, 500 steps, nats more: {told} (tried at 2,000 too, one seed: 0.04, 0.04, 0.09)"
            ),
            _released("share keys over layers", special("shared")),
        ),
    )


@_row
def cache_bits() -> Decision:
    return Decision(
        "cache",
        "always, where a model writes; 16 bits a number, 8 where memory is short",
        cost=f"{in_bytes(cache_bytes(tokens=1))} a token in 16 bits, half of it in 8",
        when_not="an encoder: it writes nothing. 4 bits without a test of your own",
        **_why(
            _claim("05.cache-changes-nothing", "with and without it the outputs differ by {worst:.0e} at most"),
            _claim("11.small-numbers", "8 bits a number: perplexity {eight:+.1%}; 4 bits: {four:+.0%}"),
        ),
    )


@_row
def kernel() -> Decision:
    sizes = 1, TOKENS, EXAMPLE.d_model, EXAMPLE.num_heads, EXAMPLE.num_kv_heads
    explicit = cost.stored_scores(1, TOKENS, EXAMPLE.num_heads) * 2
    assert explicit < cost.explicit_peak_bytes(*sizes, d_head=EXAMPLE.d_head, bytes_per_number=2)
    return Decision(
        "kernel",
        "fused (scaled_dot_product_attention)",
        cost=f"explicit: {in_bytes(explicit)} of scores a layer at {TOKENS:,} tokens; fused: none",
        when_not="the weights are wanted. Dropout, or values wider than keys, make PyTorch's CPU kernel store scores",
        **_why(
            _claim("10.same-numbers", "tiles give the full path's numbers, to {apart:.0e}"),
            _claim("04.memory", "16 heads: explicit {explicit_16:.0f} MiB, fused {fused_16:.0f} MiB"),
        ),
    )


@_row
def parallelism() -> Decision:
    moved, ranks = 2 * EXAMPLE.d_model, 8
    inside, across = (1e6 * communication.all_reduce_seconds(link, moved, ranks) for link in LINKS)
    return Decision(
        "parallelism",
        "one machine while it fits; then the heads of a layer over the GPUs of one server",
        cost=f"an all-reduce of {in_bytes(moved)} a token and layer after W^O: {inside:.0f} µs among {ranks} GPUs of a "
        f"server, {across:.0f} between servers (latencies assumed)",
        when_not="more GPUs than K/V heads: they keep copies. Between servers: cut by layers or by texts",
        **_why(
            _claim("13.same-numbers", "two and four ranks give one machine's numbers, to {apart:.0e}"),
            _claim(
                "13.pays",
                "Llama-3.1-405B, a token over the network, in a ring, 8 µs a message: a layer with its MLP is fastest "
                "on {fastest} GPUs",
            ),
            _claim("13.kv-cache", "8 K/V heads: a rank's cache falls to an eighth on 8 ranks, and on 64 no further"),
        ),
    )
