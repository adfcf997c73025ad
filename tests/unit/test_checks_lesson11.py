"""Exercises of lesson 11: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import types

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner, promises

from mha_lab import MultiHeadAttention, checks, heads, pretrained
from mha_lab.pretrained import regrouped
from mha_lab.rotary import rotate

EXERCISES = {name: getattr(checks, name) for name in ("induction_score", "by_chance", "pool_heads", "to_halves")}


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
    ("by_chance", "draws_alone"): lambda chosen, drawn: np.mean([loss <= chosen for loss in drawn]),
    ("by_chance", "itself_below_only"): lambda chosen, drawn: (drawn <= chosen).sum() / (drawn.numel() + 1),
    ("by_chance", "itself_above_only"): lambda chosen, drawn: (1 + (drawn <= chosen).sum()) / drawn.numel(),
    ("by_chance", "ties_left_out"): lambda chosen, drawn: (1 + sum(loss < chosen for loss in drawn)) / (1 + len(drawn)),
    ("by_chance", "_strictly_smaller"): [
        lambda chosen, drawn: np.mean([loss < chosen for loss in drawn]),
        lambda chosen, drawn: sum(loss < chosen for loss in drawn) / (1 + len(drawn)),
    ],
    ("by_chance", "_other_side"): [
        lambda chosen, drawn: (1 + (drawn >= chosen).sum()) / (1 + len(drawn)),
        lambda chosen, drawn: np.mean([loss >= chosen for loss in drawn]),
    ],
    ("by_chance", "draws_that_are_beaten"): lambda chosen, drawn: (chosen < drawn).float().mean(),
    ("by_chance", "in_deviations"): lambda chosen, drawn: (chosen - drawn.mean()) / drawn.std(),
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
    ("by_chance", lambda chosen, drawn: torch.cat([drawn, torch.tensor([chosen])]).le(chosen).double().mean()),
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


# in the model --------------------------------------------------------------------------------------------------------


@pytest.fixture
def absent(monkeypatch):
    def load():
        raise pretrained.ModelMissing("SmolLM2 is not installed")

    monkeypatch.setattr(pretrained.SmolLM2, "load", load)


@pytest.fixture
def small(monkeypatch):
    """A random model with SmolLM2's vocabulary and heads, in the place of the trained one."""

    def load():
        torch.manual_seed(0)
        sizes = {"vocabulary": 49_152, "max_tokens": 512, "d_model": 72, "num_layers": 20, "d_hidden": 8}
        model = pretrained.Llama(num_heads=9, num_kv_heads=3, rotary_base=100_000.0, adjacent=True, **sizes)
        model.tokenizer = types.SimpleNamespace(
            encode=lambda text: types.SimpleNamespace(ids=[len(word) for word in text.split()]),
            decode=lambda ids, **_: " ".join(map(str, ids)),
        )
        return model

    monkeypatch.setattr(pretrained.SmolLM2, "load", load)


@pytest.mark.parametrize(
    "exercise, handed, words",
    [
        ("induction_score", pretrained.recorded_smollm2, "0.00 to head 16.0 and 0.91 to head 18.6"),
        ("by_chance", pretrained.recorded_smollm2, "beside 12 random sets: 0.46."),
        ("pool_heads", pretrained.inside_smollm2, '"old", with 0.67'),
        ("to_halves", pretrained.inside_smollm2, '"old", with 0.87, as it was trained to.'),
    ],
)
def test_a_right_function_goes_on_in_what_was_recorded_of_the_model(exercise, handed, words, absent):
    task = EXERCISES[exercise]
    for function in as_a_learner(task.solution), next(way for name, way in RIGHT if name == exercise):
        result = task(function, handed())
        assert result.passed and words in result.lines[0] and result.lines[-1] == task.then
        assert result.picture().axes


@pytest.mark.parametrize("exercise, mistake", WRONG)
def test_a_wrong_function_keeps_its_question_and_is_told_what_it_does_in_the_model(exercise, mistake, absent):
    handed = pretrained.recorded_smollm2() if exercise in ("induction_score", "by_chance") else None
    handed = handed or pretrained.inside_smollm2()
    wrong = WRONG[exercise, mistake]
    for function in wrong if isinstance(wrong, list) else [wrong]:
        alone, result = EXERCISES[exercise](function), EXERCISES[exercise](function, handed)
        assert result.state == "wrong" and result.lines[: len(alone.lines)] == alone.lines
        assert "SmolLM2" in result.lines[len(alone.lines)] and result.picture().axes


def test_rows_of_the_wrong_layout_do_not_look_where_the_model_does(absent):
    result = checks.to_halves(lambda weight, num_heads: weight * 1, pretrained.inside_smollm2())
    assert 'looks most at "The", with 0.85, and as it was trained at "old", with 0.87.' in result.lines[-1]


def test_a_model_with_rows_in_halves_is_the_model_it_was(small):
    inside = pretrained.inside_smollm2("a tall tree stands by the river")
    model = pretrained.SmolLM2.load()
    with torch.no_grad():
        loss = pretrained.circuits.token_losses(model, pretrained.recorded_smollm2().held_out).mean()
    for answer, passes in (
        (as_a_learner(checks.to_halves.solution), True),
        (np_halves, True),
        (lambda weight, num_heads: weight, False),
    ):
        result = checks.to_halves(answer, inside)
        line = next(line for line in result.lines if "all 30 layers" in line)
        assert result.passed == passes
        assert (f"prose is {loss.exp():,.1f} " in line and "as before" in line) == passes


def np_halves(weight, num_heads):
    weight = np.asarray(weight)
    K = len(weight) // num_heads
    return np.concatenate([weight[h * K :][:K][evens_then_odds(K)] for h in range(num_heads)])


def test_a_model_is_tried_with_one_pooled_head_in_one_layer(small):
    model = pretrained.SmolLM2.load()
    model.blocks[18].attention = regrouped(model.blocks[18].attention, 1)
    with torch.no_grad():
        loss = pretrained.circuits.token_losses(model, pretrained.recorded_smollm2().held_out).mean()
    result = checks.pool_heads(as_a_learner(checks.pool_heads.solution), pretrained.inside_smollm2())
    assert result.passed and result.lines[1].endswith(f"goes from 31.7 to {loss.exp():,.1f}.")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_something_else_in_the_place_of_the_record_is_told_so(exercise):
    result = EXERCISES[exercise](EXERCISES[exercise].solution, "found")
    assert result.state == "wrong" and "this is" not in result.verdict
    assert "The second argument is" in result.lines[0] and "the str 'found'" in result.lines[0]
