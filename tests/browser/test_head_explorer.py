"""HeadExplorer, driven as a learner drives it, in a real JupyterLab."""

import re

import numpy as np
import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

SENTENCES = ["the cat saw the dog", "it was too big"]
SETUP = f"""
import numpy as np
from types import SimpleNamespace
from mha_lab.widgets import HeadExplorer

def recording(sentence, seed=0):
    n = len(sentence.split())
    scores = np.random.default_rng(seed).normal(size=(3, 4, n, n)) * 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return SimpleNamespace(sentence=sentence, tokens=sentence.split(), weights=weights)

class Model:
    def read(self, sentence):
        if len(sentence.split()) > 6:
            raise ValueError("the sentence has 7 tokens, and the model takes at most 6: shorten it.")
        return recording(sentence, 1)

query, key = np.random.default_rng(0).normal(size=(2, 5, 24)).astype(np.float32)
tokens = {SENTENCES[0].split()}
"""
RECORDED = SETUP + f"explorer = HeadExplorer([recording(s) for s in {SENTENCES}])\nexplorer"
CROSSED = (
    SETUP
    + """
scores = np.random.default_rng(0).normal(size=(2, 4, 3, 5))
crossed = recording("the cat saw the dog")
crossed.tokens, crossed.context = ["le", "chat", "vit"], crossed.tokens
crossed.weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
explorer = HeadExplorer([crossed], layer=1)
explorer"""
)
WITH_MODEL = SETUP + f"explorer = HeadExplorer([recording(s) for s in {SENTENCES}], model=Model())\nexplorer"
PROJECTION = SETUP + "explorer = HeadExplorer.from_projection(query, key, tokens, num_heads=4)\nexplorer"


class Explorer:
    """The explorer on the page: its parts, and what is drawn."""

    def __init__(self, lab, code):
        self.lab, self.page = lab, lab.page
        self.root = lab.show(code).locator(".mha-heads")
        self.stage = self.root.locator(".mha-heads-stage")
        self.readout = self.root.locator(".mha-heads-readout")
        self.drawn()

    def drawn(self):
        """Wait until it has drawn."""
        steady(self.root)

    def settled(self):
        """Wait until it has not drawn for half a second, and give the count of its drawings."""
        return self.root.evaluate(
            """async (root) => {
                for (let seen; seen !== root.dataset.drawn; await new Promise((over) => setTimeout(over, 500)))
                    seen = root.dataset.drawn;
                return root.dataset.drawn;
            }"""
        )

    def pixels(self, layer="first"):
        """The drawn maps (layer "first") or the marks over them ("last"), to be compared."""
        return getattr(self.stage.locator("canvas"), layer).evaluate("(canvas) => canvas.toDataURL()")

    def changed(self, before):
        """Wait until the maps look different from before, and give them."""
        canvas = self.stage.locator("canvas").first.element_handle()
        self.page.wait_for_function("([c, before]) => c.toDataURL() !== before", arg=[canvas, before])
        return self.pixels()

    def place(self, head, query=0, key=0):
        """The middle of a cell of a head, on the page, as the explorer's own layout has it."""
        self.stage.scroll_into_view_if_needed()
        box = self.stage.bounding_box()
        x, y = self.stage.evaluate(
            """(stage, [head, query, key]) => {
                const place = stage.places.at(head);
                return [place.x + (key + 0.5) * place.cell, place.y + (query + 0.5) * place.cell];
            }""",
            [head, query, key],
        )
        return box["x"] + x, box["y"] + y

    def point(self, head, query, key):
        self.page.mouse.move(*self.place(head, query, key))

    def click(self, head):
        self.page.mouse.click(*self.place(head))

    def value(self, expression):
        return self.lab.python(f"explorer.{expression}")

    def expect_python(self, expression, expected):
        """Wait until Python's trait has followed the page."""
        self.lab.expect_python(f"explorer.{expression}", expected)


def test_hover_reads_head_words_and_weight(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.point(3, 1, 4)
    weight = explorer.value("weights[3, 1, 4].item()")
    expect(explorer.readout).to_contain_text(f"head 3: cat → dog {weight:.2f}")
    expect(explorer.readout).to_contain_text(f"{weight:.4f}")
    explorer.expect_python("hovered", [3, 1, 4])
    marks = explorer.pixels("last")
    explorer.point(3, 0, 3)
    expect(explorer.readout).to_contain_text("head 3: the₁ → the₂ ")
    assert explorer.pixels("last") != marks
    explorer.page.mouse.move(1, 1)
    expect(explorer.readout).to_contain_text("Point at a cell")
    explorer.expect_python("hovered", [])


def test_exact_weights_reach_the_readout_without_a_drawing_of_maps_that_write_none(lab):
    explorer = Explorer(lab, SETUP + "explorer = HeadExplorer([recording(' '.join(map(str, range(40))))])\nexplorer")
    drawn = explorer.settled()
    explorer.point(2, 30, 7)
    expect(explorer.readout).to_contain_text(f"{explorer.value('weights[2, 30, 7].item()'):.4f}")
    expect(explorer.root).to_have_attribute("data-drawn", drawn)


def test_layer_sentence_and_stretch_redraw_the_maps(lab):
    explorer = Explorer(lab, RECORDED)
    maps = explorer.pixels()
    explorer.root.get_by_role("slider").press("ArrowRight")
    explorer.expect_python("layer", 1)
    maps = explorer.changed(maps)
    explorer.root.get_by_role("combobox").select_option(SENTENCES[1])
    explorer.expect_python("sentence", SENTENCES[1])
    maps = explorer.changed(maps)
    explorer.root.get_by_label("stretch").check()
    explorer.expect_python("stretch", True)
    explorer.changed(maps)
    expect(explorer.root.locator(".mha-heads-scale")).to_contain_text("head's largest")
    expect(explorer.root.locator(".mha-heads-bar")).to_have_css("background-image", re.compile("^linear-gradient"))


def test_click_pins_two_heads_side_by_side_and_escape_puts_them_back(lab):
    explorer = Explorer(lab, RECORDED)
    overview = explorer.pixels()
    explorer.click(2)
    explorer.expect_python("pinned", [2])
    one = explorer.changed(overview)
    explorer.click(0)
    explorer.expect_python("pinned", [2, 0])
    two = explorer.changed(one)
    explorer.click(2)
    explorer.expect_python("pinned", [0])
    explorer.changed(two)
    explorer.stage.press("Escape")
    explorer.expect_python("pinned", [])
    explorer.page.mouse.move(1, 1)


def test_cross_attention_has_a_row_for_each_word_that_asks_and_a_column_for_each_that_is_looked_at(lab):
    explorer = Explorer(lab, CROSSED)
    explorer.point(3, 2, 4)
    weight = explorer.value("weights[3, 2, 4].item()")
    expect(explorer.readout).to_contain_text(f"head 3: vit → dog {weight:.2f}")
    expect(explorer.readout).to_contain_text(f"{weight:.4f}")
    explorer.expect_python("hovered", [3, 2, 4])
    explorer.stage.focus()
    explorer.stage.press("Shift+ArrowUp")
    explorer.expect_python("hovered", [0, 1, 4])  # the same cell, one row up, in the head that the keys have chosen
    maps = explorer.pixels()
    explorer.root.get_by_role("button", name="the₂").click()
    explorer.expect_python("hidden", ["the₂"])
    explorer.changed(maps)
    explorer.point(1, 0, 3)  # the last of the columns that are left
    weight = explorer.value("weights[1, 0, 4].item()")
    expect(explorer.readout).to_contain_text(f"head 1: le → dog {weight:.2f}")
    explorer.root.get_by_text("As a table").click()
    table = explorer.root.get_by_role("table")
    expect(table.locator("th[scope=row]")).to_have_text(["le", "chat", "vit"])
    expect(table.locator("th[scope=col]")).to_have_text(["the₁", "cat", "saw", "dog"])


def test_keys_choose_and_pin_a_head_and_jupyterlab_keeps_its_own(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.stage.focus()
    for key, head in ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 3), ("ArrowRight", 3), ("Home", 0):
        explorer.stage.press(key)
        explorer.expect_python("head", head)
    explorer.stage.press("End")
    explorer.stage.press("Enter")
    explorer.expect_python("pinned", [3])
    explorer.stage.press("b")  # in JupyterLab's command mode: a new cell below
    explorer.stage.press("Escape")
    explorer.expect_python("pinned", [])
    assert len(lab.cells()) == 1


def test_python_moves_the_page(lab):
    explorer = Explorer(lab, RECORDED)
    maps = explorer.pixels()
    lab.python("explorer.set_trait('layer', 2)")
    explorer.changed(maps)
    expect(explorer.root.get_by_role("slider")).to_have_value("2")
    lab.python("explorer.set_trait('hovered', [1, 0, 2])")
    expect(explorer.readout).to_contain_text("head 1: the₁ → saw ")


def test_the_kernels_answer_to_a_change_does_not_undo_the_next_one(lab):
    code = PROJECTION.replace("size=(2, 5, 24)", "size=(2, 5, 720)").replace("num_heads=4", "num_heads=1")
    explorer = Explorer(lab, code)
    seen = explorer.root.get_by_role("slider").evaluate(
        """async (dial) => {
            const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
            kernel.requestExecute({ code: 'import time; time.sleep(1.5)' }); // and answers in the middle of the gesture
            const seen = [];
            let going = true;
            const watch = () => {
                seen.push(+dial.value);
                if (going) requestAnimationFrame(watch);
            };
            watch();
            for (let step = 1; step <= dial.max; step++) {
                dial.value = step;
                dial.dispatchEvent(new Event('input'));
                await new Promise((done) => setTimeout(done, 90));
            }
            going = false;
            return seen;
        }"""
    )
    assert seen == sorted(seen)
    explorer.expect_python("num_heads", 720)


def test_a_typed_sentence_runs_through_the_model(lab):
    explorer = Explorer(lab, WITH_MODEL)
    maps = explorer.pixels()
    box, button = explorer.root.get_by_role("textbox"), explorer.root.get_by_text("Show its heads")
    box.fill("a quite new sentence")
    button.click()
    explorer.expect_python("sentence", "a quite new sentence")
    explorer.changed(maps)
    menu = explorer.root.get_by_role("combobox")
    expect(menu).to_have_value("a quite new sentence")
    expect(menu.locator("option")).to_have_text([*SENTENCES, "a quite new sentence"])
    for typed, words in ("one two three four five six seven", "at most 6"), ("   ", "empty"):
        box.fill(typed)
        box.press("Enter")
        expect(explorer.root.locator(".mha-heads-message")).to_contain_text(words)
        expect(box).to_have_value(typed)
    expect(menu).to_have_value("a quite new sentence")


def test_the_first_sentence_says_that_it_loads_the_model(lab):
    load = "import time\ndef load():\n    time.sleep(1)\n    return Model()\n"
    explorer = Explorer(
        lab, SETUP + load + f"explorer = HeadExplorer([recording({SENTENCES[0]!r})], model=load)\nexplorer"
    )
    box, message = explorer.root.get_by_role("textbox"), explorer.root.locator(".mha-heads-message")
    box.fill("something new")
    box.press("Enter")
    expect(message).to_contain_text("The first sentence loads the model")
    explorer.expect_python("sentence", "something new")
    expect(message).to_be_empty()


def test_a_long_sentence_gets_its_exact_weights_row_by_row(lab):
    words = " ".join(f"w{i}" for i in range(70))
    code = f"explorer = HeadExplorer([recording({words!r})], layer=2, hidden=['w3'])\nexplorer"
    explorer = Explorer(lab, SETUP + code)
    for row in 10, 40:
        explorer.point(1, row, 20)
        weight = explorer.value(f"weights[1, {row + 1}, 21].item()")  # w3 is not among them any more
        expect(explorer.readout).to_contain_text(f"head 1: w{row + 1} → w21 {weight:.2f}{weight:.4f}")


def test_a_sentence_that_comes_deflated_is_shown_like_any_other(lab):
    words = [" ".join(f"{letter}{i}" for i in range(260)) for letter in "vw"]
    explorer = Explorer(lab, SETUP + f"explorer = HeadExplorer([recording(s, ord(s[0])) for s in {words}])\nexplorer")
    maps = explorer.pixels()
    explorer.root.get_by_role("combobox").select_option(words[1])
    maps = explorer.changed(maps)
    explorer.root.get_by_role("slider").press("ArrowRight")
    explorer.changed(maps)
    explorer.expect_python("layer", 1)
    lab.python("explorer.set_trait('hovered', [1, 200, 7])")
    weight = explorer.value("weights[1, 200, 7].item()")
    expect(explorer.readout).to_contain_text(f"head 1: w200 → w7 {weight:.2f}{weight:.4f}")


def test_without_a_model_the_box_says_how_to_get_one(lab):
    explorer = Explorer(lab, RECORDED)
    message, box = explorer.root.locator(".mha-heads-message"), explorer.root.get_by_role("textbox")
    expect(message).to_contain_text("make models")
    box.fill("my own words")
    box.press("Enter")
    expect(message).to_contain_text("make models")
    expect(box).to_have_value("my own words")
    box.fill(SENTENCES[1])
    box.press("Enter")
    explorer.expect_python("sentence", SENTENCES[1])


def test_html_in_a_token_is_text(lab):
    evil = "<img src=x onerror=window.hacked=1> <b>it</b>"
    code = SETUP + f"r = recording('a b c')\nr.sentence, r.tokens = {evil!r}, {evil.split()[:3]!r}\nHeadExplorer([r])"
    explorer = Explorer(lab, code)
    explorer.point(0, 0, 2)
    expect(explorer.readout).to_contain_text("<img → onerror=window.hacked=1>")
    assert explorer.root.locator("img").count() == 0
    assert explorer.page.evaluate("window.hacked") is None


def test_head_count_moves_without_a_kernel(own_lab):
    explorer = Explorer(own_lab, PROJECTION)
    page, facts = own_lab.page, explorer.root.locator(".mha-heads-facts")
    expect(facts).to_contain_text("d_head6")
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    own_lab.stop_kernel()
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel")
    slider = explorer.root.get_by_role("slider")
    maps = explorer.pixels()
    for heads, d_head, scores in (6, 4, 150), (8, 3, 200), (12, 2, 300), (24, 1, 600):
        slider.press("ArrowRight")
        maps = explorer.changed(maps)
        for text in f"heads H{heads}", f"d_head{d_head}", f"stored scores{scores}", "parameters2,400":
            expect(facts).to_contain_text(text)
    explorer.root.get_by_label("causal mask").check()
    maps = explorer.changed(maps)
    explorer.point(20, 1, 4)
    expect(explorer.readout).to_contain_text("head 20: cat → dog masked")
    explorer.click(20)
    explorer.changed(maps)
    assert errors == []


def test_masked_cells_are_hatched_not_coloured(lab):
    explorer = Explorer(lab, PROJECTION.replace("num_heads=4", "num_heads=4, causal=True"))
    expect(explorer.root.locator(".mha-heads-masked")).to_be_visible()
    share = """(stage, [query, key]) => {
        // How much of the middle of a cell is painted at all.
        const { x, y, cell } = stage.places[1];
        const box = [x + (key + 0.1) * cell, y + (query + 0.1) * cell, 0.8 * cell, 0.8 * cell].map(Math.round);
        const { data } = stage.querySelector('canvas').getContext('2d').getImageData(...box);
        return data.filter((value, i) => i % 4 === 3 && value > 0).length / (data.length / 4);
    }"""
    for query, key in (0, 1), (2, 4):
        assert 0 < explorer.stage.evaluate(share, [query, key]) < 0.5
    for query, key in (1, 0), (3, 3):
        assert explorer.stage.evaluate(share, [query, key]) == 1
    explorer.root.get_by_label("causal mask").uncheck()
    expect(explorer.root.locator(".mha-heads-masked")).to_be_hidden()
    assert explorer.stage.evaluate(share, [0, 1]) == 1


def test_an_unanswered_question_is_told_and_kept(own_lab):
    explorer = Explorer(own_lab, WITH_MODEL)
    own_lab.stop_kernel()
    box = explorer.root.get_by_role("textbox")
    box.fill("is anybody there")
    box.press("Enter")
    expect(explorer.root.locator(".mha-heads-message")).to_contain_text("The kernel was restarted or is gone")
    expect(box).to_have_value("is anybody there")


SLOW = WITH_MODEL.replace(
    "class Model:", "import time\n\nclass Slow:\n    def read(self, sentence):\n        time.sleep(30)\n\nclass Model:"
).replace("model=Model()", "model=Slow()")


@pytest.mark.parametrize("act, words", [("restart", "The kernel was restarted"), ("interrupt", "interrupted")])
def test_a_kernel_that_is_restarted_or_interrupted_while_it_reads_is_told_and_what_was_typed_stays(own_lab, act, words):
    explorer = Explorer(own_lab, SLOW)
    box, message = explorer.root.get_by_role("textbox"), explorer.root.locator(".mha-heads-message")
    box.fill("is anybody there")
    box.press("Enter")
    expect(message).to_have_text("Reading …")
    own_lab.page.wait_for_timeout(500)
    own_lab.page.evaluate(f"() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.{act}()")
    expect(message).to_contain_text(words)
    expect(box).to_have_value("is anybody there")
    maps = explorer.pixels()
    explorer.root.get_by_role("slider").press("ArrowRight")
    explorer.changed(maps)
    expect(message).to_contain_text(words)
    box.focus()
    expect(box).to_have_value("is anybody there")


def test_shuffled_columns_move_every_head_but_a_single_one_and_go_back_in_order(lab):
    explorer = Explorer(lab, PROJECTION)
    ordered = explorer.pixels()
    explorer.root.get_by_role("button", name="Shuffle columns").click()
    explorer.expect_python("shuffle", 1)
    shuffled = explorer.changed(ordered)
    explorer.root.get_by_role("button", name="Shuffle again").click()
    explorer.expect_python("shuffle", 2)
    explorer.changed(shuffled)
    explorer.point(1, 1, 4)
    expect(explorer.readout).to_contain_text(f"{explorer.value('weights[1, 1, 4].item()'):.4f}")
    explorer.root.get_by_role("button", name="In order").click()
    explorer.expect_python("shuffle", 0)
    explorer.page.mouse.move(1, 1)
    explorer.page.wait_for_function(
        "([canvas, before]) => canvas.toDataURL() === before",
        arg=[explorer.stage.locator("canvas").first.element_handle(), ordered],
    )
    lab.python("explorer.set_trait('num_heads', 1)")
    expect(explorer.stage.get_by_role("option")).to_have_count(1)
    explorer.settled()
    weights = explorer.value("weights[0].tolist()")
    explorer.root.get_by_role("button", name="Shuffle columns").click()
    explorer.expect_python("shuffle", 1)
    np.testing.assert_allclose(explorer.value("weights[0].tolist()"), weights, atol=1e-6)
    explorer.point(0, 1, 4)
    expect(explorer.readout).to_contain_text(f"{weights[1][4]:.4f}")


def test_heads_share_keys_and_the_parameters_fall(lab):
    explorer = Explorer(lab, PROJECTION)
    own = explorer.pixels()
    explorer.root.get_by_label("heads of keys and values").select_option("2")
    explorer.expect_python("num_kv_heads", 2)
    explorer.changed(own)
    expect(explorer.root.locator(".mha-heads-facts")).to_contain_text(
        "parameters1,800"
    )  # 2·24² + 24 of Q, O; half of K, V
    explorer.point(3, 1, 4)
    expect(explorer.readout).to_contain_text(f"head 3: cat → dog {explorer.value('weights[3, 1, 4].item()'):.2f}")
    explorer.root.get_by_role("slider").press("ArrowLeft")  # 3 heads cannot share 2
    explorer.expect_python("num_heads", 3)
    explorer.expect_python("num_kv_heads", 0)
    expect(explorer.root.get_by_label("heads of keys and values")).to_have_value("0")


PRESSED = """async (stage, key) => { // what a screen reader is told in the very drawing that a key brings
    const root = stage.closest('.mha');
    const before = root.dataset.drawn;
    stage.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    for (let i = 0; i < 600 && root.dataset.drawn === before; i++) await new Promise(requestAnimationFrame);
    const active = document.getElementById(stage.getAttribute('aria-activedescendant'));
    return [root.dataset.drawn !== before, active.ariaLabel];
}"""


def test_the_overview_shows_all_layers_and_a_click_enters_one(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.root.get_by_role("radio", name="All layers").click()
    explorer.expect_python("view", "overview")
    explorer.settled()
    assert explorer.stage.evaluate("(stage) => stage.places.length") == 3 * 4
    weights = explorer.value("_source.weights(explorer)[2, 1].sum(0).tolist()")
    explorer.point(2 * 4 + 1, 1, 1)
    words = SENTENCES[0].split()
    most = max(range(5), key=weights.__getitem__)
    expect(explorer.readout).to_contain_text(
        f"layer 2, head 1: {weights[most] / 5:.0%} of its weight lies on {words[most]}"
    )
    explorer.root.get_by_role("slider").press("End")
    expect(explorer.root.get_by_role("radio", name="All layers")).to_have_attribute("aria-checked", "true")
    explorer.click(1 * 4 + 3)
    for trait, value in ("view", "maps"), ("layer", 1), ("head", 3), ("pinned", [3]):
        explorer.expect_python(trait, value)
    expect(explorer.root.get_by_role("slider")).to_have_value("1")
    explorer.root.get_by_role("radio", name="Maps").press("ArrowLeft")
    explorer.root.get_by_role("radio", name="Maps").press("ArrowRight")
    explorer.root.get_by_role("radio", name="Lines").press("ArrowRight")
    explorer.expect_python("view", "overview")
    explorer.stage.focus()
    steps = ("ArrowDown", "layer", 2), ("ArrowLeft", "head", 2), ("ArrowUp", "layer", 1), ("Enter", "view", "maps")
    for (key, trait, value), said in zip(steps, ["2, head 3", "2, head 2", "1, head 2", ""]):
        drawn, active = explorer.stage.evaluate(PRESSED, key)
        explorer.expect_python(trait, value)
        assert drawn and active == (f"layer {said}" if said else "head 2"), "a screen reader hears another head"


def test_lines_run_from_word_to_word_and_a_word_shows_its_own(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.root.get_by_role("radio", name="Lines").click()
    explorer.expect_python("view", "lines")
    explorer.settled()
    before = explorer.pixels()
    explorer.click(2)  # a thumbnail
    explorer.expect_python("head", 2)
    explorer.changed(before)
    box = explorer.stage.bounding_box()
    x, end, left, right, step = explorer.stage.evaluate("({ lines }) => [lines.x, lines.end, ...lines.top, lines.step]")
    weights = explorer.value("weights[2].tolist()")
    explorer.page.mouse.move(box["x"] + x - 12, box["y"] + left + 4 * step)
    key = max(range(5), key=weights[4].__getitem__)
    explorer.expect_python("hovered", [2, 4, key])
    expect(explorer.readout).to_contain_text("head 2: dog → ")
    by_query = explorer.pixels("last")
    explorer.page.mouse.move(box["x"] + end + 12, box["y"] + right + key * step)
    query = max(range(5), key=lambda i: weights[i][key])
    explorer.expect_python("hovered", [2, query, key])
    assert explorer.pixels("last") != by_query
    explorer.stage.focus()
    explorer.stage.press("ArrowRight")
    explorer.expect_python("head", 3)
    explorer.expect_python("pinned", [])


TRAINED = f"""
def trained(heads, sentence):
    made = recording(sentence, heads)
    made.weights = made.weights[:1, :1].repeat(heads, axis=1)
    made.quality, made.measure = [0.25 * heads, 0.75], "right answers"
    return made

models = {{h: [trained(h, s) for s in {SENTENCES}] for h in (1, 2, 3)}}
explorer = HeadExplorer.from_trained(models, d_model=24, bias=False)
explorer.num_heads = 1
explorer"""


def test_the_slider_goes_over_trained_head_counts_with_what_they_reached(lab):
    explorer = Explorer(lab, SETUP + TRAINED)
    slider, words = explorer.root.get_by_role("slider"), explorer.root.locator(".mha-heads-timings-reached")
    for heads, mean in (1, "0.500"), (2, "0.625"), (3, "0.750"):
        expect(slider).to_have_attribute("aria-valuetext", str(heads))
        expect(words).to_contain_text(
            f"{heads} head{'s' * (heads > 1)}: {mean} right answers (seeds: {0.25 * heads:.3f}"
        )
        expect(explorer.root.locator(".mha-heads-facts")).to_contain_text(f"heads H{heads}")
        expect(explorer.stage.get_by_role("option")).to_have_count(heads)
        slider.press("ArrowRight")
    expect(explorer.root.get_by_role("img", name="3 heads: 0.750 right answers")).to_be_visible()
    explorer.root.get_by_role("combobox").select_option(SENTENCES[1])
    explorer.expect_python("sentence", SENTENCES[1])
    explorer.point(2, 1, 3)
    expect(explorer.readout).to_contain_text("head 2: was → big")


def test_it_still_draws_when_scrolled_away_and_back(lab):
    explorer = Explorer(lab, RECORDED)
    maps = explorer.pixels()
    lab.page.evaluate(
        """() => {
            const far = { cell_type: 'markdown', source: '# far\\n\\naway', metadata: {} };
            const { sharedModel } = window.jupyterapp.shell.currentWidget.content.model;
            sharedModel.insertCells(1, Array.from({ length: 60 }, () => ({ ...far })));
        }"""
    )
    # Asked again until it is there: JupyterLab guesses where cells lie that it has not laid out yet.
    scroll = """([stage, away]) => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.scrollToItem(away ? notebook.widgets.length - 1 : 0);
        const { top, bottom } = stage.getBoundingClientRect();
        return away === (bottom <= 0 || top >= innerHeight);
    }"""
    stage = explorer.stage.element_handle()
    for away in True, False:
        lab.page.wait_for_function(scroll, arg=[stage, away], polling=200)
        if away:
            expect(explorer.stage).not_to_be_in_viewport()
    expect(explorer.stage).to_be_in_viewport()
    assert explorer.pixels() == maps
    explorer.point(1, 0, 1)
    expect(explorer.readout).to_contain_text("head 1: the₁ → cat ")


def test_two_explorers_of_one_page_keep_apart(lab):
    lab.show(RECORDED + "\nfrom IPython.display import display\nother = HeadExplorer([recording('it was too big')])")
    root = lab.show("display(explorer, other)").locator(".mha-heads")
    expect(root).to_have_count(2)
    layers = root.get_by_role("slider")
    layers.nth(1).press("ArrowRight")
    expect(layers.nth(1)).to_have_value("1")
    expect(layers.nth(0)).to_have_value("0")


def test_hiding_a_word_scales_the_rows_up_and_says_what_it_held(lab):
    explorer = Explorer(lab, RECORDED)
    maps = explorer.pixels()
    held = lab.python("float(explorer.weights[:, [0, 1, 2, 4], 3].mean())")
    explorer.root.get_by_role("button", name="the₂").click()
    explorer.expect_python("hidden", ["the₂"])
    explorer.changed(maps)
    expect(explorer.root).to_contain_text(f"the₂ hidden: it held {held:.0%} of the weight, on average over 4 heads")
    explorer.point(1, 0, 3)  # among what is left, the fourth column is the dog's
    weight = explorer.value("weights[1, 0, 4].item()")
    expect(explorer.readout).to_contain_text(f"head 1: the₁ → dog {weight:.2f}{weight:.4f}")
    explorer.expect_python("hovered", [1, 0, 4])
    explorer.root.get_by_role("button", name="the₂").press("ArrowLeft")
    explorer.root.get_by_role("button", name="saw").press("Enter")
    explorer.expect_python("hidden", ["the₂", "saw"])
    for word in "saw", "the₂":
        explorer.root.get_by_role("button", name=word).click()
    explorer.expect_python("hidden", [])


LONG = (
    SETUP
    + """
query, key = np.random.default_rng(0).normal(size=(2, 400, 384)).astype(np.float32)
explorer = HeadExplorer.from_projection(query, key, [f"w{i}" for i in range(400)], num_heads=4)
explorer
"""
)


def test_without_a_word_a_long_sentence_fills_up_over_frames_too(lab):
    explorer = Explorer(lab, LONG.replace("num_heads=4", "num_heads=4, hidden=['w3']"))
    held = lab.python("float(explorer._source.weights(explorer)[0][:, [i for i in range(400) if i != 3], 3].mean())")
    said = f"w3 hidden: it held {held:.0%} of the weight, on average over 4 heads"
    expect(explorer.root.locator(".mha-heads-hiding")).to_contain_text(said)
    assert int(explorer.root.get_attribute("data-drawn")) > 3
    lab.python("explorer.set_trait('hovered', [3, 21, 31])")
    weight = explorer.value("weights[3, 21, 31].item()")
    expect(explorer.readout).to_contain_text(f"head 3: w21 → w31 {weight:.2f}{weight:.4f}")


def test_idle_time_draws_what_the_next_step_of_the_slider_shows(lab):
    explorer = Explorer(lab, LONG)
    ready = "(root) => root.dataset.prepared && root.dataset.prepared === root.dataset.drawn"
    lab.page.wait_for_function(ready, arg=explorer.root.element_handle())
    frames, maps = int(explorer.settled()), explorer.pixels()
    explorer.root.get_by_role("slider").press("ArrowRight")
    explorer.expect_python("num_heads", 6)
    explorer.changed(maps)
    expect(explorer.stage.get_by_role("option")).to_have_count(6)
    assert int(explorer.root.get_attribute("data-drawn")) == frames + 1, "all in the first frame"
    lab.python("explorer.set_trait('hovered', [5, 20, 30])")
    weight = explorer.value("weights[5, 20, 30].item()")
    expect(explorer.readout).to_contain_text(f"head 5: w20 → w30 {weight:.2f}{weight:.4f}")


def test_two_pinned_heads_show_their_difference(lab):
    explorer = Explorer(lab, RECORDED.replace("])\nexplorer", "], pinned=[2, 0])\nexplorer"))
    two, zero = explorer.value("weights[[2, 0], 1, 4].tolist()")
    explorer.point(-1, 1, 4)
    difference = f"{two - zero:+.2f}".replace("-", "−")
    expect(explorer.readout).to_contain_text(f"head 2: cat → dog {two:.2f}{two:.4f} · head 0: {zero:.2f}")
    expect(explorer.readout).to_contain_text(f"2 − 0: {difference}")
    expect(explorer.readout).to_contain_text("row sums to 1.00 (1.0000)")
    red, green, blue = explorer.stage.evaluate(
        """(stage) => {
            const { x, y, cell } = stage.places.at(-1);
            const pixel = [x + 4.3 * cell, y + 1.3 * cell, 1, 1].map(Math.round);
            return [...stage.querySelector('canvas').getContext('2d').getImageData(...pixel).data].slice(0, 3);
        }"""
    )
    assert (red > blue) == (two > zero), "orange above 0, purple below"


def test_the_table_holds_exact_weights_where_a_kernel_gives_them(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.root.get_by_text("As a table").click()
    expect(explorer.root.locator("caption")).to_have_text("head 0: row → column")
    first_row = explorer.value("weights[0, 0].tolist()")
    exact = [f"{weight:.2f}" for weight in first_row]
    expect(explorer.root.get_by_role("row").nth(1).locator("td")).to_have_text(exact)


def test_cells_are_read_by_keyboard_and_as_a_table(lab):
    explorer = Explorer(lab, RECORDED)
    explorer.stage.focus()
    explorer.stage.press("ArrowRight")
    for key in "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown":
        explorer.stage.press(key)
    explorer.expect_python("hovered", [1, 1, 1])
    expect(explorer.readout).to_contain_text("head 1: cat → cat ")
    explorer.stage.press("ArrowRight")
    explorer.expect_python("hovered", [2, 1, 1])
    expect(explorer.stage).to_have_attribute("aria-activedescendant", re.compile("-2$"))
    explorer.stage.press("Enter")
    expect(explorer.root.get_by_role("option", name="head 2")).to_have_attribute("aria-selected", "true")
    explorer.root.get_by_text("As a table").click()
    row = explorer.root.get_by_role("row", name="cat").last
    weights = explorer.value("weights[2, 1].tolist()")
    expect(row.get_by_role("cell")).to_have_text([f"{weight:.2f}" for weight in weights])
    explorer.stage.press("Escape")
    explorer.expect_python("hovered", [])


def test_a_window_hatches_what_is_too_far(lab):
    explorer = Explorer(lab, PROJECTION)
    maps = explorer.pixels()
    explorer.root.get_by_label("Window").fill("2")
    explorer.expect_python("window", 2)
    explorer.changed(maps)
    explorer.point(0, 0, 2)
    expect(explorer.readout).to_contain_text("head 0: the₁ → saw masked")
    explorer.root.get_by_label("Window").fill("")
    explorer.expect_python("window", 0)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    explorer = Explorer(lab, PROJECTION)
    contrast = explorer.root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
    light = explorer.page.evaluate("document.body.dataset.jpThemeLight") == "true"
    brightness = explorer.stage.locator("canvas").first.evaluate(WORD_BRIGHTNESS)
    assert brightness < 100 if light else brightness > 155


def test_a_change_of_theme_leaves_the_maps_on_the_page_and_the_words_legible(lab):
    """JupyterLab swaps style sheets: for a moment there is none, and a stage without one is wider."""
    explorer = Explorer(lab, PROJECTION)
    fits = "(stage) => Math.max(...stage.places.map((place) => place.x + place.wide)) <= stage.clientWidth"
    for theme in ["JupyterLab Dark", "JupyterLab Light"] * 4:
        lab.theme(theme)
        lab.page.wait_for_function(fits, arg=explorer.stage.element_handle())
        legible = f"(canvas) => ({WORD_BRIGHTNESS})(canvas) {'> 155' if 'Dark' in theme else '< 100'}"
        lab.page.wait_for_function(legible, arg=explorer.stage.locator("canvas").first.element_handle())


WORD_BRIGHTNESS = """(canvas) => {
    // The mean brightness, 0 to 255, of what is drawn left of the maps: the words.
    const place = canvas.parentElement.places[0];
    const scale = devicePixelRatio;
    const box = [place.y, place.x - 6, place.wide].map((length) => Math.floor(length * scale));
    const { data } = canvas.getContext('2d').getImageData(0, box[0], box[1], box[2]);
    let [sum, count] = [0, 0];
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] < 200) continue;
        sum += (data[i] + data[i + 1] + data[i + 2]) / 3;
        count += 1;
    }
    return sum / count;
}"""
