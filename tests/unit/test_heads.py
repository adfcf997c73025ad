"""Scores of heads on maps that are known, and what switching heads off does."""

import math

import pytest
import torch

from mha_lab import MultiHeadAttention, heads, models, tasks

EYE = torch.eye(5)
UNIFORM = torch.full((5, 5), 0.2)


def test_entropy_is_0_for_one_key_and_ln_s_for_all_alike():
    assert heads.entropy(torch.stack([EYE, UNIFORM])).tolist() == pytest.approx([0, math.log(5)])


def test_distance_is_in_tokens():
    assert heads.distance(EYE) == 0 and heads.distance(EYE.roll(1, dims=1)).item() == pytest.approx(8 / 5)
    assert heads.distance(UNIFORM).item() == pytest.approx(1.6)


def test_mass_is_the_share_on_the_marked_keys_where_any_is_marked():
    assert heads.mass(EYE, heads.offset(5, 0)) == 1
    assert heads.mass(UNIFORM, heads.offset(5, -1)).item() == pytest.approx(0.2)  # the first row has no previous token
    assert heads.mass(EYE.roll(-1, dims=1), heads.offset(5, -1)) == 1
    assert heads.mass(UNIFORM, torch.zeros(5, 5, dtype=torch.bool)).isnan()


def test_offset_and_same_token_mark_what_they_say():
    assert heads.offset(4, 1).nonzero().tolist() == [[0, 1], [1, 2], [2, 3]]
    assert heads.same_token(torch.tensor([7, 8, 7])).nonzero().tolist() == [[0, 2], [2, 0]]


def model_and_batch(num_layers=2):
    task = tasks.lookup()
    torch.manual_seed(0)
    model = models.Encoder(task.vocabularies, task.answers, num_heads=4, num_layers=num_layers)
    return model, task.draw(6, torch.Generator().manual_seed(0))


def test_an_ablated_head_adds_nothing_and_comes_back():
    model, batch = model_and_batch(1)
    layer, x = model.blocks[0].attention, torch.randn(2, 8, 64)
    before, shares = layer(x), {}
    for head in range(4):
        with heads.ablated(model, [(0, head)]):
            shares[head] = before - layer(x)
    torch.testing.assert_close(layer(x), before)
    torch.testing.assert_close(sum(shares.values()), before)  # no bias: the heads' shares are all there is
    with heads.ablated(model, [(0, head) for head in range(4)]):
        assert layer(x).abs().max() == 0


def test_all_factors_1_change_nothing_with_and_without_weights():
    model, batch = model_and_batch()
    with heads.scaled(model, torch.ones(2, 4)):
        scaled = model(batch.inputs), model(batch.inputs, need_weights=True)[0]
    for answers in scaled:
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(answers, model(batch.inputs)))


def test_importance_is_the_slope_of_each_examples_loss():
    model, batch = model_and_batch()
    model, step = model.double(), 1e-5
    found = heads.importance(model, lambda: model.losses(batch), 6)
    for layer, head in (0, 0), (1, 3):
        losses = []
        for sign in (1, -1):
            factors = torch.ones(2, 4, dtype=torch.float64)
            factors[layer, head] += sign * step
            with heads.scaled(model, factors), torch.no_grad():
                losses.append(model.losses(batch))
        slope = (losses[0] - losses[1]) / (2 * step)
        assert found[layer, head].item() == pytest.approx(slope.abs().mean().item(), rel=1e-3)


@pytest.mark.parametrize(
    "run, words",
    [
        (lambda m: heads.scaled(m, torch.ones(1, 4)), r"\(1, 4\); this model has \(layers, heads\) \(2, 4\)"),
        (lambda m: heads.scaled(m, torch.ones(2, 6, 4)), r"\(2, 6, 4\); .* or \(layers, batch, 1, heads\)"),
        (lambda m: heads.ablated(m, [(2, 0)]), "no head 0 in layer 2"),
        (lambda m: heads.ablated(torch.nn.Linear(2, 2), []), "Linear has no MultiHeadAttention"),
    ],
)
def test_heads_that_are_not_there_are_named(run, words):
    with pytest.raises(ValueError, match=words), run(model_and_batch()[0]):
        pass


def test_layers_come_in_their_order():
    model, _ = model_and_batch()
    assert heads.attention_layers(model) == [block.attention for block in model.blocks]
    assert heads.attention_layers(MultiHeadAttention(4, 2))


# what is not understood is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [1, 5, 7])
def test_importance_needs_as_many_losses_as_examples(examples):
    """With one factor for all examples the slopes would cancel and add up: three times too large, or too small."""
    model, batch = model_and_batch()
    with pytest.raises(
        ValueError, match=rf"losses\(\) gave .* \(6,\); it must be \({examples},\)|factors for {examples} "
    ):
        heads.importance(model, lambda: model.losses(batch), examples)
    with pytest.raises(ValueError, match=r"losses\(\) gave a tensor of shape \(\); it must be \(6,\)"):
        heads.importance(model, lambda: model.losses(batch).mean(), 6)
    with pytest.raises(ValueError, match="the losses do not depend on this model's heads"):
        heads.importance(model, lambda: torch.ones(6), 6)
    with pytest.raises(ValueError, match="there are factors for 5 examples, and the model runs on 6"):
        heads.importance(model, lambda: model.losses(batch)[:5], 5)


@pytest.mark.parametrize("score", [heads.entropy, heads.distance])
def test_rows_that_are_no_average_are_refused(score):
    for wrong in 7 * EYE, torch.full((5, 5), torch.nan), EYE - EYE.roll(1) + EYE.roll(2):
        with pytest.raises(ValueError, match=r"row \(\d,\) of the weights sums to .*: weights lie from 0 to 1"):
            score(wrong)
    with pytest.raises(ValueError, match=r"row \(1, 2, 0\) of the weights sums to 1.25"):
        weights = UNIFORM.expand(2, 3, 5, 5).clone()
        weights[1, 2, 0] *= 1.25
        score(weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_every_precision_leave_out_queries_that_attend_to_nothing(dtype):
    weights = UNIFORM.clone()
    weights[:2] = 0.0  # as of padding on the left
    assert heads.entropy(weights.to(dtype)).item() == pytest.approx(math.log(5), rel=0.01)
    assert heads.distance(weights.to(dtype)).item() == pytest.approx((1.2 + 1.4 + 2.0) / 3, rel=0.01)
    assert heads.entropy(torch.zeros(5, 5)).isnan()


def test_scores_work_under_vmap_and_give_gradients():
    maps = torch.stack([EYE, UNIFORM])
    for score in heads.entropy, heads.distance:
        torch.testing.assert_close(torch.func.vmap(score)(maps), score(maps))
        assert score(maps.to("meta")).shape == (2,)
    scores = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    heads.entropy(scores.softmax(dim=-1)).sum().backward()
    assert scores.grad.abs().min() > 0


def test_heads_of_any_width_can_be_switched_off():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, 3, d_head=8, bias=False), torch.randn(2, 5, 12)
    shares = []
    for head in range(3):
        with heads.ablated(layer, [(0, other) for other in range(3) if other != head]):
            shares.append(layer(x))
    torch.testing.assert_close(sum(shares), layer(x))
    assert heads.importance(layer, lambda: layer(x).square().mean(dim=(1, 2)), 2).shape == (1, 3)


def test_marks_lie_where_the_tokens_lie_whatever_the_default_device_is():
    tokens = torch.tensor([7, 8, 7])
    with torch.device("meta"):
        assert heads.same_token(tokens).nonzero().tolist() == [[0, 2], [2, 0]]
        assert heads.distance(EYE) == 0
        assert heads.mass(EYE, heads.offset(5, 0, device="cpu")) == 1


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: heads.entropy([[1.0]]), r"weights is the list \[\[1.0\]\]; it must be a tensor \(\.\.\., N, S\)"),
        (lambda: heads.entropy(EYE.numpy()), r"weights is a ndarray of shape \(5, 5\)"),
        (lambda: heads.entropy(torch.ones(3)), r"weights are torch.float.. of shape \(3,\)"),
        (lambda: heads.mass(EYE.long(), EYE.bool()), "weights are torch.int64"),
        (lambda: heads.mass(EYE, EYE), "right is torch.float.. on cpu; it must be boolean"),
        (lambda: heads.mass(EYE, heads.offset(5, 0, device="meta")), "right is torch.bool on meta; it must be"),
        (lambda: heads.mass(EYE, heads.offset(4, 0)), r"right has shape \(4, 4\) and the weights \(5, 5\)"),
        (lambda: heads.mass(EYE, [[True]]), "right is the list"),
        (lambda: heads.distance(UNIFORM[-1:]), "weights of 1 queries on 5 keys: where the queries stand"),
        (lambda: heads.offset(2.5, 0), "n is the float 2.5; it must be a whole number"),
        (lambda: heads.offset(4, 0.5), "steps is the float 0.5; it must be a whole number"),
        (lambda: heads.same_token([1, 2]), "tokens is the list"),
        (lambda: heads.ablated(MultiHeadAttention(4, 2), [0]).__enter__(), "0 is no head: a head is a pair"),
        (lambda: heads.ablated(MultiHeadAttention(4, 2), [(0.5, 1)]).__enter__(), r"\(0.5, 1\) is no head"),
        (lambda: heads.scaled(MultiHeadAttention(4, 2), [[1.0, 0.0]]).__enter__(), "factors is the list"),
        (
            lambda: heads.ablated(
                torch.nn.ModuleList([MultiHeadAttention(4, 2), MultiHeadAttention(4, 4)]), []
            ).__enter__(),
            r"layers have \[2, 4\] heads",
        ),
    ],
)
def test_what_is_no_map_and_no_head_is_refused_in_one_sentence(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        wrong()
