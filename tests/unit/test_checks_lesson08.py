"""Exercises of lesson 08: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import functools
import math

import torch
from exercise_promises import promises
from torch.nn import functional as F

from mha_lab import MultiHeadAttention, attention, checks, heads, padding_mask

EXERCISES = {name: getattr(checks, name) for name in ("cross_attention", "uniform_share", "share_by_place")}


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


def on_places(test, places):
    """By sentence, the share of the rows with an answer in which one of these places is right."""
    return torch.stack([
        torch.tensor([float(row[place]) for row, place in zip(rows, places) if row.any()]).mean() for rows in test
    ])  # fmt: skip


def most_often(right):
    return [max(range(right.shape[2]), key=lambda s: int(right[:, n, s].sum())) for n in range(right.shape[1])]


def shared_out(training, test):
    often = training.float().mean(0) / training.float().mean(0).sum(-1, keepdim=True).clamp(min=1e-9)
    return torch.stack([(often * rows).sum(-1)[rows.any(-1)].mean() for rows in test])


def rows_of_places(training, test):
    weights = torch.zeros(test.shape[1:])
    for s in range(test.shape[2]):
        weights[max(range(test.shape[1]), key=lambda n: int(training[:, n, s].sum())), s] = 1
    return torch.stack([(weights * rows).sum(-1)[rows.any(-1)].mean() for rows in test])


WRONG = {
    ("share_by_place", "chosen_on_the_test"): lambda training, test: on_places(test, most_often(test)),
    ("share_by_place", "spread_in_proportion"): shared_out,
    ("share_by_place", "one_place_for_all"): lambda training, test: on_places(
        test, [int(training.flatten(0, 1).sum(0).argmax())] * test.shape[1]
    ),
    ("share_by_place", "the_same_place"): lambda training, test: on_places(
        test, [min(n, test.shape[2] - 1) for n in range(test.shape[1])]
    ),
    ("share_by_place", "nothing_counted_as_failure"): lambda training, test: torch.stack(
        [
            sum(float(row[place]) for row, place in zip(rows, most_often(training))) / torch.tensor(float(len(rows)))
            for rows in test
        ]
    ),
    ("share_by_place", "one_share_for_all"): lambda training, test: on_places(test, most_often(training)).mean(),
    ("share_by_place", "rows_counted"): lambda training, test: torch.stack(
        [torch.tensor(sum(int(row[place]) for row, place in zip(rows, most_often(training)))) for rows in test]
    ),
    ("share_by_place", "_by_target_place"): rows_of_places,
    ("cross_attention", "_everything_from_x"): [
        lambda x, context, lengths, w_q, w_k, w_v: looked(x, x, lengths, w_q, w_k, w_v),
        lambda x, context, lengths, w_q, w_k, w_v: with_weights(
            x, w_v, scores(x, x, w_q, w_k).masked_fill(padding(context, lengths), -torch.inf).softmax(2)
        ),
    ],
    ("cross_attention", "values_of_x"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        x, w_v, scores(x, context, w_q, w_k).masked_fill(padding(context, lengths), -torch.inf).softmax(2)
    ),
    ("cross_attention", "keys_of_x"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, x, w_q, w_k).masked_fill(padding(context, lengths), -torch.inf).softmax(2)
    ),
    ("cross_attention", "rows_masked"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, context, w_q, w_k).masked_fill(padding(context, lengths).mT, -torch.inf).softmax(2)
    ),
    ("cross_attention", "mask_without_queries"): lambda x, context, lengths, w_q, w_k, w_v: with_weights(
        context, w_v, scores(x, context, w_q, w_k).masked_fill(padding(context, lengths)[:, 0], -torch.inf).softmax(2)
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
    ("uniform_share", "all_cells"): lambda right, lengths: right.float().flatten(1).mean(1),
    ("uniform_share", "_one_number"): [
        lambda right, lengths: torch.stack(
            [right[b, right[b].any(-1), :n].float().mean() for b, n in enumerate(lengths)]
        ).mean(),
        lambda right, lengths: (right.sum(-1) / lengths[:, None])[right.any(-1)].mean(),
    ],
}


RIGHT = [
    ("cross_attention", looked),
    ("cross_attention", lambda x, context, lengths, w_q, w_k, w_v: attention(
        x @ w_q, context @ w_k, context @ w_v, mask=padding_mask(lengths, context.shape[1]))),
    ("uniform_share", lambda right, lengths: torch.stack(
        [right[b, right[b].any(-1), :n].float().mean() for b, n in enumerate(lengths)])),
    ("share_by_place", lambda training, test: on_places(test, most_often(training))),
    ("share_by_place", lambda training, test: heads.mass(
        F.one_hot(training.float().mean(0).argmax(-1), test.shape[2]).float(), test)),
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


def test_a_right_answer_translates_in_a_trained_model_and_draws_its_map():
    result = checks.cross_attention(looked)
    assert "“my neighbour sees her” as “mon voisin la voit”. With our function it does the same." in result.lines[-1]
    assert "Your function in head 1.1" in result._repr_html_()


def made_for(columns):
    def function(x, context, lengths, w_q, w_k, w_v):
        assert w_q.shape[0] <= columns
        return looked(x, context, lengths, w_q, w_k, w_v)

    return function


def blind_to_padding_in_long_sentences(x, context, lengths, w_q, w_k, w_v):
    lengths = lengths if context.shape[1] < 7 else torch.full_like(lengths, context.shape[1])
    return looked(x, context, lengths, w_q, w_k, w_v)


def test_an_answer_that_fits_the_shapes_of_the_check_only_is_told_what_becomes_of_it_in_the_model():
    result = checks.cross_attention(made_for(columns=8))
    assert result.state == "wrong" and "raises an error" in result.lines[0] and "assert" in result.lines[1]
    result = checks.cross_attention(blind_to_padding_in_long_sentences)
    assert result.state == "wrong" and "With our function there: " in result.lines[0]
    assert not checks.cross_attention(lambda *given: looked(*given)[::-1]).passed  # and a wrong one never gets there
