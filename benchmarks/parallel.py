"""A layer whose heads are spread over ranks of this machine, and a text in a ring: measured beside predicted.

    python benchmarks/parallel.py [--repeats 9]

Processes of one thread each, over gloo on the machine's loopback; float32, one text, no gradients: the fastest of all
repeats, by the slowest rank. Work is what a rank's own thread computed, wall is what a clock on the wall says: more
ranks than cores take turns, and so do ranks and other work on the machine.
"""

import argparse
import math
import os
import statistics

import torch
import torch.distributed as dist

from mha_lab import MultiHeadAttention, communication, measure, parallel
from mha_lab.parallel import link

RANKS = 1, 2, 4
SIZES = 4, 4 * 2**10, 64 * 2**10, 2**20, 4 * 2**20, 16 * 2**20
D_MODEL, HEADS, TOKENS = 512, 8, (64, 256, 1024, 2048)
RING_TOKENS = 2048


def sums():
    """All-reduces: the calibration's two sizes, and others that it has not seen."""
    print("### An all-reduce: measured, and what latency and bytes foretell\n")
    wire = link.calibrated()
    print(f"Calibrated with 2 ranks: {1e6 * wire.latency:.0f} µs a message, {wire.bytes_per_second / 1e9:.2f} GB/s.\n")
    print("| bytes |" + "".join(f" {R} ranks, ms | predicted | ratio |" for R in RANKS[1:]))
    print("|--:|" + "--:|" * 3 * len(RANKS[1:]))
    took = {R: link.all_reduce_times(SIZES, R) for R in RANKS[1:]}
    for size in SIZES:
        row = ""
        for R in RANKS[1:]:
            foretold = communication.all_reduce_seconds(wire, size, R)
            row += f" {1e3 * took[R][size]:.2f} | {1e3 * foretold:.2f} | {foretold / took[R][size]:.2f} |"
        print(f"| {size:,} |{row}")
    return wire


def layers(wire, cores, repeats):
    """One layer over 1, 2 and 4 ranks."""
    with measure.single_thread():
        machine = measure.calibrate()
    print(f"\n### One layer, d_model {D_MODEL}, {HEADS} heads, {cores} cores\n")
    print("| tokens | ranks | work, ms | predicted | ratio | wall, ms | predicted | ratio | times as fast |")
    print("|--:" * 9 + "|")
    layer = MultiHeadAttention(D_MODEL, HEADS)
    took = {R: link.layer_times(layer, TOKENS, R, repeats=repeats) for R in RANKS}
    off = []
    for n in TOKENS:
        for R in RANKS:
            work, wall = took[R][n]
            parts = communication.predict(machine, wire, R, 1, n, D_MODEL, HEADS)
            turns = max(1, R / cores)  # more ranks than cores take turns
            total = turns * parts["computing"] + parts["sending"]
            off.append([abs(parts["computing"] / work - 1), abs(total / wall - 1)])
            cells = [work, parts["computing"], wall, total]
            work, computing, wall, total = (f"{1e3 * each:.1f}" for each in cells)
            ratios = f"{cells[1] / cells[0]:.2f}", f"{cells[3] / cells[2]:.2f}"
            gain = took[1][n].wall / took[R][n].wall
            print(f"| {n:,} | {R} | {work} | {computing} | {ratios[0]} | {wall} | {total} | {ratios[1]} | {gain:.2f} |")
    of_work, of_wall = (statistics.median(column) for column in zip(*off))
    print(f"\nHalf of the predictions of work are within {of_work:.0%}, of wall time within {of_wall:.0%}.")


@torch.no_grad()
def in_a_ring(tokens, repeats):
    """Seconds and bytes of a ring over a text of so many tokens."""
    own = [torch.randn(1, HEADS, tokens // dist.get_world_size(), D_MODEL // HEADS) for _ in range(3)]
    took = link.fastest(lambda: parallel.ring_attention(*own), repeats)
    return took.wall, measure.peak_memory(lambda: parallel.ring_attention(*own))


def rings(repeats):
    print(f"\n### Ring attention over {RING_TOKENS:,} tokens, {HEADS} heads of {D_MODEL // HEADS}\n")
    print("| ranks | ms | times as fast | MiB a rank | times less |\n|--:|--:|--:|--:|--:|")
    alone = None
    for R in RANKS:
        found = parallel.run(in_a_ring, R, RING_TOKENS, repeats, seconds=300)
        seconds, size = max(took for took, _ in found), max(held for _, held in found)
        alone = alone or (seconds, size)
        print(
            f"| {R} | {1e3 * seconds:.0f} | {alone[0] / seconds:.2f} | {size / 2**20:.0f} | {alone[1] / size:.1f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or math.inf
    print("## Heads and texts over several ranks\n")
    wire = sums()
    layers(wire, cores, options.repeats)
    rings(min(options.repeats, 5))


if __name__ == "__main__":
    main()
