"""pointing.js by mouse and finger: a touch reads, a second tap pins, a drag on a thing reads and elsewhere scrolls."""

import javascript as modules
import pytest

PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><title>pointing</title>
<style>body { margin: 0; height: 3000px } #stage { height: 400px; position: relative }
i { position: absolute; top: 0; width: 90px; height: 90px; background: #ddd }</style>
<div id="stage"><i id="a" style="left: 0"></i><i id="b" style="left: 100px"></i></div>
<script type="module">
import { pointing } from "/src/shared/pointing.js";
window.heard = [];
const stage = document.getElementById("stage");
window.end = pointing(stage, {
    read({ target }) {
        const name = target.id === "stage" ? null : target.id;
        if (heard.at(-1) !== `read ${name}`) heard.push(`read ${name}`);
        return name;
    },
    pin: ({ target }) => heard.push(`pin ${target.id}`),
    clear: () => heard.push("clear"),
});
</script>"""


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 390, "height": 600}, has_touch=True)
    page = context.new_page()
    modules.serve(page, {"pointing": PAGE})
    page.goto(f"{modules.ADDRESS}pointing")
    page.wait_for_function("typeof window.end === 'function'")
    yield page
    context.close()


def heard(page):
    return page.evaluate("heard.splice(0)")


def dragged(page, start, end):
    """A finger put down, moved in steps and lifted, as the browser itself handles it."""
    client = page.context.new_cdp_session(page)

    def touch(kind, *points):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", start)
    for step in range(1, 11):
        touch("touchMove", tuple(a + (b - a) * step / 10 for a, b in zip(start, end)))
    touch("touchEnd")
    page.wait_for_timeout(100)  # ms


def test_a_mouse_reads_as_it_moves_pins_with_a_click_and_clears_as_it_leaves(page):
    page.mouse.move(50, 50)
    page.mouse.move(150, 50)
    assert heard(page) == ["read a", "read b"]
    page.mouse.click(150, 50)
    assert heard(page)[-1] == "pin b"
    page.mouse.move(150, 500)
    assert heard(page)[-1] == "clear"


def test_the_second_click_of_a_double_click_pins_nothing(page):
    page.mouse.dblclick(50, 50)
    assert heard(page) == ["read a", "pin a"]


def test_a_tap_reads_a_second_one_on_the_same_thing_pins_and_the_next_reads_again(page):
    page.touchscreen.tap(50, 50)
    assert heard(page) == ["read a"]
    page.touchscreen.tap(150, 50)
    assert heard(page) == ["read b"]
    page.touchscreen.tap(155, 55)
    assert heard(page)[-1] == "pin b"
    page.touchscreen.tap(155, 55)
    assert "pin b" not in heard(page)


def test_a_tap_on_nothing_clears(page):
    page.touchscreen.tap(50, 50)
    page.touchscreen.tap(300, 300)
    assert heard(page) == ["read a", "read null", "clear"]


def test_a_drag_that_begins_on_a_thing_reads_along_and_does_not_scroll(page):
    dragged(page, (50, 80), (150, 20))
    assert heard(page) == ["read a", "read null", "read b"]
    assert page.evaluate("scrollY") == 0


def test_a_drag_that_begins_on_nothing_scrolls_the_page(page):
    dragged(page, (300, 350), (300, 50))
    assert page.evaluate("scrollY") > 100
    assert not [word for word in heard(page) if word.startswith("pin")]


def test_what_has_ended_hears_nothing(page):
    page.evaluate("window.end()")
    page.mouse.click(50, 50)
    page.touchscreen.tap(50, 50)
    assert heard(page) == []
