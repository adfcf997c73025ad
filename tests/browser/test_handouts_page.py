"""Handouts in a real browser: no lesson is wider than a phone, a finger opens every fold, and paper has its answers
last."""

import re

import handout_index
import make_handouts
import nbformat
import pytest
from run_notebooks import LESSONS

PATHS = sorted(LESSONS.glob("*.ipynb"))
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
WIDER = """() => [...document.querySelectorAll('main *')].filter((node) => {
    const { right, width } = node.getBoundingClientRect();
    return width && right > innerWidth + 1 && !node.closest('.output_area, pre *, svg');
}).map((node) => node.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every lesson, as it is stored, as a handout, and the index."""
    folder = tmp_path_factory.mktemp("handouts")
    for path in PATHS:
        page = make_handouts.handout(nbformat.read(path, 4), path.stem)
        (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")
    handout_index.write(folder, make_handouts.style)
    return folder


@pytest.fixture(scope="module")
def phone(browser):
    context = browser.new_context(offline=True, **PHONE)
    yield context.new_page()
    context.close()


def opened(page, path):
    page.goto(path.as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    return page


@pytest.mark.parametrize("name", [*(path.stem for path in PATHS), "index"])
def test_no_handout_scrolls_sideways_on_a_phone_whatever_is_opened(folder, phone, name):
    page = opened(phone, folder / f"{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 390, page.evaluate(WIDER)[:3]
    assert page.evaluate(WIDER) == []


@pytest.mark.parametrize("name", [*(path.stem for path in PATHS), "index"])
def test_a_finger_finds_every_fold(folder, phone, name):
    page = opened(phone, folder / f"{name}.html")
    small = page.evaluate(
        """() => [...document.querySelectorAll('main summary')].map((node) => [node.textContent, node.offsetHeight])
        .filter(([, height]) => height < 24)"""
    )
    assert small == []


def printed(browser, path):
    """The page as paper has it, and the pages of its PDF."""
    page = browser.new_page()
    page.goto(path.as_uri())
    pdf = page.pdf(prefer_css_page_size=True)
    page.emulate_media(media="print")
    return page, len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_paper_has_the_answers_last_and_no_fold_in_its_place(browser, folder):
    page, pages = printed(browser, folder / "00_start_here.html")
    assert pages > 5
    assert page.locator("details:visible").count() == 0
    end = page.get_by_role("heading", name="Answers and solutions").bounding_box()["y"]
    assert page.get_by_role("heading", name="Sources").bounding_box()["y"] < end
    for words in ("def where_it_looks", "none or one: 0", "A second hint"):
        assert page.get_by_text(words).locator("visible=true").first.bounding_box()["y"] > end, words
    for link in page.locator("p.on-paper a").all():
        assert page.locator(link.get_attribute("href")).is_visible()
    page.close()


def test_paper_can_have_the_answers_in_their_place(browser, tmp_path):
    path = tmp_path / "00.html"
    notebook = nbformat.read(LESSONS / "00_start_here.ipynb", 4)
    path.write_text(make_handouts.handout(notebook, answers="place"), encoding="utf-8")
    page, _ = printed(browser, path)
    solution = page.get_by_text("def where_it_looks").bounding_box()
    assert solution["height"] > 5
    assert solution["y"] < page.get_by_role("heading", name="2. Nobody told it to").bounding_box()["y"]
    page.close()
