"""A lesson's cells as messages of a catalogue, and the lesson that a catalogue makes of them.

A message is a whole cell: all of a text, or of a code cell that holds words a reader reads. Its context is the cell's
id, so that a changed cell is known as such and keeps its old translation beside it."""

import ast
import copy
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

WORD = re.compile(r"[A-Za-z]{2}")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()#\s]*(?:\([^()]*\)[^()#\s]*)*)#([^)\s]+)\)")


# code: what in it is words, and what must stay -----------------------------------------------------------------------


def words_of(code: str) -> Iterator[str]:
    """The comments and strings of a code cell."""
    for token in tokenize.generate_tokens(io.StringIO(without_magics(code)).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)):
            yield token.string


def without_magics(code: str) -> str:
    return re.sub(r"^(\s*)[%!]", r"\1# ", code, flags=re.MULTILINE)


class Skeleton(ast.NodeTransformer):
    """A program without its words: each string is the same one, and an f-string is the set of what it formats."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_FormattedValue(self, node):
        return ast.FormattedValue(self.visit(node.value), node.conversion, node.format_spec)

    def visit_JoinedStr(self, node):
        values = [self.visit(value) for value in node.values if isinstance(value, ast.FormattedValue)]
        return ast.JoinedStr(sorted(values, key=ast.dump)) if values else ast.Constant("")


def skeleton(code: str) -> str:
    """Equal for two programs that differ in nothing but strings, the order within an f-string, and comments."""
    return ast.dump(Skeleton().visit(ast.parse(without_magics(code))))


# cells ↔ messages ----------------------------------------------------------------------------------------------------


def is_message(cell) -> bool:
    """Whether somebody has to translate this cell."""
    if cell.cell_type == "markdown":
        return bool(WORD.search(cell.source))
    return any(WORD.search(words) for words in words_of(cell.source))


def messages(lesson) -> dict[str, tuple[str, str]]:
    """{id: (kind of cell, source)} of the cells to be translated, in their order."""
    return {cell.id: (cell.cell_type, cell.source) for cell in lesson.cells if is_message(cell)}


def updated(catalogue: Catalog, lesson) -> Catalog:
    """The catalogue of the lesson as it is now: the translations of equal cells are kept, those of changed cells are
    kept as fuzzy, with the English they were made of."""
    known = {message.context: message for message in catalogue if message.context}
    new = Catalog(locale=catalogue.locale, project="mha_lab", fuzzy=False)
    for cell, (kind, source) in messages(lesson).items():
        old = known.get(cell)
        changed = old is not None and old.id != source
        new.add(
            source,
            old.string if old else "",
            context=cell,
            auto_comments=[kind],
            user_comments=old.user_comments if old else (),
            flags={"fuzzy"} if old and old.string and (changed or old.fuzzy) else (),
            previous_id=(old.id if changed else old.previous_id) if old and old.string else (),
        )
    return new


def translated(lesson, catalogue: Catalog):
    """The lesson with the catalogue's cells in place of its own, without outputs; what is missing or fuzzy stays
    English."""
    done = {message.context: message for message in catalogue if usable(message)}
    twin = copy.deepcopy(lesson)
    for cell in twin.cells:
        message = done.get(cell.id)
        if message and message.id == cell.source:
            cell.source = message.string
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return twin


def usable(message) -> bool:
    return bool(message.context and message.string) and not message.fuzzy


# links ---------------------------------------------------------------------------------------------------------------


def headings(lesson) -> list[tuple[str, int, str]]:
    """(cell's id, number within the cell, anchor as JupyterLab makes it) of every heading."""
    found = []
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            titles = HEADING.findall(FENCE.sub("", cell.source))
            found += [(cell.id, i, anchor(title)) for i, title in enumerate(titles)]
    return found


def anchor(title: str) -> str:
    return re.sub(r"[*`]", "", title).strip().replace(" ", "-")


def twin_anchors(lesson, twin) -> dict[str, str]:
    """{anchor of a heading: anchor of the translated heading}"""
    theirs = {(cell, i): name for cell, i, name in headings(twin)}
    return {name: theirs.get((cell, i), name) for cell, i, name in headings(lesson)}


def with_links(source: str, here: str, anchors: dict[str, dict[str, str]]) -> str:
    """A text's links led to the translated lessons, in which a heading has another anchor, and out of their folder,
    which lies one deeper."""

    def led(match):
        file, name = match.groups()
        return f"]({file}#{anchors.get(file or here, {}).get(name, name)})"

    return re.sub(r"\]\(\.\./", "](../../", LINK.sub(led, source))


# files ---------------------------------------------------------------------------------------------------------------


def read_catalogue(path: Path, language: str) -> Catalog:
    """The catalogue in a file; an empty one where there is none yet."""
    if not path.exists():
        return Catalog(locale=language, project="mha_lab", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def content_of(catalogue: Catalog) -> bytes:
    """The file of a catalogue: the same catalogue gives the same bytes on every machine and day."""
    for message in catalogue:
        message.flags -= {"python-format", "python-brace-format"}  # guesses of Babel's: a cell is no format
    heading = {
        "Language": catalogue.locale_identifier,
        "Plural-Forms": catalogue.plural_forms,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
    }
    lines = "".join(f'"{name}: {value}\\n"\n' for name, value in heading.items())
    file = io.BytesIO(f'msgid ""\nmsgstr ""\n{lines}\n'.encode())
    file.seek(0, io.SEEK_END)
    write_po(file, catalogue, width=0, omit_header=True, include_previous=True)
    return file.getvalue()


def read_lesson(path: Path):
    return nbformat.read(path, as_version=4)
