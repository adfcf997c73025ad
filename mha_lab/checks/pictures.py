"""Yours beside the target. Matplotlib is loaded only when a picture is drawn."""

from collections.abc import Callable, Sequence

import numpy as np

SENTENCE = "the trophy did not fit in the suitcase because it was too big".split()


def weight_maps(yours: np.ndarray, target: np.ndarray):
    """Two maps (N, S) of weights, or of a boolean mask as 0 and 1."""
    from mha_lab import plots

    return _side_by_side(plots.attention_map, yours, target)


def score_maps(yours: np.ndarray, target: np.ndarray):
    """Two maps (N, S) of raw scores."""
    from mha_lab import plots

    return _side_by_side(plots.score_map, yours, target)


def origin_grids(yours: np.ndarray, target: np.ndarray, rows: Sequence[str], origin: Callable[[float], tuple[str, float]]):
    """Two grids that say where each number came from. origin gives a number's label and its shade, 0 to 1."""
    from mha_lab import plots

    figure, axes = _page(yours.shape, cell=0.62)
    for ax, title, numbers in zip(axes, ("yours", "the target"), (yours, target), strict=True):
        labels = [[origin(number)[0] for number in row] for row in numbers]
        tint = [[origin(number)[1] for number in row] for row in numbers]
        plots.label_grid(labels, rows=rows, tint=tint, title=title, ax=ax)
    _outline_differences(axes[0], yours, target)
    return figure


def one_map(weights, tokens: Sequence[str], title: str, framed_row: int | None = None):
    """The map (N, N) of one recorded head, one row framed where that row is the question."""
    from matplotlib.figure import Figure

    from mha_lab import plots

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    figure.set_label(title)
    ax = plots.attention_map(weights, tokens, title=title, ax=figure.subplots())
    if framed_row is not None:
        _frame(ax, -0.5, framed_row - 0.5, len(tokens), 1)
    return figure


def _side_by_side(draw, yours, target):
    figure, axes = _page(yours.shape, cell=0.5)
    rows, columns = words(yours.shape[0]), words(yours.shape[1])
    for ax, title, numbers in zip(axes, ("yours", "the target"), (yours, target), strict=True):
        draw(numbers.astype(float), rows, columns, title=title, ax=ax)
    _outline_differences(axes[0], yours, target)
    return figure


def words(count: int) -> list[str]:
    """The first words of the course's sentence, beside which a row or a column is easier to find than by its number."""
    return [SENTENCE[i % len(SENTENCE)] for i in range(count)]


def _page(shape, cell):
    from matplotlib.figure import Figure  # not pyplot: a figure that pyplot knows would be shown a second time

    size = (2 * (cell * shape[1] + 2.0), cell * shape[0] + 1.3)
    figure = Figure(figsize=size, layout="constrained")
    figure.set_label("yours beside the target; outlined cells differ")
    return figure, figure.subplots(1, 2)


def _outline_differences(ax, yours, target):
    for row, column in np.argwhere(~np.isclose(yours, target, rtol=1e-3, atol=1e-5, equal_nan=True)):
        _frame(ax, column - 0.42, row - 0.42, 0.84, 0.84)


def _frame(ax, left, top, width, height):
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="#CC3311", linewidth=1.6, clip_on=False))
