"""Exercises of lesson 02: split heads, a layer on paper, a published pseudo-code mended, and the scores of all heads,
which redraw the maps of a trained layer."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized
from mha_lab.checks.compare import difference, place
from mha_lab.checks.engine import AnswerExercise, answer_exercise, exercise, seeded
from mha_lab.checks.in_model import model_exercise
from mha_lab.checks.returned import a_thing

# (B, N, H, K). Only in the last are N and H equal, so that shapes alone cannot tell tokens from heads.
SIZES = [(2, 4, 2, 3), (1, 5, 3, 4), (3, 2, 4, 2), (2, 6, 1, 5), (2, 3, 3, 2)]
SPLIT = ("batch", "head", "token", "feature")
MERGED = ("batch", "token", "column")
SCORES = ("batch", "head", "query", "key")


def _numbered(*shape):
    """A tensor without two equal elements: each number tells where it came from."""
    return torch.arange(float(np.prod(shape))).reshape(shape)


def _origin(number, shape):
    """Where in a numbered tensor of this shape a number was, or None for a number that never was in it."""
    if number != int(number) or not 0 <= number < np.prod(shape):
        return None
    return np.unravel_index(int(number), shape)


def _moved(yours, target, x, axes, names):
    """The first element that is not where it belongs, told by where it came from."""
    gap = difference(yours, target, axes)
    if gap is None or yours.dtype.kind == "b" or yours.shape != target.shape or not np.isfinite(yours).all():
        return gap
    index = tuple(np.argwhere(yours != target)[0])
    came, belongs = _origin(yours[index], x.shape), _origin(target[index], x.shape)
    if came is None:
        return gap
    count = f"{(yours != target).sum()} of {yours.size} elements are out of place"
    place_in_x = f"yours has x's {place(came, names)}, the target x's {place(belongs, names)}"
    return f"at {place(index, axes)}, {place_in_x} ({count})."


def _split_picture(yours, target, x, num_heads):
    """One row for each head and token; the shade is the token that a number came from."""
    _, heads, tokens, width = target[0].shape
    rows = [f"head {h}, token {n}" for h in range(heads) for n in range(tokens)]

    def origin(number):
        where = _origin(number, x.shape)
        return ("?", 0) if where is None else (f"t{where[1]} c{where[2]}", where[1] / max(tokens - 1, 1))

    return pictures.origin_grids(yours[0][0].reshape(-1, width), target[0][0].reshape(-1, width), rows, origin)


@exercise(
    stars=1,
    minutes=10,
    hint="`view` never moves a number. Which dimension can it cut in two, so that every number still stands beside "
    "its own token?",
    second_hint="Two steps. First the last dimension, D = H · K, becomes two, heads before features; then heads and "
    "tokens change places.",
    then="A `view` and a `transpose` compute no number and copy none: they only change how memory is read.",
    cases=lambda: [(_numbered(B, N, H * K), H) for B, N, H, K in sized(SIZES)],
    parts={"heads": SPLIT},
    gap=lambda yours, target, x, num_heads: _moved(yours, target, x, SPLIT, MERGED),
    picture=_split_picture,
)
def split_heads(x, num_heads):
    """x (B, N, D) → (B, H, N, K), K = D / H: head i gets columns i·K … (i+1)·K of every token."""
    B, N, D = x.shape
    return x.view(B, N, num_heads, D // num_heads).transpose(1, 2)


@split_heads.mistake(
    "The shape is right and the numbers are not: your heads took whole tokens, not columns of every token. "
    "In which order does `view` walk through memory, and which dimension has to stay in front while D is cut?"
)
def plain_view(x, num_heads):
    B, N, D = x.shape
    return x.reshape(B, num_heads, N, D // num_heads)


@split_heads.mistake(
    "Each head has the right numbers, but the heads stand outside the batch: (H, B, N, K). "
    "Which dimension should come first, so that one sequence keeps all its heads together?"
)
def heads_outermost(x, num_heads):
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads).permute(2, 0, 1, 3)


@split_heads.mistake(
    "The cut is right: (B, N, H, K). A matmul works on the last two dimensions, and here those are heads and "
    "features. Which two dimensions have to change places?"
)
def not_transposed(x, num_heads):
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads)


@split_heads.mistake(
    "Your head 0 has every H-th column instead of the first K: D was cut as (K, H). "
    "Which of the two has to be the inner, last one for a head's columns to be neighbours?"
)
def interleaved_columns(x, num_heads):
    B, N, D = x.shape
    return x.reshape(B, N, D // num_heads, num_heads).permute(0, 3, 1, 2)


@split_heads.mistake(
    "Each of your heads has all D columns. Every head may *look at* the whole token, through its own projection; "
    "after the projection, how many columns are left for each of H heads?"
)
def d_model_for_each_head(x, num_heads):
    return x[:, None].repeat(1, num_heads, 1, 1)


@split_heads.mistake(
    "Your heads are num_heads wide, and there are K of them. Is num_heads a number of heads, or a width?"
)
def num_heads_taken_for_a_width(x, num_heads):
    return split_heads.solution(x, x.shape[-1] // num_heads)


def _first_for_all(x, num_heads, alone):
    heads = split_heads.solution(x[:1], num_heads)
    return heads if alone else heads.expand(len(x), -1, -1, -1)


for _alone in (True, False):
    split_heads.mistake("Your heads are all made of example 0 of the batch. What becomes of the other examples?")(
        partial(_first_for_all, alone=_alone)
    )


ON_PAPER = "d_head", "parameters", "parameters with heads of 64", "weights in the maps", "divisor"
SQUARE, WIDE = 768 * 768, 768 * (16 * 64)  # numbers in one matrix: as wide as d_model, and for 16 heads of 64
# What somebody had in mind who wrote this number: d_model 768, 16 heads where there were 12, 100 tokens.
SLIPS = {
    "d_head": {
        64: "that is the width of one of 12 heads. How do 16 heads share 768 columns?",
        768: "that is the width of all heads together. How many of its columns has one of 16 heads?",
        16: "that is the number of heads. How many of the 768 columns has each?",
    },
    "parameters": {
        SQUARE: "that is one matrix. How many does a layer have?",
        3 * SQUARE: "those are three matrices. Which one stands behind the heads?",
        64 * SQUARE: "your layer has grown 16 times. Has every head four matrices of full width?",
        SQUARE // 4: "those are the parameters of one head. What have all 16 together?",
        4 * WIDE: "that is a layer whose heads are 64 wide. How wide are 16 heads together where each has 48?",
        4 * SQUARE + 4 * 768: "you counted the biases too. What is left without them?",
    },
    "parameters with heads of 64": {
        WIDE: "that is one matrix. How many does a layer have?",
        # 3 · WIDE is 4 · SQUARE: two slips give the same number
        3 * WIDE: "that is the layer of question 2, or this one without W^O. How many columns have 16 heads of 64 "
        "together, and how many matrices has a layer?",
        3 * WIDE + SQUARE: "W^Q, W^K and W^V are right. From how many columns does W^O lead back to 768?",
        4 * (16 * 64) ** 2: "your d_model has grown as well. A word still has 768 numbers: which side of W^Q grows?",
        WIDE // 4: "those are the parameters of one head. What have all 16 together?",
    },
    "weights in the maps": {
        100 * 100: "that is one map. How many maps have 16 heads?",
        16 * 100: "those are the rows of all maps. How many weights has a row?",
        12 * 100 * 100: "those are the maps of 12 heads. How many heads are there now?",
        16 * 100 * 48: "a map has a row for each query. Has it a column for each feature, or for each key?",
    },
    "divisor": {
        48: "that is how fast the *variance* grows. How does the spread grow?",
        8: "that was right for 12 heads. How wide is a head now?",
        768**0.5: "that is for a dot product over all 768 columns. Over how many products does one of 16 heads sum?",
        7: "that is rounded to a whole number. What is its first decimal?",
        4: "that is the root of the number of heads. Over how many products does one head's dot product sum?",
    },
}


def _close(number: float, right: float) -> bool:
    """A number from a pencil may be rounded: 6.9 for the root of 48, 2.36 million for a count."""
    return abs(number - right) <= right * (0.005 if right < 100 else 0.0005)


def _judge_paper(task: AnswerExercise, answer: Sequence, _) -> Result:
    numbers = _five_numbers(answer)
    if numbers is None:
        asked = f"Five numbers were asked for ({', '.join(ON_PAPER)})"
        return task.result(
            "wrong",
            "not yet",
            f"{asked}, and {_no_number(answer) or f'this is {a_thing(answer)}'}.",
            mistake="not_what_was_asked",
        )
    wrong = [each for each in zip(ON_PAPER, numbers, task.solution(), strict=True) if not _close(*each[1:])]
    if not wrong:
        return task.result("passed", "passes: five of five", task.then)
    lines = [f"{name}, {_written(number)}: {_slip(name, number, right)}" for name, number, right in wrong]
    key = f"number_{list(ON_PAPER).index(wrong[0][0]) + 1}"
    verdict = f"not yet: right are {len(ON_PAPER) - len(wrong)} of {len(ON_PAPER)}"
    return task.result("wrong", verdict, *lines, mistake=key)


def _slip(name: str, number: float, right: float) -> str:
    known = next((question for slip, question in SLIPS[name].items() if _close(number, slip)), None)
    size = "large" if number > right else "small"
    return known or f"that is too {size}. Which sizes of the layer is it made of?"


def _written(number: float) -> str:
    """A count with all its digits, anything else with four."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e12 else f"{number:.4g}"


def _no_number(answer) -> str | None:
    """Which of five things is no number, in words; None where there are not five."""
    if not isinstance(answer, tuple | list) or len(answer) != len(ON_PAPER):
        return None
    for name, item in zip(ON_PAPER, answer, strict=True):
        if _five_numbers([item] * len(ON_PAPER)) is None:
            return f"{name} is {a_thing(item)}"
    return None


def _five_numbers(answer) -> list[float] | None:
    try:
        numbers = [float(number) for number in answer]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == len(ON_PAPER) and np.isfinite(numbers).all() else None


@answer_exercise(
    stars=2,
    minutes=5,
    hint="How wide are all heads together, before and after? Which of the five numbers depend on that, and which on "
    "the number of maps?",
    second_hint="Each of W^Q, W^K and W^V leads from d_model to the width of all heads together, and W^O back. A head "
    "has one map, with a row for each query and a column for each key; its scores are divided by the root of its own "
    "width.",
    then="From 12 heads to 16 at the same width, each head got narrower, its divisor smaller, and there are more maps; "
    "the parameters stayed. They follow h · d_head, and nothing else about the heads.",
    judge=_judge_paper,
)
def layer_on_paper(d_model=768, num_heads=16, tokens=100, free=64):
    """Of a layer without biases: d_head; parameters; parameters where each head
    is 64 wide; weights in all maps; the divisor of a score."""
    d_head = d_model // num_heads
    parameters, with_free = (4 * d_model * num_heads * width for width in (d_head, free))
    return d_head, parameters, with_free, num_heads * tokens**2, d_head**0.5


def _score_cases():
    cases = []
    for seed, (B, N, H, K) in enumerate(sized(SIZES)):
        S = N + 2 if seed % 2 else N + 1
        cases.append((*seeded(seed, (B, N, H * K), (B, S, H * K)), H))
    return cases


def _first_wrong_map(yours, target, *_):
    where = np.argwhere(~np.isclose(yours[0], target[0], rtol=1e-3, atol=1e-5))
    batch, head = where[0][:2] if len(where) else (0, 0)
    return pictures.score_maps(yours[0][batch, head], target[0][batch, head])


THE_CALL = "checks.multi_head_scores(multi_head_scores, pretrained.recorded_projection())"
HEADS, WIDTH = 12, 384  # of the trained layer
PRONOUNS = 3  # its head that joins a pronoun to its noun


def _in_the_trained_layer(recorded):
    """The call in the trained layer, from its queries and keys (N, 384) and the tokens."""
    try:
        query, key, tokens = recorded
        if query.shape == key.shape == (len(tokens), WIDTH) and "it" in tokens:
            return query[None], key[None], HEADS
    except (TypeError, ValueError, AttributeError):
        pass
    return (
        f"The second argument is {a_thing(recorded)}, and queries, keys and tokens of a trained layer were asked for: "
        f"`{THE_CALL}`. Which cell has loaded them?"
    )


def _map_of_pronouns(scores):
    """The map (N, N) of that head, from the scores (1, H, N, N)."""
    return torch.from_numpy(scores[0, PRONOUNS].astype(np.float32)).softmax(dim=-1)


def _what_it_looks_at(yours, target, recorded):
    tokens = recorded[2]
    mine, right = (_map_of_pronouns(scores[0])[tokens.index("it")] for scores in (yours, target))
    word, there = tokens[right.argmax()], f"“{tokens[right.argmax()]}” ({right.max():.2f})"
    if not mine.isfinite().all():
        return (
            "In layer 1 of MiniLM softmax can make no map of your scores: they are not finite. Are they anywhere else?"
        )
    here = f"“{tokens[mine.argmax()]}” ({mine.max():.2f})"
    if np.allclose(mine, right, atol=1e-3):
        return (
            "In layer 1 of MiniLM your scores draw the maps of lesson 00: in head 3 “it” looks most at "
            f"{here}, as in the model."
        )
    same = (
        f", and in the model with {right.max():.2f}" if tokens[mine.argmax()] == word else f"; in the model at {there}"
    )
    return f"In layer 1 of MiniLM, head 3, “it” looks with your scores most at {here}{same}."


def _maps_of_pronouns(yours, target, recorded):
    maps = (_map_of_pronouns(scores[0]) for scores in (yours, target))
    return pictures.maps_of_a_model(*maps, recorded[2], "Head 3, from your scores", "Head 3 of the model")


@model_exercise(
    stars=2,
    minutes=10,
    hint="Which dimensions does `@` multiply, and what does it do with all those before them?",
    second_hint="Cut query and key into heads first, each with its own number of tokens. Then one product serves every "
    "head of every text, if the key's last two dimensions change places, which `.mT` does. A score is divided by the "
    "root of what one head's dot product sums over.",
    then="The loop over heads has become a dimension. Nothing else tells heads apart, and nothing lets them talk.",
    cases=_score_cases,
    parts={"scores": SCORES},
    picture=_first_wrong_map,
    two_counts=lambda: [(*seeded(9, (2, 3, 8), (2, 5, 8)), heads) for heads in (2, 4)],
    sizes=lambda query, key, num_heads: {
        "d_head": query.shape[-1] / num_heads,
        "d_model": query.shape[-1],
        "num_heads": num_heads,
        "queries": query.shape[1],
        "keys": key.shape[1],
    },
    inside=_in_the_trained_layer,
    says=_what_it_looks_at,
    shows=_maps_of_pronouns,
)
def multi_head_scores(query, key, num_heads):
    """query (B, N, D), key (B, S, D) → scores (B, H, N, S): each head's q · k / √K,
    before softmax, without a loop."""
    B, N, D = query.shape
    S, K = key.shape[1], D // num_heads
    query = query.view(B, N, num_heads, K).transpose(1, 2)
    key = key.view(B, S, num_heads, K).transpose(1, 2)
    return query @ key.mT / K**0.5


def _split(x, num_heads):
    return split_heads.solution(x, num_heads)


def _merged(heads):
    return heads.transpose(1, 2).flatten(2)


def _dots(query, key, num_heads):
    return _split(query, num_heads) @ _split(key, num_heads).mT


@multi_head_scores.mistake(
    "Your scores are all too small by the same factor, √H: they were divided by √d_model. "
    "Over how many products does one head's dot product sum?"
)
def scaled_by_d_model(query, key, num_heads):
    return _split(query, num_heads) @ _split(key, num_heads).mT / query.shape[-1] ** 0.5


@multi_head_scores.mistake("Your scores are all too large by √d_head. What is missing after the dot product?")
def scores_without_scale(query, key, num_heads):
    return _split(query, num_heads) @ _split(key, num_heads).mT


@multi_head_scores.mistake(
    "Your scores are too small by √d_head: they were divided by d_head itself. The *variance* of q·k grows like "
    "d_head. How does its spread grow?"
)
def scores_over_d_head(query, key, num_heads):
    return _dots(query, key, num_heads) / (query.shape[-1] / num_heads)


@multi_head_scores.mistake(
    "Your scores are d_head times too large: they were multiplied by √d_head. Should the spread of q·k grow with the "
    "width of a head, or be brought back to 1?"
)
def scores_times_the_root(query, key, num_heads):
    return _dots(query, key, num_heads) * (query.shape[-1] / num_heads) ** 0.5


@multi_head_scores.mistake(
    "Your scores were divided by √num_heads. Over how many products does one dot product sum: as many as there are "
    "heads, or as a head is wide?"
)
def scaled_by_the_number_of_heads(query, key, num_heads):
    return _dots(query, key, num_heads) / num_heads**0.5


@multi_head_scores.mistake(
    "The shape is right and the scores are not: tokens and heads got mixed before the product. "
    "Did D get cut, or did `view` get the final shape all at once?"
)
def scores_of_a_plain_view(query, key, num_heads):
    return _plain(query, num_heads) @ _plain(key, num_heads).mT / (query.shape[-1] / num_heads) ** 0.5


def _plain(x, num_heads):
    return plain_view(x, num_heads)


@multi_head_scores.mistake(
    "Every row of yours sums to 1: softmax has already run. What are the numbers before softmax called, in this course?"
)
def softmaxed_already(query, key, num_heads):
    return multi_head_scores.solution(query, key, num_heads).softmax(-1)


@multi_head_scores.mistake(
    "Your maps are transposed: (B, H, S, N), a row for each key. Softmax will run over the last dimension: "
    "whose choices should stand there?"
)
def keys_as_rows(query, key, num_heads):
    return multi_head_scores.solution(query, key, num_heads).mT


@multi_head_scores.mistake(
    "You have one map for all heads: the dot product ran over the whole width. That is the *sum* of what the heads "
    "would have said. Where should D be cut, so that each head keeps its own?"
)
def one_head_over_the_whole_width(query, key, num_heads):
    return query @ key.mT / (query.shape[-1] / num_heads) ** 0.5


@multi_head_scores.mistake(
    "Your maps are those of heads that are num_heads wide, and there are K of them. Is num_heads a number of heads, or "
    "a width?"
)
def width_taken_from_num_heads(query, key, num_heads):
    return multi_head_scores.solution(query, key, query.shape[-1] // num_heads)


def _pseudo_code_cases():
    cases = []
    sizes = [(2, 5, 3, 4), (1, 4, 4, 3), (3, 6, 2, 5), (2, 3, 3, 2), (1, 2, 4, 4)]
    for seed, (B, N, h, d_k) in enumerate(sized(sizes)):
        cases.append((*seeded(seed, *[(B, N, h * d_k)] * 3, spread=1.5), h))
    return cases


@exercise(
    stars=2,
    minutes=15,
    hint="In `Q @ K` all dimensions but the last two are paired by their place. What stands at place 1 of K, and what "
    "at place 1 of Q?",
    second_hint="Write the shape beside each line for N = 5 and h = 3. One of the three is not cut like the other two: "
    "its heads have to stand in front of its positions before the product.",
    then="A test with N = h would have let it through. Sizes in a test should be different, and not 1.",
    cases=_pseudo_code_cases,
    parts={"output": ("batch", "token", "column")},
    sizes=lambda Q, K, V, h: {"d_k": Q.shape[-1] / h, "d_model": Q.shape[-1], "h": h, "N": Q.shape[1]},
    at_scale=lambda scale, Q, K, V, h: _merged(_mended(Q, K, V, h, scale=scale**2)),
)
def mended_pseudo_code(Q, K, V, h):
    """Q, K, V (B, N, d_model), already projected, and the number of heads h
    → (B, N, d_model): the heads' outputs side by side, before W^O."""
    B, N, d_model = Q.shape
    d_k = d_model // h
    Q = Q.view(B, N, h, d_k).transpose(1, 2)  # (B, h, N, d_k), the line that was missing
    K = K.view(B, N, h, d_k).permute(0, 2, 3, 1)  # (B, h, d_k, N)
    V = V.view(B, N, h, d_k).transpose(1, 2)  # (B, h, N, d_k)
    weights = (Q @ K / d_k**0.5).softmax(dim=-1)  # (B, h, N, N)
    return (weights @ V).transpose(1, 2).reshape(B, N, d_model)


def _published(Q, K, V, h, v_heads_first, heads_back):
    """The sketch of section 4: Q keeps its positions in front of its heads."""
    B, N, d_model = Q.shape
    d_k = d_model // h
    weights = (Q.view(B, N, h, d_k) @ K.view(B, N, h, d_k).permute(0, 2, 3, 1) / d_k**0.5).softmax(-1)
    V = V.view(B, N, h, d_k)
    heads = weights @ (V.transpose(1, 2) if v_heads_first else V)
    return (heads.transpose(1, 2) if heads_back else heads).reshape(B, N, d_model)


for _v_heads_first in (True, False):
    for _heads_back in (True, False):
        mended_pseudo_code.mistake(
            "This is still the published version: with N ≠ h it raises, and with N = h it runs and is wrong, because "
            "position i of Q is then taken for head i. Which of Q's dimensions has to stand where K's heads stand?"
        )(partial(_published, v_heads_first=_v_heads_first, heads_back=_heads_back))


def heads_attend_to_heads(Q, K, V, h, turned_back):
    Q, K, V = (x.unflatten(-1, (h, -1)) for x in (Q, K, V))  # (B, N, h, d_k)
    heads = (Q @ K.mT / Q.shape[-1] ** 0.5).softmax(-1) @ V
    return (heads.transpose(1, 2) if turned_back else heads).reshape(len(Q), Q.shape[1], -1)


for _turned_back in (True, False):  # the sketch's last line turns what was never turned
    mended_pseudo_code.mistake(
        "It runs for every N and h, and your *heads* look at each other, within one position: no position hears of "
        "another. Over which dimension of the scores should softmax share: over h, or over N?"
    )(partial(heads_attend_to_heads, turned_back=_turned_back))


@mended_pseudo_code.mistake(
    "The heads are right but for a causal mask: positions do not see what comes after them. Who asked for a mask here?"
)
def mended_and_causal(Q, K, V, h):
    scores = _dots(Q, K, h) / (Q.shape[-1] // h) ** 0.5
    past = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return _merged(scores.masked_fill(~past, -torch.inf).softmax(-1) @ _split(V, h))


@mended_pseudo_code.mistake(
    "The heads are right but for their weights, which are too sharp: the scores were not scaled. By what does one head "
    "divide?"
)
def mended_without_scale(Q, K, V, h):
    return _merged(_mended(Q, K, V, h, scale=1))


def _mended(Q, K, V, h, split=_split, scale=None):
    scale = scale or Q.shape[-1] // h
    return (split(Q, h) @ split(K, h).mT / scale**0.5).softmax(-1) @ split(V, h)


@mended_pseudo_code.mistake(
    "Every head is right, and the last line mixes them: the output was reshaped while heads still stood before "
    "positions. What has to be undone before heads can be put side by side?"
)
def not_transposed_back(Q, K, V, h):
    return _mended(Q, K, V, h).reshape(Q.shape)


@mended_pseudo_code.mistake(
    "Your heads look too evenly at everything: the scores were divided by √d_model. How wide is one head's dot product?"
)
def mended_but_scaled_by_d_model(Q, K, V, h):
    return _merged(_mended(Q, K, V, h, scale=Q.shape[-1]))


def _mended_with_a_plain_view(Q, K, V, h, plain_back):
    heads = _mended(Q, K, V, h, split=_plain)
    return heads.reshape(Q.shape) if plain_back else _merged(heads)


for _plain_back in (True, False):
    mended_pseudo_code.mistake(
        "It runs for every N and h now, but tokens and heads were mixed while Q, K and V were cut. "
        "Which dimension comes right after B when `view` cuts d_model, and which after the transpose?"
    )(partial(_mended_with_a_plain_view, plain_back=_plain_back))


@mended_pseudo_code.mistake(
    "It runs for every N and h now, and K and V are cut as they should be. But Q's heads are pieces of the sentence: "
    "`view` got the final shape all at once, as in section 3. Which dimension comes right after B when `view` cuts "
    "d_model?"
)
def only_the_queries_by_a_plain_view(Q, K, V, h):
    weights = (_plain(Q, h) @ _split(K, h).mT / (Q.shape[-1] // h) ** 0.5).softmax(-1)
    return _merged(weights @ _split(V, h))


@mended_pseudo_code.mistake(
    "The weights are right, and what is fetched with them are the keys. A key says where to look: what is it that gets "
    "fetched?"
)
def keys_for_values(Q, K, V, h):
    return mended_pseudo_code.solution(Q, K, K, h)


@mended_pseudo_code.mistake(
    "It runs, and softmax shares each key among the queries: your columns of weights sum to 1. "
    "Which dimension of the scores (B, h, N, N) belongs to the keys?"
)
def mended_with_softmax_over_queries(Q, K, V, h):
    Q, K, V = (_split(x, h) for x in (Q, K, V))
    return _merged((Q @ K.mT / Q.shape[-1] ** 0.5).softmax(-2) @ V)
