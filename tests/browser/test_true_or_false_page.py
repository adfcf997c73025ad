"""TrueOrFalse on a real page: by keyboard, by name, after a reload, and without a kernel."""

import json
import time

import pytest
from playwright.sync_api import expect

from mha_lab.widgets.true_or_false import STATEMENTS

SHOW = "from mha_lab.widgets import TrueOrFalse\nwidget = TrueOrFalse()\nwidget"
FIRST, SECOND, LAST = STATEMENTS[0], STATEMENTS[1], STATEMENTS[-1]
SHELF = "mha-lab.true-or-false"


FORGET = "from mha_lab import progress; progress.forget()"


@pytest.fixture(autouse=True)
def empty_shelf(request):
    """The tests that share a page, or a home, must not find each other's answers."""
    for name in {"lab", "own_lab"} & set(request.fixturenames):
        lab = request.getfixturevalue(name)
        lab.show(FORGET)
        lab.page.evaluate("(key) => [key, `${key}.since`].forEach((name) => localStorage.removeItem(name))", SHELF)


def radio(box, statement, answer):
    return box.get_by_role("radiogroup", name=statement.text).get_by_role("radio", name=answer, exact=True)


def kept(lab):
    return json.loads(lab.page.evaluate("(key) => localStorage.getItem(key)", SHELF) or "null")


def kernel_has(lab, answers):
    """Whether the answers reach Python: the page waits for one change to be taken in before it sends the next."""
    for _ in range(100):
        if lab.python("widget.answers") == answers:
            return True
        time.sleep(0.1)
    return False


def test_it_is_answered_by_keyboard_and_names_the_lesson_that_settles_it(lab):
    box = lab.show(SHOW).locator(".mha-tf")
    expect(box.get_by_role("radiogroup")).to_have_count(10)
    expect(box.get_by_text("settles it")).to_have_count(0)
    expect(box.get_by_text("0 of 10 answered")).to_be_visible()

    radio(box, FIRST, "true").focus()
    lab.page.keyboard.press("Space")
    lab.page.keyboard.press("Tab")
    expect(radio(box, SECOND, "true")).to_be_focused()
    lab.page.keyboard.press("ArrowRight")  # JupyterLab's command mode wants this key

    expect(radio(box, FIRST, "true")).to_be_checked()
    expect(radio(box, SECOND, "false")).to_be_checked()
    expect(box.get_by_text("Lesson 01 settles it.")).to_have_count(2)
    expect(box.get_by_text("2 of 10 answered")).to_be_visible()
    assert kernel_has(lab, {FIRST.key: True, SECOND.key: False})


def test_an_answer_can_be_changed_and_all_can_be_cleared(lab):
    box = lab.show(SHOW).locator(".mha-tf")
    for answer in ("true", "false"):
        radio(box, LAST, answer).check()
        expect(box.get_by_text("1 of 10 answered")).to_be_visible()
    assert kernel_has(lab, {LAST.key: False})
    box.get_by_role("button", name="Clear my answers").focus()
    lab.page.keyboard.press("Enter")
    expect(box.get_by_text("0 of 10 answered")).to_be_visible()
    expect(box.locator("input:checked")).to_have_count(0)
    assert kernel_has(lab, {}) and kept(lab) is None


def test_python_sets_what_the_page_shows_and_keeps(lab):
    box = lab.show(SHOW).locator(".mha-tf")
    expect(box).to_be_visible()
    lab.python(f"setattr(widget, 'answers', {{'{SECOND.key}': False}})")
    expect(radio(box, SECOND, "false")).to_be_checked()
    assert kept(lab) == {SECOND.key: False}


def put_on_the_shelf(lab, text):
    since = lab.python("__import__('mha_lab').progress.kept()['forgotten']")
    put = "([key, text, since]) => { localStorage.setItem(key, text); localStorage.setItem(`${key}.since`, since); }"
    lab.page.evaluate(put, [SHELF, text, since])


@pytest.mark.parametrize("text", ["{", "3", "null", json.dumps({"weather": True, FIRST.key: "yes"})])
def test_kept_text_that_makes_no_sense_is_left_aside(lab, text):
    put_on_the_shelf(lab, text)
    expect(lab.show(SHOW).get_by_text("0 of 10 answered")).to_be_visible()
    assert kernel_has(lab, {})


def test_answers_outlive_the_kernel_and_the_page_and_reach_another_lesson(own_lab):
    box = own_lab.show(SHOW).locator(".mha-tf")
    radio(box, FIRST, "false").check()
    own_lab.stop_kernel()
    radio(box, LAST, "true").check()
    expect(box.get_by_text("2 of 10 answered")).to_be_visible()
    assert kept(own_lab) == {FIRST.key: False, LAST.key: True}

    own_lab.open_new("another_lesson.ipynb")
    box = own_lab.show(SHOW).locator(".mha-tf")
    expect(box.get_by_text("2 of 10 answered")).to_be_visible()
    expect(radio(box, FIRST, "false")).to_be_checked()
    expect(radio(box, LAST, "true")).to_be_checked()
    assert kernel_has(own_lab, {FIRST.key: False, LAST.key: True})


def test_asked_again_the_first_answers_stay_and_what_was_forgotten_is_not_brought_back(lab):
    box = lab.show(SHOW).locator(".mha-tf")
    radio(box, FIRST, "true").check()
    assert kernel_has(lab, {FIRST.key: True})
    box = lab.show("widget = TrueOrFalse(again=True)\nwidget").locator(".mha-tf")
    expect(box.get_by_text("0 of 10 answered")).to_be_visible()
    radio(box, FIRST, "false").check()
    assert kernel_has(lab, {FIRST.key: False}) and kept(lab) == {FIRST.key: True}
    table = lab.show("from mha_lab.widgets import then_and_now\nthen_and_now()")
    expect(table.get_by_role("row").nth(1).get_by_role("cell")).to_have_text(
        [FIRST.text, "true", "false", "false", "01"]
    )
    lab.show(FORGET)
    expect(lab.show(SHOW).get_by_text("0 of 10 answered")).to_be_visible()
    assert kernel_has(lab, {})
