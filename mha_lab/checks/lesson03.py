"""Exercises of lesson 03: W^O as a sum over heads, the whole layer in one function, two masks turned round together.

The whole layer goes on inside MiniLM: on one layer's recorded queries, keys and values, and as all of its layers where
the model is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isnan

import torch

from mha_lab import pretrained
from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.class_key import generator, sized, some
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import ModelExercise
from mha_lab.checks.returned import a_thing

# (B, N, H, K). Only in the last are N and H equal, so that shapes alone cannot tell tokens from heads.
SIZES = [(2, 4, 2, 3), (1, 5, 3, 4), (3, 2, 4, 2), (2, 6, 2, 5), (2, 3, 3, 2)]


def _sum_cases():
    sizes = sized(SIZES)
    return [tuple(seeded(seed, (B, H, N, K), (H * K, H * K + seed % 3))) for seed, (B, N, H, K) in enumerate(sizes)]


@exercise(
    stars=2,
    minutes=10,
    hint="In Concat, head i stands in columns i·K to (i+1)·K − 1. Which rows of W^O do those columns meet, and no "
    "others?",
    second_hint="Cut the H·K rows of W^O into H groups of K, in the order in which they stand: each head gets its own "
    "(K, D). Then each head's (N, K) is multiplied by its group. A product of more than two dimensions does that for "
    "all heads and all examples at once.",
    then="A share can be left out of the sum: that is what it means to switch a head off.",
    cases=_sum_cases,
    parts={"shares": ("batch", "head", "token", "feature")},
    sizes=lambda heads, W_o: {"num_heads": heads.shape[1], "d_head": heads.shape[3]},
)
def output_as_a_sum(heads, W_o):
    """heads (B, H, N, K), W_o (H·K, D) → shares (B, H, N, D): what each head adds to the output.
    shares.sum(1) is Concat(heads) · W^O."""
    B, H, N, K = heads.shape
    return heads @ W_o.view(H, K, -1)  # each head meets its own K rows


@output_as_a_sum.mistake(
    "This is the sum already, (B, N, D), and it is right. The exercise asks for its terms: what does each head add?"
)
def the_sum_itself(heads, W_o):
    return _merge(heads) @ W_o


@output_as_a_sum.mistake(
    "Your head 0 has every H-th row of W^O instead of the first K. When H·K rows are cut into (H, K), "
    "which of the two is the outer one?"
)
def interleaved_rows(heads, W_o):
    H, K = heads.shape[1], heads.shape[3]
    return heads @ W_o.reshape(K, H, -1).transpose(0, 1)


@output_as_a_sum.mistake(
    "W_o was transposed before it was cut, as a weight of nn.Linear has to be. Here it is (H·K, D) already: which of "
    "its axes do the heads' numbers meet?"
)
def transposed_before_the_cut(heads, W_o):
    H, K = heads.shape[1], heads.shape[3]
    return heads @ W_o.T.reshape(H, K, -1)


@output_as_a_sum.mistake(
    "W_o was cut into (H, D, K) and each piece transposed: that is no block of its rows. In W_o (H·K, D), which axis "
    "is the one to cut?"
)
def cut_and_transposed(heads, W_o):
    H, K = heads.shape[1], heads.shape[3]
    return heads @ W_o.reshape(H, -1, K).mT


@output_as_a_sum.mistake(
    "Every head was given the rows of head 0. Head 1's numbers stand in the next K columns: which rows of W^O do they "
    "meet?"
)
def everybody_gets_the_first_rows(heads, W_o):
    return heads @ W_o[: heads.shape[3]]


@output_as_a_sum.mistake(
    "Every head has the whole output, divided by H. The terms do add up, but a head's share may hold only what comes "
    "from that head: which numbers of yours would change if another head were silent?"
)
def equal_shares(heads, W_o):
    H = heads.shape[1]
    return (_merge(heads) @ W_o / H)[:, None].repeat(1, H, 1, 1)


@output_as_a_sum.mistake(
    "The shares are right and the heads stand outside the batch: (H, B, N, D). Which dimension comes first?"
)
def heads_in_front(heads, W_o):
    return output_as_a_sum.solution(heads, W_o).transpose(0, 1)


def _first_for_all(heads, W_o, alone):
    shares = output_as_a_sum.solution(heads[:1], W_o)
    return shares if alone else shares.expand(len(heads), -1, -1, -1)


for _alone in (True, False):
    output_as_a_sum.mistake("Your shares are those of example 0 of the batch. What do the heads add to the others?")(
        partial(_first_for_all, alone=_alone)
    )


def _layer_cases():
    cases = []
    for seed, (B, N, H, K) in enumerate(sized(SIZES)):
        D = H * K
        x, *matrices = seeded(seed, (B, N, D), (D, D), (D, D), (D, D), (D, D), spread=0.8)
        dice = generator(seed)
        # At least itself, and not the same picture when turned round or transposed.
        mask = (torch.rand(N, N, generator=dice) < 0.5).tril() | torch.eye(N, dtype=torch.bool)
        cases.append((x, *matrices, H, mask))
    return cases


def _layer_picture(yours, target, x, W_q, W_k, W_v, W_o, num_heads, mask):
    differs = (abs(yours[1] - target[1]) > 1e-4).any(axis=(2, 3))  # (B, H)
    batch, head = next(zip(*differs.nonzero()), (0, 0))
    return pictures.weight_maps(yours[1][batch, head], target[1][batch, head], mask.numpy())


LAYER, HEAD = pretrained.PROJECTION_LAYER, 3  # the recorded layer, and its head that leads from "it" to a noun


@dataclass(frozen=True, repr=False)
class LayerExercise(ModelExercise):
    """After one recorded layer, all layers of the model, where it is installed."""

    def _in_the_model(self, function: Callable, result: Result) -> Result:
        result = super()._in_the_model(function, result)
        if not isinstance(self.recorded, pretrained.InsideMiniLM):
            return result
        return replace(result, lines=(*result.lines, *self._in_all_layers(function, self.recorded, result.passed)))

    def _in_all_layers(self, function, inside, passed) -> list[str]:
        """What MiniLM finds with the function, given tensors or else arrays; nothing where it cannot go on with it."""
        for in_numpy in False, True:

            def layer(*case, in_numpy=in_numpy):
                return [torch.as_tensor(part) for part in self.run(function, case, in_numpy).parts]

            try:
                found = inside.searched(layer)
            except Exception:  # the layer's own cases have said what is wrong with it
                continue
            if found:
                return [_what_it_found(inside.question, *found)]
            return [TO_GO_ON] if passed else []
        return []


TO_GO_ON = "Once MiniLM is installed (`make models`), this check puts your function into all six of its layers."


def _what_it_found(question, found, expected, farthest) -> str:
    there = "In all six layers of MiniLM, over the twelve recorded sentences"
    if isnan(farthest):
        return f"{there}, {_beside_lesson_00(farthest)}, so the model finds nothing."
    same = "as with our layer" if found == expected else f'where our layer finds "{expected.rstrip(".")}"'
    return (
        f'{there}, {_beside_lesson_00(farthest)}. Asked for "{question}", the model finds '
        f'"{found.rstrip(".")}", {same}.'
    )


def _beside_lesson_00(farthest) -> str:
    if isnan(farthest):
        return "your weights hold NaN"
    close = farthest < 1e-3
    return "your maps are those of lesson 00" if close else f"your weights are up to {farthest:.2f} off lesson 00's"


def _call_in_minilm(recorded) -> tuple | str:
    if isinstance(recorded, pretrained.InsideMiniLM):
        return recorded.call
    return f"The second argument is `pretrained.inside_minilm()`, and this is {a_thing(recorded)}."


def _in_one_layer(yours, target, inside) -> str:
    weights, tokens = torch.as_tensor(yours[1]), inside.running.tokens
    farthest = (weights[0] - inside.running.weights[LAYER]).abs().max().item()
    looks = weights[0, HEAD, tokens.index("it")]
    there = f"In layer {LAYER} of MiniLM, where no word is masked, with the queries, keys and values recorded there"
    if isnan(farthest):
        return f"{there}, {_beside_lesson_00(farthest)}."
    return (
        f'{there}, {_beside_lesson_00(farthest)}. In head {HEAD}, "it" looks most at '
        f'"{tokens[int(looks.argmax())]}", with {looks.max():.2f}.'
    )


def _map_in_minilm(yours, target, inside):
    return pictures.one_map(
        yours[1][0, HEAD], inside.running.tokens, f"Your function as layer {LAYER} of MiniLM, head {HEAD}"
    )


def layer_exercise(**fields) -> Callable[[Callable], LayerExercise]:
    """Decorator: this function is the solution of the exercise that becomes a layer of MiniLM."""
    return lambda solution: LayerExercise(solution, **fields)


@layer_exercise(
    stars=3,
    minutes=20,
    hint="What does each of the first three lessons add: which step makes queries, keys and values of x, which one "
    "cuts them into heads, which one weighs, and which two put the heads together?",
    second_hint="Five steps of one or two lines each. Project x with three matrices. Split each of the three: the last "
    "dimension becomes heads and d_head, then heads change places with tokens. Attend: scores over the root of d_head, "
    "−∞ where the mask is False, softmax over keys, times the values. Merge: undo the split backwards. Mix with W_o.",
    then="That is multi-head attention, whole. PyTorch's layer adds biases and dropout.",
    cases=_layer_cases,
    parts={"output": ("batch", "token", "feature"), "weights": ("batch", "head", "query", "key")},
    blame=("weights", "output"),
    sizes=lambda x, W_q, W_k, W_v, W_o, num_heads, mask: {
        "d_head": x.shape[-1] / num_heads,
        "d_model": x.shape[-1],
        "num_heads": num_heads,
        "tokens": x.shape[1],
    },
    picture=_layer_picture,
    inside=_call_in_minilm,
    says=_in_one_layer,
    shows=_map_in_minilm,
)
def multi_head_attention(x, W_q, W_k, W_v, W_o, num_heads, mask):
    """x (B, N, D), four matrices (D, D), the number of heads, mask (N, N) with True = may attend
    → output (B, N, D), weights (B, H, N, N)."""
    B, N, D = x.shape
    K = D // num_heads
    query = (x @ W_q).view(B, N, num_heads, K).transpose(1, 2)  # (B, H, N, K)
    key = (x @ W_k).view(B, N, num_heads, K).transpose(1, 2)
    value = (x @ W_v).view(B, N, num_heads, K).transpose(1, 2)
    scores = query @ key.mT / K**0.5  # (B, H, N, N)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    heads = (weights @ value).transpose(1, 2).flatten(2)  # (B, N, D)
    return heads @ W_o, weights


def _layer(
    x, W_q, W_k, W_v, W_o, num_heads, mask, *, split=None, merge=None, scale=None, axis=-1, mix=True, weigh=None
):
    """The layer with one step replaced by a mistake."""
    split = split or _split
    scale = scale or x.shape[-1] // num_heads
    query, key, value = (split(x @ W, num_heads) for W in (W_q, W_k, W_v))
    scores = query @ key.mT / scale**0.5
    weights = weigh(scores, mask) if weigh else scores.masked_fill(~mask, -torch.inf).softmax(axis)
    heads = (merge or _merge)(weights @ value)
    return heads @ W_o if mix else heads, weights


def _split(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _merge(heads):
    return heads.transpose(1, 2).flatten(2)


@multi_head_attention.mistake(
    "Every weight is right, and the heads stand side by side, each in its own columns: your output is Concat. "
    "Which matrix lets one feature of the output hear all heads?"
)
def without_w_o(*case):
    return _layer(*case, mix=False)


@multi_head_attention.mistake(
    "Every weight is right. Then the heads were joined while they still stood in front of the tokens, so W^O mixes "
    "rows of different words. What has to be undone before the heads stand side by side?"
)
def merged_without_transpose(*case):
    return _layer(*case, merge=lambda heads: heads.reshape(heads.shape[0], heads.shape[2], -1))


@multi_head_attention.mistake(
    "Every weight is right. Then `flatten(2)` joined tokens and features, while the heads still stood in front: it "
    "runs only where there are as many tokens as heads, and is wrong there. Which two dimensions have to change "
    "places first?"
)
def flattened_as_they_stand(*case):
    return _layer(*case, merge=lambda heads: heads.flatten(2))


@multi_head_attention.mistake(
    "Every weight is right, and what is fetched with them is not: your values are made with W_k, so they are the keys. "
    "Which matrix makes a value?"
)
def values_through_w_k(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, W_k, W_o, num_heads, mask)


@multi_head_attention.mistake(
    "Every weight is right, and what is fetched with them is not: your values are made with W_q, so they are the "
    "queries. Which matrix makes a value?"
)
def values_through_w_q(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, W_q, W_o, num_heads, mask)


@multi_head_attention.mistake(
    "Every weight is right, and the values were never projected: your heads fetch pieces of x. Which matrix makes a "
    "value?"
)
def values_not_projected(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, torch.eye(x.shape[-1]), W_o, num_heads, mask)


@multi_head_attention.mistake(
    "Every weight is right, and W_o was transposed, as `F.linear` and `nn.Linear` do with their weight. Here it is "
    "(in, out): on which side of it do the heads stand?"
)
def w_o_transposed(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, W_v, W_o.T, num_heads, mask)


@multi_head_attention.mistake(
    "W_q, W_k and W_v were transposed, as `F.linear` and `nn.Linear` do with their weight; W_o was not. Here a matrix "
    "is (in, out): on which side of it does x stand?"
)
def first_three_transposed(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q.T, W_k.T, W_v.T, W_o, num_heads, mask)


@multi_head_attention.mistake(
    "Every weight is right, and x was added to the output: that is the residual connection of a Transformer block. "
    "Does it belong to the layer, or is it around it?"
)
def residual_added(x, *rest):
    output, weights = _layer(x, *rest)
    return output + x, weights


def _added_up(x, W_q, W_k, W_v, W_o, num_heads, mask, mix):
    output, weights = _layer(x, W_q, W_k, W_v, W_o, num_heads, mask, merge=lambda heads: heads.sum(1), mix=False)
    return output @ W_o[: x.shape[-1] // num_heads] if mix else output, weights


for _mix in (True, False):
    multi_head_attention.mistake(
        "Every weight is right, and the heads were added up before W_o. Once they are added, can W_o still treat them "
        "differently?"
    )(partial(_added_up, mix=_mix))


@multi_head_attention.mistake(
    "Your queries and keys have changed places: what you give a row of weights is a key that looks for queries. Which "
    "of the two asks?"
)
def keys_ask(x, W_q, W_k, *rest):
    return _layer(x, W_k, W_q, *rest)


def _split_with_a_plain_view(*case, plain_back):
    merge = (lambda heads: heads.reshape(case[0].shape)) if plain_back else None
    return _layer(*case, split=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1), merge=merge)


@multi_head_attention.mistake(
    "Your head 0 has every H-th column instead of the first K: D was cut as (K, H). Which of the two has to be the "
    "inner, last one for a head's columns to be neighbours?"
)
def interleaved_columns(*case):
    return _layer(*case, split=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2))


for _plain_back in (True, False):
    multi_head_attention.mistake(
        "The shapes are right and the first weight is already wrong: tokens and heads were mixed when D was cut. "
        "Did D get cut first, or did `view` get the final shape all at once?"
    )(partial(_split_with_a_plain_view, plain_back=_plain_back))


@multi_head_attention.mistake(
    "Your weights are too even: the scores were divided by √d_model. How many products does one head's dot product sum?"
)
def scaled_by_d_model(*case):
    return _layer(*case, scale=case[0].shape[-1])


@multi_head_attention.mistake(
    "Your weights are too even: the scores were divided by d_head, not by its root. The *variance* of q·k grows like "
    "d_head. How does its spread grow?"
)
def scaled_by_d_head(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=(x.shape[-1] / num_heads) ** 2)


@multi_head_attention.mistake(
    "The scores were divided by √num_heads. Over how many products does one dot product sum: as many as there are "
    "heads, or as a head is wide?"
)
def scaled_by_the_number_of_heads(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=num_heads)


@multi_head_attention.mistake("Your weights are too sharp: the scores were not scaled. By what does one head divide?")
def without_scale(*case):
    return _layer(*case, scale=1)


@multi_head_attention.mistake(
    "Your columns of weights sum to 1, not your rows. Whose choice is shared out: the query's among keys, or the "
    "key's among queries?"
)
def softmax_over_queries(*case):
    return _layer(*case, axis=-2)


@multi_head_attention.mistake(
    "Your softmax ran over the heads, dimension 1: they share each look among them, and where the mask hides a key "
    "from all of them there is nothing to share, NaN. (`F.softmax` without dim takes dimension 1 here.) Whose weights "
    "should sum to 1?"
)
def softmax_over_heads(*case):
    return _layer(*case, axis=1)


@multi_head_attention.mistake(
    "Hidden keys still get weight: their score is 0, and exp(0) is 1. Which score gives a weight of 0?"
)
def score_zero(*case):
    return _layer(*case, weigh=lambda scores, mask: (scores * mask).softmax(-1))


@multi_head_attention.mistake(
    "The mask was added to the scores as 0 and 1: a hidden key has a score only 1 lower than before. Which number, "
    "added to a score, leaves a weight of 0?"
)
def mask_added_as_numbers(*case):
    return _layer(*case, weigh=lambda scores, mask: (scores + mask).softmax(-1))


@multi_head_attention.mistake(
    "Hidden keys get weight 0, but your rows sum to less than 1: the mask came after softmax had shared the weight "
    "out. What if the hidden keys were out of the game before the sharing?"
)
def masked_after_softmax(*case):
    return _layer(*case, weigh=lambda scores, mask: scores.softmax(-1) * mask)


@multi_head_attention.mistake(
    "The mask was turned: a query may see what its key should have seen. In mask (N, N), is a row a query or a key?"
)
def mask_transposed(*case):
    return _layer(*case[:-1], case[-1].T)


@multi_head_attention.mistake(
    "Your words see everything before them, whatever the mask says: a causal mask was made in its place. Where does "
    "`mask` come in?"
)
def own_causal_mask(*case):
    return _layer(*case[:-1], torch.ones_like(case[-1]).tril())


def _mask_turned_round(*case, fill):
    return _layer(*case, weigh=lambda scores, mask: scores.masked_fill(mask, fill).softmax(-1))


for _fill in (-torch.inf, -1e9):  # they differ in a row that may see everything: NaN, or all alike
    multi_head_attention.mistake(
        "Your words look exactly where the mask says False. In this course True = may attend: which side of the mask "
        "gets the −∞?"
    )(partial(_mask_turned_round, fill=_fill))


@multi_head_attention.mistake(
    "Your output is right, and you returned the scores after the mask; the weights are their softmax. Which of your "
    "variables holds numbers that sum to 1?"
)
def scores_for_weights(*case):
    scores = _layer(*case, weigh=lambda scores, mask: scores.masked_fill(~mask, -torch.inf))[1]
    return _layer(*case)[0], scores


@multi_head_attention.mistake(
    "Your output is right, and your weights are logarithms, as `log_softmax` gives them: −∞ where a weight is 0. Which "
    "function gives the weights themselves?"
)
def log_weights(*case):
    output, weights = _layer(*case)
    return output, weights.log()


@multi_head_attention.mistake(
    "You used the logarithms of the weights, as `log_softmax` gives them, to average the values. Which function gives "
    "weights that sum to 1?"
)
def averaged_with_log_weights(*case):
    return _layer(*case, weigh=lambda scores, mask: scores.masked_fill(~mask, -torch.inf).log_softmax(-1))


@multi_head_attention.mistake("Your words look everywhere: the mask was not used. Before which step must it act?")
def mask_forgotten(*case):
    return _layer(*case[:-1], torch.ones_like(case[-1]))


@multi_head_attention.mistake(
    "All four matrices were transposed. `nn.Linear` stores its matrix as (out, in) and transposes it; here a matrix "
    "is (in, out). On which side of `@` does x stand?"
)
def matrices_transposed(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q.T, W_k.T, W_v.T, W_o.T, num_heads, mask)


def _each_piece_projected(x, W_q, W_k, W_v, W_o, num_heads, mask, same):
    """x is cut first, and each piece is multiplied by a K × K block: the first one for all heads, or its own."""
    H, K = num_heads, x.shape[-1] // num_heads

    def narrow(W):
        blocks = [W[:K, :K] if same else W[i * K : (i + 1) * K, i * K : (i + 1) * K] for i in range(H)]
        return torch.block_diag(*blocks)

    return _layer(x, narrow(W_q), narrow(W_k), narrow(W_v), W_o, num_heads, mask)


for _same in (True, False):
    multi_head_attention.mistake(
        "x was cut into heads before it was projected, so that each head knows only its own K features of every word. "
        "Which comes first, the product with W_q or the cut?"
    )(partial(_each_piece_projected, same=_same))


@multi_head_attention.mistake(
    "Your output is right and your weights are one map for all heads: their average, as nn.MultiheadAttention gives it "
    "back. What shape keeps each head's own map?"
)
def weights_averaged(*case):
    output, weights = _layer(*case)
    return output, weights.mean(1)


def _mask_cases():
    cases = []
    for seed, (lengths, N) in enumerate([([3, 4], 4), ([1, 3, 5], 5), ([2, 3], 3), ([6], 6), ([3, 1], 3)]):
        more = some(0, 6)
        lengths, N = [length + more for length in lengths], N + more
        S = max(lengths) + seed % 2  # in two cases there is one key more than queries
        allowed = torch.ones(N, S, dtype=torch.bool).tril(S - N)
        is_word = torch.arange(S) < torch.tensor(lengths)[:, None]
        cases.append((allowed, is_word))
    return cases


def _mask_picture(yours, target, allowed, is_word):
    differs = (yours[0] != target[0]).any(axis=(1, 2)).nonzero()[0]
    batch = int(differs[0]) if len(differs) else 0
    return pictures.mask_maps(~yours[0][batch].astype(bool), ~target[0][batch])  # hatched = blocked


@exercise(
    stars=2,
    minutes=10,
    hint="Say first in the lab's convention what is wanted: when may a query look at a key? And when may it not?",
    second_hint="Both must hold: the order allows it, and the key is a word. is_word needs an axis of length 1 for the "
    "queries, between batch and keys, so that it serves every query. Join the two, and only then turn the whole round, "
    "once.",
    then="not (a and b) = (not a) or (not b): where the parts are turned round, the `and` must be turned round too.",
    cases=_mask_cases,
    parts={"blocked": ("batch", "query", "key")},
    picture=_mask_picture,
)
def repaired_mask(allowed, is_word):
    """allowed (N, S), True = may attend, is_word (B, S), True = a word and not padding
    → blocked (B, N, S) for nn.MultiheadAttention, True = may not attend."""
    return ~(allowed & is_word[:, None])


@repaired_mask.mistake(
    "This blocks what the printed version blocks, only what *both* masks forbid, so words still look into the future, "
    "if a word stands there. If one mask alone forbids a look, is it forbidden?"
)
def both_must_forbid(allowed, is_word):
    return ~allowed & ~is_word[:, None]


@repaired_mask.mistake(
    "Your mask is right for the lab, where True = may attend. What does nn.MultiheadAttention do where it reads True?"
)
def not_turned_round(allowed, is_word):
    return allowed & is_word[:, None]


@repaired_mask.mistake(
    "Only one of the two masks was turned round: padding is let in, and words are blocked. "
    "In which convention is is_word given?"
)
def only_allowed_turned_round(allowed, is_word):
    return ~allowed | is_word[:, None]


@repaired_mask.mistake(
    "Only one of the two masks was turned round: the past is blocked, and the future is let in. "
    "In which convention is allowed given?"
)
def only_is_word_turned_round(allowed, is_word):
    return allowed | ~is_word[:, None]


@repaired_mask.mistake(
    "Both masks are there, and is_word went to the wrong axis: padding is kept from asking, and not from being looked "
    "at. In (batch, query, key), on which axis do the words stand that are looked at?"
)
def padding_as_queries(allowed, is_word):
    return ~(allowed & is_word[:, :, None])


@repaired_mask.mistake("Padding is still looked at: only the order was used. Where does is_word come in?")
def padding_forgotten(allowed, is_word):
    return (~allowed).expand(len(is_word), *allowed.shape)


@repaired_mask.mistake("Words still look into the future: only padding was blocked. Where does allowed come in?")
def order_forgotten(allowed, is_word):
    return (~is_word)[:, None].expand(len(is_word), *allowed.shape)


@repaired_mask.mistake(
    "These are numbers, 0 and −∞, to be added to the scores. nn.MultiheadAttention takes such a mask too, but the "
    "exercise asks for booleans: which comparison did you make on the way?"
)
def zeros_and_minus_infinity(allowed, is_word):
    return torch.zeros(len(is_word), *allowed.shape).masked_fill(repaired_mask.solution(allowed, is_word), -torch.inf)
