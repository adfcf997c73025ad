"""What the answers of lesson 09's models cost at several widths, and what was recorded of it."""

import pytest
import torch

from mha_lab import _data, measure, models, tasks
from mha_lab.models import widths
from mha_lab.tasks import intent_speed


@pytest.mark.parametrize("d_model, num_heads", [(64, 4), (128, 4)])
def test_the_three_models_of_a_width_have_as_many_parameters_within_two_per_cent(d_model, num_heads):
    sizes = [models.num_parameters(model) for model in widths.of_width(d_model, num_heads).values()]
    assert max(sizes) < 1.02 * min(sizes)


def test_a_hidden_width_of_ones_own_is_taken():
    assert widths.of_width(32, 2, hidden=48)["BiLSTM"].lstm.hidden_size == 48


def test_answering_and_training_compute_what_they_say():
    pair = widths.of_width(32, 2)
    for run in widths.answering(pair, 3, 16).values():
        assert run().shape == (3, len(tasks.INTENTS)) and not run().requires_grad
    for unequal in (False, True):
        for run in widths.training(pair, 3, 16, unequal=unequal).values():
            assert run().isfinite()
    assert all(parameter.grad is None for model in pair.values() for parameter in model.parameters())


def test_the_bias_is_what_fused_attention_holds_of_a_long_sentence():
    N, pair = 512, widths.of_width(64, 4)
    peak = {name: measure.peak_memory(run) for name, run in widths.answering(pair, 1, N).items()}
    bias = 4 * 4 * N**2
    assert bias < peak["attention, bias"] < 1.7 * bias
    assert peak["attention, rotary"] < bias / 2


def test_the_record_has_every_time_of_every_model():
    speed = tasks.recorded_intent_speed()
    assert list(speed.widths) == [64, 256, 512]
    for times in speed.answers, speed.steps, speed.unequal_steps:
        cells = {cell[1:] for cell in times}
        assert len(times) == 3 * len(cells)
        assert all(0 < low <= median <= high for low, median, high in times.values())
    assert torch.tensor(speed.ratio(64, 7, 7)).isnan()


def test_one_sentence_is_answered_first_by_the_bilstm_where_it_is_narrow_and_by_attention_where_it_is_wide():
    speed = tasks.recorded_intent_speed()
    assert all(speed.ratio(64, 1, n) > 1.2 for n in (16, 64, 256))
    assert all(speed.ratio(512, 1, n) < 0.9 for n in (16, 64, 256))


def test_an_altered_record_is_named_in_words(tmp_path, monkeypatch):
    (tmp_path / "intent_speed.npz").write_bytes((_data.FOLDER / "intent_speed.npz").read_bytes()[:-50])
    monkeypatch.setattr(intent_speed, "INTENT_SPEED", tmp_path / "intent_speed.npz")
    with pytest.raises(ValueError, match="intent_speed.npz was altered or cut short"):
        tasks.recorded_intent_speed()
