"""Rotary positions: what they promise, and both layouts."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mha_lab import KVCache, MultiHeadAttention, rotary, window_mask
from mha_lab.rotary import Rotary, rotate
from mha_lab.variants import Indexer, LatentAttention, SelectedAttention

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


# exact, and under everything that torch does to a function ----------------------------------------------------------


@pytest.mark.parametrize("place", [1_000, 1_000_000, 30_000_000])
@pytest.mark.parametrize("turn", [rotate, Rotary()])
def test_float32_is_as_exact_at_a_far_place_as_at_the_first(turn, place):
    x = seeded(2, 3, 64)
    torch.testing.assert_close(turn(x.float(), place), rotate(x, place).float(), rtol=0, atol=1e-6)


class Float64Devices(TorchDispatchMode):
    """Where numbers in float64 are made while it is on."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            self.seen.add(result.device.type)
        return result


@pytest.mark.parametrize("without, expected", [((), {"meta"}), (("meta",), {"cpu"})])
def test_without_float64_on_the_device_the_cpu_makes_the_angles(without, expected, monkeypatch):
    monkeypatch.setattr(rotary, "WITHOUT_FLOAT64", without)  # meta stands for a GPU
    with Float64Devices() as devices:
        turned = rotate(torch.ones(2, 3, 8, device="meta", dtype=torch.bfloat16), 5)
    assert devices.seen == expected and turned.device.type == "meta" and turned.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_precision(dtype):
    x = seeded(2, 3, 8)
    for turn in rotate, Rotary():
        turned = turn(x.to(dtype), 100_000)
        assert turned.dtype == dtype
        torch.testing.assert_close(turned.double(), rotate(x, 100_000), rtol=0, atol=0.05)


@pytest.mark.parametrize("adjacent", [False, True])
def test_a_base_or_a_layout_that_is_changed_counts_from_the_next_call_on(adjacent):
    turn, x = Rotary(), seeded(2, 5, 8)
    turn(x)
    turn.base, turn.adjacent = 500.0, adjacent
    assert torch.equal(turn(x), rotate(x, base=500.0, adjacent=adjacent))


def test_the_angles_of_a_step_are_made_once_for_all_layers(monkeypatch):
    made = []
    cos_sin = rotary._cos_sin
    monkeypatch.setattr(rotary, "_cos_sin", lambda *args: made.append(args[1]) or cos_sin(*args))
    turn = Rotary()
    for start in 3, 4:
        for _ in range(6):  # of queries and keys, with another number of heads
            turn(seeded(2, 4, 1, 8), start), turn(seeded(2, 1, 1, 8), start)
    assert made == [3, 4]


@pytest.mark.parametrize("turn", [rotate, Rotary()])
def test_it_goes_through_compile_export_transforms_and_shapes_without_numbers(turn):
    """And what they make is not remembered: an ordinary call afterwards is right."""
    x = seeded(2, 4, 6, 8)
    expected = rotate(x, 3)
    close(torch.compile(turn, fullgraph=True, backend="eager")(x, 3), expected)

    class Layer(torch.nn.Module):
        def forward(self, x):
            return turn(x, 3)

    close(torch.export.export(Layer(), (x,)).module()(x), expected)
    close(torch.func.vmap(lambda each: turn(each, 3))(x), expected)
    close(torch.func.jvp(lambda x: turn(x, 3), (x,), (x,))[1], expected)
    close(torch.func.grad(lambda x: (turn(x, 3) * expected).sum())(x), x)
    with FakeTensorMode() as mode:
        assert turn(mode.from_tensor(x), 3).shape == x.shape
    assert turn(x.to("meta"), 3).shape == x.shape
    close(turn(x, 3), expected)


X = torch.zeros(3, 8)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: rotate(torch.ones(3, 8, dtype=torch.int64)), r"x is torch.int64 of shape \(3, 8\); it must be floats"),
        (lambda: Rotary()(torch.ones(3, 8, dtype=torch.int64)), "x is torch.int64"),
        (lambda: rotate(torch.ones(8)), r"x is torch.float.. of shape \(8,\)"),
        (lambda: rotate([[1.0, 2.0]]), r"x is the list \[\[1.0, 2.0\]\]; it must be a tensor"),
        (lambda: Rotary()(torch.ones(3, 7)), "d_head=7 is odd"),
        (lambda: rotate(torch.ones(3, 0)), "d_head=0 is nothing to turn"),
        (lambda: rotate(X, base=0), "base=0: "),
        (lambda: rotate(X, base=-1.0), "base=-1.0: "),
        (lambda: rotate(X, base=float("nan")), "base=nan: "),
        (lambda: Rotary(base=float("inf")), "base=inf: "),
        (lambda: Rotary(base="10000"), "base is the str '10000'; it must be a number"),
        (lambda: rotate(X, 1.5), "start is the float 1.5; it must be a whole number"),
    ],
)
def test_what_cannot_be_turned_is_refused_in_one_sentence(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        wrong()


# a share of the head ---------------------------------------------------------------------------------------------


def naive_partial(x, start, share, adjacent):
    """One token and one pair at a time."""
    turned, R = x.clone(), round(share * x.shape[-1])
    for n in range(x.shape[-2]):
        for i in range(R // 2):
            one, other = (2 * i, 2 * i + 1) if adjacent else (i, i + R // 2)
            angle = torch.tensor((start + n) * 10_000.0 ** (-2 * i / R), dtype=torch.float64)
            a, b = x[..., n, one], x[..., n, other]
            turned[..., n, one] = a * angle.cos() - b * angle.sin()
            turned[..., n, other] = a * angle.sin() + b * angle.cos()
    return turned


@pytest.mark.parametrize("adjacent", [False, True])
@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_a_share_turns_the_first_numbers_as_if_a_head_had_no_more(share, adjacent):
    x, turn = seeded(2, 5, 16), Rotary(share=share, adjacent=adjacent)
    close(rotate(x, 7, share=share, adjacent=adjacent), naive_partial(x, 7, share, adjacent))
    assert torch.equal(turn(x, 7), rotate(x, 7, share=share, adjacent=adjacent))
    given = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad((turn(given, 7) * seeded(2, 5, 16, seed=1)).sum(), given)
    other = x.clone().requires_grad_()
    (naive,) = torch.autograd.grad((naive_partial(other, 7, share, adjacent) * seeded(2, 5, 16, seed=1)).sum(), other)
    close(grad, naive)


@pytest.mark.parametrize("share, K, turned", [(0.333, 192, 64), (0.334, 192, 64), (0.25, 64, 16), (1 / 3, 192, 64)])
def test_a_share_of_three_digits_means_the_nearest_pair(share, K, turned):
    x = seeded(2, 3, K)
    for found in rotate(x, 5, share=share), Rotary(share=share)(x, 5):
        close(found, torch.cat([rotate(x[..., :turned], 5), x[..., turned:]], dim=-1))


@pytest.mark.parametrize(
    "make",
    [
        lambda turn: MultiHeadAttention(64, 4, rotary=turn),
        lambda turn: LatentAttention(64, 4, 8, d_rotary=16, rotary=turn),
        lambda turn: Indexer(64, width=16, rotary=turn),
        lambda turn: SelectedAttention(160, 4, keys=2, indexer_width=16, rotary=turn),  # heads of 40 could be turned
    ],
)
def test_a_share_that_a_layer_cannot_turn_is_told_when_the_layer_is_made(make):
    with pytest.raises(ValueError, match="share=0.3 of d_head=16 is 4.8 numbers: rotary positions turn pairs"):
        make(Rotary(share=0.3))
    make(Rotary(share=0.5))


def test_a_head_of_an_odd_width_is_told_when_the_layer_is_made():
    with pytest.raises(ValueError, match="d_head=5 is odd"):
        MultiHeadAttention(20, 4, rotary=Rotary())


def test_what_is_not_turned_compares_words_wherever_they_stand():
    query, key = seeded(1, 16), seeded(1, 16, seed=1)
    query[:, :4] = 0  # a quarter is turned, and this query asks with the rest alone
    scores = [rotate(query, p, share=0.25) @ rotate(key, 3, share=0.25).T for p in (3, 10, 500)]
    close(scores[1], scores[0])
    close(scores[2], scores[0])


def test_a_share_that_is_changed_counts_from_the_next_call_on():
    turn, x = Rotary(), seeded(2, 5, 8)
    turn(x)
    turn.share = 0.5
    assert torch.equal(turn(x), rotate(x, share=0.5))


def test_decoding_with_a_share_is_recomputation():
    layer, x, cache = (
        MultiHeadAttention(D_MODEL, 3, rotary=Rotary(share=0.25)).double(),
        seeded(2, 6, D_MODEL),
        KVCache(),
    )
    outputs = [layer(token, causal=True, cache=cache) for token in x.split(1, dim=1)]
    close(torch.cat(outputs, dim=1), layer(x, causal=True))


@pytest.mark.parametrize(
    "share, error, sentence",
    [
        (0.3, ValueError, "share=0.3 of d_head=8 is 2.4 numbers: rotary positions turn pairs"),
        (0.01, ValueError, "share=0.01 of d_head=8 is 0.08 numbers"),
        (0.001, ValueError, "share=0.001 of d_head=8 is 0.008 numbers"),
        (0.375, ValueError, "share=0.375 of d_head=8 is 3 numbers"),
        (1.5, ValueError, "share=1.5: from 0 to 1 of a head can be turned"),
        (-0.5, ValueError, "share=-0.5: from 0 to 1"),
        (float("nan"), ValueError, "share=nan: from 0 to 1"),
        ("half", TypeError, "share is the str 'half'; it must be a number from 0 to 1"),
        (None, TypeError, "share is None; it must be a number"),
    ],
)
def test_a_share_that_cannot_be_turned_is_told(share, error, sentence):
    with pytest.raises(error, match=sentence):
        rotate(X, share=share)
    with pytest.raises(error, match=sentence):
        Rotary(share=share)(X)
