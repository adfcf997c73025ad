"""Exercises of lesson 08b: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more and share no code with mha_lab.checks.
"""

import math

import numpy as np
import torch
from exercise_promises import promises

from mha_lab import checks, tasks, window_mask

EXERCISES = {name: getattr(checks, name) for name in ("asked_half", "paired_gap", "within_reach")}


def half(words, in_right):
    """in_right: for each patch, whether it is in the right half."""
    in_right = torch.as_tensor(in_right)
    return torch.stack([in_right if word else ~in_right for word in words])


def visible(right, reach):
    """How many answers stand fewer than `reach` places back."""
    return sum(int(i - j) < reach for i, j in right.nonzero())


def error_of(numbers, less=1):
    """The standard error of their mean."""
    middle = sum(numbers) / len(numbers)
    return math.sqrt(sum((x - middle) ** 2 for x in numbers) / (len(numbers) - less)) / math.sqrt(len(numbers))


def pairs(one, other):
    return [float(a - b) for a, b in zip(one, other)]


def mean(numbers):
    return sum(numbers) / len(numbers)


WRONG = {
    ("paired_gap", "unpaired"): lambda one, other: (
        float(one.mean() - other.mean()), math.hypot(error_of(one.tolist()), error_of(other.tolist()))
    ),
    ("paired_gap", "spread_of_one_pair"): lambda one, other: (
        mean(pairs(one, other)), error_of(pairs(one, other)) * math.sqrt(len(one))
    ),
    ("paired_gap", "divided_by_n"): lambda one, other: (
        mean(pairs(one, other)), error_of(pairs(one, other)) / math.sqrt(len(one))
    ),
    ("paired_gap", "pairs_are_all_there_are"): lambda one, other: (
        mean(pairs(one, other)), error_of(pairs(one, other), less=0)
    ),
    ("paired_gap", "variance_for_deviation"): lambda one, other: (
        mean(pairs(one, other)), error_of(pairs(one, other)) ** 2 * math.sqrt(len(one))
    ),
    ("paired_gap", "errors_added"): lambda one, other: (
        float(one.mean() - other.mean()), error_of(one.tolist()) + error_of(other.tolist())
    ),
    ("paired_gap", "_error_of_a_recipe"): [
        lambda one, other: (mean(pairs(one, other)), error_of(one.tolist())),
        lambda one, other: (mean(pairs(one, other)), error_of(other.tolist())),
    ],
    ("paired_gap", "the_other_way"): lambda one, other: (mean(pairs(other, one)), error_of(pairs(other, one))),
    ("paired_gap", "without_signs"): lambda one, other: (
        mean([abs(gap) for gap in pairs(one, other)]), error_of([abs(gap) for gap in pairs(one, other)])
    ),
    ("paired_gap", "sorted_first"): lambda one, other: (
        mean(pairs(sorted(one), sorted(other))), error_of(pairs(sorted(one), sorted(other)))
    ),
    ("asked_half", "exchanged"): lambda words, rows, columns: half(
        1 - words, [c >= columns / 2 for _ in range(rows) for c in range(columns)]
    ),
    ("asked_half", "upper_and_lower"): lambda words, rows, columns: half(
        words, [2 * p >= rows * columns for p in range(rows * columns)]
    ),
    ("asked_half", "_rows_for_columns"): [
        lambda words, rows, columns: half(words, [p % rows >= columns // 2 for p in range(rows * columns)]),
        lambda words, rows, columns: half(words, [p % rows >= rows // 2 for p in range(rows * columns)]),
    ],
    ("asked_half", "only_the_right_word"): lambda words, rows, columns: torch.stack(
        [torch.tensor([bool(word) and 2 * (p % columns) >= columns for p in range(rows * columns)]) for word in words]
    ),
    ("asked_half", "every_second"): lambda words, rows, columns: half(
        words, [bool(p % 2) for p in range(rows * columns)]
    ),
    ("asked_half", "one_column_too_far"): lambda words, rows, columns: half(
        words, [c > columns / 2 for _ in range(rows) for c in range(columns)]
    ),
    ("asked_half", "one_column_too_early"): lambda words, rows, columns: half(
        words, [c + 1 >= columns / 2 for _ in range(rows) for c in range(columns)]
    ),
    ("within_reach", "_argmax_of_every_row"): [
        lambda right, width: (torch.arange(len(right)) - right.float().argmax(1) < width).float().mean(),
        lambda right, width: sum(i - int(row.float().argmax()) < width for i, row in enumerate(right)) / right.sum(),
    ],
    ("within_reach", "subtracted_the_other_way"): lambda right, width: (
        sum(int(j - i) < width for i, j in right.nonzero()) / right.sum()
    ),
    ("within_reach", "one_too_wide"): lambda right, width: visible(right, width + 1) / int(right.sum()),
    ("within_reach", "one_too_narrow"): lambda right, width: visible(right, width - 1) / int(right.sum()),
    ("within_reach", "over_all_queries"): lambda right, width: visible(right, width) / right.shape[0],
    ("within_reach", "a_count"): lambda right, width: visible(right, width),
    ("within_reach", "what_is_lost"): lambda right, width: 1 - visible(right, width) / int(right.sum()),
    ("within_reach", "of_the_window"): lambda right, width: (
        visible(right, width) / int((window_mask(len(right), width) & right.new_ones(right.shape).tril()).sum())
    ),
    ("within_reach", "first_columns"): lambda right, width: (
        sum(int(j) < width for _, j in right.nonzero()) / int(right.sum())
    ),
    ("within_reach", "over_all_cells"): lambda right, width: visible(right, width) / right.numel(),
}  # fmt: skip


RIGHT = [
    ("paired_gap", lambda one, other: (mean(pairs(one, other)), error_of(pairs(one, other)))),
    ("paired_gap", lambda one, other: (
        one.mean() - other.mean(), np.std((one - other).numpy(), ddof=1) / math.sqrt(len(one)))),
    ("asked_half", lambda words, rows, columns: half(
        words, [p % columns * 2 >= columns for p in range(rows * columns)])),
    ("asked_half", lambda words, rows, columns: half(words, np.tile(np.arange(columns) >= columns // 2, rows))),
    ("within_reach", lambda right, width: (right & window_mask(len(right), width)).sum() / right.any(-1).sum()),
    ("within_reach", lambda right, width: right.float().triu(1 - width).sum() / right.float().sum()),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_the_halves_of_the_task_are_those_of_the_exercise():
    assert torch.equal(checks.asked_half.solution(torch.tensor([0, 1]), 4, 8), tasks.halves())


def test_a_right_mask_says_where_a_trained_reader_may_look():
    result = checks.asked_half(
        lambda words, rows, columns: half(words, [p % columns * 2 >= columns for p in range(rows * columns)])
    )
    assert "inside it only, 0.96 of its answers are right, and outside it 0.10" in result.lines[-1]
    few = checks.asked_half(
        lambda words, rows, columns: half(
            words[:2].repeat(1), [p % columns * 2 >= columns for p in range(rows * columns)]
        )
    )
    assert not few.passed
