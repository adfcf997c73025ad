"""Maps and grids: attention weights, scores, and whatever else has a row and a column."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mha_lab import _door
from mha_lab._shown import plain
from mha_lab.plots.look import KEY, OTHER, QUERY, SCORES, VALUE, WEIGHTS, array, lettering, one_each, styled, text

PRINTED_CELLS = 100  # a map with at most this many cells shows its numbers
ONE_SCREEN = 5.4  # inches: a projector of 720 lines shows a figure of this height at once


@styled
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


@styled
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
    scores = array("scores", scores, "(N, S)")
    finite = scores[np.isfinite(scores)]
    reach = float(np.abs(finite).max(initial=0.0)) or 1.0 if reach is None else reach
    if not 0 < reach < np.inf:
        raise ValueError(f"reach={reach}: it is the score at the scale's upper end, above 0.")
    return _map(scores, queries, keys, mask, numbers, title, ax, SCORES, -reach, reach)


@styled
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
    weights = array("weights", weights, "(H, N, S)")
    keys = queries if keys is None else keys
    labels = [f"head {i}" for i in range(len(weights))] if labels is None else labels
    labels = one_each("labels", labels, len(weights), "heads")
    columns = _grid_columns(len(weights))
    rows = -(-len(weights) // columns)
    side = min(max(9.6 / columns, 1.1), 3.2)  # inches a map
    shape = (columns * side + 1.8, rows * side * weights.shape[1] / weights.shape[2] + 1.2)
    figure = plt.figure(layout="constrained") if figure is None else figure
    figure.set_size_inches(*shape)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    font = min(9.0, 60 * side / len(keys))  # as large as one row of a map allows, in points
    for index, ax in enumerate(axes.flat):
        if index >= len(weights):
            ax.set_axis_off()
            continue
        top, left = index < columns, index % columns == 0
        _map(weights[index], queries, keys, mask, False, "", ax, WEIGHTS, 0.0, 1.0, font, words=(left, top), bar=False)
        y = None if top else 1.0
        ax.set_title(text(labels[index]), fontsize=9, pad=3, loc="center", y=y, **lettering())
    _colour_bar(axes[0, 0].images[0], list(axes.flat), "attention weight", shrink=0.7 / rows)
    figure.suptitle(text(title), x=0.01, ha="left", fontsize=12, **lettering())
    return figure


def framed(ax: Axes, marked, *, color: str = KEY) -> Axes:
    """A frame around each cell of a map that is marked (N, S), boolean: where the weight should lie."""
    for row, column in np.argwhere(array("marked", marked, "(N, S)")):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=color, linewidth=2.6))
    return ax


@styled
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
    labels = np.asarray(plain(labels), dtype=object)
    if labels.ndim != 2 or 0 in labels.shape:
        raise ValueError(f"labels have shape {labels.shape}; they must be (rows, columns), each at least 1.")
    if ax is None:
        row = max(0.27, min(0.42, (ONE_SCREEN - 0.9) / labels.shape[0]))  # inches; its words need 0.27
        _, ax = plt.subplots(figsize=(0.85 * labels.shape[1] + 1.2, row * labels.shape[0] + 0.9))
    tint = np.zeros(labels.shape) if tint is None else array("tint", tint, "(rows, columns)")
    if tint.shape != labels.shape:
        raise ValueError(f"tint has shape {tint.shape} and labels {labels.shape}: they must be equal.")
    ax.imshow(tint, cmap="Greys", vmin=0, vmax=2.2, aspect="auto")  # never darker than its words
    for (row, column), label in np.ndenumerate(labels):
        ax.text(column, row, text(label), ha="center", va="center", fontsize=10, **lettering())
    sides = (("rows", rows), ("columns", columns))
    sides = [
        [""] * n if given is None else one_each(name, given, n, name) for (name, given), n in zip(sides, labels.shape)
    ]
    _words(ax, *sides, 10, rotation=0)
    _lines_between_cells(ax, labels.shape, "white")
    ax.set_title(text(title), **lettering())
    return ax


@styled
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
    """Weights (images, rows, columns of patches) over images (images, height, width) from 0 (white) to 1, in small
    multiples.

    On each patch lies a square whose area is its weight: it covers the whole patch from `full` on. outlined (images,
    rows, columns) boolean: a frame around these patches."""
    images = array("images", images, "(images, height, width)")
    weights = array("weights", weights, "(images, rows, columns of patches)")
    labels = one_each("labels", labels, len(images), "images")
    if len(weights) != len(images):
        raise ValueError(f"there are {len(images)} images and {len(weights)} blocks of weights: one for each.")
    if outlined is not None:
        outlined = array("outlined", outlined, "(images, rows, columns)")
        if outlined.shape != weights.shape:
            raise ValueError(f"outlined has shape {outlined.shape} and weights {weights.shape}: they must be equal.")
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
        marked = np.argwhere(outlined[index]) if outlined is not None else np.empty((0, 2))
        if len(marked):
            (top, left), (bottom, right) = marked.min(axis=0) * patch, (marked.max(axis=0) + 1) * patch
            frame = (left, top), right - left, bottom - top
            ax.add_patch(Rectangle(*frame, fill=False, edgecolor=VALUE, linewidth=3))
        ax.set_title(text(labels[index]), fontsize=10, loc="center", pad=5, **lettering())
    figure.suptitle(text(title), x=0.01, ha="left", fontsize=12, **lettering())
    return figure


@styled
def document_maps(weights, *, labels: Sequence[str], title: str = "") -> Figure:
    """Maps of long texts side by side, weights (texts, N, S), with token numbers instead of words."""
    weights = array("weights", weights, "(texts, N, S)")
    labels = one_each("labels", labels, len(weights), "maps")
    width = min(4.2 * len(weights), 9.6)
    figure = plt.figure(figsize=(width + 0.9, width / len(weights) + 0.5), layout="constrained")
    axes = figure.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    for ax, each, label in zip(axes, weights, labels, strict=True):
        image = ax.imshow(each, cmap=WEIGHTS, vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(text(label), fontsize=10, **lettering())
        ax.set(xlabel="key: token looked at", xticks=range(0, each.shape[1] + 1, max(1, each.shape[1] // 4)))
        ax.spines[:].set_visible(False)
    axes[0].set(ylabel="query: token that looks", yticks=range(0, weights.shape[1] + 1, max(1, weights.shape[1] // 4)))
    _colour_bar(image, list(axes), "attention weight")
    figure.suptitle(text(title), x=0.01, ha="left", fontsize=12, **lettering())
    return figure


def _map(
    data, queries, keys, mask, numbers, title, ax, cmap, low, high, font=10.0, words=(True, True), bar=True
) -> Axes:
    data = array("a map", data, "(N, S)")
    keys = queries if keys is None else keys
    for name, side in ("queries", queries), ("keys", keys):
        if isinstance(side, str) or not hasattr(side, "__len__"):
            raise ValueError(f"{name} is {_door.told(side)}; it must be a list of words.")
    if data.shape != (len(queries), len(keys)):
        raise ValueError(f"a map of shape {data.shape} needs {data.shape} words; it got {(len(queries), len(keys))}.")
    numbers = data.size <= PRINTED_CELLS if numbers is None else numbers
    if ax is None:
        width, height = 0.46 * len(keys) + 2.2, 0.4 * len(queries) + 1.3
        highest = 7.6 if numbers else ONE_SCREEN  # printed numbers need their room
        _, ax = plt.subplots(figsize=(min(width, 9.0), min(height, highest)), layout="constrained")
    allowed = np.ones(data.shape, bool) if mask is None else _allowed(mask, data.shape)
    shown = np.where(allowed, data, np.nan)
    image = ax.imshow(shown, cmap=cmap, vmin=low, vmax=high)
    hidden = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in np.argwhere(~allowed)]
    ax.add_collection(PatchCollection(hidden, facecolor="#F2F2F2", edgecolor="#AAAAAA", hatch="////", linewidth=0))
    if numbers:
        for row, column in np.argwhere(allowed):
            red, green, blue, _ = image.cmap(image.norm(data[row, column]))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ink = "white" if dark else "black"
            ax.text(column, row, f"{data[row, column]:.2f}", ha="center", va="center", color=ink, fontsize=9)
    _words(ax, queries if words[0] else [], keys if words[1] else [], font)
    _lines_between_cells(ax, data.shape, "white")
    if title:
        ax.set_title(text(title), **lettering())
    if bar and not numbers and ax.figure.get_layout_engine() is not None:
        _colour_bar(image, ax, "attention weight" if cmap == WEIGHTS else "score")
    return ax


def _allowed(mask, shape):
    mask = array("mask", mask)
    try:
        return np.broadcast_to(mask.astype(bool), shape)
    except ValueError:
        raise ValueError(f"mask has shape {mask.shape} and the map {shape}: they must be equal.") from None


def _clipped(word, longest=28):
    """A word with no more letters than leave room for the map: Matplotlib would measure a million of them."""
    word = str(word)
    return word if len(word) <= longest else word[: longest - 1] + "…"


def _colour_bar(image, axes, label, shrink=0.7):
    bar = image.figure.colorbar(image, ax=axes, shrink=shrink, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(label)


def _words(ax, rows, columns, font, rotation=55):
    """Words on the left and on the top, each beside its row or column."""
    rows, columns = ([text(_clipped(word)) for word in side] for side in (rows, columns))
    ax.set_yticks(range(len(rows)), rows, fontsize=font, **lettering())
    alignment = {"ha": "left", "rotation_mode": "anchor"} if rotation else {}
    ax.set_xticks(range(len(columns)), columns, fontsize=font, rotation=rotation, **alignment, **lettering())
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)


def _lines_between_cells(ax, shape, color):
    ax.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    ax.grid(False)  # axes that were made elsewhere may have one
    ax.grid(which="minor", color=color, linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def _grid_columns(count: int) -> int:
    """Columns for `count` maps: one row up to 4, then as near to a square as a wide page likes."""
    return count if count <= 4 else next(c for c in (4, 6, 8, 12, 16, 24) if c * c >= count or c == 24)
