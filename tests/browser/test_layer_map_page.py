"""LayerMap on a real page: pointed at, tapped and walked along; its sizes moved, typed and refused; lit from Python."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

from mha_lab.widgets import LayerMap
from mha_lab.widgets._layer_parts import MODES, parts_of

SHOW = "from mha_lab.widgets import LayerMap\nlayer = LayerMap()\nlayer"


@pytest.fixture
def root(lab):
    return shown(lab)


def shown(lab, code=SHOW):
    root = lab.show(code).locator(".mha-layer")
    steady(root)
    return root


def part(root, name):
    return root.locator(f"[data-part={name}]")


def title(root):
    return root.locator(".mha-layer-readout b")


def fact(root, what):
    return root.locator(".mha-layer-readout dl div", has_text=what).locator("dd")


def over(page, root, name):
    """The pointer goes to a place of the part that is its own."""
    box = part(root, name).locator(".mha-layer-hit").bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)


def test_pointing_at_a_part_tells_its_formula_shape_and_costs(lab, root):
    expect(title(root)).to_have_text("the layer")
    over(lab.page, root, "scores")
    expect(title(root)).to_have_text("scores")
    expect(fact(root, "formula")).to_have_text("scores = q · kᵀ / √K")
    expect(fact(root, "shape")).to_have_text("(B, H, N, S) = (1, 8, 512, 512)")
    expect(fact(root, "FLOPs")).to_have_text("2·B·H·N·S·K = 268,435,456")
    expect(fact(root, "lesson")).to_have_text("01 · Single-head attention")
    over(lab.page, root, "output")
    expect(fact(root, "parameters")).to_have_text("H·K·D + D = 262,656")
    lab.expect_python("layer.pointed", "output")
    lab.page.mouse.move(1, 1)
    expect(title(root)).to_have_text("the layer")
    lab.expect_python("layer.pointed", "")


def test_a_click_keeps_a_part_and_another_lets_it_go(lab, root):
    query = part(root, "query")
    query.click()
    expect(query).to_have_attribute("aria-pressed", "true")
    lab.page.mouse.move(1, 1)
    expect(title(root)).to_have_text("query")
    lab.expect_python("layer.pinned", "query")
    query.click()
    lab.expect_python("layer.pinned", "")


def test_arrow_keys_walk_along_the_flow(lab, root):
    names = [each.name for each in parts_of("self")]
    part(root, "tokens").focus()
    for name in names[1:]:
        lab.page.keyboard.press("ArrowRight")
        expect(part(root, name)).to_be_focused()
        expect(title(root)).to_have_text(next(each.label for each in parts_of("self") if each.name == name))
    lab.page.keyboard.press("ArrowDown")  # the last: stays, and the notebook does not scroll
    expect(part(root, "output")).to_be_focused()
    lab.page.keyboard.press("ArrowLeft")
    expect(part(root, "concat")).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(part(root, "concat")).to_have_attribute("aria-pressed", "true")
    lab.page.keyboard.press("Home")
    expect(part(root, "tokens")).to_be_focused()
    expect(root.locator("[data-part][tabindex='0']")).to_have_count(1)
    lab.page.keyboard.press("Escape")
    lab.expect_python("[layer.pinned, layer.pointed]", ["", ""])


def test_each_part_has_a_name_that_says_all(root):
    name = part(root, "softmax").get_attribute("aria-label")
    assert name == (
        "softmax. Softmax turns the scores of a query into weights: none is below 0, and together they are 1. "
        "weights = softmax(scores). Shape (B, H, N, S) = (1, 8, 512, 512)."
    )


def test_sliders_move_the_shapes_and_the_totals(lab, root):
    heads, shared = root.get_by_label("heads H, by steps", exact=True), root.get_by_label("K/V heads G, by steps")
    heads.press("ArrowRight")
    lab.expect_python("[layer.num_heads, layer.num_kv_heads]", [16, None])
    expect(root.locator(".mha-layer-size output").first).to_have_text("MHA")
    shared.press("Home")
    lab.expect_python("layer.num_kv_heads", 1)
    expect(root).to_contain_text("16 heads of 32, 16 to a key")
    expect(shared).to_have_attribute("aria-valuetext", "1, MQA")
    shared.press("ArrowRight")
    shared.press("ArrowRight")
    lab.expect_python("layer.num_kv_heads", 4)
    heads.press("ArrowLeft")
    heads.press("ArrowLeft")
    heads.press("ArrowLeft")
    lab.expect_python("[layer.num_heads, layer.num_kv_heads]", [2, 2])
    expect(root.locator(".mha-layer-total").first).to_have_text("1.05 million")
    root.get_by_label("tokens N, by steps").press("ArrowRight")
    lab.expect_python("layer.tokens", 1024)
    expect(part(root, "scores")).to_contain_text("(1, 2, 1024, 1024)")


def test_a_layer_that_cannot_be_is_answered_in_a_sentence_and_what_was_typed_stays(lab, root):
    note, heads = root.locator(".mha-layer-note"), root.get_by_label("heads H", exact=True).first
    heads.fill("7")
    heads.press("Tab")
    expect(note).to_have_text(re.compile("^d_model=512 cannot be split over num_heads=7: 512 / 7 leaves 1; divisors"))
    expect(heads).to_have_value("7")
    expect(heads).to_have_attribute("aria-invalid", "true")
    assert lab.python("layer.num_heads") == 8
    root.get_by_label("d_head K").fill("64")
    lab.expect_python("layer.d_head", 64)
    expect(heads).to_have_value("8")
    heads.fill("7")  # with a width of their own, seven heads go together with any d_model
    lab.expect_python("[layer.num_heads, layer.sizes['K']]", [7, 64])
    expect(note).to_contain_text("Point at a part")
    root.get_by_label("= D / H").click()
    expect(note).to_have_text(re.compile("^d_model=512 cannot be split"))
    expect(root.get_by_label("= D / H")).not_to_be_checked()


def test_context_and_cache_have_keys_of_their_own(lab, root):
    keys = root.get_by_label("keys S")
    expect(keys).to_be_disabled()
    root.get_by_role("radio", name="with a cache").click()
    lab.expect_python("[layer.mode, layer.tokens, layer.num_keys]", ["cache", 1, 512])
    expect(keys).to_be_enabled()
    expect(root.locator(".mha-layer-total").last).to_have_text("1 MiB")
    over(lab.page, root, "cache")
    expect(fact(root, "bytes")).to_have_text("2·B·G·S·K numbers = 1 MiB")
    expect(part(root, "key")).to_contain_text("(1, 1, 512)")
    keys.fill("0")
    keys.press("Tab")
    expect(root.locator(".mha-layer-note")).to_have_text("num_keys=0: it must lie between 1 and 131,072.")
    root.get_by_role("radio", name="with a cache").press("ArrowLeft")
    lab.expect_python("[layer.mode, layer.tokens]", ["cross", 512])
    expect(root.get_by_role("radio", name="cross")).to_be_focused()
    expect(part(root, "context")).to_be_visible()
    expect(part(root, "cache")).to_have_count(0)
    keys.fill("20")
    lab.expect_python("layer.num_keys", 20)
    expect(part(root, "key")).to_contain_text("(1, 20, 512)")


def test_python_lights_parts_and_sets_every_size(lab, root):
    lab.python("layer.set(lit=['concat', 'output'], num_heads=4, num_kv_heads=2, mode='causal')")
    expect(part(root, "concat")).to_have_class(re.compile("mha-layer-lit"))
    expect(title(root)).to_have_text("concat")
    expect(root.get_by_label("heads H", exact=True).first).to_have_value("4")
    expect(part(root, "mask")).to_be_visible()
    lab.python("layer.set(lit=[], pinned='mask')")
    expect(root.locator(".mha-layer-lit")).to_have_count(0)
    expect(title(root)).to_have_text("mask")


def test_the_table_holds_all_parts_and_follows(lab, root):
    root.get_by_text("All parts as a table").click()
    rows = root.locator("tbody tr")
    expect(rows).to_have_count(len(parts_of("self")) + 1)
    counted = lab.python("[sum(p[w] for p in layer.parts.values()) for w in ('parameters', 'flops')]")
    expect(rows.last.locator("td").nth(3)).to_have_text(f"{counted[0]:,}")
    expect(rows.last.locator("td").nth(4)).to_have_text(f"{counted[1]:,}")
    root.get_by_role("radio", name="cross").click()
    expect(rows).to_have_count(len(parts_of("cross")) + 1)


@pytest.mark.parametrize("size", [(1280, 720), (1024, 768)], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_it_stands_on_one_screen_and_reads_on_a_projector(lab, size, mode):
    lab.page.set_viewport_size(dict(zip(("width", "height"), size)))
    try:
        root = shown(
            lab, f"from mha_lab.widgets import LayerMap\nLayerMap(mode={mode!r}, num_kv_heads=2, lit='scores')"
        )
        expect(root.locator("svg")).to_have_attribute("height", "332")
        assert root.bounding_box()["height"] <= 560
        sizes = root.evaluate(
            """(root) => [...root.querySelectorAll('*')]
                .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
                .map((node) => parseFloat(getComputedStyle(node).fontSize))"""
        )
        assert min(sizes) >= 12
        assert root.evaluate("(root) => root.scrollWidth <= root.clientWidth")
    finally:
        lab.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = shown(lab)
    root.get_by_text("All parts as a table").click()
    root.get_by_label("heads H", exact=True).first.fill("7")
    root.get_by_label("heads H", exact=True).first.press("Tab")
    expect(root.locator(".mha-layer-wrong")).to_be_visible()
    for contrast in root.evaluate(CONTRAST), root.evaluate(f"(root) => ({CONTRAST})(root, 'fill')"):
        assert min(contrast.values()) >= 4.5, contrast


def test_it_answers_without_a_kernel(own_lab):
    root = shown(own_lab)
    own_lab.stop_kernel()
    root.get_by_role("radio", name="causal").click()
    over(own_lab.page, root, "mask")
    expect(title(root)).to_have_text("mask")


# a saved page --------------------------------------------------------------------------------------------------------


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_a_finger_reads_with_a_tap_and_keeps_with_a_second_one(opened):
    page = opened(LayerMap(mode="causal"), **PHONE)
    root = page.locator(".mha-layer")
    part(root, "query").scroll_into_view_if_needed()
    part(root, "query").tap()
    expect(title(root)).to_have_text("query")
    expect(part(root, "query")).to_have_attribute("aria-pressed", "false")
    part(root, "query").tap()
    expect(part(root, "query")).to_have_attribute("aria-pressed", "true")
    part(root, "mask").scroll_into_view_if_needed()
    part(root, "mask").tap()
    expect(title(root)).to_have_text("mask")


def test_a_finger_that_moves_takes_the_read_out_along(opened):
    page = opened(LayerMap(), **PHONE)
    root = page.locator(".mha-layer")
    part(root, "key").scroll_into_view_if_needed()
    session = page.context.new_cdp_session(page)
    for kind, name in ("touchStart", "query"), ("touchMove", "key"), ("touchMove", "value"):
        box = part(root, name).locator(".mha-layer-hit").bounding_box()
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 60}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        expect(title(root)).to_have_text(name)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(title(root)).to_have_text("value")
    expect(root.locator("[aria-pressed=true]")).to_have_count(0)


@pytest.mark.parametrize("mode", MODES)
def test_on_a_phone_everything_stands_below_each_other_and_nothing_is_cut_off(opened, mode):
    page = opened(LayerMap(mode=mode, num_kv_heads=2, lit="output"), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    boxes = page.locator(".mha-layer text").evaluate_all("(all) => all.map((t) => t.getBoundingClientRect().toJSON())")
    assert min(box["left"] for box in boxes) >= 0 and max(box["right"] for box in boxes) <= 390
    small = page.locator(".mha-layer").evaluate(
        """(root) => [...root.querySelectorAll('button, input:not([type=checkbox]), label, summary, .mha-layer-hit')]
            .filter((node) => Math.min(...['width', 'height'].map((s) => node.getBoundingClientRect()[s])) < 24)
            .map((node) => node.outerHTML)"""
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["forced", "plain"])
def test_what_is_lit_and_chosen_is_seen_with_forced_colours_too(opened, scheme):
    page = opened(LayerMap(lit="scores"), forced_colors="active" if scheme == "forced" else "none")
    root = page.locator(".mha-layer")
    stroke = "(node) => getComputedStyle(node).stroke + getComputedStyle(node).strokeWidth"
    lit, other = (part(root, name).locator(".mha-layer-hit").evaluate(stroke) for name in ("scores", "x"))
    assert lit != other
    back = "(node) => getComputedStyle(node).backgroundColor"
    assert root.get_by_role("radio", name="self").evaluate(back) != root.get_by_role("radio", name="cross").evaluate(
        back
    )
    assert Axe().run(page, context=".mha").response["violations"] == []
