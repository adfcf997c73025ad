"""The explorers on a bare page: no JupyterLab, no kernel, no network; a host of a few lines stands in for the model."""

from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import expect

from mha_lab.widgets import AttentionStepper, HeadExplorer, KVCacheExplorer

HOST = """async ([code, state]) => {
    const revived = (value) => {
        if (Array.isArray(value)) return value.map(revived);
        if (value?.bytes) return new DataView(Uint8Array.from(value.bytes).buffer);
        if (!value || typeof value !== 'object') return value;
        return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revived(inner)]));
    };
    const values = revived(state), listeners = {};
    window.model = {
        get: (name) => values[name],
        set: (name, value) => { values[name] = value; (listeners[`change:${name}`] ?? []).forEach((act) => act()); },
        on: (event, act) => (listeners[event] ??= []).push(act),
        off: (event, act) => { listeners[event] = (listeners[event] ?? []).filter((other) => other !== act); },
        save_changes: () => { throw new Error('there is no kernel'); },
        send: () => { throw new Error('there is no kernel'); },
        listening: () => Object.values(listeners).flat().length,
    };
    const module = await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
    const leave = [module.default.initialize?.({ model: window.model }) ?? (() => {})];
    leave.push(await module.default.render({ model: window.model, el: document.body }));
    window.leave = () => leave.forEach((clean) => clean());
}"""


def plain(value):
    """A widget's state in JSON: bytes become lists of numbers."""
    if isinstance(value, bytes):
        return {"bytes": list(value)}
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@pytest.fixture
def host(browser):
    """host(widget, scale): the widget alive on a page whose screen has `scale` pixels for each CSS pixel."""
    pages = []

    def host(widget, scale=1):
        page = browser.new_page(viewport={"width": 1000, "height": 800}, device_scale_factor=scale)
        pages.append(page)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.add_style_tag(content=str(widget._css))
        state = {name: getattr(widget, name) for name in widget.keys if not name.startswith(("_model", "_view"))}
        state = {name: plain(value) for name, value in state.items() if name not in ("layout", "_esm", "_css")}
        page.evaluate(HOST, [str(widget._esm), state])
        return page

    yield host
    for page in pages:
        page.close()


def projection(**options):
    query, key = np.random.default_rng(0).normal(size=(2, 4, 12))
    return HeadExplorer.from_projection(query, key, ["a", "b", "a", "c"], **options)


@pytest.mark.parametrize("scale", [1, 2])
def test_maps_have_as_many_pixels_as_the_screen(host, scale):
    page = host(projection(num_heads=4), scale)
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    canvas = page.locator("canvas").first
    assert canvas.evaluate("(c) => c.width") == scale * canvas.evaluate("(c) => c.clientWidth")
    page.get_by_role("slider").press("ArrowRight")
    expect(page.locator(".mha-heads-facts")).to_contain_text("d_head2")
    assert page.errors == []


def test_without_a_kernel_the_readout_says_how_exact_it_is(host):
    recording = SimpleNamespace(sentence="a b", tokens=["a", "b"], weights=np.full((1, 1, 2, 2), [0.123, 0.877]))
    page = host(HeadExplorer([recording]))
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    page.evaluate("window.model.set('hovered', [0, 1, 0])")
    expect(page.locator(".mha-heads-readout")).to_have_text("head 0: b → a ≈ 0.12(8 bits)row sums to ≈ 1.00")
    assert page.errors == []


def test_the_stepper_steps_without_a_kernel(host):
    page = host(stepper(stage=4))
    page.get_by_role("button", name="step").click()
    expect(page.locator("tfoot .mha-step-output b").first).to_be_visible()
    assert page.errors == []


def stepper(**options):
    return AttentionStepper(np.eye(3), np.eye(3), np.eye(3), ["x", "y", "z"], **options)


@pytest.mark.parametrize("widget", [projection, stepper, KVCacheExplorer])
def test_a_view_that_is_closed_leaves_nothing_behind(host, widget):
    page = host(widget())
    expect(page.locator("[data-drawn]")).to_have_count(1)
    page.evaluate("window.leave()")
    assert page.evaluate("[document.body.childElementCount, window.model.listening()]") == [0, 0]
