"""At the edges every variant is what it is in the middle: empty input, 16 bits, transforms, compilers, wrong types."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mha_lab import KVCache, attention, causal_mask, padding_mask, window_mask
from mha_lab.rotary import rotate
from mha_lab.variants import (
    GatedAttention,
    HeadGatedAttention,
    LatentAttention,
    QKNormAttention,
    SinkAttention,
    StreamingCache,
    chunked_attention,
    fused_sink_attention,
    sink_attention,
    windowed_attention,
)

HALVES = [torch.float16, torch.bfloat16]
pytestmark = [  # of PyTorch's own: on speed, and on functions that it calls itself
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight"),
]


def close(ours, theirs, atol=1e-5):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def projected(B=2, N=6, S=6, H=4, G=2, K=8):
    """query, key, value"""
    return seeded(B, H, N, K), seeded(B, G, S, K, seed=1), seeded(B, G, S, K, seed=2)


SINK = seeded(4, seed=3)


def sink(like):
    return SINK.to(like)


class GatedSinks(GatedAttention, QKNormAttention, SinkAttention):
    """All that is a subclass, in one layer."""


class Options(nn.Module):
    """A layer of one argument, its options chosen; its output alone."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options = layer, options

    def forward(self, x):
        output = self.layer(x, **self.options)
        return output[0] if isinstance(output, tuple) else output


class Function(nn.Module):
    """A function of query, key and value as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, query, key, value):
        return self.function(query, key, value)


FUNCTIONS = {
    "chunked": lambda q, k, v: chunked_attention(q, k, v, causal=True, query_chunk=4, key_chunk=4),
    "windowed": lambda q, k, v: windowed_attention(q, k, v, width=4, causal=True),
    "sink": lambda q, k, v: sink_attention(q, k, v, sink(q), mask=causal_mask(6, device=q.device))[0],
    "fused sink": lambda q, k, v: fused_sink_attention(q, k, v, sink(q), is_causal=True),
}
LAYERS = {
    "sinks": lambda: Options(SinkAttention(24, 4, 2, rotary=rotate), causal=True),
    "sinks, weights": lambda: Options(SinkAttention(24, 4, 2, rotary=rotate), causal=True, need_weights=True),
    "a gate": lambda: Options(GatedAttention(24, 4, 2, rotary=rotate)),
    "a gate a head": lambda: Options(HeadGatedAttention(24, 4, 2, rotary=rotate), causal=True),
    "norms": lambda: Options(QKNormAttention(24, 4, 2, rotary=rotate), causal=True),
    "all": lambda: Options(GatedSinks(24, 4, 2, rotary=rotate), causal=True),
    "latents": lambda: Options(LatentAttention(24, 4, 5, d_rotary=4), causal=True),
    "latents, absorbed": lambda: Options(LatentAttention(24, 4, 5, d_rotary=4), absorbed=True),
}
VARIANTS = [*FUNCTIONS, *LAYERS]


def made(name):
    """A module, and what it takes."""
    if name in FUNCTIONS:
        return Function(FUNCTIONS[name]), projected()
    torch.manual_seed(0)
    return LAYERS[name](), (seeded(2, 6, 24),)


# what PyTorch does with functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_can_be_mapped_over_a_further_dimension(name):
    module, given = made(name)
    found = torch.vmap(module)(*(torch.stack([x, x.flip(0)]) for x in given))
    close(found, torch.stack([module(*given), module(*given).flip(0)]))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variants_forward_derivative_is_its_backward_one(name):
    module, given = made(name)
    along = tuple(seeded(*x.shape, seed=9) for x in given)
    output, forward = torch.func.jvp(module, given, along)
    up = seeded(*output.shape, seed=8)
    _, backward = torch.func.vjp(module, *given)
    close((up * forward).sum(), sum((a * b).sum() for a, b in zip(along, backward(up))), atol=1e-3)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_compiles_as_one_graph(name):
    module, given = made(name)
    torch.compiler.reset()
    close(torch.compile(module, fullgraph=True, backend="eager")(*given), module(*given))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_can_be_exported(name):
    module, given = made(name)
    close(torch.export.export(module, given).module()(*given), module(*given))


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_knows_its_shape_without_numbers(name, dtype):
    module, given = made(name)
    output = copy.deepcopy(module).to("meta", dtype)(*(x.to("meta", dtype) for x in given))
    assert output.shape == module(*given).shape and output.is_meta and output.dtype == dtype


@pytest.mark.parametrize("name", LAYERS)
def test_a_parameter_that_alone_is_learned_gets_its_gradient(name):
    module, (x,) = made(name)
    parameters = dict(module.named_parameters())
    expected = dict(zip(parameters, torch.autograd.grad(module(x).pow(2).sum(), parameters.values())))
    module.requires_grad_(False)
    for learned, parameter in parameters.items():
        parameter.requires_grad_(True)
        close(torch.autograd.grad(module(x).pow(2).sum(), parameter)[0], expected[learned], atol=1e-4)
        parameter.requires_grad_(False)


# 16 bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_of_16_bits_is_that_of_32_to_its_precision(name, dtype):
    module, given = made(name)
    output = copy.deepcopy(module).to(dtype)(*(x.to(dtype) for x in given))
    assert output.dtype == dtype
    close(output.float(), module(*given), atol=0.05)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_keeps_its_meaning_under_autocast(name):
    module, given = made(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(*given)
    close(output.float(), module(*given), atol=0.05)


@pytest.mark.parametrize("name", ["chunked", "sink"])
def test_autocast_does_not_make_tiles_and_sinks_coarse(name):
    given = projected()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = FUNCTIONS[name](*given)
    close(output, FUNCTIONS[name](*given))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_closed_sink_leaves_attention_in_16_bits_too(dtype):
    given = [x.to(dtype) for x in projected(K=64)]
    closed = torch.full((4,), -torch.inf)
    expected = attention(*given)[0]
    close(sink_attention(*given, closed)[0], expected, atol=0.02)
    close(fused_sink_attention(*given, closed), expected, atol=0.02)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_scores_beyond_16_bits_survive_in_tiles_and_windows(dtype):
    query, key, value = (x.to(dtype) for x in projected())
    query, key = query * 300, key * 300  # scores of some 100,000 each; float16 ends at 65,504
    exact = query.float(), key.float(), value.float()
    assert (attention(*exact)[1] < 1).any() and (exact[0][:, ::2] @ exact[1].mT).abs().max() > 65_504 * 8**0.5
    output = chunked_attention(query, key, value, query_chunk=4, key_chunk=3)
    close(output.float(), attention(*exact)[0], atol=0.02)
    output = windowed_attention(query, key, value, width=3)
    close(output.float(), attention(*exact, mask=window_mask(6, 3))[0], atol=0.02)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_many_tiles_of_16_bits_are_as_exact_as_the_whole(dtype):
    given = [x.to(dtype) for x in projected(N=64, S=512)]
    exact = attention(*(x.double() for x in given))[0]
    whole, chunked = (
        f(*given).double() for f in (lambda *x: attention(*x)[0], lambda *x: chunked_attention(*x, key_chunk=8))
    )
    assert (chunked - exact).abs().max() <= 1.01 * (whole - exact).abs().max()


# nothing at all -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("B, N, S", [(0, 6, 6), (2, 0, 6), (2, 6, 0), (2, 0, 0), (0, 0, 0)])
def test_no_batch_no_queries_and_no_keys_are_what_they_are_in_attention(B, N, S, causal):
    given = projected(B, N, S)
    expected = attention(*given)[0]
    if N <= S or not causal:
        close(chunked_attention(*given, causal=causal, mask=torch.ones(N, S, dtype=torch.bool)), expected)
        assert fused_sink_attention(*given, sink(given[0])).shape == expected.shape
    if N == S:
        close(windowed_attention(*given, width=3, causal=causal), expected)
        assert fused_sink_attention(*given, sink(given[0]), is_causal=causal).shape == expected.shape
    output, weights = sink_attention(*given, sink(given[0]))
    assert output.shape == expected.shape and weights.shape == (B, 4, N, S) and not output.any()


@pytest.mark.parametrize("shape", [(0, 6, 24), (2, 0, 24), (2, 1, 24), (0, 0, 24)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_no_batch_and_no_tokens(name, shape):
    module, _ = made(name)
    x = torch.zeros(shape, requires_grad=True)
    output = module(x)
    assert output.shape == shape
    output.sum().backward()
    for cache in KVCache(), KVCache(window=2), StreamingCache(window=2, first=1):
        assert module.layer(x, cache=cache).shape == shape
        assert module.layer(x, cache=cache).shape == shape and cache.seen == 2 * shape[1]


def test_gradients_of_rows_that_see_nothing_are_finite():
    given = [x.requires_grad_() for x in projected()]
    hidden = causal_mask(6).index_fill(0, torch.tensor([0, 3]), False)
    for output in (
        chunked_attention(*given, mask=hidden, query_chunk=4, key_chunk=4),
        sink_attention(*given, sink(given[0]), mask=hidden)[0],
        fused_sink_attention(*given, sink(given[0]), mask=hidden),
    ):
        assert (output[:, :, [0, 3]] == 0).all()
        assert all(g.isfinite().all() for g in torch.autograd.grad(output.sum(), given))


@pytest.mark.parametrize(
    "mask",
    [
        padding_mask([6, 2])[:, None],
        padding_mask([6, 0])[:, None],
        seeded(2, 4, 6, 1) > 0,
        seeded(6) > 0,
        torch.tensor(True),
        torch.tensor(False),
    ],
    ids=["(B, 1, 1, S)", "a sequence of nothing", "(B, H, N, 1)", "(S,)", "all", "none"],
)
@pytest.mark.parametrize("chunks", [(1, 1), (4, 4), (6, 2), (9, 9)], ids=str)
def test_tiles_take_every_mask_that_attention_takes(mask, chunks):
    given = projected()
    output = chunked_attention(*given, mask=mask, query_chunk=chunks[0], key_chunk=chunks[1])
    close(output, attention(*given, mask=mask.expand(6, 6) if mask.dim() < 2 else mask)[0])


# what cannot be -----------------------------------------------------------------------------------------------------

q, k, v = projected()


@pytest.mark.parametrize(
    "make, error, sentence",
    [
        (lambda: chunked_attention([[1.0]], k, v), TypeError, r"query is the list \[\[1.0\]\]; it must be a tensor"),
        (lambda: chunked_attention(q, k.numpy(), v), TypeError, r"key is a ndarray of shape \(2, 2, 6, 8\)"),
        (
            lambda: chunked_attention(q, k, v, causal="no"),
            TypeError,
            "causal is the str 'no'; it must be True or False",
        ),
        (lambda: chunked_attention(q, k, v, query_chunk=2.5), TypeError, "query_chunk is the float 2.5"),
        (lambda: chunked_attention(q, k, v, key_chunk="4"), TypeError, "key_chunk is the str '4'"),
        (lambda: chunked_attention(q, k, v, key_chunk=-1), ValueError, "query_chunk=256 and key_chunk=-1"),
        (lambda: chunked_attention(q, k, v, scale=np.nan), ValueError, "scale=nan is not a finite number"),
        (lambda: chunked_attention(q, k, v, mask=torch.ones(6, 6)), TypeError, "mask has dtype torch.float32"),
        (lambda: chunked_attention(q.long(), k, v), ValueError, "query is torch.int64"),
        (lambda: chunked_attention(q[0, 0, 0], k, v), ValueError, r"query is torch.float32 of shape \(8,\)"),
        (lambda: windowed_attention([1.0], k, v, width=3), TypeError, r"query is the list \[1.0\]"),
        (lambda: windowed_attention(q[0], k[0], v[0], width=3), ValueError, r"query has shape \(4, 6, 8\); it must be"),
        (
            lambda: windowed_attention(q, k, v, width=2.5),
            TypeError,
            "width is the float 2.5; it must be a whole number",
        ),
        (lambda: windowed_attention(q, k, v, width=-1), ValueError, "a window of width -1 sees nothing"),
        (lambda: windowed_attention(q, k, v, width=3, causal=1), TypeError, "causal is the int 1"),
        (lambda: windowed_attention(q, k[:, :, :4], v, width=3), ValueError, "there are 4 keys and 6 values"),
        (lambda: windowed_attention(q[:, :3], k, v, width=3), ValueError, "3 query heads cannot share 2 key heads"),
        (lambda: sink_attention(q, k, v, sink(q), dropout=1.5), ValueError, "dropout=1.5 is not a probability below 1"),
        (lambda: sink_attention(q, k, v, sink(q), scale="1"), ValueError, "scale='1' is not a finite number"),
        (lambda: sink_attention(q, k, v, sink(q), mask=causal_mask(4)), ValueError, r"mask has shape \(4, 4\)"),
        (
            lambda: fused_sink_attention(q[0], k[0], v[0], sink(q)),
            ValueError,
            r"query has shape \(4, 6, 8\); the fused",
        ),
        (lambda: fused_sink_attention(q, k, v, sink(q), mask=causal_mask(6).float()), TypeError, "mask has dtype"),
    ],
)
def test_what_is_refused_is_refused_in_one_sentence(make, error, sentence):
    with pytest.raises(error, match=sentence) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_sizes_are_estimated_before_they_are_allocated():
    long = torch.zeros(1).expand(1, 1, 10**7, 1)  # four bytes
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        sink_attention(long, long, long, torch.zeros(1))
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        windowed_attention(long, long, long, width=10**6)
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        StreamingCache(window=10**7, first=1).mask(10**7)
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        GatedAttention(10**4, 1, d_head=10**9)
