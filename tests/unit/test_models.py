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
        (lambda: encoder()(torch.zeros(2, 8, 6)), "inputs are torch.float..; this model takes whole numbers"),
        (lambda: encoder()([[0]]), r"inputs is the list \[\[0\]\]; it must be a tensor \(batch, tokens, 6\)"),
        (lambda: encoder()(batch().inputs + 8), "feature 0 holds 15: this model knows 0 to 7"),
        (lambda: encoder()(batch().inputs - 8), "feature 0 holds -8: this model knows 0 to 7"),
        (lambda: encoder()(torch.zeros(2, 8, 3).long()), r"\(2, 8, 3\); this model takes \(batch, tokens, 6\)"),
        (lambda: encoder(positions=models.Learned(4, 64))(batch().inputs), "8 tokens .* there are 4"),
    ],
)
def test_inputs_that_do_not_fit_are_named(run, words):
    with pytest.raises((ValueError, TypeError), match=words):
        run()


@pytest.mark.parametrize("questions", [1, 3, 5])
def test_a_batch_with_more_or_fewer_questions_than_answers_is_refused(questions):
    """Else the loss would leave out the questions, or the answers, that are too many."""
    asked = batch()
    asked = asked._replace(targets=asked.targets[..., :1].expand(-1, -1, questions))
    for measure in encoder().losses, encoder().accuracy:
        with pytest.raises(ValueError, match=rf"targets have shape \(3, 8, {questions}\) and must be \(3, 8, 4\)"):
            measure(asked)


def test_a_mean_over_nothing_is_refused_by_every_model():
    asked = batch()
    targets = asked.targets.clone()
    targets[1] = tasks.IGNORE
    with pytest.raises(ValueError, match="nothing is asked in example 1 of the batch: it has no mean loss"):
        encoder().losses(asked._replace(targets=targets))
    translating = models.EncoderDecoder(9, 9, d_model=8, num_heads=2, mlp=0)
    source, target = torch.full((3, 4), 5), torch.tensor([[5, tasks.END], [5, tasks.END], [tasks.PAD, tasks.PAD]])
    with pytest.raises(ValueError, match="nothing is asked in example 2 of the batch"):
        translating.losses(tasks.Pairs(source, target, None))
    nothing = tasks.ReadingBatch(torch.zeros(2, 0).long(), torch.zeros(2, 32, 4), torch.zeros(2, 0).long(), None)
    with pytest.raises(ValueError, match=r"question has shape \(2, 0\) and targets \(2, 0\)"):
        models.digit_reader().losses(nothing)
    with pytest.raises(ValueError, match=r"question has shape \(2, 0\) and targets \(2, 1\)"):
        models.digit_reader().losses(nothing._replace(targets=torch.zeros(2, 1).long()))


def test_losses_can_be_taken_example_by_example_under_vmap():
    """Where nobody can look at a number, nobody asks."""
    model, asked = encoder(), batch()

    def loss(inputs, targets):
        return model.losses(tasks.Batch(inputs[None], targets[None]))[0]

    with torch.no_grad():
        each = torch.func.vmap(loss)(asked.inputs, asked.targets)
        torch.testing.assert_close(each, model.losses(asked))


def test_models_have_shapes_without_numbers():
    """On the device meta nothing can be looked at, and nothing is asked about it."""
    with torch.device("meta"):
        model, translating = encoder(), models.EncoderDecoder(9, 9, d_model=8, num_heads=2)
        reading, sentences = models.digit_reader(mixing=1), models.AttentionClassifier(50, 5)
        whole = torch.zeros(2, 8, 1).long()
        assert [a.shape for a in model(whole.expand(-1, -1, 6))] == [(2, 8, 16)] * 4
        assert translating(whole[..., 0], whole[..., 0]).shape == (2, 8, 9)
        assert reading(whole[:, :2, 0], torch.zeros(2, 32, 4)).shape == (2, 2, 10)
        assert sentences(whole).shape == (2, 5)


@pytest.fixture
def everything_in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_every_model_trains_in_float64_on_what_its_task_draws(everything_in_float64):
    tasks_and_models = [
        (tasks.lookup(), encoder()),
        (tasks.document(), encoder(tasks.document(), positions=models.Sinusoidal(64), window=4)),
        (tasks.two_digits(), models.digit_reader()),
        (tasks.two_digits(noise=0.1), models.digit_reader(mixing=1)),
        (tasks.facts(), models.Reader(8, 10, models.Features([10, 9], 64))),
        (tasks.dates(200), models.translator("dates", *map(len, (tasks.dates(200).source, tasks.dates(200).target)))),
        (tasks.intents("validation", size=20), models.intent_model("relative", len(tasks.intents().vocabulary))),
    ]
    for task, model in tasks_and_models:
        losses = model.losses(task.draw(3, torch.Generator().manual_seed(0)))
        assert losses.dtype == torch.float64 and losses.isfinite().all()
        losses.mean().backward()
