"""500 gestures at random, by mouse and finger: no error in the page, and no memory that stays taken."""

import pytest
from playwright.sync_api import expect
from test_cost_explorer_page import MACHINE

from mha_lab.widgets import CostExplorer, KVCacheExplorer

GESTURES = """async ([seed, count]) => {
    let state = seed;
    const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
    const pick = (all) => all[Math.floor(random() * all.length)];
    const root = document.querySelector('.mha');
    const all = (selector) => [...root.querySelectorAll(selector)];
    const point = (kind) => {
        const picture = pick(all('svg, canvas'));
        if (!picture) return;
        const box = picture.getBoundingClientRect();
        const [x, y] = [box.x + random() * box.width, box.y + random() * box.height];
        const pointerType = kind === 'tap' ? 'touch' : 'mouse';
        const at = { clientX: x, clientY: y, bubbles: true, pointerId: 1, pointerType };
        if (kind === 'move') picture.dispatchEvent(new PointerEvent('pointermove', at));
        if (kind === 'click') picture.dispatchEvent(new MouseEvent('click', at));
        const tap = kind === 'tap' ? ['pointerdown', 'pointerup'] : [];
        for (const name of tap) picture.dispatchEvent(new PointerEvent(name, at));
    };
    const acts = {
        slide() {
            const slider = pick(all('input[type="range"]:not(:disabled)'));
            slider.value = Number(slider.min) + random() * (Number(slider.max) - Number(slider.min));
            slider.dispatchEvent(new Event('input', { bubbles: true }));
        },
        choose() {
            const menu = pick(all('select'));
            menu.value = pick([...menu.options].filter((option) => !option.disabled)).value;
            menu.dispatchEvent(new Event('change', { bubbles: true }));
        },
        press: () => pick(all('input[type="radio"], input[type="checkbox"], button'))?.click(),
        unfold() {
            const fold = pick(all('details'));
            if (fold && random() < 0.3) fold.open = !fold.open;
        },
        move: () => point('move'),
        click: () => point('click'),
        tap: () => point('tap'),
    };
    for (let i = 0; i < count; i++) {
        acts[pick(Object.keys(acts))]();
        if (i % 3 === 0) await new Promise(requestAnimationFrame);
    }
}"""


def costs():
    made = {}
    exec(MACHINE, made)
    by_heads = {heads: [(1024, 0.01 * heads, "explicit"), (64, 0.001, "fused")] for heads in (1, 2, 16, 32)}
    return CostExplorer(machine=made["machine"], measured=[(1024, 1.0, "explicit")], by_heads=by_heads)


@pytest.mark.parametrize("explorer", [costs, KVCacheExplorer])
def test_500_random_gestures_leave_no_error_and_no_memory_taken(explorer, browser, tmp_path):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(explorer().save_html(tmp_path / "page.html").as_uri())
    expect(page.locator(".mha[data-drawn]")).to_have_count(1)
    session = page.context.new_cdp_session(page)

    def heap():
        session.send("HeapProfiler.collectGarbage")
        return session.send("Runtime.getHeapUsage")["usedSize"]

    page.evaluate(GESTURES, [1, 100])  # what is made once is there
    before = heap()
    page.evaluate(GESTURES, [2, 500])
    assert errors == []
    assert heap() < 1.2 * before
    page.close()
