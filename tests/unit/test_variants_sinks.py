"""A sink is one more key that all see and that has nothing to give; a streaming window keeps the first tokens."""

import copy

import pytest
import torch
from torch import nn

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, measure, padding_mask
from mha_lab.rotary import rotate
from mha_lab.variants import SinkAttention, StreamingCache, fused_sink_attention, sink_attention, streaming_mask


def close(ours, theirs, atol=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def projected(N=5, S=5, H=4, G=2, K=6):
    """query, key, value"""
    return seeded(2, H, N, K), seeded(2, G, S, K, seed=1), seeded(2, G, S, K, seed=2)


def gradients(output, inputs):
    return torch.autograd.grad((output * seeded(*output.shape, seed=9)).sum(), inputs)


def naive(query, key, value, sink, allowed=None, bias=None):
    """The definition, one query at a time: the softmax of its scores and its sink, whose own part is dropped."""
    B, H, N, K = query.shape
    S, shared = key.shape[-2], H // key.shape[1]
    sink = (sink[:, None, None] if sink.dim() == 1 else sink).expand(B, H, N, 1)
    allowed = torch.ones(B, H, N, S, dtype=torch.bool) if allowed is None else allowed.expand(B, H, N, S)
    bias = torch.zeros(B, H, N, S, dtype=query.dtype) if bias is None else bias.expand(B, H, N, S)
    weights = torch.zeros(B, H, N, S, dtype=query.dtype)
    for b, h, n in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(N)):
        scores = [key[b, h // shared, s] @ query[b, h, n] / K**0.5 + bias[b, h, n, s] for s in range(S)]
        parts = [score.exp() * allow for score, allow in zip(scores, allowed[b, h, n])]
        weights[b, h, n] = torch.stack(parts) / (sum(parts) + sink[b, h, n, 0].exp())
    return weights @ value.repeat_interleave(shared, dim=1), weights


SINK = seeded(4, seed=3)
HIDDEN = (
    seeded(2, 4, 5, 5, seed=6)
    .where(seeded(2, 4, 5, 5, seed=7) > 0, -torch.inf)
    .index_fill(2, torch.tensor(2), -torch.inf)
)
ROWS = {
    "all keys": {},
    "causal": {"mask": causal_mask(5)},
    "padding": {"mask": padding_mask([5, 2])[:, None]},
    "the same for all keys": {"mask": seeded(2, 1, 5, 1, seed=4) > 0},
    "one row of a mask": {"mask": seeded(5, seed=4) > 0},
    "nothing": {"mask": torch.zeros(5, 5, dtype=torch.bool)},
    "a bias": {"score_bias": seeded(4, 5, 5, seed=5)},
    "a bias of -inf, in a row of everything": {"score_bias": HIDDEN},
    "a bias and a mask": {"mask": causal_mask(5), "score_bias": HIDDEN},
    "one number added to all": {"score_bias": torch.tensor(0.5, dtype=torch.float64)},
}


@pytest.mark.parametrize(
    "sink", [SINK, seeded(2, 4, 5, 1, seed=3), SINK[:1, None, None], SINK[0]], ids=lambda s: str(s.shape)
)
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_sink_is_one_more_score_in_the_softmax_and_nothing_in_the_sum(rows, sink):
    inputs = projected()
    output, weights = sink_attention(*inputs, sink, **rows)
    expected = naive(*inputs, sink, rows.get("mask"), rows.get("score_bias"))
    close(output, expected[0])
    close(weights, expected[1])
    close(fused_sink_attention(*inputs, sink, **rows), expected[0])


def test_a_sink_is_a_gate_on_the_whole_row():
    query, key, value = projected(G=4)
    output, weights = attention(query, key, value, mask=causal_mask(5))
    scores = (query @ key.mT / 6**0.5).masked_fill(~causal_mask(5), -torch.inf)
    gate = torch.sigmoid(scores.logsumexp(dim=-1, keepdim=True) - SINK[:, None, None])
    for ours, theirs in zip(sink_attention(query, key, value, SINK, mask=causal_mask(5)), (output, weights)):
        close(ours, gate * theirs)


def test_a_row_that_sees_nothing_is_the_sinks():
    output, weights = sink_attention(*projected(), SINK, mask=causal_mask(5).index_fill(0, torch.tensor(3), False))
    assert (output[:, :, 3] == 0).all() and (weights[:, :, 3] == 0).all()
    assert ((0 < weights.sum(dim=-1)) & (weights.sum(dim=-1) < 1))[:, :, :3].all()


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_closed_sink_leaves_attention(rows):
    inputs, closed = projected(), torch.full((4,), -torch.inf)
    for ours, theirs in zip(sink_attention(*inputs, closed, **rows), attention(*inputs, **rows)):
        close(ours, theirs)
    close(fused_sink_attention(*inputs, closed, **rows), attention(*inputs, **rows)[0])


def test_a_sink_of_infinity_takes_all_and_nan_is_told_on_both_paths():
    inputs, all_of_it = projected(), torch.tensor([torch.inf, 0, 0, 0], dtype=torch.float64)
    output, weights = sink_attention(*inputs, all_of_it)
    assert (output[:, 0] == 0).all() and (weights[:, 0] == 0).all()
    close(output[:, 1:], sink_attention(*inputs, torch.zeros_like(all_of_it))[0][:, 1:])
    close(fused_sink_attention(*inputs, all_of_it), output)
    unknown = torch.tensor([torch.nan, 0, 0, torch.nan], dtype=torch.float64)
    layer, x = SinkAttention(24, 4).double(), seeded(2, 5, 24)
    layer.sink.data.copy_(unknown)
    for call in (
        lambda: sink_attention(*inputs, unknown),
        lambda: fused_sink_attention(*inputs, unknown),
        lambda: layer(x, causal=True),
        lambda: layer(x, need_weights=True),
    ):
        with pytest.raises(ValueError, match="2 of 4 logits of the sink are NaN"):
            call()


def test_the_fused_sink_has_the_gradients_of_the_explicit_one():
    inputs = [x.requires_grad_() for x in (*projected(), SINK.clone())]
    expected = gradients(sink_attention(*inputs, mask=causal_mask(5))[0], inputs)
    for options in {"mask": causal_mask(5)}, {"is_causal": True}:
        for ours, theirs in zip(gradients(fused_sink_attention(*inputs, **options), inputs), expected):
            close(ours, theirs)
    assert torch.autograd.gradcheck(lambda *x: sink_attention(*x, mask=causal_mask(5)), inputs)


def test_the_fused_sink_never_holds_the_scores():
    inputs = [seeded(1, 2, 2048, 16, seed=i).float() for i in range(3)]
    with torch.no_grad():
        peak = measure.peak_memory(lambda: fused_sink_attention(*inputs, SINK[:2], is_causal=True))
    assert 4 * peak < 2 * 2048**2 * 4


def test_scores_that_would_overflow_16_bits_are_computed_in_32():
    query, key, value = (x.half() for x in projected())
    output, weights = sink_attention(query * 300, key * 300, value, SINK)
    exact, _ = sink_attention(query.float() * 300, key.float() * 300, value.float(), SINK)
    assert output.dtype == weights.dtype == torch.float16
    close(output.float(), exact, atol=2e-3)


@pytest.mark.parametrize(
    "sink, error, sentence",
    [
        (seeded(3), ValueError, r"sink has shape \(3,\) and the queries \(2, 4, 5, 6\); it must be one logit a head"),
        (seeded(2, 4, 5, 5), ValueError, r"broadcastable to \(2, 4, 5, 1\), one for each query"),
        (torch.ones(4, dtype=torch.long), TypeError, "sink has dtype torch.int64; logits are floats"),
        ([0.0] * 4, TypeError, r"sink is the list \[0.0, 0.0, 0.0, 0.0\]; it must be a tensor"),
        (SINK.to("meta"), ValueError, "sink is on meta and the tokens on cpu"),
    ],
)
@pytest.mark.parametrize("attend", [sink_attention, fused_sink_attention])
def test_a_sink_that_does_not_fit_is_refused(attend, sink, error, sentence):
    with pytest.raises(error, match=sentence):
        attend(*projected(), sink)


# the layer ----------------------------------------------------------------------------------------------------------


def sink_layer(num_kv_heads=2, **options):
    layer = SinkAttention(24, 4, num_kv_heads, **options).double()
    with torch.no_grad():
        layer.sink.copy_(SINK)
    return layer


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"causal": True},
        {"mask": padding_mask([7, 3])},
        {"mask": padding_mask([7, 3]), "causal": True, "score_bias": seeded(4, 7, 7, seed=5)},
        {"mask": torch.zeros(7, 7, dtype=torch.bool)},
    ],
    ids=["", "causal", "padding", "all", "nothing"],
)
def test_the_layer_with_sinks_is_the_same_in_both_paths(num_kv_heads, options):
    layer, x = sink_layer(num_kv_heads, rotary=rotate, d_head=8), seeded(2, 7, 24)
    output, weights = layer(x, need_weights=True, **options)
    close(layer(x, **options), output)
    assert weights.shape == (2, 4, 7, 7) and (weights.sum(dim=-1) < 1).all()
    query, key, value = layer.project(x, x)
    mask = options.get("mask", torch.ones(7, 7, dtype=torch.bool))
    mask = (mask[:, None] if mask.dim() == 3 else mask) & (causal_mask(7) if options.get("causal") else True)
    heads, expected = naive(rotate(query), rotate(key), value, layer.sink.detach(), mask, options.get("score_bias"))
    close(weights, expected)
    close(output, layer.combine(heads, x))


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_decoding_with_sinks_is_recomputation(window, need_weights):
    layer, x, cache = sink_layer(rotary=rotate), seeded(2, 7, 24), KVCache(window=window)
    outputs = [layer(part, cache=cache, need_weights=need_weights) for part in x.split([3, 1, 1, 2], dim=1)]
    outputs = [output[0] if need_weights else output for output in outputs]
    seen = causal_mask(7).triu(-6 if window is None else 1 - window)
    close(torch.cat(outputs, dim=1), layer(x, mask=seen))


def test_a_sink_is_learned():
    layer, x = sink_layer(), seeded(2, 7, 24)
    fused, explicit = (gradients(o, [layer.sink])[0] for o in (layer(x), layer(x, need_weights=True)[0]))
    close(fused, explicit)
    assert (fused != 0).all()


def test_dropout_thins_the_tokens_weights_in_training_only():
    layer, x = sink_layer(dropout=0.5), seeded(2, 7, 24)
    assert not torch.equal(layer(x), layer(x))
    assert (layer(x, need_weights=True)[1] == 0).any()
    layer.eval()
    close(layer(x), layer(x, need_weights=True)[0])
    assert (layer(x, need_weights=True)[1] > 0).all()


def torch_layer(bias=True, **options):
    module = nn.MultiheadAttention(
        24, 4, bias=bias, batch_first=True, dtype=torch.float64, add_zero_attn=True, **options
    )
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=seed) / 5)
    return module


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("allowed", [None, causal_mask(7), seeded(7, 7) > 9], ids=["all", "causal", "nothing"])
def test_a_sink_of_0_is_nn_multihead_attention_with_add_zero_attn(allowed, bias):
    module, x = torch_layer(bias), seeded(2, 7, 24)
    layer = SinkAttention.from_torch(module)
    hidden = None if allowed is None else ~allowed
    expected, weights = module(x, x, x, attn_mask=hidden, average_attn_weights=False)
    output, ours = layer(x, mask=allowed, need_weights=True)
    close(output, expected)
    close(layer(x, mask=allowed), expected)
    close(ours, weights[..., :-1])
    close(1 - ours.sum(dim=-1), weights[..., -1])


def test_from_torch_keeps_what_the_module_is():
    module = torch_layer(dropout=0.2).float().eval()
    module.out_proj.weight.requires_grad_(False)
    layer = SinkAttention.from_torch(module)
    assert layer.sink.dtype == torch.float32 and not layer.sink.requires_grad and not layer.training
    assert layer.dropout == 0.2 and not layer.out_proj.weight.requires_grad and layer.q_proj.weight.requires_grad
    assert module.add_zero_attn
    with torch.no_grad():
        layer.q_proj.weight.zero_()
    assert module.in_proj_weight.all()


def test_from_torch_refuses_what_it_cannot_keep():
    with pytest.raises(ValueError, match=r"has no sink \(add_zero_attn=False\): MultiHeadAttention.from_torch keeps"):
        SinkAttention.from_torch(nn.MultiheadAttention(24, 4, batch_first=True))
    with pytest.raises(ValueError, match="without kdim, vdim, add_bias_kv"):
        SinkAttention.from_torch(torch_layer(add_bias_kv=True))
    with pytest.raises(TypeError, match="module is a Linear"):
        SinkAttention.from_torch(nn.Linear(2, 2))
    module = nn.utils.parametrizations.weight_norm(torch_layer(), "in_proj_weight")
    with pytest.raises(ValueError, match="parametrized weights"):
        SinkAttention.from_torch(module)
    with pytest.raises(ValueError, match=r"mha_lab.variants.SinkAttention.from_torch keeps it"):
        MultiHeadAttention.from_torch(torch_layer())


# a window that keeps the first tokens -------------------------------------------------------------------------------

SIZES = [(1, 0), (3, 0), (1, 1), (2, 3), (4, 2), (30, 2), (2, 30)]


@pytest.mark.parametrize("n", [0, 1, 2, 9])
@pytest.mark.parametrize("window, first", SIZES)
def test_a_streaming_mask_shows_the_last_tokens_and_the_first(window, first, n):
    mask = streaming_mask(n, window, first)
    assert mask.shape == (n, n)
    for q in range(n):
        for k in range(n):
            assert mask[q, k] == (k <= q and (q - k < window or k < first))


@pytest.mark.parametrize("chunks", [[9], [1] * 9, [3, 1, 1, 4], [1, 8], [5, 3, 1], [4, 0, 5]], ids=str)
@pytest.mark.parametrize("window, first", SIZES)
def test_decoding_with_a_streaming_cache_is_attention_under_the_streaming_mask(window, first, chunks):
    x = seeded(2, 9, 24)
    for layer in MultiHeadAttention(24, 4, 2, rotary=rotate).double(), sink_layer(rotary=rotate):
        expected, weights = layer(x, mask=streaming_mask(9, window, first), need_weights=True)
        for need_weights in False, True:
            cache = StreamingCache(window=window, first=first)
            found = [layer(part, cache=cache, need_weights=need_weights) for part in x.split(chunks, dim=1)]
            close(torch.cat([output[0] if need_weights else output for output in found], dim=1), expected)
        if chunks[-1] == 1:
            kept = [k for k in range(9) if k < first or 9 - k <= window]
            close(found[-1][1], weights[..., -1:, kept])


def test_a_streaming_cache_does_not_grow_with_the_text():
    cache = StreamingCache(window=4, first=2)
    for place in range(50):
        key, value = (torch.full((1, 1, 1, 3), place) for _ in range(2))
        cache.append(key.float(), value.float())
        assert len(cache) == min(place + 1, 6) and cache.seen == place + 1
    assert cache.key[0, 0, :, 0].tolist() == [0, 1, 46, 47, 48, 49]
    assert cache.key.untyped_storage().nbytes() == 6 * 3 * 4
    assert repr(cache) == "StreamingCache(6 of 50 tokens, window=4, first=2)"


def test_a_streaming_cache_is_unchanged_until_what_was_staged_is_committed():
    cache, new = StreamingCache(window=2, first=1), seeded(1, 1, 3, 4)
    cache.append(new, new)
    before = cache.key.clone()
    cache.stage(new, new)
    assert cache.seen == len(cache) == 3
    close(cache.key, before)
    new.zero_()  # what is held is a copy
    close(cache.key, before)
    layer = MultiHeadAttention(24, 4).double()
    cache = StreamingCache(window=2, first=1)
    layer(seeded(2, 3, 24), cache=cache)
    with pytest.raises(ValueError, match="mask has shape"):
        layer(seeded(2, 3, 24), cache=cache, mask=causal_mask(3))
    assert cache.seen == 3
    with pytest.raises(ValueError, match="another layer's 3 tokens"):
        MultiHeadAttention(24, 4).double()(seeded(2, 3, 24), cache=cache)


@torch.no_grad()
def test_a_streaming_cache_begins_again_and_is_copied_for_two_texts():
    layer, x, cache = MultiHeadAttention(24, 4).double(), seeded(2, 9, 24), StreamingCache(window=2, first=1)
    whole = layer(x, mask=streaming_mask(9, 2, 1))
    layer(x[:, :5], cache=cache)
    other = copy.copy(cache)
    layer(x[:, :3], cache=other)
    close(layer(x[:, 5:], cache=cache), whole[:, 5:])
    cache.reset()
    assert len(cache) == cache.seen == 0
    close(layer(x, cache=cache), whole)
    with pytest.raises(ValueError, match=r"Only reset\(\) is possible"):
        layer(x[:, :1], cache=cache)
        cache.truncate(5)


def test_gradients_flow_through_a_streaming_cache():
    layer, x, cache = (
        MultiHeadAttention(24, 4).double(),
        seeded(2, 9, 24).requires_grad_(),
        StreamingCache(window=3, first=2),
    )
    output = torch.cat([layer(part, cache=cache) for part in x.split([4, 1, 1, 3], dim=1)], dim=1)
    inputs = [x, *layer.parameters()]
    for ours, theirs in zip(gradients(output, inputs), gradients(layer(x, mask=streaming_mask(9, 3, 2)), inputs)):
        close(ours, theirs)


@pytest.mark.parametrize(
    "make, error, sentence",
    [
        (lambda: streaming_mask(4, 0, 1), ValueError, "a window of 0 tokens"),
        (lambda: streaming_mask(4, 2, -1), ValueError, "first=-1: it must be at least 0"),
        (lambda: streaming_mask(2.5, 2, 1), TypeError, "n is the float 2.5"),
        (lambda: streaming_mask(10**7, 2, 1), MemoryError, "This needs about"),
        (lambda: StreamingCache(window=0, first=1), ValueError, "a window of 0 tokens"),
        (lambda: StreamingCache(window=None, first=1), TypeError, "window is None"),
        (lambda: StreamingCache(window=2, first="1"), TypeError, "first is the str '1'"),
        (lambda: StreamingCache(window=2, first=1).append([1], [1]), TypeError, "key is the list"),
    ],
)
def test_a_streaming_window_that_cannot_be_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
