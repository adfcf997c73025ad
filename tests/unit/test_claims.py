"""The register of claims: each row's sentence stands in its lesson, with the numbers that its trial gave."""

import re
from pathlib import Path

import nbformat
import pytest
import try_claims

import claims

ROOT = Path(__file__).parents[2]
REGISTER = claims.register()
LESSONS = {path.name[:2]: path for path in (ROOT / "notebooks").glob("*.ipynb")}


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
