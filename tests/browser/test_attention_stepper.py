"""AttentionStepper, driven as a learner drives it, in a real JupyterLab."""

import re

import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

STEPPER = """
import numpy as np
from mha_lab.widgets import AttentionStepper
query = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, -1]])
key = np.array([[2, 0, 2, 0], [2, 2, 0, 0], [1, 0, 0, 1]])
value = np.array([[10, 0], [0, 10], [0, 0]])
words = ["trophy", "suitcase", "it"]
stepper = AttentionStepper(query, key, value, words, position=2, stage=1)
stepper
"""
HEADS = (
    STEPPER
    + """
heads = [np.stack([x, x[:, ::-1]]) for x in (query, key, value)]  # the second head's columns are turned round
w_o = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]])
stepper = AttentionStepper(*heads, words, w_o=w_o, features=["shiny", "hollow", "new"], position=2)
stepper
"""
)


def shown(lab, code):
    root = lab.show(code).locator(".mha-step")
    steady(root)
    return root


@pytest.fixture
def root(lab):
    return shown(lab, STEPPER)


@pytest.fixture
def heads(lab):
    return shown(lab, HEADS)


def choice(root, group, name):
    return root.get_by_role("radiogroup", name=group, exact=True).get_by_role("radio", name=name, exact=True)


def test_stages_are_uncovered_one_by_one(lab, root):
    weights = root.locator("tbody tr td:nth-of-type(5) b")
    output = root.locator("tfoot .mha-step-output b")
    explanation = root.locator(".mha-step-explanation")
    expect(explanation).to_have_text("it → trophy: q·k = 1·2 + 0·0 + 1·2 + (−1)·0 = 4")
    expect(weights.first).to_be_hidden()
    step = root.get_by_role("button", name="step")
    for words in "4 / √4 = 2", "may look", "(e^2 + e^1 + e^0) ≈ 7.389 / 11.11 ≈ 0.665":
        expect(output.first).to_be_hidden()
        step.click()
        expect(explanation).to_contain_text(words)
    expect(weights).to_have_text(["0.665", "0.245", "0.090"])
    expect(weights.first).to_be_visible()
    step.click()
    expect(output.first).to_be_visible()
    expect(output).to_have_text(["6.65", "2.45"])
    expect(step).to_be_disabled()
    expect(step).to_be_focused()
    choice(root, "stage", "5 weight · v").press("ArrowLeft")
    expect(choice(root, "stage", "4 softmax")).to_be_focused()
    expect(output.first).to_be_hidden()
    lab.expect_python("stepper.stage", 4)


def test_play_goes_to_the_end_and_stops(lab):
    lab.page.emulate_media(reduced_motion="no-preference")
    root = shown(lab, STEPPER)
    lab.python("stepper.set_trait('stage', 4)")
    play = root.get_by_role("button", name="play")
    play.click()
    expect(root.get_by_role("button", name="pause")).to_be_visible()
    expect(root.locator("tfoot .mha-step-output b").first).to_be_visible(timeout=20_000)
    expect(play).to_be_visible()
    lab.page.emulate_media(reduced_motion="reduce")


def test_who_wants_no_motion_gets_all_stages_at_once(lab, root):
    root.get_by_role("button", name="all stages").click()
    expect(root.locator("tfoot .mha-step-output b").first).to_be_visible()
    expect(root.get_by_role("button", name="pause")).to_have_count(0)


def test_a_word_is_chosen_by_click_and_by_arrow_keys(lab, root):
    words = root.get_by_role("radiogroup", name="the word that looks").get_by_role("radio")
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
    expect(root.locator("output")).to_have_text("T = 0.0313 · spread of an unscaled d_head 1024")
    expect(weights).to_have_text(["1.000", "0.000", "0.000"])
    expect(root.locator("tfoot")).to_contain_text("largest 1.000 · entropy 0.00 of 1.10 nats")
    heat.press("End")
    expect(weights).to_have_text(["0.344", "0.333", "0.323"])
    root.get_by_role("button", name="reset").click()
    expect(weights).to_have_text(["0.665", "0.245", "0.090"])
    lab.expect_python("stepper.temperature", 1)


def test_the_causal_mask_hatches_and_takes_the_weight(lab, root):
    lab.python("stepper.set_trait('stage', 5)")
    choice(root, "the word that looks", "suitcase").click()
    root.get_by_label("causal mask").check()
    expect(root.locator("tbody tr td:nth-of-type(4)")).to_have_text(["0", "1", "−∞"])
    expect(root.locator("tbody tr td:nth-of-type(5) b").nth(2)).to_have_text("0.000")
    expect(root.locator("tbody tr").nth(2).locator(".mha-step-masked")).to_have_count(2)
    root.locator("tbody tr").nth(2).hover()
    expect(root.locator(".mha-step-explanation")).to_contain_text("suitcase → it: masked")


def test_a_word_that_may_look_at_nothing_has_scales_and_a_sum_of_0(lab):
    masked = STEPPER.replace("stage=1", "stage=5, mask=np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)")
    root = shown(lab, masked)
    expect(root.locator("tfoot")).to_contain_text("nothing to look at")
    expect(root).not_to_contain_text("NaN")


def test_each_heads_share_is_written_down_and_they_add_up_to_the_output(lab, heads):
    cells = heads.locator("tr:not(.mha-step-rows)").locator("[data-feature]")
    expect(cells).to_have_text(
        ["shiny", "hollow", "new", "6.65", "2.45", "0", "−6.65", "0", "2.45", "0", "2.45", "2.45"], timeout=20_000
    )
    rows = heads.locator("tbody tr")
    expect(rows.locator("th")).to_have_text(["head 0", "head 1"])
    expect(rows.nth(1)).to_have_text("= 6.65 × row 0 of W^O100")
    expect(heads.locator(".mha-step-explanation")).to_have_text(
        "shiny at it: head 0 adds 6.65·1 + 2.45·0 = 6.65; all heads: 6.65 + (−6.65) = 0"
    )
    rows.filter(has_text="head 1").click()
    expect(rows.nth(2)).to_have_text("= 2.45 × row 2 of W^O001")
    heads.locator("tfoot td").nth(2).hover()
    expect(heads.locator(".mha-step-explanation")).to_contain_text("new at it: head 1 adds 2.45·1 + 6.65·0 = 2.45")
    lab.expect_python("[stepper.head, stepper.feature]", [1, 2])


def test_the_stages_follow_the_chosen_head(lab, heads):
    choice(heads, "stage", "5 weight · v").click()
    outputs = heads.locator("tfoot .mha-step-output b")
    expect(outputs).to_have_text(["6.65", "2.45"])
    choice(heads, "head", "0").press("ArrowRight")
    expect(outputs).to_have_text(["2.45", "6.65"])
    expect(heads.locator("tfoot th")).to_have_text("output of head 1")
    choice(heads, "stage", "5 weight · v").press("ArrowRight")
    expect(heads.locator(".mha-step-hovered th")).to_have_text("head 1")
    lab.expect_python("[stepper.stage, stepper.head]", [6, 1])


def test_the_numbers_are_walked_through_by_keyboard(lab, heads):
    numbers = heads.get_by_role("group", name="numbers")
    explanation = heads.locator(".mha-step-explanation")
    numbers.press("ArrowRight")
    expect(explanation).to_contain_text("hollow at it: head 0")
    numbers.press("ArrowDown")
    expect(explanation).to_contain_text("hollow at it: head 1")
    choice(heads, "stage", "2 scale").click()
    numbers.press("ArrowDown")
    expect(explanation).to_contain_text("it → suitcase: 2 / √4 = 1")
    numbers.press("ArrowRight")
    expect(explanation).to_contain_text("it → suitcase: may look")
    numbers.press("Escape")
    expect(explanation).to_contain_text("it → trophy")
    expect(numbers).to_be_focused()
    lab.expect_python("[stepper.stage, stepper.hovered, stepper.feature]", [3, -1, -1])


def test_tab_reaches_every_control(lab, heads):
    choice(heads, "the word that looks", "it").focus()
    reached = []
    for _ in range(8):
        lab.page.keyboard.press("Tab")
        reached.append(
            lab.page.evaluate(
                "(({ type, textContent, ariaLabel }) => ariaLabel ?? (textContent || type))(document.activeElement)"
            )
        )
    numbers = "numbers; up and down: head, left and right: feature"
    assert reached == ["0", "6 W^O", "step ▶", "all stages", "checkbox", "range", "reset", numbers]


def test_keys_that_come_faster_than_frames_are_all_counted(lab, root):
    choice(root, "stage", "1 q·k").click()
    root.locator(".mha-step-frame").evaluate(
        """(frame) => {
            const pressed = { key: 'ArrowRight', bubbles: true, cancelable: true };
            for (let i = 0; i < 3; i++) frame.dispatchEvent(new KeyboardEvent('keydown', pressed));
        }"""
    )
    lab.expect_python("stepper.stage", 4)


def test_many_features_are_tints_and_their_numbers_are_told_on_pointing(lab):
    root = shown(lab, HEADS + "AttentionStepper(*heads, words, w_o=np.eye(4, 100), position=2)")
    strips = root.locator(".mha-step-wide .mha-step-strip")
    expect(strips).to_have_count(3)
    box = strips.first.bounding_box()
    strips.first.hover(position={"x": box["width"] * 0.015, "y": 5})
    expect(root.locator(".mha-step-explanation")).to_contain_text("feature 1 at it: head 0 adds 6.65·0 + 2.45·1 = 2.45")


def test_any_token_is_text(lab):
    tokens = ["<img src=x onerror=document.title='bad'>" + "x" * 300, "a\nb", "שלום"]
    for stage in 5, 6:
        root = shown(lab, HEADS + f"AttentionStepper(*heads, {tokens}, w_o=w_o, stage={stage})")
        expect(root.locator("img")).to_have_count(0)
        choice(root, "the word that looks", "a↵b").click()
        expect(root.locator(".mha-step-explanation")).to_contain_text("a↵b")
        assert root.evaluate("(r) => r.scrollWidth <= r.clientWidth && document.title !== 'bad'")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    for code in STEPPER, STEPPER.replace("stage=1", "stage=5"), HEADS:
        contrast = shown(lab, code).evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast


WIDE = """
import numpy as np
from mha_lab.widgets import AttentionStepper
words = "the trophy does not fit into the suitcase because it".split()
query, key, value = np.random.default_rng(0).normal(size=(3, {heads}, 10, {width})) * {size}
stepper = AttentionStepper(query, key, value, words, position=9, w_o=np.ones(({heads} * {width}, 6)), stage=5)
stepper
"""
HIDDEN = "(frame) => frame.scrollWidth - frame.clientWidth"


@pytest.fixture
def projector(lab):
    """A classroom's: 1,024 by 768."""
    lab.page.set_viewport_size({"width": 1024, "height": 768})
    yield lab
    lab.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("heads, width", [(3, 4), (6, 2), (1, 4), (6, 4)])
def test_every_stage_is_on_a_projectors_page_without_scrolling(projector, heads, width):
    root = shown(projector, WIDE.format(heads=heads, width=width, size=0.6))
    frame, more = root.locator(".mha-step-frame"), root.locator(".mha-step-more")
    for stage in "5 weight · v", "6 W^O":
        choice(root, "stage", stage).click()
        expect(choice(root, "stage", stage)).to_have_attribute("aria-checked", "true")
        assert frame.evaluate(HIDDEN) == 0 and more.is_hidden()
    choice(root, "stage", "5 weight · v").click()
    expect(root.locator("tfoot .mha-step-output b")).to_have_count(width)  # the output's numbers are read, not tinted


def test_the_ends_of_a_scale_have_room_for_themselves(projector):
    root = shown(projector, WIDE.format(heads=3, width=4, size=0.3))
    for width in 1280, 700, 1024:
        drawn = root.get_attribute("data-drawn")
        projector.page.set_viewport_size({"width": width, "height": 768})
        expect(root).not_to_have_attribute("data-drawn", drawn)
        gaps = root.locator(".mha-step-axis").evaluate_all(
            """(axes) => axes.flatMap((axis) => {
                const ends = [...axis.children].map((end) => end.getBoundingClientRect()).filter((end) => end.width);
                return ends.slice(1).map((end, i) => end.left - ends[i].right)
                    .concat(axis.getBoundingClientRect().width - ends.reduce((sum, end) => sum + end.width, 0));
            })"""
        )
        assert min(gaps) >= 3, (width, gaps)


def test_numbers_return_where_the_page_becomes_wide_and_what_is_still_too_wide_says_so(projector):
    root = shown(projector, WIDE.format(heads=3, width=4, size=0.6))
    strips, more = root.locator("tbody .mha-step-strip"), root.locator(".mha-step-more")
    frame = root.locator(".mha-step-frame")
    expect(strips).to_have_count(20)  # keys and values
    projector.page.set_viewport_size({"width": 1700, "height": 800})
    expect(strips).to_have_count(0)
    projector.page.set_viewport_size({"width": 640, "height": 800})
    expect(more).to_have_text(re.compile("wider than the page: scroll"))
    choice(root, "stage", "1 q·k").click()
    expect(root.locator("thead .mha-step-current")).to_be_in_viewport(ratio=0.98)
    for _ in range(4):
        frame.press("ArrowRight")
    expect(root.locator("thead .mha-step-current")).to_contain_text("weight · v")
    expect(root.locator("thead .mha-step-current")).to_be_in_viewport(ratio=0.98)
