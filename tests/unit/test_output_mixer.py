"""OutputMixer without a browser: its numbers against the layer's own, its states, its picture, and bad input."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, attention, split_heads
from mha_lab.widgets import OutputMixer
from mha_lab.widgets.output_mixer import MOST_HEADS, MOST_WIDE

WORDS = ["trophy", "suitcase", "it"]


def layer_and_mixer(d_model=12, num_heads=3, n=3, **options):
    """A random layer's output (N, D) and the mixer of its heads."""
    generator = torch.Generator().manual_seed(0)
    layer = MultiHeadAttention(d_model, num_heads, bias=False).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    x = torch.randn(1, n, d_model, generator=generator, dtype=torch.float64)
    query, key, value = (split_heads(p(x), num_heads) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    heads, _ = attention(query, key, value)
    mixer = OutputMixer(heads[0], layer.out_proj.weight.T, [f"word{i}" for i in range(n)], **options)
    return layer(x)[0].detach().numpy(), mixer


@pytest.mark.parametrize("num_heads", [1, 2, 3, 4, 6, 12])
def test_the_sum_of_all_heads_is_the_layers_output_at_every_word(num_heads):
    output, mixer = layer_and_mixer(num_heads=num_heads)
    assert mixer.active == list(range(num_heads))
    for position in range(3):
        mixer.position = position
        np.testing.assert_allclose(mixer.mix["sum"], output[position], atol=1e-5)
        np.testing.assert_allclose(mixer.mix["shares"].sum(axis=0), output[position], atol=1e-5)
        assert mixer.mix["missing"] < 1e-9


def test_a_head_that_is_off_is_missing_from_the_sum_and_counted_as_missing():
    _, mixer = layer_and_mixer()
    shares = mixer.mix["shares"]
    mixer.active = [2, 0, 2]
    assert mixer.active == [0, 2]
    np.testing.assert_allclose(mixer.mix["sum"], shares[0] + shares[2])
    assert mixer.mix["missing"] == pytest.approx(np.linalg.norm(shares[1]) / np.linalg.norm(mixer.mix["full"]))
    mixer.active = []
    assert not mixer.mix["sum"].any() and mixer.mix["missing"] == pytest.approx(1)


def test_an_output_of_zero_misses_nothing():
    assert OutputMixer(np.zeros((2, 3, 4)), np.ones((8, 5)), WORDS, active=[0]).mix["missing"] == 0


def test_a_head_meets_its_own_rows_of_w_o_and_the_width_may_differ():
    heads, w_o = np.arange(2 * 3 * 2).reshape(2, 3, 2), np.arange(4 * 5).reshape(4, 5)
    mixer = OutputMixer(heads, w_o, WORDS, features=list("abcde"), position=1)
    np.testing.assert_allclose(mixer.mix["shares"], [heads[0, 1] @ w_o[:2], heads[1, 1] @ w_o[2:]])
    assert mixer.features == list("abcde")


def test_text_is_short_and_the_same_every_time():
    assert repr(layer_and_mixer(active=[1])[1]) == "OutputMixer(3 tokens, 1 of 3 heads on; 'word0')"
    assert repr(layer_and_mixer(num_heads=1, n=1)[1]) == "OutputMixer(1 token, 1 of 1 head on; 'word0')"


@pytest.mark.parametrize("d_model, num_heads, n", [(12, 3, 3), (12, 12, 1), (128, 32, 60), (1, 1, 1)])
def test_a_picture_stands_beside_the_live_view(d_model, num_heads, n):
    _, mixer = layer_and_mixer(d_model, num_heads, n)
    data, metadata = mixer._repr_mimebundle_()
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width == 2 * metadata["image/png"]["width"] <= 2000 and image.height < 2200
    assert len(image.getcolors(1 << 24)) > 20, "an empty page"
    assert data["text/plain"] == repr(mixer)


def test_the_picture_follows_the_state():
    _, mixer = layer_and_mixer()
    pictures = {mixer.picture()[0]}
    for trait, value in ("position", 2), ("active", [0]), ("active", []):
        mixer.set_trait(trait, value)
        pictures.add(mixer.picture()[0])
    assert len(pictures) == 4


@pytest.mark.parametrize(
    "trait, value, words",
    [
        ("position", 3, "tokens are 0 to 2"),
        ("position", -1, "tokens are 0 to 2"),
        ("active", [0, 3], "heads are 0 to 2"),
        ("active", [-1], "heads are 0 to 2"),
        ("hovered", 12, "features are 0 to 11"),
        ("hovered", -2, "features are 0 to 11"),
    ],
)
def test_a_state_that_cannot_be_is_refused_in_words(trait, value, words):
    _, mixer = layer_and_mixer()
    before = getattr(mixer, trait)
    with pytest.raises(TraitError, match=words):
        setattr(mixer, trait, value)
    assert getattr(mixer, trait) == before


@pytest.mark.parametrize(
    "change, words",
    [
        ({"w_o": np.ones((5, 6))}, "3 heads of width 2 must have 6 rows"),
        ({"head_outputs": np.ones((3, 2))}, r"must be \(H, N, K\)"),
        ({"head_outputs": np.full((3, 3, 2), np.nan)}, "nan at"),
        ({"head_outputs": np.ones((3, 0, 2)), "tokens": []}, r"\(3, 0, 2\)"),
        ({"tokens": WORDS[:2]}, "2 tokens"),
        ({"tokens": "it was"}, "one string"),
        ({"features": ["room"]}, "features has 1 name and w_o 6 columns"),
        ({"head_outputs": np.ones((1, 3, 1)), "w_o": np.ones((2, 1))}, "1 head of width 1 must have 1 row in"),
        ({"w_o": np.ones((6, 1)), "features": ["a", "b"]}, "features has 2 names and w_o 1 column:"),
        ({"w_o": np.ones((6, MOST_WIDE + 1))}, f"1 to {MOST_WIDE}"),
        ({"head_outputs": np.ones((MOST_HEADS + 1, 3, 1)), "w_o": np.ones((MOST_HEADS + 1, 2))}, f"to {MOST_HEADS} "),
    ],
)
def test_what_does_not_fit_is_refused_in_words(change, words):
    good = {"head_outputs": np.ones((3, 3, 2)), "w_o": np.ones((6, 6)), "tokens": WORDS}
    with pytest.raises(ValueError, match=words):
        OutputMixer(**{**good, **change})
