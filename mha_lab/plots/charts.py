"""Lines, dots and points: how one number follows another, and values as points of a plane."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke

from mha_lab.plots.look import INK, OUTPUT, QUERY, VALUE, array, lettering, number, one_each, styled, text

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
    x = array("x", x, "(points,)")
    for (name, y), marker in zip(lines.items(), cycle("os^Dv<>P*X")):
        color = (colors or {}).get(name, INK)
        y = array(f"the line {name!r}", y, "(points,)")
        if y.shape != x.shape:
            raise ValueError(f"the line {name!r} has {len(y)} points and x {len(x)}: one for each.")
        ax.plot(x, y, marker=marker, markersize=5, color=color, linewidth=1.8)
        end = (label_at or {}).get(name, -1)
        if not -len(x) <= end < len(x):
            raise ValueError(f"label_at names point {end} of the line {name!r}: the points are 0 to {len(x) - 1}.")
        _beside(ax, name, (x[end], y[end]), (8, 0), color, va="center")
    if "x" in log:
        ax.set_xscale("log", base=2)
    if "y" in log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(number)
    named = x[:: 1 if len(x) < 10 else 2]  # more labels would run together
    ax.set_xticks(x, [number(tick) if tick in named else "" for tick in x])
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    _titled(ax, xlabel, ylabel, title)
    return ax


@styled
def measured(
    x,
    found: Mapping[str, Mapping[int, float]],
    predicted: Mapping[str, Sequence[float]],
    *,
    ylabel: str,
    xlabel: str = "tokens",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Marks where something was measured, {name: {x: y}}, and dashed lines where it was predicted, on scales of powers.
    Each name has a colour and a mark of its own, which the legend shows."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7.6, 4.4))
    x = array("x", x, "(points,)")
    for (name, points), marker, color in zip(found.items(), "os^D", (OUTPUT, QUERY, INK, VALUE)):
        ax.plot(x, array(f"the line {name!r}", predicted[name], "(points,)"), "--", color=color, linewidth=1.4)
        ax.plot(list(points), list(points.values()), marker, color=color, markersize=7, label=name)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(number)
    ax.set_xticks(x, [number(tick) for tick in x])
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    ax.legend(frameon=False)
    _titled(ax, xlabel, ylabel, title)
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
    """quality (counts, seeds) over x (counts,), on a base-2 scale: every seed a dot, a line through the means, its
    label at the line's end."""
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.6))
    x, quality = array("x", x, "(counts,)"), array("quality", quality, "(counts, seeds)")
    if len(x) != len(quality):
        raise ValueError(f"quality has {len(quality)} rows and x {len(x)} numbers: one for each.")
    ax.plot(x, quality.mean(axis=1), color=color, linewidth=1.8)
    ax.plot(x, quality, "o", color=color, alpha=0.5, markersize=5)
    _beside(ax, label, (x[-1], quality[-1].mean()), (9, 0), color, va="center")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(number)
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    _titled(ax, xlabel, ylabel, title)
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
    """Values (S, 2) as points with their words, the polygon they span (in the given order), and outputs (N, 2)."""
    values = _points("values", values)
    tokens = one_each("tokens", tokens, len(values), "values")
    if ax is None:
        _, ax = plt.subplots(figsize=(5.2, 4.2))
    ax.add_patch(Polygon(values, facecolor=VALUE, alpha=0.12, edgecolor=VALUE))
    ax.scatter(*values.T, color=VALUE, s=60, zorder=3)
    for word, point in zip(tokens, values):
        _beside(ax, word, point, (7, 7), VALUE, weight="bold", zorder=5, path_effects=[HALO])
    if outputs is not None:
        outputs = _points("outputs", outputs)
        labels = [""] * len(outputs) if output_labels is None else output_labels
        ax.scatter(*outputs.T, color=OUTPUT, s=60, marker="D", zorder=4)
        for label, point in zip(one_each("output_labels", labels, len(outputs), "outputs"), outputs):
            _beside(ax, label, point, (9, -4), OUTPUT)
    ax.margins(0.2)
    ax.set_aspect("equal")
    _titled(ax, "value, feature 0", "value, feature 1", title)
    return ax


def _points(name, data):
    points = array(name, data, "(points, 2)")
    if points.shape[1] != 2:
        raise ValueError(f"{name} has shape {points.shape}: a point of a plane has 2 numbers.")
    return points


def _beside(ax, words, point, offset, color, **options):
    """Words at an offset, in points of print, from a point of the data."""
    options |= {"xytext": offset, "textcoords": "offset points", "color": color}
    ax.annotate(text(words), point, **lettering() | options)


def _titled(ax, xlabel, ylabel, title):
    for write, words in (ax.set_xlabel, xlabel), (ax.set_ylabel, ylabel), (ax.set_title, title):
        write(text(words), **lettering())
