"""Latent attention with its rotary part: both forms are the naive one, from a cache too; this part alone stays out."""

import pytest
import torch

from mha_lab import KVCache, causal_mask
from mha_lab.rotary import rotate
from mha_lab.variants import LatentAttention, StreamingCache, streaming_mask


def close(ours, theirs, atol=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(output, inputs):
    return torch.autograd.grad((output * seeded(*output.shape, seed=9)).sum(), inputs)


def turned(x, start=0):
    """Another layout and base than the default."""
    return rotate(x, start, base=100.0, adjacent=True)


SHAPES = [{}, {"d_rotary": 4}, {"d_head": 3, "d_value": 7, "d_rotary": 6}, {"d_rotary": 4, "rotary": turned}]


def made(**options):
    return LatentAttention(24, 4, 5, **options).double()


def naive(layer, x, allowed, rotary=rotate):
    """Section 2.1, one head and one pair of tokens at a time: no matrix is applied to a latent but W^UK and W^UV."""
    (B, N, _), K, R, V = x.shape, layer.d_head, layer.d_rotary, layer.d_value
    latent = x @ layer.down.weight.T
    asks = (x @ layer.q_proj.weight.T).view(B, N, layer.num_heads, K + R)
    shared = x @ layer.k_rotary.weight.T if R else x[..., :0]
    heads = torch.zeros(B, N, layer.num_heads, V, dtype=x.dtype)
    for h in range(layer.num_heads):
        k_up, v_up = layer.k_up.weight[h * K : (h + 1) * K], layer.v_up.weight[h * V : (h + 1) * V]
        for n in range(N):
            scores = torch.full((B, N), -torch.inf, dtype=x.dtype)
            for s in (s for s in range(N) if allowed[n, s]):
                plain = (asks[:, n, h, :K] * (latent[:, s] @ k_up.T)).sum(dim=-1)
                places = 0.0
                if R:
                    turn = [rotary(t[:, None], at)[:, 0] for t, at in ((asks[:, n, h, K:], n), (shared[:, s], s))]
                    places = (turn[0] * turn[1]).sum(dim=-1)
                scores[:, s] = (plain + places) / (K + R) ** 0.5
            heads[:, n, h] = (scores.softmax(dim=-1)[..., None] * (latent @ v_up.T)).sum(dim=1)
    return heads.flatten(2) @ layer.out_proj.weight.T


@pytest.mark.parametrize("options", SHAPES, ids=lambda sizes: " ".join(sizes) or "plain")
@pytest.mark.parametrize("causal", [False, True])
def test_both_forms_are_the_naive_one(options, causal):
    layer, x = made(**options), seeded(2, 6, 24)
    allowed = causal_mask(6) if causal else torch.ones(6, 6, dtype=torch.bool)
    expected = naive(layer, x, allowed, options.get("rotary", rotate))
    close(layer(x, causal=causal), expected)
    close(layer(x, causal=causal, absorbed=True), expected)


@pytest.mark.parametrize("options", SHAPES, ids=lambda sizes: " ".join(sizes) or "plain")
def test_both_forms_have_the_same_gradients(options):
    layer, x = made(**options), seeded(2, 6, 24).requires_grad_()
    inputs = [x, *layer.parameters()]
    expanded, absorbed = (gradients(layer(x, causal=True, absorbed=a), inputs) for a in (False, True))
    for ours, theirs in zip(absorbed, expanded):
        assert theirs.abs().max() > 0
        close(ours, theirs)


CACHES = {
    "all": (KVCache, causal_mask(9)),
    "capacity": (lambda: KVCache(capacity=20), causal_mask(9)),
    "window 1": (lambda: KVCache(window=1), streaming_mask(9, 1, 0)),
    "window 3": (lambda: KVCache(window=3), streaming_mask(9, 3, 0)),
    "streaming": (lambda: StreamingCache(window=3, first=2), streaming_mask(9, 3, 2)),
}


@pytest.mark.parametrize("cache, seen", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("absorbed", [False, True])
@pytest.mark.parametrize("chunks", [[9], [1] * 9, [3, 3, 3], [4, 1, 1, 3]], ids=str)
def test_decoding_sees_what_the_cache_shows_in_chunks_of_any_size(cache, seen, chunks, absorbed):
    layer, x, cache = made(d_rotary=4), seeded(2, 9, 24), cache()
    found = torch.cat([layer(part, cache=cache, absorbed=absorbed) for part in x.split(chunks, dim=1)], dim=1)
    close(found, naive(layer, x, seen))


def test_the_cache_keeps_the_latent_and_one_turned_key_a_token():
    layer, x, cache = made(d_rotary=4), seeded(2, 9, 24), KVCache()
    layer(x, cache=cache)
    assert cache.value.numel() == 0
    close(cache.key[:, 0], torch.cat([layer.down(x), rotate(layer.k_rotary(x))], dim=-1))


@pytest.mark.parametrize("absorbed", [False, True])
def test_gradients_flow_through_the_cache(absorbed):
    layer, x, cache = made(d_rotary=4), seeded(2, 9, 24).requires_grad_(), KVCache(window=4)
    output = torch.cat([layer(part, cache=cache, absorbed=absorbed) for part in x.split([4, 1, 1, 3], dim=1)], dim=1)
    inputs = [x, *layer.parameters()]
    expected = gradients(naive(layer, x, streaming_mask(9, 4, 0)), inputs)
    for ours, theirs in zip(gradients(output, inputs), expected):
        close(ours, theirs)


def test_a_refused_call_leaves_the_cache_as_it_was():
    layer, x, cache = made(d_rotary=4), seeded(2, 9, 24), KVCache()
    whole = layer(x, causal=True)
    layer(x[:, :4], cache=cache)
    for wrong in x[:, 4:, :3], x[:1, 4:], x[0], x[:, 4:].float():
        with pytest.raises(ValueError):
            layer(wrong, cache=cache)
    layer.out_proj.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        layer(x[:, 4:], cache=cache)
    assert cache.seen == len(cache) == 4
    layer.out_proj._forward_hooks.clear()
    close(layer(x[:, 4:], cache=cache), whole[:, 4:])
    with pytest.raises(ValueError, match="another layer's 9 tokens"):
        made(d_rotary=4)(x, cache=cache)


def test_absorbing_w_uk_is_exact_and_a_turn_between_forbids_it():
    query, latent, up = seeded(6, 8), seeded(6, 8, seed=1), seeded(8, 8, seed=2)
    key = latent @ up.T
    close((query @ up) @ latent.T, query @ key.T)
    scores = rotate(query) @ rotate(key).T
    absorbed = rotate(query @ up) @ rotate(latent).T  # W^UK moved past the turn, as if they commuted
    assert not torch.allclose(absorbed, scores, rtol=0, atol=0.1)
    close(absorbed.diagonal(), scores.diagonal())  # for a token and itself both turns are one and cancel


def test_w_uv_goes_on_into_w_o():
    layer, x = made(d_head=3, d_value=7), seeded(2, 6, 24)
    latent = layer.down(x)
    scores = (
        layer.q_proj(x).unflatten(-1, (4, 3)).transpose(1, 2) @ layer.k_up.weight.view(4, 3, 5) @ latent[:, None].mT
    )
    found = (scores / 3**0.5).softmax(dim=-1) @ latent[:, None]  # (B, H, N, d_latent)
    both = layer.out_proj.weight.view(24, 4, 7).transpose(0, 1) @ layer.v_up.weight.view(4, 7, 5)  # (H, D, d_latent)
    close((found @ both.mT).sum(dim=1), layer(x))


@pytest.mark.parametrize(
    "make, error, sentence",
    [
        (lambda: LatentAttention(16, 0, 4), ValueError, "d_model=16 cannot be split over num_heads=0"),
        (lambda: LatentAttention(16, -2, 4, d_head=4), ValueError, "num_heads=-2: it must be at least 1"),
        (lambda: LatentAttention(16, "4", 4), TypeError, "num_heads is the str '4'; it must be a whole number"),
        (lambda: LatentAttention(0, 4, 4), ValueError, "d_model=0: it must be at least 1"),
        (lambda: LatentAttention(16, 4, 0), ValueError, "d_latent=0: it must be at least 1"),
        (lambda: LatentAttention(16, 4, 2.5), TypeError, "d_latent is the float 2.5; it must be a whole number"),
        (lambda: LatentAttention(16, 4, 4, d_head=0), ValueError, "d_head=0: it must be at least 1"),
        (lambda: LatentAttention(16, 4, 4, d_value=0), ValueError, "d_value=0: it must be at least 1"),
        (lambda: LatentAttention(16, 4, 4, d_rotary=-2), ValueError, "d_rotary=-2: it must be at least 0"),
        (lambda: LatentAttention(16, 4, 4, d_rotary=3), ValueError, "pairs of numbers, and 3 is odd"),
        (lambda: LatentAttention(16, 4, 4, rotary=rotate), ValueError, "d_rotary is 0"),
        (lambda: LatentAttention(16, 4, 4, d_rotary=2, rotary=1), TypeError, "rotary is the int 1; it must be a func"),
        (lambda: LatentAttention(10**7, 10**4, 10**7), MemoryError, "This needs about"),
        (lambda: made()(seeded(6, 24)), ValueError, r"x has shape \(6, 24\); this layer takes \(batch, tokens, 24\)"),
        (lambda: made()([[1.0]]), TypeError, r"x is the list \[\[1.0\]\]; it must be a tensor"),
        (lambda: made()(seeded(2, 6, 24).float()), ValueError, "x is torch.float32 and this layer torch.float64"),
        (lambda: made()(seeded(2, 6, 24), causal="no"), TypeError, "causal is the str 'no'"),
        (lambda: made()(seeded(2, 6, 24), absorbed=1), TypeError, "absorbed is the int 1"),
        (lambda: made()(seeded(2, 6, 24), cache=[]), TypeError, r"cache is the list \[\]; it must be a KVCache"),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers_and_the_rule(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_a_layer_says_its_sizes():
    assert "num_heads=4, d_head=6, d_value=6, d_latent=5, d_rotary=4" in repr(made(d_rotary=4))
