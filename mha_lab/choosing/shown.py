"""What a decision moves, and what a head costs that goes: as figures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mha_lab.choosing.decisions import TOKENS, in_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def draw_caches(sizes: Mapping[str, float], *, beside: str) -> "Axes":
    """A bar for each named number of bytes, the smallest at the bottom, and a line at the one that the others stand
    beside."""
    import matplotlib.pyplot as plt

    from mha_lab import plots  # who only chooses needs no figures
    from mha_lab.plots.look import styled

    @styled
    def draw():
        order = sorted(sizes, key=sizes.get)
        _, ax = plt.subplots(figsize=(7.4, 3.4))
        ax.barh(order, [sizes[name] / 2**30 for name in order], color=plots.KEY, height=0.6)
        ax.axvline(sizes[beside] / 2**30, color=plots.INK, linestyle="--", linewidth=1, zorder=0)
        for y, name in enumerate(order):
            place = sizes[name] / 2**30, y
            ax.annotate(in_bytes(sizes[name]), place, xytext=(5, -4), textcoords="offset points", bbox=ON_WHITE)
        ax.set_xlim(0, 1.15 * max(sizes.values()) / 2**30)
        ax.set_xlabel(f"GiB of cache, one text of {TOKENS:,} tokens (dashed: {beside})")
        ends = in_bytes(sizes[order[0]]), in_bytes(sizes[order[-1]])
        ax.set_title(f"One decision changed at a time: from {ends[0]} to {ends[1]}")
        return ax

    return draw()


def draw_heads(alone: Mapping[tuple[int, int], Mapping]) -> "Axes":
    """What `pruned.alone` found: for each head the share of all sentences that is lost without it, and of the kind that
    suffers most. The darker, the more of that kind."""
    import matplotlib.pyplot as plt

    from mha_lab import plots
    from mha_lab.plots.look import styled

    layers, heads = (sorted({place[axis] for place in alone}) for axis in (0, 1))
    grid = [[alone[layer, head] for head in heads] for layer in layers]
    words = [[f"{lost['all']:.3f} of all\n{lost['worst']:.2f} of\n{lost['kind']}" for lost in row] for row in grid]
    tint = [[min(1.0, max(0.0, 3 * lost["worst"])) for lost in row] for row in grid]
    layer, head = max(alone, key=lambda place: alone[place]["worst"])

    @styled
    def draw():
        _, ax = plt.subplots(figsize=(8.6, 1.0 * len(layers) + 0.8))
        named = {"rows": [f"layer {i}" for i in layers], "columns": [f"head {i}" for i in heads]}
        title = f"Without head {layer}.{head} alone, {alone[layer, head]['worst']:.0%} of one kind of sentence are lost"
        return plots.label_grid(words, **named, tint=tint, title=title, ax=ax)

    return draw()
