"""What ranks send each other, by arithmetic: against sums that were counted, and what must hold at the edges."""

import re

import pytest

from mha_lab import communication as wires
from mha_lab import cost

LINK = wires.Link("a link", latency=1e-5, bytes_per_second=1e9)


def ring_all_reduce(terms):
    """A ring of lists, part by part, as it is done: what all end with, and how many numbers each has sent."""
    R = len(terms)
    parts, sent = [[list(part) for part in term] for term in terms], [0] * R
    for turn in range(2 * (R - 1)):
        moved = [(rank, (rank - turn) % R if turn < R - 1 else (rank + 1 - (turn - R + 1)) % R) for rank in range(R)]
        for rank, i, numbers in [(rank, i, list(parts[rank][i])) for rank, i in moved]:
            sent[rank] += len(numbers)
            mine = parts[(rank + 1) % R][i]
            mine[:] = [a + b for a, b in zip(mine, numbers)] if turn < R - 1 else numbers
    return parts, sent


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_a_ring_adds_up_with_as_many_bytes_as_are_counted(ranks):
    terms = [[[10.0 * rank + i] * 5 for i in range(ranks)] for rank in range(ranks)]
    parts, sent = ring_all_reduce(terms)
    total = [[sum(term[i][j] for term in terms) for j in range(5)] for i in range(ranks)]
    assert all(found == total for found in parts)
    assert set(sent) == {wires.all_reduce_bytes(5 * ranks, ranks)}


def test_one_rank_sends_nothing_and_two_send_the_tensor_once():
    assert wires.all_reduce_bytes(1000, 1) == wires.all_reduce_seconds(LINK, 1000, 1) == 0
    assert wires.all_reduce_bytes(1000, 2) == 1000
    assert wires.all_reduce_seconds(LINK, 0, 4) == pytest.approx(6e-5)
    assert wires.all_reduce_seconds(LINK, 10**9, 4) == pytest.approx(1.5 + 6e-5)


def test_a_ring_of_keys_and_values_sends_all_but_one_of_r_parts():
    assert wires.ring_bytes(1, 8, 2, 4, ranks=4) == 3 * cost.kv_cache_bytes(1, 2, 2, 4, bytes_per_number=4)
    assert wires.ring_bytes(1, 8, 2, 4, ranks=1) == 0
    assert wires.ring_seconds(LINK, 1e9, 4) == pytest.approx(1 + 3e-5)


def test_key_value_heads_are_cut_until_each_rank_has_one():
    assert [wires.heads_per_rank(32, 8, ranks) for ranks in (1, 2, 8, 16)] == [(32, 8), (16, 4), (4, 1), (2, 1)]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: wires.heads_per_rank(32, 8, 3), "32 heads cannot be split over 3 ranks: 32 / 3 leaves 2"),
        (lambda: wires.heads_per_rank(24, 8, 6), "8 key/value heads and 6 ranks: one of them must divide the other."),
        (lambda: wires.ring_bytes(1, 10, 2, 4, 3), "N=10 tokens cannot be split over 3 ranks"),
        (lambda: wires.heads_per_rank(6, 4, 2), "6 query heads cannot share 4 key/value heads: 6 / 4 leaves 2"),
        (lambda: wires.heads_per_rank(4, 8, 2), "4 query heads cannot share 8 key/value heads: 4 / 8 leaves 4"),
        (lambda: wires.doubling_seconds(LINK, 10, 6), "ranks=6: doubling asks for a power of two, such as 4."),
        (lambda: wires.ring_seconds(LINK, -1.0, 2), "size=-1 bytes: it must be at least 0."),
        (lambda: wires.ring_seconds(LINK, float("nan"), 2), "size=nan is not a finite number."),
        (lambda: wires.Chip("x", 0, 1, 1), "x: flops_per_second=0 must be more than 0."),
        (lambda: wires.Chip("x", 1, float("inf"), 1), "bytes_per_second=inf is not a finite number."),
        (lambda: wires.Chip("x", 1, 1, -80), "x: memory=-80 must be more than 0."),
        (lambda: on_paper(S=4), "S=4 tokens to look at and N=8 new ones"),
        (lambda: on_paper(N=0), "N=0: it must be at least 1."),
        (lambda: on_paper(num_kv_heads=6), "64 query heads cannot share 6 key/value heads"),
        (lambda: on_paper(ranks=3), "64 heads cannot be split over 3 ranks"),
        (lambda: wires.Link("x", -1, 1), "x: latency=-1 must be at least 0"),
        (lambda: wires.Link("x", 0, 0), "bytes_per_second=0 more than 0"),
        (lambda: wires.all_reduce_bytes(10, 0), "ranks=0: it must be at least 1."),
    ],
)
def test_what_cannot_be_is_said_with_the_numbers(call, words):
    with pytest.raises(ValueError, match=re.escape(words)) as problem:
        call()
    assert "\n" not in str(problem.value)


def on_paper(**changed):
    given = {"chip": wires.H100, "link": LINK, "ranks": 2, "B": 1, "N": 8, "d_model": 512, "num_heads": 64}
    return wires.on_paper(**given | {"num_kv_heads": 8, "d_head": 128} | changed)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: on_paper(chip="H100"), "chip is the str 'H100'; it must be a Chip, such as H100."),
        (lambda: on_paper(link=9e11), "link is the float 900000000000.0; it must be a Link, such as NVLINK."),
        (lambda: on_paper(S=8.5), "S is the float 8.5; it must be a whole number."),
        (lambda: on_paper(N=None), "N is None; it must be a whole number."),
        (lambda: wires.predict("my own", LINK, 2, 1, 8, 64, 8), "machine is the str 'my own'; it must be a Machine"),
        (lambda: wires.doubling_seconds(3e-6, 10, 2), "link is the float 3e-06; it must be a Link"),
    ],
)
def test_what_is_no_chip_no_link_and_no_count_is_told_in_one_sentence(call, words):
    with pytest.raises(TypeError, match=re.escape(words)) as problem:
        call()
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 32])
def test_doubling_adds_up_in_as_many_rounds_as_are_counted(ranks):
    held, rounds = [10.0**rank for rank in range(ranks)], 0
    while 2**rounds < ranks:
        held = [held[rank] + held[rank ^ 2**rounds] for rank in range(ranks)]
        rounds += 1
    assert set(held) == {sum(10.0**rank for rank in range(ranks))}
    assert wires.doubling_seconds(LINK, 10**6, ranks) == pytest.approx(rounds * (1e-5 + 1e-3))


MACHINE = cost.Machine(
    "flat", "cpu", 1, 1e9, 1e9, 0.0, {"explicit": 1e-4, "fused": 1e-4},
    dict.fromkeys(("QKᵀ", "AV", "attention"), ((32, 4, 4e-9), (32, 64, 64e-9)))
    | {"softmax": ((32, 1, 1e-9),), "W": ((32, 64, 1e-9),)},
)  # fmt: skip


def test_a_layer_over_ranks_computes_a_part_and_sends_a_sum():
    one = wires.predict(MACHINE, LINK, 1, 1, 256, 64, 8)
    two = wires.predict(MACHINE, LINK, 2, 1, 256, 64, 8)
    assert one == {"computing": cost.predict(MACHINE, 1, 256, 64, 8, path="fused"), "sending": 0}
    assert two["sending"] == wires.all_reduce_seconds(LINK, 4 * 256 * 64, 2)
    assert 0.45 < (two["computing"] - 1e-4) / (one["computing"] - 1e-4) < 0.55


def test_on_paper_a_token_waits_for_bytes_and_a_prompt_for_flops():
    sizes = {"d_model": 8192, "num_heads": 64, "num_kv_heads": 8, "d_head": 128}
    token = wires.on_paper(wires.H100, wires.NVLINK, 1, 1, 1, **sizes, S=8192)
    read = 2 * cost.parameters(8192, 64, 8, d_head=128, bias=False) + cost.kv_cache_bytes(1, 8192, 8, 128)
    assert token == {"computing": pytest.approx(read / 3.35e12), "sending": 0}
    prompt = wires.on_paper(wires.H100, wires.NVLINK, 1, 1, 8192, **sizes)
    work = sum(cost.flops(1, 8192, 8192, 64, 8, d_head=128, causal=True).values())
    assert prompt["computing"] == pytest.approx(work / 989e12)
    eighth = wires.on_paper(wires.H100, wires.NVLINK, 8, 1, 8192, **sizes)
    assert eighth["computing"] == pytest.approx(prompt["computing"] / 8)
