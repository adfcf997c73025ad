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
