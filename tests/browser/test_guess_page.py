"""Guess on a real page: by keyboard and by finger, kept by the kernel, and closed once the answer was seen."""

import re

import pytest
from live_lab import CONTRAST
from playwright.sync_api import expect

from mha_lab.widgets import Guess

QUESTION, CHOICES = "From 1 head to 16: the parameters", ["stay the same", "grow 16 times", "shrink"]
SETUP = f"""
from mha_lab import checks
from mha_lab.widgets import Guess, reckoning
chosen = lambda: Guess("98.parameters", {QUESTION!r}, {CHOICES!r})
typed = lambda: Guess("98.time", "How many times as long?")
"""
NOW = "You can change it until you have seen the answer."
FORGET = "from mha_lab import progress; progress.forget()"


@pytest.fixture(autouse=True)
def nobody_has_guessed(request):
    """The tests that share a kernel must not find each other's guesses."""
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").show(FORGET)


def test_it_is_answered_by_keyboard_kept_and_found_again(lab):
    box = lab.show(SETUP + "guess = chosen()\nguess").locator(".mha-guess")
    group = box.get_by_role("radiogroup", name=QUESTION)
    expect(box.get_by_role("status")).to_have_text("Guess before you go on.")
    group.get_by_role("radio", name="stay the same").focus()
    lab.page.keyboard.press("Space")
    lab.page.keyboard.press("ArrowRight")  # JupyterLab's command mode wants this key
    expect(group.get_by_role("radio", name="grow 16 times")).to_be_checked()
    expect(box.get_by_role("status")).to_have_text(f"You said: grow 16 times. {NOW}")
    lab.expect_python("guess.answer", "grow 16 times")
    lab.expect_python("__import__('mha_lab').progress.kept()['guesses']['98.parameters']['said']", "grow 16 times")

    box = lab.show("guess = chosen()\nguess").locator(".mha-guess")
    expect(box.get_by_role("radio", name="grow 16 times")).to_be_checked()


def test_a_short_answer_is_typed_and_an_enter_keeps_it(lab):
    box = lab.show(SETUP + "guess = typed()\nguess").locator(".mha-guess")
    field = box.get_by_role("textbox", name="Your answer How many times as long?")
    expect(box.get_by_role("status")).to_have_text("Guess before you go on: type it and press Enter.")
    field.press_sequentially("  about  twice dd")  # in command mode, d d deletes the cell
    field.press("Enter")
    expect(field).to_have_value("about twice dd")
    lab.expect_python("guess.answer", "about twice dd")
    field.fill("× 3")
    field.press("Tab")
    expect(box.get_by_role("status")).to_have_text(f"You said: × 3. {NOW}")
    lab.expect_python("guess.answer", "× 3")
    field.fill("")
    field.press("Enter")
    expect(box.get_by_role("status")).to_contain_text("Guess before you go on")
    lab.expect_python("guess.answer", "")


@pytest.mark.parametrize("make, role", [("chosen()", "radio"), ("typed()", "textbox")])
def test_once_the_answer_was_seen_what_was_said_stays(make, role, lab):
    box = lab.show(SETUP + f"guess = {make}\nguess").locator(".mha-guess")
    controls = box.get_by_role(role)
    controls.first.check() if role == "radio" else controls.fill("stay the same")
    controls.first.press("Tab")
    lab.expect_python("guess.answer", "stay the same")
    lab.python("repr(reckoning({guess.key: 'grow'}))")
    expect(box.get_by_role("status")).to_have_text("You said: stay the same. You have seen the answer, so this stays.")
    for control in controls.all():
        expect(control).to_be_disabled()

    table = lab.show("reckoning({guess.key: 'grow'})")
    expect(table.get_by_role("columnheader")).to_have_text(["asked", "you said", "it was"])
    expect(table.get_by_role("cell").nth(1)).to_have_text("stay the same")


def test_a_kernel_that_is_gone_changes_nothing_on_the_page(own_lab):
    box = own_lab.show(SETUP + "guess = chosen()\nguess").locator(".mha-guess")
    expect(box).to_be_visible()
    own_lab.stop_kernel()
    box.get_by_role("radio", name="shrink").check()
    expect(box.get_by_role("status")).to_contain_text("You said: shrink.")


def test_every_word_can_be_read_in_both_themes(lab):
    output = lab.show(
        SETUP + "from IPython.display import display\ndisplay(chosen(), typed(), reckoning({'98.time': 2}))"
    )
    expect(output.locator(".mha-guess")).to_have_count(2)
    for theme in "JupyterLab Light", "JupyterLab Dark":
        lab.theme(theme)
        assert {text: ratio for text, ratio in output.evaluate(CONTRAST).items() if ratio < 4.5} == {}, theme


@pytest.mark.parametrize("colours", ["none", "active"])
def test_a_finger_reaches_every_choice_on_a_phone_with_forced_colours_too(browser, tmp_path, colours):
    long = "the parameters of the layer grow in proportion to the number of heads, as the products do"
    guess = Guess("02.parameters", QUESTION + " of a layer, and the letters of this question " * 3, [*CHOICES, long])
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True, offline=True)
    page = context.new_page()
    page.emulate_media(forced_colors=colours)
    page.goto(guess.save_html(tmp_path / "page.html").as_uri())
    box = page.locator(".mha-guess")
    for name in [*CHOICES, long]:
        label = box.locator("label", has_text=re.compile(f"^{name}$"))
        place = label.bounding_box()
        assert place["height"] >= 28 and place["x"] >= 0 and place["x"] + place["width"] <= 390
        label.tap()
        expect(box.get_by_role("radio", name=name)).to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
