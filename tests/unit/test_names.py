"""The names task of lesson 09, the models that read it, and their record."""

import sys

import pytest
import torch

from mha_lab import _data, models, tasks
from mha_lab.models.name_readers import NAME_READERS, name_reader
from mha_lab.tasks.names import LETTERS, NAME_WORDS, by_rule, few, last_named, names


def drawn(B=200, seed=0, **sizes):
    return names(**sizes).draw(B, torch.Generator().manual_seed(seed))


def test_a_seed_draws_the_same_messages_and_another_seed_others():
    assert all(map(torch.equal, drawn(), drawn()))
    assert not torch.equal(drawn().inputs, drawn(seed=1).inputs)


@pytest.mark.parametrize("num_tokens, num_names", [(32, 4), (16, 2), (40, 8), (17, 1)])
def test_each_letter_is_given_to_a_loan_of_its_own_in_the_first_half_and_asked_for_in_the_second(num_tokens, num_names):
    batch = drawn(50, num_tokens=num_tokens, num_names=num_names)
    words, given = batch.inputs.unbind(dim=-1)
    half = num_tokens // 2
    assert not given[:, half:].any() and (batch.targets[:, :half] == tasks.IGNORE).all()
    for message, loans, asked in zip(words, given, batch.targets[..., 0] != tasks.IGNORE):
        letters = message[loans > 0].tolist()
        assert len(set(letters)) == len(set(loans[loans > 0].tolist())) == num_names
        assert set(message[asked].tolist()) <= set(letters)
        assert 0.7 * (num_tokens - half) <= asked.sum() <= 0.85 * (num_tokens - half) + 1


def test_the_marked_token_holds_the_answer():
    batch = drawn()
    held = (batch.right[:, 0].long() @ batch.inputs[..., 1:])[..., 0] - 1
    asked = batch.targets[..., 0] != tasks.IGNORE
    assert torch.equal(held[asked], batch.targets[..., 0][asked])
    assert torch.equal(batch.right.any(dim=-1)[:, 0], asked)


def test_the_rule_is_always_right_and_the_last_loan_once_in_four():
    batch = drawn(2000)
    asked = batch.targets[..., 0] != tasks.IGNORE
    assert torch.equal(by_rule(batch), batch.targets[..., 0])
    share = (last_named(batch) == batch.targets[..., 0])[asked].double().mean()
    assert share == pytest.approx(0.25, abs=0.02)


def test_few_shows_its_examples_only():
    draw = few(names(), 10, seed=3)
    known = {str(message.tolist()) for message in draw.everything.inputs}
    batch = draw(64, torch.Generator().manual_seed(0))
    assert len(known) == 10 and {str(message.tolist()) for message in batch.inputs} <= known
    assert torch.equal(draw.everything.inputs, drawn(10, seed=3).inputs)


def test_sizes_that_cannot_be_are_answered_with_the_numbers():
    with pytest.raises(ValueError, match="num_names=9: the first half of 32 tokens defines 1 to 8 names"):
        names(num_names=9)
    with pytest.raises(ValueError, match="the first half of 6 tokens defines 1 to 3 names"):
        names(6)


def test_the_words_are_one_for_each_number():
    assert names().vocabularies == (len(NAME_WORDS), 9) and NAME_WORDS[4:] == LETTERS


@pytest.mark.parametrize("d_model", [64, 128])
def test_all_readers_have_as_many_parameters_within_three_per_cent(d_model):
    sizes = [models.num_parameters(name_reader(name, names(), d_model=d_model)) for name in NAME_READERS]
    assert max(sizes) < 1.03 * min(sizes)


@pytest.mark.parametrize("name", list(NAME_READERS))
def test_a_seed_makes_the_same_reader_and_leaves_the_random_state_alone(name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    batch = drawn(2)
    one, two, other = (name_reader(name, names(), seed=seed)(batch.inputs)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize(
    "name", [name for name in NAME_READERS if name != "relative, 1 head"]
)  # which begins symmetric
def test_a_reader_knows_the_order_of_its_tokens(name):
    batch, model = drawn(2), name_reader(name, names())
    assert not torch.allclose(model(batch.inputs.flip(1))[0].flip(1), model(batch.inputs)[0], atol=1e-3)


def test_an_unknown_reader_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no model 'LSTM'; there are: relative, 4 heads"):
        name_reader("LSTM", names())


def test_the_record_says_what_the_lesson_says():
    found = tasks.recorded_names()
    short, long = sorted({steps for _, _, steps, _ in found.accuracy})
    attention, lstm = (found.accuracy[name, 2000, short, 64] for name in ("relative, 4 heads", "BiLSTM"))
    assert len(attention) == len(lstm) == 3
    assert (attention - lstm).min() > 0.5
    assert found.accuracy["BiLSTM", 2000, long, 64].max() < attention.min() - 0.2


def test_an_altered_record_is_named_in_words(tmp_path, monkeypatch):
    (tmp_path / "names.npz").write_bytes((_data.FOLDER / "names.npz").read_bytes()[:-50])
    monkeypatch.setattr(sys.modules[names.__module__], "NAME_RESULTS", tmp_path / "names.npz")
    with pytest.raises(ValueError, match="names.npz was altered or cut short"):
        tasks.recorded_names()
