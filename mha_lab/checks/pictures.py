"""Yours beside the target. Matplotlib is loaded only when a picture is drawn."""

from collections.abc import Callable, Sequence

import numpy as np

from mha_lab.checks.compare import ATOL, RTOL

SENTENCE = "the trophy did not fit in the suitcase because it was too big".split()


def weight_maps(yours: np.ndarray, target: np.ndarray, mask: np.ndarray):
    """Two maps (N, S) of weights. What is hidden is hatched, but for a weight that should not be there."""
    from mha_lab import plots

    def draw(weights, title, ax):
        rows, columns = words(weights.shape[0]), words(weights.shape[1])
        plots.attention_map(weights, rows, columns, mask=mask | (weights != 0), title=title, ax=ax)

    return _side_by_side(draw, yours, target)


def sentence_maps(yours: np.ndarray, target: np.ndarray, tokens: Sequence[str]):
    """Two maps (N, N) of a whole sentence, in colours without numbers; other sizes have the course's words."""
    from mha_lab import plots

    def draw(weights, title, ax):
        rows, columns = (list(tokens) if n == len(tokens) else words(n) for n in weights.shape)
        plots.attention_map(weights, rows, columns, numbers=False, title=title, ax=ax)

    return _side_by_side(draw, yours, target, cell=(0.27, 0.27))


def mask_maps(yours: np.ndarray, target: np.ndarray):
    """Two boolean masks (N, S), hatched where a query may not look."""
    from mha_lab import plots

    def draw(mask, title, ax):
        rows, columns = words(mask.shape[0]), words(mask.shape[1])
        plots.attention_map(np.ones(mask.shape), rows, columns, mask=mask, numbers=False, title=title, ax=ax)

    return _side_by_side(draw, yours, target)


def score_maps(yours: np.ndarray, target: np.ndarray):
    """Two maps (N, S) of raw scores, in the same colours."""
    from mha_lab import plots

    sizes = np.abs([yours, target])
    reach = float(sizes[np.isfinite(sizes)].max()) or 1.0  # a score may be NaN, and all of them 0

    def draw(scores, title, ax):
        rows, columns = words(scores.shape[0]), words(scores.shape[1])
        plots.score_map(scores, rows, columns, reach=reach, title=title, ax=ax)

    return _side_by_side(draw, yours, target)


def origin_grids(yours: np.ndarray, target: np.ndarray, rows: Sequence[str], origin: Callable):
    """Two grids that say where each number came from. origin gives a number's label and its shade, 0 to 1."""
    from mha_lab import plots

    def draw(numbers, title, ax):
        labels = [[origin(number)[0] for number in row] for row in numbers]
        tint = [[origin(number)[1] for number in row] for row in numbers]
        plots.label_grid(labels, rows=rows, tint=tint, title=title, ax=ax)

    return _side_by_side(draw, yours, target, cell=(0.8, 0.42))


def one_map(weights, tokens: Sequence[str], title: str, framed_row: int | None = None):
    """The map (N, N) of one recorded head, one row framed where that row is the question."""
    from mha_lab import plots

    figure = bare_figure(title, 6.4, 5.4)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    ax = plots.attention_map(weights, tokens, title=title, ax=figure.subplots())
    if framed_row is not None:
        _frame(ax, -0.5, framed_row - 0.5, len(tokens), 1)
    return figure


def maps_of_a_model(yours, theirs, tokens: Sequence[str], your_title: str, their_title: str):
    """The map (N, N) that a learner's function made in a model, and beside it the model's own."""
    from mha_lab import plots

    figure = bare_figure(f"{your_title}; {their_title}", 10, 4.9)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    for ax, weights, title in zip(figure.subplots(1, 2), (yours, theirs), (your_title, their_title), strict=True):
        plots.attention_map(weights, tokens, numbers=False, title=title, ax=ax)
    return figure


def bare_figure(label: str, width: float, height: float):
    """A figure of so many inches that draws nothing yet; the label is what a screen reader says of it."""
    from matplotlib.figure import Figure  # not pyplot: a figure that pyplot knows would be shown a second time

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_label(label)
    return figure


def words(count: int) -> list[str]:
    """The course's sentence from its start: a row or a column is easier to find by its word than by its number."""
    return [SENTENCE[i % len(SENTENCE)] for i in range(count)]


def _side_by_side(draw: Callable, yours: np.ndarray, target: np.ndarray, cell: tuple[float, float] = (0.5, 0.5)):
    from matplotlib.figure import Figure  # not pyplot: a figure that pyplot knows would be shown a second time

    height, width = yours.shape
    differs = ~np.isclose(yours, target, rtol=RTOL, atol=ATOL, equal_nan=True)
    maps = [("yours", yours), ("the target", target)] if differs.any() else [("yours, as it should be", yours)]
    figure = Figure(figsize=(len(maps) * (cell[0] * width + 1.2), cell[1] * height + 1.2))
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for ax, (title, numbers) in zip(axes, maps, strict=True):
        draw(numbers, title, ax)
    if not differs.all():  # frames around everything would point at nothing
        for row, column in np.argwhere(differs):
            _frame(axes[0], column - 0.42, row - 0.42, 0.84, 0.84)
    figure.set_label("yours beside the target; framed cells differ" if differs.any() else "yours")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # only now: maps with numbers need no colour bar
    return figure


def _frame(ax, left, top, width, height):
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="#CC3311", linewidth=1.6, clip_on=False))
