"""AttentionStepper, driven as a learner drives it, in a real JupyterLab."""

import re

import pytest
from live_lab import CONTRAST
from playwright.sync_api import expect

STEPPER = """
import numpy as np
from mha_lab.widgets import AttentionStepper
query = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, -1]])
key = np.array([[2, 0, 2, 0], [2, 2, 0, 0], [1, 0, 0, 1]])
value = np.array([[10, 0], [0, 10], [0, 0]])
stepper = AttentionStepper(query, key, value, ["trophy", "suitcase", "it"], position=2, stage=1)
stepper
"""


@pytest.fixture
def root(lab):
    root = lab.show(STEPPER).locator(".mha-step")
    expect(root).to_have_attribute("data-drawn", re.compile("."))
    return root


def test_stages_are_uncovered_one_by_one(lab, root):
    weights = root.locator("tbody tr td:nth-of-type(5) b")
    output = root.locator("tfoot .mha-step-output b")
    explanation = root.locator(".mha-step-explanation")
    expect(explanation).to_have_text("it → trophy: q·k = 1·2 + 0·0 + 1·2 + (−1)·0 = 4")
    expect(weights.first).to_be_hidden()
    step = root.get_by_role("button", name="step")
    for words in "4 / √4 = 2", "may look", "(e^2 + e^1 + e^0) = 7.39 / 11.1 = 0.665":
        expect(output.first).to_be_hidden()
        step.click()
        expect(explanation).to_contain_text(words)
    expect(weights).to_have_text(["0.665", "0.245", "0.090"])
    expect(weights.first).to_be_visible()
    step.click()
    expect(output.first).to_be_visible()
    expect(output).to_have_text(["6.65", "2.45"])
    expect(step).to_be_disabled()
    root.get_by_role("button", name="back").click()
    expect(output.first).to_be_hidden()
    lab.expect_python("stepper.stage", 4)


def test_play_goes_to_the_end_and_stops(lab, root):
    lab.python("stepper.set_trait('stage', 4)")
    play = root.get_by_role("button", name="play")
    play.click()
    expect(root.get_by_role("button", name="pause")).to_be_visible()
    expect(root.locator("tfoot .mha-step-output b").first).to_be_visible(timeout=20_000)
    expect(play).to_be_visible()


def test_a_word_is_chosen_by_click_and_by_arrow_keys(lab, root):
    words = root.get_by_role("radio")
    words.nth(0).click()
    expect(words.nth(0)).to_have_attribute("aria-checked", "true")
    expect(root.locator(".mha-step-explanation")).to_contain_text("trophy → ")
    words.nth(0).press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    words.nth(1).press("ArrowDown")
    expect(words.nth(2)).to_have_attribute("aria-checked", "true")
    words.nth(2).press("ArrowDown")
    expect(words.nth(2)).to_be_focused()
    lab.expect_python("stepper.position", 2)


def test_temperature_saturates_levels_and_returns_to_1(lab, root):
    lab.python("stepper.set_trait('stage', 5)")
    weights, heat = root.locator("tbody tr td:nth-of-type(5) b"), root.get_by_label("temperature")
    heat.press("Home")
    expect(weights).to_have_text(["1.000", "0.000", "0.000"])
    expect(root.locator("tfoot")).to_contain_text("entropy 0.00 of 1.10 nats")
    heat.press("End")
    expect(weights).to_have_text(["0.344", "0.333", "0.323"])
    root.get_by_role("button", name="reset").click()
    expect(weights).to_have_text(["0.665", "0.245", "0.090"])
    lab.expect_python("stepper.temperature", 1)


def test_the_causal_mask_hatches_and_takes_the_weight(lab, root):
    lab.python("stepper.set_trait('stage', 5)")
    root.get_by_role("radio").nth(1).click()
    root.get_by_label("causal mask").check()
    expect(root.locator("tbody tr td:nth-of-type(4)")).to_have_text(["✓", "✓", "−∞"])
    expect(root.locator("tbody tr td:nth-of-type(5) b").nth(2)).to_have_text("0.000")
    expect(root.locator("tbody tr").nth(2).locator(".mha-step-masked")).to_have_count(2)
    root.locator("tbody tr").nth(2).hover()
    expect(root.locator(".mha-step-explanation")).to_contain_text("suitcase → it: masked")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = lab.show(STEPPER.replace("stage=1", "stage=5")).locator(".mha-step")
    expect(root).to_have_attribute("data-drawn", re.compile("."))
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
