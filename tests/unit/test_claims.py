"""The register of claims: each row's sentence stands in its lesson, with the numbers that its trial gave; and each
number in a lesson's text was computed, or has its source beside it."""

import re
from pathlib import Path

import nbformat
import pytest
import try_claims

import claims

ROOT = Path(__file__).parents[2]
REGISTER = claims.register()
LESSONS = {path.name.split("_")[0]: path for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}


def words(cell):
    """What a reader sees of a cell, in one line: its text or code, and what it printed."""
    printed = [
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])
    ]
    return plain(" ".join([cell.source, *printed]))


def plain(text):
    """Without marks of emphasis and line ends, which are no part of a sentence."""
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", text))


@pytest.fixture(scope="module", params=sorted({claim.lesson for claim in REGISTER.values()}))
def lesson(request):
    notebook = nbformat.read(LESSONS[request.param], as_version=4)
    return request.param, {cell.id: words(cell) for cell in notebook.cells}


def test_each_lessons_claims_stand_in_it_as_they_were_tried(lesson):
    number, cells = lesson
    found = claims.results(number)
    for claim in (claim for claim in REGISTER.values() if claim.lesson == number):
        assert claim.name in found, f"make claims ARGS={claim.name} was never run"
        assert claim.cell in cells, f"{claim.name}: lesson {number} has no cell {claim.cell!r}"
        sentence = plain(claim.says.format(**found[claim.name]["found"]))
        assert sentence in cells[claim.cell], f"{claim.name}: cell {claim.cell!r} does not say: {sentence}"


def test_no_result_is_kept_of_a_claim_that_is_gone():
    recorded = {name for path in claims.RESULTS.glob("*.json") for name in claims.results(path.stem)}
    assert recorded == set(REGISTER)


def test_the_page_is_what_the_register_gives():
    assert try_claims.PAGE.read_text(encoding="utf-8") == try_claims.page(), "make claims ARGS=--page writes it"


NUMBER = re.compile(r"(?<![\w.,#-])(\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+(?=\s?%))(\s?%)?(?!\w)")
NAMES = r"\b(?:lessons?|sections?|exercises?|heads?|statements?|PyTorch|Python|torch|tables?|figures?|hints?)"
NO_TEXT = rf"<[^>]+>|\]\([^)]*\)|arXiv:\S+|`[^`]*`|\$[^$]*\$|^#+ .*|\*\*\d+\.\d\b|§\s?[\d.]+|{NAMES} [\d., andor–to]+"
SOURCE = re.compile(r"\b(?:19|20)\d\d\b|arXiv|\]\(http")  # a paper's year, or a link: the figure is quoted


def printed_numbers(notebook, number):
    """All numbers that a lesson's cells hold or print, and those of its rows in the register."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = [cell.source for cell in cells]
    for output in (output for cell in cells for output in cell.outputs):
        data = output.get("data", {})
        text += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    rows = [claim for claim in REGISTER.values() if claim.lesson == number and claim.name in claims.results(number)]
    text += [claim.out.format(**claims.results(number)[claim.name]["found"]) + claim.tried for claim in rows]
    text += [claim.says.format(**claims.results(number)[claim.name]["found"]) for claim in rows]
    found = re.findall(r"\d{1,3}(?:,\d{3})+|\d*\.\d+(?:e-?\d+)?|\d+", " ".join(text).replace("_", ""))
    return {float(value.replace(",", "")) for value in found}


def is_printed(value, percent, known):
    """Whether a number of the text is a known one, rounded as it is; a percentage may be a share, or what it leaves."""
    decimals = len(value.partition(".")[2])
    value = float(value.replace(",", ""))
    same = {round(other, decimals) for other in known}
    if percent:
        shares = [100 * other for other in known if other <= 1]
        same |= {round(share, decimals) for share in shares} | {round(100 - share, decimals) for share in shares}
    return value in same


@pytest.mark.parametrize("number", sorted(LESSONS))
def test_a_number_in_the_text_is_computed_in_the_lesson_or_the_register_or_has_its_source_beside_it(number):
    notebook = nbformat.read(LESSONS[number], as_version=4)
    known, orphans = printed_numbers(notebook, number), []
    exercise = re.compile(rf"{int(number[:2])}\.\d")
    for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown" and not SOURCE.search(cell.source)):
        numbers = NUMBER.findall(re.sub(NO_TEXT, " ", cell.source, flags=re.M | re.I))
        orphans += [
            (cell.id, value + percent)
            for value, percent in numbers
            if not exercise.fullmatch(value) and not is_printed(value, percent, known)
        ]
    assert orphans == []
