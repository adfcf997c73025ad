"""The training loop: seeded, interruptible, and going on exactly where it stopped."""

import signal

import pytest
import torch

from mha_lab import models, tasks, train

TASK = tasks.lookup(4, 4, 1)


def encoder(seed=0, **options):
    torch.manual_seed(seed)
    return models.Encoder(TASK.vocabularies, TASK.answers, d_model=16, num_heads=2, **options)


def fit(model, draw=TASK.draw, steps=30, **options):
    return train.fit(model, draw, steps=steps, batch_size=16, progress=False, **options)


@pytest.fixture(autouse=True)
def interrupts_are_heard():
    """Also where the tests run in the background of a shell, which lets a process ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_training_lowers_the_loss():
    history = fit(encoder(), steps=60)
    assert len(history.loss) == 60 and not history.interrupted and history.seconds > 0
    assert sum(history.loss[-5:]) < 0.9 * sum(history.loss[:5])


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    models_ = [encoder(), encoder(), encoder()]
    for model, seed in zip(models_, (0, 0, 1)):
        fit(model, seed=seed)
    first, again, other = map(weights, models_)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_interrupt_ends_between_two_steps_and_training_goes_on_as_if_it_had_not(tmp_path):
    whole, stopped, file = encoder(), encoder(), tmp_path / "lookup.safetensors"
    fit(whole)
    drawn = []

    def interrupted_draw(B, generator):
        drawn.append(B)
        if len(drawn) == 10:
            signal.raise_signal(signal.SIGINT)
        return TASK.draw(B, generator)

    history = fit(stopped, interrupted_draw, checkpoint=file)
    assert history.interrupted and len(history.loss) == 10
    resumed = encoder(seed=7)
    assert len(fit(resumed, checkpoint=file).loss) == 30
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [path.name for path in tmp_path.iterdir()] == ["lookup.safetensors"]


def test_a_second_interrupt_is_not_held_back():
    def stuck(B, generator):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(encoder(), stuck)


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_nearly_nothing():
    rates = [train._rate(step, 1000) for step in range(1000)]
    assert rates[:100] == sorted(rates[:100]) and rates[99:] == sorted(rates[99:], reverse=True)
    assert rates[0] == 0.01 and rates[99] == rates[100] == 1 and 0 < rates[-1] < 1e-4
    assert [train._rate(step, 1) for step in range(1)] == [1]


@pytest.mark.parametrize("spoil", ["truncated", "of another model", "not a checkpoint"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_in_words(tmp_path, spoil):
    file = tmp_path / "model.safetensors"
    fit(encoder(mlp=8) if spoil == "of another model" else encoder(), steps=3, checkpoint=file)
    if spoil == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    if spoil == "not a checkpoint":
        file.write_text("hello")
    model = encoder()
    before = weights(model)
    words = "belongs to another model" if spoil == "of another model" else "is not a whole checkpoint"
    with pytest.raises(ValueError, match=words):
        fit(model, checkpoint=file)
    assert torch.equal(weights(model), before)


def test_a_model_is_left_in_the_mode_it_came_in():
    model = encoder().eval()
    fit(model, steps=2)
    assert not model.training
