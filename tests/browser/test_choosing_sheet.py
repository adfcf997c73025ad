"""The decision page on paper and on a phone: one sheet of A4, and no wider than the screen."""

import re

from mha_lab import choosing


def test_the_page_prints_on_one_sheet_of_a4(browser, tmp_path):
    page = browser.new_page(offline=True)
    page.goto(choosing.page().save_html(tmp_path / "choosing.html").as_uri())
    paper = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    width, height = (float(size) for size in re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", paper).groups())
    assert (round(width * 25.4 / 72), round(height * 25.4 / 72)) == (297, 210)


def test_on_a_phone_each_cell_says_which_column_it_is_of(browser, tmp_path):
    context = browser.new_context(viewport={"width": 390, "height": 700}, is_mobile=True, offline=True)
    page = context.new_page()
    page.goto(choosing.page().save_html(tmp_path / "choosing.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    label = "getComputedStyle(document.querySelector('tbody td:nth-child(2)'), '::before').content"
    assert page.evaluate(label) == '"begin with: "'
    context.close()
