"""Three briefs as people bring them, and what a choice makes of each: by `cost` and by what the lessons recorded.

What is given stands in a dictionary beside each brief; what is chosen is what its function takes. A quality is taken
from a record under the conditions that its row names: it is evidence, and no promise.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from mha_lab import communication, cost, models, published, tasks
from mha_lab._door import divides, whole
from mha_lab.choosing import register
from mha_lab.choosing.decisions import EXAMPLE, cache_bytes
from mha_lab.choosing.judged import Judgement, Need

NAN = math.nan

# a support classifier on a laptop ------------------------------------------------------------------------------------

LAPTOP = {
    "main": 0.99,  # share of right answers to the test sentences that are no ordinals
    "kind": 0.97,  # of each of their kinds
    "longer": 0.95,  # of sentences with 6 to 8 requests
    "ordinal": 0.99,
    "milliseconds": 3.0,  # for one sentence of 64 tokens, alone, on one thread
    "training": 120.0,  # seconds of one core, each night
}
"""What the support desk wants at least, or at most."""

WIDTHS = 64, 256, 512
STEPS = 500, 2000
_BIASED = "relative", "from zero", "gentle", "symmetric", "two-sided", "ALiBi"
_TIMED = {"BiLSTM": "BiLSTM", "rotary": "attention, rotary"} | dict.fromkeys(_BIASED, "attention, bias")
"""Which timed model computes the same; of all others there is no record."""
_SEEDS = "test sentences, mean of the seeds"


def laptop(*, model: str, d_model: int, steps: int, ordinals: str) -> Judgement:
    """What a classifier of customers' wishes makes of LAPTOP.

    model     one of models.INTENT_MODELS, such as "relative" (attention with a relative bias) or "BiLSTM"
    d_model   64, 256 or 512
    steps     of training: 500 or 2,000
    ordinals  "model": it reads “the third one” itself; "rule": eight lines find the number first

    Raises ValueError for anything else."""
    _one_of("model", model, models.INTENT_MODELS)
    _one_of("d_model", d_model, WIDTHS)
    _one_of("steps", steps, STEPS)
    _one_of("ordinals", ordinals, ("model", "rule"))
    found, speed = tasks.recorded_intents(), tasks.recorded_intent_speed()
    trained = _trained(found, model, steps) if d_model == models.intents.D_MODEL else []

    def share(column):
        return sum(each.accuracy[column] for each in trained) / len(trained) if trained else NAN

    worst = min(found.kinds, key=share) if trained else ""
    time = speed.answers.get((_TIMED.get(model), d_model, 1, 64), (NAN, NAN, NAN))[1]
    timed = "nobody timed it" if math.isnan(time) else f"one sentence of 64 tokens, one thread, {speed.machine}"
    read = register.claim("09.rule") if ordinals == "rule" else None
    seconds = sum(each.seconds for each in trained) / len(trained) if trained else NAN
    condition = f"{_SEEDS} ({len(trained)}), d_model 64, {steps:,} steps" if trained else "nobody trained it so"
    return Judgement(
        (
            Need(
                "main sentences",
                share("main"),
                LAPTOP["main"],
                "",
                False,
                condition,
                register.place("09", "table-kinds"),
            ),
            Need(
                "the worst kind",
                share(worst) if trained else NAN,
                LAPTOP["kind"],
                "",
                False,
                f"{condition}: {worst!r}" if worst else condition,
                register.place("09", "table-kinds"),
            ),
            Need(
                "longer sentences",
                share("longer"),
                LAPTOP["longer"],
                "",
                False,
                f"6 to 8 requests; {condition}",
                register.place("09", "rotary-table"),
            ),
            Need(
                "ordinals",
                read.found["rule"] if read else share("ordinal"),
                LAPTOP["ordinal"],
                "",
                False,
                "2,000 new ordinals, rule and model" if read else condition,
                register.place("09", "rule-result"),
            ),
            Need(
                "one answer",
                1e3 * time,
                LAPTOP["milliseconds"],
                " ms",
                True,
                timed,
                register.place("09", "speed-numbers"),
            ),
            Need(
                "a night's training",
                seconds,
                LAPTOP["training"],
                " s",
                True,
                f"one core; {condition}",
                register.place("09", "confound-rows"),
            ),
        )
    )


def _trained(found, model, steps):
    try:
        return [each for each in found.of(model, steps=steps) if not math.isnan(each.accuracy["main"])]
    except ValueError:
        return []


# a chat model for 10,000 users ---------------------------------------------------------------------------------------

CHAT = {
    "users": 10_000,
    "texts at once": 500,  # at the busiest minute
    "tokens of a text": 8192,
    "billion parameters": 8.0,
    "GPUs": 4,
    "GB of each GPU": 80.0,
    "share of it kept free": 0.1,
    "GB a second": 3350.0,  # NVIDIA, H100 (SXM) data sheet
    "tokens a second, at least": 50.0,  # for each user
    "nats a character lost by sharing, at most": 0.1,  # in our record
    "nats a token lost by rounding, at most": 0.1,
    "far answers right, at least": 0.95,  # about what was said long before
}
"""What is given, and what is wanted."""

CHAT_MODEL = EXAMPLE
"""32 layers, d_model 4,096, 32 query heads of 128."""


def chat(*, kv_heads: int, pattern: str, window: int, bits: int, split: str) -> Judgement:
    """What a chat model in the sizes of CHAT_MODEL makes of CHAT.

    kv_heads  key/value heads for the 32 query heads
    pattern   G for a layer that sees everything, L for a window, repeated: "G", "LG", "LLLG"
    window    tokens that a layer L sees; 0 where there is none
    bits      of each number in the cache: 16, 8 or 4
    split     "heads": each GPU has a part of the heads of every layer; "texts": each GPU has the whole model, and a
              part of the texts

    Raises ValueError for what there is not."""
    _check_layers(CHAT_MODEL, kv_heads, pattern, window, bits)
    _one_of("split", split, ("heads", "texts"))
    gpus, texts = CHAT["GPUs"], CHAT["texts at once"]
    one = _cache(CHAT_MODEL, CHAT["tokens of a text"], kv_heads, pattern, window, bits)
    weights = 2e9 * CHAT["billion parameters"]
    if split == "heads":
        held = weights / gpus + texts * one * max(1, kv_heads / gpus) / kv_heads
        message = communication.all_reduce_seconds(communication.NVLINK, 2 * texts * CHAT_MODEL.d_model, gpus)
        waiting = 2 * CHAT_MODEL.layers * message  # after attention, and after the MLP
        copied = f"; {gpus} GPUs keep copies of {kv_heads} K/V head{'s' * (kv_heads > 1)}" if kv_heads < gpus else ""
        told = f"a quarter of the weights and of the heads' caches{copied}"
    else:
        held, waiting, told = weights + texts / gpus * one, 0.0, f"all weights, and the caches of {texts // gpus} texts"
    seconds = held / CHAT["GB a second"] / 1e9 + waiting
    free = CHAT["GB of each GPU"] * (1 - CHAT["share of it kept free"])
    return Judgement(
        (
            Need("memory of each GPU", held / 1e9, free, " GB", True, told, register.place("05", "users")),
            Need(
                "tokens a second for each user",
                1 / seconds,
                CHAT["tokens a second, at least"],
                "",
                False,
                f"a step reads all of that once{', and waits for two all-reduces a layer' if waiting else ''}",
                register.place("05", "limit-rule"),
            ),
            *_quality(CHAT_MODEL, CHAT, kv_heads, pattern, window, bits),
        )
    )


# a reader of long documents on a phone -------------------------------------------------------------------------------

PHONE = {
    "tokens of a text": 100_000,
    "billion parameters": 1.7,
    "bits a weight": 4,
    "GB": 3.0,  # that the system leaves to it
    "GB a second": 50.0,
    "GFLOPs a second": 1000.0,
    "seconds of reading, at most": 720.0,  # for the whole document
    "tokens a second, at least": 20.0,
    "nats a character lost by sharing, at most": 0.1,
    "nats a token lost by rounding, at most": 0.1,
    "far answers right, at least": 0.95,
}
"""What is given, and what is wanted."""

PHONE_MODEL = published.Model(
    "a model for a phone",
    layers=24,
    d_model=2048,
    num_heads=16,
    num_kv_heads=16,
    d_head=128,
    source="the brief of lesson 14",
)


def phone(*, kv_heads: int, pattern: str, window: int, bits: int, kernel: str) -> Judgement:
    """What a model in the sizes of PHONE_MODEL makes of PHONE.

    kv_heads, pattern, window, bits  as in `chat`, for 16 query heads
    kernel  "fused", or "explicit", which stores a layer's scores

    Raises ValueError for what there is not."""
    _check_layers(PHONE_MODEL, kv_heads, pattern, window, bits)
    _one_of("kernel", kernel, ("fused", "explicit"))
    N, model = PHONE["tokens of a text"], replace(PHONE_MODEL, num_kv_heads=kv_heads, pattern=pattern, window=window)
    parameters = 1e9 * PHONE["billion parameters"]
    weights = parameters * PHONE["bits a weight"] / 8
    cache = _cache(PHONE_MODEL, N, kv_heads, pattern, window, bits)
    scores = 2 * cost.stored_scores(1, N, model.num_heads) if kernel == "explicit" else 0
    square = 4 * N**2 * model.num_heads * model.d_head  # QKᵀ and AV of a layer that computes every pair
    looks = sum(
        kind.layers * (square if kernel == "explicit" else square / 2 if kind.letter == "G" else kind.flops(N))
        for kind in published.layer_kinds(model)
    )
    work = 2 * parameters * N + looks
    told = "weights of 4 bits, the cache" + (f", and a layer's {model.num_heads} · N² scores" if scores else "")
    pairs = "every pair of tokens" if kernel == "explicit" else "the pairs that a layer sees"
    return Judgement(
        (
            Need(
                "memory while reading",
                (weights + cache + scores) / 1e9,
                PHONE["GB"],
                " GB",
                True,
                told,
                register.place("10", "011"),
            ),
            Need(
                "seconds to read it",
                work / PHONE["GFLOPs a second"] / 1e9,
                PHONE["seconds of reading, at most"],
                " s",
                True,
                f"2 FLOPs a weight and token, QKᵀ and AV for {pairs}",
                register.place("04", "crossing"),
            ),
            Need(
                "tokens a second",
                1e9 * PHONE["GB a second"] / (weights + cache),
                PHONE["tokens a second, at least"],
                "",
                False,
                "a step reads weights and cache once",
                register.place("05", "limit-rule"),
            ),
            *_quality(PHONE_MODEL, PHONE, kv_heads, pattern, window, bits),
        )
    )


# what both share -----------------------------------------------------------------------------------------------------


def _one_of(name: str, value, values: Sequence) -> None:
    if value not in values or isinstance(value, bool):
        *others, last = map(repr, values)
        raise ValueError(f"{name}={value!r}: it must be {', '.join(others)} or {last}.")


def _check_layers(model, kv_heads, pattern, window, bits):
    whole("kv_heads", kv_heads)
    divides(model.num_heads, kv_heads, f"{model.num_heads} query heads cannot share {kv_heads} of keys and values")
    if not isinstance(pattern, str) or not pattern or set(pattern) - set("GL"):
        raise ValueError(f"pattern={pattern!r}: it must be made of G and L, such as 'LLLG'.")
    whole("window", window, at_least=0)
    if len(pattern) > model.layers:
        raise ValueError(f"pattern={pattern!r} names {len(pattern)} layers; the model has {model.layers}.")
    if ("L" in pattern) != (window > 0):
        raise ValueError(f"pattern={pattern!r} and window={window}: a layer L needs a window, and no other has one.")
    _one_of("bits", bits, (16, 8, 4))


def _cache(model, tokens, kv_heads, pattern, window, bits) -> int:
    changed = {"num_kv_heads": kv_heads, "pattern": pattern, "window": window}
    return cache_bytes(model, tokens, bytes_per_number=bits / 8, **changed)


def _quality(model, brief, kv_heads, pattern, window, bits) -> tuple[Need, Need, Need]:
    """What sharing and rounding cost in our records, each in the unit of its own, and what is still found of what was
    said long before."""
    found, ratio = tasks.recorded_head_counts(), model.num_heads // kv_heads
    base, shape = found.characters[found.heads.index(8)], (8, 8 // ratio if 8 % ratio == 0 else 0, 8)
    sharing = 0.0 if ratio == 1 else NAN
    if shape in found.shared:
        seeds = found.shared[shape]
        sharing = float((seeds - base[: len(seeds)]).mean())
    told = f"{ratio} query head{'s' * (ratio > 1)} on one of keys and values (8 heads, d_model 64, 1,000 steps)"
    if math.isnan(sharing):
        told = f"no record has {ratio} query heads on one of keys and values"
    rounded = register.claim("11.small-numbers").found
    rounding = math.log1p({16: 0.0, 8: rounded["eight"], 4: rounded["four"]}[bits])
    far, where = _far(pattern, window, brief["tokens of a text"])
    return (
        Need(
            "nats a character, sharing",
            sharing,
            brief["nats a character lost by sharing, at most"],
            "",
            True,
            told,
            register.place("06", "shared-groups"),
        ),
        Need(
            "nats a token, rounding",
            rounding,
            brief["nats a token lost by rounding, at most"],
            "",
            True,
            f"{bits} bits a number (SmolLM2)",
            register.place("11", "058"),
        ),
        Need(
            "answers about far places",
            far,
            brief["far answers right, at least"],
            "",
            False,
            where,
            register.place("12", "pattern-says"),
        ),
    )


RECORDED_WINDOW = 8  # of the recorded patterns, in documents of 64 tokens
SHORTEST = min(model.window for model in published.MODELS if model.window)  # the record knows look-ups, and no nats


def _far(pattern, window, tokens) -> tuple[float, str]:
    """The share of far answers that the record has for a pattern, and under which conditions: that of the recorded
    pattern with the next larger share of local layers, so that no choice looks better than what was trained. NaN where
    no released model has windows so short, or no record so many local layers to a global one."""
    found = tasks.recorded_modern().patterns
    if window and window < SHORTEST:
        return NAN, f"no released model of our table has windows of fewer than {SHORTEST} tokens"
    local = 0.0 if window >= tokens else pattern.count("L") / len(pattern)
    shares = {kind: kind.count("L") / len(kind) for kind in found}
    most = max((kind for kind in found if "G" in kind), key=shares.get)
    if shares[most] < local < 1:
        return NAN, f"no record has more than {most.count('L')} local layers for each global one, but those of none"
    kind = min((kind for kind in found if shares[kind] >= local), key=shares.get)
    words = {0.0: "all layers global", 1.0: "all layers local"}
    laid = words.get(shares[kind], f"{kind.count('L')} local : {kind.count('G')} global")
    where = f"names in documents of 64 tokens, beyond a window of {RECORDED_WINDOW}, twelve layers: {laid}"
    return float(found[kind][:, 2].mean()), f"{where} (mean of {len(found[kind])} seeds)"
