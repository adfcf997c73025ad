"""Static figures: draw given numbers on given axes, compute nothing.

Every function takes NumPy arrays, torch tensors or lists, draws on `ax` (a new figure unless given) and returns it. A
title states the finding. Figures carry their own white page, so they read the same in a light and in a dark notebook.
"""

from collections.abc import Mapping, Sequence
from functools import wraps

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

QUERY, KEY, VALUE, OUTPUT, OTHER = "#4477AA", "#EE6677", "#228833", "#AA3377", "#BBBBBB"
"""One thing, one colour, in every figure and explorer (Paul Tol's bright scheme)."""

WEIGHTS, SCORES = "cividis", "PuOr_r"
"""Colour maps: attention weights from 0 to 1, and raw scores, which diverge around 0."""

INK = "#333333"
STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 11,
    "hatch.linewidth": 0.8,
}
PRINTED_CELLS = 100  # a map with at most this many cells shows its numbers


def _styled(draw):
    """Draw in the lab's style and leave the caller's matplotlib settings as they were."""

    @wraps(draw)
    def styled(*args, **kwargs):
        with plt.rc_context(STYLE):
            drawn = draw(*args, **kwargs)
            interactive = matplotlib.is_interactive()  # turned on when a notebook's first figure loads its backend
        matplotlib.interactive(interactive)
        return drawn

    return styled


@_styled
def attention_map(
    weights,
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    mask=None,
    numbers: bool | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Weights (N, S) from 0 to 1: a row for each query word, a column for each key word.

    mask (N, S) boolean, True = may attend: the other cells are hatched. numbers: print each weight instead of a colour
    bar (by default on small maps)."""
    return _map(weights, queries, keys, mask, numbers, title, ax, WEIGHTS, 0.0, 1.0)


@_styled
def score_map(
    scores,
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    mask=None,
    numbers: bool | None = None,
    title: str = "",
    reach: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Scores (N, S), before softmax, on a diverging scale around 0; otherwise as `attention_map`.

    reach  the score at the scale's ends: the same for maps that are to be compared (default: the largest here)."""
    finite = _array(scores)[np.isfinite(_array(scores))]
    reach = reach or float(np.abs(finite).max(initial=0.0)) or 1.0
    return _map(scores, queries, keys, mask, numbers, title, ax, SCORES, -reach, reach)


@_styled
def head_maps(
    weights,
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    mask=None,
    labels: Sequence[str] | None = None,
    title: str = "",
    figure: Figure | None = None,
) -> Figure:
    """Small multiples: weights (H, N, S), one map a head, words on the left column and the top row."""
    weights = _array(weights)
    keys = queries if keys is None else keys
    labels = [f"head {i}" for i in range(len(weights))] if labels is None else labels
    columns = _grid_columns(len(weights))
    rows = -(-len(weights) // columns)
    side = min(max(9.6 / columns, 1.1), 3.2)  # inches a map
    shape = (columns * side + 1.0, rows * side * weights.shape[1] / weights.shape[2] + 1.2)
    figure = plt.figure(layout="constrained") if figure is None else figure
    figure.set_size_inches(*shape)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    font = min(9.0, 60 * side / len(keys))  # as large as one row of a map allows, in points
    for index, ax in enumerate(axes):
        if index >= len(weights):
            ax.set_axis_off()
            continue
        top, left = index < columns, index % columns == 0
        _map(weights[index], queries, keys, mask, False, "", ax, WEIGHTS, 0.0, 1.0, font, words=(left, top), bar=False)
        ax.set_title(labels[index], fontsize=9, pad=3, loc="center", y=None if top else 1.0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


@_styled
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
    x = _array(x)
    for (name, y), marker in zip(lines.items(), "os^Dv<>P*X", strict=False):
        color = (colors or {}).get(name, INK)
        y = _array(y)
        ax.plot(x, y, marker=marker, markersize=5, color=color, linewidth=1.8)
        end = (label_at or {}).get(name, -1)
        ax.annotate(name, (x[end], y[end]), xytext=(8, 0), textcoords="offset points", va="center", color=color)
    if "x" in log:
        ax.set_xscale("log", base=2)
    if "y" in log:
        ax.set_yscale("log")
    ax.set_xticks(x, [f"{tick:g}" for tick in x])
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


@_styled
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
    x, quality = _array(x), _array(quality)
    ax.plot(x, quality.mean(axis=1), color=color, linewidth=1.8)
    ax.plot(x, quality, "o", color=color, alpha=0.5, markersize=5)
    ax.annotate(label, (x[-1], quality[-1].mean()), xytext=(9, 0), textcoords="offset points", va="center", color=color)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.grid(axis="y", color="#E4E4E4")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


@_styled
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
    values = _array(values)
    ax.add_patch(Polygon(values, facecolor=VALUE, alpha=0.12, edgecolor=VALUE))
    ax.scatter(*values.T, color=VALUE, s=60, zorder=3)
    for word, point in zip(tokens, values, strict=True):
        ax.annotate(word, point, xytext=(7, 7), textcoords="offset points", color=VALUE, weight="bold")
    if outputs is not None:
        outputs = _array(outputs)
        ax.scatter(*outputs.T, color=OUTPUT, s=60, marker="D", zorder=4)
        for label, point in zip(output_labels or [], outputs, strict=True):
            ax.annotate(label, point, xytext=(9, -4), textcoords="offset points", color=OUTPUT)
    ax.margins(0.2)
    ax.set_aspect("equal")
    ax.set(xlabel="value, feature 0", ylabel="value, feature 1", title=title)
    return ax


@_styled
def label_grid(
    labels,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    tint=None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A small tensor (rows, columns) whose cells hold words instead of numbers: one sees where each came from.

    tint (rows, columns) of 0 to 1 shades the cells: equal shades belong together."""
    labels = np.asarray(labels, dtype=object)
    if ax is None:
        _, ax = plt.subplots(figsize=(0.85 * labels.shape[1] + 1.2, 0.42 * labels.shape[0] + 0.9))
    tint = np.zeros(labels.shape) if tint is None else _array(tint)
    ax.imshow(tint, cmap="Greys", vmin=0, vmax=2.2, aspect="auto")  # never darker than its words
    for (row, column), label in np.ndenumerate(labels):
        ax.text(column, row, label, ha="center", va="center", fontsize=10)
    _words(ax, rows or [""] * labels.shape[0], columns or [""] * labels.shape[1], 10, rotation=0)
    _lines_between_cells(ax, labels.shape, "white")
    ax.set_title(title)
    return ax


@_styled
def image_maps(
    images,
    weights,
    outlined=None,
    *,
    labels: Sequence[str],
    full: float = 0.25,
    columns: int = 3,
    title: str = "",
) -> Figure:
    """Weights over images: (M, height, width) from 0 (white) to 1 and (M, rows, columns of patches), small multiples.

    On each patch lies a square whose area is its weight: it covers the whole patch from `full` on. outlined (M, rows,
    columns) boolean: a frame around these patches."""
    images, weights = _array(images), _array(weights)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = images.shape[1:]
    patch = height / weights.shape[1]
    figure = plt.figure(figsize=(9.6, rows * (9.6 / columns * height / width + 0.3) + 0.45), layout="constrained")
    for index, ax in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        ax.set_axis_off()
        if index >= len(images):
            continue
        ax.imshow(images[index], cmap="Greys", vmin=0, vmax=1.25, extent=(0, width, height, 0))
        for (row, column), weight in np.ndenumerate(weights[index]):
            side = patch * min(weight / full, 1.0) ** 0.5
            corner = (column + 0.5) * patch - side / 2, (row + 0.5) * patch - side / 2
            ax.add_patch(Rectangle(corner, side, side, facecolor=QUERY, alpha=0.75, linewidth=0))
        ax.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor=OTHER, linewidth=2))
        marked = np.argwhere(_array(outlined[index])) if outlined is not None else np.empty((0, 2))
        if len(marked):
            (top, left), (bottom, right) = marked.min(axis=0) * patch, (marked.max(axis=0) + 1) * patch
            frame = (left, top), right - left, bottom - top
            ax.add_patch(Rectangle(*frame, fill=False, edgecolor=VALUE, linewidth=3))
        ax.set_title(labels[index], fontsize=10, loc="center", pad=5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


@_styled
def document_maps(weights, *, labels: Sequence[str], title: str = "") -> Figure:
    """Maps of long texts side by side, weights (M, N, S), with token numbers instead of words."""
    weights = _array(weights)
    width = min(4.2 * len(weights), 9.6)
    figure = plt.figure(figsize=(width + 0.9, width / len(weights) + 0.5), layout="constrained")
    axes = figure.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    for ax, each, label in zip(axes, weights, labels, strict=True):
        image = ax.imshow(each, cmap=WEIGHTS, vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(label, fontsize=10)
        ax.set(xlabel="key: token looked at", xticks=range(0, each.shape[1] + 1, max(1, each.shape[1] // 4)))
        ax.spines[:].set_visible(False)
    axes[0].set(ylabel="query: token that looks", yticks=range(0, weights.shape[1] + 1, max(1, weights.shape[1] // 4)))
    bar = figure.colorbar(image, ax=list(axes), shrink=0.7, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("attention weight")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def _map(
    data, queries, keys, mask, numbers, title, ax, cmap, low, high, font=10.0, words=(True, True), bar=True
) -> Axes:
    data = _array(data)
    keys = queries if keys is None else keys
    if data.shape != (len(queries), len(keys)):
        raise ValueError(f"a map of shape {data.shape} needs {data.shape} words; it got {(len(queries), len(keys))}.")
    if ax is None:
        width, height = 0.46 * len(keys) + 2.2, 0.4 * len(queries) + 1.3
        _, ax = plt.subplots(figsize=(min(width, 9.0), min(height, 7.6)), layout="constrained")
    allowed = np.ones(data.shape, bool) if mask is None else np.broadcast_to(_array(mask).astype(bool), data.shape)
    shown = np.where(allowed, data, np.nan)
    image = ax.imshow(shown, cmap=cmap, vmin=low, vmax=high)
    hidden = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in np.argwhere(~allowed)]
    ax.add_collection(PatchCollection(hidden, facecolor="#F2F2F2", edgecolor="#AAAAAA", hatch="////", linewidth=0))
    numbers = data.size <= PRINTED_CELLS if numbers is None else numbers
    if numbers:
        for row, column in np.argwhere(allowed):
            red, green, blue, _ = image.cmap(image.norm(data[row, column]))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ink = "white" if dark else "black"
            ax.text(column, row, f"{data[row, column]:.2f}", ha="center", va="center", color=ink, fontsize=9)
    _words(ax, queries if words[0] else [], keys if words[1] else [], font)
    _lines_between_cells(ax, data.shape, "white")
    if title:
        ax.set_title(title)
    if bar and not numbers and ax.figure.get_layout_engine() is not None:
        colorbar = ax.figure.colorbar(image, ax=ax, shrink=0.7, aspect=18, pad=0.02)
        colorbar.outline.set_visible(False)
        colorbar.set_label("attention weight" if cmap == WEIGHTS else "score")
    return ax


def _words(ax, rows, columns, font, rotation=55):
    """Words on the left and on the top, each beside its row or column."""
    ax.set_yticks(range(len(rows)), rows, fontsize=font)
    alignment = {"ha": "left", "rotation_mode": "anchor"} if rotation else {}
    ax.set_xticks(range(len(columns)), columns, fontsize=font, rotation=rotation, **alignment)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)


def _lines_between_cells(ax, shape, color):
    ax.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    ax.grid(which="minor", color=color, linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def _grid_columns(count: int) -> int:
    """Columns for `count` maps: one row up to 4, then as near to a square as a wide page likes."""
    return count if count <= 4 else next(c for c in (4, 6, 8, 12, 16, 24) if c * c >= count or c == 24)


def _array(data) -> np.ndarray:
    return data.detach().cpu().numpy() if hasattr(data, "detach") else np.asarray(data)
