import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from mha_lab import causal_mask, plots
from mha_lab.plots import look

WORDS = ["trophy", "suitcase", "it"]


@pytest.fixture(autouse=True)
def no_window():
    with matplotlib.rc_context():
        plt.switch_backend("Agg")
        yield
        plt.close("all")


def words(ticks):
    return [tick.get_text() for tick in ticks]


def test_a_notebook_goes_on_showing_figures_after_the_first():
    def load_backend():
        matplotlib.interactive(True)  # as the inline backend does when the first figure needs it

    matplotlib.interactive(False)
    look.styled(load_backend)()
    assert matplotlib.is_interactive()


def test_a_map_has_its_words_on_both_axes_and_a_fixed_scale():
    ax = plots.attention_map([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], WORDS[:2], WORDS, title="two look at three")
    assert words(ax.get_yticklabels()) == WORDS[:2] and words(ax.get_xticklabels()) == WORDS
    assert ax.images[0].get_clim() == (0, 1) and ax.images[0].cmap.name == "cividis"
    assert ax.get_title(loc="left") == "two look at three"


def test_small_maps_print_their_numbers_and_large_ones_do_not():
    small = plots.attention_map(np.eye(3), WORDS)
    large = plots.attention_map(np.eye(20), [str(i) for i in range(20)])
    assert sorted({text.get_text() for text in small.texts}) == ["0.00", "1.00"] and not large.texts


def test_masked_cells_are_hatched_and_neither_coloured_nor_printed():
    ax = plots.attention_map(torch.eye(3), WORDS, mask=causal_mask(3))
    hatched = ax.collections[0]
    assert len(hatched.get_paths()) == 3 and hatched.get_hatch()
    assert np.isnan(ax.images[0].get_array().filled(np.nan)).sum() == 3 and len(ax.texts) == 6


def test_scores_diverge_around_zero():
    ax = plots.score_map([[-1.0, 3.0], [float("-inf"), 0.0]], WORDS[:2])
    assert ax.images[0].get_clim() == (-3, 3)


@pytest.mark.parametrize("heads", [1, 2, 4, 5, 12, 16, 64])
def test_every_head_has_a_map_with_its_label(heads):
    figure = plots.head_maps(np.full((heads, 3, 3), 1 / 3), WORDS)
    titles = [ax.get_title() for ax in figure.axes if ax.images]
    assert titles == [f"head {i}" for i in range(heads)]
    assert figure.axes[-1].get_ylabel() == "attention weight", "one scale for all"


def test_curves_are_told_apart_by_marker_and_by_name_at_their_end():
    ax = plots.curves([1, 2, 4], {"raw": [1, 2, 4], "scaled": [1, 1, 1]}, xlabel="d", ylabel="variance", log="xy")
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert [text.get_text() for text in ax.texts] == ["raw", "scaled"]


def test_the_value_plane_marks_each_value_and_output():
    ax = plots.value_plane([[0, 0], [1, 0], [0, 1]], WORDS, [[0.3, 0.3]], output_labels=["average"])
    assert [text.get_text() for text in ax.texts] == [*WORDS, "average"]


def test_a_label_grid_shows_every_label():
    ax = plots.label_grid([["a", "b"], ["c", "d"]], rows=["r0", "r1"], columns=["c0", "c1"])
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c", "d"]


def test_drawing_leaves_matplotlib_settings_alone():
    before = dict(matplotlib.rcParams)
    plots.attention_map(np.eye(3), WORDS)
    assert dict(matplotlib.rcParams) == before


def test_drawing_on_given_axes_returns_them():
    _, ax = plt.subplots()
    assert plots.attention_map(np.eye(3), WORDS, ax=ax) is ax


def test_words_that_do_not_fit_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"shape \(3, 3\) needs .* it got \(2, 3\)"):
        plots.attention_map(np.eye(3), WORDS[:2], WORDS)


def test_seeds_draws_every_seed_and_the_mean():
    ax = plots.seeds([1, 2, 4], np.arange(6.0).reshape(3, 2), xlabel="heads", ylabel="quality", label="ours")
    line, *dots = ax.lines
    assert line.get_ydata().tolist() == [0.5, 2.5, 4.5]
    assert [seed.get_ydata().tolist() for seed in dots] == [[0, 2, 4], [1, 3, 5]]
    assert [text.get_text() for text in ax.texts] == ["ours"]


def test_a_weight_is_the_share_of_its_patch_that_is_covered_and_the_frame_encloses_what_is_marked():
    weights, marked = np.zeros((1, 4, 8)), np.zeros((1, 4, 8), bool)
    weights[0, 1, 2], weights[0, 3, 7], marked[0, :, 4:] = 0.0625, 0.9, True
    figure = plots.image_maps(np.zeros((1, 8, 16)), weights, marked, labels=["left"], full=0.25)
    *squares, page, frame = figure.axes[0].patches
    areas = {tuple(square.get_center()): square.get_width() * square.get_height() for square in squares}
    assert areas[5.0, 3.0] == 1.0 and areas[15.0, 7.0] == 4.0 and sum(areas.values()) == 5.0  # of patches of 2 × 2
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (8, 0, 8, 8)
    assert (page.get_width(), page.get_height()) == (16, 8)


def test_long_maps_share_one_scale_from_0_to_1():
    figure = plots.document_maps(np.random.default_rng(0).random((2, 64, 64)), labels=["head 0", "head 1"], title="far")
    left, right, _ = figure.axes
    assert [ax.images[0].get_clim() for ax in (left, right)] == [(0, 1)] * 2
    assert left.get_ylabel() and left.get_xlabel() and right.get_xlabel()


def test_a_label_stands_at_the_end_of_its_line_or_where_it_is_wanted():
    lines = {"near": [1.0, 1.0, 1.0], "far": [1.0, 0.5, 1.0]}
    ax = plots.curves([1, 2, 3], lines, xlabel="x", ylabel="y", label_at={"far": 1})
    assert {text.get_text(): text.xy for text in ax.texts} == {"near": (3, 1.0), "far": (2, 0.5)}
