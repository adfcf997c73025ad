"""Every explorer, in a real JupyterLab: axe-core finds nothing to object to, and two of a class keep apart."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from test_cost_explorer_page import MACHINE

from mha_lab import widgets

SETUP = f"""
{MACHINE}
import numpy as np
from types import SimpleNamespace
from IPython.display import display
from mha_lab.widgets import *

tokens = ["the", "cat", "saw", "the", "dog"]
rng = np.random.default_rng(0)
query, key, value = rng.normal(size=(3, 5, 24))
scores = np.exp(rng.normal(size=(3, 4, 5, 5)))
weights = scores / scores.sum(-1, keepdims=True)
def predict(mask):
    return dict(good=mask.mean(), bad=1 - mask.mean())

def reading(words, layers):
    weights = rng.dirichlet(np.ones(len(words)), size=(layers, 3, len(words)))
    return SimpleNamespace(sentence=" ".join(words), tokens=words, weights=weights, shares=weights[0, 0, 0],
        probabilities=[0.7, 0.2, 0.1], names=["账单 · statement", "保险 · insurance", "none"], message="")

recording = SimpleNamespace(sentence="the cat saw the dog", tokens=tokens, weights=weights)
"""
EXPLORERS = {
    "HeadExplorer": [
        "HeadExplorer([recording])",
        "HeadExplorer([recording], stretch=True, pinned=[2, 0])",
        "HeadExplorer([recording], view='overview')",
        "HeadExplorer([recording], view='lines')",
        "HeadExplorer.from_projection(query, key, tokens, num_heads=4, num_kv_heads=2, shuffle=1)",
        "HeadExplorer.from_projection(query, key, tokens, num_heads=4)",
        "HeadExplorer.from_projection(query, key, tokens, num_heads=12, causal=True, pinned=[5])",
    ],
    "AttentionStepper": [
        "AttentionStepper(query, key, value, tokens, stage=1)",
        "AttentionStepper(query, key, value, tokens, position=2, causal=True, temperature=0.5)",
        "AttentionStepper(*rng.normal(size=(3, 3, 5, 2)), tokens, w_o=rng.normal(size=(6, 40)))",
        "AttentionStepper(*rng.normal(size=(3, 3, 5, 2)), tokens, w_o=rng.normal(size=(6, 4)))",
    ],
    "CostExplorer": [
        "CostExplorer()",
        "CostExplorer(d_model=512, num_kv_heads=2, machine=machine, measured=[(1024, 0.065, 'explicit')])",
    ],
    "Guess": [
        "Guess('99.typed', 'How many times as long?')",
        "Guess('99.chosen', 'From 1 head to 16: the parameters', ['stay the same', 'grow 16 times', 'shrink'])",
    ],
    "HeadSwitches": [
        "HeadSwitches(predict, num_layers=1, num_heads=4)",
        "HeadSwitches(lambda mask: {'a': predict(mask), 'b': predict(mask)}, num_layers=3, num_heads=20, off=[(0, 1)])",
    ],
    "IntentExplorer": [
        "IntentExplorer([reading(['我', '想', '查', '账', '单'], 1)])",
        "IntentExplorer([reading(tokens, 2), reading(['a', 'cat'], 2)], layer=0, word=1, stretch=False)",
    ],
    "KVCacheExplorer": ["KVCacheExplorer('DeepSeek-V2')", "KVCacheExplorer(context=1024)"],
    "LayerMap": ["LayerMap(lit='scores')", "LayerMap(mode='cache', num_kv_heads=2, num_keys=40)"],
    "MockInterview": ["MockInterview()", "MockInterview(said={'mask': 'because'}, ticked={'order': [0], 'mask': []})"],
    "ModelTable": ["ModelTable(model='Hy4')", "ModelTable(ask={'gate': True, 'linear': False}, sort='cached')"],
    "OutputMixer": [
        "OutputMixer(rng.normal(size=(3, 5, 2)), rng.normal(size=(6, 4)), tokens)",
        "OutputMixer(rng.normal(size=(3, 5, 2)), rng.normal(size=(6, 40)), tokens, active=[1])",
    ],
    "TileExplorer": [
        "TileExplorer(step=0, causal=False)",
        "TileExplorer(rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), rng.normal(size=(5, 8)), tokens, query_rows=2)",
    ],
    "TrueOrFalse": ["TrueOrFalse()", "TrueOrFalse(answers={'scale': True, 'own-slice': False})"],
}
"""The states of every explorer that differ in what is on the page."""

SNAPSHOT = """(root) => JSON.stringify([
    root.innerHTML,
    [...root.querySelectorAll('input, select')].map((control) => [control.value, control.checked]),
    [...root.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL()),
])"""
"""All that a learner can see of an explorer."""

FIRST_CONTROL = "input[type=range], input[type=radio], [role=radio], .mha-switch-grid button, .mha-models-asks button, "
FIRST_CONTROL += ".mha-interview-marks button"


def shown(lab, calls):
    """The explorers that these calls make, drawn."""
    roots = lab.show(SETUP + f"explorers = [{', '.join(calls)}]\ndisplay(*explorers)").locator(".mha")
    expect(roots).to_have_count(len(calls))
    expect(lab.page.locator("[data-waiting]:not([data-waiting='0'])")).to_have_count(0)  # rows that come in idle time
    lab.page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    return roots


def test_every_explorer_is_examined_here():
    assert set(EXPLORERS) == set(widgets.__all__)


def test_axe_finds_no_violation_in_either_theme(lab):
    shown(lab, [call for calls in EXPLORERS.values() for call in calls])
    for theme in "JupyterLab Light", "JupyterLab Dark":
        lab.theme(theme)
        violations = Axe().run(lab.page, context=".mha").response["violations"]
        assert [(v["help"], *(node["html"] for node in v["nodes"][:5])) for v in violations] == [], theme


@pytest.mark.parametrize("name", EXPLORERS)
def test_two_on_one_page_keep_apart(lab, name):
    """The first control of each is moved with the keyboard: the other one does not change, on the page or in Python."""
    roots = shown(lab, EXPLORERS[name][-1:] * 2)
    for moved, other in (0, 1), (1, 0):
        before = [roots.nth(i).evaluate(SNAPSHOT) for i in (moved, other)]
        traits = lab.python(f"repr(explorers[{other}].get_state())")
        roots.nth(moved).locator(FIRST_CONTROL).first.press("ArrowRight")
        handle = roots.nth(moved).element_handle()
        lab.page.wait_for_function(f"([root, before]) => ({SNAPSHOT})(root) !== before", arg=[handle, before[0]])
        assert roots.nth(other).evaluate(SNAPSHOT) == before[1]
        lab.page.evaluate("() => new Promise((told) => setTimeout(told, 200))")  # Python hears of it 0.1 s later
        assert lab.python(f"repr(explorers[{other}].get_state())") == traits
