"""Decoding with a cache gives what computing everything again gives."""

import copy
import math
import pickle

import pytest
import torch

from mha_lab import KVCache, MultiHeadAttention, causal_mask, padding_mask, window_mask

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


# what a cache promises ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("window", [None, 1, 3, 99])
def test_a_cache_is_causal_without_being_told(window, need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4, 2).double(), seeded(2, 9, D_MODEL)
    cache, seen = KVCache(window=window), []
    for chunk in x.split([5, 1, 3], dim=1):
        output = layer(chunk, cache=cache, need_weights=need_weights)
        seen.append(output[0] if need_weights else output)
    mask = causal_mask(9) if window is None else window_mask(9, window) & causal_mask(9)
    close(torch.cat(seen, dim=1), layer(x, mask=mask))


def test_a_mask_beside_a_cache_speaks_of_the_cached_keys_too():
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(2, 6, D_MODEL)
    words, cache = padding_mask([6, 6]), KVCache()
    words[0, 0, :2] = False  # left padding
    parts = [layer(x[:, :4], cache=cache, mask=words[..., :4]), layer(x[:, 4:], cache=cache, mask=words)]
    close(torch.cat(parts, dim=1), layer(x, causal=True, mask=words))
    with pytest.raises(ValueError, match=r"mask has shape \(2, 1, 2\).*S counts the 6 keys in the cache too"):
        layer(x[:, :2], cache=cache, mask=words[..., :2])


class Interrupted(BaseException):
    pass


def stop(*_):
    raise Interrupted


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("held", [3, 5])
def test_after_any_refusal_or_interrupt_the_cache_is_as_it_was(held, window, need_weights):
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(2, 8, D_MODEL)
    mask = causal_mask(8) if window is None else window_mask(8, window) & causal_mask(8)
    expected, new, cache = layer(x, mask=mask)[:, held:], x[:, held:], KVCache(window=window)
    layer(x[:, :held], cache=cache)
    before = len(cache), cache.seen, cache.key.clone(), cache.value.clone()
    other = MultiHeadAttention(D_MODEL, 4).double()
    for call in (
        lambda: layer(new, cache=cache, mask=torch.ones(3, 3, dtype=torch.bool), need_weights=need_weights),
        lambda: layer(new, cache=cache, mask=torch.zeros(8, 8), need_weights=need_weights),
        lambda: layer(new, cache=cache, score_bias=torch.zeros(2, 2), need_weights=need_weights),
        lambda: layer(new[:1], cache=cache, need_weights=need_weights),
        lambda: layer(new.float(), cache=cache, need_weights=need_weights),
        lambda: other(new, cache=cache, need_weights=need_weights),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()
    for where in layer.k_proj, layer.v_proj, layer.out_proj:
        hook = where.register_forward_pre_hook(stop)
        with pytest.raises(Interrupted):
            layer(new, cache=cache, need_weights=need_weights)
        hook.remove()
    assert before[:2] == (len(cache), cache.seen)
    assert torch.equal(before[2], cache.key) and torch.equal(before[3], cache.value)
    output = layer(new, cache=cache, need_weights=need_weights)
    close(output[0] if need_weights else output, expected)


def test_a_cache_serves_one_layer_and_one_batch():
    layers, x = [MultiHeadAttention(D_MODEL, 4).double() for _ in range(2)], seeded(2, 6, D_MODEL)
    cache = KVCache()
    layers[0](x, cache=cache)
    with pytest.raises(ValueError, match="the cache holds another layer's 6 tokens: use one cache for each layer"):
        layers[1](x, cache=cache)
    with pytest.raises(ValueError, match=r"holds \(batch, kv heads\) \(2, 4\) and was given \(1, 4\): use one cache"):
        layers[0](x[:1], cache=cache)


WIDE = torch.zeros(2, 1, 3, 4)
MISFITS = {
    "two keys and one value": ((WIDE, WIDE[:, :, :1]), ValueError, r"key has shape .* and value"),
    "one number for four": ((WIDE[..., :1], WIDE), ValueError, "keys of 4 numbers and was given 1"),
    "values of another width": ((WIDE, WIDE[..., :1]), ValueError, "values of 4 numbers and was given 1"),
    "another precision": ((WIDE.double(), WIDE.double()), ValueError, "torch.float32 .* torch.float64"),
    "whole numbers": ((WIDE.long(), WIDE.long()), TypeError, "they must be floats"),
    "another device": ((WIDE.to("meta"), WIDE.to("meta")), ValueError, "on cpu and was given torch.float32 on meta"),
    "two precisions": ((WIDE, WIDE.double()), ValueError, "they must be equal"),
    "three dimensions": ((WIDE[0], WIDE[0]), ValueError, r"the cache takes \(B, G, N, K\)"),
    "lists": (([1], [2]), TypeError, "key is the list"),
}


@pytest.mark.parametrize("both, kind, words", MISFITS.values(), ids=MISFITS)
def test_keys_and_values_of_another_kind_are_refused_and_change_nothing(both, kind, words):
    cache = KVCache(capacity=20)
    cache.append(WIDE, WIDE)
    with pytest.raises(kind, match=words):
        cache.append(*both)
    assert len(cache) == cache.seen == 3


@pytest.mark.parametrize(
    "options, kind, words",
    [
        ({"capacity": -5}, ValueError, "capacity=-5: it must be at least 0"),
        ({"capacity": 2.5}, TypeError, "capacity is the float 2.5; it must be a whole number"),
        ({"window": math.nan}, TypeError, "window is the float nan"),
        ({"window": math.inf}, TypeError, "window is the float inf"),
    ],
)
def test_a_cache_of_no_size_is_refused(options, kind, words):
    with pytest.raises(kind, match=words):
        KVCache(**options)


def test_room_is_asked_for_before_it_is_taken():
    with pytest.raises(MemoryError, match="TiB of memory"):
        KVCache(capacity=10**12).append(WIDE, WIDE)


def test_a_cut_is_at_a_whole_token_and_may_be_none():
    cache = KVCache(window=2)
    for _ in range(4):
        cache.append(WIDE[:, :, :1], WIDE[:, :, :1])
    with pytest.raises(TypeError, match="length is the float 1.5"):
        cache.truncate(1.5)
    cache.truncate(4)  # nothing is cut
    assert len(cache) == 2 and cache.seen == 4


def test_a_cache_is_there_while_it_is_empty_and_shows_what_it_holds():
    cache = KVCache(window=5)
    assert cache and len(cache) == 0 and repr(cache) == "KVCache(empty, window=5)"
    cache.append(WIDE, WIDE[..., :2])
    assert repr(cache) == "KVCache(3 tokens seen, key (2, 1, 3, 4), value (2, 1, 3, 2), window=5)"


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_two_texts_go_on_from_one_past(duplicate, gradients):
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 6, D_MODEL)
    first = KVCache(capacity=20)
    with torch.set_grad_enabled(gradients):
        layer(x[:, :4], cache=first)
        second = duplicate(first)
    layer(-x[:, 4:], cache=second)
    close(layer(x[:, 4:], cache=first), layer(x, causal=True)[:, 4:])


def test_leaving_inference_mode_ends_in_a_sentence():
    layer, x, cache = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 6, D_MODEL), KVCache()
    with torch.inference_mode():
        layer(x, cache=cache)
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"filled under torch.inference_mode\(\).*no_grad\(\)"):
        layer(x, cache=cache)


@pytest.mark.parametrize("window", [None, 3])
def test_gradients_go_through_a_cache(window):
    layer, x, cache = (
        MultiHeadAttention(D_MODEL, 4).double(),
        seeded(2, 7, D_MODEL),
        KVCache(capacity=20, window=window),
    )
    mask = causal_mask(7) if window is None else window_mask(7, window) & causal_mask(7)
    gradients = []
    for run in (
        lambda x: torch.cat([layer(part, cache=cache) for part in x.split([3, 1, 1, 2], dim=1)], dim=1),
        lambda x: layer(x, mask=mask),
    ):
        asked = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(run(asked).square().sum(), [asked, *layer.parameters()]))
    for ours, theirs in zip(*gradients, strict=True):
        close(ours, theirs)


def test_what_gradients_may_ask_for_is_not_written_over():
    layer, x = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 6, D_MODEL)
    for frozen in layer.k_proj, layer.v_proj:  # as where queries alone are adapted
        frozen.requires_grad_(False)
    cache = KVCache(capacity=16)
    decoded = torch.cat([layer(token, cache=cache) for token in x.split(1, dim=1)], dim=1)
    gradients = [
        torch.autograd.grad(output.square().sum(), layer.q_proj.weight)[0]
        for output in (decoded, layer(x, causal=True))
    ]
    close(*gradients)


def test_what_gradients_asked_for_stays_after_a_cut():
    layer, x, cache = MultiHeadAttention(D_MODEL, 4).double(), seeded(1, 6, D_MODEL), KVCache(capacity=16)
    loss = layer(x, cache=cache).square().sum()
    cache.truncate(2)
    with torch.no_grad():
        layer(-x[:, 2:4], cache=cache)
    expected = torch.autograd.grad(layer(x, causal=True).square().sum(), layer.k_proj.weight)[0]
    close(torch.autograd.grad(loss, layer.k_proj.weight)[0], expected)


def test_what_was_cut_does_not_come_back():
    cache = KVCache()
    cache.append(WIDE, WIDE)
    cache.truncate(1)
    cache.commit()
    assert len(cache) == cache.seen == 1


def test_a_reset_cache_may_serve_another_layer():
    cache, x = KVCache(), seeded(2, 6, D_MODEL)
    for layer in MultiHeadAttention(D_MODEL, 4).double(), MultiHeadAttention(D_MODEL, 4).double():
        close(layer(x, cache=cache), layer(x, causal=True))
        cache.reset()


@pytest.mark.parametrize("new", [2.5, None, "2", -1, True])
def test_a_mask_is_for_a_whole_number_of_tokens(new):
    for ask in KVCache().mask, KVCache().reach:
        with pytest.raises((TypeError, ValueError), match="new"):
            ask(new)
