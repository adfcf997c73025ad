"""Exercises of lesson 10: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import numpy as np
import torch
from exercise_promises import promises

from mha_lab import KVCache, checks
from mha_lab.masks import causal_mask, window_mask

EXERCISES = {name: getattr(checks, name) for name in ("add_block", "window_scores", "slide")}


def block(*, total=lambda old, factor: old * factor, summed=lambda old, factor: old * factor):
    """An answer that treats the old sums as told, given exp(old − new)."""

    def answer(largest, old_total, old_summed, scores, values):
        new = torch.cat([largest[:, None], scores], 1).max(1).values
        weights, factor = torch.exp(scores - new[:, None]), torch.exp(largest - new)
        return new, total(old_total, factor) + weights.sum(1), summed(old_summed, factor[:, None]) + weights @ values

    return answer


def keep(old, factor):
    return old


def grow(old, factor):
    return old / factor


def blocks_own(largest, total, summed, scores, values):
    new = scores.max(1).values
    weights, factor = torch.exp(scores - new[:, None]), torch.exp(largest - new)
    return new, total * factor + weights.sum(1), summed * factor[:, None] + weights @ values


def divided(*given):
    new, total, summed = block()(*given)
    return new, total, summed / total[:, None]


def own_softmax(largest, total, summed, scores, values):
    new = torch.maximum(largest, scores.max(1).values)
    factor = torch.exp(largest - new)
    return new, total * factor + 1, summed * factor[:, None] + torch.softmax(scores, 1) @ values


def from_zero(largest, total, summed, scores, values):
    new = torch.cat([torch.zeros(len(scores), 1), largest[:, None], scores], 1).max(1).values
    weights, factor = torch.exp(scores - new[:, None]), torch.exp(largest - new)
    return new, total * factor + weights.sum(1), summed * factor[:, None] + weights @ values


def with_weights_of(largest, total, summed, scores, values, weigh):
    """The old sums shrink as they should; the block's weights are what `weigh` makes of them."""
    new = torch.maximum(largest, scores.max(1).values)
    weights, factor = weigh(scores, largest), torch.exp(largest - new)
    return new, total * factor + weights.sum(1), summed * factor[:, None] + weights @ values


def exponentials_apart(largest, total, summed, scores, values):
    new = torch.maximum(largest, scores.max(1).values)
    shrink, weights = torch.exp(largest) / torch.exp(new), torch.exp(scores) / torch.exp(new)[:, None]
    return new, total * shrink + weights.sum(1), summed * shrink[:, None] + weights @ values


def seen(n, mask):
    return int(mask.sum())


WRONG = {
    ("add_block", "nothing_shrunk"): block(total=keep, summed=keep),
    ("add_block", "only_total_shrunk"): block(summed=keep),
    ("add_block", "grown_for_shrunk"): block(total=grow, summed=grow),
    ("add_block", "from_the_blocks_largest"): blocks_own,
    ("add_block", "divided_already"): divided,
    ("add_block", "softmax_of_the_block"): own_softmax,
    ("add_block", "largest_kept"): lambda largest, *rest: (largest, *block()(largest, *rest)[1:]),
    ("add_block", "counts_from_the_old_largest"): lambda largest, total, summed, scores, values: (
        largest,
        total + torch.exp(scores - largest.unsqueeze(1)).sum(1),
        summed + torch.exp(scores - largest.unsqueeze(1)) @ values,
    ),
    ("add_block", "largest_from_zero"): from_zero,
    ("add_block", "_counts_from_nowhere"): [
        lambda largest, total, summed, scores, values: (
            torch.maximum(largest, scores.max(1).values),
            total + torch.exp(scores).sum(1),
            summed + torch.exp(scores) @ values,
        ),
        lambda *given: with_weights_of(*given, lambda scores, largest: torch.exp(scores)),
    ],
    ("add_block", "exponentials_apart"): exponentials_apart,
    ("add_block", "block_from_the_old_largest"): lambda *given: with_weights_of(
        *given, lambda scores, largest: torch.exp(scores - largest[:, None])
    ),
    ("slide", "_negative_start"): [
        lambda keys, new, width: torch.cat([keys[:, :, keys.shape[2] - width + 1 :], new], 2),
        lambda keys, new, width: torch.cat([keys, new], 2)[
            :, :, keys.shape[2] + new.shape[2] - (width + new.shape[2] - 1) :
        ],
    ],
    ("slide", "one_old_key_too_few"): lambda keys, new, width: torch.cat(
        [keys[:, :, max(keys.shape[2] - max(width - 2, 0), 0) :], new], 2
    ),
    ("slide", "all_kept_up_to_width"): lambda keys, new, width: torch.cat(
        [keys[:, :, keys.shape[2] - (width - 1 if keys.shape[2] > width else keys.shape[2]) :], new], 2
    ),
    ("window_scores", "a_whole_window_for_all"): lambda n, width: width * n,
    ("window_scores", "window_longer_than_the_text"): lambda n, width: (n - width) * width + width * (width + 1) // 2,
    ("window_scores", "no_window"): lambda n, width: seen(n, causal_mask(n)),
    ("window_scores", "on_both_sides"): lambda n, width: seen(n, window_mask(n, width)),
    ("window_scores", "without_itself"): lambda n, width: seen(n, window_mask(n, width + 1) & causal_mask(n)) - n,
    ("window_scores", "itself_and_width_more"): lambda n, width: seen(n, window_mask(n, width + 1) & causal_mask(n)),
    ("slide", "last_width_of_all"): lambda keys, new, width: torch.cat([keys, new], 2)[:, :, -width:],
    ("slide", "one_old_key_too_many"): lambda keys, new, width: torch.cat([keys[:, :, -width:], new], 2),
    ("slide", "nothing_forgotten"): lambda keys, new, width: torch.cat([keys, new], 2),
    ("slide", "the_oldest_kept"): lambda keys, new, width: torch.cat([keys[:, :, : width - 1], new], 2),
    ("slide", "minus_zero"): lambda keys, new, width: torch.cat([keys[:, :, -(width - 1) :], new], 2),
    ("slide", "new_in_front"): lambda keys, new, width: torch.cat(
        [new, keys[:, :, max(keys.shape[2] - width + 1, 0) :]], 2
    ),
}


def one_score_after_the_other(largest, total, summed, scores, values):
    rows = []
    for m, t, s, row in zip(largest, total, summed, scores):
        for score, value in zip(row, values):
            new = max(m, score)
            t, s, m = t * torch.exp(m - new) + torch.exp(score - new), s * torch.exp(m - new), new
            s = s + torch.exp(score - m) * value
        rows.append((m, t, s))
    return tuple(torch.stack(part) for part in zip(*rows))


def as_the_cache_slides(keys, new, width):
    cache = KVCache(window=width)
    cache.append(keys, keys)
    return cache.append(new, new)[0]


RIGHT = [
    ("add_block", one_score_after_the_other),
    ("add_block", block()),
    ("window_scores", lambda n, width: seen(n, causal_mask(n) & window_mask(n, width))),
    ("window_scores", lambda n, width: int(np.minimum(np.arange(n) + 1, width).sum())),
    ("slide", as_the_cache_slides),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_blocks_added_one_after_another_are_softmax():
    scores, values = torch.randn(3, 12, dtype=torch.float64), torch.randn(12, 4, dtype=torch.float64)
    state = scores.new_full((3,), -torch.inf), scores.new_zeros(3), scores.new_zeros(3, 4)
    for part, rows in zip(scores.split(5, dim=1), values.split(5)):
        state = checks.add_block.solution(*state, part, rows)
    torch.testing.assert_close(state[2] / state[1][:, None], scores.softmax(dim=1) @ values)
