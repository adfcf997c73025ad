"""Explorers and lessons as pages of their own: opened from disk, with no Jupyter, no kernel and no network."""

import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import make_handouts
import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from mha_lab import widgets
from mha_lab.pretrained import recorded, recorded_projection
from mha_lab.widgets import (
    AttentionStepper,
    CostExplorer,
    Guess,
    HeadExplorer,
    HeadSwitches,
    IntentExplorer,
    KVCacheExplorer,
    LayerMap,
    MockInterview,
    ModelTable,
    OutputMixer,
    TileExplorer,
    TrueOrFalse,
)
from mha_lab.widgets._static import document, host

WORDS = ["trophy", "suitcase", "it"]


def projection():
    query, key = np.random.default_rng(0).normal(size=(2, 3, 12))
    return HeadExplorer.from_projection(query, key, WORDS, num_heads=4)


def pixels(page):
    return page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")


def test_the_head_count_slider_redraws_the_maps(from_disk, tmp_path):
    page = from_disk(projection().save_html(tmp_path / "page.html"))
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    expect(page.locator(".mha-still")).to_be_hidden()
    before = pixels(page)
    page.get_by_role("slider", name="Heads").press("ArrowRight")
    expect(page.locator(".mha-heads-facts")).to_contain_text("d_head2")
    assert pixels(page) != before


def test_a_trained_model_changes_its_layer_and_says_how_a_sentence_could_be_read(from_disk, tmp_path):
    explorer = HeadExplorer(recorded()[:2], model=lambda: None)
    page = from_disk(explorer.save_html(tmp_path / "page.html"))
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    before = pixels(page)
    page.get_by_role("slider", name="Layer").press("ArrowRight")
    page.wait_for_function("(before) => document.querySelector('canvas').toDataURL() !== before", arg=before)
    page.get_by_label("your own sentence").fill("one of my own")
    page.get_by_role("button", name="Show its heads").click()
    expect(page.get_by_text("This page has no kernel.")).to_contain_text("open the notebook in JupyterLab")


def test_timings_are_read_and_measuring_says_that_it_needs_python(from_disk, tmp_path):
    explorer = HeadExplorer.from_projection(*recorded_projection(), num_heads=12)
    page = from_disk(explorer.save_html(tmp_path / "page.html"))
    expect(page.get_by_role("button", name="Measure")).to_be_disabled()
    expect(page.get_by_text("Measuring needs Python")).to_be_visible()
    page.get_by_role("radio", name="512").check()
    page.get_by_role("slider", name="Heads").press("ArrowRight")
    expect(page.locator(".mha-heads-timings-sentence")).to_contain_text("16 heads, 512 tokens: explicit")


def step(page):
    page.get_by_role("button", name="step").click()
    expect(page.locator("tfoot .mha-step-output b").first).to_be_visible()


def answer(page):
    page.get_by_role("radio", name="true").first.check()
    expect(page.get_by_text("1 of 10 answered")).to_be_visible()


def switch_off(page):
    page.get_by_role("button", name="head 1").click()
    expect(page.locator(".mha-mix-status")).to_contain_text("1 of 2")


def grow(page):
    products = page.locator(".mha-cost-facts b").nth(1)
    before = products.text_content()
    page.get_by_role("slider", name="tokens").press("ArrowRight")
    expect(products).not_to_have_text(before)


def point(page):
    page.locator("[data-part=scores]").hover()
    expect(page.locator(".mha-layer-readout b")).to_have_text("scores")


def next_tile(page):
    page.get_by_role("button", name="step ▶").click()
    expect(page.locator(".mha-tiles-line output").first).to_contain_text("step 2 of 9")


def interview(page):
    page.get_by_role("textbox").fill("every head sees all of x")
    page.get_by_role("button", name="Show the points").click()
    page.get_by_role("checkbox").first.check()
    expect(page.get_by_text("1 of 20 questions answered, 1 of 3 points said")).to_be_visible()
    link = page.locator(".mha-interview-points a").first
    expect(link).to_have_attribute("href", re.compile(r"^\d\d_\w+\.html#"))


def ask(page):
    page.get_by_role("button", name="sinks 7").click()
    expect(page.get_by_role("status")).to_have_text("7 of 45: with sinks")
    page.get_by_role("row", name="gpt-oss-120b").click()
    expect(page.get_by_text("Source: openai/gpt-oss")).to_be_visible()


def switches():
    return HeadSwitches(lambda mask: {"cat": mask.mean()}, num_layers=1, num_heads=4)


def ablate(page):
    for head, words in (1, "cat, 1.00 → 0.75"), (2, "Off: heads 1, 2."):
        page.get_by_role("button", name=f"layer 0, head {head}").click()
        expect(page.locator(".mha-switch-headline")).to_contain_text(words)
    expect(page.get_by_role("status")).to_contain_text("Only Python can predict this, and this page has none.")


def choose(page):
    page.get_by_label("model").select_option("Mistral-7B")
    expect(page.get_by_text("arXiv:2310.06825")).to_be_visible()


def intent(sentence="trophy suitcase it"):
    eye, names = np.eye(3)[None, None], ["yes", "no"]
    reading = {"sentence": sentence, "tokens": sentence.split(), "weights": eye, "shares": np.full(3, 1 / 3)}
    return IntentExplorer([SimpleNamespace(**reading, probabilities=[0.9, 0.1], names=names, message="")])


def guess():
    return Guess("02.parameters", "From 1 head to 16: the parameters", ["stay the same", "grow 16 times"])


def say(page):
    page.get_by_role("radiogroup", name="From 1 head to 16").get_by_role("radio", name="grow 16 times").check()
    expect(page.get_by_role("status")).to_have_text("You said: grow 16 times. It is kept while this page is open.")


def look_from_a_word(page):
    page.get_by_role("radio", name="it", exact=True).click()
    expect(page.locator(".mha-intent-readout")).to_contain_text("from “it”")
    page.get_by_label("your own sentence").fill("one of my own")
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("Reading a new sentence needs Python")).to_be_visible()


@pytest.mark.parametrize(
    "explorer, gesture",
    [
        (lambda: AttentionStepper(np.eye(3), np.eye(3), np.eye(3), WORDS, stage=4), step),
        (TrueOrFalse, answer),
        (lambda: OutputMixer(np.ones((2, 3, 2)), np.ones((4, 3)), WORDS), switch_off),
        (CostExplorer, grow),
        (KVCacheExplorer, choose),
        (LayerMap, point),
        (MockInterview, interview),
        (ModelTable, ask),
        (TileExplorer, next_tile),
        (switches, ablate),
        (intent, look_from_a_word),
        (guess, say),
    ],
)
def test_every_explorer_answers_without_a_kernel(explorer, gesture, from_disk, tmp_path):
    gesture(from_disk(explorer().save_html(tmp_path / "page.html")))


LOOKS = """(root) => [...root.querySelectorAll('*')].map((node) => {
    const style = getComputedStyle(node);
    const looks = 'color backgroundColor borderStyle fontSize fontWeight height padding margin textAlign opacity';
    return [node.className, ...looks.split(' ').map((property) => style[property])].join(' ');
})"""


EACH = [
    lambda: HeadExplorer(recorded()[:1], hidden=["[CLS]"]),
    lambda: AttentionStepper(np.eye(3), np.eye(3), np.eye(3), WORDS, stage=4),
    TrueOrFalse,
    lambda: OutputMixer(np.ones((2, 3, 2)), np.ones((4, 3)), WORDS),
    CostExplorer,
    KVCacheExplorer,
    LayerMap,
    MockInterview,
    ModelTable,
    TileExplorer,
    switches,
    intent,
    guess,
]


@pytest.mark.parametrize("explorer", EACH)
def test_an_explorer_looks_the_same_beside_all_others(explorer, from_disk, tmp_path):
    page = from_disk(explorer().save_html(tmp_path / "page.html"))
    root = page.locator(".mha-alive .mha")
    expect(root).to_have_count(1)
    page.wait_for_timeout(100)  # ms; what moves when it appears has come to rest
    expect(page.locator("[data-waiting]:not([data-waiting='0'])")).to_have_count(0)  # rows that come in idle time
    alone = root.evaluate(LOOKS)
    for name in widgets.__all__:
        page.add_style_tag(content=str(getattr(widgets, name)._css))
    assert root.evaluate(LOOKS) == alone


def test_two_explorers_of_one_class_move_apart_and_two_views_of_one_together(from_disk, tmp_path):
    first, second = projection(), projection()
    body = "".join(host(e.model_id, *e._repr_mimebundle_()) for e in (first, first, second))
    path = tmp_path / "page.html"
    path.write_text(document("Three", body, {e.model_id: e.get_state() for e in (first, second)}), encoding="utf-8")
    page = from_disk(path)
    page.get_by_role("slider", name="Heads").first.press("ArrowRight")
    for view, heads in enumerate((6, 6, 4)):
        expect(page.locator(".mha-heads-facts").nth(view)).to_contain_text(f"heads H{heads}")


@pytest.mark.parametrize("way", ["no script", "print"])
def test_the_picture_stands_without_scripts_and_in_print(way, from_disk, tmp_path):
    page = from_disk(projection().save_html(tmp_path / "page.html"), java_script_enabled=way == "print")
    if way == "print":
        expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
        page.emulate_media(media="print")
        expect(page.locator(".mha-heads")).to_be_hidden()
    expect(page.locator("img")).to_be_visible()


def test_a_module_that_fails_says_so_and_leaves_the_picture(from_disk, tmp_path):
    explorer = projection()
    explorer._esm = "export default { render() { throw new Error('out of ink'); } };"
    page = from_disk(explorer.save_html(tmp_path / "page.html"))
    expect(page.get_by_text("This explorer did not start (out of ink): its picture stays.")).to_be_visible()
    expect(page.locator("img")).to_be_visible()


def test_the_page_is_as_dark_as_the_reader_has_it_and_axe_finds_no_violation(from_disk, tmp_path):
    page = from_disk(projection().save_html(tmp_path / "page.html"), color_scheme="dark")
    body = page.locator("body")
    for is_light, scheme, background in ("false", "dark", "rgb(17, 17, 17)"), ("true", "light", "rgb(255, 255, 255)"):
        page.emulate_media(color_scheme=scheme)
        expect(body).to_have_attribute("data-jp-theme-light", is_light)
        expect(body).to_have_css("background-color", background)
        assert [violation["help"] for violation in Axe().run(page).response["violations"]] == []


SCRIPTS = (
    "<script>document.title = 'taken'</script>",
    "<SCRIPT type='module'>document.title = 'taken'</SCRIPT>",
    "<script/x>document.title = 'taken'</script>",
    "<img src='data:,' onerror=\"document.title = 'taken'\">",
    "<svg onload=\"document.title = 'taken'\"></svg>",
    "<details open ontoggle=\"document.title = 'taken'\"></details>",
    "<iframe srcdoc=\"<script>parent.document.title = 'taken'</script>\"></iframe>",
    "<a id='away' href=\"javascript:document.title = 'taken'\">away</a>",
    "<meta http-equiv='refresh' content='0; url=https://example.com'>",
    "<base href='https://example.com/'>",
    "<form action='https://example.com'><button id='send'>send</button></form>",
)


def test_no_script_of_a_lessons_output_runs_in_its_handout_and_nothing_leads_away(browser, tmp_path):
    output = nbformat.v4.new_output
    texts = [output("display_data", data={"text/html": text}) for text in SCRIPTS]
    texts.append(output("display_data", data={"application/javascript": "document.title = 'taken'"}))
    cells = [nbformat.v4.new_code_cell("1", outputs=texts), nbformat.v4.new_markdown_cell("# Alive\n" + SCRIPTS[0])]
    path = tmp_path / "page.html"
    path.write_text(make_handouts.handout(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", re.compile("true|false"))  # ours has run
    for name in ("away", "send"):
        page.evaluate("(name) => document.getElementById(name).click()", name)
    page.wait_for_timeout(100)  # ms
    assert page.title() == "Alive" and page.url == path.as_uri()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    page.close()


def test_a_saved_page_runs_no_script_but_its_own_and_sends_no_form(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(document("Ours", "".join(text for text in SCRIPTS if "refresh" not in text), {}), encoding="utf-8")
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", re.compile("true|false"))
    page.evaluate("document.getElementById('away').click()")
    page.wait_for_timeout(100)  # ms
    assert page.title() == "Ours" and page.evaluate("document.baseURI") == path.as_uri()
    page.evaluate("document.getElementById('send').click()")
    page.wait_for_timeout(100)  # ms
    assert page.url == path.as_uri()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    page.close()


@pytest.fixture
def predicted(tmp_path):
    """The handout of a lesson in which a printed value, and an explorer, answer a prediction."""
    explorer = projection()
    output, code = nbformat.v4.new_output, nbformat.v4.new_code_cell
    data, metadata = explorer._repr_mimebundle_()
    shown = output("display_data", data, metadata=metadata)
    cells = [
        code("6 * 7", outputs=[output("execute_result", {"text/plain": "42"})]),
        code("explorer", outputs=[shown]),
        code("shown", outputs=[output("execute_result", {"text/plain": "at once"})]),
    ]
    for cell in cells[:2]:
        cell.metadata.jupyter = {"outputs_hidden": True}
    models = {"state": {explorer.model_id: {"state": explorer.get_state()}}}
    title = nbformat.v4.new_markdown_cell("# 99 · Predicted")
    notebook = nbformat.v4.new_notebook(cells=[title, *cells], metadata={"widgets": {make_handouts.STATE: models}})
    path = tmp_path / "handout.html"
    path.write_text(make_handouts.handout(notebook), encoding="utf-8")
    return path


def test_what_answers_a_prediction_waits_behind_a_fold_and_an_explorer_in_it_starts_when_it_is_opened(
    from_disk, predicted
):
    page = from_disk(predicted)
    expect(page.get_by_text("at once")).to_be_visible()
    answer = page.locator("details").get_by_text("42", exact=True)
    expect(answer).to_be_hidden()
    page.wait_for_timeout(200)  # ms
    assert page.locator(".mha").count() == 0
    for fold in page.get_by_text("Predict first, then open").all():
        assert fold.bounding_box()["height"] >= 40, "a finger finds it"
        fold.press("Enter")
    expect(answer).to_be_visible()
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    assert page.locator("canvas").first.bounding_box()["width"] > 100
    for fold in page.get_by_text("Predict first, then open").all():
        fold.press("Enter")
        fold.press("Enter")
    expect(page.locator(".mha-heads")).to_have_count(1)
    assert [violation["help"] for violation in Axe().run(page).response["violations"]] == []


@pytest.mark.parametrize("scripts", [True, False])
def test_what_a_fold_holds_is_printed_at_the_end_and_needs_no_script(scripts, from_disk, predicted):
    page = from_disk(predicted, java_script_enabled=scripts)
    folded, at_the_end = page.locator("details").get_by_text("42"), page.locator(".answers").get_by_text("42")
    expect(at_the_end).to_be_hidden()
    page.emulate_media(media="print")
    box = at_the_end.bounding_box()
    assert box and box["height"] > 5
    assert page.locator(".answers img").bounding_box()["height"] > 50
    expect(folded).to_be_hidden()
    expect(page.get_by_text("Predict first, then open").first).to_be_hidden()
    page.emulate_media(media="screen")
    expect(folded).to_be_hidden()
    page.get_by_text("Predict first, then open").first.click()
    expect(folded).to_be_visible()


def test_long_code_wide_tables_and_long_words_make_no_handout_wider_than_a_phone(from_disk, tmp_path):
    table = "| one | two | three |\n|---|---|---|\n| a few words | and some more of them | `a.name_of_a_tensor[-2]` |"
    path_in_a_list = "a/folder" * 20
    cells = [
        nbformat.v4.new_code_cell(f"x = '{'long' * 30}'"),
        nbformat.v4.new_markdown_cell(f"# 99 · Wide\n{table}\n\n- {path_in_a_list}"),
    ]
    path = tmp_path / "page.html"
    path.write_text(make_handouts.handout(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    page = from_disk(path)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_link_to_a_section_of_a_handout_finds_it(from_disk, tmp_path):
    text = "# 99 · Links\n[there](99_links.ipynb#2.-To-hide-a-word:-−∞,-not-0)\n\n" + "line\n\n" * 99
    cell = nbformat.v4.new_markdown_cell(text + "## 2. To hide a `word`: −∞, not 0\n\n" + "line\n\n" * 99)
    path = tmp_path / "99_links.html"
    path.write_text(make_handouts.handout(nbformat.v4.new_notebook(cells=[cell])), encoding="utf-8")
    page = from_disk(path)
    page.get_by_role("link", name="there").click()
    expect(page.get_by_role("heading", name="2. To hide a word")).to_be_in_viewport()


def test_a_lesson_opens_from_disk_with_its_explorers_alive(from_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(make_handouts, "HANDOUTS", tmp_path)
    with ThreadPoolExecutor(1) as elsewhere:  # in this thread Playwright's own event loop runs
        assert elsewhere.submit(make_handouts.main, ["02"]).result() == 0
    path = tmp_path / "02_multi_head_projection.html"
    assert make_handouts.size_without_figures(path.read_text(encoding="utf-8")) < 1_000_000
    page = from_disk(path)
    page.evaluate("document.querySelectorAll('.answer').forEach((fold) => { fold.open = true; })")
    expect(page.locator(".mha-host.mha-alive .mha")).to_have_count(page.locator(".mha-host").count())
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(page.locator(".mha-heads").count())
    page.locator(".mha-heads").first.get_by_role("slider", name="Heads").press("ArrowRight")
    expect(page.locator(".mha-heads-facts").first).to_contain_text("heads H16")
    page.locator("details:not([open]) > summary").first.click()
    expect(page.locator("details[open]").first).to_contain_text(re.compile(r"\w"))
    expect(page.get_by_text("Hints and solution of").filter(visible=True).first).to_be_visible()


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SMALL = """(root) => [...root.querySelectorAll('button, select, summary, input')].map((node) => {
    const { width, height } = (node.closest('label') ?? node).getBoundingClientRect();
    return [node.outerHTML.slice(0, 80), width, height];
}).filter(([, width, height]) => width && (width < 24 || height < 24))"""


@pytest.mark.parametrize("explorer", [*EACH, lambda: HeadExplorer(recorded()), projection, lambda: intent("i , .")])
def test_a_finger_hits_every_control_of_an_explorer_on_a_phone(explorer, from_disk, tmp_path):
    page = from_disk(explorer().save_html(tmp_path / "page.html"), **PHONE)
    page.evaluate("() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    expect(page.locator(".mha-alive .mha")).to_have_count(1)
    page.wait_for_timeout(100)  # ms; what is laid out when it has its size
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".mha").evaluate(SMALL) == []
