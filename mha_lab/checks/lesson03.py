"""Exercises of lesson 03: the whole layer in one function, W^O as a sum over heads, two masks turned round together."""

import torch

from mha_lab.checks import pictures
from mha_lab.checks.engine import exercise, seeded

# (B, N, H, K). Only in the last are N and H equal, so that shapes alone cannot tell tokens from heads.
SIZES = [(2, 4, 2, 3), (1, 5, 3, 4), (3, 2, 4, 2), (2, 6, 2, 5), (2, 3, 3, 2)]


def _layer_cases():
    cases = []
    for seed, (B, N, H, K) in enumerate(SIZES):
        D = H * K
        x, *matrices = seeded(seed, (B, N, D), (D, D), (D, D), (D, D), (D, D), spread=0.8)
        generator = torch.Generator().manual_seed(seed)
        # At least itself, and not the same picture when turned round or transposed.
        mask = (torch.rand(N, N, generator=generator) < 0.5).tril() | torch.eye(N, dtype=torch.bool)
        cases.append((x, *matrices, H, mask))
    return cases


def _layer_picture(yours, target, x, W_q, W_k, W_v, W_o, num_heads, mask):
    differs = (abs(yours[1] - target[1]) > 1e-4).any(axis=(2, 3))  # (B, H)
    batch, head = next(zip(*differs.nonzero()), (0, 0))
    return pictures.weight_maps(yours[1][batch, head], target[1][batch, head], mask.numpy())


@exercise(
    stars=3,
    minutes=20,
    hint="Five steps, one or two lines each. Project: `x @ W_q` and so on. Split: `view`, then `transpose(1, 2)`. "
    "Attend: scores, −∞ where the mask is False, softmax, times the values. Merge: `transpose(1, 2)`, then "
    "`flatten(2)`. Mix: `@ W_o`.",
    then="That is multi-head attention, whole. PyTorch's layer adds biases and dropout.",
    cases=_layer_cases,
    parts={"output": ("batch", "token", "feature"), "weights": ("batch", "head", "query", "key")},
    picture=_layer_picture,
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


def _layer(x, W_q, W_k, W_v, W_o, num_heads, mask, *, split=None, merge=None, scale=None, axis=-1, mix=True):
    """The layer with one step replaced by a mistake."""
    split = split or _split
    scale = scale or x.shape[-1] // num_heads
    query, key, value = (split(x @ W, num_heads) for W in (W_q, W_k, W_v))
    weights = (query @ key.mT / scale**0.5).masked_fill(~mask, -torch.inf).softmax(axis)
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
    "The shapes are right and the first weight is already wrong: tokens and heads were mixed when D was cut. "
    "Did D get cut first, or did `view` get the final shape all at once?"
)
def split_with_a_plain_view(*case):
    return _layer(*case, split=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1))


@multi_head_attention.mistake(
    "Your weights are too even: the scores were divided by √d_model. How many products does one head's dot product sum?"
)
def scaled_by_d_model(*case):
    return _layer(*case, scale=case[0].shape[-1])


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
    "Your words look exactly where the mask says False. In this course True = may attend: which side of the mask gets "
    "the −∞?"
)
def mask_turned_round(*case):
    return _layer(*case[:-1], ~case[-1])


@multi_head_attention.mistake("Your words look everywhere: the mask was not used. Before which step must it act?")
def mask_forgotten(*case):
    return _layer(*case[:-1], torch.ones_like(case[-1]))


@multi_head_attention.mistake(
    "All four matrices were transposed. `nn.Linear` stores its matrix as (out, in) and transposes it; here a matrix "
    "is (in, out). On which side of `@` does x stand?"
)
def matrices_transposed(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return _layer(x, W_q.T, W_k.T, W_v.T, W_o.T, num_heads, mask)


@multi_head_attention.mistake(
    "Your output is right and your weights are one map for all heads: their average, as nn.MultiheadAttention gives it "
    "back. What shape keeps each head's own map?"
)
def weights_averaged(*case):
    output, weights = _layer(*case)
    return output, weights.mean(1)


def _sum_cases():
    return [tuple(seeded(seed, (B, H, N, K), (H * K, H * K + seed % 3))) for seed, (B, N, H, K) in enumerate(SIZES)]


@exercise(
    stars=2,
    minutes=10,
    hint="Head i stands in columns i·K … (i+1)·K of the concatenation, and those columns meet the *rows* i·K … (i+1)·K "
    "of W^O. `W_o.view(H, K, D)` gives every head its K rows; then one `@` serves all heads.",
    then="A share can be left out of the sum: that is what it means to switch a head off.",
    cases=_sum_cases,
    parts={"shares": ("batch", "head", "token", "feature")},
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


def _mask_cases():
    cases = []
    for seed, (lengths, N) in enumerate([([3, 4], 4), ([1, 3, 5], 5), ([2, 3], 3), ([6], 6), ([3, 1], 3)]):
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
    hint="First say what is wanted, in the lab's convention: a query may look at a key if the rule allows it *and* the "
    "key is a word. `is_word[:, None]` is (B, 1, S) and serves every query. Then turn the whole of it round, once.",
    then="not (a and b) = (not a) or (not b): who turns the parts round must turn the `and` round too.",
    cases=_mask_cases,
    parts={"blocked": ("batch", "query", "key")},
    picture=_mask_picture,
)
def repaired_mask(allowed, is_word):
    """allowed (N, S), True = may attend, is_word (B, S), True = a word and not padding
    → blocked (B, N, S) for nn.MultiheadAttention, True = may not attend."""
    return ~(allowed & is_word[:, None])


@repaired_mask.mistake(
    "This is the printed version: it blocks only what *both* masks forbid, so words still look into the future, "
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
