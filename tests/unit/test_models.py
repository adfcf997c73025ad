"""The small networks: parameters that do not depend on the heads, what positions tell, and what fusion does."""

import pytest
import torch
from torch import nn

from mha_lab import models, tasks

LOOKUP = tasks.lookup()


def encoder(task=LOOKUP, **options):
    torch.manual_seed(0)
    return models.Encoder(task.vocabularies, task.answers, causal=task.causal, **options)


def batch(task=LOOKUP, B=3):
    return task.draw(B, torch.Generator().manual_seed(0))


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_number_of_parameters_does_not_depend_on_the_heads():
    assert {size(encoder(num_heads=heads)) for heads in (1, 2, 4, 8, 16, 32, 64)} == {24_384}


@pytest.mark.parametrize("num_layers", [1, 3])
def test_answers_weights_and_loss_have_the_shapes_that_are_promised(num_layers):
    model, drawn = encoder(num_heads=4, num_layers=num_layers), batch()
    answers, weights = model(drawn.inputs, need_weights=True)
    assert [answer.shape for answer in answers] == [(3, 8, 16)] * 4
    assert weights.shape == (3, num_layers, 4, 8, 8)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(answers, model(drawn.inputs)))
    assert model.losses(drawn).shape == (3,)
    assert model.accuracy(drawn).shape == (4,)


def test_the_loss_is_the_mean_over_everything_that_was_asked():
    task = tasks.previous_and_match()
    model, drawn = encoder(task), batch(task)
    answers = model(drawn.inputs)
    for b in range(3):
        each = [
            -answers[r][b, i].log_softmax(dim=-1)[drawn.targets[b, i, r]]
            for i in range(task.num_tokens)
            for r in range(2)
            if drawn.targets[b, i, r] != tasks.IGNORE
        ]
        assert model.losses(drawn)[b].item() == pytest.approx(torch.stack(each).mean().item(), abs=1e-5)


def test_accuracy_counts_only_what_was_asked():
    task = tasks.previous_and_match()
    model, drawn = encoder(task), batch(task)
    right = [answer.argmax(dim=-1) for answer in model(drawn.inputs)]
    asked = drawn.targets != tasks.IGNORE
    told = torch.stack(right, dim=-1).where(asked, torch.tensor(tasks.IGNORE))
    assert model.accuracy(drawn._replace(targets=told)).tolist() == [1, 1]


def test_without_positions_shuffled_tokens_give_shuffled_answers_and_with_them_they_do_not():
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    inputs = batch().inputs
    for positions, same in (None, True), (models.Learned(8, 64), False), (models.Sinusoidal(64), False):
        model = encoder(positions=positions)
        moved, stayed = model(inputs[:, order])[0], model(inputs)[0][:, order]
        assert torch.allclose(moved, stayed, atol=1e-5) == same


def test_sinusoidal_places_are_those_of_the_paper():
    x = models.Sinusoidal(6)(torch.zeros(1, 50, 6))[0]
    for place, i in (0, 0), (7, 1), (49, 2):
        angle = torch.tensor(place / 10_000 ** (2 * i / 6))
        torch.testing.assert_close(x[place, 2 * i : 2 * i + 2], torch.stack([angle.sin(), angle.cos()]))


def test_a_closed_gate_lets_nothing_through_and_an_open_one_is_w_o():
    fusion, concat = models.GatedFusion(8), torch.randn(2, 3, 8)
    with torch.no_grad():
        for weight, expected in ((0.0, 0.5 * fusion.project(concat)),):
            fusion.gate.weight.fill_(weight)
            torch.testing.assert_close(fusion(concat), expected)
    assert size(encoder(fusion=models.GatedFusion)) - size(encoder()) == 64 * 64


def test_rmsnorm_and_an_mlp_are_used_where_they_are_asked_for():
    model = encoder(norm=nn.RMSNorm, mlp=128)
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(nn.RMSNorm) == 3 and nn.LayerNorm not in kinds and nn.GELU in kinds


@pytest.mark.parametrize(
    "run, words",
    [
        (lambda: encoder()(torch.zeros(2, 8, 3).long()), r"\(2, 8, 3\); this model takes \(batch, tokens, 6\)"),
        (lambda: encoder(positions=models.Learned(4, 64))(batch().inputs), "8 tokens .* there are 4"),
    ],
)
def test_inputs_that_do_not_fit_are_named(run, words):
    with pytest.raises(ValueError, match=words):
        run()
