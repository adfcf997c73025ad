"""The exercise of the whole layer goes on inside MiniLM: what the card says there of a right and a wrong function."""

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner

from mha_lab import checks, pretrained
from mha_lab.pretrained import ModelMissing, inside_minilm, your_layer

check, OURS = checks.multi_head_attention, as_a_learner(checks.multi_head_attention.solution)


def unscaled(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return OURS(x, W_q * (x.shape[-1] // num_heads) ** 0.5, W_k, W_v, W_o, num_heads, mask)


def cut_by_a_plain_view(x, W_q, W_k, W_v, W_o, num_heads, mask):
    B, N, D = x.shape
    query, key, value = ((x @ W).view(B, num_heads, N, -1) for W in (W_q, W_k, W_v))
    weights = (query @ key.mT / (D // num_heads) ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return (weights @ value).reshape(B, N, D) @ W_o, weights


def mask_turned_round(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return OURS(x, W_q, W_k, W_v, W_o, num_heads, ~mask)


def in_numpy(x, W_q, W_k, W_v, W_o, num_heads, mask):
    B, N, D = x.shape
    query, key, value = (np.swapaxes((x @ W).reshape(B, N, num_heads, -1), 1, 2) for W in (W_q, W_k, W_v))
    scores = np.where(mask, query @ np.swapaxes(key, 2, 3) / np.sqrt(D // num_heads), -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.swapaxes(weights @ value, 1, 2).reshape(B, N, D) @ W_o, weights


@pytest.fixture
def absent(monkeypatch):
    def load():
        raise ModelMissing("not here")

    monkeypatch.setattr(your_layer.MiniLM, "load", load)


@pytest.fixture
def present():
    try:
        pretrained.MiniLM.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("function", [OURS, in_numpy])
def test_without_the_model_a_right_function_draws_the_recorded_maps_of_one_layer(absent, function):
    result = check(function, inside_minilm())
    text = "\n".join(result.lines)
    assert result.passed and 'your maps are those of lesson 00. In head 3, "it" looks most at "suitcase"' in text
    assert "make models" in text and result.picture


@pytest.mark.parametrize("function", [OURS, in_numpy])
def test_with_the_model_a_right_function_finds_what_ours_finds(present, function):
    text = "\n".join(check(function, inside_minilm()).lines)
    assert "In all six layers of MiniLM, over the twelve recorded sentences, your maps are those of lesson 00." in text
    assert 'the model finds "the dog chased the cat", as with our layer.' in text


@pytest.mark.parametrize(
    "function, question",
    [(unscaled, "the scores were not scaled"), (cut_by_a_plain_view, "tokens and heads were mixed")],
)
def test_a_wrong_function_keeps_its_diagnosis_and_is_told_how_far_off_the_model_is(absent, function, question):
    result = check(function, inside_minilm())
    assert result.state == "wrong" and question in result.lines[0]
    assert "off lesson 00's" in result.lines[-1]


def test_weights_of_nan_in_one_layer_are_named_and_no_word_is_said_to_be_looked_at_most(absent):
    last = check(mask_turned_round, inside_minilm()).lines[-1]
    assert last.endswith("your weights hold NaN.") and "looks most at" not in last and "where no word is masked" in last


def test_weights_of_nan_in_all_layers_find_nothing(present):
    last = check(mask_turned_round, inside_minilm()).lines[-1]
    assert last.startswith("In all six layers") and last.endswith("your weights hold NaN, so the model finds nothing.")


def test_what_the_model_finds_with_a_wrong_function_stands_beside_what_ours_finds(present):
    last = check(cut_by_a_plain_view, inside_minilm("what we ate at noon")).lines[-1]
    assert 'Asked for "what we ate at noon"' in last and 'where our layer finds "For lunch we bought bread' in last


def test_a_function_that_raises_or_is_none_is_judged_as_without_the_model():
    def raises(x, W_q, W_k, W_v, W_o, num_heads, mask):
        raise RuntimeError("no")

    def stub(x, W_q, W_k, W_v, W_o, num_heads, mask): ...

    assert check(raises, inside_minilm()).lines == check(raises).lines
    assert check(stub, inside_minilm()).state == "untouched"


def test_the_second_argument_is_what_the_lesson_hands_over():
    assert "`pretrained.inside_minilm()`, and this is the int 3" in check(OURS, 3).lines[0]
