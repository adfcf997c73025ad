"""IntentExplorer on a real page: a sentence typed in either language, words chosen by mouse and keyboard, no kernel."""

import numpy as np
import pytest
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

EXPLORER = """
import numpy as np
import torch
from mha_lab import models, tasks
from mha_lab.widgets import IntentExplorer
torch.manual_seed(0)
corpus = tasks.intents("validation")
model = models.AttentionClassifier(len(corpus.vocabulary), 17, bias=models.RelativeBias(4))
reader = models.SentenceReader(model, corpus)
sentences = "I do not need insurance, change my phone number.", "先问提前还款违约金，再改还款日。"
explorer = IntentExplorer([reader.read(sentence) for sentence in sentences], model=reader)
explorer
"""

SPACES = """
import numpy as np
from types import SimpleNamespace
from mha_lab.widgets import IntentExplorer
def reading(sentence, tokens):
    n = len(tokens)
    even = dict(weights=np.full((1, 2, n, n), 1 / n), shares=np.full(n, 1 / n), probabilities=[0.7, 0.2, 0.1])
    return SimpleNamespace(sentence=sentence, tokens=tokens, names=["a", "b", "c"], message="", **even)
odd = reading("two  spaces\\nand a line", [" lead", "\\n", "", "the", "the", "x" * 60])
explorer = IntentExplorer([odd, reading("plain", ["plain"])])
explorer
"""


@pytest.fixture
def root(lab):
    root = lab.show(EXPLORER).locator(".mha-intent")
    steady(root)
    return root


def read(root, sentence):
    root.get_by_label("your own sentence").fill(sentence)
    root.get_by_role("button", name="Read it").click()


def test_a_typed_sentence_gets_its_answer_and_its_heads(lab, root):
    for sentence, words in ("不需要保险，我想查账单", 11), ("please print my statement", 4):
        read(root, sentence)
        expect(root.locator("[role=img]").first.locator("span")).to_have_count(words)
        lab.expect_python("explorer.sentence", sentence)
        name, probability = lab.python("explorer.answers[0]")
        best = root.locator("tbody tr").first
        expect(best.locator("th")).to_have_text(name)
        expect(best.locator("td").last).to_have_text(f"{probability:.0%}")
        expect(root.locator(".mha-intent-message")).to_have_text("")
    expect(root.get_by_role("combobox")).to_have_value("please print my statement")


def test_what_cannot_be_read_is_said_in_one_sentence_and_the_next_one_is_read(root):
    message = root.locator(".mha-intent-message")
    read(root, "")
    expect(message).to_have_text("the sentence is empty: type at least one word.")
    read(root, "贷" * 5000)
    expect(message).to_have_text("the sentence has 5,000 tokens; at most 128 are read: shorten it.")
    read(root, "我想买龘")
    expect(message).to_have_text("龘 does not occur in the training sentences and is read as [UNK].")
    root.get_by_role("combobox").select_option(index=0)
    expect(message).to_have_text("")


def test_words_are_chosen_by_mouse_and_by_keyboard(lab, root):
    words, readout = root.get_by_role("radio"), root.locator(".mha-intent-readout")
    expect(words.first).to_have_attribute("aria-checked", "true")
    expect(readout).to_contain_text("The answer is read from")
    words.nth(4).click()
    lab.expect_python("explorer.word", 3)
    expect(readout).to_contain_text("from “need”")
    words.nth(4).press("ArrowRight")
    expect(words.nth(5)).to_be_focused()
    lab.expect_python("explorer.word", 4)
    root.locator("[role=img]").nth(2).locator("span").nth(1).hover()
    weight = lab.python("float(explorer.looks[2, 1])")
    expect(readout).to_have_text(f"head 2, from “insurance” to “do”: {weight:.2f}")
    words.nth(5).press("Escape")
    expect(words.first).to_be_focused()
    lab.expect_python("explorer.word", -1)


def test_the_heads_weights_are_read_by_keyboard_and_set_from_python(lab, root):
    stage, readout = root.get_by_role("group", name="heads"), root.locator(".mha-intent-readout")
    stage.focus()
    stage.press("Shift")  # the focus is the keyboard's
    expect(readout).to_have_text("Arrow keys read where the heads look, Escape clears.")
    cells = [0, 0], [0, 1], [1, 1], [1, 10], [1, 10]
    for key, cell in zip(("ArrowRight", "ArrowRight", "ArrowDown", "End", "ArrowRight"), cells):
        stage.press(key)
        lab.expect_python("explorer.hovered", cell)
    weight = lab.python("float(explorer.looks[1, 10])")
    expect(readout).to_have_text(f"head 1, from the answer to “.”: {weight:.2f}")
    expect(root.locator(".mha-intent-pointed")).to_have_count(1)
    lab.python("explorer.set_trait('hovered', [3, 2])")
    expect(readout).to_contain_text("head 3, from the answer to “not”: ")
    expect(root.locator("[role=img]").nth(3).locator("span").nth(2)).to_have_class("mha-intent-pointed")
    stage.press("Escape")
    lab.expect_python("explorer.hovered", [])
    expect(root.locator(".mha-intent-pointed")).to_have_count(0)
    stage.press("ArrowUp")
    root.get_by_role("combobox").select_option(index=1)
    lab.expect_python("explorer.hovered", [])


def test_the_weights_stand_in_a_table(lab, root):
    root.get_by_text("As a table").click()
    table = root.get_by_role("region", name="weights")
    texts = "(table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    expect(table.get_by_role("rowheader")).to_have_count(11)
    for word, start in (-1, "the answer"), (3, "“need”"):
        root.get_by_role("radio").nth(word + 1).click()
        expect(table.locator("caption")).to_contain_text(f"heads of layer 1 look from {start}")
        lab.expect_python("explorer.word", word)
        titles, *rows = table.locator("table").evaluate(texts)
        assert titles == ["", "the answer", *(f"head {h}" for h in range(4))]
        assert [name for name, *_ in rows] == lab.python("explorer._shown()['tokens']")
        expected = lab.python("np.vstack([explorer.shares, explorer.looks]).T.tolist()")
        np.testing.assert_allclose([[float(cell) for cell in cells] for _, *cells in rows], expected, atol=0.0051)


def test_a_sentence_with_white_space_is_chosen_again_and_its_words_are_told_apart(lab):
    root = lab.show(SPACES).locator(".mha-intent")
    menu, odd = root.get_by_role("combobox"), "two  spaces\nand a line"
    expect(menu).to_have_value(odd)
    menu.select_option(index=1)
    lab.expect_python("explorer.sentence", "plain")
    menu.select_option(index=0)
    lab.expect_python("explorer.sentence", odd)
    shown = ["␣lead", "↵", "∅", "the₁", "the₂", "x" * 60]
    cells = root.locator("[role=img]").first.locator("span")
    for words in cells, root.locator("[role=radio]:not(.mha-intent-name)"):
        expect(words).to_have_text(shown)
        long = words.last
        expect(long).to_have_attribute("title", "x" * 60)
        assert long.evaluate("(word) => word.clientWidth < word.scrollWidth && word.clientWidth < 250")
    expect(root.locator(".mha-intent-others")).to_have_text("")
    cells.nth(4).hover()
    expect(root.locator(".mha-intent-readout")).to_have_text("head 0, from the answer to “the₂”: 0.17")


def test_layer_and_stretch_move_the_colours(lab, root):
    cell = root.locator("[role=img]").first.locator("span").first
    colours = [cell.evaluate("(cell) => cell.style.background")]
    root.get_by_role("slider", name="Layer").press("ArrowLeft")
    lab.expect_python("explorer.layer", 0)
    expect(root.locator("output")).to_have_text("0")
    colours.append(cell.evaluate("(cell) => cell.style.background"))
    root.get_by_role("checkbox", name="stretch").uncheck()
    lab.expect_python("explorer.stretch", False)
    colours.append(cell.evaluate("(cell) => cell.style.background"))
    assert len(set(colours)) == 3


def test_stored_sentences_answer_without_a_kernel_and_a_new_one_says_what_it_needs(own_lab):
    root = own_lab.show(EXPLORER).locator(".mha-intent")
    steady(root)
    own_lab.stop_kernel()
    before = root.locator("tbody").inner_text()
    root.get_by_role("combobox").select_option(index=1)
    expect(root.locator("tbody")).not_to_have_text(before)
    root.get_by_role("radio").nth(2).click()
    expect(root.locator(".mha-intent-readout")).to_contain_text("from “问”")
    read(root, "我想查账单")
    expect(root.get_by_label("your own sentence")).to_have_value("我想查账单")
    expect(root.locator(".mha-intent-message")).to_contain_text("The kernel was restarted or is gone")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_word_is_legible_in_both_themes(lab, theme):
    lab.theme(theme)
    root = lab.show(EXPLORER).locator(".mha-intent")
    steady(root)
    contrast = root.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast


def test_the_browser_computes_what_python_computes(javascript):
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(5), size=(3, 5))
    shares = rng.dirichlet(np.ones(5))
    found = javascript(
        "intent_explorer/state.js",
        """const given = { weights: Float32Array.from(data.weights), shares: data.shares, n: 5, H: 3 };
        return [m.looks({ ...given, word: -1 }), m.looks({ ...given, word: 2 }), m.largest(data.shares, 2)];""",
        weights=weights.flatten().tolist(),
        shares=shares.tolist(),
    )
    np.testing.assert_allclose(found[0], np.einsum("n,hnm->hm", shares, weights), atol=1e-6)
    np.testing.assert_allclose(found[1], weights[:, 2], atol=1e-6)
    assert found[2] == np.argsort(-shares)[:2].tolist()


def test_words_are_legible_on_every_grey(javascript):
    inks = javascript("shared/colour.js", "return [...Array(256).keys()].map((grey) => m.inkOn([grey, grey, grey]))")
    assert set(inks[:100]) == {"#fff"} and set(inks[130:]) == {"#000"}
