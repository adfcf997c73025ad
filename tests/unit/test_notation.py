"""One notation everywhere: the letters of shapes are those of the card, and every link to a section finds it."""

import ast
import io
import re
import tokenize
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted((ROOT / "mha_lab").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *NOTEBOOKS]

ITEM = r"(?:\.\.\.|…|(?:any )?[A-Za-z][a-z_]+(?: [a-z_]+)*|[A-Za-z0-9]+(?:\s?[·×+−/\-]\s?[A-Za-z0-9]+)*)"
SHAPE = re.compile(rf"(?<![\w\])])\((\s*{ITEM}\s*(?:,\s*{ITEM}\s*)*,?\s*)\)")
LETTER = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z0-9_])")


def notebook(path):
    return nbformat.read(path, as_version=4)


def letters_of_the_card():
    (card,) = (cell.source for cell in notebook(ROOT / "notebooks/notation.ipynb").cells if cell.id == "letters")
    return set(re.findall(r"^\| ([A-Z]) \|", card, re.M))


def shapes(text):
    """Every (B, H, N, S) of a text: items in brackets, commas between them, one of them a letter or a product."""
    return [found[0] for found in SHAPE.finditer(text) if "," in found[1] and LETTER.search(found[1])]


def strangers(text):
    """The shapes of a text with a letter that the card does not name."""
    known = letters_of_the_card()
    return [shape for shape in shapes(text) if {*LETTER.findall(shape)} - known]


def spoken(source):
    """What a program says to who reads it: its docstrings, and its comments."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    comments = (
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    )
    return "\n".join([*(ast.get_docstring(node) or "" for node in nodes), *comments])


def python_of(cell):
    """A cell's code as Python: IPython's own lines become calls."""
    return TransformerManager().transform_cell(cell.source)


def test_a_shape_is_told_from_other_brackets():
    text = "q (B, H, N, K), (N,), (2L, 2L), (B, N, H·K), (..., S, any width), (B, N − 1), (1, M) and (B,\n N)"
    assert len(shapes(text)) == 8
    assert strangers(text) == ["(1, M)"]
    others = "attention(Q, K, V), (MLA, DeepSeek-V2), (Touvron 2023, appendix A), x[A, B], (a, b), (H), (3, 4)"
    assert shapes(others) == []


def test_the_card_has_the_letters_of_the_layer_and_of_its_drawing():
    assert letters_of_the_card() >= set("BNSDHGKLV")
    package = (ROOT / "mha_lab/__init__.py").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\S)([A-Z])  [a-z]", package, re.M)) == set("BNSDHGK") <= letters_of_the_card()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_shapes_of_a_lesson_use_the_letters_of_the_card(path):
    found = []
    for cell in notebook(path).cells:
        text = cell.source if cell.cell_type == "markdown" else spoken(python_of(cell))
        found += [(cell.id, shape) for shape in strangers(text)]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_shapes_of_a_module_use_the_letters_of_the_card(path):
    assert strangers(spoken(path.read_text(encoding="utf-8"))) == []


# links ---------------------------------------------------------------------------------------------------------------


def markdown_of(path):
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell.source for cell in notebook(path).cells if cell.cell_type == "markdown")


def anchor(heading):
    """The name that JupyterLab gives a heading: its text, with a hyphen for each space."""
    text = re.sub(r"</?[a-z][^>]*>|`|(?<!\w)[*_]+(?=\S)|(?<=\S)[*_]+(?!\w)", "", heading.strip())
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace(" ", "-")


def anchors(path):
    headings = re.findall(
        r"^#{1,6} +(.+?)[ #]*$", re.sub(r"^```.*?^```", "", markdown_of(path), flags=re.M | re.S), re.M
    )
    return {anchor(heading) for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_link_to_a_section_of_a_lesson_finds_it(path):
    lost = []
    for target in re.findall(r"\]\(((?!https?:)[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)", markdown_of(path)):
        file, _, section = target.partition("#")
        page = path.parent / unquote(file) if file else path
        if section and page.suffix == ".ipynb" and page.exists() and unquote(section) not in anchors(page):
            lost.append(target)
    assert lost == []


def test_a_heading_is_named_as_jupyterlab_names_it():
    assert anchor("4. Why divide by √d?") == "4.-Why-divide-by-√d?"
    assert anchor("A row is *about to be* written") == "A-row-is-about-to-be-written"
    assert anchor("2. W<sup>O</sup>, `view` and d_head") == "2.-WO,-view-and-d_head"
