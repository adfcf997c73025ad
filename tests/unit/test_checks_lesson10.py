"""Exercises of lesson 10: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from exercise_promises import promises

from mha_lab import KVCache, checks, models, pretrained
from mha_lab.checks import lesson10, lesson10_judging
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


def one_largest(largest, total, summed, scores, values):
    new = torch.full_like(largest, scores.max().item()).maximum(largest)
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
    ("add_block", "from_the_blocks_largest_and_nothing_shrunk"): lambda largest, total, summed, scores, values: (
        scores.max(1).values,
        total + torch.exp(scores - scores.max(1, keepdim=True).values).sum(1),
        summed + torch.exp(scores - scores.max(1, keepdim=True).values) @ values,
    ),
    ("add_block", "one_largest_for_all_rows"): one_largest,
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


# inside a model ------------------------------------------------------------------------------------------------------


def relay(window=16, **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.Encoder((11,), (10,), d_model=16, num_heads=2, num_layers=3, causal=True, window=window, **sizes)


def only_on_short_texts(keys, new, width):
    return as_the_cache_slides(keys, new, width)[..., -20:, :]


def test_a_right_cache_does_in_the_relay_what_the_mask_does():
    result = checks.slide(lambda keys, new, width: as_the_cache_slides(keys, new, width), relay())
    text = "\n".join(result.lines)
    assert result.passed and "3 layers with a window of 16" in text and "does the same" in text
    known = [int(number) for number in re.search(r"up to (\d+) tokens away \(with the mask: (\d+)\)", text).groups()]
    assert known[0] == known[1]


def test_a_cache_that_is_right_on_the_shapes_of_the_check_only_is_found_out_in_the_relay():
    assert checks.slide(only_on_short_texts).passed
    result = checks.slide(only_on_short_texts, relay())
    assert not result.passed and "slide kept 20 keys where 24 were needed" in result.lines[1]


def test_a_wrong_cache_gets_its_question_whatever_model_there_is():
    wrong = WRONG["slide", "last_width_of_all"]
    assert checks.slide(wrong, relay()).lines[0] == checks.slide(wrong).lines[0]


@pytest.mark.parametrize("model", [3, "SmolLM2", relay(window=None), torch.nn.Linear(2, 2)])
def test_what_is_no_model_with_a_window_is_named(model):
    result = checks.slide(as_the_cache_slides, model)
    assert not result.passed and "relays[4]" in result.lines[0]


def test_in_smollm2_a_right_cache_reads_as_recorded():
    try:
        model = pretrained.SmolLM2.load()
    except pretrained.ModelMissing as missing:
        pytest.skip(str(missing))
    text, _ = lesson10._rolled_smollm2(model, as_the_cache_slides)
    found = re.findall(r"([\d.]+) \(recorded with a mask: ([\d.]+)\)", text)
    assert len(found) == 2 and all(abs(float(mine) / float(theirs) - 1) < 0.01 for mine, theirs in found)


# on judging ----------------------------------------------------------------------------------------------------------

RIGHT_SIZES = 6.4, 1.3, 0.13, 0.19


@pytest.mark.parametrize("sizes", [RIGHT_SIZES, (6.0, 1.22, 0.122, 0.2), list(RIGHT_SIZES)])
def test_a_pencil_may_be_a_tenth_off(sizes):
    assert checks.with_a_pencil(sizes).passed


@pytest.mark.parametrize(
    "place, slip, question",
    [
        (place, slip, said)
        for place, slips in enumerate(lesson10_judging.SLIPS.values())
        for slip, said in slips.items()
    ],
)
def test_each_slip_of_the_pencil_gets_its_question(place, slip, question):
    result = checks.with_a_pencil([*RIGHT_SIZES[:place], slip, *RIGHT_SIZES[place + 1 :]])
    assert not result.passed and question.endswith("?") and result.lines[0].endswith(question)


def test_other_sizes_are_told_by_how_much_they_are_off():
    assert "3 times too large" in checks.with_a_pencil((19.2, *RIGHT_SIZES[1:])).lines[0]
    assert "10 times too small" in checks.with_a_pencil((*RIGHT_SIZES[:3], 0.019)).lines[0]
    one_factor = checks.with_a_pencil((6400, 1310, 131, 0.19))
    assert len(one_factor.lines) == 1 and "off by one factor, 1e+03" in one_factor.lines[0]


@pytest.mark.parametrize("answer", [(1, 2), "four", (1, 2, 3, "x"), (1, 2, 3, float("nan")), (1, 2, 3, 4, 5), 7])
def test_what_is_no_four_numbers_is_told(answer):
    assert "Four numbers were asked for" in checks.with_a_pencil(answer).lines[0]


@pytest.mark.parametrize("answer", [("ac", "ab", "de", 3), ("db", "dc", "ED", 3), ["bd", "cd", "de", 3]])
def test_any_pair_that_differs_in_one_condition_shows_it(answer):
    assert checks.percentages(answer).passed


@pytest.mark.parametrize(
    "answer, said",
    [
        (("ad", "ab", "de", 3), "differ in the length and the weights. Which of them"),
        (("ab", "ab", "de", 3), "differ in the weights alone, so they show what that does"),
        (("ac", "aa", "de", 3), "you name one report twice"),
        (("ac", "ab", "ce", 3), "differ in the weights and the number of texts"),
        (("ac", "ab", "de", 1), "Between a and e you count 1"),
    ],
)
def test_a_pair_that_differs_in_more_or_in_something_else_gets_a_question(answer, said):
    result = checks.percentages(answer)
    assert not result.passed and "right are 3 of 4" in result.verdict
    assert said in result.lines[0] and result.lines[0].endswith("?")


@pytest.mark.parametrize("answer", [("ac", "ab", "de"), ("ax", "ab", "de", 3), "ac", ("ac", "ab", "de", "three"), 3])
def test_what_is_no_three_pairs_and_a_number_is_told(answer):
    assert "three pairs of letters" in checks.percentages(answer).lines[0]


def test_the_lesson_tells_the_reports_as_they_are_computed():
    lesson = Path(__file__).parents[2] / "notebooks/10_long_sequences.ipynb"
    text = "\n".join(cell.source for cell in nbformat.read(lesson, as_version=4).cells)
    for letter, (n, _, texts) in lesson10_judging.REPORTS.items():
        row = re.search(rf"^\| {letter} \| ([\d,]+) \|[^|]+\| (\d+) \| (\d+) % \|$", text, re.M)
        assert row and row.groups() == (f"{n:,}", str(texts), f"{100 * lesson10_judging.saved(letter):.0f}")


def test_untouched_answers_are_no_attempt():
    assert checks.percentages(None).state == checks.with_a_pencil(None).state == "untouched"
