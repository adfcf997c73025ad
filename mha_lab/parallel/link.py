"""How long ranks take to send each other something, measured on this machine, and a layer over ranks timed."""

import time
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.communication import Link, all_reduce_bytes
from mha_lab.parallel.heads import AcrossRanks
from mha_lab.parallel.processes import run

SMALL, LARGE = 4, 16 * 2**20
"""Bytes: a message of almost nothing, and one whose latency hardly counts."""


def all_reduce_times(sizes: Iterable[int], ranks: int, *, repeats: int = 15, seconds: float = 30.0) -> dict[int, float]:
    """Seconds that an all-reduce of so many bytes took among so many ranks of this machine: the fastest of `repeats`,
    by the rank for which it took longest."""
    sizes = _door.sizes("sizes", sizes)
    by_rank = run(_times_of_sums, ranks, sizes, repeats, seconds=seconds)
    return dict(zip(sizes, map(max, zip(*by_rank))))


def calibrated(ranks: int = 2) -> Link:
    """The link between ranks of this machine, from two measured all-reduces: the small one tells the latency of its
    2·(R − 1) messages, and what the large one takes longer tells the rate."""
    took = all_reduce_times([SMALL, LARGE], ranks)
    messages = 2 * (ranks - 1)
    longer = max(took[LARGE] - took[SMALL], 1e-9)
    return Link("this machine's loopback", took[SMALL] / messages, all_reduce_bytes(LARGE, ranks) / longer)


def layer_times(
    layer: MultiHeadAttention, tokens: Iterable[int], ranks: int, *, repeats: int = 9, seconds: float = 60.0
) -> dict[int, float]:
    """Seconds of a forward pass without gradients over so many ranks, by the number of tokens of one text: the fastest
    of `repeats`, by the slowest rank. One rank is the layer itself, in a process of its own."""
    tokens = _door.sizes("tokens", tokens)
    by_rank = run(_times_of_a_layer, ranks, layer, tokens, repeats, seconds=seconds)
    return dict(zip(tokens, map(max, zip(*by_rank))))


def _times_of_sums(sizes, repeats):
    numbers = {size: torch.ones(max(1, size // 4)) for size in sizes}
    return [_fastest(lambda size=size: dist.all_reduce(numbers[size]), repeats) for size in sizes]


@torch.no_grad()
def _times_of_a_layer(layer, tokens, repeats):
    split = AcrossRanks(layer)
    texts = {n: torch.randn(1, n, layer.d_model, generator=torch.Generator().manual_seed(0)) for n in tokens}
    return [_fastest(lambda n=n: split(texts[n]), repeats) for n in tokens]


def _fastest(act: Callable[[], object], repeats: int) -> float:
    """Wall seconds of the fastest call; before each, all ranks wait for one another."""
    act()
    found = []
    for _ in range(repeats):
        dist.barrier()
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return min(found)
