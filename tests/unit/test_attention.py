"""The oracle is PyTorch: nn.MultiheadAttention with copied weights, and F.scaled_dot_product_attention."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mha_lab import (
    MultiHeadAttention,
    attention,
    causal_mask,
    measure,
    merge_heads,
    padding_mask,
    split_heads,
    window_mask,
)
from mha_lab.attention import fused_attention

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
D_MODEL = 24
DIVISORS = [h for h in range(1, D_MODEL + 1) if D_MODEL % h == 0]


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[ours.dtype])


def seeded(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def torch_layer(num_heads, dtype=torch.float64, **options):
    """nn.MultiheadAttention whose every parameter, biases too, is random: zeros would hide mistakes."""
    layer = nn.MultiheadAttention(D_MODEL, num_heads, batch_first=True, dtype=dtype, **options)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=seed, dtype=dtype) / D_MODEL**0.5)
    return layer


# attention ----------------------------------------------------------------------------------------------------------


@st.composite
def attention_inputs(draw):
    """Query, key and value, heads shared or not, and a mask that broadcasts to the scores."""
    size = st.integers(1, 5)
    batch, G, sharing = draw(size), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    N, S, K, V = draw(size), draw(size), draw(size), draw(size)
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    seed = draw(st.integers(0, 1000))
    query = seeded(batch, G * sharing, N, K, seed=seed, dtype=dtype)
    key, value = (seeded(batch, G, S, width, seed=seed + i, dtype=dtype) for i, width in ((1, K), (2, V)))
    mask = None
    if draw(st.booleans()):
        whole = (batch, G * sharing, N, S)
        shape = [draw(st.sampled_from([1, n])) for n in whole][draw(st.integers(0, 2)) :]
        mask = seeded(*shape, seed=seed + 3) > draw(st.sampled_from([-1.0, 0.5]))
    return query, key, value, mask


@settings(deadline=None, max_examples=60)
@given(attention_inputs())
def test_attention_is_scaled_dot_product_attention(inputs):
    query, key, value, mask = inputs
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    close(attention(query, key, value, mask=mask)[0], expected)


@settings(deadline=None, max_examples=60)
@given(attention_inputs())
def test_weights_are_zero_where_masked_and_rows_sum_to_one_unless_nothing_is_allowed(inputs):
    query, key, value, mask = inputs
    weights = attention(query, key, value, mask=mask)[1]
    allowed = torch.ones_like(weights, dtype=torch.bool) if mask is None else mask.expand_as(weights)
    assert (weights[~allowed] == 0).all() and (weights >= 0).all()
    close(weights.sum(-1), allowed.any(-1).to(weights.dtype))


def test_leading_dimensions_are_optional():
    query, key, value = seeded(3, 4), seeded(5, 4, seed=1), seeded(5, 2, seed=2)
    output, weights = attention(query, key, value)
    assert output.shape == (3, 2) and weights.shape == (3, 5)
    close(output, F.scaled_dot_product_attention(query[None], key[None], value[None])[0])


def test_the_scale_is_one_over_the_root_of_d_head_unless_given():
    query, key, value = (seeded(1, 2, 4, 9, seed=s) for s in range(3))
    close(attention(query, key, value)[1], attention(query, key, value, scale=1 / 3)[1])
    close(attention(query, key, value, scale=0.7)[0], F.scaled_dot_product_attention(query, key, value, scale=0.7))


def test_shuffling_the_tokens_shuffles_the_outputs():
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 7, D_MODEL)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    close(layer(x[:, order]), layer(x)[:, order])


def test_without_gradients_the_weights_are_written_over_the_scores():
    query, key, value = (seeded(2, 3, 200, 4, seed=i) for i in range(3))
    wanted = [x.clone().requires_grad_() for x in (query, key, value)]
    for ours, theirs in zip(attention(query, key, value), attention(*wanted), strict=True):
        assert torch.equal(ours, theirs.detach())
    scores = 2 * 3 * 200 * 200 * 8
    assert scores < measure.peak_memory(lambda: attention(query, key, value)) < 1.1 * scores
    assert 2 * scores < measure.peak_memory(lambda: attention(*wanted))


# masks --------------------------------------------------------------------------------------------------------------


def test_causal_mask_lets_each_token_see_itself_and_the_past():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_causal_queries_sit_at_the_end_of_a_longer_past():
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]


def test_window_mask_sees_fewer_than_width_positions_away():
    near = window_mask(5, 2)
    assert near[2].tolist() == [False, True, True, True, False]
    assert (near & causal_mask(5)).sum(-1).tolist() == [1, 2, 2, 2, 2]
    assert window_mask(5, 5).all()


def test_padding_mask_sees_each_sequence_up_to_its_length():
    assert padding_mask([1, 3])[:, 0].tolist() == [[True, False, False], [True, True, True]]
    assert padding_mask([1, 3], num_keys=5).shape == (2, 1, 5)


def test_masks_join_with_and():
    joined = causal_mask(3) & padding_mask([2, 3])
    assert joined.shape == (2, 3, 3) and joined[0, 2].tolist() == [True, True, False]


# the layer against nn.MultiheadAttention -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_heads", DIVISORS)
def test_layer_is_nn_multihead_attention_for_every_head_count(num_heads, bias, dtype):
    theirs = torch_layer(num_heads, dtype, bias=bias)
    ours = MultiHeadAttention.from_torch(theirs)
    x, context = seeded(2, 5, D_MODEL, dtype=dtype), seeded(2, 7, D_MODEL, seed=1, dtype=dtype)
    for source in x, context:
        expected, expected_weights = theirs(x, source, source, average_attn_weights=False)
        output, weights = ours(x, None if source is x else source, need_weights=True)
        close(output, expected)
        close(weights, expected_weights)
        close(ours(x, None if source is x else source), expected)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_heads", DIVISORS)
def test_gradients_of_inputs_and_parameters_are_nn_multihead_attentions(num_heads, need_weights):
    theirs = torch_layer(num_heads)
    ours = MultiHeadAttention.from_torch(theirs)
    tokens = seeded(2, 5, D_MODEL), seeded(2, 7, D_MODEL, seed=1)
    probe = seeded(2, 5, D_MODEL, seed=2)
    gradients = []
    for layer in ours, theirs:
        x, context = (t.clone().requires_grad_() for t in tokens)
        if layer is ours:
            output = layer(x, context, need_weights=need_weights)
            output = output[0] if need_weights else output
        else:
            output = layer(x, context, context)[0]
        (output * probe).sum().backward()
        gradients.append((x.grad, context.grad))
    for mine, yours in zip(*gradients, strict=True):
        close(mine, yours)
    q, k, v, out = ours.q_proj, ours.k_proj, ours.v_proj, ours.out_proj
    close(torch.cat([p.weight.grad for p in (q, k, v)]), theirs.in_proj_weight.grad)
    close(torch.cat([p.bias.grad for p in (q, k, v)]), theirs.in_proj_bias.grad)
    close(out.weight.grad, theirs.out_proj.weight.grad)
    close(out.bias.grad, theirs.out_proj.bias.grad)


def random_mask(*shape):
    """A boolean mask in which every query may see something: nn.MultiheadAttention returns NaN otherwise."""
    mask = seeded(*shape, seed=9) > 0
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7), (2, 1, 7), (2, 4, 5, 7), (1, 4, 5, 7), (2, 1, 1, 7)], ids=str)
def test_masks_of_two_to_four_dimensions_are_nn_multihead_attentions(shape, need_weights):
    theirs = torch_layer(4)
    ours = MultiHeadAttention.from_torch(theirs)
    x, context, mask = seeded(2, 5, D_MODEL), seeded(2, 7, D_MODEL, seed=1), random_mask(*shape)
    output = ours(x, context, mask=mask, need_weights=need_weights)
    for_every_head = (mask[:, None] if mask.dim() == 3 else mask).expand(2, 4, 5, 7)
    blocked = ~for_every_head.reshape(8, 5, 7)  # theirs: True = blocked, batch and heads in one dimension
    expected, weights = theirs(x, context, context, attn_mask=blocked, average_attn_weights=False)
    if need_weights:
        close(output[1], weights)
    close(output[0] if need_weights else output, expected)


def test_a_score_bias_is_the_additive_mask_of_pytorch():
    query, key, value = seeded(2, 3, 5, 4), seeded(2, 3, 7, 4, seed=1), seeded(2, 3, 7, 4, seed=2)
    bias = seeded(3, 5, 7, seed=3)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    close(attention(query, key, value, score_bias=bias)[0], expected)


@pytest.mark.parametrize("causal", [False, True])
def test_a_score_bias_beside_masks_is_the_same_in_both_paths(causal):
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(2, 6, D_MODEL)
    bias, padding = seeded(4, 6, 6, seed=3), padding_mask([6, 4])
    for mask in None, padding, torch.zeros(6, 6, dtype=torch.bool):
        options = {"mask": mask, "score_bias": bias, "causal": causal}
        output, weights = layer(x, **options, need_weights=True)
        close(layer(x, **options), output)
        if mask is not None:
            assert (weights.masked_select(~mask[..., None, :, :].expand_as(weights)) == 0).all()


def test_a_score_bias_of_the_wrong_size_is_refused():
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(2, 6, D_MODEL)
    with pytest.raises(ValueError, match=r"score_bias has shape \(3, 6, 6\) and the scores \(2, 4, 6, 6\)"):
        layer(x, score_bias=torch.zeros(3, 6, 6))


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_is_the_causal_mask_alone_and_beside_another(need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4, 2).double(), seeded(2, 6, D_MODEL)
    padding = padding_mask([6, 4])

    def output(**options):
        result = layer(x, need_weights=need_weights, **options)
        return result[0] if need_weights else result

    close(output(causal=True), output(mask=causal_mask(6)))
    close(output(causal=True, mask=padding), output(mask=causal_mask(6) & padding))
    assert not torch.allclose(output(causal=True), output())


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_a_row_that_may_see_nothing_gives_zeros_and_finite_gradients(num_kv_heads, need_weights):
    layer = MultiHeadAttention(D_MODEL, 4, num_kv_heads).double()
    x = seeded(2, 5, D_MODEL).requires_grad_()
    mask = causal_mask(5)
    mask[3] = False
    with torch.autograd.detect_anomaly(check_nan=True):
        output = layer(x, mask=mask, need_weights=need_weights)
        if need_weights:
            output, weights = output
            assert (weights[:, :, 3] == 0).all()
        output.square().sum().backward()
    close(output[:, 3], layer.out_proj.bias.expand(2, -1))  # W^O of zeros
    assert all(p.grad.isfinite().all() for p in (x, *layer.parameters()))


def test_dropout_thins_the_weights_in_training_only():
    layer = MultiHeadAttention(D_MODEL, 4, dropout=0.5).double()
    x = seeded(1, 40, D_MODEL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = layer(x, need_weights=True)[1]
        fused = layer(x)
    kept = layer.eval()(x, need_weights=True)[1]
    assert 0.4 < (dropped == 0).double().mean() < 0.6
    close(dropped[dropped > 0], 2 * kept[dropped > 0])  # the surviving weights make up for the others
    assert not torch.allclose(fused, layer(x))


def test_from_torch_copies_weights_rather_than_sharing_them():
    theirs = torch_layer(4)
    ours, before = MultiHeadAttention.from_torch(theirs), copy.deepcopy(theirs)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.zero_()
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), before.parameters(), strict=True))


def test_from_torch_keeps_dtype_dropout_and_mode():
    ours = MultiHeadAttention.from_torch(torch_layer(4, torch.float32, dropout=0.1).eval())
    assert ours.q_proj.weight.dtype == torch.float32 and ours.dropout == 0.1 and not ours.training


@pytest.mark.parametrize("option", [{"kdim": 8}, {"vdim": 8}, {"add_bias_kv": True}, {"add_zero_attn": True}], ids=str)
def test_from_torch_refuses_what_this_layer_does_not_do(option):
    with pytest.raises(ValueError, match="without kdim, vdim, add_bias_kv and add_zero_attn"):
        MultiHeadAttention.from_torch(nn.MultiheadAttention(D_MODEL, 4, **option))


# a d_head of its own ------------------------------------------------------------------------------------------------


@st.composite
def layers_of_any_width(draw):
    """A layer whose heads have any width, tokens for it, and a mask of two to four dimensions or none."""
    size = st.integers(1, 6)
    G, sharing, d_model, d_head = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(size), draw(size)
    B, N, S, seed = draw(st.integers(1, 3)), draw(size), draw(size), draw(st.integers(0, 1000))
    layer = MultiHeadAttention(d_model, G * sharing, G, d_head=d_head, bias=draw(st.booleans())).double()
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=seed + i))
    x, context = seeded(B, N, d_model, seed=seed + 8), seeded(B, S, d_model, seed=seed + 9)
    mask = draw(st.sampled_from([None, (1, N, S), (B, 1, S), (B, N, S), (B, G * sharing, N, S)]))
    if mask is not None:
        mask = seeded(*mask, seed=seed + 7) > draw(st.sampled_from([-1.0, 0.5]))
    return layer, x, context, mask


def by_loops(layer, x, context, mask):
    """Head by head and query by query, each head's share through its own rows of W^O."""
    H, K, sharing = layer.num_heads, layer.d_head, layer.num_heads // layer.num_kv_heads
    B, N, _ = x.shape
    q, k, v = layer.q_proj(x), layer.k_proj(context), layer.v_proj(context)
    outputs = torch.zeros(x.shape, dtype=x.dtype)
    if layer.out_proj.bias is not None:
        outputs = outputs + layer.out_proj.bias
    for b in range(B):
        for h in range(H):
            mine, shared = slice(h * K, h * K + K), slice(h // sharing * K, h // sharing * K + K)
            for n in range(N):
                scores = k[b, :, shared] @ q[b, n, mine] / K**0.5
                if mask is not None:
                    seen = (mask[:, None] if mask.dim() == 3 else mask).expand(B, H, N, context.shape[1])[b, h, n]
                    if not seen.any():
                        continue
                    scores = scores.masked_fill(~seen, -torch.inf)
                outputs[b, n] = outputs[b, n] + layer.out_proj.weight[:, mine] @ (scores.softmax(0) @ v[b, :, shared])
    return outputs


@settings(deadline=None, max_examples=60)
@given(layers_of_any_width())
def test_a_layer_of_any_width_is_the_sum_of_its_heads_in_both_paths(drawn):
    layer, x, context, mask = drawn
    expected = by_loops(layer, x, context, mask)
    close(layer(x, context, mask=mask), expected)
    close(layer(x, context, mask=mask, need_weights=True)[0], expected)


@settings(deadline=None, max_examples=60)
@given(layers_of_any_width())
def test_a_layer_of_any_width_is_scaled_dot_product_attention_between_its_projections(drawn):
    layer, x, context, mask = drawn
    query, key, value = (
        p(tokens).unflatten(-1, (-1, layer.d_head)).transpose(1, 2)
        for p, tokens in ((layer.q_proj, x), (layer.k_proj, context), (layer.v_proj, context))
    )
    for_heads = mask[:, None] if mask is not None and mask.dim() == 3 else mask
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=for_heads, enable_gqa=True)
    close(layer(x, context, mask=mask), layer.out_proj(found.transpose(1, 2).flatten(2)))


def test_a_layer_of_qwen3_has_heads_wider_than_its_share():
    layer = MultiHeadAttention(1024, 16, 8, d_head=128, bias=False)  # Qwen3-0.6B
    assert sum(p.numel() for p in layer.parameters()) == 6_291_456
    assert layer.q_proj.weight.shape == (2048, 1024) and layer.out_proj.weight.shape == (1024, 2048)
    assert "d_head=128" in repr(layer) and "d_head" not in repr(MultiHeadAttention(64, 8))


# scores that hide keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [-torch.inf, torch.finfo(torch.float64).min])
def test_a_bias_that_hides_the_future_lets_no_weight_onto_padding(hidden):
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 5, D_MODEL).requires_grad_()
    future = torch.zeros(5, 5, dtype=torch.float64).masked_fill(~causal_mask(5), hidden)
    words = torch.tensor([[[False, False, True, True, True]]])  # left padding
    output, weights = layer(x, mask=words, score_bias=future, need_weights=True)
    fused = layer(x, mask=words, score_bias=future)
    close(fused, output)
    assert (weights[..., :2] == 0).all()
    for mine, theirs in zip(*(torch.autograd.grad(o[:, 2:].sum(), x) for o in (output, fused)), strict=True):
        close(mine, theirs)
    if hidden == -torch.inf:
        expected, causal_weights = layer(x, mask=words, causal=True, need_weights=True)
        close(output, expected)
        close(weights, causal_weights)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_a_row_that_its_bias_hides_gives_zeros_and_finite_gradients(num_kv_heads, need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4, num_kv_heads).double(), seeded(2, 5, D_MODEL).requires_grad_()
    bias = torch.zeros(5, 5, dtype=torch.float64)
    bias[0] = -torch.inf
    with torch.autograd.detect_anomaly(check_nan=True):
        output = layer(x, score_bias=bias, need_weights=need_weights)
        output = output[0] if need_weights else output
        output.square().sum().backward()
    close(output[:, 0], layer.out_proj.bias.expand(2, -1))
    assert all(p.grad.isfinite().all() for p in (x, *layer.parameters()))


@pytest.mark.parametrize("learned", ["query", "key", "value", "score_bias"])
@pytest.mark.parametrize("kind", ["mask", "score_bias", "both"])
def test_whatever_alone_is_learned_gets_its_gradient(learned, kind):
    inputs = {name: seeded(2, 3, 5, 4, seed=i) for i, name in enumerate(("query", "key", "value"))}
    mask = causal_mask(5).tril(-1)  # row 0 sees nothing
    inputs["score_bias"] = seeded(3, 5, 5, seed=5) if kind != "mask" else torch.zeros(5, 5, dtype=torch.float64)
    inputs[learned].requires_grad_()
    options = {"mask": mask} if kind != "score_bias" else {}
    bias = inputs.pop("score_bias") if kind != "mask" or learned == "score_bias" else None
    asked = bias if learned == "score_bias" else inputs[learned]
    output, weights = attention(*(inputs[n] for n in ("query", "key", "value")), score_bias=bias, **options)
    full = (
        bias if not options else (torch.zeros(5, 5) if bias is None else bias).masked_fill(~mask, -torch.inf).double()
    )
    expected = F.scaled_dot_product_attention(*(inputs[n] for n in ("query", "key", "value")), attn_mask=full)
    close(*(torch.autograd.grad((o * seeded(*o.shape, seed=9)).sum(), asked)[0] for o in (output, expected)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_distance_in_32_bits_is_not_rounded_to_16_before_it_meets_its_score(dtype):
    query, key, value = (seeded(1, 4, 512, 16, seed=s).to(dtype) for s in range(3))
    distances = torch.tensor([0.5, 0.25, 0.125, 0.0625])[:, None, None] * torch.arange(512.0)  # BLOOM's ALiBi
    exact = attention(query.double(), key.double(), value.double(), score_bias=distances)[0]
    for found in (
        attention(query, key, value, score_bias=distances)[0],
        fused_attention(query, key, value, score_bias=distances),
    ):
        torch.testing.assert_close(found.double(), exact, atol=0.01, rtol=0.01)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_what_could_be_learned_costs_nothing_where_nothing_is(context):
    layer, bias = MultiHeadAttention(64, 8), torch.nn.Parameter(torch.zeros(8, 256, 256))
    x, scores = seeded(1, 256, 64, dtype=torch.float32), 8 * 256 * 256 * 4
    with context():
        assert measure.peak_memory(lambda: layer(x, score_bias=bias, need_weights=True)) < 1.3 * scores
        assert measure.peak_memory(lambda: layer(x, score_bias=bias)) < 0.5 * scores


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4, 8])
def test_a_mask_of_many_queries_is_not_written_out_for_each_head_of_a_group(num_kv_heads):
    layer, x = MultiHeadAttention(64, 8, num_kv_heads), seeded(1, 256, 64, dtype=torch.float32)
    words, scores = padding_mask([200], num_keys=256), 8 * 256 * 256 * 4
    with torch.no_grad():
        assert measure.peak_memory(lambda: layer(x, mask=words, causal=True)) < 0.5 * scores


def test_batches_of_one_are_shared_by_queries_and_by_keys():
    one, many, shared = seeded(1, 4, 5, 6), seeded(3, 4, 5, 6, seed=1), seeded(3, 2, 7, 6, seed=2)
    mask = seeded(3, 1, 5, 7, seed=3) > 0
    close(attention(one, shared, shared, mask=mask)[0], attention(one.expand(3, 4, 5, 6), shared, shared, mask=mask)[0])
    close(attention(many, shared[:1], shared[:1])[0], attention(many, *[shared[:1].expand(3, 2, 7, 6)] * 2)[0])
    close(fused_attention(one, shared, shared), attention(one, shared, shared)[0])
    close(
        fused_attention(many, shared[:1], shared[:1], mask=mask), attention(many, shared[:1], shared[:1], mask=mask)[0]
    )


def test_nan_stays_nan_beside_a_bias():
    query, bias = seeded(1, 1, 2, 4), torch.zeros(2, 2, dtype=torch.float64)
    query[0, 0, 0] = torch.nan
    output, weights = attention(query, query[:, :, 1:].expand(1, 1, 2, 4), query, score_bias=bias)
    assert weights[0, 0, 0].isnan().all() and not weights[0, 0, 1].isnan().any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_scores_beyond_the_range_of_half_precision_are_those_of_the_fused_path(dtype):
    query, key, value = (
        200 * seeded(1, 2, 6, 64, seed=s) for s in range(3)
    )  # scores up to 10⁶; float16 ends at 65,504
    exact = attention(*(x.to(dtype).double() for x in (query, key, value)))
    for context in torch.autocast("cpu", enabled=False), torch.autocast("cpu", dtype=dtype):
        with context:
            output, weights = attention(*(x.to(dtype) for x in (query, key, value)))
        assert output.dtype == weights.dtype == dtype
        torch.testing.assert_close(output.double(), exact[0], atol=2, rtol=0.01)
        torch.testing.assert_close(weights.double(), exact[1], atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", ["mask", "score_bias"])
def test_no_mask_and_no_bias_costs_a_second_tensor_of_scores(kind):
    query, key, value = (seeded(2, 3, 200, 4, seed=i) for i in range(3))
    options, scores = {kind: causal_mask(200) if kind == "mask" else seeded(200, 200)}, 2 * 3 * 200 * 200 * 8
    assert scores < measure.peak_memory(lambda: attention(query, key, value, **options)) < 1.1 * scores


# sharing keys and values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_kv_heads", [1, 2, 3, 6])
def test_grouped_queries_are_scaled_dot_product_attention_with_enable_gqa(num_kv_heads):
    query = seeded(2, 6, 5, 4)
    key, value = seeded(2, num_kv_heads, 7, 4, seed=1), seeded(2, num_kv_heads, 7, 4, seed=2)
    expected = F.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    close(attention(query, key, value)[0], expected)


def test_gqa_with_all_kv_heads_is_mha():
    theirs = torch_layer(6)
    ours = MultiHeadAttention.from_torch(theirs)
    gqa = MultiHeadAttention(D_MODEL, 6, num_kv_heads=6).double()
    gqa.load_state_dict(ours.state_dict())
    x = seeded(2, 5, D_MODEL)
    close(gqa(x), theirs(x, x, x)[0])


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 3])
def test_sharing_is_mha_whose_kv_heads_are_repeated(num_kv_heads, need_weights):
    shared, full = MultiHeadAttention(D_MODEL, 6, num_kv_heads).double(), MultiHeadAttention(D_MODEL, 6).double()
    state = shared.state_dict()
    for name in "k_proj", "v_proj":
        for kind in "weight", "bias":
            heads = state[f"{name}.{kind}"].unflatten(0, (num_kv_heads, -1))
            state[f"{name}.{kind}"] = heads.repeat_interleave(6 // num_kv_heads, dim=0).flatten(0, 1)
    full.load_state_dict(state)
    x = seeded(2, 5, D_MODEL)
    results = [layer(x, causal=True, need_weights=need_weights) for layer in (shared, full)]
    if need_weights:
        (output, weights), (expected, expected_weights) = results
        close(weights, expected_weights)
        results = [output, expected]
    close(*results)


# grouped heads without copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7), (2, 4, 5, 7), (1, 1, 1, 7), (2, 1, 7), (1, 4, 5, 1)], ids=str)
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_folded_groups_with_any_mask_are_the_explicit_path(num_kv_heads, shape):
    layer, mask = MultiHeadAttention(D_MODEL, 4, num_kv_heads).double(), random_mask(*shape)
    x, context = seeded(2, 5, D_MODEL), seeded(2, 7, D_MODEL, seed=1)
    close(layer(x, context, mask=mask), layer(x, context, mask=mask, need_weights=True)[0])


# heads --------------------------------------------------------------------------------------------------------------


def test_head_i_takes_columns_i_k_to_i_plus_one_k_of_every_token():
    x = torch.arange(2 * 3 * 8).view(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    for i in range(4):
        assert torch.equal(heads[:, i], x[..., 2 * i : 2 * i + 2])


@pytest.mark.parametrize("num_heads", DIVISORS)
def test_merging_undoes_splitting(num_heads):
    x = seeded(2, 5, D_MODEL)
    assert torch.equal(merge_heads(split_heads(x, num_heads)), x)


@pytest.mark.parametrize("num_heads", DIVISORS)
def test_the_number_of_parameters_does_not_depend_on_the_number_of_heads(num_heads):
    layer = MultiHeadAttention(D_MODEL, num_heads)
    assert sum(p.numel() for p in layer.parameters()) == 4 * D_MODEL**2 + 4 * D_MODEL


# the door -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: MultiHeadAttention(512, 7),
            "cannot be split over num_heads=7: 512 / 7 leaves 1; divisors of 512: 1, 2, 4, 8, 16, 32, 64, 128, 256",
        ),
        (lambda: MultiHeadAttention(512, 0), "d_model=512 cannot be split over num_heads=0: there must be at least 1."),
        (lambda: MultiHeadAttention(64, 8, 3), "num_heads=8 cannot share num_kv_heads=3: 8 / 3 leaves 2"),
        (lambda: MultiHeadAttention(64, 8, dropout=1.5), "dropout=1.5 is not a probability below 1."),
        (
            lambda: MultiHeadAttention(8, 2)(torch.zeros(1, 3, 9)),
            "x has shape (1, 3, 9); this layer takes (batch, tokens, 8).",
        ),
        (
            lambda: MultiHeadAttention(8, 2)(torch.zeros(3, 8)),
            "x has shape (3, 8); this layer takes (batch, tokens, 8).",
        ),
        (
            lambda: MultiHeadAttention(8, 2)(torch.zeros(2, 3, 8), torch.zeros(1, 3, 8)),
            "x is a batch of 2 and context a batch of 1",
        ),
        (
            lambda: MultiHeadAttention(8, 2)(torch.zeros(1, 3, 8), torch.zeros(1, 4, 8), causal=True),
            "causal and cache order x against its own past: they do not go with a context.",
        ),
        (
            lambda: attention(torch.zeros(2, 4), torch.zeros(3, 5), torch.zeros(3, 5)),
            "query has d_head 4 and key 5",
        ),
        (lambda: attention(torch.zeros(2, 4), torch.zeros(3, 4), torch.zeros(5, 4)), "there are 3 keys and 5 values"),
        (
            lambda: attention(torch.zeros(6, 2, 4), torch.zeros(4, 3, 4), torch.zeros(4, 3, 4)),
            "6 query heads cannot share 4 key heads",
        ),
        (lambda: causal_mask(5, 3), "5 causal queries need at least as many keys, not 3"),
        (lambda: window_mask(5, 0), "a window of width 0 sees nothing"),
        (lambda: padding_mask([2, 5], num_keys=4), "a sequence of length 5 does not fit into num_keys=4."),
    ],
)
def test_bad_input_is_answered_with_the_numbers_and_the_rule(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_mask_of_the_wrong_size_or_kind_is_refused_in_both_paths(need_weights):
    layer, x = MultiHeadAttention(8, 2), torch.zeros(2, 3, 8)
    with pytest.raises(ValueError, match=r"mask has shape \(4, 4\) and the scores \(2, 2, 3, 3\)"):
        layer(x, mask=causal_mask(4), need_weights=need_weights)
    with pytest.raises(TypeError, match="mask has dtype torch.float32; it must be torch.bool, True = may attend"):
        layer(x, mask=torch.zeros(3, 3), need_weights=need_weights)
