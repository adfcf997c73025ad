"""Exercises of lesson 06: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import math

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner, promises

from mha_lab import checks, heads, tasks
from mha_lab.checks import lesson06
from mha_lab.tasks import head_counts

NAMES = "error_bars", "served", "paired_interval", "turned", "most_heads"
EXERCISES = {name: getattr(checks, name) for name in NAMES}


def shares(weights, right):
    """(B, R, H, N)"""
    return torch.stack([(weights * right[:, r, None]).sum(-1) for r in range(right.shape[1])], 1)


def interval(pairs, t, ddof=1, root=math.sqrt):
    """The ends of an interval, from what stands in pairs (counts, seeds)."""
    margin = t * torch.as_tensor(np.std(pairs.numpy(), axis=1, ddof=ddof)) / root(pairs.shape[1])
    return pairs.mean(1) - margin, pairs.mean(1) + margin


def wins(losses, how=torch.all):
    """(counts, counts): the first of a pair has less loss with all seeds, or with any."""
    return torch.stack([torch.stack([how(one < other) for other in losses]) for one in losses])


def spreads_of_both(losses, base, t):
    error = (losses.std(1) ** 2 / len(base) + base.std() ** 2 / len(base)).sqrt()
    middle = (losses - base).mean(1)
    return middle - t * error, middle + t * error


def next_divisor(d_model, num_heads):
    return next(h for h in range(num_heads, d_model + 1) if d_model % h == 0)


def fitting(d_model, d_head):
    return max(h for h in range(1, d_model + 1) if d_model % h == 0 and d_model / h >= d_head)


WRONG = {
    ("error_bars", "spread_of_one_seed"): lambda quality: (quality.mean(1), quality.std(1)),
    ("error_bars", "divided_by_seeds"): lambda quality: (quality.mean(1), quality.std(1) / len(quality[0])),
    ("error_bars", "seeds_are_all_there_are"): lambda quality: (
        quality.mean(1),
        torch.as_tensor(np.std(quality.numpy(), axis=1)) / math.sqrt(len(quality[0])),
    ),
    ("error_bars", "one_seed_less"): lambda quality: (quality.mean(1), quality.std(1) / (len(quality[0]) - 1) ** 0.5),
    ("error_bars", "root_of_the_head_counts"): lambda quality: (quality.mean(1), quality.std(1) / len(quality) ** 0.5),
    ("error_bars", "variance_for_deviation"): lambda quality: (quality.mean(1), quality.std(1) ** 2 / len(quality[0])),
    ("error_bars", "over_head_counts"): lambda quality: (quality.mean(0), quality.std(0) / math.sqrt(len(quality))),
    ("served", "heads_first"): lambda weights, right: shares(weights, right).mean((0, 3)).mT,
    ("served", "averaged_over_keys"): lambda weights, right: (weights[:, None] * right[:, :, None]).mean((0, 3, 4)),
    ("served", "summed_over_queries"): lambda weights, right: shares(weights, right).sum(-1).mean(0),
    ("served", "summed_over_examples"): lambda weights, right: shares(weights, right).sum(0).mean(-1),
    ("served", "summed_over_everything"): lambda weights, right: shares(weights, right).sum((0, 3)),
    ("served", "keys_and_queries_swapped"): lambda weights, right: (
        (weights[:, None] * right.transpose(2, 3)[:, :, None]).sum(3).mean((0, 3))
    ),
    ("served", "largest_weight_only"): lambda weights, right: shares(
        torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).float(), right
    ).mean((0, 3)),
    ("error_bars", "variance_over_the_root"): lambda quality: (
        quality.mean(1),
        quality.var(1) / math.sqrt(len(quality[0])),
    ),
    ("served", "first_example_only"): lambda weights, right: shares(weights[:1], right[:1])[0].mean(-1),
    ("served", "rounded_to_0_or_1"): lambda weights, right: (shares(weights, right) > 0.5).double().mean((0, 3)),
    ("paired_interval", "two_samples"): spreads_of_both,
    ("paired_interval", "base_averaged_first"): lambda losses, base, t: interval(losses - base.mean(), t),
    ("paired_interval", "no_base"): lambda losses, base, t: interval(losses, t),
    ("paired_interval", "spread_of_a_pair"): lambda losses, base, t: interval(losses - base, t, root=lambda n: 1),
    ("paired_interval", "error_over_n"): lambda losses, base, t: interval(losses - base, t, root=lambda n: n),
    ("paired_interval", "seeds_taken_for_all"): lambda losses, base, t: interval(losses - base, t, ddof=0),
    ("paired_interval", "one_error_wide"): lambda losses, base, t: interval(losses - base, 1),
    ("paired_interval", "_errors_by_heart"): [
        lambda losses, base, t: interval(losses - base, 1.96),
        lambda losses, base, t: interval(losses - base, 2),
    ],
    ("paired_interval", "ends_exchanged"): lambda losses, base, t: interval(losses - base, t)[::-1],
    ("paired_interval", "the_other_sign"): lambda losses, base, t: interval(base - losses, t),
    ("paired_interval", "pairs_sorted"): lambda losses, base, t: interval(losses.sort().values - base.sort()[0], t),
    ("paired_interval", "mean_and_margin"): lambda losses, base, t: (
        (losses - base).mean(1),
        t * (losses - base).std(1) / len(base) ** 0.5,
    ),
    ("turned", "by_the_means"): lambda short, long: (
        wins(short.mean(1, keepdim=True)) & wins(-long.mean(1, keepdim=True))
    ),
    ("turned", "with_any_seed"): lambda short, long: wins(short, torch.any) & wins(-long, torch.any),
    ("turned", "better_later"): [
        lambda short, long: wins(long) & wins(-short),
        lambda short, long: wins(-short) & wins(long),
    ],
    ("turned", "either_way"): lambda short, long: wins(short) & wins(-long) | wins(-short) & wins(long),
    ("turned", "short_alone"): lambda short, long: wins(short),
    ("turned", "long_alone"): lambda short, long: wins(-long),
    ("turned", "order_stayed"): lambda short, long: wins(short) & wins(long),
    ("turned", "open_later"): lambda short, long: wins(short) & ~wins(long),
    ("turned", "never_overlapping"): lambda short, long: (
        (short.max(1).values[:, None] < short.min(1).values) & (long.min(1).values[:, None] > long.max(1).values)
    ),
    ("most_heads", "d_model_left_out"): lambda d_model, d_head: max(
        [h for h in range(1, d_model) if d_model % h == 0 and d_model / h >= d_head]
    ),
    ("most_heads", "the_bound_left_out"): lambda d_model, d_head: max(
        [h for h in range(1, d_model // d_head) if d_model % h == 0] or [1]
    ),
    ("most_heads", "up_to_the_root"): lambda d_model, d_head: max(
        [h for h in range(1, math.isqrt(d_model) + 1) if d_model % h == 0 and d_model / h >= d_head]
    ),
    ("most_heads", "up_to_64"): lambda d_model, d_head: max(
        [h for h in range(1, 65) if d_model % h == 0 and d_model / h >= d_head]
    ),
    ("most_heads", "not_a_divisor"): lambda d_model, d_head: math.floor(d_model / d_head),
    ("most_heads", "rounded_up"): lambda d_model, d_head: next_divisor(d_model, d_model // d_head),
    ("most_heads", "root_rule"): lambda d_model, d_head: math.sqrt(d_model / 16),
    ("most_heads", "width_for_number"): lambda d_model, d_head: d_model // fitting(d_model, d_head),
    ("most_heads", "strictly_wider"): lambda d_model, d_head: next(
        h for h in range(d_model, 0, -1) if d_model % h == 0 and (d_model // h > d_head or h == 1)
    ),
    ("most_heads", "a_part_of_a_head"): lambda d_model, d_head: d_model / d_head,
    ("most_heads", "width_taken_for_heads"): lambda d_model, d_head: (
        math.gcd(d_model, d_head) if d_model % d_head == 0 else max(h for h in range(1, d_head) if d_model % h == 0)
    ),
}


RIGHT = [
    ("error_bars", lambda quality: (quality.mean(1), (quality.var(1) / quality.shape[1]).sqrt())),
    ("error_bars", lambda quality: (np.mean(quality, 1), np.std(quality, 1, ddof=1) / len(quality[0]) ** 0.5)),
    ("served", lambda weights, right: heads.mass(weights[:, None], right[:, :, None]).mean(0)),
    ("served", lambda weights, right: shares(weights, right).mean((0, 3))),
    ("paired_interval", lambda losses, base, t: interval(losses - base, t)),
    ("paired_interval", lambda losses, base, t: tuple(torch.stack(interval(losses - base[None], t)))),
    ("turned", lambda short, long: wins(short) & wins(-long)),
    ("turned", lambda short, long: (short[:, None] < short[None]).all(2) * (long[:, None] > long[None]).all(2)),
    ("most_heads", fitting),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


# inside the recorded models ------------------------------------------------------------------------------------------


def test_turned_names_the_place_of_a_difference_as_its_text_does():
    assert "first difference at [0, 1]: yours is True" in str(checks.turned(lambda short, long: wins(short)))


IN_THE_SWEEP = "served", "paired_interval", "turned"
SAID = {
    "served": "by your table, 2 of 4 pointers have a head that lays more than 0.9 of its weight on them after 800 "
    "steps, 4 after 3,000.",
    "paired_interval": "16 heads lie between -0.29 and +0.17 nats beside eight by your interval, and the head counts "
    "whose interval leaves 0 out: 1.",
    "turned": "the order turned between: 4 heads and 64, 8 heads and 32.",
}


@pytest.mark.parametrize("name", IN_THE_SWEEP)
def test_a_right_function_goes_on_in_the_recorded_sweep_and_the_card_says_what_it_finds_there(name, found):
    for exercise, function in [(name, as_a_learner(EXERCISES[name].solution)), *RIGHT]:
        if exercise == name:
            result = EXERCISES[name](function, found)
            assert result.passed and SAID[name] in result.lines[0]
            assert result.picture().axes
            assert SAID[name] not in " ".join(EXERCISES[name](function).lines)  # without the sweep, its cases alone


@pytest.mark.parametrize("name, mistake", [pair for pair in WRONG if pair[0] in IN_THE_SWEEP])
def test_a_wrong_function_keeps_its_question_in_the_sweep_and_sees_what_ours_finds(name, mistake, found):
    answers = WRONG[name, mistake]
    for answer in answers if isinstance(answers, list) else [answers]:
        alone, inside = EXERCISES[name](answer), EXERCISES[name](answer, found)
        assert not inside.passed and inside.lines[: len(alone.lines)] == alone.lines
        if len(inside.lines) > len(alone.lines):
            assert inside.picture().axes


def test_a_wrong_interval_reads_in_two_sentences_what_it_finds_in_the_sweep_and_what_ours_finds(found):
    lines = EXERCISES["paired_interval"](WRONG["paired_interval", "base_averaged_first"], found).lines
    assert lines[-1].endswith("By ours they lie between -0.29 and +0.17, and those that leave 0 out are: 1.")
    assert "leaves 0 out: 1, 2, 16. By ours" in lines[-1]


@pytest.mark.parametrize("name", IN_THE_SWEEP)
def test_what_is_not_the_sweep_is_asked_for_in_words(name):
    said = EXERCISES[name](EXERCISES[name].solution, 3).lines[0]
    assert said.startswith("The second argument is the int 3, and the recorded sweep was asked for: `checks.")


def test_the_intervals_of_the_lesson_are_those_of_students_t():
    table = lesson06.STUDENT
    for n, t in table.items():  # 95% of the area lies within ±t, by Simpson's rule
        x = np.linspace(-t, t, 20_001)
        density = (
            math.gamma(n / 2)
            / math.sqrt((n - 1) * math.pi)
            / math.gamma((n - 1) / 2)
            * (1 + x**2 / (n - 1)) ** (-n / 2)
        )
        assert abs(np.trapezoid(density, x) - 0.95) < 1e-4


# the recorded sweep --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    return tasks.recorded_head_counts()


def test_the_recorded_sweep_shows_too_few_enough_and_too_many_at_the_short_budget(found):
    assert found.heads == [1, 2, 4, 8, 16, 32, 64] and found.lookup.shape == found.characters.shape == (7, 5)
    lookup = dict(zip(found.heads, found.lookup))
    assert lookup[1].max() < 0.40 and lookup[64].max() < 0.60
    assert lookup[4].median() > 0.98 and lookup[8].median() > 0.98
    text = dict(zip(found.heads, found.characters.mean(dim=1)))
    best = min(text[h] for h in (4, 8, 16))
    assert text[1] - best >= 0.10 and text[64] - best >= 0.07


def test_longer_training_mends_16_and_32_heads_and_a_higher_learning_rate_helps_heads_of_width_one(found):
    long = dict(zip(found.long_heads, found.lookup_long))
    assert long[16].min() > 0.99 and long[32].min() > 0.99 and long[64].max() < 0.8
    assert (found.lookup_faster - long[64][: len(found.lookup_faster)]).min() > 0.1


def test_on_text_one_head_and_two_lose_at_both_budgets_and_64_catch_up_with_eight_but_not_with_16(found):
    assert len(found.characters_long) == len(found.heads)
    short, long = (dict(zip(found.heads, losses)) for losses in (found.characters, found.characters_long))
    for text in short, long:
        assert (text[1] - text[8]).min() > 0.15 and (text[2] - text[8]).min() > 0.08
    assert (short[64] - short[8]).min() > 0.05 and (long[64] - long[8]).mean().abs() < 0.05
    assert (long[64] - long[16]).min() > 0 > (long[16] - long[8]).max()


def test_sharing_keys_and_values_is_recorded_for_each_group_and_costs_less_than_having_one_head(found):
    assert {(8, G, 8) for G in (4, 2, 1)} | {(8, 1, 14), (16, 4, 4)} == set(found.shared)
    assert set(found.shared_long) <= set(found.shared)
    one_head, one_head_long = found.characters[0], found.characters_long[0]
    assert all((seeds < one_head[: len(seeds)]).all() for seeds in found.shared.values())
    assert all((seeds < one_head_long[: len(seeds)]).all() for seeds in found.shared_long.values())
    own = found.characters[found.heads.index(8)]
    given_back, narrow = found.shared[8, 1, 14], found.shared[8, 1, 8]
    assert (given_back - own[: len(given_back)]).max() < 0.05 < (narrow - own[: len(narrow)]).min()


def test_the_recorded_maps_are_weights_and_know_where_they_should_look(found):
    assert set(found.maps) == {(h, 800) for h in found.heads} | {(h, 3000) for h in found.long_heads}
    for (num_heads, _), weights in found.maps.items():
        assert weights.shape == (num_heads, 8, 8)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(num_heads, 8), atol=5e-3, rtol=0)
    assert found.example.right.sum(dim=-1).eq(1).all()


def test_an_altered_sweep_is_refused_in_words(monkeypatch, tmp_path):
    altered = tmp_path / "head_counts.npz"
    altered.write_bytes(head_counts.HEAD_COUNTS.read_bytes()[:-1])
    monkeypatch.setattr(head_counts, "HEAD_COUNTS", altered)
    with pytest.raises(ValueError, match="head_counts.npz was altered or cut short"):
        tasks.recorded_head_counts()
    altered.unlink()
    with pytest.raises(FileNotFoundError, match="head_counts.npz is missing; "):
        tasks.recorded_head_counts()
