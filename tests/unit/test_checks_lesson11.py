"""Exercises of lesson 11: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import numpy as np
import torch
from exercise_promises import promises

from mha_lab import MultiHeadAttention, checks, heads
from mha_lab.pretrained import regrouped
from mha_lab.rotary import rotate

EXERCISES = {name: getattr(checks, name) for name in ("induction_score", "pool_heads", "to_halves")}


def second_copy(weights, key):
    """(H,): mean weight of the second copy's queries i on key(i, L)."""
    L = weights.shape[1] // 2
    total = [weights[:, i, key(i, L)] for i in range(L, 2 * L) if key(i, L) >= 0]
    return sum(total) / len(total)


def by_groups(weight, old, new, join):
    K = len(weight) // old
    old_heads = weight.split(K)
    group = old // new
    return torch.cat([join(old_heads[g * group : (g + 1) * group]) for g in range(new)])


def reordered(weight, H, order):
    """The rows of each head in the order that `order(K)` gives."""
    K = len(weight) // H
    return torch.cat([head[order(K)] for head in weight.split(K)])


def evens_then_odds(K):
    return [*range(0, K, 2), *range(1, K, 2)]


WRONG = {
    ("induction_score", "on_the_double"): lambda weights: second_copy(weights, lambda i, L: i - L),
    ("induction_score", "before_the_double"): lambda weights: second_copy(weights, lambda i, L: i - L - 1),
    ("induction_score", "_on_the_previous"): [
        lambda weights: second_copy(weights, lambda i, L: i - 1),
        lambda weights: weights.diagonal(-1, 1, 2).mean(1),
    ],
    ("induction_score", "one_query_too_early"): lambda weights: weights.diagonal(1 - weights.shape[1] // 2, 1, 2)[
        :, :-1
    ].mean(1),
    ("induction_score", "from_the_first_copy_on"): lambda weights: weights.diagonal(
        1 - weights.shape[1] // 2, dim1=1, dim2=2
    ).mean(1),
    ("induction_score", "over_all_queries"): lambda weights: (
        (weights * heads.offset(weights.shape[1], 1 - weights.shape[1] // 2))[:, weights.shape[1] // 2 :].sum((1, 2))
        / weights.shape[1]
    ),
    ("induction_score", "added_up"): lambda weights: weights.diagonal(1 - weights.shape[1] // 2, dim1=1, dim2=2)[
        :, 1:
    ].sum(1),
    ("induction_score", "last_query_left_out"): lambda weights: torch.stack(
        [weights[:, i, i - weights.shape[1] // 2 + 1] for i in range(weights.shape[1] // 2, weights.shape[1] - 1)]
    ).mean(0),
    ("induction_score", "first_query_left_out"): lambda weights: weights.diagonal(1 - weights.shape[1] // 2, 1, 2)[
        :, 2:
    ].mean(1),
    ("induction_score", "turned"): lambda weights: second_copy(weights.transpose(1, 2), lambda i, L: i - L + 1),
    ("pool_heads", "first_of_each"): lambda weight, old_heads, num_kv_heads: by_groups(
        weight, old_heads, num_kv_heads, lambda group: group[0]
    ),
    ("pool_heads", "sum_for_mean"): lambda weight, old_heads, num_kv_heads: by_groups(
        weight, old_heads, num_kv_heads, sum
    ),
    ("pool_heads", "every_nth"): lambda weight, old_heads, num_kv_heads: torch.cat(
        [sum(weight.chunk(old_heads)[g::num_kv_heads]) / (old_heads // num_kv_heads) for g in range(num_kv_heads)]
    ),
    ("pool_heads", "rows_for_heads"): lambda weight, old_heads, num_kv_heads: torch.stack(
        [rows.mean(0) for rows in weight.split(old_heads // num_kv_heads)]
    ),
    ("to_halves", "the_other_way"): lambda weight, num_heads: reordered(
        weight, num_heads, lambda K: [i // 2 + (i % 2) * K // 2 for i in range(K)]
    ),
    ("to_halves", "across_heads"): lambda weight, num_heads: weight[evens_then_odds(len(weight))],
    ("to_halves", "seconds_first"): lambda weight, num_heads: reordered(
        weight, num_heads, lambda K: [*range(1, K, 2), *range(0, K, 2)]
    ),
    ("to_halves", "left_as_it_was"): lambda weight, num_heads: weight * 1,
    ("to_halves", "view_for_transpose"): lambda weight, num_heads: torch.stack(
        [torch.stack([head[0::2].T, head[1::2].T]) for head in weight.chunk(num_heads)]
    ).reshape(weight.shape),
}


RIGHT = [
    ("induction_score", lambda weights: second_copy(weights, lambda i, L: i - L + 1)),
    (
        "induction_score",
        lambda weights: [np.mean([w[i, i - len(w) // 2 + 1] for i in range(len(w) // 2, len(w))]) for w in weights],
    ),
    (
        "pool_heads",
        lambda weight, old_heads, num_kv_heads: by_groups(
            weight, old_heads, num_kv_heads, lambda group: torch.stack(group).mean(0)
        ),
    ),
    ("to_halves", lambda weight, num_heads: reordered(weight, num_heads, evens_then_odds)),
]

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_pooling_is_what_the_package_does():
    layer = MultiHeadAttention(24, 12, 6)
    pooled = checks.pool_heads.solution(layer.k_proj.weight, 6, 2)
    torch.testing.assert_close(regrouped(layer, 2).k_proj.weight, pooled)


def test_rows_in_halves_give_the_scores_of_rows_side_by_side():
    torch.manual_seed(0)
    x, (q, k) = torch.randn(1, 5, 12), torch.randn(2, 12, 12)

    def scores(q, k, adjacent):
        query, key = ((x @ w.T).view(5, 2, 6).transpose(0, 1) for w in (q, k))
        return rotate(query, adjacent=adjacent) @ rotate(key, adjacent=adjacent).mT

    halves = [checks.to_halves.solution(w, 2) for w in (q, k)]
    torch.testing.assert_close(scores(*halves, adjacent=False), scores(q, k, adjacent=True), rtol=0, atol=1e-4)
