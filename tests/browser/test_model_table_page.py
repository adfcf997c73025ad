"""ModelTable on a real page: sorted, asked, opened and pointed at by mouse, keyboard and finger; what follows it."""

import re

import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

from mha_lab.published import MODELS
from mha_lab.widgets import ModelTable

SHOW = "from mha_lab.widgets import ModelTable\ntable = ModelTable({})\ntable"
PIXELS = """(svg) => [...svg.querySelectorAll('circle')].map((dot) => {
    const box = svg.getBoundingClientRect();
    return [box.x + Number(dot.getAttribute('cx')), box.y + Number(dot.getAttribute('cy')), dot.classList.value];
})"""


@pytest.fixture
def root(lab):
    return shown(lab)


def shown(lab, options=""):
    root = lab.show(SHOW.format(options)).locator(".mha-models")
    steady(root)
    expect(root.locator("tbody")).to_have_attribute("data-waiting", "0")  # the rows out of sight come in idle time
    return root


def rows(root):
    return root.locator("tbody th button")


def chip(root, text):
    return root.locator(".mha-models-asks").get_by_role("button", name=text, exact=True)


def head(root, name):
    return root.locator(f"thead [data-column={name}]")


def row(root, name):
    return root.locator(f"tbody tr[data-model='{name}']")


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order_round(lab, root):
    expect(rows(root)).to_have_count(len(MODELS))
    expect(rows(root).first).to_have_text("BERT-base")
    expect(head(root, "year")).to_have_attribute("aria-sort", "ascending")
    head(root, "cached").get_by_role("button").click()
    expect(rows(root).first).to_have_text("Kimi-Linear-48B-A3B")
    expect(rows(root).last).to_have_text("DeepSeek-V4-Pro")  # not known
    head(root, "cached").get_by_role("button").click()
    expect(rows(root).first).to_have_text("Olmo 3 7B")
    expect(rows(root).last).to_have_text("DeepSeek-V4-Pro")
    expect(head(root, "cached")).to_have_attribute("aria-sort", "descending")
    expect(head(root, "year")).to_have_attribute("aria-sort", "none")
    lab.expect_python("[table.sort, table.descending]", ["cached", True])
    expect(rows(root)).to_have_count(45)
    assert rows(root).all_text_contents() == lab.python("table.answers")
    lab.python("table.set_trait('sort', 'gate')")
    expect(rows(root).last).to_have_text("LFM3-1.7B")  # descending: those that have it come last


def test_rows_out_of_sight_come_later_and_at_once_where_somebody_goes_there(opened):
    page = opened(ModelTable())
    root = page.locator(".mha-models")
    expect(root.locator("tbody")).to_have_attribute("data-waiting", "0")
    page.evaluate("() => { window.kept = requestIdleCallback; window.requestIdleCallback = () => 0; }")  # never idle
    head(root, "d_model").get_by_role("button").click()
    expect(rows(root).first).to_have_text("SmolLM2-135M")
    expect(rows(root)).to_have_count(9)
    table = root.locator(".mha-models-table")
    height = table.evaluate("(node) => node.scrollHeight")
    table.evaluate("(node) => (node.scrollTop = 800)")
    expect(root.locator("tbody")).to_have_attribute("data-waiting", "0")
    assert table.evaluate("(node) => [node.scrollHeight, node.scrollTop]") == [height, 800]  # nothing has moved
    head(root, "d_model").get_by_role("button").click()
    assert table.evaluate("(node) => node.scrollTop") == 0  # another order begins at its top
    expect(rows(root)).to_have_count(9)
    rows(root).first.press("End")
    expect(rows(root).last).to_be_focused()
    page.evaluate("() => { window.requestIdleCallback = window.kept; }")
    head(root, "d_model").get_by_role("button").click()
    expect(root.locator("tbody")).to_have_attribute("data-waiting", "0")


def test_features_are_asked_for_and_asked_away_and_counted(lab, root):
    chip(root, "gate 12").click()
    expect(root.locator(".mha-models-status")).to_have_text("12 of 45: with an output gate")
    expect(rows(root)).to_have_count(12)
    expect(chip(root, "gate 12")).to_have_attribute("aria-pressed", "true")
    expect(chip(root, "linear 5")).to_be_visible()
    chip(root, "linear 5").click()
    chip(root, "linear 5").click()
    expect(chip(root, "without linear 7")).to_have_attribute("aria-pressed", "true")
    expect(rows(root)).to_have_count(7)
    lab.expect_python("table.ask", {"gate": True, "linear": False})
    assert rows(root).all_text_contents() == lab.python("table.answers")
    chip(root, "shared K/V 0").click()
    expect(root.get_by_text("No model answers this.")).to_be_visible()
    expect(root.get_by_role("table")).to_be_visible()
    root.get_by_role("button", name="clear").click()
    expect(rows(root)).to_have_count(45)
    expect(root.get_by_text("No model answers this.")).to_be_hidden()
    lab.expect_python("table.ask", {})
    lab.python("table.set_trait('ask', {'qk_norm': True})")
    expect(root.locator(".mha-models-status")).to_have_text("23 of 45: with QK-norm; the source of 1 more does not say")


def test_a_row_opens_with_what_it_is_its_source_and_how_sure_that_is(lab, root):
    detail = root.get_by_role("group", name="the open row")
    expect(detail).to_contain_text("Open a row")
    row(root, "Qwen2.5-7B").locator("td").nth(3).click()
    expect(detail.locator("b")).to_have_text("Qwen2.5-7B, 2024")
    expect(detail).to_contain_text("28 heads of 128, which share 4 of keys and values: H·d_head = 1.00 × d_model.")
    expect(detail).to_contain_text("A token adds 28,672 numbers to the cache of all layers.")
    expect(detail).to_contain_text("Source: Qwen 2024, arXiv:2412.15115, table 1; config.json of Qwen/Qwen2.5-7B.")
    expect(detail).to_contain_text("How sure: A, from the model's own files, a paper,")
    expect(row(root, "Qwen2.5-7B").get_by_role("button")).to_have_attribute("aria-expanded", "true")
    lab.expect_python("table.model", "Qwen2.5-7B")
    lab.python("table.set_trait('model', 'DeepSeek-V4-Pro')")
    expect(detail).to_contain_text("How many layers, its source does not say.")
    expect(detail).to_contain_text("Its source does not say: linear, NoPE.")
    expect(detail).to_contain_text("class defaults of transformers 5.24.0, which need not be the checkpoint's.")
    expect(row(root, "DeepSeek-V4-Pro")).to_be_in_viewport()  # the table has scrolled to it
    row(root, "DeepSeek-V4-Pro").get_by_role("button").click()
    lab.expect_python("table.model", "")
    expect(detail).to_contain_text("Open a row")


def test_a_screen_reader_finds_a_table_with_heads_and_words_in_every_cell(root):
    table = root.get_by_role("table", name="45 models")
    expect(table.get_by_role("columnheader")).to_have_count(20)
    cells = table.get_by_role("row", name=re.compile("^Gemma 4 E2B")).get_by_role("cell")
    texts = cells.all_text_contents()
    assert texts[:8] == ["2026", "35", "1,536", "8", "1", "256", "1.33", "9,216"]
    assert texts[9:] == ["yes", "no", "no", "no", "no", "no", "yes", "yes", "no", "yes"]
    expect(cells.nth(8).get_by_role("img")).to_have_accessible_name(
        "28 local (512 tokens), 7 global, the last 20 share keys and values"
    )
    unknown = table.get_by_role("row", name=re.compile("^GLM-4.5-Air")).get_by_role("cell").all_text_contents()
    half_known = table.get_by_role("row", name=re.compile("^MiniMax-M2")).get_by_role("cell").all_text_contents()
    assert unknown[5:8] == ["?", "?", "?"] and half_known[-1] == "?"


def test_everything_is_reached_by_keyboard(lab, root):
    keys = lab.page.keyboard
    chip(root, "QK-norm 23").focus()
    keys.press("ArrowRight")
    expect(chip(root, "gate 12")).to_be_focused()
    keys.press("Enter")
    expect(rows(root)).to_have_count(12)
    keys.press("Tab")
    expect(root.get_by_role("button", name="clear")).to_be_focused()
    keys.press("Tab")  # the table, which scrolls
    keys.press("Tab")
    expect(head(root, "name").get_by_role("button")).to_be_focused()
    for _ in range(4):
        keys.press("ArrowRight")
    keys.press("Enter")
    expect(head(root, "num_heads")).to_have_attribute("aria-sort", "ascending")
    expect(head(root, "num_heads").get_by_role("button")).to_be_focused()
    keys.press("Tab")
    expect(rows(root).first).to_be_focused()
    keys.press("ArrowDown")
    expect(rows(root).nth(1)).to_be_focused()
    second = rows(root).nth(1).text_content()
    expect(root.locator("figcaption")).to_contain_text(f"{second}: d_model")
    keys.press("Enter")
    lab.expect_python("table.model", second)
    keys.press("End")
    expect(rows(root).last).to_be_focused()
    expect(root.locator("tbody [tabindex='0']")).to_have_count(1)
    lab.python("table.set_trait('descending', True)")
    expect(head(root, "num_heads")).to_have_attribute("aria-sort", "descending")
    expect(root.locator("tbody button:focus")).to_have_count(1)  # the row has moved, and its focus with it
    keys.press("Escape")
    lab.expect_python("[table.model, table.pointed]", ["", ""])


def dot(root, name, among):
    """Where the page draws the dot of a model: the one that is pointed at when its row is."""
    row(root, name).hover()
    expect(root.locator("figcaption")).to_contain_text(f"{name}: ")
    found = root.locator(".mha-models-drawing").evaluate(PIXELS)
    return next((x, y) for x, y, looks in found if among in looks.split())


def test_the_plot_lights_who_answers_marks_who_is_pointed_at_and_opens_on_a_click(lab, root):
    chip(root, "sinks 7").click()
    expect(root.locator("circle.mha-models-lit")).to_have_count(7)
    expect(root.locator(".mha-models-dot")).to_have_count(45)
    x, y = dot(root, "Inkling-2-Small", "mha-models-pointed")
    expect(root.locator(".mha-models-names text")).to_have_text(["Inkling-2-Small"])
    lab.page.mouse.move(1, 1)
    expect(root.locator(".mha-models-names text")).to_have_count(0)
    lab.page.mouse.move(x + 3, y)
    expect(row(root, "Inkling-2-Small")).to_have_class(re.compile("mha-models-pointed"))
    expect(root.locator("figcaption")).to_have_text("Inkling-2-Small: d_model 4,608, heads H 48")
    lab.expect_python("table.pointed", "Inkling-2-Small")
    lab.page.mouse.click(x + 3, y)
    lab.expect_python("table.model", "Inkling-2-Small")
    root.get_by_label("upwards").select_option("cached")
    root.get_by_label("across").select_option("year")
    lab.expect_python("[table.across, table.up]", ["year", "cached"])
    expect(root.locator(".mha-models-dot")).to_have_count(42)
    lab.page.mouse.move(1, 1)
    expect(root.locator("figcaption")).to_have_text("Inkling-2-Small: year 2026, cache a token 98,304")


def test_a_cost_and_a_cache_explorer_follow_the_row_that_is_opened_on_the_page(lab):
    output = lab.show(
        "from IPython.display import display\nfrom mha_lab.widgets import ModelTable\n"
        "table = ModelTable(model='Llama-3-8B')\ncost, cache = table.cost(), table.cache()\ndisplay(table, cost, cache)"
    )
    root = output.locator(".mha-models")
    for each in root, output.locator(".mha-cost"), output.locator(".mha-cache"):
        steady(each)
    row(root, "gpt-oss-120b").get_by_role("button").click()
    lab.expect_python("[cost.d_model, cache.model]", [2880, "gpt-oss-120b"])
    expect(output.locator(".mha-cost select").first).to_have_value("gpt-oss-120b")
    expect(output.locator(".mha-cache-total")).to_have_text("4.50 GiB of keys and values")


def test_it_stands_on_a_notebooks_page_and_only_its_rows_scroll(browser, lab, root):
    page = lab.page
    before = page.viewport_size
    page.set_viewport_size({"width": 1280, "height": 720})
    steady(root)
    table = root.locator(".mha-models-table")
    assert root.bounding_box()["height"] <= 600
    assert table.evaluate("(node) => node.scrollWidth - node.clientWidth") <= 0  # all columns are there
    top = head(root, "name").bounding_box()["y"]
    table.evaluate("(node) => (node.scrollTop = 600)")
    assert head(root, "name").bounding_box()["y"] == pytest.approx(top, abs=1)
    expect(rows(root).last).not_to_be_in_viewport()
    page.set_viewport_size(before)


def test_it_is_read_by_finger_on_a_phone(opened):
    phone = opened(ModelTable(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    root = phone.locator(".mha-models")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    small = "(root) => [...root.querySelectorAll('select, button')].map((n) => n.getBoundingClientRect())"
    assert [box for box in root.evaluate(small) if box["width"] < 24 or box["height"] < 24] == []
    chip(root, "sinks 7").tap()
    expect(rows(root)).to_have_count(7)
    head(root, "d_model").get_by_role("button").tap()
    expect(head(root, "d_model")).to_have_attribute("aria-sort", "ascending")
    row(root, "Hy4").locator("td").nth(1).tap()
    expect(root.get_by_role("group", name="the open row")).to_contain_text("Hy4, 2026")
    root.locator(".mha-models-table").evaluate("(node) => (node.scrollLeft = 400)")
    assert row(root, "Hy4").get_by_role("button").bounding_box()["x"] >= 0  # the name stays beside its numbers
    root.locator(".mha-models-drawing").scroll_into_view_if_needed()
    places = root.locator(".mha-models-drawing").evaluate(PIXELS)
    x, y = next((x, y) for x, y, looks in places if "mha-models-open" in looks.split())
    phone.touchscreen.tap(x - 4, y)
    expect(root.locator("figcaption")).to_contain_text("d_model 6,144")


def test_with_forced_colours_marks_dots_and_layers_stay(opened):
    page = opened(ModelTable(ask="gate", model="Hy4"), forced_colors="active")
    colours = page.locator(".mha-models").evaluate(
        """(root) => {
            const of = (what, name, of) => [...root.querySelectorAll(name)].map((n) => getComputedStyle(n, of)[what]);
            return { paper: getComputedStyle(document.body).backgroundColor,
                marks: of('backgroundColor', '[data-has=true]', '::before'), lit: of('fill', '.mha-models-lit'),
                off: of('stroke', '.mha-models-dot:not(.mha-models-lit)'),
                ring: of('stroke', '.mha-models-ring'), layers: of('fill', '.mha-models-strip path'),
                arrow: of('backgroundColor', '[aria-sort=ascending] button', '::after') };
        }"""
    )
    paper = colours.pop("paper")
    for name, found in colours.items():
        assert found and paper not in found, (name, found)


def test_it_sorts_asks_and_opens_without_a_kernel(own_lab):
    root = shown(own_lab)
    own_lab.stop_kernel()
    chip(root, "latent 10").click()
    expect(rows(root)).to_have_count(10)
    head(root, "layers").get_by_role("button").click()
    expect(rows(root).first).to_have_text("Kimi-Linear-48B-A3B")
    rows(root).first.click()
    expect(root.get_by_role("group", name="the open row")).to_contain_text("A token adds 4,032 numbers")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = shown(lab, "ask={'gate': True, 'linear': False}, model='Hy4'")
    rows(root).last.hover()
    for found in root.evaluate(CONTRAST), root.evaluate(CONTRAST, "fill"):
        assert min(found.values()) >= 4.5, {text: ratio for text, ratio in found.items() if ratio < 4.5}
