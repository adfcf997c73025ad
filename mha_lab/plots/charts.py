"""Lines, dots and points: how one number follows another, and values as points of a plane."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke

from mha_lab.plots.look import INK, OUTPUT, VALUE, array, styled

HALO = withStroke(linewidth=3, foreground="white")
"""Around a word that may lie on a dot or a line."""


@styled
def curves(
    x,
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: str = "",
    colors: Mapping[str, str] | None = None,
    label_at: Mapping[str, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Named lines over a shared x, told apart by marker and by a label at their end.

    log       "x" (base 2), "y" or "xy": the axes that are logarithmic.
    label_at  for lines that end at one place: the index of the point beside which the label stands instead."""
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.6))
    x = array(x)
    for (name, y), marker in zip(lines.items(), "os^Dv<>P*X", strict=False):
        color = (colors or {}).get(name, INK)
        y = array(y)
        ax.plot(x, y, marker=marker, markersize=5, color=color, linewidth=1.8)
        end = (label_at or {}).get(name, -1)
        ax.annotate(name, (x[end], y[end]), xytext=(8, 0), textcoords="offset points", va="center", color=color)
    if "x" in log:
        ax.set_xscale("log", base=2)
    if "y" in log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:,g}")
    named = x[:: 1 if len(x) < 10 else 2]  # more labels would run together
    ax.set_xticks(x, [f"{tick:,g}" if tick in named else "" for tick in x])
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


@styled
def seeds(
    x,
    quality,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    color: str = INK,
    label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """quality (C, seeds) over x (C,), on a base-2 scale: every seed a dot, a line through the means, its label at the
    line's end."""
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.6))
    x, quality = array(x), array(quality)
    ax.plot(x, quality.mean(axis=1), color=color, linewidth=1.8)
    ax.plot(x, quality, "o", color=color, alpha=0.5, markersize=5)
    ax.annotate(label, (x[-1], quality[-1].mean()), xytext=(9, 0), textcoords="offset points", va="center", color=color)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


@styled
def value_plane(
    values,
    tokens: Sequence[str],
    outputs=None,
    *,
    output_labels: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Values (S, 2) as points with their words, the polygon they span (in the given order), and outputs (M, 2)."""
    if ax is None:
        _, ax = plt.subplots(figsize=(5.2, 4.2))
    values = array(values)
    ax.add_patch(Polygon(values, facecolor=VALUE, alpha=0.12, edgecolor=VALUE))
    ax.scatter(*values.T, color=VALUE, s=60, zorder=3)
    for word, point in zip(tokens, values, strict=True):
        place = {"xytext": (7, 7), "textcoords": "offset points"}
        ax.annotate(word, point, **place, color=VALUE, weight="bold", zorder=5, path_effects=[HALO])
    if outputs is not None:
        outputs = array(outputs)
        ax.scatter(*outputs.T, color=OUTPUT, s=60, marker="D", zorder=4)
        for label, point in zip(output_labels or [], outputs, strict=True):
            ax.annotate(label, point, xytext=(9, -4), textcoords="offset points", color=OUTPUT)
    ax.margins(0.2)
    ax.set_aspect("equal")
    ax.set(xlabel="value, feature 0", ylabel="value, feature 1", title=title)
    return ax
