"""HeadSwitches on a real page: heads off, predictions moved; while Python is slow, wrong, or not there at all."""

import re

import pytest
from live_lab import steady
from playwright.sync_api import expect
from test_without_jupyter import host

from mha_lab.widgets import HeadSwitches

__all__ = ["host"]  # a fixture

SHOW = """
import time
from pathlib import Path
from mha_lab.widgets import HeadSwitches

asked, stop = [], Path("stop")

def predict(head_mask):
    asked.append(head_mask.tolist())
    while stop.exists():
        time.sleep(0.02)
    off = int((1 - head_mask).sum())
    if off == 5:
        raise RuntimeError("no <b>five</b>")
    good = head_mask[0, 0] * 0.6 + head_mask[1].sum() * 0.1
    return {"a film": {"good": good, "bad": 1 - good}, "<i>a</i> book": {"good": 0.5}}

switches = HeadSwitches(predict, num_layers=2, num_heads=3, labels={(0, 0): "looks one back"})
asked.clear()
switches
"""


@pytest.fixture
def root(lab):
    root = lab.show(SHOW).locator(".mha-switch")
    steady(root)
    return root


def head(root, layer, number):
    return root.get_by_role("button", name=re.compile(f"^layer {layer}, head {number}"))


def headline(root):
    return root.locator(".mha-switch-headline")


def good_film(root):
    """What is said of the film's being good: now, with all heads on, change."""
    return root.get_by_role("row", name=re.compile("^good")).first.get_by_role("cell")


def test_a_head_that_is_switched_off_moves_the_predictions(lab, root):
    expect(headline(root)).to_have_text("All 6 heads on.")
    expect(head(root, 0, 0)).to_have_attribute("aria-label", re.compile("looks one back, alone off.* by 0.60"))
    head(root, 0, 0).click()
    expect(headline(root)).to_have_text("Off: head 0.0 (looks one back). Most moved: a film, good, 0.90 → 0.30.")
    expect(head(root, 0, 0)).to_have_attribute("aria-pressed", "false")
    expect(good_film(root)).to_have_text(["", "0.30", "0.90", "−0.60"])
    lab.expect_python("[switches.off, asked]", [[[0, 0]], []])  # known already
    head(root, 1, 2).click()
    expect(good_film(root)).to_have_text(["", "0.20", "0.90", "−0.70"])
    lab.expect_python("[switches.off, asked]", [[[0, 0], [1, 2]], [[[0, 1, 1], [1, 1, 0]]]])
    expect(root.get_by_role("row", name="<i>a</i> book")).to_be_visible()
    lab.python("setattr(switches, 'off', [(0, 1), (0, 2)])")
    expect(headline(root)).to_have_text("Off: heads 0.1, 0.2. No prediction moves.")


def test_every_switch_is_reached_by_keyboard(lab, root):
    first = head(root, 0, 0)
    first.focus()
    for key in "ArrowRight", "ArrowDown", "End":
        lab.page.keyboard.press(key)
    expect(head(root, 1, 2)).to_be_focused()
    expect(root.locator(".mha-switch-grid [tabindex='0']")).to_have_count(1)
    lab.page.keyboard.press("Space")
    expect(headline(root)).to_contain_text("Off: head 1.2.")
    lab.page.keyboard.press("Escape")
    expect(headline(root)).to_have_text("All 6 heads on.")
    root.get_by_role("button", name="only head 1.2 off").press("Enter")
    lab.expect_python("switches.off", [[1, 2]])
    root.get_by_role("button", name="all off").click()
    expect(headline(root)).to_contain_text("All 6 heads off.")
    lab.expect_python("len(switches.off)", 6)


def test_while_python_is_slow_it_says_so_and_the_newest_state_wins(lab, root):
    stop = lab.server.files / "stop"
    stop.touch()
    try:
        root.locator(".mha-switch-grid").evaluate(
            "(grid) => [0, 1, 3, 4].forEach((i) => grid.querySelectorAll('button')[i].click())"
        )
        expect(root.get_by_role("status")).to_have_text("Waiting for Python …")
        expect(good_film(root)).to_have_text(["", "–", "0.90", ""])
    finally:
        stop.unlink()
    expect(good_film(root)).to_have_text(["", "0.10", "0.90", "−0.80"])
    expect(root.get_by_role("status")).to_have_text("")
    lab.expect_python("[switches.off, len(asked) <= 2]", [[[0, 0], [0, 1], [1, 0], [1, 1]], True])


def test_an_error_of_predict_is_shown_in_words_and_passes(lab, root):
    root.get_by_role("button", name="only head 0.0 on").click()
    status = root.get_by_role("status")
    expect(status).to_have_text("predict failed with RuntimeError: no <b>five</b>")
    expect(good_film(root)).to_have_text(["", "–", "0.90", ""])
    root.get_by_role("button", name="all on").click()
    expect(status).to_have_text("")
    expect(good_film(root)).to_have_text(["", "0.90", "0.90", "0.00"])


def test_a_predict_that_exits_leaves_the_kernel_and_its_variables(lab):
    root = lab.show(SHOW.replace('raise RuntimeError("no <b>five</b>")', "raise SystemExit(3)")).locator(".mha-switch")
    root.get_by_role("button", name="only head 0.0 on").click()
    expect(root.get_by_role("status")).to_have_text("predict failed with SystemExit: 3")
    lab.expect_python("len(asked)", 1)


def test_after_a_restart_what_is_known_stays_and_running_the_cell_again_brings_python_back(own_lab):
    root = own_lab.show(SHOW).locator(".mha-switch")
    steady(root)
    own_lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    own_lab.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    )
    head(root, 0, 0).click()
    expect(headline(root)).to_contain_text("Most moved: a film, good, 0.90 → 0.30.")
    head(root, 1, 2).click()
    expect(root.get_by_role("status")).to_have_text(
        re.compile("^The kernel was restarted or is gone: run this cell again")
    )
    expect(good_film(root)).to_have_text(["", "–", "0.90", ""])
    own_lab.run_all()
    again = own_lab.panel.locator(".mha-switch")
    expect(headline(again)).to_have_text("All 6 heads on.")
    head(again, 0, 0).click()
    head(again, 1, 2).click()
    expect(good_film(again)).to_have_text(["", "0.20", "0.90", "−0.70"])


QUIET = "() => { window.model.save_changes = () => {}; }"
"""A host whose kernel is slow to answer."""


def small(**options):
    return HeadSwitches(lambda mask: {"cat": mask.mean()}, num_layers=1, num_heads=3, **options)


def test_an_answer_to_an_older_question_is_not_shown(host):
    page = host(small())
    page.evaluate(QUIET)
    root = page.locator(".mha-switch")
    head(root, 0, 0).click()
    head(root, 0, 1).click()
    cells = root.get_by_role("row", name=re.compile("^cat")).get_by_role("cell")
    page.evaluate("window.model.set('_answer', [[[0, 2]], [['', 'cat', 0.11]]])")
    expect(cells).to_have_text(["", "–", "1.00", ""])
    page.evaluate("window.model.set('_answer', [[[0, 0], [0, 1]], [['', 'cat', 0.22]]])")
    expect(cells).to_have_text(["", "0.22", "1.00", "−0.78"])


def test_it_says_when_nobody_answers(host):
    page = host(small(precompute=False))
    root, status = page.locator(".mha-switch"), page.get_by_role("status")
    page.clock.install()
    page.evaluate(QUIET)
    head(root, 0, 0).click()
    page.clock.run_for(1000)
    expect(status).to_have_text("Waiting for Python …")
    page.clock.run_for(5000)
    expect(status).to_have_text(re.compile("^Python has not answered: it is busy, or its kernel is gone."))
    page.evaluate("() => { window.model.save_changes = () => { throw new Error('no kernel'); }; }")
    head(root, 0, 1).click()
    page.clock.run_for(100)
    expect(status).to_have_text(re.compile("^Only Python can predict this, and this page has none."))
