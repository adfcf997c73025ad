"""Exercises of lesson 09: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import math

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner, promises
from torch import nn
from torch.nn import functional as F

from mha_lab import checks, models, rotary, tasks

NAMES = ("distance_bias", "relative_bias", "rotate_by_position", "rms_norm", "gated_fusion", "in_standard_errors")
EXERCISES = {name: getattr(checks, name) for name in NAMES}


def by_pair(num_heads, num_tokens, entry):
    """(H, N, N) of entry(h, i, j), h from 1."""
    tokens = range(num_tokens)
    return torch.tensor([[[entry(h, i, j) for j in tokens] for i in tokens] for h in range(1, num_heads + 1)])


def slope(h, num_heads):
    return 2 ** (-8 * h / num_heads)


def published_slopes(num_heads):
    """As in the code that came with the paper."""
    if math.log2(num_heads).is_integer():
        return [slope(h, num_heads) for h in range(1, num_heads + 1)]
    nearest = 2 ** math.floor(math.log2(num_heads))
    return published_slopes(nearest) + published_slopes(2 * nearest)[0::2][: num_heads - nearest]


def normed(x, mean, gain, eps):
    return torch.einsum("bnd,d->bnd", x * torch.rsqrt(mean + eps), gain)


def by_complex(x, turns):
    """The pairs i and i + K/2 as complex numbers, times e^(i·turns)."""
    half = x.shape[-1] // 2
    pairs = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(turns), turns)
    return torch.cat([pairs.real, pairs.imag], dim=-1)


def turns(x, base, *, power=-2, first=0):
    """(N, K/2) place times base^(power · i / K)."""
    N, K = x.shape[-2:]
    return torch.tensor([[float(n * base ** (power * i / K)) for i in range(K // 2)] for n in range(first, first + N)])


def by_neighbours(x, angle):
    even, odd = x[..., ::2], x[..., 1::2]
    found = torch.empty_like(x)
    found[..., ::2] = even * torch.cos(angle) - odd * torch.sin(angle)
    found[..., 1::2] = odd * torch.cos(angle) + even * torch.sin(angle)
    return found


def by_table(table, num_tokens, column):
    """(H, N, N): of each pair of tokens the column that column(key − query, R) names."""
    R, tokens = (table.shape[1] - 1) // 2, range(num_tokens)
    return torch.stack([torch.stack([table[:, column(j - i, R)] for j in tokens], -1) for i in tokens], -2)


def within(distance, R):
    return max(-R, min(R, distance))


def instead(table, num_tokens, number):
    """As asked for, with one number in place of all that lies beyond the table."""
    bias, R = by_table(table, num_tokens, lambda d, R: within(d, R) + R), (table.shape[1] - 1) // 2
    i = torch.arange(num_tokens)
    bias[:, (i - i[:, None]).abs() > R] = number
    return bias


def errors(one, other, spread=torch.std):
    """The standard errors by pairs and as two groups."""
    root = math.sqrt(one.numel())
    return spread(one - other) / root, torch.hypot(spread(one) / root, spread(other) / root)


def how_many(one, other, *found):
    return tuple((one - other).mean() / each for each in found)


WRONG = {
    ("relative_bias", "distances_turned"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: within(-d, R) + R
    ),
    ("relative_bias", "distances_without_sign"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: within(abs(d), R) + R
    ),
    ("relative_bias", "_not_cut"): [
        lambda table, num_tokens: by_table(table, num_tokens, lambda d, R: d + R),
        lambda table, num_tokens: by_table(table, num_tokens, lambda d, R: min(d, R) + R),
    ],
    ("relative_bias", "round_the_clock"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: (d + R) % (2 * R + 1)
    ),
    ("relative_bias", "nothing_beyond"): lambda table, num_tokens: instead(table, num_tokens, 0),
    ("relative_bias", "hidden_beyond"): lambda table, num_tokens: instead(table, num_tokens, -math.inf),
    ("relative_bias", "columns_from_zero"): lambda table, num_tokens: by_table(table, num_tokens, within),
    ("relative_bias", "off_by_one"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: max(within(d, R) + R - 1, 0)
    ),
    ("relative_bias", "cut_at_the_middle"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: min(within(d, R), 0) + R
    ),
    ("relative_bias", "heads_last"): lambda table, num_tokens: by_table(
        table, num_tokens, lambda d, R: within(d, R) + R
    ).movedim(0, -1),
    ("in_standard_errors", "never_paired"): lambda one, other: how_many(one, other, *errors(one, other)[1:] * 2),
    ("in_standard_errors", "always_paired"): lambda one, other: how_many(one, other, *errors(one, other)[:1] * 2),
    ("in_standard_errors", "by_the_spread"): lambda one, other: how_many(
        one, other, (one - other).std(), torch.hypot(one.std(), other.std())
    ),
    ("in_standard_errors", "by_the_number"): lambda one, other: how_many(
        one, other, (one - other).std() / len(one), torch.hypot(one.std(), other.std()) / len(one)
    ),
    ("in_standard_errors", "of_all_seeds"): lambda one, other: how_many(
        one, other, *errors(one, other, lambda numbers: numbers.std(correction=0))
    ),
    ("in_standard_errors", "the_other_way"): lambda one, other: how_many(other, one, *errors(one, other)),
    ("in_standard_errors", "sorted_first"): lambda one, other: how_many(
        one, other, errors(one.sort()[0], other.sort()[0])[0], errors(one, other)[1]
    ),
    ("in_standard_errors", "without_signs"): lambda one, other: (
        (one - other).abs().mean() / (one - other).abs().std() * math.sqrt(len(one)),
        (one - other).abs().mean() / errors(one, other)[1],
    ),
    ("in_standard_errors", "errors_added"): lambda one, other: how_many(
        one, other, errors(one, other)[0], (one.std() + other.std()) / math.sqrt(len(one))
    ),
    ("in_standard_errors", "error_of_one_group"): lambda one, other: how_many(
        one, other, errors(one, other)[0], one.std() / math.sqrt(len(one))
    ),
    ("in_standard_errors", "turned_over"): lambda one, other: tuple(
        error / (one - other).mean() for error in errors(one, other)
    ),
    ("in_standard_errors", "errors_alone"): errors,
    ("rotate_by_position", "turned_back"): lambda x, base: by_complex(x, -turns(x, base)),
    ("rotate_by_position", "neighbours_paired"): lambda x, base: by_neighbours(x, turns(x, base)),
    ("rotate_by_position", "laid_down_as_neighbours"): lambda x, base: (
        by_complex(x, turns(x, base)).unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    ),
    ("rotate_by_position", "one_rate"): lambda x, base: by_complex(x, turns(x, 1.0)),
    ("rotate_by_position", "half_the_exponent"): lambda x, base: by_complex(x, turns(x, base, power=-1)),
    ("rotate_by_position", "faster_and_faster"): lambda x, base: by_complex(x, turns(x, base, power=2)),
    ("rotate_by_position", "slowest_first"): lambda x, base: by_complex(x, turns(x, base).flip(1)),
    ("rotate_by_position", "positions_from_one"): lambda x, base: by_complex(x, turns(x, base, first=1)),
    ("rotate_by_position", "heads_for_positions"): lambda x, base: by_complex(
        x.permute(0, 2, 1, 3), turns(x.permute(0, 2, 1, 3), base)
    ).permute(0, 2, 1, 3),
    ("rotate_by_position", "no_minus"): lambda x, base: (
        x * torch.cos(turns(x, base)).repeat(1, 2)
        + x.roll(x.shape[-1] // 2, -1) * torch.sin(turns(x, base)).repeat(1, 2)
    ),
    ("rotate_by_position", "added_waves"): lambda x, base: (
        x + torch.cat([torch.cos(turns(x, base)), torch.sin(turns(x, base))], -1)
    ),
    ("distance_bias", "farther_is_better"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: slope(h, num_heads) * abs(i - j)
    ),
    ("distance_bias", "signed_steps"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: slope(h, num_heads) * (j - i)
    ),
    ("distance_bias", "signed_steps_ahead"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: slope(h, num_heads) * (i - j)
    ),
    ("distance_bias", "divided_by_the_head"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(1, h) * abs(i - j)
    ),
    ("distance_bias", "future_hidden"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -math.inf if j > i else slope(h, num_heads) * (j - i)
    ),
    ("distance_bias", "slopes_of_eight"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -abs(i - j) / 2**h
    ),
    ("distance_bias", "heads_from_zero"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(h - 1, num_heads) * abs(i - j)
    ),
    ("distance_bias", "slopes_turned_round"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(num_heads + 1 - h, num_heads) * abs(i - j)
    ),
    ("distance_bias", "squared"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(h, num_heads) * (i - j) ** 2
    ),
    ("distance_bias", "one_map"): lambda num_heads, num_tokens: by_pair(
        1, num_tokens, lambda h, i, j: -float(abs(i - j))
    )[0],
    ("distance_bias", "slope_one_for_all"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -float(abs(i - j))
    ),
    ("distance_bias", "the_papers_rule"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -published_slopes(num_heads)[h - 1] * abs(i - j)
    ),
    ("rms_norm", "_over_a_samples_deviation"): [
        lambda x, gain, eps: gain * x / (x.std(-1, keepdim=True) + eps),
        lambda x, gain, eps: normed(x, x.std(2)[..., None] ** 2, gain, eps),
    ],
    ("rms_norm", "_over_the_whole_tensor"): [
        lambda x, gain, eps: normed(x, (x * x).mean(), gain, eps),
        lambda x, gain, eps: x / (x * x).mean().sqrt() * gain,
    ],
    ("rms_norm", "layer_norm"): lambda x, gain, eps: F.layer_norm(x, x.shape[-1:], gain, eps=eps),
    ("rms_norm", "multiplied_by_the_root"): lambda x, gain, eps: (
        gain * x / torch.rsqrt((x**2).mean(2, keepdim=True) + eps)
    ),
    ("rms_norm", "eps_not_used"): [
        lambda x, gain, eps: x / (x**2).mean(2, keepdim=True).sqrt() * gain,
        lambda x, gain, eps: F.rms_norm(x, gain.shape, gain),
        lambda x, gain, eps: F.rms_norm(x, gain.shape, gain, 1e-8),
    ],
    ("rms_norm", "one_plus_gain"): lambda x, gain, eps: F.rms_norm(x, gain.shape, 1 + gain, eps),
    ("rms_norm", "over_gain"): lambda x, gain, eps: F.rms_norm(x, gain.shape, None, eps) / gain,
    ("rms_norm", "over_the_deviation"): lambda x, gain, eps: normed(x, x.std(2, False)[..., None] ** 2, gain, eps),
    ("rms_norm", "_length_for_mean"): [
        lambda x, gain, eps: normed(x, (x**2).sum(2)[..., None], gain, eps),
        lambda x, gain, eps: x / x.norm(dim=-1, keepdim=True) * gain,
    ],
    ("rms_norm", "over_tokens"): lambda x, gain, eps: normed(x, (x**2).mean(1)[:, None], gain, eps),
    ("rms_norm", "over_all"): lambda x, gain, eps: normed(x, (x**2).flatten(1).mean(1)[:, None, None], gain, eps),
    ("rms_norm", "no_gain"): lambda x, gain, eps: F.rms_norm(x, x.shape[-1:], eps=eps),
    ("rms_norm", "no_root"): lambda x, gain, eps: gain * x / ((x**2).mean(2)[..., None] + eps),
    ("rms_norm", "eps_after_the_root"): lambda x, gain, eps: gain * x / (torch.sqrt((x**2).mean(2))[..., None] + eps),
    ("gated_fusion", "no_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "roles_swapped"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * torch.sigmoid(F.linear(concat, output_weight))
    ),
    ("gated_fusion", "_one_not_transposed"): [
        lambda concat, output_weight, gate_weight: (concat @ gate_weight.T).sigmoid() * (concat @ output_weight),
        lambda concat, output_weight, gate_weight: (concat @ gate_weight).sigmoid() * (concat @ output_weight.T),
    ],
    ("gated_fusion", "silu_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * F.linear(concat, gate_weight).sigmoid() * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "tanh_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        torch.tanh(F.linear(concat, gate_weight)) * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "not_transposed"): lambda concat, output_weight, gate_weight: (
        torch.einsum("bnd,de->bne", concat, output_weight)
        * torch.sigmoid(torch.einsum("bnd,de->bne", concat, gate_weight))
    ),
    ("gated_fusion", "gate_before_output"): lambda concat, output_weight, gate_weight: F.linear(
        concat * torch.sigmoid(F.linear(concat, gate_weight)), output_weight
    ),
    ("gated_fusion", "gate_reads_the_output"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, output_weight) * torch.sigmoid(F.linear(F.linear(concat, output_weight), gate_weight))
    ),
    ("gated_fusion", "softmax_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, output_weight) * F.softmax(F.linear(concat, gate_weight), 2)
    ),
    ("gated_fusion", "highway"): lambda concat, output_weight, gate_weight: torch.lerp(
        concat, F.linear(concat, output_weight), F.linear(concat, gate_weight).sigmoid()
    ),
    ("gated_fusion", "no_gate"): lambda concat, output_weight, gate_weight: F.linear(concat, output_weight),
}  # fmt: skip


RIGHT = [
    ("relative_bias", lambda table, num_tokens: by_table(table, num_tokens, lambda d, R: within(d, R) + R)),
    (
        "relative_bias",
        lambda table, num_tokens: (
            F.pad(table, (num_tokens, num_tokens), mode="replicate")
            .unfold(1, num_tokens, 1)
            .flip(1)[:, table.shape[1] // 2 + 1 : table.shape[1] // 2 + 1 + num_tokens]
        ),
    ),
    ("in_standard_errors", lambda one, other: how_many(one, other, *errors(one, other))),
    (
        "in_standard_errors",
        lambda one, other: [
            float(np.mean(one - other) / (np.std(one - other, ddof=1) / np.sqrt(len(one)))),
            float(np.mean(one - other) / np.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / len(one))),
        ],
    ),
    ("rotate_by_position", lambda x, base: by_complex(x, turns(x, base))),
    ("rotate_by_position", lambda x, base: rotary.rotate(x, base=base)),
    ("distance_bias", lambda num_heads, num_tokens: models.ALiBi(num_heads)(num_tokens)),
    (
        "distance_bias",
        lambda num_heads, num_tokens: by_pair(num_heads, num_tokens, lambda h, i, j: -slope(h, num_heads) * abs(i - j)),
    ),
    ("rms_norm", lambda x, gain, eps: F.rms_norm(x, gain.shape, gain, eps)),
    ("rms_norm", lambda x, gain, eps: x * (np.mean(x**2, axis=2, keepdims=True) + eps) ** -0.5 * gain),
    (
        "gated_fusion",
        lambda concat, output_weight, gate_weight: F.glu(
            F.linear(concat, torch.cat([output_weight, gate_weight])), dim=-1
        ),
    ),
]

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_the_solutions_are_what_the_models_of_the_lesson_compute():
    x, gain, eps = EXERCISES["rms_norm"].cases()[0]
    norm = nn.RMSNorm(x.shape[-1], eps=eps)
    fusion = models.GatedFusion(x.shape[-1])
    with torch.no_grad():
        norm.weight.copy_(gain)
        torch.testing.assert_close(EXERCISES["rms_norm"].solution(x, gain, eps), norm(x))
        fused = EXERCISES["gated_fusion"].solution(x, fusion.project.weight, fusion.gate.weight)
        torch.testing.assert_close(fused, fusion(x))
    torch.testing.assert_close(EXERCISES["distance_bias"].solution(4, 7), models.ALiBi(4)(7))
    torch.testing.assert_close(EXERCISES["relative_bias"].solution(models.RelativeBias(4).table, 17), begun(17))


def begun(num_tokens):
    return models.RelativeBias(4)(num_tokens)


@pytest.fixture(scope="module")
def trained():
    return models.trained_intent_model("relative")


def test_a_bias_goes_on_inside_the_trained_model(trained):
    table = trained.bias.table.clone()
    passed = checks.relative_bias(as_a_learner(checks.relative_bias.solution), trained)
    assert passed.passed and "reads 1.00 of 400 test sentences rightly, as with ours" in passed.lines[0]
    assert trained.bias.table.equal(table)  # and the model is as it was


def test_a_wrong_bias_says_what_the_model_makes_of_it_and_why(trained):
    turned = WRONG["relative_bias", "distances_turned"]
    result = checks.relative_bias(turned, trained)
    assert not result.passed and "other sign" in result.lines[0]
    assert "with your bias it reads 0.38 of 400 test sentences rightly, with ours 1.00" in result.lines[-1]
    hidden = checks.relative_bias(WRONG["relative_bias", "hidden_beyond"], trained)
    assert not hidden.passed and hidden.lines[-1].endswith("does not make it right.")
    assert "<img" in result._repr_html_()


def test_a_bias_that_the_model_cannot_take_is_diagnosed_all_the_same(trained):
    for mistake in "_not_cut", "heads_last":
        answers = WRONG["relative_bias", mistake]
        for answer in answers if isinstance(answers, list) else [answers]:
            result = checks.relative_bias(answer, trained)
            assert not result.passed and result.lines[0].endswith("?")
            assert not any("Inside the trained model" in line for line in result.lines)
    other = models.trained_intent_model("BiLSTM")
    assert "Is the second argument another model?" in repr(checks.relative_bias(turned_once, other))


turned_once = WRONG["relative_bias", "distances_turned"]


@pytest.fixture(scope="module")
def test_part():
    return tasks.intents("test", language="zh")


def test_the_floor_knows_all_but_the_skill_and_the_ceiling_has_it(test_part):
    passed = checks.two_baselines((" D ", "f"), test_part)
    assert passed.passed and passed.verdict == "passes: the floor is 0.42, the ceiling 1.00"
    assert checks.two_baselines(checks.two_baselines.solution(test_part), test_part)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        (("a", "f"), "is right at 0.08. Beside it 0.44 looks like a great success"),
        (("b", "f"), "is right at 0.06. Beside it"),
        (("c", "f"), "is right at 0.34. It also names wishes that no number stands before"),
        (("e", "f"), "another model may fail at the same thing"),
        (("f", "f"), "It has the very skill that is tested."),
        (("d", "e"), "It tells what one training reached, and not what the sentences allow."),
        (("d", "d"), "It guesses. Which opponent shows how much can be had?"),
        (("f", "d"), "The two are exchanged."),
        ("d", "The answer is a pair of letters from a to f"),
        (("d", 6), "The answer is a pair of letters from a to f"),
    ],
)
def test_each_other_opponent_gets_its_question(test_part, answer, question):
    result = checks.two_baselines(answer, test_part)
    assert result.state == "wrong" and question in " ".join(result.lines)


def test_without_the_test_the_baselines_ask_for_it():
    assert "Where is the second argument?" in checks.two_baselines(("d", "f")).lines[0]
    assert checks.two_baselines((None, ...)).state == "untouched"


ROWS = {
    "A": ("answers", 64, 1, 64),
    "B": ("answers", 64, 32, 64),
    "C": ("steps", 64, 32, 48),
    "D": ("unequal_steps", 64, 32, 48),
    "E": ("unequal_steps", 512, 32, 48),
}


def test_one_thing_changed_and_the_order_turned():
    for pair in ("C", "D"), ["d", " c"]:
        assert checks.one_thing_changed(pair, ROWS).passed
    assert checks.one_thing_changed(checks.one_thing_changed.solution(ROWS), ROWS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("B", "D"), "differ in the work, in the lengths of the sentences and in the number of tokens"),
        (("C", "E"), "differ in the lengths of the sentences and in d_model"),
        (("A", "B"), "in the number of sentences alone, and attention takes 2.81"),
        (("D", "E"), "in d_model alone"),
        (("C", "C"), "The answer is a pair of different rows, two of A, B, C, D, E"),
        (("C", "Z"), "The answer is a pair of different rows"),
        ("CD", "The answer is a pair of different rows"),
    ],
)
def test_two_things_changed_or_none_turned_is_said(answer, said):
    result = checks.one_thing_changed(answer, ROWS)
    assert result.state == "wrong" and said in result.lines[0] and result.lines[0].endswith(("?", "."))


def test_without_its_rows_the_confound_asks_for_them():
    assert "Which cell made them?" in checks.one_thing_changed(("C", "D")).lines[0]
    assert checks.one_thing_changed(None, ROWS).state == "untouched"
