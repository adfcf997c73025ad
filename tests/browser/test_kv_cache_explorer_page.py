"""KVCacheExplorer on a real page: the numbers of mha_lab.cost, by mouse and by keyboard, with and without a kernel."""

import re

import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

from mha_lab.cost import kv_cache_bytes
from mha_lab.widgets import KVCacheExplorer
from mha_lab.widgets.kv_cache_explorer import DECODERS

SHOW = "from mha_lab.widgets import KVCacheExplorer\nexplorer = KVCacheExplorer('Llama-3-8B')\nexplorer"


@pytest.fixture
def root(lab):
    return shown(lab)


def shown(lab):
    root = lab.show(SHOW).locator(".mha-cache")
    steady(root)
    return root


def expect_bytes(root, count):
    expect(root).to_have_attribute("data-bytes", str(count))


@pytest.mark.parametrize(
    "name", ["GPT-2 small", "DeepSeek-V2", "gpt-oss-120b", "DeepSeek-V4-Flash", "Kimi-Linear-48B-A3B"]
)
def test_a_chosen_model_brings_its_own_sizes_to_the_page_and_to_python(lab, root, name):
    model = next(m for m in DECODERS if m.name == name)
    root.get_by_label("model").select_option(model.name)
    lab.expect_python("[explorer.model, explorer.context]", [model.name, model.context])
    expect_bytes(root, lab.python("explorer.cache_bytes"))
    expect(root.get_by_label("key/value heads")).to_be_enabled(enabled=not model.latent)
    expect(root).to_contain_text(model.source)
    expect(root.locator(".mha-cache-chosen")).to_have_count(1)


def test_the_menu_tells_own_files_from_class_defaults_and_names_what_is_not_known(root):
    menu = root.get_by_label("model")
    labels = menu.locator("optgroup").evaluate_all("(all) => all.map((group) => group.label)")
    assert labels == [
        "until 2024",
        "2025/26, A: own files",
        "2025/26, B: class defaults",
        "2025/26, C: experimental",
        "not counted here",
    ]
    assert menu.locator("option:not(:disabled)").count() == len(DECODERS)
    words = menu.locator("option:disabled").all_text_contents()
    assert "GLM-4.5-Air: its source does not say d_head" in words and len(words) == 2


def test_each_kind_of_layer_has_its_line_and_what_is_left_out_is_said(lab, root):
    root.get_by_label("model").select_option("gpt-oss-120b")
    lines = root.locator(".mha-cache-parts li")
    expect(lines).to_have_text(
        [
            "local: 18 layers × 2 × 8 heads × 64 numbers × 2 bytes × 128 tokens = 4.50 MiB",
            "global: 18 layers × 2 × 8 heads × 64 numbers × 2 bytes × 131,072 tokens = 4.50 GiB",
        ]
    )
    expect(root).to_contain_text("A sliding window: 18 layers keep the last 128 tokens.")
    root.get_by_label("model").select_option("Qwen3-Next-80B-A3B")
    expect(lines.first).to_have_text("state: 36 layers × 524,288 numbers × 2 bytes = 36 MiB")
    expect(root).to_contain_text("Left out: the last few inputs that short convolutions remember.")
    root.get_by_label("model").select_option("MiMo-V2-Flash")
    expect(lines.first).to_contain_text("global: 9 layers × 4 heads × (192 + 128) numbers")
    expect(lines.last).to_contain_text("local: 39 layers × 8 heads × (192 + 128) numbers × 2 bytes × 129 tokens")
    root.get_by_label("model").select_option("DeepSeek-V3.2-Exp")
    expect(lines).to_have_text(["61 layers × 576 numbers × 2 bytes × 163,840 tokens = 10.7 GiB"])
    expect(root).to_contain_text("Left out: the indexer's keys (128 more numbers for a token in 61 layers).")


def test_sliders_move_by_keyboard_and_the_readout_follows(lab, root):
    expect(root.locator(".mha-cache-total")).to_have_text("1 GiB of keys and values")
    heads = root.get_by_label("key/value heads")
    heads.press("End")
    expect(root.locator(".mha-cache-total")).to_have_text("4 GiB of keys and values")
    expect(root.locator(".mha-cache-chosen")).to_contain_text("32 (MHA)")
    expect(heads).to_have_attribute("aria-valuetext", "32 of 32")
    root.get_by_label("texts at once").press("End")
    expect(root).to_contain_text("The published model has 8.")
    root.get_by_label("context").press("ArrowRight")
    root.get_by_label("bytes a number").select_option("1")
    expect_bytes(root, kv_cache_bytes(256, 16384, 32, 128, layers=32, bytes_per_number=1))
    expect(root).to_contain_text("Published for 8,192 tokens: this is beyond.")
    lab.expect_python("[explorer.num_kv_heads, explorer.batch, explorer.context]", [32, 256, 16384])


def test_the_speed_limit_is_bandwidth_over_bytes(lab, root):
    speed = root.locator(".mha-cache-speed")
    expect(speed).to_contain_text("at most 93 tokens a second:")
    root.get_by_label("bandwidth").press("End")
    expect(speed).to_contain_text("at most 9,313 tokens a second:")
    root.get_by_label("texts at once").press("ArrowRight")
    expect(speed).to_contain_text("at most 4,657 tokens a second for each text:")
    lab.expect_python("explorer.batch", 2)
    assert float(root.get_attribute("data-rate")) == pytest.approx(lab.python("explorer.tokens_per_second"))


def test_what_does_not_fit_is_marked_beyond_the_budgets_line(lab, root):
    expect(root.locator(".mha-cache-over")).to_have_count(0)
    lab.python("explorer.set_trait('batch', 16)")
    over = root.locator(".mha-cache-over")
    expect(over).to_have_count(2)  # 32 and 64 GiB; 16 GiB just fits
    root.get_by_label("memory for it").select_option("80")
    expect(over).to_have_count(0)
    root.get_by_label("memory for it").select_option("16")
    lab.expect_python("explorer.budget", 16)
    expect(over).to_have_count(2)
    line, edge = root.evaluate(  # both at once: every frame draws them anew
        """(root) => [
            root.querySelector('.mha-cache-limit').getBoundingClientRect().left,
            root.querySelectorAll('.mha-cache-fill')[3].getBoundingClientRect().right,  // 8 heads: 16 GiB
        ]"""
    )
    assert line == pytest.approx(edge, abs=2)


def test_the_chart_is_read_by_mouse_and_a_click_goes_there(lab, root):
    caption = root.locator("figcaption")
    expect(caption).to_have_text("8,192 tokens: 1 GiB; plain multi-head layers 4 GiB")
    expect(root.get_by_role("img", name="The cache as texts grow; at 8,192 tokens: 1 GiB")).to_be_visible()
    chart = root.locator(".mha-chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 60)
    expect(caption).to_have_text("1,048,576 tokens: 128 GiB; plain multi-head layers 512 GiB")
    lab.page.mouse.move(box["x"] + 60, box["y"] - 60)
    expect(caption).to_contain_text("8,192 tokens: 1 GiB")
    lab.page.mouse.click(box["x"] + box["width"] - 12, box["y"] + 60)
    lab.expect_python("explorer.context", 2**20)
    expect(root).to_contain_text("Published for 8,192 tokens: this is beyond.")


def test_the_layers_of_a_hybrid_and_all_models_stand_in_tables(root):
    root.get_by_label("model").select_option("Gemma 4 E2B")
    strip = root.get_by_role("img", name="The 35 layers of Gemma 4 E2B")
    expect(strip).to_have_accessible_name(re.compile("again and again 4 local, 1 global$"))
    expect(root.locator(".mha-layers-row .mha-layers-shared")).to_have_count(20)
    root.get_by_text("all layers of this model").press("Enter")
    row = root.get_by_role("row", name="local (512 tokens), keys of an earlier layer")
    expect(row.get_by_role("cell")).to_have_text(["16", "512", "nothing"])
    root.get_by_text("all models at this context").press("Enter")
    rows = root.get_by_role("table", name="All models at 131,072 tokens").get_by_role("row")
    expect(rows).to_have_count(1 + len(DECODERS))
    gpt = root.get_by_role("row", name="gpt-oss-120b")
    expect(gpt.get_by_role("cell")).to_have_text(["18 local (128 tokens); 18 global", "72 KiB", "4.50 GiB", "6.3%"])
    expect(root.get_by_role("row", name="Llama-3-8B")).to_contain_text("(16 GiB)")  # beyond what it is published for
    root.get_by_text("the chart in numbers").press("Enter")
    table = root.get_by_role("table", name="The cache as texts grow")
    expect(table.get_by_role("row", name="131,072")).to_contain_text("774 MiB")
    root.get_by_label("model").select_option("Llama-3-8B")
    expect(strip).to_have_count(0)  # all its layers are alike


def test_it_is_read_by_finger_on_a_phone(browser, tmp_path):
    page = KVCacheExplorer("Gemma 4 E2B").save_html(tmp_path / "page.html")
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = context.new_page()
    phone.goto(page.as_uri())
    root = phone.locator(".mha-cache")
    steady(root)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    small = """(root) => [...root.querySelectorAll('input, select, summary')]
        .map((node) => (node.closest('label') ?? node).getBoundingClientRect().height)
        .filter((height) => height < 24)"""
    assert root.evaluate(small) == []
    cut = "(all) => all.filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.textContent)"
    assert root.locator("p, li, figcaption, output, .mha-cache-row span").evaluate_all(cut) == []
    chart = root.locator(".mha-chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    at = box["x"] + box["width"] - 14, box["y"] + 25  # the end of the upper curve
    phone.touchscreen.tap(*at)
    expect(root.locator("figcaption")).to_contain_text("1,048,576 tokens: ")
    expect(root.get_by_label("context")).to_have_attribute("aria-valuetext", "131,072 tokens")
    phone.touchscreen.tap(*at)
    expect(root.get_by_label("context")).to_have_attribute("aria-valuetext", "1,048,576 tokens")
    context.close()


def test_with_forced_colours_bars_curves_and_layers_stay(browser, tmp_path):
    page = browser.new_context(forced_colors="active").new_page()
    page.goto(KVCacheExplorer("Gemma 4 E2B", batch=16).save_html(tmp_path / "page.html").as_uri())
    root = page.locator(".mha-cache")
    steady(root)
    colours = root.evaluate(
        """(root) => {
            const of = (what, name) => [...root.querySelectorAll(name)].map((node) => getComputedStyle(node)[what]);
            return { paper: getComputedStyle(document.body).backgroundColor,
                bars: of('borderTopColor', '.mha-cache-fill'), memory: of('borderLeftColor', '.mha-cache-limit'),
                chosen: of('backgroundColor', '.mha-cache-chosen .mha-cache-fill'),
                curves: of('stroke', '.mha-chart-curve'), layers: of('borderTopColor', '.mha-layers-row i') };
        }"""
    )
    paper = colours.pop("paper")
    for name, found in colours.items():
        assert found and paper not in found, name
    page.context.close()


def test_it_answers_without_a_kernel(own_lab):
    root = shown(own_lab)
    own_lab.stop_kernel()
    root.get_by_label("model").select_option("DeepSeek-V2")
    expect_bytes(root, 131072 * 60 * 576 * 2)
    root.get_by_label("texts at once").press("ArrowRight")
    expect_bytes(root, 2 * 131072 * 60 * 576 * 2)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = shown(lab)
    lab.python("explorer.set_trait('batch', 64)")
    expect(root.locator(".mha-cache-over").first).to_be_visible()
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
