"""OutputMixer on a real page: heads switched by mouse and by keyboard, the sum growing, and no kernel needed."""

import numpy as np
import pytest
import torch
from live_lab import steady
from playwright.sync_api import expect
from test_head_explorer import CONTRAST

from mha_lab.widgets import OutputMixer

MIXER = """
import numpy as np
from mha_lab.widgets import OutputMixer
heads = np.array([[[9, 1], [0, 0]], [[5, 1], [2, 0]], [[1, 0], [0, 0]]])
w_o = np.array([[1, 0, -1], [0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
mixer = OutputMixer(heads, w_o, ["it", "fit"], features=["size", "degree", "room"])
mixer
"""


@pytest.fixture
def root(lab):
    root = lab.show(MIXER).locator(".mha-mix")
    steady(root)
    return root


def sums(root):
    return root.locator("tfoot tr").first.locator("td")


def test_a_feature_is_chosen_by_arrow_keys(lab, root):
    frame = root.get_by_role("group", name="what each head adds")
    frame.focus()
    for key, feature in ("ArrowLeft", 1), ("ArrowLeft", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("Escape", -1):
        frame.press(key)
        lab.expect_python("mixer.hovered", feature)
    expect(root.locator(".mha-mix-explanation")).to_contain_text("room at it")
    none = root.get_by_role("button", name="none")
    none.press("Enter")
    expect(none).to_be_focused()
    expect(none).to_have_attribute("aria-disabled", "true")


def test_a_head_is_switched_off_by_mouse_and_on_by_keyboard(lab, root):
    explanation, status = root.locator(".mha-mix-explanation"), root.locator(".mha-mix-status")
    expect(sums(root)).to_have_text(["9", "1", "−4"])
    expect(status).to_have_text("3 of 3 on: the sum is the output")
    expect(explanation).to_have_text("room at it: −9 from head 0 + 5 from head 1 = −4")
    head_1 = root.get_by_role("button", name="head 1")
    head_1.click()
    expect(head_1).to_have_attribute("aria-pressed", "false")
    expect(sums(root)).to_have_text(["9", "1", "−9"])
    expect(status).to_have_text("2 of 3 on: 51% of the output is missing")  # 5 / √(81 + 1 + 16)
    expect(explanation).to_have_text("room at it: −9 from head 0 = −9")
    lab.expect_python("mixer.active", [0, 2])
    head_1.press("Space")  # in JupyterLab's command mode this would scroll the notebook
    expect(sums(root)).to_have_text(["9", "1", "−4"])
    expect(head_1).to_be_focused()


def test_none_all_and_one_by_one(lab, root):
    status = root.locator(".mha-mix-status")
    lab.page.emulate_media(reduced_motion="no-preference")
    root.get_by_role("button", name="none").click()
    expect(sums(root)).to_have_text(["0", "0", "0"])
    expect(root.locator(".mha-mix-explanation")).to_contain_text("a sum of nothing is 0")
    root.get_by_role("button", name="all", exact=True).click()
    expect(status).to_contain_text("3 of 3 on")
    root.get_by_role("button", name="add one by one").click()
    for count in "1", "2":
        expect(status).to_contain_text(f"{count} of 3 on")
    expect(status).to_have_text("3 of 3 on: the sum is the output")
    expect(root.get_by_role("button", name="add one by one")).to_be_visible()
    lab.page.emulate_media(reduced_motion="reduce")


def test_without_motion_every_press_adds_one_head(lab, root):
    status, grow = root.locator(".mha-mix-status"), root.get_by_role("button", name="add one by one")
    for count in 0, 1, 2, 3, 0:
        grow.click()
        expect(status).to_contain_text(f"{count} of 3 on")
    lab.page.wait_for_timeout(1500)  # longer than the pause between two heads
    expect(status).to_contain_text("0 of 3 on")


def test_a_word_is_chosen_by_arrow_keys_and_a_feature_by_pointing(lab, root):
    words = root.get_by_role("radio")
    words.nth(0).press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    expect(sums(root)).to_have_text(["0", "0", "2"])
    lab.expect_python("mixer.position", 1)
    root.get_by_role("columnheader", name="degree").hover()
    expect(root.locator(".mha-mix-explanation")).to_have_text("degree at fit: these heads add nothing here")


def test_it_goes_on_without_a_kernel(own_lab):
    root = own_lab.show(MIXER).locator(".mha-mix")
    expect(sums(root)).to_have_text(["9", "1", "−4"])
    own_lab.stop_kernel()
    root.get_by_role("button", name="head 0").click()
    expect(sums(root)).to_have_text(["0", "1", "5"])


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = lab.show(MIXER).locator(".mha-mix")
    steady(root)
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_what_a_head_that_is_off_would_add_stays_legible_on_an_outline(lab, theme):
    lab.theme(theme)
    root = lab.show(MIXER.replace("features=", "active=[0], features=")).locator(".mha-mix")
    steady(root)
    contrast = [row.evaluate(CONTRAST) for row in root.locator(".mha-mix-off").all()]
    assert len(contrast) == 2 and min(min(one.values()) for one in contrast) >= 4.5, contrast
    off, on = (root.locator("tbody tr").nth(head).locator(".mha-mix-cell").first for head in (1, 0))
    assert off.evaluate("(cell) => getComputedStyle(cell).outlineStyle") == "dashed"
    assert [cell.evaluate("(cell) => cell.style.backgroundImage") == "none" for cell in (off, on)] == [True, False]


def test_a_word_written_from_the_right_leaves_the_minus_sign_in_its_place(lab):
    hebrew = MIXER.replace('"it", "fit"', '"שלום", "fit"').replace('"room"', '"מקום"')
    root = lab.show(hebrew).locator(".mha-mix")
    explanation = root.locator(".mha-mix-explanation")
    expect(explanation).to_contain_text("−4")
    words = "\u2068מקום\u2069 at \u2068שלום\u2069"
    assert explanation.text_content() == f"{words}: −9 from head 0 + 5 from head 1 = −4"
    minus, nine = explanation.evaluate(
        """(p) => ['−', '9'].map((sign) => {
            const range = document.createRange();
            range.setStart(p.firstChild, p.textContent.indexOf(sign));
            range.setEnd(p.firstChild, p.textContent.indexOf(sign) + 1);
            return range.getBoundingClientRect().left;
        })"""
    )
    assert minus < nine


def test_the_browser_computes_what_pytorch_computes(javascript):
    generator = torch.Generator().manual_seed(0)
    heads, w_o = torch.randn(4, 5, 3, generator=generator), torch.randn(12, 7, generator=generator)
    active = [0, 3]
    mixer = OutputMixer(heads, w_o, list("abcde"), position=2, active=active)
    found = javascript(
        "output_mixer/state.js",
        """const [heads, wO] = [data.heads, data.wO].map((numbers) => Float32Array.from(numbers));
        return m.mix({ heads, wO, n: 5, H: 4, D: 7, row: 2, active: data.active });""",
        heads=heads.flatten().tolist(),
        wO=w_o.flatten().tolist(),
        active=active,
    )
    full = heads[:, 2].flatten() @ w_o
    np.testing.assert_allclose(found["full"], full, atol=1e-5)
    np.testing.assert_allclose(found["sum"], heads[0, 2] @ w_o[:3] + heads[3, 2] @ w_o[9:], atol=1e-5)
    np.testing.assert_allclose(found["shares"], mixer.mix["shares"], atol=1e-6)
    assert abs(found["missing"] - mixer.mix["missing"]) < 1e-6


def test_many_features_are_tints_and_pointing_gives_the_number(lab):
    many = MIXER.replace("mixer = OutputMixer(heads, w_o", "mixer = OutputMixer(heads, np.tile(w_o, 7)")
    many = many.replace(', features=["size", "degree", "room"]', "")
    root = lab.show(many).locator(".mha-mix")
    expect(sums(root)).to_have_count(21)
    expect(sums(root).nth(5)).to_have_text("")
    sums(root).nth(5).hover()
    expect(root.locator(".mha-mix-explanation")).to_have_text("feature 5 at it: −9 from head 0 + 5 from head 1 = −4")
