"""CostExplorer on a real page: sizes moved by mouse and keyboard, the numbers of mha_lab.cost, and no kernel needed."""

import re

import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

from mha_lab.widgets import CostExplorer

MACHINE = """
from mha_lab import cost
table = tuple((n, w, w * n**-0.1 * 1e-11) for n in (32, 128, 512) for w in (4, 16, 128))
passes = tuple((n, 1, 1e-9 / n**0.05) for n in (32, 128, 512))
machine = cost.Machine("made up", "cpu", 1, 1e11, 1e10, 2e-10, {"explicit": 1e-4, "fused": 5e-5},
    {"W": tuple((n, w, 3e-11 / w**0.1) for n in (32, 512) for w in (128, 512)), "softmax": passes,
     "QKᵀ": table, "AV": table, "attention": table})
"""
EXPLORER = f"""
{MACHINE}
from mha_lab.widgets import CostExplorer
by_heads = {{16: [(1024, 0.09, "explicit"), (1024, 0.032, "fused")]}}
explorer = CostExplorer(machine=machine, measured=[(1024, 0.06, "explicit"), (1024, 0.03, "fused")], by_heads=by_heads)
explorer
"""


@pytest.fixture
def root(lab):
    root = lab.show(EXPLORER).locator(".mha-cost")
    steady(root)
    return root


def fact(root, words):
    return root.locator(".mha-cost-facts > div", has_text=words).locator("b")


def slider(root, words):
    return root.get_by_role(
        "slider", name=re.compile("^" + words.replace("/", "."))
    )  # Playwright stumbles over a slash


def test_heads_move_the_scores_and_nothing_else_that_is_counted(lab, root):
    expect(fact(root, "parameters")).to_have_text("1,050,624")
    expect(fact(root, "in QKᵀ and AV")).to_have_text("4.29 GFLOP")
    expect(fact(root, " scores")).to_have_text("32 MiB")
    heads = slider(root, "heads")
    heads.press("ArrowRight")  # in JupyterLab's command mode this would move on to the next cell
    expect(fact(root, " scores")).to_have_text("64 MiB")
    expect(fact(root, "parameters")).to_have_text("1,050,624")
    expect(fact(root, "in QKᵀ and AV")).to_have_text("4.29 GFLOP")
    expect(heads).to_be_focused()
    lab.expect_python("[explorer.num_heads, explorer.num_kv_heads]", [16, 16])


def test_a_real_model_is_chosen_and_named_with_its_source(lab, root):
    root.get_by_label("model", exact=False).first.select_option("Llama-3-8B")
    expect(root.locator(".mha-cost-line small")).to_contain_text("arXiv:2407.21783")
    expect(fact(root, "parameters")).to_have_text("41,943,040")
    expect(root.locator("svg .mha-chart-words")).to_have_text("equal at 5,120")
    lab.expect_python("[explorer.n, explorer.d_model, explorer.num_kv_heads, explorer.bias]", [8192, 4096, 8, False])
    slider(root, "K/V heads").press("Home")
    expect(root.get_by_label("model", exact=False).first).to_have_value("")
    lab.expect_python("explorer.num_kv_heads", 1)


def test_d_head_follows_the_heads_until_it_is_set(lab, root):
    heads, width = slider(root, "heads"), slider(root, "d_head")
    expect(width).to_have_attribute("aria-valuetext", "64 = D/H")
    heads.press("ArrowRight")
    expect(width).to_have_attribute("aria-valuetext", "32 = D/H")
    expect(fact(root, "parameters")).to_have_text("1,050,624")
    width.press("End")
    expect(width).to_have_attribute("aria-valuetext", "512")
    expect(root.locator("p.mha-cost-note")).to_contain_text(
        "16 heads × 512 = 8,192, 16 × d_model: W^Q leads there, and W^O"
    )
    expect(fact(root, "parameters")).to_have_text("16,802,304")
    heads.press("ArrowRight")
    lab.expect_python("[explorer.num_heads, explorer.d_head, explorer.costs['parameters']]", [20, 512, 21002752])
    expect(fact(root, "parameters")).to_have_text("21,002,752")
    width.press("Home")  # 20 heads do not divide 512
    lab.expect_python("[explorer.num_heads, explorer.num_kv_heads, explorer.d_head]", [16, 16, None])
    expect(root.locator("p.mha-cost-note")).not_to_contain_text("W^Q leads")


def test_a_model_of_today_is_shown_with_its_own_d_head_and_what_is_left_out(lab, root):
    menu = root.get_by_label("model", exact=False).first
    menu.select_option("Qwen3-0.6B")
    expect(fact(root, "parameters, d_head 128")).to_have_text("6,291,456")
    expect(root.locator("p.mha-cost-note")).to_contain_text("16 heads × 128 = 2,048, 2 × d_model")
    menu.select_option("Muse Glimmer 30B")
    expect(root.locator(".mha-cost-line small")).to_contain_text("class defaults, which need not be the checkpoint's")
    small = root.locator(".mha-cost-about")
    expect(small).to_contain_text("Left out: the output gate's W^G (27,262,976 parameters).")
    expect(small).to_contain_text(
        "Layers: 39 local (2,048 tokens), 13 global without positions; shown is a global one."
    )
    assert menu.locator("option:disabled").count() == 3
    lab.expect_python(
        "[explorer.d_model, explorer.num_heads, explorer.num_kv_heads, explorer.d_head]", [6656, 32, 2, 128]
    )
    menu.select_option("Llama-3-8B")
    lab.expect_python("explorer.d_head", None)
    expect(small).to_have_text("")


def test_a_window_is_as_much_as_a_layer_sees_and_alike_models_are_told_apart(lab, root):
    lab.python("[explorer.set_trait(k, v) for k, v in explorer.models['Mistral-7B'].items() if explorer.has_trait(k)]")
    source = root.locator(".mha-cost-line small")
    expect(source).to_contain_text("arXiv:2310.06825")
    expect(source).to_contain_text("longest text 8,192 tokens, of which a layer sees 4,096")
    expect(slider(root, "tokens")).to_have_attribute("aria-valuetext", "4,096")
    lab.python("explorer.set_trait('n', 8192)")  # the layer is Llama-3-8B's too
    expect(root.get_by_label("model", exact=False).first).to_have_value("Mistral-7B")


def test_the_charts_can_be_read_as_a_table(root):
    memory = root.get_by_role("img", name="Memory against tokens; at 1,024 tokens: explicit peak 44 MiB, scores 32 MiB")
    expect(memory).to_be_visible()
    root.get_by_text("the charts in numbers").press("Enter")
    row = root.get_by_role("row", name="1,024")
    expect(row.get_by_role("cell")).to_contain_text(["2.15 GFLOP", "2.15 GFLOP", "44 MiB", "32 MiB", "4 MiB"])
    expect(row.get_by_role("cell", name="60 ms")).to_be_visible()  # measured
    slider(root, "heads").press("ArrowRight")
    expect(row).to_contain_text("64 MiB")


TERMS = {"W^Q": "537 MFLOP", "W^K": "134 MFLOP", "W^V": "134 MFLOP", "W^O": "537 MFLOP"}
TERMS |= {"QKᵀ": "1.07 GFLOP", "AV": "1.07 GFLOP"}


def test_the_flops_of_each_term_are_told_without_a_mouse(root):
    slider(root, "K/V heads").press("ArrowLeft")
    slider(root, "K/V heads").press("ArrowLeft")
    bar = root.get_by_role("img", name="FLOPs: W^Q")
    for term, flops in TERMS.items():
        expect(bar).to_have_accessible_name(re.compile(re.escape(f"{term} {flops}, ")))
    root.get_by_text("the charts in numbers").click()
    table = root.get_by_role("table", name="FLOPs by term at 1,024 tokens")
    expect(table.get_by_role("columnheader")).to_have_text(list(TERMS))
    expect(table.get_by_role("row", name="FLOPs").get_by_role("cell")).to_have_text(list(TERMS.values()))


def test_curves_and_points_are_told_apart_without_colour(root):
    """Each curve of a chart has its own dashes and stands beside its name; the points of each path have a mark."""
    looks = "(lines) => lines.map((line) => getComputedStyle(line).strokeDasharray)"
    for i, curves in enumerate([2, 3, 2]):
        dashes = chart(root, i).locator(".mha-chart-curve").evaluate_all(looks)
        assert len(set(dashes)) == len(dashes) == curves
        names = chart(root, i).locator(".mha-chart-name")
        expect(names).to_have_count(curves)
    expect(names).to_have_text(["● explicit", "◆ fused"])
    outlines = "(marks) => marks.map((mark) => mark.getAttribute('d').split('m')[1])"
    marks = chart(root, 2).locator(".mha-chart-point").evaluate_all(outlines)
    assert len(set(marks)) == len(marks) == 2


def chart(root, i):
    return root.locator(".mha-chart").nth(i)


def test_points_without_a_prediction_keep_their_names(lab):
    root = lab.show("from mha_lab.widgets import CostExplorer\nCostExplorer(measured=[(64, 0.06, 'fused')])").locator(
        ".mha-cost"
    )
    expect(chart(root, 2).locator(".mha-chart-name")).to_have_text(["◆ fused"])
    expect(chart(root, 2).locator(".mha-chart-point")).to_have_count(1)


def test_controls_and_every_chart_are_on_one_projectors_screen(lab, root):
    lab.page.set_viewport_size({"width": 1024, "height": 768})
    expect(root.locator(".mha-cost-charts")).to_have_css("grid-template-columns", re.compile(r"^\S+ \S+ \S+$"))
    expect(root).to_have_attribute("data-drawn", re.compile("[2-9]"))
    top, bottom = root.bounding_box()["y"], root.locator("svg").last.bounding_box()
    assert bottom["y"] + bottom["height"] - top < 560  # JupyterLab's own bars leave about 600 of 768
    letters = root.locator(".mha-chart text").evaluate_all(
        "(all) => all.map((text) => text.getBoundingClientRect().height)"
    )
    assert min(letters) > 11
    lab.page.set_viewport_size({"width": 1280, "height": 800})


def test_head_counts_follow_a_width_that_they_do_not_divide(lab, root):
    lab.python("setattr(explorer, 'd_model', 1024) or setattr(explorer, 'num_heads', 1024)")
    expect(fact(root, " scores")).to_have_text("4 GiB")
    slider(root, "d_model").press("ArrowLeft")  # 768 has no 1,024 heads
    lab.expect_python("[explorer.d_model, explorer.num_heads]", [768, 768])


def test_measured_points_stay_with_their_sizes(root):
    points, note = root.locator(".mha-chart-point"), root.locator("p.mha-cost-note")
    expect(points).to_have_count(2)
    expect(note).to_contain_text("Points: measured.")
    slider(root, "K/V heads").press("ArrowLeft")
    expect(points).to_have_count(0)
    expect(note).to_contain_text("belong to d_model 512, 8, 16 heads, 8, 16 K/V heads, batch 1, float32")
    slider(root, "K/V heads").press("ArrowRight")
    expect(points).to_have_count(2)
    root.get_by_label("numbers").select_option("bfloat16")
    expect(note).to_contain_text("predicted in float32 only")
    expect(fact(root, "predicted")).to_have_count(0)


def test_measured_points_and_stored_maps_follow_the_head_slider(root):
    caption = root.locator(".mha-cost-charts figcaption").nth(2)
    maps = root.get_by_role("img", name="Stored scores")
    expect(caption).to_have_text(re.compile(r"measured 60 ms.*measured 30 ms$"))
    expect(maps).to_have_accessible_name(re.compile("8 maps of 1,024 × 1,024: 32 MiB"))
    slider(root, "heads").press("ArrowRight")
    expect(caption).to_have_text(re.compile(r"measured 90 ms.*measured 32 ms$"))
    expect(maps).to_have_accessible_name(re.compile("16 maps of 1,024 × 1,024: 64 MiB"))
    squares = root.locator(".mha-cost-map").first.evaluate("(path) => path.getAttribute('d').split('z').length - 1")
    assert squares == 16
    slider(root, "heads").press("ArrowRight")
    expect(caption).not_to_contain_text("measured")
    slider(root, "K/V heads").press("Home")
    expect(maps).to_have_accessible_name(re.compile("32 of a shade share keys."))


def test_charts_go_over_heads_and_a_click_goes_to_one(lab, root):
    root.get_by_label("heads", exact=True).last.check()
    lab.expect_python("explorer.against", "heads")
    expect(root.get_by_role("img", name="Time against heads; at 8 heads: explicit")).to_be_visible()
    expect(chart(root, 2).locator(".mha-chart-point")).to_have_count(4)
    expect(root.locator(".mha-cost-charts figcaption").first).to_have_text(
        "FLOPs 8 heads: projections 2.15 GFLOP, QKᵀ and AV 2.15 GFLOP"
    )
    box = chart(root, 1).bounding_box()
    lab.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 50)
    expect(root.locator(".mha-cost-charts figcaption").nth(1)).to_have_text(re.compile("^Memory (32|64) heads: "))
    lab.page.mouse.move(box["x"], box["y"] - 200)
    expect(root.locator(".mha-cost-charts figcaption").nth(1)).to_have_text(re.compile("^Memory 8 heads: "))
    lab.page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 50)
    lab.expect_python("explorer.num_heads in (32, 64) and explorer.num_kv_heads == explorer.num_heads", True)
    lab.python("explorer.set_trait('against', 'tokens')")
    expect(root.get_by_role("img", name="Time against tokens")).to_be_visible()


def test_a_latent_and_the_layers_of_a_hybrid_are_shown(lab, root):
    menu = root.get_by_label("model", exact=False).first
    menu.select_option("DeepSeek-V2")
    expect(fact(root, "parameters, d_head 192")).to_have_text("149,225,472")
    expect(fact(root, "latents of this layer")).to_have_text("288 MiB")
    expect(root.locator(".mha-cost-about")).to_contain_text("a latent of 576 numbers a token, queries from 1,536")
    expect(slider(root, "K/V heads")).to_be_disabled()
    expect(fact(root, "peak")).to_have_count(0)
    lab.expect_python("[(explorer.latent or {}).get('numbers'), explorer.costs['parameters']]", [576, 149225472])
    slider(root, "heads").press("ArrowLeft")
    lab.expect_python(
        "[explorer.num_heads, explorer.num_kv_heads, (explorer.latent or {}).get('value')]", [96, 96, 128]
    )
    menu.select_option("Gemma 4 E2B")
    expect(root.locator(".mha-layers-row i")).to_have_count(35)
    expect(root.locator(".mha-layers-row .mha-layers-shared")).to_have_count(20)
    expect(root.get_by_role("img", name="The 35 layers of Gemma 4 E2B")).to_have_accessible_name(
        re.compile("again and again 4 local, 1 global$")
    )
    root.get_by_text("all layers of this model").press("Enter")
    table = root.get_by_role("table", name="All layers of Gemma 4 E2B, 512 tokens")
    row = table.get_by_role("row", name="global, keys of an earlier layer")
    expect(row.get_by_role("cell")).to_have_text(["4", "512", "17.2 GFLOP", "nothing"])
    lab.expect_python("explorer.latent", None)


def test_it_is_read_by_finger_on_a_phone(browser, tmp_path):
    page = CostExplorer(measured=[(1024, 1.0, "explicit")]).save_html(tmp_path / "page.html")
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = context.new_page()
    phone.goto(page.as_uri())
    root = phone.locator(".mha-cost")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    small = """(root) => [...root.querySelectorAll('input, select, button, summary')]
        .map((node) => (node.closest('label') ?? node).getBoundingClientRect().height)
        .filter((height) => height && height < 24)"""
    assert root.evaluate(small) == []
    picture = chart(root, 1)
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    caption = root.locator(".mha-cost-charts figcaption").nth(1)
    at = box["x"] + box["width"] - 12, box["y"] + 25  # the end of the peak's curve
    phone.touchscreen.tap(*at)
    expect(caption).to_contain_text("131,072 tokens: ")
    expect(slider(root, "tokens")).to_have_attribute("aria-valuetext", "1,024")
    phone.touchscreen.tap(*at)
    expect(slider(root, "tokens")).to_have_attribute("aria-valuetext", "131,072")
    phone.touchscreen.tap(box["x"] + 0.6 * box["width"], box["y"] + box["height"] - 60)  # far from every curve
    expect(caption).to_contain_text("131,072 tokens: ")
    context.close()


def test_with_forced_colours_maps_bars_and_curves_stay(browser, tmp_path):
    explorer = CostExplorer(num_kv_heads=2, measured=[(1024, 1.0, "explicit")])
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(explorer.save_html(tmp_path / "page.html").as_uri())
    root = page.locator(".mha-cost")
    steady(root)
    colours = root.evaluate(
        """(root) => {
            const of = (what, name) => [...root.querySelectorAll(name)].map((node) => getComputedStyle(node)[what]);
            return { paper: getComputedStyle(document.body).backgroundColor, maps: of('fill', '.mha-cost-map'),
                curves: of('stroke', '.mha-chart-curve'), points: of('fill', '.mha-chart-point'),
                terms: of('borderRightColor', '.mha-cost-bar span'), words: of('color', '.mha-cost-bar span') };
        }"""
    )
    paper = colours.pop("paper")
    for name, found in colours.items():
        assert found and paper not in found, name
    assert colours["maps"][0] != colours["maps"][1]
    context.close()


def test_it_goes_on_without_a_kernel(own_lab):
    root = own_lab.show(EXPLORER).locator(".mha-cost")
    expect(fact(root, " scores")).to_have_text("32 MiB")
    own_lab.stop_kernel()
    slider(root, "tokens").press("ArrowRight")
    expect(fact(root, " scores")).to_have_text("72 MiB")
    expect(fact(root, "predicted, explicit")).to_be_visible()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = lab.show(EXPLORER).locator(".mha-cost")
    steady(root)
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
