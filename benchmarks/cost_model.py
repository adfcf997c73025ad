"""How well cost.predict foretells the time of a forward pass: predicted / measured over a grid of sizes, both paths.

    python benchmarks/cost_model.py [--passes 3] [--device cuda]

One thread, batch 1, float32, no gradients. A time is the fastest of all runs in all passes, in thread time: neighbours
on the same cores can only slow a run down. For the same reason each pass calibrates anew, and the fastest counts.
"""

import argparse
import math
import random
import statistics
import sys
from functools import partial
from itertools import combinations

import torch

from mha_lab import MultiHeadAttention, cost, measure

WIDTHS, HEADS, TOKENS = (128, 256, 512), (1, 2, 4, 8, 16, 32), (32, 64, 128, 256, 512, 1024, 2048)
PATHS = ("explicit", "fused")


def measure_grid(passes, device):
    """The fastest calibration, and the fastest time of every (path, d_model, num_heads, N)."""
    grid = [(d_model, num_heads, N) for d_model in WIDTHS for num_heads in HEADS for N in TOKENS]
    measure.require_memory(max(cost.explicit_peak_bytes(1, N, d_model, h) for d_model, h, N in grid), device=device)
    machines, fastest = [], {}
    for number in range(1, passes + 1):
        machines.append(measure.calibrate(device=device))
        random.shuffle(grid)  # what slows the machine for a while then hits no corner of the grid alone
        for i, (d_model, num_heads, N) in enumerate(grid, 1):
            print(f"\rpass {number} of {passes}: {i} of {len(grid)} sizes", end="", flush=True, file=sys.stderr)
            layer, x = MultiHeadAttention(d_model, num_heads).to(device), torch.randn(1, N, d_model, device=device)
            runs = {path: partial(layer, x, need_weights=path == "explicit") for path in PATHS}
            for path, timing in measure.compare(runs, repeats=5, budget=0.1, device=device).items():
                key = path, d_model, num_heads, N
                fastest[key] = min(timing.fastest, fastest.get(key, math.inf))
    print(file=sys.stderr)
    return min(machines, key=lambda machine: sum(cost.predict(machine, 1, N, d, h) for d, h, N in grid)), fastest


def report(machine, fastest, path):
    measured = {tuple(sizes): seconds for (which, *sizes), seconds in fastest.items() if which == path}
    predicted = {(d, h, N): cost.predict(machine, 1, N, d, h, path=path) for d, h, N in measured}
    ratios = {sizes: predicted[sizes] / seconds for sizes, seconds in measured.items()}
    print(f"\n### {path}: predicted / measured\n")
    print("| d_model | heads |" + "".join(f" N {N:,} |" for N in TOKENS))
    print("|--:|--:|" + "--:|" * len(TOKENS))
    for d_model in WIDTHS:
        for num_heads in HEADS:
            row = "".join(f" {ratios[d_model, num_heads, N]:.2f} |" for N in TOKENS)
            print(f"| {d_model} | {num_heads} |{row}")
    errors = [abs(ratio - 1) for ratio in ratios.values()]
    p90 = statistics.quantiles(errors, n=10)[-1]
    pairs = [(predicted[a] < predicted[b]) == (measured[a] < measured[b]) for a, b in combinations(measured, 2)]
    print(f"\n{len(errors)} sizes, error: median {statistics.median(errors):.1%}, 90th percentile {p90:.1%};", end=" ")
    print(f"of two sizes, the slower is foretold in {statistics.mean(pairs):.1%} of {len(pairs):,} pairs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with measure.single_thread(), torch.no_grad():
        machine, fastest = measure_grid(options.passes, options.device)
    print(f"## The cost model: {machine.name}, {machine.device}, {machine.threads} thread\n")
    print(f"{machine.flops_per_second / 1e9:.0f} GFLOP/s,")
    print(f"{machine.bytes_per_second / 1e9:.0f} GB/s, fresh memory {machine.page_seconds * 1e9:.2f} ns a byte")
    for path in PATHS:
        report(machine, fastest, path)


if __name__ == "__main__":
    main()
