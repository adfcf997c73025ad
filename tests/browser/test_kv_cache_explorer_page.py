"""KVCacheExplorer on a real page: the numbers of mha_lab.cost, by mouse and by keyboard, with and without a kernel."""

import itertools
import re

import pytest
from live_lab import CONTRAST
from playwright.sync_api import expect

from mha_lab.cost import kv_cache_bytes
from mha_lab.widgets import KVCacheExplorer
from mha_lab.widgets.kv_cache_explorer import BATCHES, CONTEXTS, DECODERS, WIDTHS

SHOW = "from mha_lab.widgets import KVCacheExplorer\nexplorer = KVCacheExplorer('Llama-3-8B')\nexplorer"


@pytest.fixture
def root(lab):
    return shown(lab)


def shown(lab):
    root = lab.show(SHOW).locator(".mha-cache")
    expect(root).to_have_attribute("data-drawn", re.compile("."))
    return root


def expect_bytes(root, count):
    expect(root).to_have_attribute("data-bytes", str(count))


def test_the_browser_counts_what_python_counts_for_every_model(javascript):
    """The module's own arithmetic, at every model and many steps of the sliders; needs no JupyterLab."""
    cases, expected, tokens, added = [], [], [], []
    for model in DECODERS:
        explorer = KVCacheExplorer(model.name)
        preset = next(one for one in explorer._presets if one["name"] == model.name)
        heads = [g for g in range(1, model.num_heads + 1) if model.num_heads % g == 0]
        for width in WIDTHS:
            explorer.bytes_per_number = width
            tokens.append([preset, {"heads": explorer._heads(), "width": width}])
            added.append(explorer.token_bytes)
            for g, context, batch in itertools.product(heads, CONTEXTS[::3] + (100, 131), BATCHES[::4]):
                explorer.context, explorer.batch = context, batch
                cases.append([preset, {"heads": g, "context": context, "batch": batch, "width": width}])
                expected.append(explorer._bytes(g))
                if model.latent:
                    cases.append([preset, {"heads": None, "context": context, "batch": batch, "width": width}])
                    expected.append(explorer.cache_bytes)
    found, each = javascript(
        "kv_cache_explorer/index.js",
        """const of = (count) => ([sizes, now]) => count(sizes, now);
        return [data.cases.map(of(m.cacheBytes)), data.tokens.map(of(m.tokenBytes))];""",
        cases=cases,
        tokens=tokens,
    )
    assert found == expected and each == added


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
    assert "GLM-4.5-Air: its source does not say d_head" in words and len(words) == 3


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
