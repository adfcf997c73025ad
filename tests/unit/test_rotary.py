"""Rotary positions: what they promise, and both layouts."""

import pytest
import torch

from mha_lab import KVCache, MultiHeadAttention, window_mask
from mha_lab.rotary import Rotary, rotate

D_MODEL = 24


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("adjacent", [False, True])
def test_a_rotated_score_depends_on_the_distance_only(adjacent):
    query, key = seeded(1, 8), seeded(1, 8, seed=1)
    scores = [rotate(query, p, adjacent=adjacent) @ rotate(key, p - 3, adjacent=adjacent).T for p in (3, 10, 500)]
    close(scores[1], scores[0])
    close(scores[2], scores[0])
    assert (rotate(query, 3, adjacent=adjacent) @ key.T - rotate(query, 5, adjacent=adjacent) @ key.T).abs() > 0.01


def test_both_layouts_turn_the_same_pairs():
    x = seeded(2, 3, 8)
    halves = torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1)
    together = rotate(x, 4, adjacent=True)
    close(rotate(halves, 4), torch.cat([together[..., 0::2], together[..., 1::2]], dim=-1))
    assert not torch.allclose(rotate(x, 4), together)


def test_decoding_with_rotary_positions_is_recomputation_with_a_window_too():
    layer, x = MultiHeadAttention(D_MODEL, 4, 2, rotary=rotate).double(), seeded(2, 9, D_MODEL)
    for window, mask in (None, None), (3, window_mask(9, 3)):
        cache = KVCache(window=window)
        outputs = [layer(token, causal=True, cache=cache) for token in x.split(1, dim=1)]
        close(torch.cat(outputs, dim=1), layer(x, causal=True, mask=mask))


@pytest.mark.parametrize("adjacent", [False, True])
def test_remembered_angles_are_the_angles_of_the_call(adjacent):
    """Whatever the call before was: another place, length, width or precision."""
    turn = Rotary(base=500.0, adjacent=adjacent)
    for shape, start in ((2, 5, 8), 0), ((3, 5, 8), 0), ((2, 5, 8), 7), ((2, 1, 8), 7), ((2, 1, 6), 7), ((2, 5, 8), 0):
        for x in seeded(*shape), seeded(*shape).float():
            assert torch.equal(turn(x, start), rotate(x, start, base=500.0, adjacent=adjacent))


def test_angles_made_without_gradients_serve_a_backward_pass():
    turn, x = Rotary(), seeded(2, 5, 8).requires_grad_()
    with torch.inference_mode():
        turn(x)
    turn(x).square().sum().backward()
    close(x.grad.norm(), 2 * x.detach().norm())


def test_an_odd_width_cannot_be_rotated():
    with pytest.raises(ValueError, match="d_head=7 is odd"):
        rotate(torch.zeros(2, 7))
