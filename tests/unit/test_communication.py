"""What ranks send each other, by arithmetic: against sums that were counted, and what must hold at the edges."""

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
    assert [wires.split_heads(32, 8, ranks) for ranks in (1, 2, 8, 16)] == [(32, 8), (16, 4), (4, 1), (2, 1)]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: wires.split_heads(32, 8, 3), "32 heads cannot be split over 3 ranks: 32 / 3 leaves 2"),
        (lambda: wires.split_heads(24, 8, 6), "8 key/value heads and 6 ranks: one of them must divide the other."),
        (lambda: wires.ring_bytes(1, 10, 2, 4, 3), "N=10 tokens cannot be split over 3 ranks"),
        (lambda: wires.Link("x", -1, 1), "x: latency=-1 must be at least 0"),
        (lambda: wires.Link("x", 0, 0), "bytes_per_second=0 more than 0"),
        (lambda: wires.all_reduce_bytes(10, 0), "ranks=0: it must be at least 1."),
    ],
)
def test_what_cannot_be_is_said_with_the_numbers(call, words):
    with pytest.raises(ValueError, match=words):
        call()


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
