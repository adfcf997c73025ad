import pickle
import sys
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from mha_lab import causal_mask, plots
from mha_lab._shown import wide_fonts
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


@pytest.mark.parametrize("rows", [3, 13, 15])
def test_a_map_of_a_sentence_is_seen_on_one_screen_of_720_lines(rows):
    names = [f"word {i}" for i in range(rows)]
    for ax in (
        plots.score_map(np.eye(rows), names, numbers=False, title="one"),
        plots.label_grid([["a", "b"]] * rows, rows=names, title="two"),
    ):
        assert ax.figure.get_figheight() * ax.figure.dpi <= 594
        ax.figure.canvas.draw()
        at = [label.get_window_extent() for label in ax.get_yticklabels()]
        assert all(upper.y0 >= lower.y1 - 1 for upper, lower in zip(at, at[1:])), "its words do not overlap"


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


def test_a_table_is_the_same_in_html_and_in_letters():
    shown = plots.table(["kind", "a <b>"], [["无", 1.5], ["plain", "x"]])
    assert repr(shown) == "kind   a <b>\n无     1.5\nplain  x"
    assert shown._repr_html_().count("<td") == 4 and "a &lt;b&gt;" in shown._repr_html_()


def test_the_first_line_of_a_table_says_nothing_of_what_is_in_it():
    """JupyterLab shows it in place of a hidden output."""
    assert plots.table(["a"], [["b"]])._repr_html_().splitlines()[0] == "<table>"


def test_a_table_says_which_row_does_not_fit():
    with pytest.raises(ValueError, match="there are 1 cells for 2 columns"):
        plots.table(["a", "b"], [["x"]])
    with pytest.raises(ValueError, match="head is 'ab'; it must be a list of words"):
        plots.table("ab", [["x", "y"]])


# numbers of any kind, words in any script ----------------------------------------------------------------------------

WORD, OTHER_WORD = r"$\nothing$", "银行"
EVERY_FIGURE = {
    "attention_map": lambda number, word: plots.attention_map(number(2, 2), [word, "b"], title=word),
    "score_map": lambda number, word: plots.score_map(number(2, 2), [word, "b"], title=word),
    "head_maps": lambda number, word: plots.head_maps(
        number(2, 1, 2), ["a"], [word, "c"], labels=["0", word], title=word
    ),
    "label_grid": lambda number, word: plots.label_grid(
        [[word]], rows=[word], columns=[word], tint=number(1, 1), title=word
    ),
    "image_maps": lambda number, word: plots.image_maps(number(1, 8, 16), number(1, 4, 8), labels=[word], title=word),
    "document_maps": lambda number, word: plots.document_maps(number(1, 4, 4), labels=[word], title=word),
    "curves": lambda number, word: plots.curves(number(3), {word: number(3)}, xlabel=word, ylabel=word, title=word),
    "seeds": lambda number, word: plots.seeds(
        number(3) + 1, number(3, 2), xlabel=word, ylabel=word, title=word, label=word
    ),
    "value_plane": lambda number, word: plots.value_plane(number(1, 2), [word], number(1, 2), output_labels=[word]),
}


def figure_of(drawn):
    return drawn if isinstance(drawn, Figure) else drawn.figure


def ones(*shape):
    return torch.ones(shape)


@pytest.mark.parametrize("draw", EVERY_FIGURE.values(), ids=EVERY_FIGURE)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_figure_takes_tensors_of_every_precision_with_or_without_gradients(draw, dtype):
    figure_of(draw(lambda *shape: torch.ones(shape, dtype=dtype, requires_grad=True), "word")).canvas.draw()


def test_half_precision_is_drawn_as_its_numbers():
    weights = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    for given in (weights.bfloat16(), [row.bfloat16() for row in weights]):
        shown = plots.attention_map(given, WORDS[:2]).images[0].get_array()
        assert shown.tolist() == weights.tolist()


@pytest.mark.parametrize("draw", EVERY_FIGURE.values(), ids=EVERY_FIGURE)
def test_a_word_with_two_dollars_is_a_word_in_every_figure(draw):
    figure = figure_of(draw(ones, WORD))
    figure.canvas.draw()  # mathematics that Matplotlib does not know would raise here
    drawn = [text for text in figure.findobj(Text) if text.get_text() == WORD]
    assert drawn and not any(text.get_parse_math() for text in drawn)


@pytest.mark.skipif(not wide_fonts(), reason="this machine has no font with Chinese letters")
@pytest.mark.parametrize("draw", EVERY_FIGURE.values(), ids=EVERY_FIGURE)
def test_chinese_words_are_drawn_in_every_figure(draw, recwarn):
    figure = figure_of(draw(ones, OTHER_WORD))
    figure.canvas.draw()
    assert not recwarn.list  # Matplotlib warns of every letter that its fonts lack
    assert OTHER_WORD in words(figure.findobj(Text))


@pytest.mark.skipif(not wide_fonts(), reason="this machine has no font with Chinese letters")
def test_chinese_words_are_drawn_on_axes_that_somebody_else_made(recwarn):
    _, ax = plt.subplots()
    plots.attention_map(np.eye(2), ["我", "b"], title="标题", ax=ax).figure.canvas.draw()
    assert not recwarn.list


@pytest.mark.parametrize("draw", EVERY_FIGURE.values(), ids=EVERY_FIGURE)
def test_without_a_font_for_chinese_one_line_names_the_package_to_install(draw, monkeypatch, recwarn):
    monkeypatch.setattr(look, "wide_fonts", dict)
    figure = figure_of(draw(ones, OTHER_WORD))
    figure.canvas.draw()
    (warning,) = recwarn.list
    assert "no font on this machine has 行 银" in str(warning.message)
    assert "apt install fonts-noto-cjk" in str(warning.message) and warning.filename == __file__
    assert "□□" in words(figure.findobj(Text))


def test_a_font_that_was_installed_after_matplotlib_listed_them_is_found_and_looked_for_once(monkeypatch):
    entry = SimpleNamespace(name="PingFang SC", fname="/new.ttc", weight=400, index=3)
    looks, manager = [], SimpleNamespace(ttflist=[SimpleNamespace(name="DejaVu Sans", fname="/old.ttf", weight=400)])

    def addfont(path):
        if path == "/broken.ttf":
            raise RuntimeError("no font")
        manager.ttflist.append(entry)

    manager.addfont = addfont
    monkeypatch.setattr(font_manager, "fontManager", manager)
    installed = ["/old.ttf", "/broken.ttf", "/new.ttc"]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: looks.append(1) or installed)
    wide_fonts.cache_clear()
    try:
        assert [wide_fonts(), wide_fonts()] == [{"PingFang SC": ("/new.ttc", 3)}] * 2 and looks == [1]
    finally:
        wide_fonts.cache_clear()


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plots.head_maps(np.eye(3), WORDS), r"weights has shape \(3, 3\); it must be \(H, N, S\)"),
        (lambda: plots.head_maps(np.ones((2, 3, 3)), WORDS, labels=["one"]), "there are 1 labels for 2 heads"),
        (lambda: plots.head_maps(np.ones((0, 3, 3)), WORDS), r"weights has shape \(0, 3, 3\)"),
        (lambda: plots.attention_map([["a"]], ["b"]), "a map is no block of numbers, but of <U1"),
        (lambda: plots.attention_map([[1.0], [1.0, 2.0]], ["b", "c"]), "a map is no block of numbers: .*inhomogeneous"),
        (lambda: plots.attention_map(torch.ones(2, 2, device="meta"), ["b", "c"]), "on the device meta has no numbers"),
        (lambda: plots.attention_map(None, ["b"]), "a map is no block of numbers, but of object: None"),
        (
            lambda: plots.attention_map(np.eye(3), WORDS, mask=np.eye(2)),
            r"mask has shape \(2, 2\) and the map \(3, 3\)",
        ),
        (lambda: plots.document_maps(np.eye(3), labels=["a"]), r"has shape \(3, 3\); it must be \(texts, N, S\)"),
        (lambda: plots.document_maps(np.ones((2, 3, 3)), labels="ab"), "labels is one string; it must be a list of 2"),
        (lambda: plots.image_maps(np.ones((2, 8, 8)), np.ones((1, 4, 4)), labels=["a", "b"]), "2 images and 1 blocks"),
        (lambda: plots.label_grid(["a", "b"]), r"labels have shape \(2,\)"),
        (lambda: plots.label_grid([["a", "b"]], columns=["c"]), "there are 1 columns for 2 columns: one for each"),
        (lambda: plots.value_plane(np.eye(3), WORDS), r"values has shape \(3, 3\): a point of a plane has 2 numbers"),
        (lambda: plots.curves([1, 2], {"a": [1]}, xlabel="", ylabel=""), "the line 'a' has 1 points and x 2"),
        (
            lambda: plots.curves([1, 2], {"a": [1, 2]}, xlabel="", ylabel="", label_at={"a": 2}),
            "point 2 of the line 'a'",
        ),
        (lambda: plots.score_map(np.eye(3), WORDS, reach=-1), "reach=-1: it is the score at the scale's upper end"),
        (lambda: plots.attention_map(np.eye(3), None), "queries is None; it must be a list of words"),
        (lambda: plots.attention_map(np.eye(3), WORDS, "abc"), "keys is the str 'abc'; it must be a list of words"),
        (lambda: plots.seeds([1, 2], np.ones((3, 1)), xlabel="", ylabel=""), "quality has 3 rows and x 2 numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(draw, message):
    with pytest.raises(ValueError, match=message) as refusal:
        draw()
    assert "\n" not in str(refusal.value)


def test_a_word_of_any_length_is_drawn_in_no_time_and_leaves_room_for_the_map():
    ax = plots.attention_map(np.eye(4), ["x" * 10**6, "b", "c", "d"])
    assert words(ax.get_yticklabels())[0] == "x" * 27 + "…"
    ax.figure.canvas.draw()
    assert ax.get_window_extent().width > 40


def test_every_one_of_many_curves_is_drawn():
    ax = plots.curves([1, 2], {str(i): [i, i] for i in range(25)}, xlabel="x", ylabel="y")
    assert len(ax.lines) == len(ax.texts) == 25


# other people's settings ---------------------------------------------------------------------------------------------

HOSTILE = {
    "text.usetex": True,
    "image.origin": "lower",
    "image.interpolation": "bilinear",
    "image.cmap": "jet",
    "image.aspect": "auto",
    "axes.grid": True,
    "axes.facecolor": "black",
    "axes.edgecolor": "red",
    "axes.titlesize": 30,
    "axes.titlecolor": "red",
    "axes.spines.left": False,
    "axes.unicode_minus": False,
    "axes.xmargin": 0.4,
    "axes.formatter.use_locale": True,
    "axes.autolimit_mode": "round_numbers",
    "figure.facecolor": "black",
    "figure.dpi": 40,
    "figure.figsize": (5, 5),
    "figure.autolayout": True,
    "savefig.facecolor": "black",
    "savefig.transparent": True,
    "font.family": ["serif"],
    "font.sans-serif": ["DejaVu Serif"],
    "font.size": 25,
    "font.weight": "bold",
    "text.color": "red",
    "text.parse_math": True,
    "lines.linewidth": 9,
    "lines.linestyle": ":",
    "lines.marker": "*",
    "lines.markersize": 20,
    "markers.fillstyle": "none",
    "hatch.color": "red",
    "hatch.linewidth": 5,
    "patch.force_edgecolor": True,
    "patch.linewidth": 6,
    "path.sketch": (5, 100, 2),
    "scatter.marker": "x",
    "xtick.color": "red",
    "xtick.labelsize": 30,
    "xtick.top": True,
    "xtick.labeltop": True,
    "xtick.minor.visible": True,
    "ytick.color": "red",
    "ytick.direction": "in",
    "ytick.labelsize": 30,
    "ytick.right": True,
    "grid.color": "red",
    "grid.linewidth": 4,
}


def pixels(draw):
    figure = figure_of(draw(lambda *shape: torch.linspace(0, 1, int(np.prod(shape))).view(shape), "word"))
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba()).copy()
    plt.close(figure)
    return image


@pytest.mark.parametrize("draw", EVERY_FIGURE.values(), ids=EVERY_FIGURE)
def test_every_figure_is_the_same_whatever_the_user_has_set(draw):
    expected = pixels(draw)
    with matplotlib.rc_context(HOSTILE):
        found = pixels(draw)
    assert found.shape == expected.shape and (found == expected).all()


ON_AXES = {
    "attention_map": lambda number, word, ax: plots.attention_map(number(3, 3), [word, "b", "c"], title=word, ax=ax),
    "score_map": lambda number, word, ax: plots.score_map(-number(3, 3), [word, "b", "c"], title=word, ax=ax),
    "label_grid": lambda number, word, ax: plots.label_grid([[word, "a"]], tint=number(1, 2), title=word, ax=ax),
    "curves": lambda number, word, ax: plots.curves(number(3) + 1, {word: number(3)}, xlabel=word, ylabel=word, ax=ax),
    "seeds": lambda number, word, ax: plots.seeds(number(3) + 1, number(3, 2), xlabel=word, ylabel=word, ax=ax),
    "value_plane": lambda number, word, ax: plots.value_plane(number(3, 2), [word, "b", "c"], title=word, ax=ax),
}


@pytest.mark.parametrize("draw", ON_AXES.values(), ids=ON_AXES)
def test_on_axes_that_were_made_in_other_settings_the_page_is_white_and_the_numbers_are_in_their_places(draw):
    """Lessons put several figures side by side, on axes of their own."""
    with matplotlib.rc_context(HOSTILE):
        figure, ax = plt.subplots()
        draw(lambda *shape: torch.linspace(0, 1, int(np.prod(shape))).view(shape), "word", ax)
        ax.annotate("what a lesson writes itself", (0, 0))
        figure.canvas.draw()  # asks for TeX, which this machine may lack, unless all its words go without
        assert figure.get_facecolor() == ax.get_facecolor() == (1, 1, 1, 1)
        for image in ax.images:
            assert image.origin == "upper" and image.get_interpolation() in ("auto", "nearest")
            assert not any(line.get_visible() for line in [*ax.get_xgridlines(), *ax.get_ygridlines()])
        ours = [text for text in figure.findobj(Text) if text.get_text() and not text.get_text().startswith("what")]
        assert not any(text.get_usetex() or text.get_color() == "red" for text in ours)


def test_a_figure_can_be_kept_on_disk():
    figure = plots.attention_map(np.eye(3), WORDS).figure
    assert pickle.loads(pickle.dumps(figure)).axes[0].get_yticklabels()[0].get_text() == "trophy"


class Shell:
    """Stands for the shell of a notebook's kernel."""

    kernel = SimpleNamespace(eventloop=None)

    def __init__(self):
        self.asked = []

    def enable_matplotlib(self, name):
        self.asked.append(name)
        matplotlib.rcParams["backend"] = "svg"


@pytest.mark.parametrize("backend, asked", [("agg", ["inline"]), ("TkAgg", ["inline"]), ("nbagg", []), ("", [])])
def test_a_notebook_shows_figures_where_the_environment_sends_them_elsewhere(backend, asked, monkeypatch):
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("MPLBACKEND", backend)
    for _ in range(2):
        plots.attention_map(np.eye(3), WORDS)
    assert shell.asked == asked


def test_a_way_to_show_figures_that_somebody_chose_stays(monkeypatch):
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("MPLBACKEND", "agg")
    with matplotlib.rc_context():
        matplotlib.rcParams["backend"] = "svg"
        plots.attention_map(np.eye(3), WORDS)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(shell, "kernel", SimpleNamespace(eventloop="a window's"), raising=False)
    plots.attention_map(np.eye(3), WORDS)
    assert shell.asked == []


def test_frames_stand_around_the_marked_cells_and_nowhere_else():
    ax = plots.attention_map(np.eye(3), WORDS[:3], numbers=False)
    before = len(ax.patches)
    assert plots.framed(ax, [[False, True, False], [False] * 3, [False, False, True]]) is ax
    frames = [patch for patch in ax.patches[before:] if not patch.get_fill()]
    assert sorted((patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in frames) == [(1, 0), (2, 2)]


def test_what_was_measured_stands_as_marks_beside_a_dashed_line_of_its_colour():
    ax = plots.measured([512, 1024], {"full": {512: 1.0}, "SDPA": {512: 1.0, 1024: 2.0}},
                        {"full": [1, 4], "SDPA": [1, 2]}, ylabel="ms")  # fmt: skip
    dashed, marks = ax.lines[::2], ax.lines[1::2]
    assert [line.get_linestyle() for line in dashed] == ["--", "--"]
    assert [list(line.get_xdata()) for line in marks] == [[512], [512, 1024]]
    for line, mark in zip(dashed, marks):
        assert line.get_color() == mark.get_color()
    assert len({mark.get_color() for mark in marks}) == len({mark.get_marker() for mark in marks}) == 2


@pytest.mark.parametrize(
    "tick, words", [(1e-5, "0.00001"), (0.3, "0.3"), (1, "1"), (131072, "131,072"), (2**20, "1,048,576"), (0, "0")]
)
def test_the_numbers_at_an_axis_are_written_as_people_write_them(tick, words):
    assert look.number(tick) == words


def test_no_axis_of_powers_says_1e_05():
    ax = plots.curves([1, 2**20], {"loss": [1, 1e-6]}, xlabel="steps", ylabel="loss", log="xy")
    ax.figure.canvas.draw()
    ticks = [tick.get_text() for axis in (ax.get_xticklabels(), ax.get_yticklabels()) for tick in axis]
    assert "1,048,576" in ticks and "0.0001" in ticks and not any("e" in tick for tick in ticks)
