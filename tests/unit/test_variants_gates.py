"""Gates and norms are steps around attention: equal to loops, still a sum over heads, and composed by inheritance."""

import pytest
import torch
from torch import nn

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask
from mha_lab.rotary import rotate
from mha_lab.variants import GatedAttention, HeadGatedAttention, QKNormAttention, SinkAttention


def close(ours, theirs, atol=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(kind, *sizes, **options):
    """A layer whose every parameter is random: zeros and ones would hide mistakes."""
    layer = kind(*(sizes or (24, 4, 2)), **options).double()
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=seed) / 3)
    return layer


class Everything(GatedAttention, QKNormAttention, SinkAttention):
    """A gate, norms and sinks in one layer."""


class SinksFirst(SinkAttention, HeadGatedAttention):
    """The other order, and the other gate."""


GATED = [GatedAttention, HeadGatedAttention]
ALL = [*GATED, QKNormAttention, SinkAttention, Everything, SinksFirst]


def naive_heads(layer, x):
    """(B, H, N, D): what each head of a causal gated layer adds to each token, one head and one token at a time."""
    (B, N, D), K = x.shape, layer.d_head
    query, key, value = layer.project(x, x)
    added = torch.zeros(B, layer.num_heads, N, D, dtype=x.dtype)
    for h in range(layer.num_heads):
        columns, g = slice(h * K, (h + 1) * K), h * layer.num_kv_heads // layer.num_heads
        head, _ = attention(query[:, h], key[:, g], value[:, g], mask=causal_mask(N))
        for n in range(N):
            logits = x[:, n] @ layer.gate_proj.weight.T
            own = logits[:, columns] if type(layer) is GatedAttention else logits[:, [h]]
            added[:, h, n] = (head[:, n] / (1 + (-own).exp())) @ layer.out_proj.weight[:, columns].T
    return added


@pytest.mark.parametrize("kind", GATED)
@pytest.mark.parametrize("d_head", [None, 8])
def test_a_gate_from_the_layers_input_multiplies_the_heads_before_w_o(kind, d_head):
    layer, x = made(kind, d_head=d_head), seeded(2, 5, 24)
    expected = naive_heads(layer, x).sum(dim=1) + layer.out_proj.bias
    close(layer(x, causal=True), expected)
    close(layer(x, causal=True, need_weights=True)[0], expected)


@pytest.mark.parametrize("kind", GATED)
def test_a_gated_output_is_still_a_sum_over_heads(kind):
    layer, x = made(kind, bias=False), seeded(2, 5, 24)
    query, key, value = layer.project(x, x)
    heads, _ = layer.attend(query, key, value)
    alone = [layer.combine(heads * (torch.arange(4) == h)[:, None, None], x) for h in range(4)]
    close(sum(alone), layer(x))
    # Not so the gate that is made of what the heads found (lesson 03's): it multiplies one head by a gate of all.
    gate = nn.Linear(24, 24, bias=False).double()
    fused = [layer.out_proj(c) * gate(c).sigmoid() for c in (torch.eye(24, dtype=torch.float64)[h] for h in (0, 6))]
    both = torch.eye(24, dtype=torch.float64)[[0, 6]].sum(dim=0)
    assert not torch.allclose(sum(fused), layer.out_proj(both) * gate(both).sigmoid())


def test_a_gate_has_the_parameters_it_says():
    plain = sum(p.numel() for p in MultiHeadAttention(24, 4, 2, d_head=8).parameters())
    added = {kind: sum(p.numel() for p in kind(24, 4, 2, d_head=8).parameters()) - plain for kind in ALL}
    assert added == {
        GatedAttention: 24 * 4 * 8,
        HeadGatedAttention: 24 * 4,
        QKNormAttention: 2 * 8,
        SinkAttention: 4,
        Everything: 24 * 4 * 8 + 2 * 8 + 4,
        SinksFirst: 24 * 4 + 4,
    }


def test_norms_bring_each_heads_queries_and_keys_to_one_length_before_the_turn():
    layer, x = made(QKNormAttention, rotary=rotate), seeded(2, 5, 24)
    query, key, value = MultiHeadAttention.project(layer, x, x)
    query, key = (
        rotate(t / (t.pow(2).mean(dim=-1, keepdim=True) + 1e-6).sqrt() * gain)
        for t, gain in ((query, layer.q_norm.weight), (key, layer.k_norm.weight))
    )
    heads, weights = attention(query, key, value, mask=causal_mask(5))
    output, ours = layer(x, causal=True, need_weights=True)
    close(ours, weights)
    close(output, layer.combine(heads, x))


def test_normed_scores_stay_small_however_large_the_weights():
    layer, x = QKNormAttention(24, 4).double(), seeded(2, 50, 24)
    with torch.no_grad():
        layer.q_proj.weight.mul_(1e4)
    query, key, _ = layer.project(x, x)
    assert (query @ key.mT / 6**0.5).abs().max() <= 6**0.5


@pytest.mark.parametrize("kind", [GatedAttention, HeadGatedAttention])
@pytest.mark.parametrize("shape", [(2, 4, 1, 6), (2, 4, 5, 6), (1, 4, 7, 6), (2, 2, 7, 6), (2, 4, 7, 1)], ids=str)
def test_gates_are_those_of_the_same_tokens(kind, shape):
    layer, x = made(kind), seeded(2, 7, 24)
    with pytest.raises(ValueError, match=r"of these tokens x they must have \(2, 4, 7, 6\)"):
        layer.combine(seeded(*shape), x)
    with pytest.raises(ValueError, match=r"x has shape \(2, 7, 23\); this layer takes"):
        layer.combine(seeded(2, 4, 7, 6), x[..., :-1])
    with pytest.raises(TypeError, match="heads is the list"):
        layer.combine([1.0], x)


@pytest.mark.parametrize("kind", ALL)
def test_both_paths_and_their_gradients_are_equal(kind):
    layer, x = made(kind, rotary=rotate, d_head=8), seeded(2, 7, 24).requires_grad_()
    fused, (explicit, _) = layer(x, causal=True), layer(x, causal=True, need_weights=True)
    close(fused, explicit)
    inputs = [x, *layer.parameters()]
    both = (torch.autograd.grad(output.pow(2).sum(), inputs) for output in (fused, explicit))
    for ours, theirs in zip(*both):
        assert theirs.abs().max() > 0 or theirs.shape == (16,)  # a key's bias is the same for all keys
        close(ours, theirs, atol=1e-11)


@pytest.mark.parametrize("kind", ALL)
def test_decoding_is_recomputation(kind):
    layer, x, cache = made(kind, rotary=rotate), seeded(2, 7, 24), KVCache()
    outputs = [layer(part, cache=cache) for part in x.split([3, 1, 1, 2], dim=1)]
    close(torch.cat(outputs, dim=1), layer(x, causal=True))


@pytest.mark.parametrize("kind", ALL)
def test_a_context_is_gated_by_the_token_that_asks(kind):
    layer, x, context = made(kind), seeded(2, 3, 24), seeded(2, 6, 24, seed=1)
    output, weights = layer(x, context, need_weights=True)
    assert weights.shape == (2, 4, 3, 6)
    close(layer(x, context), output)
    close(layer(x[:, 1:2], context), output[:, 1:2])


def test_a_class_that_inherits_several_is_their_steps_in_a_row():
    layer, x = made(Everything), seeded(2, 5, 24)
    query, key, value = QKNormAttention.project(layer, x, x)
    heads, weights = SinkAttention.attend(layer, query, key, value, mask=causal_mask(5), need_weights=True)
    output, ours = layer(x, causal=True, need_weights=True)
    close(ours, weights)
    gates = (x @ layer.gate_proj.weight.T).sigmoid().view(2, 5, 4, 6).transpose(1, 2)
    close(output, layer.out_proj((heads * gates).transpose(1, 2).reshape(2, 5, 24)))
    assert (weights.sum(dim=-1) < 1).all()


@pytest.mark.parametrize("kind", [*GATED, QKNormAttention, Everything, SinksFirst])
def test_a_layer_with_parts_that_pytorchs_has_not_is_not_made_from_it(kind):
    with pytest.raises(TypeError, match="an nn.MultiheadAttention does not have: MultiHeadAttention.from_torch keeps"):
        kind.from_torch(nn.MultiheadAttention(24, 4, batch_first=True, add_zero_attn=True))


@pytest.mark.parametrize("kind", ALL)
def test_layers_refuse_what_multi_head_attention_refuses(kind):
    with pytest.raises(ValueError, match="d_model=24 cannot be split over num_heads=5"):
        kind(24, 5)
    with pytest.raises(TypeError, match="num_heads is the float 4.0"):
        kind(24, 4.0)
    with pytest.raises(ValueError, match=r"x has shape \(5, 24\)"):
        kind(24, 4)(torch.zeros(5, 24))
