"""Decoding with a cache gives what computing everything again gives."""

import pytest
import torch

from mha_lab import KVCache, MultiHeadAttention, causal_mask, window_mask

D_MODEL = 24


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [5, 1, 3], [9]], ids=str)
def test_cached_decoding_is_recomputation(chunks, num_kv_heads, need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4, num_kv_heads).double(), seeded(2, 9, D_MODEL)
    cache, outputs = KVCache(), []
    for chunk in x.split(chunks, dim=1):
        output = layer(chunk, causal=True, cache=cache, need_weights=need_weights)
        outputs.append(output[0] if need_weights else output)
    close(torch.cat(outputs, dim=1), layer(x, causal=True))
    assert len(cache) == 9


def test_a_new_token_sees_the_whole_cache():
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 6, D_MODEL)
    cache = KVCache()
    layer(x[:, :5], causal=True, cache=cache)
    _, weights = layer(x[:, 5:], causal=True, cache=cache, need_weights=True)
    assert weights.shape == (1, 4, 1, 6) and (weights > 0).all()


def test_a_cache_refuses_another_batch():
    layer, cache = MultiHeadAttention(D_MODEL, 4), KVCache()
    layer(torch.zeros(2, 1, D_MODEL), cache=cache)
    with pytest.raises(ValueError, match=r"\(2, 4\) and was given \(3, 4\)"):
        layer(torch.zeros(3, 1, D_MODEL), cache=cache)


def test_a_cache_with_room_never_moves_what_it_holds():
    cache = KVCache(capacity=8)
    key, _ = cache.append(*seeded(2, 1, 2, 3, 4))
    for _ in range(5):
        grown, _ = cache.append(*seeded(2, 1, 2, 1, 4))
    assert grown.data_ptr() == key.data_ptr() and grown.shape == (1, 2, 8, 4)
    assert cache.append(*seeded(2, 1, 2, 1, 4))[0].data_ptr() != key.data_ptr()


def test_a_growing_cache_moves_seldom():
    cache, places = KVCache(), set()
    for n in range(1000):
        key, value = cache.append(*seeded(2, 1, 1, 1, 2, seed=n))
        places.add(key.data_ptr())
    assert len(places) < 20
    expected = torch.cat([seeded(2, 1, 1, 1, 2, seed=n) for n in range(1000)], dim=-2)
    assert torch.equal(torch.stack([key, value]), expected)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [1, 4])
@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [5, 1, 3]], ids=str)
@pytest.mark.parametrize("window", [1, 3, 9])
def test_a_cache_with_a_window_is_the_causal_window_mask(window, chunks, num_kv_heads, need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4, num_kv_heads).double(), seeded(2, 9, D_MODEL)
    cache, outputs = KVCache(window=window), []
    for chunk in x.split(chunks, dim=1):
        output = layer(chunk, causal=True, cache=cache, need_weights=need_weights)
        outputs.append(output[0] if need_weights else output)
    close(torch.cat(outputs, dim=1), layer(x, mask=window_mask(9, window) & causal_mask(9)))


def test_a_cache_with_a_window_does_not_grow_with_the_text():
    cache, rooms = KVCache(window=16), []
    for _ in range(500):
        key, _ = cache.append(*seeded(2, 1, 1, 1, 2))
        rooms.append(key.untyped_storage().nbytes())
    assert len(cache) == 16 and cache.seen == 500
    assert max(rooms) <= 3 * 16 * 2 * 8  # room for 48 tokens of 2 doubles


def test_a_cut_cache_goes_on_from_the_cut_and_a_reset_one_from_the_start():
    layer, x, draft = MultiHeadAttention(D_MODEL, 4).double(), seeded(2, 6, D_MODEL), seeded(2, 3, D_MODEL, seed=1)
    cache = KVCache()
    layer(x[:, :4], causal=True, cache=cache)
    layer(draft, causal=True, cache=cache)
    cache.truncate(4)
    close(layer(x[:, 4:], causal=True, cache=cache), layer(x, causal=True)[:, 4:])
    cache.reset()
    assert len(cache) == cache.seen == 0
    close(layer(x, causal=True, cache=cache), layer(x, causal=True))


def test_a_cache_cannot_be_cut_where_nothing_is():
    cache = KVCache(window=2)
    for _ in range(4):
        cache.append(*seeded(2, 1, 1, 1, 2))
    with pytest.raises(ValueError, match="the cache has seen 4 tokens and cannot be cut to 5"):
        cache.truncate(5)
    with pytest.raises(ValueError, match="of 4 tokens the window of 2 has kept 2: what stood before token 3 is gone"):
        cache.truncate(3)
    with pytest.raises(ValueError, match="a window of 0 tokens remembers nothing"):
        KVCache(window=0)
