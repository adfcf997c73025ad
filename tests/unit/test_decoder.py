"""A model with a class and a reach for each layer, the task in which a head is mostly idle, and what was recorded."""

from functools import partial

import pytest
import torch

from mha_lab import MultiHeadAttention, causal_mask, models, tasks, window_mask
from mha_lab.models import Decoder, today
from mha_lab.rotary import Rotary
from mha_lab.tasks import modern_results
from mha_lab.tasks.back_copy import LETTERS, START, back_copy, followers, least_loss
from mha_lab.variants import GatedAttention, QKNormAttention, SinkAttention

TASK = tasks.document(24, 3)


def made(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Decoder(TASK, d_model=16, num_heads=2, num_layers=3, **options).double()


def batch(B=3):
    return TASK.draw(B, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [MultiHeadAttention, GatedAttention, QKNormAttention, SinkAttention])
def test_each_layer_is_of_the_class_asked_for_and_sees_what_its_letter_says(kind):
    model = made(attention=partial(kind, rotary=Rotary()), pattern="LG", window=5, mlp=8)
    inputs = batch().inputs
    x = sum(embed(feature) for embed, feature in zip(model.embed, inputs.unbind(-1)))
    for block, mask in zip(model.blocks, (window_mask(24, 5), None, window_mask(24, 5))):
        assert type(block.attention) is kind
        past = causal_mask(24) if mask is None else causal_mask(24) & mask
        x = x + block.attention(block.norm(x), mask=past)
        x = x + block.mlp(x)
    for ours, answer in zip(model(inputs), model.answer):
        torch.testing.assert_close(ours, answer(model.norm(x)))


def test_what_both_models_have_begins_alike():
    plain, gated = made(), made(attention=GatedAttention)
    theirs = gated.state_dict()
    for name, numbers in plain.state_dict().items():
        assert torch.equal(numbers, theirs[name])
    wider = made(attention=partial(MultiHeadAttention, d_head=12)).state_dict()
    assert torch.equal(wider["answer.0.weight"], plain.state_dict()["answer.0.weight"])


def test_layers_of_a_list_stand_in_its_order_and_a_mask_hides_more_in_all():
    model = made(attention=[MultiHeadAttention, SinkAttention, MultiHeadAttention], pattern="LGG", window=4)
    assert [type(block.attention) for block in model.blocks] == [MultiHeadAttention, SinkAttention, MultiHeadAttention]
    _, maps = model(batch().inputs, mask=window_mask(24, 6), need_weights=True)
    away = torch.arange(24)[:, None] - torch.arange(24)
    for layer, width in enumerate((4, 6, 6)):
        assert (maps[:, layer][..., (away >= width) | (away < 0)] == 0).all()
        assert (maps[:, layer][..., away == width - 1] > 0).all()


@pytest.mark.parametrize(
    "wrong, error, sentence",
    [
        ({"pattern": "LS", "window": 4}, ValueError, "pattern='LS': it must be a word of G"),
        ({"pattern": ""}, ValueError, "pattern='': it must be a word of G"),
        ({"pattern": "LG"}, ValueError, "window must say how many tokens they see"),
        ({"attention": [MultiHeadAttention]}, ValueError, "a list of 1 and there are 3 layers: one for each"),
        ({"attention": 3}, TypeError, "attention is the int 3; it must be a list of classes"),
    ],
)
def test_what_makes_no_model_is_told(wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        made(**wrong)


# the task ------------------------------------------------------------------------------------------------------------


def test_after_a_trigger_the_letter_before_it_comes_again_and_after_a_letter_the_table_decides():
    found = back_copy(40).draw(500, torch.Generator().manual_seed(1))
    token, follows = found.inputs[..., 0], found.targets[..., 0]
    assert (token[:, 0] == START).all() and (token[:, 1:] < START).all() and (follows[:, 0] == tasks.IGNORE).all()
    asked = token[:, 2:] >= LETTERS
    assert torch.equal(follows[:, 2:][asked], token[:, 1:-1][asked]) and (follows[:, 2:][asked] < LETTERS).all()
    letters = (token < LETTERS).nonzero()
    counted = torch.zeros(LETTERS, START)
    counted.index_put_((token[tuple(letters.T)], follows[tuple(letters.T)]), torch.ones(len(letters)), accumulate=True)
    assert (counted / counted.sum(dim=1, keepdim=True) - followers()).abs().max() < 0.06
    torch.testing.assert_close(followers().sum(dim=1), torch.ones(LETTERS))


def test_the_least_loss_is_the_tables_entropy_and_nothing_after_a_trigger():
    inputs = back_copy(12).draw(4, torch.Generator().manual_seed(2)).inputs
    least, table = least_loss(inputs), followers()
    for b, n in torch.cartesian_prod(torch.arange(4), torch.arange(1, 12)):
        token = inputs[b, n, 0]
        expected = -(table[token] * table[token].log()).sum() if token < LETTERS else torch.tensor(0.0)
        torch.testing.assert_close(least[b, n], expected)


# the record ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    return tasks.recorded_modern()


def test_the_record_has_a_number_for_every_training(found):
    few, seeds = len(modern_results.FEW_SEEDS), len(modern_results.SEEDS)
    for kind in modern_results.RATE_KINDS:
        for lr in modern_results.RATES:
            assert found.rate_loss[kind][lr].shape == (few,)
            assert found.largest[kind][lr].shape == found.entropy[kind][lr].shape == (few, len(found.steps))
    assert {loss.shape for loss in found.text_loss.values()} == {(few,)}
    assert {loss.shape for views in found.idle_loss.values() for loss in views.values()} == {(seeds, 2)}
    assert {share.shape for shares in found.idle_share.values() for share in shares.values()} == {(seeds, 2)}
    assert {right.shape for right in found.places.values()} == {(few, 3, 2)}
    assert {right.shape for right in found.patterns.values()} == {(few, 3)}
    assert tuple(found.places) == tuple(today.PLACES)


def test_a_gate_and_wider_heads_are_as_many_parameters(found):
    counted = found.text_parameters
    assert counted["wider"] == counted["gate for each number"] > counted["plain"]


def test_the_trained_models_do_what_was_recorded_of_them(found):
    test = back_copy().draw(100, torch.Generator().manual_seed(3))
    token = test.inputs[..., 0]
    letters = (token < LETTERS) & (torch.arange(32) >= 6)
    for kind, shares in found.idle_share.items():
        with torch.no_grad():
            _, maps = models.trained_back_copy(kind)(test.inputs, need_weights=True)
        first = torch.stack([head[..., 0][letters].mean() for head in maps[:, 0].transpose(0, 1)])
        torch.testing.assert_close(first, shares["first"][0], rtol=0, atol=0.03)


def test_a_batch_may_have_as_many_texts_as_tokens():
    model, inputs = made(pattern="LG", window=5), batch(24).inputs
    assert inputs.shape[:2] == (24, 24)
    together, alone = (model(texts, mask=window_mask(24, 6)) for texts in (inputs, inputs[:1]))
    for many, one in zip(together, alone):
        torch.testing.assert_close(many[:1], one)
