"""CostExplorer on a real page: sizes moved by mouse and keyboard, the numbers of mha_lab.cost, and no kernel needed."""

import re
from dataclasses import asdict
from itertools import product

import pytest
from playwright.sync_api import expect
from test_head_explorer import CONTRAST

from mha_lab.widgets import CostExplorer
from mha_lab.widgets.cost_explorer import LENGTHS, amount

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
explorer = CostExplorer(machine=machine, measured=[(1024, 0.06, "explicit"), (1024, 0.03, "fused")])
explorer
"""


@pytest.fixture
def root(lab):
    root = lab.show(EXPLORER).locator(".mha-cost")
    expect(root).to_have_attribute("data-drawn", re.compile("."))
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
    expect(root.locator("svg text.mha-cost-note")).to_have_text("equal at 5,120")
    lab.expect_python("[explorer.n, explorer.d_model, explorer.num_kv_heads, explorer.bias]", [8192, 4096, 8, False])
    slider(root, "K/V heads").press("Home")
    expect(root.get_by_label("model", exact=False).first).to_have_value("")
    lab.expect_python("explorer.num_kv_heads", 1)


def test_d_head_follows_the_heads_until_it_is_set(lab, root):
    heads, width = slider(root, "heads"), slider(root, "d_head")
    expect(width).to_have_attribute("aria-valuetext", "64 = d/h")
    heads.press("ArrowRight")
    expect(width).to_have_attribute("aria-valuetext", "32 = d/h")
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
    assert menu.locator("option:disabled").count() == 13
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
    expect(root.get_by_role("img", name="Memory against tokens; at 1,024: explicit peak 44 MiB")).to_be_visible()
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
    """Each curve of a chart has its own dashes, and a sample beside its name; the points of each path have a mark."""
    looks = """(lines) => lines.map((line) => [line.tagName, getComputedStyle(line).strokeDasharray])"""
    for i, curves in enumerate([2, 3, 2]):
        drawn = root.locator("svg").nth(i).locator(".mha-cost-curve").evaluate_all(looks)
        dashes, samples = ([dash for tag, dash in drawn if tag == kind] for kind in ("polyline", "line"))
        assert dashes == samples and len(set(dashes)) == curves
    marks = root.locator("svg").nth(2).locator(".mha-cost-point")
    shapes = {path: {d.partition("m")[2] for d in all_of} for path, all_of in paths(marks).items()}
    assert len(shapes["explicit"]) == len(shapes["fused"]) == 1 and shapes["explicit"] != shapes["fused"]
    for path in "explicit", "fused":
        assert len(paths(marks)[path]) == 2  # one measured, one beside the name


def paths(marks):
    """The outlines of marks, by path."""
    found = {"explicit": [], "fused": []}
    for name, outline in marks.evaluate_all("(all) => all.map((mark) => [mark.classList[1], mark.getAttribute('d')])"):
        found[name.removeprefix("mha-cost-")].append(outline)
    return found


def test_points_without_a_prediction_keep_their_names(lab):
    root = lab.show("from mha_lab.widgets import CostExplorer\nCostExplorer(measured=[(64, 0.06, 'fused')])").locator(
        ".mha-cost"
    )
    expect(root.locator("svg").nth(2).locator(".mha-cost-name")).to_have_text(["fused"])
    expect(root.locator("svg").nth(2).locator(".mha-cost-point")).to_have_count(2)


def test_controls_and_every_chart_are_on_one_projectors_screen(lab, root):
    lab.page.set_viewport_size({"width": 1024, "height": 768})
    expect(root.locator(".mha-cost-charts")).to_have_css("grid-template-columns", re.compile(r"^\S+ \S+ \S+$"))
    expect(root).to_have_attribute("data-drawn", re.compile("[2-9]"))
    top, bottom = root.bounding_box()["y"], root.locator("svg").last.bounding_box()
    assert bottom["y"] + bottom["height"] - top < 560  # JupyterLab's own bars leave about 600 of 768
    letters = root.locator("svg text").evaluate_all("(all) => all.map((text) => text.getBoundingClientRect().height)")
    assert min(letters) > 11
    lab.page.set_viewport_size({"width": 1280, "height": 800})


def test_head_counts_follow_a_width_that_they_do_not_divide(lab, root):
    lab.python("setattr(explorer, 'd_model', 1024) or setattr(explorer, 'num_heads', 1024)")
    expect(fact(root, " scores")).to_have_text("4 GiB")
    slider(root, "d_model").press("ArrowLeft")  # 768 has no 1,024 heads
    lab.expect_python("[explorer.d_model, explorer.num_heads]", [768, 768])


def test_measured_points_stay_with_their_sizes(root):
    points, note = root.locator("svg .mha-cost-point:has(title)"), root.locator("p.mha-cost-note")
    expect(points).to_have_count(2)
    expect(note).to_contain_text("Points: measured.")
    slider(root, "K/V heads").press("ArrowLeft")
    expect(points).to_have_count(0)
    expect(note).to_contain_text("belong to d_model 512, 8 heads, 8 K/V heads, batch 1, float32")
    slider(root, "K/V heads").press("ArrowRight")
    expect(points).to_have_count(2)
    root.get_by_label("numbers").select_option("bfloat16")
    expect(note).to_contain_text("predicted in float32 only")
    expect(fact(root, "predicted")).to_have_count(0)


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
    expect(root).to_have_attribute("data-drawn", re.compile("."))
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast


def test_the_browser_counts_and_predicts_what_the_package_does(javascript):
    made = {}
    exec(MACHINE, made)
    machine = made["machine"]
    sizes = [
        {"n": n, "d_model": d, "num_heads": h, "num_kv_heads": g, "d_head": w, "batch": b, "dtype": dtype, "bias": bias}
        for (d, h, g, w), n, b, (dtype, bias) in product(
            [
                (512, 8, 8, None),
                (512, 512, 512, None),
                (96, 12, 4, None),
                (4096, 32, 8, None),
                (64, 1, 1, None),
                (576, 9, 1, None),
                (1024, 16, 8, 128),  # Qwen3-0.6B
                (6656, 32, 2, 128),  # Muse Glimmer 30B
                (100, 7, 7, 300),
                (100, 1, 1, 5),
            ],
            [1, 48, 1024, 8192],
            [1, 3],
            [("float32", True), ("float32", "QKV"), ("bfloat16", False)],
        )
    ]
    amounts = [(x, unit) for x in (3, 999.6, 123456, 7.5e9, 2e21) for unit in ("FLOP", "B", "")]
    amounts += [(x, "s") for x in (3e-6, 0.0123, 5, 4321)]
    found, words, lengths, shared, unshared, free, back = javascript(
        "cost_explorer/index.js",
        """const far = { d_model: 96, num_heads: 64, num_kv_heads: 5 };
        const eight = { d_model: 512, num_heads: 8, num_kv_heads: 8 };
        return [data.sizes.map((s) => m.costs(s, data.machine)), data.amounts.map(([x, unit]) => m.amount(x, unit)),
            m.LENGTHS, m.settled(far, far), m.settled({ ...eight, num_heads: 16 }, eight),
            m.settled({ ...eight, num_heads: 5, d_head: 100 }, eight),
            m.settled({ ...eight, num_heads: 5, num_kv_heads: 5, d_head: null }, eight)];""",
        sizes=sizes,
        machine=asdict(machine),
        amounts=amounts,
    )
    for size, costs in zip(sizes, found, strict=True):
        expected = CostExplorer(**size, machine=machine).costs
        seconds = costs.pop("seconds")
        assert seconds == pytest.approx(expected.pop("seconds"), rel=1e-12)
        assert costs == expected, size
    assert words == [amount(x, unit) for x, unit in amounts]
    assert lengths == LENGTHS
    assert shared == {"d_model": 96, "num_heads": 48, "num_kv_heads": 6, "d_head": None}
    assert unshared == {"d_model": 512, "num_heads": 16, "num_kv_heads": 16, "d_head": None}
    assert free == {"d_model": 512, "num_heads": 5, "num_kv_heads": 5, "d_head": 100}
    assert back == {"d_model": 512, "num_heads": 4, "num_kv_heads": 4, "d_head": None}
