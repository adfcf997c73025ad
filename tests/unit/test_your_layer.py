"""A function of somebody's own as MiniLM's attention: biases are carried by a 1, and the model finds what it found."""

import pytest
import torch

from mha_lab import MultiHeadAttention, checks
from mha_lab.pretrained import ModelMissing, inside_minilm, recorded, your_layer
from mha_lab.pretrained.your_layer import carry_one, without_biases

plain = checks.multi_head_attention.solution


def unscaled(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return plain(x, W_q * (x.shape[-1] // num_heads) ** 0.5, W_k, W_v, W_o, num_heads, mask)


@pytest.mark.parametrize("num_heads, width", [(1, 5), (3, 4), (4, 1)])
def test_a_layer_with_biases_is_one_without_for_words_that_carry_a_one(num_heads, width):
    generator = torch.Generator().manual_seed(0)
    layer = MultiHeadAttention(num_heads * width, num_heads).requires_grad_(False)
    for parameter in layer.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(2, 6, layer.d_model, generator=generator)
    everywhere = torch.ones(6, 6, dtype=torch.bool)
    found, weights = plain(carry_one(x, num_heads), *without_biases(layer), num_heads, everywhere)
    expected, expected_weights = layer(x, need_weights=True)
    torch.testing.assert_close(weights, expected_weights, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[..., : layer.d_model], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[..., layer.d_model :], torch.zeros(2, 6, num_heads))


def test_the_recorded_call_gives_the_recorded_maps_and_needs_no_model():
    inside = inside_minilm()
    output, weights = plain(*inside.call)
    torch.testing.assert_close(weights[0], recorded()[0].weights[1], atol=1e-4, rtol=0)
    assert output.abs().sum() > 0


def searched(question, function):
    found = inside_minilm(question).searched(function)
    if found is None:
        pytest.skip("MiniLM is absent: run `make models`.")
    return found


@pytest.mark.parametrize(
    "question, sentence",
    [(your_layer.QUESTION, "the dog chased the cat"), ("what we ate at noon", recorded()[9].sentence)],
)
def test_minilm_with_a_right_function_sees_and_finds_what_it_does_without(question, sentence):
    found, expected, farthest = searched(question, plain)
    assert found == expected == sentence
    assert farthest < 1e-3


def test_minilm_with_a_wrong_function_looks_elsewhere():
    _, expected, farthest = searched(your_layer.QUESTION, unscaled)
    assert farthest > 0.1 and expected == "the dog chased the cat"


def test_without_the_model_nothing_is_searched(monkeypatch):
    def missing():
        raise ModelMissing("not here")

    monkeypatch.setattr(your_layer.MiniLM, "load", missing)
    assert inside_minilm().searched(plain) is None
