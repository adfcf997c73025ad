"""What lesson 02 asks beside functions of small tensors: a layer on paper, and scores in a trained layer."""

import numpy as np
import pytest
import torch

from mha_lab import checks, pretrained
from mha_lab.checks.lesson02 import ON_PAPER, SLIPS

RIGHT = (48, 2_359_296, 3_145_728, 160_000, 6.93)


@pytest.mark.parametrize(
    "answer", [RIGHT, list(RIGHT), np.array(RIGHT), torch.tensor(RIGHT), (48, 2.36e6, 3.146e6, 16e4, 6.9)]
)
def test_the_layer_on_paper_takes_the_five_numbers_and_their_rounding(answer):
    assert checks.layer_on_paper(answer).verdict == "passes: five of five"
    assert checks.layer_on_paper(checks.layer_on_paper.solution()).passed


def test_a_layer_has_the_parameters_of_the_paper():
    from mha_lab import MultiHeadAttention

    for heads, width, at in (16, 48, 1), (16, 64, 2):
        layer = MultiHeadAttention(768, heads, d_head=width, bias=False)
        assert sum(p.numel() for p in layer.parameters()) == RIGHT[at]


@pytest.mark.parametrize("at, slip", [(at, slip) for at, name in enumerate(ON_PAPER) for slip in SLIPS[name]])
def test_a_slip_on_paper_gets_its_own_question(at, slip):
    answer = [*RIGHT[:at], slip, *RIGHT[at + 1 :]]
    result = checks.layer_on_paper(answer)
    assert result.state == "wrong" and result.verdict == "not yet: right are 4 of 5"
    (line,) = result.lines
    assert line.startswith(ON_PAPER[at] + ", ") and line.endswith(SLIPS[ON_PAPER[at]][slip]) and "?" in line


def test_the_questions_about_one_number_differ_and_none_is_about_the_right_one():
    for name, right in zip(ON_PAPER, RIGHT):
        assert len(set(SLIPS[name].values())) == len(SLIPS[name])
        assert all(abs(slip - right) > 0.0005 * right for slip in SLIPS[name])


def test_other_wrong_numbers_are_told_their_side():
    lines = checks.layer_on_paper((48, 1, 2, 3e9, 1000)).lines
    assert [("too large" in line, "too small" in line) for line in lines] == [(0, 1), (0, 1), (1, 0), (1, 0)]


@pytest.mark.parametrize(
    "answer", [(48,), "48", 48, (48, 1, 1, 1, "many"), (48, 1, 1, 1, float("nan")), {"d_head": 48}]
)
def test_what_is_no_five_numbers_is_named(answer):
    result = checks.layer_on_paper(answer)
    assert result.state == "wrong" and result.lines[0].startswith("Five numbers were asked for (d_head,")


@pytest.mark.parametrize(
    "thing, named", [("√48", "the str '√48'"), (float("nan"), "the float nan"), ([48], "the list")]
)
def test_the_one_of_five_that_is_no_number_is_named(thing, named):
    line = checks.layer_on_paper((*RIGHT[:4], thing)).lines[0]
    assert f", and divisor is {named}" in line


def test_a_count_is_repeated_with_all_its_digits():
    lines = checks.layer_on_paper((48, 1_769_472, 2_359_296, 16e4, 7)).lines
    starts = ["parameters, 1,769,472: ", "parameters with heads of 64, 2,359,296: ", "divisor, 7: "]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


def test_a_number_that_two_slips_give_is_asked_about_both():
    (line,) = checks.layer_on_paper((*RIGHT[:2], RIGHT[1], *RIGHT[3:])).lines  # 4 · 768² is 3 · 768 · 1,024
    assert "the layer of question 2" in line and "without W^O" in line


@pytest.mark.parametrize("answer", [None, (None,) * 5, (48, None, None, None, None), ...])
def test_paper_without_numbers_is_not_wrong(answer):
    assert checks.layer_on_paper(answer).state == "untouched"


# the trained layer ---------------------------------------------------------------------------------------------------


def scores(query, key, num_heads, scale=None):
    query, key = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key))
    return query @ key.mT / (scale or query.shape[-1] ** 0.5)


RECORDED = pretrained.recorded_projection()


def test_the_trained_layer_is_the_one_whose_maps_lesson_00_shows():
    query, key, num_heads = checks.multi_head_scores.inside(RECORDED)
    maps = scores(query, key, num_heads)[0].softmax(dim=-1)
    recorded = pretrained.recorded()[0].weights[pretrained.PROJECTION_LAYER]
    assert torch.allclose(maps, recorded, atol=1e-4)


def test_a_pass_says_what_the_model_does_and_draws_head_3_beside_the_models():
    in_numpy = lambda query, key, num_heads: scores(*map(torch.from_numpy, (query, key)), num_heads).numpy()  # noqa: E731
    for function in scores, in_numpy:
        result = checks.multi_head_scores(function, RECORDED)
        assert result.passed and "in head 3 “it” looks most at “suitcase” (0.27), as in the model." in result.lines[0]
        yours, model = (ax.images[0].get_array() for ax in result.picture().axes[:2])
        assert yours.shape == (15, 15) and np.allclose(yours, model, atol=1e-4)
    assert checks.multi_head_scores(scores).passed  # nothing was handed over


def plain_view(query, key, num_heads):
    heads = [x.reshape(len(x), num_heads, x.shape[1], -1) for x in (query, key)]
    return heads[0] @ heads[1].mT / heads[0].shape[-1] ** 0.5


@pytest.mark.parametrize(
    "function, line",
    [
        (lambda q, k, h: scores(q, k, h, scale=1), "most at “suitcase” (0.55), and in the model with 0.27."),
        (
            lambda q, k, h: scores(q, k, h, scale=q.shape[-1] ** 0.5),
            "most at “suitcase” (0.11), and in the model with 0.27.",
        ),
        (plain_view, "; in the model at “suitcase” (0.27)."),
        (lambda q, k, h: scores(q, k, h) * torch.nan, "they are not finite"),
    ],
)
def test_a_wrong_answer_keeps_its_question_and_is_told_what_the_model_does_with_it(function, line):
    alone, result = checks.multi_head_scores(function), checks.multi_head_scores(function, RECORDED)
    assert result.state == "wrong" and result.lines[:-1] == alone.lines and line in result.lines[-1]
    yours, model = (ax.images[0].get_array() for ax in result.picture().axes[:2])
    assert yours.shape == model.shape == (15, 15) and not np.allclose(yours, model, atol=0.05)


def test_scores_that_are_right_on_small_shapes_alone_do_not_pass():
    def small_only(query, key, num_heads):
        return scores(query, key, num_heads) * (1 if query.shape[1] < 15 else 2)

    result = checks.multi_head_scores(small_only, RECORDED)
    assert result.state == "wrong" and result.lines[0].startswith("Passes on 5 shapes, and inside the model: ")
    assert checks.multi_head_scores(small_only).passed


def test_what_raises_or_has_another_shape_in_the_model_is_told_without_a_map():
    def raises(query, key, num_heads):
        return scores(query, key, num_heads)[:, :, :, : 1 // (15 - query.shape[1]) or None]

    result = checks.multi_head_scores(raises, RECORDED)
    assert result.state == "wrong" and "it raises an error" in result.lines[0] and result.picture is None
    assert checks.multi_head_scores(lambda q, k, h: q @ k.mT, RECORDED).state == "wrong"


@pytest.mark.parametrize(
    "recorded", [RECORDED[:2], 3, "recorded", (1, 2, 3), (torch.zeros(2, 3), torch.zeros(2, 3), ["it", "is"])]
)
def test_anything_but_the_recorded_layer_is_asked_for_it(recorded):
    result = checks.multi_head_scores(scores, recorded)
    assert (
        result.state == "wrong"
        and "`checks.multi_head_scores(multi_head_scores, pretrained.recorded_projection())`" in result.lines[0]
    )


def test_a_stub_stays_untouched_beside_the_recorded_layer():
    def multi_head_scores(query, key, num_heads): ...

    assert checks.multi_head_scores(multi_head_scores, RECORDED).state == "untouched"
    assert "the function itself" in checks.multi_head_scores("scores", RECORDED).lines[0]
