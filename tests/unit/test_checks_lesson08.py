"""Exercises of lesson 08: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import functools
import math

import torch
from exercise_promises import promises
from torch.nn import functional as F

from mha_lab import MultiHeadAttention, attention, checks, padding_mask

EXERCISES = {name: getattr(checks, name) for name in ("cross_attention", "uniform_share")}


def scores(x, context, w_q, w_k):
    return torch.einsum("bnk,bsk->bns", x @ w_q, context @ w_k) / math.sqrt(w_q.shape[-1])


def padding(context, lengths):
    return torch.arange(context.shape[1]).ge(lengths[:, None])[:, None].expand(-1, 1, -1)


def looked(x, context, lengths, w_q, w_k, w_v):
    raw = scores(x, context, w_q, w_k)
    weights = torch.softmax(raw.masked_fill(padding(context, lengths), float("-inf")), -1)
    return weights @ (context @ w_v), weights


def with_weights(context, w_v, weights):
    return torch.bmm(weights, context @ w_v), weights


def words_masked(x, context, lengths, w_q, w_k, w_v, fill):
    raw = scores(x, context, w_q, w_k).masked_fill(~padding(context, lengths), fill)
    return with_weights(context, w_v, raw.softmax(2))


def from_the_end(x, context, lengths, w_q, w_k, w_v):
    raw = scores(x, context, w_q, w_k)
    for b, n in enumerate(lengths):
        raw[b, :, n - context.shape[1] :] = -math.inf
    return with_weights(context, w_v, raw.softmax(2))


WRONG = {
    ("cross_attention", "everything_from_x"): lambda x, context, lengths, w_q, w_k, w_v: looked(
        x, x, lengths, w_q, w_k, w_v
    ),
    ("cross_attention", "roles_swapped"): lambda x, context, lengths, w_q, w_k, w_v: looked(
        context, x, lengths, w_q, w_k, w_v
    ),
    ("cross_attention", "padding_seen"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, context, w_q, w_k).softmax(2)
    ),
    ("cross_attention", "zeroed_too_late"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, context, w_q, w_k).softmax(2).masked_fill(padding(context, lengths), 0)
    ),
    ("cross_attention", "score_zero"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, (scores(x, context, w_q, w_k) * ~padding(context, lengths)).softmax(2)
    ),
    ("cross_attention", "_words_masked"): [
        functools.partial(words_masked, fill=fill) for fill in (-1e9, torch.finfo(torch.float32).min, -math.inf)
    ],
    ("cross_attention", "_padding_from_the_end"): from_the_end,
    ("cross_attention", "unscaled"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context,
        w_v,
        (x @ w_q @ (context @ w_k).mT).masked_fill(padding(context, lengths), -torch.inf).softmax(2),
    ),
    ("cross_attention", "softmax_over_queries"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, context, w_q, w_k).masked_fill(padding(context, lengths), -torch.inf).softmax(1)
    ),
    ("cross_attention", "one_place_too_many"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context,
        w_v,
        scores(x, context, w_q, w_k)
        .masked_fill(torch.arange(context.shape[1]) > lengths[:, None, None], -torch.inf)
        .softmax(2),
    ),
    ("cross_attention", "one_place_too_few"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context,
        w_v,
        scores(x, context, w_q, w_k)
        .masked_fill(torch.arange(context.shape[1]) >= lengths[:, None, None] - 1, -torch.inf)
        .softmax(2),
    ),
    ("cross_attention", "context_zeroed"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context.masked_fill(padding(context, lengths).mT, 0),
        w_v,
        scores(x, context.masked_fill(padding(context, lengths).mT, 0), w_q, w_k).softmax(2),
    ),
    ("cross_attention", "scaled_by_d"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context,
        w_v,
        (x @ w_q @ (context @ w_k).mT / math.sqrt(x.shape[-1]))
        .masked_fill(padding(context, lengths), -torch.inf)
        .softmax(2),
    ),
    ("cross_attention", "keys_and_values_exchanged"): lambda x, context, lengths, w_q, w_k, w_v: looked(
        x, context, lengths, w_q, w_v, w_k
    ),
    ("cross_attention", "keys_fetched"): lambda x, context, lengths, w_q, w_k, w_v: looked(
        x, context, lengths, w_q, w_k, w_k
    ),
    ("cross_attention", "_one_length"): [
        functools.partial(
            lambda n, x, context, lengths, *rest: looked(x, context, torch.full_like(lengths, n(lengths)), *rest), n
        )
        for n in (max, min, lambda lengths: lengths[0].item())
    ],
    ("cross_attention", "scores_for_weights"): lambda x, context, lengths, w_q, w_k, w_v: (
        looked(x, context, lengths, w_q, w_k, w_v)[0],
        scores(x, context, w_q, w_k).masked_fill(padding(context, lengths), float("-inf")),
    ),
    ("cross_attention", "log_weights"): lambda x, context, lengths, w_q, w_k, w_v: (
        looked(x, context, lengths, w_q, w_k, w_v)[0],
        F.log_softmax(scores(x, context, w_q, w_k).masked_fill(padding(context, lengths), float("-inf")), 2),
    ),
    ("uniform_share", "_one_length_for_all"): [
        lambda right, lengths: torch.stack([(row[row.any(-1)].sum(-1) / max(lengths)).mean() for row in right]),
        lambda right, lengths: torch.stack([(row[row.any(-1)].sum(-1) / lengths[0]).mean() for row in right]),
    ],
    ("uniform_share", "whole_number_division"): lambda right, lengths: torch.stack(
        [(row[row.any(-1)].sum(-1) // n).float().mean() for row, n in zip(right, lengths)]
    ),
    ("uniform_share", "padding_counted"): lambda right, lengths: torch.stack(
        [right[b].float().mean(-1)[right[b].any(-1)].mean() for b in range(len(right))]
    ),
    ("uniform_share", "unaligned_counted"): lambda right, lengths: torch.stack(
        [right[b, :, :n].float().mean() for b, n in enumerate(lengths)]
    ),
    ("uniform_share", "one_word_each"): lambda right, lengths: lengths.reciprocal(),
    ("uniform_share", "summed_over_tokens"): lambda right, lengths: right.flatten(1).sum(1) / lengths,
    ("uniform_share", "one_number"): lambda right, lengths: torch.stack(
        [right[b, right[b].any(-1), :n].float().mean() for b, n in enumerate(lengths)]
    ).mean(),
}


RIGHT = [
    ("cross_attention", looked),
    ("cross_attention", lambda x, context, lengths, w_q, w_k, w_v: attention(
        x @ w_q, context @ w_k, context @ w_v, mask=padding_mask(lengths, context.shape[1]))),
    ("uniform_share", lambda right, lengths: torch.stack(
        [right[b, right[b].any(-1), :n].float().mean() for b, n in enumerate(lengths)])),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_the_exercise_is_what_the_layer_does():
    torch.manual_seed(0)
    layer, x, context = MultiHeadAttention(4, 1, bias=False), torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    lengths = torch.tensor([5, 2])
    matrices = (projection.weight.T for projection in (layer.q_proj, layer.k_proj, layer.v_proj))
    output, weights = checks.cross_attention.solution(x, context, lengths, *matrices)
    expected, maps = layer(x, context, mask=padding_mask(lengths), need_weights=True)
    torch.testing.assert_close(weights, maps[:, 0])
    torch.testing.assert_close(F.linear(output, layer.out_proj.weight), expected)
