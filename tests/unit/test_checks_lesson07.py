"""Exercises of lesson 07: our solutions pass, and each wrong answer that we know gets its own question.

What is recorded for that lesson is what it says.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner, promises

from mha_lab import checks, heads, models, pretrained, tasks
from mha_lab.pretrained import ablations
from mha_lab.tasks import trained_heads

NAMES = "name_heads", "without_head", "head_importance", "choose_and_report"
EXERCISES = {name: getattr(checks, name) for name in NAMES}


def emptied(weight, *place):
    weight = weight.clone()
    weight[place] = 0
    return weight


def slopes(concat, gradient, num_heads):
    """(B, H)"""
    B, N, D = concat.shape
    return (concat * gradient).view(B, N, num_heads, D // num_heads).sum((1, 3))


def columns(weight, head, num_heads):
    return torch.arange(weight.shape[1]) // (weight.shape[1] // num_heads) == head


WRONG = {
    ("name_heads", "best_head_of_each_pattern"): lambda shares, least: torch.where(
        shares.amax(1) >= least, shares.argmax(1), -1
    ),
    ("name_heads", "best_head_and_no_threshold"): lambda shares, least: shares.argmax(1),
    ("name_heads", "nobody_without_a_name"): lambda shares, least: shares.argmax(0),
    ("name_heads", "unnamed_is_0"): lambda shares, least: shares.argmax(0) * (shares.amax(0) >= least),
    ("name_heads", "share_for_name"): lambda shares, least: torch.where(shares.amax(0) < least, -1, shares.amax(0)),
    ("name_heads", "threshold_turned_round"): lambda shares, least: torch.where(
        shares.amax(0) < least, shares.argmax(0), -1
    ),
    ("name_heads", "the_threshold_itself_left_out"): lambda shares, least: torch.where(
        shares.amax(0) > least, shares.argmax(0), -1
    ),
    ("name_heads", "first_that_reaches"): [
        lambda shares, least: [next((r for r, s in enumerate(head) if s >= least), -1) for head in shares.T],
        lambda shares, least: torch.where(
            (shares >= least).any(0), (shares >= least).to(torch.uint8).argmax(0), torch.tensor(-1)
        ),
    ],
    ("name_heads", "last_that_reaches"): lambda shares, least: [
        max((r for r, s in enumerate(head) if s >= least), default=-1) for head in shares.T
    ],
    ("name_heads", "only_where_one_reaches"): lambda shares, least: [
        int((head >= least).nonzero()) if sum(head >= least) == 1 else -1 for head in shares.T
    ],
    ("name_heads", "rounded_first"): lambda shares, least: [
        int(head.argmax()) if round(float(head.max()), 1) >= least else -1 for head in shares.T
    ],
    ("name_heads", "_from_1"): [
        lambda shares, least: [int(head.argmax()) + 1 if head.max() >= least else -1 for head in shares.T],
        lambda shares, least: (shares.argmax(0) + 1) * (shares.amax(0) >= least),
    ],
    ("without_head", "filled_with_minus_infinity"): lambda weight, head, num_heads: weight.masked_fill(
        columns(weight, head, num_heads), -float("inf")
    ),
    ("without_head", "one_column_short"): lambda weight, head, num_heads: emptied(
        weight,
        slice(None),
        slice(head * len(weight) // num_heads, (head + 1) * len(weight) // num_heads - 1),
    ),
    ("without_head", "one_column_too_long"): lambda weight, head, num_heads: weight.index_fill(
        1, torch.arange(len(weight))[head * len(weight) // num_heads :][: len(weight) // num_heads + 1], 0
    ),
    ("head_importance", "heads_of_a_plain_view"): lambda concat, gradient, num_heads: (
        (concat * gradient).flatten(1).unflatten(1, (num_heads, -1)).sum(2).abs().mean(0)
    ),
    ("head_importance", "without_the_size"): lambda concat, gradient, num_heads: slopes(
        concat, gradient, num_heads
    ).mean(0),
    ("head_importance", "size_of_each_token"): lambda concat, gradient, num_heads: (
        torch.stack([part.sum(2) for part in (concat * gradient).chunk(num_heads, 2)]).abs().sum(2).mean(1)
    ),
    ("without_head", "counted_from_1"): lambda weight, head, num_heads: emptied(
        weight,
        slice(None),
        slice((head - 1) * len(weight) // num_heads, head * len(weight) // num_heads),
    ),
    ("without_head", "rows_for_columns"): lambda weight, head, num_heads: emptied(
        weight, columns(weight, head, num_heads)
    ),
    ("without_head", "shuffled_columns"): lambda weight, head, num_heads: emptied(
        weight, slice(None), slice(head, None, num_heads)
    ),
    ("without_head", "begins_at_the_heads_number"): lambda weight, head, num_heads: emptied(
        weight, slice(None), slice(head, head + len(weight) // num_heads)
    ),
    ("without_head", "one_column"): lambda weight, head, num_heads: emptied(weight, slice(None), head),
    ("without_head", "only_this_head"): lambda weight, head, num_heads: weight * columns(weight, head, num_heads),
    ("without_head", "_as_wide_as_in_the_model"): [
        lambda weight, head, num_heads: emptied(weight, slice(None), slice(0, 32)),
        lambda weight, head, num_heads: emptied(weight, slice(None), slice(32 * head, 32 * head + 32)),
    ],
    ("head_importance", "_norms_of_the_gradient"): [
        lambda concat, gradient, num_heads: torch.stack(
            [part.square().sum(-1).sqrt().mean() for part in gradient.chunk(num_heads, 2)]
        ),
        lambda concat, gradient, num_heads: torch.stack(
            [part.square().sum(-1).sqrt().sum(1).mean() for part in gradient.chunk(num_heads, 2)]
        ),
    ],
    ("head_importance", "mean_size_of_each_token"): lambda concat, gradient, num_heads: torch.stack(
        [part.sum(2).abs().mean() for part in (concat * gradient).chunk(num_heads, 2)]
    ),
    ("without_head", "columns_cut_out"): lambda weight, head, num_heads: weight[:, ~columns(weight, head, num_heads)],
    ("head_importance", "examples_cancel"): lambda concat, gradient, num_heads: (
        slopes(concat, gradient, num_heads).mean(0).abs()
    ),
    ("head_importance", "size_too_early"): lambda concat, gradient, num_heads: slopes(
        concat.abs(), gradient.abs(), num_heads
    ).mean(0),
    ("head_importance", "gradient_alone"): lambda concat, gradient, num_heads: (
        slopes(torch.ones_like(concat), gradient, num_heads).abs().mean(0)
    ),
    ("head_importance", "summed_over_examples"): lambda concat, gradient, num_heads: (
        slopes(concat, gradient, num_heads).abs().sum(0)
    ),
    ("head_importance", "averaged_over_tokens"): lambda concat, gradient, num_heads: (
        slopes(concat, gradient, num_heads).abs().mean(0) / concat.shape[1]
    ),
    ("head_importance", "shuffled_heads"): lambda concat, gradient, num_heads: torch.stack(
        [(concat * gradient)[..., head::num_heads].sum((1, 2)).abs().mean() for head in range(num_heads)]
    ),
}


def row_of(chosen_on, reported_on):
    """The share on reported_on of the row that is best on chosen_on."""
    means = [sum(row.tolist()) / len(row) for row in chosen_on]
    return reported_on[means.index(max(means))].mean()


WRONG |= {
    ("choose_and_report", "chosen_on_the_test"): lambda validation, test: (row_of(test, test), test.mean()),
    ("choose_and_report", "reported_on_validation"): lambda validation, test: (
        row_of(validation, validation),
        test.mean(),
    ),
    ("choose_and_report", "all_on_validation"): lambda validation, test: (
        row_of(validation, validation),
        validation.mean(),
    ),
    ("choose_and_report", "random_on_validation"): lambda validation, test: (
        row_of(validation, test),
        validation.mean(dim=1).mean(),
    ),
    ("choose_and_report", "chosen_on_both"): lambda validation, test: (
        row_of(torch.hstack([validation, test]), test),
        test.mean(),
    ),
    ("choose_and_report", "reported_on_both"): lambda validation, test: (
        row_of(validation, torch.hstack([validation, test])),
        test.mean(),
    ),
    ("choose_and_report", "the_worst_one"): lambda validation, test: (row_of(-validation, test), test.mean()),
    ("choose_and_report", "best_for_random"): lambda validation, test: (
        row_of(validation, test),
        max(row.mean() for row in test),
    ),
    ("choose_and_report", "others_for_random"): lambda validation, test: (
        row_of(validation, test),
        (test.sum() - test[validation.mean(dim=1).argmax()].sum()) / (test.numel() - test.shape[1]),
    ),
}

RIGHT = [
    ("choose_and_report", lambda validation, test: (row_of(validation, test), test.mean(dim=1).mean())),
    ("name_heads", lambda shares, least: [int(s.argmax()) if s.max() >= least else -1 for s in shares.T]),
    ("name_heads", lambda shares, least: np.where(np.max(shares, 0) < least, -1, np.argmax(shares, 0))),
    ("without_head", lambda weight, head, num_heads: weight * ~columns(weight, head, num_heads)),
    ("head_importance", lambda concat, gradient, num_heads: slopes(concat, gradient, num_heads).abs().mean(0)),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_a_weight_that_is_emptied_in_place_is_noticed():
    def in_place(weight, head, num_heads):
        weight[:, columns(weight, head, num_heads)] = 0
        return weight

    result = checks.without_head(in_place)
    assert not result.passed and "`weight` came back changed" in result.lines[0]


@pytest.mark.parametrize("number", [int, np.int8, torch.IntTensor])
def test_a_name_may_be_a_whole_number_of_any_kind(number):
    def named(shares, least):
        names = [int(head.argmax()) if head.max() >= least else -1 for head in shares.T]
        return number(names) if number is torch.IntTensor else [number(name) for name in names]

    assert checks.name_heads(named).passed


def test_a_name_that_no_list_takes_as_a_place_is_refused():
    result = checks.name_heads(lambda shares, least: checks.name_heads.solution(shares, least).float())
    assert not result.passed and "how do you make it a whole number?" in result.lines[0]


def test_a_factor_that_depends_on_the_heads_is_told_where_head_0_is_among_the_sizes():
    def scaled_up(weight, head, num_heads):
        return checks.without_head.solution(weight, head, num_heads) * num_heads / max(num_heads - 1, 1)

    result = checks.without_head(scaled_up)
    assert "every number is the same factor times the target: 2 in the first call, 1.33 in the second" in repr(result)


# inside trained models ------------------------------------------------------------------------------------------------


def test_the_learners_weight_works_in_the_trained_model(trained):
    model, _, _ = trained("previous and match", 1, 2, 0)
    before = model.blocks[0].attention.out_proj.weight.clone()
    result = checks.without_head(lambda weight, head, num_heads: weight * ~columns(weight, head, num_heads), model)
    assert result.passed
    assert "1.00 of the answers to “previous” are right, and 0.10 of those to “match”." in result.lines[0]
    assert result.picture().get_label().startswith("Your weight behind Concat")
    assert torch.equal(model.blocks[0].attention.out_proj.weight, before)


def test_a_wrong_weight_in_the_trained_model_is_named_and_shown_at_work(trained):
    model, _, _ = trained("previous and match", 1, 2, 0)
    for name, in_words in ("rows_for_columns", "of the answers to"), ("filled_with_minus_infinity", "With ours: 1.00"):
        result = checks.without_head(WRONG["without_head", name], model)
        assert result.state == "wrong" and "?" in result.lines[0]
        assert in_words in result.lines[-1] and result.picture() is not None


def test_the_learners_slopes_are_those_of_the_trained_model(trained):
    model, batch, _ = trained("previous and match", 2, 8, 0)
    model.requires_grad_(True)
    result = checks.head_importance(as_a_learner(checks.head_importance.solution), model)
    assert result.passed and "your steepest head is head 4" in result.lines[0] and result.picture() is not None
    wrong = checks.head_importance(WRONG["head_importance", "gradient_alone"], model)
    assert wrong.state == "wrong" and "By our numbers head 4 is the steepest." in wrong.lines[-1]


def test_the_learners_report_on_minilm_is_no_better_than_a_blind_draw():
    found = pretrained.recorded_ablations()
    result = checks.choose_and_report(as_a_learner(checks.choose_and_report.solution), found)
    assert result.passed and "100% of the sentences on which it was chosen" in result.lines[0]
    assert "You report 81%, beside 84% at random" in result.lines[0] and result.picture() is not None
    wrong = checks.choose_and_report(WRONG["choose_and_report", "chosen_on_the_test"], found)
    assert wrong.state == "wrong" and "we report 81%, beside 84%" in wrong.lines[-1]


def test_the_set_that_is_reported_on_minilm_is_the_only_best_one():
    validation, _ = checks.choose_and_report.inside(pretrained.recorded_ablations())
    assert (validation.mean(dim=1) == validation.mean(dim=1).max()).sum() == 1


@pytest.mark.parametrize("name", NAMES[1:])
def test_what_is_no_recording_of_this_lesson_is_asked_after(name):
    result = EXERCISES[name](EXERCISES[name].solution, {"a": 1})
    assert result.state == "wrong" and result.lines[0].endswith("?")


# the recorded models -------------------------------------------------------------------------------------------------

TASKS = {
    "previous and match": tasks.previous_and_match(),
    "shy": tasks.previous_and_match(),
    "lookup": tasks.lookup(),
    "induction": tasks.induction(),
}


@pytest.fixture(scope="module")
def found():
    return tasks.recorded_heads()


@pytest.fixture(scope="module")
def trained(found):
    def load(name, num_layers, num_heads, seed):
        """The model, 300 examples that its training never saw, and where its heads look in them (B, L, H, N, N)."""
        task = TASKS[name]
        places = models.Learned(task.num_tokens, 64) if task.causal else None
        sizes = {"num_heads": num_heads, "num_layers": num_layers, "positions": places, "causal": task.causal}
        model = models.Encoder(task.vocabularies, task.answers, **sizes).requires_grad_(False)
        model.load_state_dict(found[name, num_layers, num_heads, seed])
        batch = task.draw(300, torch.Generator().manual_seed(123))
        return model, batch, model(batch.inputs, need_weights=True)[1]

    return load


def without(model, batch, *off):
    with heads.ablated(model, off):
        return model.accuracy(batch)


def test_all_models_that_the_readme_of_data_lists_are_there(found):
    expected = {("previous and match", 1, 2, seed) for seed in range(3)} | {
        ("previous and match", 2, 8, seed) for seed in range(3)
    }
    expected |= {(name, 1, 4, seed) for name in ("previous and match", "lookup") for seed in range(5)}
    expected |= {("induction", *sizes, seed) for sizes in ((1, 2), (2, 1)) for seed in range(3)} | {("shy", 1, 2, 0)}
    assert set(found) == expected


@pytest.mark.parametrize("seed", range(3))
def test_two_heads_have_two_abilities_and_each_ablation_kills_exactly_one(trained, seed):
    model, batch, maps = trained("previous and match", 1, 2, seed)
    assert model.accuracy(batch).min() > 0.99
    shares = heads.mass(maps[:, 0, :, None], batch.right[:, None]).nanmean(dim=0)  # (H, R)
    assert sorted(shares.argmax(dim=1).tolist()) == [0, 1]
    for head, ability in enumerate(shares.argmax(dim=1).tolist()):
        left = without(model, batch, (0, head))
        assert left[ability] < 0.25 and left[1 - ability] > 0.95


def test_with_four_heads_some_are_spares(trained):
    model, batch, maps = trained("previous and match", 1, 4, 0)
    names = heads.mass(maps[:, 0, :, None], batch.right[:, None]).nanmean(dim=0).argmax(dim=1).tolist()
    for ability in (0, 1):
        pair = [(0, head) for head, name in enumerate(names) if name == ability]
        assert len(pair) == 2 and without(model, batch, *pair)[ability] < 0.25
        assert min(without(model, batch, head)[ability] for head in pair) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_slopes_taken_again_choose_better_than_slopes_taken_once(trained, seed):
    model, batch, _ = trained("previous and match", 2, 8, seed)
    model.requires_grad_(True)
    every = [(layer, head) for layer in range(2) for head in range(8)]

    def slopes(off):
        with heads.ablated(model, off):
            return dict(zip(every, heads.importance(model, lambda: model.losses(batch), 300).flatten().tolist()))

    once, again = sorted(every, key=slopes([]).get)[:10], []
    for _ in range(10):
        flat = slopes(again)
        again.append(min((head for head in every if head not in again), key=flat.get))
    left = [without(model, batch, *off).min() for off in (again, once)]
    assert left[0] > 0.9 and left[0] >= left[1] - 0.02


def test_lookup_heads_part_in_some_seeds_and_not_in_all(trained):
    parted = []
    for seed in range(5):
        model, batch, maps = trained("lookup", 1, 4, seed)
        assert model.accuracy(batch).min() > 0.9
        shares = heads.mass(maps[:, 0, :, None], batch.right[:, None]).mean(dim=0)
        parted.append(shares.amax(dim=1).min().item() > 0.8)
    assert 2 <= sum(parted) < 5


def test_induction_takes_two_heads_in_a_row_and_not_two_side_by_side(trained):
    for seed in range(3):
        side_by_side, batch, _ = trained("induction", 1, 2, seed)
        in_a_row, _, _ = trained("induction", 2, 1, seed)
        assert side_by_side.accuracy(batch) < 0.4 and in_a_row.accuracy(batch) > 0.99
        assert max(without(in_a_row, batch, (layer, 0)) for layer in (0, 1)) < 0.25


def test_the_shy_model_is_right_and_does_not_look(trained):
    model, batch, maps = trained("shy", 1, 2, 0)
    assert model.accuracy(batch).min() > 0.9
    assert heads.mass(maps[:, 0, :, None], batch.right[:, None]).nanmean(dim=0).max() < 0.25


@pytest.mark.parametrize(
    "module, path, read",
    [
        (trained_heads, "TRAINED_HEADS", tasks.recorded_heads),
        (ablations, "ABLATIONS", pretrained.recorded_ablations),
    ],
    ids=["trained_heads", "minilm_ablations"],
)
def test_an_altered_recording_is_refused_in_words(monkeypatch, tmp_path, module, path, read):
    original = getattr(module, path)
    altered = tmp_path / original.name
    altered.write_bytes(original.read_bytes()[:-1])
    monkeypatch.setattr(module, path, altered)
    with pytest.raises(ValueError, match=f"{original.name} was altered or cut short"):
        read()
    altered.unlink()
    with pytest.raises(FileNotFoundError, match=f"{original.name} is missing; "):
        read()


# the recorded ablations of MiniLM ------------------------------------------------------------------------------------


def test_one_head_of_minilm_can_go_and_all_cannot():
    found = pretrained.recorded_ablations()
    assert found.similarity.shape == (6, 12, 12) and found.margin_without.shape == (6, 12, 8, 2, 4)
    assert found.similarity.mean(dim=-1).min() > 0.9 and found.similarity_none.mean() < 0.7
    right = (found.margin_without > 0).float().mean(dim=(2, 3, 4))
    assert right.min() > 0.85
    assert found.margin_none.abs().max() < 1e-5  # without heads a word has one vector, whatever stands around it


def test_random_orders_begin_with_all_heads_and_lose_more_and_more():
    found = pretrained.recorded_ablations()
    assert found.margin_random.shape == (20, len(found.removed), 8, 2, 4)
    right = (found.margin_random > 0).float().mean(dim=(0, 2, 3, 4))
    assert right[0] > 0.85 and right[-1] < right[0] - 0.1


def test_what_a_head_changes_shrinks_in_the_layers_above_it():
    found = pretrained.recorded_ablations()
    two = ~torch.eye(12, dtype=torch.bool)
    apart = 1 - found.others_after[:, two].mean(dim=1)
    moved = (1 - found.similarity_after).mean(dim=(1, 3)) / apart
    torch.testing.assert_close(found.similarity_after[:, :, -1], found.similarity, atol=2e-3, rtol=0)
    assert (moved[:5, 5] < moved.diagonal()[:5] / 2).all() and moved[5, 5] > moved.diagonal()[:5].max()


def test_the_recorded_ablations_are_what_the_model_does():
    try:
        model = pretrained.MiniLM.load()
    except pretrained.ModelMissing as missing:
        pytest.skip(str(missing))
    path = Path(__file__).parents[2] / "data" / "ablate_minilm.py"
    spec = importlib.util.spec_from_file_location("ablate_minilm", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = pretrained.recorded_ablations()
    assert found.words == list(script.SENSES) and found.sentences == [script.senses(word) for word in found.words]
    with torch.no_grad():
        vectors = script.word_vectors(model, ["bank"])
        with heads.ablated(model, [(0, 1)]):
            margins = script.margins(script.word_vectors(model, ["bank"]))
    torch.testing.assert_close(vectors[0], found.vectors[0], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(margins[0], found.margin_without[0, 1, 0], atol=1e-4, rtol=0)
