"""MockInterview on a real page: by keyboard and finger, kept by the kernel and beyond it, its links, both themes."""

import json

import pytest
from live_lab import CONTRAST
from playwright.sync_api import expect

from mha_lab.widgets import MockInterview

SHOW = "from mha_lab.widgets import MockInterview\ninterview = MockInterview()\ninterview"
SHELF = "mha-lab.mock-interview"
FORGET = "from mha_lab import progress; progress.forget()"
POINTS = "Which of these 3 points did you say, in your own words?"


@pytest.fixture(autouse=True)
def nobody_was_asked(request):
    """The tests that share a page, or a home, must not find each other's answers."""
    for name in {"lab", "own_lab"} & set(request.fixturenames):
        lab = request.getfixturevalue(name)
        lab.show(FORGET)
        lab.page.evaluate("(key) => [key, `${key}.since`].forEach((name) => localStorage.removeItem(name))", SHELF)


def shelf(lab):
    return json.loads(lab.page.evaluate("(key) => localStorage.getItem(key)", SHELF) or "null")


def test_points_are_hidden_until_an_answer_was_given_and_what_is_typed_is_kept(lab):
    box = lab.show(SHOW).locator(".mha-interview")
    expect(box.get_by_role("checkbox")).to_have_count(0)
    assert "every head sees all of x" not in box.inner_html()
    expect(box.get_by_role("button", name="I have said it aloud: show the points")).to_be_visible()

    box.get_by_role("textbox").press_sequentially(
        "dd no order\nwithout a mask"
    )  # in command mode, d d deletes the cell
    box.get_by_role("button", name="Show the points").press("Enter")
    box.get_by_role("group", name=POINTS).get_by_role("checkbox").first.press("Space")
    expect(box.get_by_text("1 of 20 questions answered, 1 of 3 points said")).to_be_visible()
    lab.expect_python("interview.said", {"order": "dd no order\nwithout a mask"})
    lab.expect_python("interview.ticked", {"order": [0]})
    lab.expect_python("__import__('mha_lab').progress.kept()['interview']['order']['points']", [0])

    again = lab.show("interview = MockInterview()\ninterview").locator(".mha-interview")
    expect(again.get_by_text("Question 2 of 20")).to_be_visible()
    again.get_by_role("button", name="← Back").click()
    expect(again.get_by_role("textbox")).to_have_value("dd no order\nwithout a mask")
    expect(again.get_by_role("checkbox").first).to_be_checked()


def test_arrow_keys_go_from_question_to_question_and_python_can(lab):
    box = lab.show(SHOW).locator(".mha-interview")
    box.get_by_role("button", name="Question 1, structure, not answered yet").focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("ArrowRight")
    expect(box.get_by_role("button", name="Question 3, advantage, not answered yet")).to_be_focused()
    expect(box.get_by_text("Question 3 of 20 · advantage")).to_be_visible()
    lab.expect_python("interview.at", 2)
    box.get_by_role("button", name="Next →").click()
    expect(box.get_by_text("Question 4 of 20")).to_be_visible()
    lab.python("setattr(interview, 'at', 19)")
    expect(box.get_by_text("Question 20 of 20")).to_be_visible()
    expect(box.get_by_role("button", name="Next →")).to_be_disabled()


def test_what_was_said_aloud_counts_and_what_was_missed_is_read_again(lab):
    box = lab.show(SHOW).locator(".mha-interview")
    box.get_by_role("button", name="I have said it aloud: show the points").click()
    box.get_by_role("checkbox").last.check()
    score = box.get_by_role("row", name="structure")
    expect(score).to_contain_text("1 of 3")
    expect(box.get_by_text("lesson 01, section 8 (2 points)")).to_be_visible()
    result = lab.show("interview.result()")
    expect(result.get_by_role("link", name="lesson 01, section 8")).to_be_visible()


def test_what_is_typed_while_no_kernel_listens_reaches_the_next_one(own_lab):
    box = own_lab.show(SHOW).locator(".mha-interview")
    box.get_by_role("textbox").fill("before")
    own_lab.expect_python("interview.said", {"order": "before"})
    own_lab.stop_kernel()
    box.get_by_role("textbox").fill("before, and after")
    box.get_by_role("button", name="Next →").click()
    box.get_by_role("textbox").fill("more")
    own_lab.page.wait_for_function("(key) => localStorage.getItem(key)?.includes('more')", arg=SHELF)
    assert shelf(own_lab)["said"] == {"order": "before, and after", "scale": "more"}

    own_lab.open_new("another_lesson.ipynb")
    own_lab.show(SHOW)
    own_lab.expect_python("interview.said", {"order": "before, and after", "scale": "more"})


def test_what_was_forgotten_is_not_brought_back_by_the_page(lab):
    box = lab.show(SHOW).locator(".mha-interview")
    box.get_by_role("textbox").fill("because")
    lab.expect_python("interview.said", {"order": "because"})
    lab.show(FORGET)
    box = lab.show("interview = MockInterview()\ninterview").locator(".mha-interview")
    expect(box.get_by_role("textbox")).to_have_value("")
    lab.expect_python("interview.said", {})


def test_every_word_can_be_read_in_both_themes(lab):
    output = lab.show(SHOW).locator(".mha-interview")
    output.get_by_role("button", name="I have said it aloud: show the points").click()
    for theme in "JupyterLab Light", "JupyterLab Dark":
        lab.theme(theme)
        assert {text: ratio for text, ratio in output.evaluate(CONTRAST).items() if ratio < 4.5} == {}, theme


@pytest.mark.parametrize("colours", ["none", "active"])
def test_a_finger_reaches_everything_on_a_phone_with_forced_colours_too(browser, tmp_path, colours):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, offline=True)
    page = context.new_page()
    page.emulate_media(forced_colors=colours)
    page.goto(MockInterview().save_html(tmp_path / "page.html").as_uri())
    box = page.locator(".mha-interview")
    box.get_by_role("button", name="Question 20, ").tap()
    box.get_by_role("button", name="I have said it aloud: show the points").tap()
    for check in box.get_by_role("checkbox").all():
        check.tap()
        expect(check).to_be_checked()
    places = [control.bounding_box() for control in box.locator("button:visible, li > a:visible, li input").all()]
    assert len(places) > 25
    assert all(place["x"] >= 0 and place["x"] + place["width"] <= 390 for place in places)
    assert all(place["height"] >= 22 for place in places)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
