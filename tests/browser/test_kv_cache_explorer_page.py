"""KVCacheExplorer on a real page: the numbers of mha_lab.cost, by mouse and by keyboard, with and without a kernel."""

import itertools
import re

import pytest
from live_lab import CONTRAST
from playwright.sync_api import expect

from mha_lab.cost import kv_cache_bytes
from mha_lab.widgets._base import joined
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


def test_every_number_is_that_of_cost_exactly(browser):
    """The module's own arithmetic, at every preset and step of the sliders; needs no JupyterLab."""
    cases, expected = [], []
    for m, context, batch, width in itertools.product(DECODERS, CONTEXTS, BATCHES, WIDTHS):
        sizes = {"layers": m.layers, "d_head": m.d_head, "window": m.window, "latent": m.latent}
        tokens = min(context, m.window) if m.window else context
        for heads in (g for g in range(1, m.num_heads + 1) if m.num_heads % g == 0):
            cases.append([sizes, {"heads": heads, "context": context, "batch": batch, "width": width}])
            expected.append(kv_cache_bytes(batch, tokens, heads, m.d_head, layers=m.layers, bytes_per_number=width))
        if m.latent:
            cases.append([sizes, {"heads": None, "context": context, "batch": batch, "width": width}])
            expected.append(batch * tokens * m.layers * m.latent * width)
    code = joined("kv_cache_explorer.js")
    page = browser.new_page()
    found = page.evaluate(
        """async ([code, cases]) => {
            const m = await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
            return cases.map(([sizes, now]) => m.cacheBytes(sizes, now));
        }""",
        [code, cases],
    )
    page.close()
    assert found == expected


@pytest.mark.parametrize("model", DECODERS, ids=lambda m: m.name)
def test_a_chosen_model_brings_its_own_sizes_to_the_page_and_to_python(lab, root, model):
    root.get_by_label("model").select_option(model.name)
    lab.expect_python("[explorer.model, explorer.context]", [model.name, model.context])
    expect_bytes(root, lab.python("explorer.cache_bytes"))
    expect(root.get_by_label("key/value heads")).to_be_enabled(enabled=not model.latent)
    expect(root).to_contain_text(model.source)
    expect(root.locator(".mha-cache-chosen")).to_have_count(1)


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
