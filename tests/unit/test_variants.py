"""Every variant is `attention`, to float error: forward and backward, with masks, shared heads, any chunk and width."""

import pytest
import torch

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, measure, padding_mask, window_mask
from mha_lab.variants import LatentAttention, chunked_attention, windowed_attention


def close(ours, theirs, atol=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def projected(N=13, S=13, H=4, G=2, K=6):
    """query, key, value"""
    return seeded(2, H, N, K), seeded(2, G, S, K, seed=1), seeded(2, G, S, K, seed=2)


def gradients(output, inputs):
    return torch.autograd.grad((output * seeded(*output.shape, seed=9)).sum(), inputs)


# chunks -------------------------------------------------------------------------------------------------------------

MASKS = {
    "none": None,
    "causal": causal_mask(13),
    "padding": padding_mask([13, 5])[:, None],
    "a row for all": causal_mask(13)[7],
    "per head": seeded(2, 4, 13, 13, seed=5) > 0,
    "nothing allowed": torch.zeros(13, 13, dtype=torch.bool),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("chunks", [(1, 1), (4, 5), (13, 13), (256, 256), (5, 1), (1, 7)], ids=str)
def test_chunked_attention_is_attention_for_chunks_of_any_size(chunks, mask):
    inputs = projected()
    output = chunked_attention(*inputs, mask=mask, query_chunk=chunks[0], key_chunk=chunks[1])
    close(output, attention(*inputs, mask=mask)[0])


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_chunked_gradients_are_those_of_attention(mask):
    inputs = [x.requires_grad_() for x in projected()]
    expected = gradients(attention(*inputs, mask=mask)[0], inputs)
    for ours, theirs in zip(
        gradients(chunked_attention(*inputs, mask=mask, query_chunk=4, key_chunk=3), inputs), expected
    ):
        close(ours, theirs)


@pytest.mark.parametrize("N", [1, 4, 13])
@pytest.mark.parametrize("mask", [None, padding_mask([13, 9])[:, None]], ids=["alone", "beside padding"])
def test_chunked_causal_attention_is_the_causal_mask(N, mask):
    inputs, past = projected(N=N), causal_mask(N, 13)
    output = chunked_attention(*inputs, causal=True, mask=mask, query_chunk=3, key_chunk=4)
    close(output, attention(*inputs, mask=past if mask is None else past & mask)[0])


def test_chunks_survive_scores_that_would_overflow():
    query, key, value = (x.float() for x in projected())
    output = chunked_attention(query * 1e4, key, value, query_chunk=4, key_chunk=3)
    close(output, attention(query * 1e4, key, value)[0], atol=1e-5)


def test_chunks_are_as_exact_as_the_whole():
    inputs = [x.float() for x in projected(N=200, S=200)]
    exact = attention(*(x.double() for x in inputs))[0]
    whole, chunked = attention(*inputs)[0], chunked_attention(*inputs, query_chunk=32, key_chunk=16)
    assert (chunked - exact).abs().max() <= 2 * (whole - exact).abs().max()


def test_chunks_hold_a_tile_of_scores_and_not_all():
    inputs = [x.float() for x in projected(N=2048, S=2048, H=4, G=4, K=16)]
    with torch.no_grad():
        whole = measure.peak_memory(lambda: attention(*inputs))
        chunked = measure.peak_memory(lambda: chunked_attention(*inputs))
    assert whole >= 2 * 4 * 2048**2 * 4 > 10 * chunked


def test_chunks_refuse_what_attention_refuses():
    with pytest.raises(ValueError, match=r"mask has shape \(4, 4\)"):
        chunked_attention(*projected(), mask=causal_mask(4))
    with pytest.raises(ValueError, match="query_chunk=0 and key_chunk=4"):
        chunked_attention(*projected(), query_chunk=0, key_chunk=4)
    with pytest.raises(ValueError, match="14 causal queries need at least as many keys, not 13"):
        chunked_attention(*projected(N=14), causal=True)


# windows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("width", [1, 2, 5, 12, 13, 100])
@pytest.mark.parametrize("N", [1, 4, 13])
def test_windowed_attention_is_the_window_mask(N, width, causal):
    inputs, near = projected(N=N, S=N), window_mask(N, width)
    output = windowed_attention(*inputs, width=width, causal=causal)
    close(output, attention(*inputs, mask=near & causal_mask(N) if causal else near)[0])


@pytest.mark.parametrize("causal", [False, True])
def test_windowed_gradients_are_those_of_the_mask(causal):
    inputs, near = [x.requires_grad_() for x in projected()], window_mask(13, 4)
    expected = gradients(attention(*inputs, mask=near & causal_mask(13) if causal else near)[0], inputs)
    for ours, theirs in zip(gradients(windowed_attention(*inputs, width=4, causal=causal), inputs), expected):
        close(ours, theirs)


def test_a_window_costs_in_proportion_to_the_text():
    def peak(n):
        inputs = [x.float() for x in projected(N=n, S=n, H=2, G=2, K=8)]
        with torch.no_grad():
            return measure.peak_memory(lambda: windowed_attention(*inputs, width=32))

    assert 1.8 < peak(4096) / peak(2048) < 2.2


def test_a_window_slides_along_one_text():
    with pytest.raises(ValueError, match="4 queries and 13 keys"):
        windowed_attention(*projected(N=4), width=3)
    with pytest.raises(ValueError, match="a window of width 0 sees nothing"):
        windowed_attention(*projected(), width=0)


# latent attention ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_latent_attention_is_multi_head_attention_whose_keys_and_values_have_low_rank(causal):
    latent, mha = LatentAttention(24, 4, 5).double(), MultiHeadAttention(24, 4, bias=False).double()
    with torch.no_grad():
        mha.q_proj.weight.copy_(latent.q_proj.weight)
        mha.k_proj.weight.copy_(latent.k_up.weight @ latent.down.weight)
        mha.v_proj.weight.copy_(latent.v_up.weight @ latent.down.weight)
        mha.out_proj.weight.copy_(latent.out_proj.weight)
    assert torch.linalg.matrix_rank(mha.k_proj.weight) == 5
    x = seeded(2, 7, 24)
    for absorbed in False, True:
        close(latent(x, causal=causal, absorbed=absorbed), mha(x, causal=causal))


@pytest.mark.parametrize("absorbed", [False, True])
def test_decoding_from_latents_is_recomputation(absorbed):
    layer, x, cache = LatentAttention(24, 4, 5).double(), seeded(2, 7, 24), KVCache()
    outputs = [layer(chunk, causal=True, cache=cache, absorbed=absorbed) for chunk in x.split([3, 1, 1, 2], dim=1)]
    close(torch.cat(outputs, dim=1), layer(x, causal=True))
    assert cache.key.shape == (2, 1, 7, 5) and cache.value.numel() == 0


def test_both_forms_have_the_same_gradients():
    layer, x = LatentAttention(24, 4, 5).double(), seeded(2, 7, 24)
    parameters = list(layer.parameters())
    for ours, theirs in zip(gradients(layer(x, absorbed=True), parameters), gradients(layer(x), parameters)):
        close(ours, theirs)


def test_latent_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="d_model=24 cannot be split over num_heads=5: 24 / 5 leaves 4"):
        LatentAttention(24, 5, 8)
