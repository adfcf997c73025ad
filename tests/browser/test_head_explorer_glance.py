"""HeadExplorer's one glance: slider, the four numbers, maps and times stand together on a projector, on a touch board,
and in a page that a phone opens; and a finger reads what a mouse does."""

from contextlib import contextmanager

import pytest
from live_lab import steady
from playwright.sync_api import expect

from mha_lab.pretrained import recorded, recorded_projection
from mha_lab.widgets import HeadExplorer

CODE = """
from mha_lab.pretrained import recorded_projection
from mha_lab.widgets import HeadExplorer
explorer = HeadExplorer.from_projection(*recorded_projection(), num_heads=12)
explorer
"""
TOGETHER = ".mha-heads-steer, .mha-heads-facts, .mha-heads-stage, .mha-chart, .mha-heads-timings-sentence"
NOTE = ".mha-heads-timings-note"  # device and threads
BOXES = """(root, parts) => [...root.querySelectorAll(parts)].map((node) => {
    const { left, top, right, bottom } = node.getBoundingClientRect();
    return { left, top, right, bottom, name: node.getAttribute('class') };
})"""
SCREEN = "() => document.querySelector('.jp-WindowedPanel-outer').clientHeight"
TOGGLE = "() => window.jupyterapp.commands.execute('application:toggle-left-area')"


def height(boxes):
    """From the top of the first to the bottom of the last."""
    return max(box["bottom"] for box in boxes) - min(box["top"] for box in boxes)


def settled(root):
    root.evaluate(
        """async (root) => {
            for (let seen; seen !== root.dataset.drawn; await new Promise((over) => setTimeout(over, 300)))
                seen = root.dataset.drawn;
        }"""
    )


def glance(root):
    """The boxes of what is to be seen together; nothing leaves the explorer at the side, and no two parts overlap."""
    settled(root)
    boxes = root.evaluate(BOXES, f"{TOGETHER}, {NOTE}")
    assert len(boxes) == 6, boxes
    [whole] = root.evaluate("(root) => [root.getBoundingClientRect().toJSON()]")
    for box in boxes:
        assert whole["left"] <= box["left"] + 1 and box["right"] <= whole["right"] + 1, box
        assert box["bottom"] > box["top"], box
    steer, facts, stage, chart, *words = boxes
    assert steer["bottom"] <= facts["top"] + 1 and facts["bottom"] <= stage["top"] + 1
    for other in chart, *words:
        assert other["left"] >= stage["right"] or other["top"] >= stage["bottom"], (other, stage)
    return boxes


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_heads_maps_times_and_numbers_stand_together_on_a_projector(lab, theme):
    lab.theme(theme)
    root = lab.show(CODE).locator(".mha-heads")
    steady(root)
    before = lab.page.viewport_size
    try:
        for files in False, True:
            if files:
                lab.page.evaluate(TOGGLE)
            for width, screen in (1280, 720), (1024, 768), (1920, 1080):
                lab.page.set_viewport_size({"width": width, "height": screen})
                for heads in 1, 12, 384:
                    lab.python(f"explorer.set_trait('num_heads', {heads})")
                    expect(root.locator(".mha-heads-facts")).to_contain_text(f"heads H{heads}")
                    boxes = glance(root)
                    room = lab.page.evaluate(SCREEN)
                    assert height(boxes) <= room, (width, screen, files, heads, height(boxes), room)
    finally:
        lab.page.set_viewport_size(before)
        if lab.page.evaluate("() => !window.jupyterapp.shell.leftCollapsed"):
            lab.page.evaluate(TOGGLE)


@contextmanager
def saved(browser, tmp_path, explorer, width, height, **options):
    path = explorer.save_html(tmp_path / "explorer.html")
    page = browser.new_page(viewport={"width": width, "height": height}, **options)
    try:
        page.goto(path.as_uri())
        root = page.locator(".mha-heads")
        steady(root)
        yield page, root
    finally:
        page.close()


def projection(**options):
    return HeadExplorer.from_projection(*recorded_projection(), **{"num_heads": 12, **options})


@pytest.mark.parametrize("width, screen", [(1280, 720), (1024, 768)])
def test_they_stand_together_in_a_saved_page(browser, tmp_path, width, screen):
    with saved(browser, tmp_path, projection(), width, screen) as (_, root):
        assert height(glance(root)) <= screen


def test_on_a_phone_they_stand_one_below_the_other_and_the_slider_stays_in_sight(browser, tmp_path):
    options = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with saved(browser, tmp_path, projection(), 390, 844, **options) as (page, root):
        glance(root)
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390
        root.locator(".mha-heads-timings-note").scroll_into_view_if_needed()
        slider = root.get_by_role("slider").bounding_box()
        assert slider["y"] >= 0 and slider["y"] + slider["height"] <= 844, "the slider is out of sight"
        small = root.evaluate(
            """(root) => [...root.querySelectorAll('button, select, summary, input')].map((node) => {
                const { width, height } = (node.closest('label') ?? node).getBoundingClientRect();
                return [node.outerHTML.slice(0, 80), width, height];
            }).filter(([, width, height]) => width && (width < 24 || height < 24))"""
        )
        assert small == []


class Finger:
    """A finger on a page: taps, and drags in steps."""

    def __init__(self, page):
        self.page = page
        self.session = page.context.new_cdp_session(page)

    def send(self, kind, *points):
        touches = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def tap(self, at):
        self.page.touchscreen.tap(*at)

    def drag(self, start, end, steps=6):
        self.send("touchStart", start)
        for step in range(1, steps + 1):
            self.send("touchMove", tuple(a + (b - a) * step / steps for a, b in zip(start, end)))
        self.send("touchEnd")


def place(root, index, query=0, key=0):
    """The middle of a cell of the map that is drawn as the index-th, on the page."""
    stage = root.locator(".mha-heads-stage")
    stage.scroll_into_view_if_needed()
    return stage.evaluate(
        """(stage, [index, query, key]) => {
            const { x, y, cell } = stage.places.at(index);
            const { left, top } = stage.getBoundingClientRect();
            return [left + x + (key + 0.5) * cell, top + y + (query + 0.5) * cell];
        }""",
        [index, query, key],
    )


@pytest.mark.parametrize("width, screen", [(390, 844), (1920, 1080)], ids=["phone", "touch board"])
def test_a_tap_reads_a_second_one_enlarges_and_a_tap_on_the_enlarged_map_reads_again(browser, tmp_path, width, screen):
    explorer = HeadExplorer(recorded(), layer=2)
    options = {"has_touch": True, "is_mobile": width < 500}
    with saved(browser, tmp_path, explorer, width, screen, **options) as (page, root):
        finger, readout = Finger(page), root.locator(".mha-heads-readout")
        expect(readout).to_contain_text("Tap a cell to read its weight")
        finger.tap(place(root, 3, 10, 2))
        expect(readout).to_contain_text("head 3: it → trophy")
        finger.tap(place(root, 3, 10, 2))
        expect(root.get_by_role("option", name="head 3", exact=True)).to_have_attribute("aria-selected", "true")
        finger.tap(place(root, -1, 4, 2))
        expect(readout).to_contain_text("head 3: not → trophy")
        finger.tap(place(root, -1, 10, 8))
        expect(readout).to_contain_text("head 3: it → suitcase")
        expect(root.get_by_role("option", name="head 3", exact=True)).to_have_attribute("aria-selected", "true")
        finger.drag(place(root, -1, 10, 8), place(root, -1, 10, 1))
        expect(readout).to_contain_text("head 3: it → the₁")
        width, wide, high, tall = readout.evaluate(
            "({ clientWidth, scrollWidth, clientHeight, scrollHeight }) => "
            "[clientWidth, scrollWidth, clientHeight, scrollHeight]"
        )
        assert wide <= width and tall <= high + 4, f"cut: {readout.text_content()}"
        finger.tap(place(root, -1, 10, 1))
        finger.tap(place(root, -1, 10, 1))
        expect(root.get_by_role("option", name="head 3", exact=True)).to_have_attribute("aria-selected", "false")


def test_a_finger_reads_words_beside_lines_and_enters_a_thumbnail_of_the_overview(browser, tmp_path):
    explorer = HeadExplorer(recorded(), layer=2)
    with saved(browser, tmp_path, explorer, 390, 844, has_touch=True, is_mobile=True) as (page, root):
        finger, readout = Finger(page), root.locator(".mha-heads-readout")
        root.get_by_role("radio", name="Lines").tap()
        lines = root.locator(".mha-heads-stage").evaluate(
            """(stage) => {
                stage.scrollIntoView();
                const { left, top } = stage.getBoundingClientRect();
                const { x, top: [first], step } = stage.lines;
                return [left + x - 10, top + first + 10 * step];
            }"""
        )
        finger.tap(lines)
        expect(readout).to_contain_text("head 0: it → ")
        root.get_by_role("radio", name="All layers").tap()
        settled(root)
        expect(readout).to_have_text("All layers and heads: tap one to read where it looks, tap it twice to enter it.")
        at = place(root, 4 * 12 + 7, 1, 1)
        finger.tap(at)
        expect(readout).to_contain_text("layer 4, head 7: ")
        finger.tap(at)
        expect(root.get_by_role("radio", name="Maps")).to_have_attribute("aria-checked", "true")
        expect(root.get_by_role("slider")).to_have_value("4")
        expect(root.get_by_role("option", name="head 7", exact=True)).to_have_attribute("aria-selected", "true")
