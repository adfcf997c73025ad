"""How long ranks take to send each other something, measured on this machine, and a layer over ranks timed."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
import torch.distributed as dist

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.communication import Link, all_reduce_bytes
from mha_lab.parallel.group import check_group
from mha_lab.parallel.heads import AcrossRanks
from mha_lab.parallel.processes import run

SMALL, LARGE = 4, 16 * 2**20
"""Bytes: a message of almost nothing, and one whose latency hardly counts."""


class LayerTime(NamedTuple):
    """Seconds of one forward pass: what the busiest rank computed, by its own thread's clock, and the wall's time, in
    which ranks also wait for each other, for messages, and for a core where they share some."""

    work: float
    wall: float


def all_reduce_times(sizes: Iterable[int], ranks: int, *, repeats: int = 40, seconds: float = 60.0) -> dict[int, float]:
    """Wall seconds that an all-reduce of so many bytes took among so many ranks of this machine: the fastest of
    `repeats`, by the rank for which it took longest."""
    sizes = _door.sizes("sizes", sizes)
    by_rank = run(_times_of_sums, ranks, sizes, repeats, seconds=seconds)
    return dict(zip(sizes, map(max, zip(*by_rank))))


def fitted(took: Mapping[int, float], ranks: int) -> Link:
    """The link behind all-reduces that were timed: the smallest one tells the latency of its 2·(R − 1) messages, and
    what the largest one takes longer tells the rate."""
    ranks = _door.whole("ranks", ranks, at_least=2)
    small, large = min(took), max(took)
    longer = max(took[large] - took[small], 1e-9)
    sent = all_reduce_bytes(large, ranks) - all_reduce_bytes(small, ranks)
    return Link("this machine", took[small] / (2 * (ranks - 1)), sent / longer)


def calibrated(ranks: int = 2) -> Link:
    """The link between ranks of this machine, from two measured all-reduces."""
    return fitted(all_reduce_times([SMALL, LARGE], ranks), ranks)


def layer_times(
    layer: MultiHeadAttention, tokens: Iterable[int], ranks: int, *, repeats: int = 9, seconds: float = 60.0
) -> dict[int, LayerTime]:
    """What a forward pass without gradients takes over so many ranks, by the number of tokens of one text: the fastest
    of `repeats`, by the slowest rank. One rank is the layer itself, in a process of its own."""
    tokens = _door.sizes("tokens", tokens)
    by_rank = run(_times_of_a_layer, ranks, layer, tokens, repeats, seconds=seconds)
    return {n: LayerTime(*map(max, zip(*found))) for n, found in zip(tokens, zip(*by_rank))}


def fastest(act: Callable[[], object], repeats: int) -> LayerTime:
    """Seconds of the fastest call on this rank; before each, all ranks wait for one another."""
    check_group("fastest")
    act()
    work, wall = [], []
    for _ in range(repeats):
        dist.barrier()
        start, begun = time.perf_counter(), time.thread_time()
        act()
        work.append(time.thread_time() - begun)
        wall.append(time.perf_counter() - start)
    return LayerTime(min(work), min(wall))


def _times_of_sums(sizes, repeats):
    numbers = {size: torch.ones(max(1, size // 4)) for size in sizes}
    return [fastest(lambda size=size: dist.all_reduce(numbers[size]), repeats).wall for size in sizes]


@torch.no_grad()
def _times_of_a_layer(layer, tokens, repeats):
    split = AcrossRanks(layer)
    texts = {n: torch.randn(1, n, layer.d_model, generator=torch.Generator().manual_seed(0)) for n in tokens}
    return [fastest(lambda n=n: split(texts[n]), repeats) for n in tokens]
