"""A lesson's slides in a browser without a network: nothing overflows, and keys, fingers and paper turn them."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import make_handouts
import make_slides
import nbformat
import numpy as np
import pytest
import run_notebooks
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from mha_lab.widgets import HeadExplorer

SIZES = {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}
LESSONS = sorted(make_slides.LESSONS.glob("[0-9]*.ipynb"))
code, text, output = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell, nbformat.v4.new_output
# Every slide at once, each at its place on a page, which then is long.
ALL_AT_ONCE = """.reveal .slides section, .reveal .slides {
    display: block !important; position: relative !important; visibility: visible !important; opacity: 1 !important;
}"""
TOO_LARGE = """(most) => [...document.querySelectorAll(".slide")].flatMap((slide, i) => {
    const body = slide.querySelector(".slide-body"), content = body.firstElementChild;
    const box = (of) => of.getBoundingClientRect();
    const [tall, wide] = [box(content).height / box(body).height, content.scrollWidth / content.clientWidth];
    const beyond = box(body).bottom > box(slide).bottom + 1;
    const large = tall > most || wide > 1.001 || beyond;
    return large ? [`${i + 1} ${slide.parentElement.dataset.title}: ${tall.toFixed(2)} × ${wide.toFixed(2)}`] : [];
})"""
SMALL = """() => [...document.querySelectorAll(".content, .part.explorer")]
    .filter((part) => Number(part.style.zoom || 1) < 0.75)
    .map((part) => `${part.style.zoom} ${part.closest("section").dataset.title}`)"""
PLACE = "() => document.querySelector('.slide-number').innerText.replace(/\\s/g, '')"


@pytest.fixture
def opened(from_disk):
    """opened(path, query="", **context): slides, from disk, at their first size."""

    def opened(path, query="", **options):
        page = from_disk(path, query, **{"viewport": SIZES[0], **options})
        page.wait_for_selector("body[data-ready]")
        return page

    return opened


def written(notebook, folder, stem="lesson"):
    path = folder / "slides.html"
    path.write_text(make_slides.page_of(notebook, stem), encoding="utf-8")
    return path


@pytest.fixture
def made(tmp_path):
    """Slides of a small lesson: a title, a section, a prediction with its answer, a fold, an explorer."""
    query, key = np.random.default_rng(0).normal(size=(2, 3, 12))
    explorer = HeadExplorer.from_projection(query, key, ["trophy", "suitcase", "it"], num_heads=4)
    data, metadata = explorer._repr_mimebundle_()
    predicted = code("print(6 * 7)", outputs=[output("stream", text="42\n")])
    predicted.metadata.jupyter = {"outputs_hidden": True}
    cells = [
        text("# 99 · A lesson\n*Is it so?*"),
        text("## 1. A question\n\n**Predict.** How many?"),
        predicted,
        text("<details><summary>What happened?</summary>\n\nSix times seven.\n\n</details>"),
        text("## 2. An explorer"),
        code("explorer", outputs=[output("display_data", data, metadata=metadata)]),
        text("## 3. The end\n\nWords."),
    ]
    models = {"state": {explorer.model_id: {"state": explorer.get_state()}}}
    return written(nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {make_handouts.STATE: models}}), tmp_path)


def to_the_explorer(page):
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    expect(page.locator(".mha-alive")).to_be_visible()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_nothing_of_a_lesson_overflows_its_slide(path, opened, tmp_path):
    """As it is packed, without any help of the page; where no kernel ran, an explorer's picture stands for it."""
    page = opened(written(nbformat.read(path, as_version=4), tmp_path, path.stem))
    page.add_style_tag(content=ALL_AT_ONCE)
    for size in SIZES:
        page.set_viewport_size(size)
        assert page.evaluate(TOO_LARGE, 1.05) == []  # what a machine's fonts add, the page takes back


def test_no_slide_of_a_lesson_that_ran_overflows_with_its_explorers_alive(opened, tmp_path):
    def ran():
        with run_notebooks.own_settings():
            return run_notebooks.execute(LESSONS[0], widget_state=True)

    with ThreadPoolExecutor(1) as elsewhere:  # in this thread Playwright's own event loop runs
        path = written(elsewhere.submit(ran).result(), tmp_path, LESSONS[0].stem)
    for size in SIZES:
        page = opened(path, viewport=size)
        page.add_style_tag(content=ALL_AT_ONCE)
        for host in page.locator(".mha-host").all():
            host.scroll_into_view_if_needed()
            expect(host).to_have_class(re.compile("mha-alive"))  # before it is out of sight again: frames can be slow
        page.wait_for_timeout(4500)  # ms, in which the last one finds its size
        assert page.evaluate(TOO_LARGE, 1.001) == []
        assert page.evaluate(SMALL) == []


def test_keys_turn_slides_and_an_answer_comes_with_a_key_of_its_own(opened, made):
    page = opened(made)
    answer = page.locator(".slide").get_by_text("42", exact=True)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="1. A question")).to_be_visible()
    expect(answer).to_be_hidden()
    page.keyboard.press(" ")
    expect(answer).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="What happened?")).to_be_visible()
    expect(page.locator(".slide").get_by_text("Six times seven.")).to_be_hidden()
    expect(page.locator(".aria-status")).to_have_text("1. A question. What happened?")  # what is spoken
    page.keyboard.press("PageDown")
    expect(page.locator(".slide").get_by_text("Six times seven.")).to_be_visible()
    expect(page.locator(".aria-status")).to_have_text("Six times seven.")
    page.keyboard.press("PageUp")
    expect(page.locator(".slide").get_by_text("Six times seven.")).to_be_hidden()


def test_an_explorer_has_the_keys_while_it_has_the_focus_but_those_of_a_clicker(opened, made):
    page = opened(made)
    to_the_explorer(page)
    here = page.evaluate(PLACE)
    slider = page.get_by_role("slider", name="Heads")
    slider.press("ArrowRight")
    expect(page.locator(".mha-heads-facts")).to_contain_text("d_head2")
    page.keyboard.press(" ")
    assert page.evaluate(PLACE) == here
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="3. The end")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    slider.focus()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="3. The end")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(PLACE) == here


def test_pointing_finds_its_cell_on_a_larger_screen(opened, made):
    page = opened(made, viewport=SIZES[1])
    to_the_explorer(page)
    page.wait_for_timeout(500)  # ms, until it has its size
    box = page.locator(".mha-heads canvas").first.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    expect(page.locator(".mha-heads")).to_contain_text(re.compile(r"suitcase|trophy|it"))


def test_a_finger_turns_slides_and_not_while_it_drags_in_an_explorer(opened, made):
    page = opened(made, has_touch=True)
    drag = page.context.new_cdp_session(page)

    def swipe(y, x=900, to=300):
        drag.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 6):
            at = {"x": x + (to - x) * step / 5, "y": y}
            drag.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
        drag.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe(600)
    expect(page.get_by_role("heading", name="1. A question")).to_be_visible()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".mha-heads[data-drawn]")).to_have_count(1)
    here = page.evaluate(PLACE)
    swipe(page.locator(".mha-heads").bounding_box()["y"] + 150)
    page.wait_for_timeout(200)  # ms
    assert page.evaluate(PLACE) == here


def test_the_teachers_page_follows_the_slides_and_turns_them(opened, made):
    page = opened(made)
    page.keyboard.press("ArrowRight")
    with page.context.expect_page() as coming:
        page.keyboard.press("s")
    teacher = coming.value
    expect(teacher.get_by_role("heading", name="1. A question")).to_be_visible()
    expect(teacher.get_by_text("Six times seven.")).to_be_visible()
    expect(teacher.get_by_text("an answer on this slide")).to_be_visible()
    expect(teacher.locator("#time")).to_have_text(re.compile(r"\d+:\d\d"))
    teacher.keyboard.press("ArrowRight")
    expect(page.locator(".slide").get_by_text("42", exact=True)).to_be_visible()
    expect(teacher.locator("#next")).to_have_text("What happened?")
    teacher.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="What happened?")).to_be_visible()


def test_on_paper_each_slide_is_a_page_and_answers_are_open(opened, made):
    page = opened(made, "?print-pdf")
    expect(page.locator(".pdf-page")).to_have_count(5)
    expect(page.locator(".slide").get_by_text("42", exact=True)).to_have_css("visibility", "visible")
    paper = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 5
    width, height = (float(size) for size in re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", paper).groups())
    assert (round(width * 96 / 72), round(height * 96 / 72)) == (1280, 720)
    assert page.locator(".mha").count() == 0 and page.locator(".mha-still img").bounding_box()["height"] > 100


def test_on_paper_a_question_can_stand_without_its_answer_and_then_with_it(opened, made):
    page = opened(made, "?print-pdf&pdfSeparateFragments=true")
    expect(page.locator(".pdf-page")).to_have_count(7)  # five slides, and two once more with their answers
    answers = page.locator(".slide").get_by_text("42", exact=True)
    assert [answer.evaluate("(it) => getComputedStyle(it).visibility") for answer in answers.all()] == [
        "hidden",
        "visible",
    ]


def test_a_browser_without_a_window_prints_them(browser_type_launch_args, made, tmp_path):
    """As docs/teaching/README.md says it. Nothing draws frames there, so nothing may wait for one."""
    paper = tmp_path / "slides.pdf"
    command = [browser_type_launch_args["executable_path"], *make_handouts.PRINT, "--virtual-time-budget=20000"]
    subprocess.run([*command, f"--print-to-pdf={paper}", f"{made.as_uri()}?print-pdf"], timeout=120, check=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) == 5


@pytest.mark.parametrize("scheme, background", [("light", "rgb(255, 255, 255)"), ("dark", "rgb(17, 17, 17)")])
def test_slides_are_as_dark_as_the_reader_has_it_and_axe_finds_no_violation(scheme, background, opened, made):
    page = opened(made, color_scheme=scheme)
    expect(page.locator("body")).to_have_css("background-color", background)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".slide").get_by_text("42", exact=True)).to_be_visible()
    page.wait_for_timeout(300)  # ms, in which it appears
    assert [violation["help"] for violation in Axe().run(page).response["violations"]] == []
