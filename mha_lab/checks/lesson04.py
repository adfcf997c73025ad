"""Exercises of lesson 04: count a layer's parameters, its FLOPs, and the bytes of its scores. The FLOPs are counted in
the attention layers of SmolLM2 too."""

from functools import partial

from mha_lab import cost
from mha_lab.checks import pictures
from mha_lab.checks.class_key import some
from mha_lab.checks.compare import close
from mha_lab.checks.engine import exercise
from mha_lab.checks.in_model import model_exercise
from mha_lab.checks.pattern import number_in_words
from mha_lab.checks.returned import a_thing
from mha_lab.pretrained.counted import CountedLayers

# (B, N, S, d_model, num_heads, num_kv_heads): one plain sentence first, then a batch, other keys than queries, shared
# keys and values, and all of it at once; at last one head of keys for all.
SIZES = [
    (1, 16, 16, 64, 4, 4),
    (3, 10, 10, 48, 6, 6),
    (1, 5, 12, 40, 8, 8),
    (2, 7, 7, 96, 12, 3),
    (5, 9, 13, 72, 6, 2),
    (2, 6, 8, 60, 5, 1),
]


def _sizes():
    """The sizes of the cases: as many queries as keys where SIZES has it so."""
    sizes = []
    for B, N, S, d_model, H, G in SIZES:
        more = some(0, 5)
        sizes.append((B + some(0, 2), N + more, S + more, d_model * some(1, 3), H, G))
    return sizes


def count_gap(yours, target, *_, unit=""):
    """Both numbers, and how they differ: a forgotten factor, or a forgotten term, shows at once."""
    if yours.dtype.kind == "b":
        return "yours is True or False, and a number was asked for."
    if yours.shape != target.shape:
        return f"yours has shape {yours.shape}, and one number was asked for."
    mine, right = yours.item(), target.item()
    exact = yours == target if yours.dtype.kind in "iu" else close(yours, target, 1e-12, yours.dtype.name)
    return None if exact else number_in_words(mine, right, unit)


COUNTED = {"parts": {"number": ()}, "rtol": 1e-9, "gap": count_gap}
"""Of an exercise that returns one whole number, which has to be right to the last digit."""


# ----------------------------------------------------------------------------------------------------- parameters


@exercise(
    **COUNTED,
    stars=1,
    minutes=5,
    hint="Which shape has each of the four matrices, and which two of them get narrower where heads share keys and "
    "values?",
    second_hint="Each matrix leads from the width of what comes in to the width of what goes out. W^Q and W^O know all "
    "heads, W^K and W^V only those of keys and values; each head is d_model / num_heads wide. A bias has one number "
    "for each output of its matrix.",
    then="The head count divided d_model and multiplied d_head: it left no trace.",
    cases=lambda: [(d_model, H, G) for _, _, _, d_model, H, G in _sizes()],
)
def count_parameters(d_model, num_heads, num_kv_heads):
    """Numbers that a layer learns: W^Q, W^K, W^V, W^O and a bias for each of their outputs.
    There may be fewer heads of keys and values, num_kv_heads, than heads of queries, num_heads."""
    d_head = d_model // num_heads
    kv_width = num_kv_heads * d_head
    matrices = 2 * d_model * d_model + 2 * d_model * kv_width
    biases = 2 * d_model + 2 * kv_width
    return matrices + biases


def _parameters(d_model, kv_width, *, bias=1, out=1):
    return (1 + out) * d_model * (d_model + bias) + 2 * kv_width * (d_model + bias)


def _kv_width(d_model, num_heads, num_kv_heads):
    return d_model // num_heads * num_kv_heads


def full_matrices_for_each_head(d_model, num_heads, num_kv_heads, *, bias, shared):
    matrix = d_model * (d_model + bias)
    return 2 * num_heads * matrix + 2 * (num_kv_heads if shared else num_heads) * matrix


for _bias in (1, 0):
    for _shared in (True, False):
        count_parameters.mistake(
            "You count num_heads times too many: each head got matrices of d_model × d_model. How wide is one head's "
            "matrix, and how wide are all of them side by side?"
        )(partial(full_matrices_for_each_head, bias=_bias, shared=_shared))


@count_parameters.mistake(
    "One matrix is missing: three make queries, keys and values. Which fourth one puts the heads together, and what "
    "is its shape?"
)
def w_o_forgotten(d_model, num_heads, num_kv_heads):
    return _parameters(d_model, _kv_width(d_model, num_heads, num_kv_heads), out=0)


@count_parameters.mistake(
    "The matrices are right and their biases are missing. `nn.Linear(d_model, width)` learns one more vector: how long?"
)
def biases_forgotten(d_model, num_heads, num_kv_heads):
    return _parameters(d_model, _kv_width(d_model, num_heads, num_kv_heads), bias=0)


@count_parameters.mistake(
    "The matrices are right. Your biases are 4·d_model, as if all four matrices had d_model outputs: how many outputs "
    "do W^K and W^V have, where heads share keys and values?"
)
def biases_of_full_width(d_model, num_heads, num_kv_heads):
    return _parameters(d_model, _kv_width(d_model, num_heads, num_kv_heads), bias=0) + 4 * d_model


@count_parameters.mistake(
    "W^K and W^V have num_kv_heads columns in yours, one for each head. How many columns has one head?"
)
def one_column_for_each_kv_head(d_model, num_heads, num_kv_heads):
    return _parameters(d_model, num_kv_heads)


@count_parameters.mistake(
    "Everything is there but the bias of W^O, d_model numbers. Which of the four are `nn.Linear` with a bias?"
)
def bias_of_w_o_forgotten(d_model, num_heads, num_kv_heads):
    return count_parameters.solution(d_model, num_heads, num_kv_heads) - d_model


@count_parameters.mistake(
    "Right wherever every head has keys of its own. With num_kv_heads below num_heads, how many columns do W^K and W^V "
    "have left?"
)
def sharing_ignored(d_model, num_heads, num_kv_heads):
    return _parameters(d_model, d_model)


@count_parameters.mistake(
    "You share *all* matrices. W^Q still makes a query for each of num_heads heads: which two of the four are shared?"
)
def queries_shared_too(d_model, num_heads, num_kv_heads):
    kv_width = _kv_width(d_model, num_heads, num_kv_heads)
    return d_model * (d_model + 1) + 3 * kv_width * (d_model + 1)


@count_parameters.mistake(
    "That is 4·d_model², the textbook's formula. It has neither biases nor shared keys: which terms does each add?"
)
def the_textbooks_formula(d_model, num_heads, num_kv_heads):
    return 4 * d_model * d_model


@count_parameters.mistake(
    "You count one head. num_heads of them stand side by side in W^Q: what is missing as a factor, and where?"
)
def one_head_only(d_model, num_heads, num_kv_heads):
    d_head = d_model // num_heads
    return 3 * d_head * (d_model + 1) + d_model * (d_model + 1)


# ---------------------------------------------------------------------------------------------------------- FLOPs


def _in_smollm2(recorded):
    """The call for one attention layer of SmolLM2."""
    if isinstance(recorded, CountedLayers):
        return recorded.sizes
    return (
        f"The second argument is {a_thing(recorded)}, and SmolLM2's attention layers were asked for: "
        "`checks.count_flops(count_flops, counted_smollm2())`. Are the brackets at its end missing?"
    )


def _beside_torch(yours, target, recorded):
    (mine, right), N = (part[0].item() for part in (yours, target)), recorded.sizes[1]
    counted = recorded.flops
    if counted is not None and set(counted) != {right}:  # torch counts otherwise than we do: that is ours to mend
        return f"In SmolLM2 torch's counter saw {min(counted):,} FLOPs, and our solution says {right:,}."
    if mine == right and counted:
        return (
            f"SmolLM2 has read one text of {N} tokens, which looks at itself, and in each of its {len(counted)} "
            f"attention layers torch's counter saw {right:,} FLOPs: your number, to the last digit."
        )
    if mine == right:
        return (
            f"By its published sizes an attention layer of SmolLM2 does {right:,} FLOPs on {N} tokens, as you say. "
            "Where the model is installed (`make models`), torch counts in it while it reads."
        )
    judge = "torch's counter saw in the model" if counted else "its published sizes give"
    return f"For an attention layer of SmolLM2 and {N} tokens yours says {mine:,.12g} FLOPs; {judge} {right:,}."


def _along_the_text(yours, target, recorded):
    """One layer's two terms for texts of any length, and yours for the one that was read."""
    from mha_lab import plots

    figure = pictures.bare_figure("your count beside the two terms of SmolLM2's layer", 6.8, 3.6)
    lengths = [2**i for i in range(4, 14)]
    _, N, _, *sizes = recorded.sizes
    terms = [cost.flops(1, length, *sizes) for length in lengths]
    attention = [(each["QKᵀ"] + each["AV"]) / 1e6 for each in terms]
    projections = [sum(each.values()) / 1e6 - both for each, both in zip(terms, attention, strict=True)]
    lines = {"projections": projections, "QKᵀ and AV": attention}
    colors = {"projections": plots.OUTPUT, "QKᵀ and AV": plots.QUERY}
    title = f"A layer of SmolLM2: your count for {N} tokens"
    ax = figure.subplots()
    plots.curves(
        lengths, lines, log="xy", xlabel="tokens", ylabel="millions of FLOPs", title=title, colors=colors, ax=ax
    )
    if 0 < (mine := yours[0].item() / 1e6) < float("inf"):
        ax.plot(N, mine, "*", color=plots.INK, markersize=16)
        ax.annotate("yours", (N, mine), xytext=(-8, 8), textcoords="offset points", ha="right")
    return figure


@model_exercise(
    **COUNTED,
    stars=2,
    minutes=10,
    hint="Of each of the six products: how many rows has it, how many columns, and over how many numbers does each of "
    "its dot products run?",
    second_hint="Queries and outputs have N rows, keys and values S. For its scores a head multiplies (N × d_head) by "
    "(d_head × S), and its weights (N × S) by (S × d_head); num_heads heads do so, however few have keys of their own. "
    "Each dot product takes two operations for each pair of numbers, and a batch repeats all of it.",
    inside=_in_smollm2,
    says=_beside_torch,
    shows=_along_the_text,
    then="num_heads · d_head is d_model again: in the two products of attention, too, the head count cancels.",
    cases=lambda: _sizes(),
)
def count_flops(B, N, S, d_model, num_heads, num_kv_heads):
    """FLOPs of the six matrix products of one forward pass, a multiply-add as 2.
    B times N queries look at S keys; keys and values are made from the S tokens."""
    d_head = d_model // num_heads
    kv_width = num_kv_heads * d_head
    w_q_and_w_o = 2 * (2 * N * d_model * d_model)
    w_k_and_w_v = 2 * (2 * S * d_model * kv_width)
    qk_and_av = 2 * (2 * num_heads * N * d_head * S)
    return B * (w_q_and_w_o + w_k_and_w_v + qk_and_av)


def _flops(B, N, S, d_model, num_heads, num_kv_heads, *, add=2, out=1, scores=1, values=1, S_of_kv=None, kv_width=None):
    """The count with one thing changed."""
    kv_width = _kv_width(d_model, num_heads, num_kv_heads) if kv_width is None else kv_width
    projections = (1 + out) * N * d_model * d_model + 2 * (S_of_kv or S) * d_model * kv_width
    return add * B * (projections + (scores + values) * N * S * d_model)


@count_flops.mistake(
    "Exactly half: you count a multiplication and the addition that follows it as one. Hardware data sheets and "
    "torch's counter count two; what does each term become?"
)
def multiply_add_as_one(*sizes):
    return _flops(*sizes, add=1)


@count_flops.mistake(
    "You see what a counter sees that adds up the layers: the four projections. Which two products in attention belong "
    "to no layer, because all their numbers come from the text?"
)
def blind_as_hooks(*sizes):
    return _flops(*sizes, scores=0, values=0)


def _in_thousands(*sizes, unit):
    return count_flops.solution(*sizes) / unit


for _unit in (10**3, 10**6, 10**9, 10**12):
    count_flops.mistake(
        "Yours is in thousands, millions or billions of FLOPs. The number is right if you do not divide at the end: "
        "how many single FLOPs are there?"
    )(partial(_in_thousands, unit=_unit))


@count_flops.mistake(
    "That is attention alone, the O(n²·d) of the textbooks. Who made the queries, keys and values, and who mixes the "
    "heads?"
)
def attention_alone(B, N, S, d_model, num_heads, num_kv_heads):
    return 4 * B * N * S * d_model


@count_flops.mistake("One product is missing, of N · d_model · d_model multiply-adds. What happens to the heads last?")
def w_o_not_counted(*sizes):
    return _flops(*sizes, out=0)


@count_flops.mistake(
    "Of attention's two products you count as much as one: either one is missing, or both were halved as a causal mask "
    "would allow. There is no mask here. The scores are one product; which is the other?"
)
def values_not_weighted(*sizes):
    return _flops(*sizes, values=0)


@count_flops.mistake(
    "Your attention costs num_heads times too much: each head's dot products ran over d_model numbers. Over how many "
    "does one head's q·k run?"
)
def full_width_for_each_head(B, N, S, d_model, num_heads, num_kv_heads):
    return _flops(B, N, S, d_model, num_heads, num_kv_heads, scores=num_heads, values=num_heads)


@count_flops.mistake("Right for one text. What does a batch of B of them change?")
def batch_forgotten(B, *sizes):
    return _flops(1, *sizes)


@count_flops.mistake(
    "Right where there are as many keys as queries. From how many tokens are keys and values made: N or S?"
)
def keys_counted_as_queries(B, N, S, *sizes):
    return _flops(B, N, S, *sizes, S_of_kv=N)


@count_flops.mistake(
    "You used N for the keys too: N² scores. There are S keys and N queries; how many scores are there, and which of "
    "the projections run over S tokens?"
)
def every_n_alike(B, N, S, *sizes):
    return _flops(B, N, N, *sizes)


def _as_in_the_lesson(B, N, S, d_model, num_heads, num_kv_heads, *, batch, keys):
    return (B if batch else 1) * (8 * N * d_model**2 + 4 * N * (S if keys else N) * d_model)


for _batch in (True, False):
    for _keys in (True, False):
        count_flops.mistake(
            "That is the formula 8ND² + 4N²D, for one text that looks at itself, with a key for every head. Which "
            "of its terms change for a batch, for S keys, and where keys and values are shared?"
        )(partial(_as_in_the_lesson, batch=_batch, keys=_keys))


@count_flops.mistake(
    "Right wherever every head has keys of its own. With fewer K/V heads W^K and W^V have fewer columns: how many?"
)
def narrow_keys_ignored(B, N, S, d_model, num_heads, num_kv_heads):
    return _flops(B, N, S, d_model, num_heads, num_kv_heads, kv_width=d_model)


@count_flops.mistake(
    "You let sharing shrink the attention itself. Each of num_heads queries still meets every key, its own or a shared "
    "one: which head count belongs in QKᵀ?"
)
def sharing_saves_products(B, N, S, d_model, num_heads, num_kv_heads):
    shared = num_kv_heads / num_heads
    return _flops(B, N, S, d_model, num_heads, num_kv_heads, scores=shared, values=shared)


@count_flops.mistake(
    "The projections are right, and attention is counted with N · N scores. A query meets every key: how many keys are "
    "there?"
)
def square_scores(B, N, S, d_model, num_heads, num_kv_heads):
    return count_flops.solution(B, N, S, d_model, num_heads, num_kv_heads) - 4 * B * N * (S - N) * d_model


# --------------------------------------------------------------------------------------------------------- scores


@exercise(
    **COUNTED,
    stars=1,
    minutes=5,
    hint="Softmax reads one tensor and writes another of the same shape: which shape is that, and how many bytes has "
    "one number of it?",
    second_hint="Each head of queries has a map of its own, shared keys or not: a row for each query and a column for "
    "each key, in each text. At the worst moment scores and weights both exist, in numbers of 32 bits.",
    then="This is what the fused kernel never stores, and the one place where the head count stands as a factor.",
    cases=lambda: [(B, N, S, H, G) for B, N, S, _, H, G in _sizes()],
)
def peak_scores(B, N, S, num_heads, num_kv_heads):
    """Bytes of scores and weights, in float32, that the explicit path holds in training at its
    worst moment: while softmax reads the one and writes the other."""
    scores = B * num_heads * N * S
    return 2 * scores * 4


def _bytes(B, N, S, heads, tensors=2, width=4):
    return tensors * B * heads * N * S * width


@peak_scores.mistake(
    "Exactly half: one tensor of this shape in 4-byte numbers, or two in 2-byte ones. Softmax reads the scores while "
    "it writes the weights, in float32: how many bytes is that?"
)
def one_tensor(B, N, S, num_heads, num_kv_heads):
    return _bytes(B, N, S, num_heads, tensors=1)


def _in_larger_units(*sizes, unit):
    return peak_scores.solution(*sizes) / unit


@peak_scores.mistake("You counted numbers, and bytes were asked for. How many bytes does a float32 take?")
def numbers_for_bytes(B, N, S, num_heads, num_kv_heads):
    return _bytes(B, N, S, num_heads, width=1)


@peak_scores.mistake(
    "You counted the numbers of one tensor. How many bytes does a float32 take, and how many tensors of this shape "
    "does softmax need at once?"
)
def numbers_of_one_tensor(B, N, S, num_heads, num_kv_heads):
    return _bytes(B, N, S, num_heads, tensors=1, width=1)


@peak_scores.mistake(
    "Right wherever every head has keys of its own. Two query heads that share their keys still ask different "
    "questions: may they share a map of scores?"
)
def maps_shared(B, N, S, num_heads, num_kv_heads):
    return _bytes(B, N, S, num_kv_heads)


@peak_scores.mistake(
    "You have one map for all heads. What does each head have of its own, although d_model is cut between them?"
)
def one_map_for_all_heads(B, N, S, num_heads, num_kv_heads):
    return _bytes(B, N, S, 1)


def _square(B, N, S, num_heads, num_kv_heads, side):
    side = N if side == "N" else S
    return _bytes(B, side, side, num_heads)


for _side in "NS":
    peak_scores.mistake(
        "Your maps are square. A row is a query and a column is a key: how many of each are there in N queries on S "
        "keys?"
    )(partial(_square, side=_side))


@peak_scores.mistake("Yours is in bits. How many of them make a byte?")
def bits_for_bytes(B, N, S, num_heads, num_kv_heads):
    return 8 * _bytes(B, N, S, num_heads)


for _unit in (2**10, 2**20, 2**30, 10**3, 10**6, 10**9):
    peak_scores.mistake(
        "Yours is in larger units: kilobytes, megabytes or gigabytes. The number is right if you do not divide at the "
        "end: how many *bytes* are there?"
    )(partial(_in_larger_units, unit=_unit))


@peak_scores.mistake("Right for one text. How many maps does a batch of B have?")
def one_sentence(B, N, S, num_heads, num_kv_heads):
    return _bytes(1, N, S, num_heads)
