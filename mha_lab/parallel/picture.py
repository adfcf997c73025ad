"""Who holds what, and what travels: four ways to use four machines, each of which cuts one axis."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mha_lab.plots.look import INK, KEY, OUTPUT, QUERY, VALUE, styled

MACHINES = "ABCD"
COLORS = QUERY, KEY, VALUE, OUTPUT
COUNT = len(MACHINES)
ALL = "#E9E9E9"


class Way(NamedTuple):
    """A way to split, and what then travels."""

    name: str
    weights: str
    """Which axis of the model is cut: "heads" (and with them the MLP's hidden numbers), "layers", or "" where every
    machine holds all of it."""
    work: str
    """Which axis of the batch is cut: "tokens", "texts", or "" where every machine sees all of it."""
    travels: str
    when: str


WAYS = (
    Way("Split the heads", "heads", "", "N · D numbers, added up", "behind attention, behind the MLP"),
    Way("Split the text", "", "tokens", "keys and values, in a ring", "in every attention layer"),
    Way("Split the layers", "layers", "", "N · D numbers, handed on", "at each of three borders"),
    Way("Split the texts", "", "texts", "gradients, added up", "once a step, in training only"),
)
"""Tensor, context, pipeline and data parallelism, in the words of the axes that they cut."""
NAMES = "tensor parallel", "context parallel, ring", "pipeline parallel", "data parallel"


@styled
def four_ways() -> Figure:
    """A model of 4 layers, each with 4 heads and an MLP in 4 parts, and a batch of 4 texts, on machines A to D: a
    column for each way."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(WAYS), figsize=(10.4, 5.9))
    figure.subplots_adjust(left=0.11, right=0.99, top=0.83, bottom=0.19, wspace=0.3, hspace=0.38)
    for column, (way, known_as) in enumerate(zip(WAYS, NAMES)):
        above, below = axes[:, column]
        above.set_title(f"{way.name}\n", fontsize=12, loc="center")
        above.text(0.5, 1.05, known_as, transform=above.transAxes, ha="center", va="bottom", color="#777777")
        _grid(above, {"heads": 1, "layers": 0}.get(way.weights), "head, part of the MLP", "layer" if not column else "")
        _grid(below, {"tokens": 1, "texts": 0}.get(way.work), "part of the text", "text" if not column else "")
        for row, (words, weight) in enumerate(((way.travels, "bold"), (way.when, "normal"))):
            below.text(
                0.5, -0.43 - 0.14 * row, words, transform=below.transAxes, ha="center", fontsize=9.5, weight=weight
            )
    figure.text(0.005, 0.98, "Four ways to use four machines, A to D: each cuts one axis", fontsize=12, va="top")
    for height, words in (0.8, "the model"), (0.45, "the batch"), (0.045, "what\ntravels"):
        figure.text(0.005, height, words, weight="bold")
    return figure


def _grid(ax: Axes, cut: int | None, across: str, down: str):
    """16 cells; along axis `cut` (0 down, 1 across) each belongs to one machine, None: each is on all of them."""
    for row in range(COUNT):
        for column in range(COUNT):
            owner = None if cut is None else (row, column)[cut]
            color = ALL if owner is None else COLORS[owner]
            ax.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="white", linewidth=2))
            words = "all" if owner is None else MACHINES[owner]
            ax.text(
                column + 0.5,
                row + 0.5,
                words,
                ha="center",
                va="center",
                color=INK if owner is None else "white",
                weight="normal" if owner is None else "bold",
            )
    ax.set(xlim=(0, COUNT), ylim=(COUNT, 0), aspect="equal", xlabel=across, ylabel=down)
    middles = [i + 0.5 for i in range(COUNT)]
    ax.set_xticks(middles, range(COUNT))
    ax.set_yticks(middles, range(COUNT))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
