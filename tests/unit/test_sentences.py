"""Classifiers of sentences: padding changes nothing, sizes match, and distance is told as it is promised."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mha_lab import heads, models

VOCABULARY, ANSWERS = 50, 5


def attention(**options):
    torch.manual_seed(0)
    return models.AttentionClassifier(VOCABULARY, ANSWERS, **options)


def made(name):
    torch.manual_seed(0)
    return {
        "BiLSTM": lambda: models.BiLSTM(VOCABULARY, ANSWERS),
        "learned": lambda: attention(positions=models.Learned(12, 64)),
        "relative": lambda: attention(bias=models.RelativeBias(4)),
        "ALiBi": lambda: attention(bias=models.ALiBi(4)),
    }[name]().eval()


def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(VOCABULARY, (3, 12, 1), generator=generator)
    targets = torch.randint(ANSWERS, (3,), generator=generator)
    return SimpleNamespace(inputs=inputs, lengths=torch.tensor([12, 5, 1]), targets=targets)


@pytest.mark.parametrize("name", ["BiLSTM", "learned", "relative", "ALiBi"])
def test_a_padded_sentence_gets_the_answer_it_gets_alone(name):
    model, given = made(name), batch()
    together = model(given.inputs, given.lengths)
    for b, length in enumerate(given.lengths):
        alone = model(given.inputs[b : b + 1, :length])
        torch.testing.assert_close(alone[0], together[b], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["learned", "relative", "ALiBi"])
def test_maps_and_the_mean_s_weights_are_shares_of_the_sentence_alone(name):
    model, given = made(name), batch()
    logits, maps, shares = model(given.inputs, given.lengths, need_weights=True)
    assert logits.shape == (3, 5) and maps.shape == (3, 2, 4, 12, 12) and shares.shape == (3, 12)
    assert (maps[1, ..., 5:] == 0).all() and (shares[1, 5:] == 0).all()
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(3))
    torch.testing.assert_close(logits, model(given.inputs, given.lengths), atol=1e-5, rtol=1e-5)  # the fused path


def test_the_loss_is_the_cross_entropy_and_right_is_the_likeliest_answer():
    model, given = made("relative"), batch()
    logits = model(given.inputs, given.lengths)
    for b in range(3):
        expected = -logits[b].log_softmax(dim=-1)[given.targets[b]]
        assert model.losses(given)[b].item() == pytest.approx(expected.item(), abs=1e-5)
    given.targets = logits.argmax(dim=-1)
    given.targets[2] = (given.targets[2] + 1) % 5
    assert model.right(given).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "options",
    [{}, {"mlp": 96, "fusion": models.GatedFusion}, {"fusion": partial(models.HeadGate, num_heads=4)}],
)
@pytest.mark.parametrize("vocabulary", [50, 400])
def test_bilstm_and_attention_match_within_three_per_cent(vocabulary, options):
    model = models.AttentionClassifier(vocabulary, 16, bias=models.RelativeBias(4), **options)
    lstm = models.BiLSTM.like(model)
    assert models.num_parameters(lstm) == pytest.approx(models.num_parameters(model), rel=0.03)


def test_alibi_costs_the_paper_s_slopes_for_every_step_on_both_sides():
    bias = models.ALiBi(8)(5)
    assert bias.shape == (8, 5, 5)
    for head in range(8):
        assert bias[head, 4, 1].item() == bias[head, 1, 4].item() == pytest.approx(-3 / 2 ** (head + 1))


def test_a_relative_bias_begins_with_heads_that_look_back_and_ahead_and_knows_every_distance():
    bias = models.RelativeBias(4)
    beginning = bias(40)  # beyond the reach of 16
    for head, (back, ahead) in enumerate([(1 / 2, 2), (2, 1 / 2), (1 / 4, 1), (1, 1 / 4)]):
        for distance in 1, 5, 16, 17, 30:
            assert beginning[head, 35, 35 - distance].item() == pytest.approx(-back * distance)
            assert beginning[head, 2, 2 + distance].item() == pytest.approx(-ahead * distance)
    with torch.no_grad():
        bias.table[2, 16 - 1] = 9.0  # the token before, for head 2
    changed = bias(40) != beginning
    assert torch.equal(changed[2], heads.offset(40, -1)) and not changed[[0, 1, 3]].any()
    one = models.RelativeBias(1)(5)
    assert torch.equal(one, one.mT)


def test_a_symmetric_bias_reads_a_sentence_and_its_mirror_image_alike_and_a_learned_one_need_not():
    inputs = batch().inputs
    for name, same in ("ALiBi", True), ("relative", False):
        model = made(name)
        assert torch.allclose(model(inputs), model(inputs.flip(1)), atol=1e-5) == same


def test_without_places_a_sentence_is_a_bag_of_words():
    model, inputs = attention(), batch().inputs
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(inputs), model(inputs[:, order]), atol=1e-5, rtol=1e-5)


def test_a_head_s_gate_scales_that_head_alone():
    fusion, concat = models.HeadGate(8, 2), torch.randn(2, 3, 8)
    with torch.no_grad():
        fusion.gate.weight.zero_()
        fusion.gate.bias.copy_(torch.tensor([50.0, -50.0]))  # head 0 open, head 1 shut
    left = torch.cat([concat[..., :4], torch.zeros(2, 3, 4)], dim=-1)
    torch.testing.assert_close(fusion(concat), fusion.project(left))


def test_norm_and_fusion_are_used_where_they_are_asked_for():
    kinds = [type(module) for module in attention(norm=nn.RMSNorm, fusion=models.GatedFusion).modules()]
    assert kinds.count(models.GatedFusion) == 2 and kinds.count(nn.RMSNorm) == 5 and nn.LayerNorm not in kinds


@pytest.mark.parametrize(
    "inputs, lengths, words",
    [
        (torch.zeros(1, 0, 1).long(), None, "empty sentence"),
        (torch.zeros(2, 3, 1).long(), torch.tensor([3, 0]), "empty sentence"),
        (torch.zeros(1, 5000, 1).long(), None, "5,000 tokens is too long.*2,048"),
        (torch.tensor([[[1], [50]]]), None, "token 50 is unknown.*0 to 49"),
        (torch.tensor([[[1], [-1]]]), None, "token -1 is unknown.*0 to 49"),
        (torch.zeros(2, 3, 1).long(), torch.tensor([3]), r"lengths have shape \(1,\); this model takes \(2\)"),
        (torch.zeros(2, 3, 1).long(), torch.tensor([3, 4]), "a sentence of 4 tokens in inputs of 3"),
        (torch.zeros(2, 3, 1).long(), [3, 3], r"lengths is the list \[3, 3\]; it must be a tensor \(2\)"),
        (torch.zeros(2, 3, 1).long(), torch.tensor([3.0, 3.0]), "lengths are torch.float..; this model takes whole"),
        (torch.zeros(4, 3).long(), None, r"\(4, 3\); this model takes \(batch, tokens, 1\)"),
    ],
)
@pytest.mark.parametrize("name", ["BiLSTM", "relative"])
def test_sentences_that_do_not_fit_are_named(name, inputs, lengths, words):
    with pytest.raises((ValueError, TypeError), match=words):
        made(name)(inputs, lengths)
