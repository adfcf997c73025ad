"""Anything goes: 500 gestures of mouse, finger and keyboard, drawn by lot, on every explorer. Needs no JupyterLab."""

from random import Random

import pytest
from test_accessibility import EXPLORERS, SETUP

GESTURES = 500
WARM = 50  # after these the page has made what it keeps: canvases, numbers' formats
KEYS = "ArrowLeft ArrowRight ArrowUp ArrowDown Home End Enter Space Escape Tab Shift+Tab Shift+ArrowDown a".split()
CONTROLS = ".mha :is(input, select, button, summary, [tabindex='0'])"


def explorers():
    space = {}
    exec(SETUP, space)
    return [(name, eval(call, space)) for name, calls in EXPLORERS.items() for call in calls[-1:]]


def heap(page, session):
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"]


def gesture(page, lot, box):
    """One of them: at a place of the explorer, or with the keyboard at one of its controls."""
    x, y = box["x"] + lot.random() * box["width"], box["y"] + lot.random() * min(box["height"], 850)
    kind = lot.choice(["move", "click", "tap", "drag", "key", "key", "choose"])
    if kind == "move":
        page.mouse.move(x, y)
    elif kind == "click":
        page.mouse.click(x, y, click_count=lot.choice([1, 1, 2]))
    elif kind == "tap":
        page.touchscreen.tap(x, y)
    elif kind == "drag":
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + lot.uniform(-200, 200), y + lot.uniform(-50, 50), steps=3)
        page.mouse.up()
    elif kind == "key":
        page.keyboard.press(lot.choice(KEYS))
    else:
        page.evaluate(
            "([css, i]) => { const all = document.querySelectorAll(css); all[i % all.length].focus(); }",
            [CONTROLS, lot.randrange(99)],
        )
    for opened in page.context.pages[1:]:  # a link to a lesson; a page behind another one answers a pointer in a second
        opened.close()


@pytest.mark.parametrize("name, explorer", explorers(), ids=EXPLORERS)
def test_500_gestures_bring_no_error_and_no_growing_page(browser, tmp_path, name, explorer):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, has_touch=True, offline=True)
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.goto(explorer.save_html(tmp_path / "page.html").as_uri())
    page.wait_for_selector(".mha-alive .mha")
    box = page.locator(".mha").bounding_box()
    session, lot = context.new_cdp_session(page), Random(name)
    for _ in range(WARM):
        gesture(page, lot, box)
    before = heap(page, session)
    for _ in range(GESTURES - WARM):
        gesture(page, lot, box)
    after = heap(page, session)
    context.close()
    assert complaints == []
    assert after < 1.2 * before, f"{before:,} bytes before, {after:,} after"
