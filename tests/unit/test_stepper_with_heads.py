"""AttentionStepper with heads and W^O, without a browser: its numbers against the layer's own, and bad input."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, attention, split_heads
from mha_lab.widgets import AttentionStepper
from mha_lab.widgets.attention_stepper import MOST_HEADS, MOST_TOKENS, MOST_WIDE

WORDS = ["trophy", "suitcase", "it"]
generator = torch.Generator().manual_seed(0)


def layer_and_inputs(num_heads, d_model=12, n=3):
    """A random layer's outputs (N, D), and what the stepper needs to come to the same."""
    layer = MultiHeadAttention(d_model, num_heads, bias=False).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    x = torch.randn(1, n, d_model, generator=generator, dtype=torch.float64)
    query, key, value = (split_heads(p(x), num_heads)[0] for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    inputs = {"query": query, "key": key, "value": value, "w_o": layer.out_proj.weight.T, "tokens": WORDS[:n]}
    return layer(x)[0].detach().numpy(), inputs


@pytest.mark.parametrize("num_heads", [1, 2, 3, 12])
def test_the_heads_shares_add_up_to_the_layers_output_at_every_word(num_heads):
    output, inputs = layer_and_inputs(num_heads)
    stepper = AttentionStepper(**inputs)
    assert stepper.stage == 6
    for position in range(3):
        stepper.position = position
        now = stepper.stages
        assert now["outputs"].shape == (num_heads, 12 // num_heads) and now["shares"].shape == (num_heads, 12)
        np.testing.assert_allclose(now["total"], output[position], atol=1e-5)
        np.testing.assert_allclose(now["shares"].sum(axis=0), now["total"])


def test_the_stages_are_those_of_the_chosen_head():
    _, inputs = layer_and_inputs(3)
    stepper = AttentionStepper(**inputs, position=1)
    for head in range(3):
        stepper.head = head
        output, weights = attention(*(inputs[name][head] for name in ("query", "key", "value")))
        np.testing.assert_allclose(stepper.stages["weights"], weights[1].detach(), atol=1e-6)
        np.testing.assert_allclose(stepper.stages["output"], output[1].detach(), atol=1e-6)
        np.testing.assert_allclose(stepper.stages["outputs"][head], stepper.stages["output"])


def test_one_head_may_come_without_its_dimension():
    _, inputs = layer_and_inputs(1)
    flat = {name: inputs[name][0] for name in ("query", "key", "value")}
    one, same = AttentionStepper(**{**inputs, **flat}), AttentionStepper(**inputs)
    np.testing.assert_array_equal(one.stages["total"], same.stages["total"])
    assert repr(one) == repr(same) == "AttentionStepper(3 tokens, d_head 12, W^O to 12 features; 'trophy' looks)"


def test_without_w_o_there_is_no_sixth_stage():
    _, inputs = layer_and_inputs(2)
    stepper = AttentionStepper(**{**inputs, "w_o": None})
    assert stepper.stage == 5 and "total" not in stepper.stages
    with pytest.raises(TraitError, match=r"stage=6: the stages are 1 to 5 \(with w_o there is a sixth\)"):
        stepper.stage = 6


def test_values_may_have_a_width_of_their_own():
    query, key, value = np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.arange(6).reshape(2, 3, 1)
    stepper = AttentionStepper(query, key, value, WORDS, w_o=[[1, 0], [0, 10]], features=["a", "b"])
    np.testing.assert_allclose(stepper.stages["total"], [1, 40])


STRANGE = ["\n", "  ", "", "猫🐈", "مرحبا", "<img src=x onerror=alert(1)>", "x" * 500]


@pytest.mark.parametrize("tokens", [STRANGE, STRANGE[-1:], STRANGE[-1:] * MOST_TOKENS], ids=["strange", "one", "many"])
def test_every_stage_has_a_picture_whatever_the_tokens(tokens):
    inputs = torch.randn(3, 2, len(tokens), 4, generator=generator)
    stepper = AttentionStepper(*inputs, tokens, w_o=np.ones((8, 6)))
    pictures = set()
    for stage in 1, 5, 6:
        stepper.stage = stage
        data, width = stepper.picture()
        image = Image.open(io.BytesIO(data))
        assert image.width == 2 * width <= 2400 and len(image.getcolors(1 << 24)) > 20
        pictures.add(data)
    assert len(pictures) == 3


@pytest.mark.parametrize("H, D", [(1, 1), (MOST_HEADS, MOST_WIDE)])
def test_the_sum_is_drawn_for_few_and_many_heads_and_features(H, D):
    ones = np.ones((H, 3, 2))
    image = Image.open(io.BytesIO(AttentionStepper(ones, ones, ones, WORDS, w_o=np.ones((2 * H, D))).picture()[0]))
    assert image.width <= 2400 and image.height <= 2400


ONES = np.ones((2, 3, 4))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"w_o": np.ones((7, 5))}, r"w_o has shape \(7, 5\): 2 heads with values of width 4 need 8 rows"),
        ({"w_o": np.ones((8, MOST_WIDE + 1))}, f"{MOST_WIDE + 1} columns: the stepper shows 1 to {MOST_WIDE}"),
        ({"w_o": np.ones((8, 0))}, "0 columns"),
        ({"w_o": np.full((8, 5), np.nan)}, r"w_o holds nan at \(0, 0\)"),
        ({"w_o": np.ones(8)}, r"w_o has shape \(8,\); it must be \(H·width, D\)"),
        ({"features": ["a"]}, "names the columns of w_o, and there is no w_o"),
        ({"w_o": np.ones((8, 5)), "features": ["a"]}, "1 names of features and 5 columns"),
        ({"query": ONES[0]}, r"query has shape \(3, 4\) and key \(2, 3, 4\)"),
        ({"value": ONES[0]}, r"key has shape \(2, 3, 4\) and value \(3, 4\)"),
        ({"query": ONES[None]}, r"query has shape \(1, 2, 3, 4\); it must be \(N, K\) or \(H, N, K\)"),
        ({"query": ONES[:0], "key": ONES[:0], "value": ONES[:0]}, f"0 heads: the stepper shows .* 1 to {MOST_HEADS}"),
        (
            dict.fromkeys(("query", "key", "value"), np.ones((2, 0, 4))) | {"tokens": []},
            f"0 tokens .* 1 to {MOST_TOKENS}",
        ),
        (dict.fromkeys(("query", "key", "value"), np.ones((2, 600, 4))) | {"tokens": ["a"] * 600}, "600 tokens and 2"),
        ({"query": np.ones((2, 3, 129)), "key": np.ones((2, 3, 129))}, "keys of width 129"),
        ({"mask": np.ones((2, 2), bool)}, r"mask has shape \(2, 2\)"),
        ({"position": 3}, "position=3: the tokens are 0 to 2"),
        ({"head": 2}, "head=2: the heads are 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(change, words):
    with pytest.raises((ValueError, TraitError), match=words):
        AttentionStepper(**{"query": ONES, "key": ONES, "value": ONES, "tokens": WORDS, **change})


def test_a_mask_of_numbers_is_refused():
    with pytest.raises(TypeError, match="mask has dtype float64; it must be boolean, True = may attend"):
        AttentionStepper(ONES, ONES, ONES, WORDS, mask=np.ones((3, 3)))


@pytest.mark.parametrize(
    "trait, value, words", [("hovered", 3, "0 to 2, or -1 for none"), ("feature", 5, "0 to 4, or")]
)
def test_what_is_pointed_at_exists(trait, value, words):
    stepper = AttentionStepper(ONES, ONES, ONES, WORDS, w_o=np.ones((8, 5)))
    with pytest.raises(TraitError, match=words):
        setattr(stepper, trait, value)
    with pytest.raises(TraitError, match="feature=0: it must be -1"):
        AttentionStepper(ONES, ONES, ONES, WORDS).feature = 0
