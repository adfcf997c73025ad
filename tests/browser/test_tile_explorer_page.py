"""TileExplorer on a real page: stepped, played, resized and pointed at, by mouse, keyboard and finger."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

from mha_lab.widgets import TileExplorer

SHOW = "from mha_lab.widgets import TileExplorer\ntiles = TileExplorer()\ntiles"


@pytest.fixture
def root(lab):
    return shown(lab)


def shown(lab, code=SHOW):
    root = lab.show(code).locator(".mha-tiles")
    steady(root)
    return root


def where(root):
    return root.locator(".mha-tiles-line output").first


def numbers(root):
    """The table of fast memory, as it is written."""
    return root.locator(".mha-tiles-frame tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def cell(root, row, column, n=12):
    """The middle of a score in the picture, on the page."""
    grid = root.locator(".mha-tiles-grid").bounding_box()
    size = grid["width"] / n
    return grid["x"] + (column + 0.5) * size, grid["y"] + (row + 0.5) * size


def test_buttons_slider_and_python_step_and_the_numbers_are_those_of_python(lab, root):
    root.get_by_role("button", name="step ▶").click()
    lab.expect_python("tiles.step", 2)
    expect(where(root)).to_have_text("step 2 of 9: queries 0–3: write their output")
    root.get_by_label("step", exact=True).press("End")
    lab.expect_python("tiles.step", 9)
    expect(root.get_by_role("button", name="step ▶")).to_have_attribute("aria-disabled", "true")
    root.get_by_role("button", name="◀ back").click()
    lab.expect_python("tiles.step", 8)
    lab.python("tiles.set(step=4)")
    expect(where(root)).to_have_text("step 4 of 9: queries 4–7 × keys 4–7")
    largest, total = (lab.python(f"tiles.trace[3]['{name}'].tolist()") for name in ("largest", "total"))
    for row, m, sum_ in zip(numbers(root), largest, total, strict=True):
        assert row[5].replace("−", "-") == f"{m:.2f}" and row[7] == f"{sum_:.2f}"
    expect(root.locator(".mha-tiles-hidden")).to_have_count(6)


def test_arrow_keys_step_and_choose_a_query(lab, root):
    stage = root.locator(".mha-tiles-stage")
    stage.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("ArrowRight")
    lab.expect_python("tiles.step", 3)
    expect(root.locator("tr.mha-tiles-read th")).to_have_text("suitcase")  # the last of the tile, which sees the most
    lab.page.keyboard.press("ArrowUp")
    lab.expect_python("tiles.row", 6)
    expect(root.locator("tr.mha-tiles-read th")).to_have_text("the₂")
    lab.page.keyboard.press("Home")
    lab.expect_python("tiles.step", 0)
    expect(root.locator(".mha-tiles-readout")).to_contain_text("No place is made for the 144 scores")
    lab.page.keyboard.press("ArrowLeft")  # there is none before: the notebook does not scroll
    expect(stage).to_be_focused()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("Escape")
    lab.expect_python("[tiles.step, tiles.row]", [9, -1])


def test_pointing_at_a_score_tells_where_it_is_or_that_it_is_nowhere(lab, root):
    lab.python("tiles.set(step=4)")
    expect(where(root)).to_contain_text("step 4")
    told = root.locator(".mha-tiles-readout > p")
    for row, column, words in (
        (5, 4, "in fast memory, for this step"),
        (5, 6, "masked; it counts as nothing"),
        (1, 0, "in step 1: used, and forgotten"),
        (1, 9, "It is skipped"),
        (9, 2, "is not computed yet: its tile is step 6"),
    ):
        lab.page.mouse.move(*cell(root, row, column))
        expect(told).to_contain_text(words)
    lab.expect_python("tiles.pointed", [9, 2])
    expect(root.locator(".mha-tiles-readout dl")).to_contain_text("“it” waits")
    lab.page.mouse.click(*cell(root, 6, 0))
    lab.expect_python("tiles.row", 6)
    lab.page.mouse.move(1, 1)
    expect(told).to_have_text("")
    expect(root.locator("tr.mha-tiles-read th")).to_have_text("the₂")


def test_other_tiles_keep_the_place_and_change_what_is_held_and_moved(lab, root):
    lab.python("tiles.set(step=7)")  # queries 8–11, keys 4–7
    keys = root.get_by_role("slider", name="× keys")
    keys.press("ArrowLeft")
    lab.expect_python("[tiles.key_columns, tiles.step]", [3, 9])
    expect(where(root)).to_have_text("step 9 of 12: queries 8–11 × keys 3–5")
    bytes_ = lab.python("tiles.memory")
    expect(root).to_contain_text(f"needs {bytes_['held']:,} bytes of fast memory")
    expect(root).to_contain_text(f"At the end {bytes_['moved']:,} bytes are moved")
    expect(root).to_contain_text(f"slow memory it is {bytes_['moved_in_full']:,} bytes")
    root.get_by_label("causal").click()
    lab.expect_python("tiles.last", 15)
    expect(root.locator(".mha-tiles-skipped")).to_have_attribute("d", "")


def test_cells_show_scores_or_their_exponentials(lab, root):
    before = numbers(root)
    root.get_by_role("radio", name="exp(s − m)").click()
    lab.expect_python("tiles.cells", "weights")
    assert numbers(root) != before
    assert max(float(row[i]) for i, row in enumerate(numbers(root), 1) if row[i]) <= 1
    root.get_by_role("radio", name="exp(s − m)").press("ArrowLeft")
    lab.expect_python("tiles.cells", "scores")


def test_the_tables_hold_every_step_and_follow(lab, root):
    root.get_by_text("All steps, and the chart, as tables").click()
    rows = root.locator(".mha-tiles-table table").first.locator("tbody tr")
    expect(rows).to_have_count(9)
    read = lab.python("4 * tiles.trace[-1]['read']")
    expect(rows.last.locator("td").nth(5)).to_have_text(f"{read:,}")
    root.get_by_label("causal").click()
    expect(rows).to_have_count(12)


@pytest.mark.parametrize("size, most", [((1280, 720), 600), ((1024, 768), 660)], ids=str)
def test_it_stands_on_one_screen_and_reads_on_a_projector(lab, size, most):
    lab.page.set_viewport_size(dict(zip(("width", "height"), size)))
    try:
        root = shown(lab)
        assert root.bounding_box()["height"] <= most
        sizes = root.evaluate(
            """(root) => [...root.querySelectorAll('*')]
                .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
                .map((node) => parseFloat(getComputedStyle(node).fontSize))"""
        )
        assert min(sizes) >= 12
        assert root.evaluate("(root) => root.scrollWidth <= root.clientWidth")
        assert root.locator(".mha-tiles-frame").evaluate("(frame) => frame.scrollWidth <= frame.clientWidth")
    finally:
        lab.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = shown(lab)
    root.get_by_text("All steps, and the chart, as tables").click()
    for contrast in root.evaluate(CONTRAST), root.evaluate(f"(root) => ({CONTRAST})(root, 'fill')"):
        assert min(contrast.values()) >= 4.5, contrast


def test_it_answers_without_a_kernel(own_lab):
    root = shown(own_lab)
    own_lab.stop_kernel()
    root.get_by_role("button", name="step ▶").click()
    expect(where(root)).to_contain_text("step 2 of 9")


# a saved page --------------------------------------------------------------------------------------------------------

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_a_finger_reads_with_a_tap_and_keeps_with_a_second_one(opened):
    page = opened(TileExplorer(step=4), **PHONE)
    root = page.locator(".mha-tiles")
    root.locator(".mha-tiles-stage").scroll_into_view_if_needed()
    told, read = root.locator(".mha-tiles-readout > p"), root.locator("tr.mha-tiles-read th")
    page.touchscreen.tap(*cell(root, 6, 4))
    expect(told).to_contain_text("in fast memory")
    expect(read).to_have_text("the₂")
    page.touchscreen.tap(*cell(root, 6, 4))
    page.touchscreen.tap(*cell(root, 4, 0))
    expect(told).to_contain_text("was")  # what is read stays, without a finger on it
    page.touchscreen.tap(cell(root, 4, 0)[0], cell(root, 0, 0)[1] - 60)  # on no score: the kept query is read again
    expect(told).to_have_text("")
    expect(read).to_have_text("the₂")
    root.get_by_role("button", name="step ▶").tap()
    expect(where(root)).to_contain_text("step 5")


@pytest.mark.parametrize("n", [1, 12, 16])
def test_on_a_phone_nothing_is_cut_off_and_everything_is_large_enough_for_a_finger(opened, n):
    page = opened(TileExplorer(tokens=[f"w{i}" for i in range(n)], step=1), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    texts = page.locator(".mha-tiles text")
    boxes = texts.evaluate_all("(all) => all.map((t) => t.getBoundingClientRect().toJSON())")
    assert min(box["left"] for box in boxes) >= 0 and max(box["right"] for box in boxes) <= 390
    frame = page.locator(".mha-tiles-frame")
    assert frame.evaluate("(frame) => frame.scrollWidth <= frame.clientWidth")
    small = page.locator(".mha-tiles").evaluate(
        """(root) => [...root.querySelectorAll('button, input:not([type=checkbox]), label, summary')]
            .filter((node) => Math.min(...['width', 'height'].map((s) => node.getBoundingClientRect()[s])) < 24)
            .map((node) => node.outerHTML)"""
    )
    assert small == []


def test_it_plays_to_the_end_and_pauses(opened):
    root = opened(TileExplorer(step=8), reduced_motion="no-preference").locator(".mha-tiles")
    play, pause = (root.get_by_role("button", name=name) for name in ("play", "pause"))
    play.click()
    expect(pause).to_be_visible()
    expect(where(root)).to_contain_text("step 9 of 9")
    expect(play).to_be_visible()
    play.click()  # from the beginning
    expect(where(root)).to_contain_text("step 0 of 9")
    pause.click()
    expect(play).to_be_visible()


def test_who_wants_no_motion_goes_to_the_end_at_once(opened):
    page = opened(TileExplorer(), reduced_motion="reduce")
    page.get_by_role("button", name="to the end").click()
    expect(where(page.locator(".mha-tiles"))).to_contain_text("step 9 of 9")


def test_with_forced_colours_the_present_tile_and_what_is_chosen_are_seen(opened):
    page = opened(TileExplorer(step=4), forced_colors="active")
    root = page.locator(".mha-tiles")
    stroke = "(node) => getComputedStyle(node).stroke + getComputedStyle(node).strokeWidth"
    assert root.locator(".mha-tiles-present").evaluate(stroke) != root.locator(".mha-tiles-grid").evaluate(stroke)
    back = "(node) => getComputedStyle(node).backgroundColor"
    chosen, other = (root.get_by_role("radio", name=name).evaluate(back) for name in ("scores s", "exp(s − m)"))
    assert chosen != other
    assert Axe().run(page, context=".mha").response["violations"] == []


def test_large_tiles_and_wide_values_scroll_inside_their_frame(opened):
    rng = np.random.default_rng(0)
    page = opened(TileExplorer(*rng.normal(size=(3, 16, 8)), query_rows=16, key_columns=16), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
