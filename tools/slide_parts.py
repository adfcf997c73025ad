"""The parts that a lesson's slides are made of: each cell cut into pieces that are not divided further.

A part knows its HTML and about how tall it is on a slide of 1280 × 720, so that the packing needs no browser; what a
machine's fonts add, the page itself takes back (frontend/src/slides/fit.js).
"""

import ast
import base64
import math
import re
import struct
from dataclasses import dataclass, field
from html import escape, unescape
from unicodedata import east_asian_width

from nbconvert.filters import ansi2html, markdown2html
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

WIDTH, HEIGHT = 1184, 600  # of what stands below a slide's line
LETTERS, LINE, GAP = 84, 36, 14  # in a line of text; pixels of a line and after a paragraph
LETTER = 0.602  # width of a letter of code, in times of its size
MOST_LINES = 20  # of code or printed text on one slide
LEAST_LETTERS = 16.0  # pixels: what the last row of a room still reads
FEW = 30  # words that go with the list or the table below them
FOLD = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
LINKED_LESSON = re.compile(r"\[([^\]]+)\]\((?:\.\./|\w+\.ipynb)[^)]*\)")
ONLY_IN_JUPYTER = re.compile(r"press Shift\+Enter|checks\.reset\(\)")
CELL_OF_TABLE = r"<t[dh]\b.*?</t[dh]>"
LIST_ITEM = r"(?:[-*+] |\d+\. |[a-z]\. )"


@dataclass
class Part:
    """kind is one of: section, sitting, exercise, heading, text, fold, code, output, figure, explorer, check."""

    kind: str
    html: str = ""
    height: float = 0
    title: str = ""
    words: int = 0
    hidden: bool = False  # it answers a prediction
    predicts: bool = False
    size: tuple = ()  # of a figure, in pixels
    source: str = ""
    starts: bool = False  # a tag asks for a slide of its own
    leads: bool = False  # what follows in its cell answers a prediction
    proves: bool = False  # code that only asserts
    notes: list = field(default_factory=list)


def plain(text):
    """The words of HTML or Markdown."""
    return unescape(re.sub(r"<[^>]+>|[*`]", "", text)).strip()


def letters(words):
    """How many letters wide words are: a Chinese one is as wide as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in words)


# text ----------------------------------------------------------------------------------------------------------------


def parts_of_text(source):
    """The parts of a Markdown cell: headings, paragraphs, and what a fold holds."""
    source = LINKED_LESSON.sub(r"\1", source)
    at = 0
    for fold in FOLD.finditer(source):
        yield from _paragraphs(source[at : fold.start()])
        chunks = [part for part in _paragraphs(fold[2]) if part.kind == "text"]
        yield Part("fold", title=plain(fold[1]), notes=chunks)
        at = fold.end()
    yield from _paragraphs(source[at:])


def _paragraphs(source):
    chunks = list(_chunks(source))
    for chunk, after in zip(chunks, [*chunks[1:], ""]):
        heading = re.match(r"(#{1,6}) (.*)", chunk)
        if heading:
            yield Part(_kind_of_heading(len(heading[1]), heading[2]), title=_inline(heading[2]))
        elif not re.fullmatch(r"(← |Next: |Notation and words).*|.* →", chunk.replace("\n", " ")) and not (
            ONLY_IN_JUPYTER.search(chunk)
        ):
            listed = after.startswith("|") or bool(re.match(LIST_ITEM, after))
            yield from _text(chunk, listed and len(chunk.split()) <= FEW)


def _kind_of_heading(level, title):
    if title.startswith("Sitting "):
        return "sitting"
    if title.startswith("Exercise "):
        return "exercise"
    return "section" if level < 3 else "heading"


def _chunks(source):
    """Blocks between empty lines; a heading is one by itself, and so is a table, a quotation or a list in its items."""
    for block in re.split(r"\n\s*\n", source.strip()):
        lines = block.split("\n")
        while lines and lines[0].startswith("#"):
            yield lines.pop(0).strip()
        if lines and (rest := "\n".join(lines).strip()):
            yield rest


def _inline(title):
    """As a heading: what begins with a number and a dot would otherwise be a list."""
    return re.search(r"<h1[^>]*>(.*?)(?:<a class=.anchor-link.*)?</h1>", markdown2html(f"# {title}"), re.DOTALL)[1]


def _text(chunk, leads_over=False):
    """One part, or several where a list or a table is longer than a slide."""
    lines = chunk.split("\n")
    if chunk.startswith("|"):
        head, rows = lines[:2], lines[2:]
        many = math.ceil(len(rows) / math.ceil(len(rows) / 8))
        pieces = ["\n".join(head + rows[i : i + many]) for i in range(0, len(rows), many)]
    elif re.match(LIST_ITEM, chunk) and len(lines) > 1:
        pieces = _runs_of_items(lines)
    else:
        pieces = [chunk]
    for piece in pieces:
        words = len(plain(piece).split())
        ends = piece.rstrip("* ").endswith((":", ",")) or bool(re.fullmatch(r"\*\*[^*]+\*\*", piece))
        leads = ends or (leads_over and piece is pieces[-1] and not piece.startswith("|"))
        asks = "**Predict" in piece
        yield Part("text", markdown2html(piece), _height(piece), words=words, predicts=asks and not leads, leads=leads)


def _runs_of_items(lines, most=100):
    """The items of a list in runs of about as many words each, and not many more than `most`."""
    items = re.split(rf"\n(?={LIST_ITEM})", "\n".join(lines))
    counts = [len(item.split()) for item in items]
    target = sum(counts) / math.ceil(sum(counts) / most)
    runs, words = [[]], 0
    for item, count in zip(items, counts):
        if runs[-1] and words + count / 2 > target:
            runs.append([])
            words = 0
        runs[-1].append(item)
        words += count
    return ["\n".join(run) for run in runs]


def _height(chunk):
    if chunk.startswith("|"):
        rows = [row.strip("|").split("|") for row in chunk.split("\n")]
        share = LETTERS * 1.2 / len(rows[0])
        lines = [max(math.ceil(letters(plain(cell)) / share) for cell in row) for row in rows]
        return sum(30 * max(1, n) + 12 for n in lines) + GAP
    lines = re.split(rf"<br>\n?|\n(?={LIST_ITEM})", chunk)
    return sum(max(1, math.ceil(letters(plain(line)) / LETTERS)) * LINE for line in lines) + GAP + 6 * (len(lines) - 1)


# code ----------------------------------------------------------------------------------------------------------------


def shown_code(source, with_output, drawn=False):
    """The code as a slide shows it: without imports, without helpers that only draw, and beside an output without the
    assertions that hold it; beside a figure, a long call that draws it says what it draws and not how. Nothing is left
    of a cell that has nothing else."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return source
    lines = source.split("\n")
    kept = [statement for statement in body if not _is_plumbing(statement, with_output)]
    for statement in body:
        if statement in kept and not _serves_only_others(statement, body, kept):
            continue
        first = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", []))])
        for i in range(first - 1, statement.end_lineno):
            lines[i] = None
    for statement in kept if drawn else ():
        _shorten(statement, lines)
    left = "\n".join(line for line in lines if line is not None)
    left = re.sub(r"\n{3,}", "\n\n", left).strip("\n")
    return left if any(line and not line.lstrip().startswith("#") for line in left.split("\n")) else ""


def _shorten(statement, lines):
    """In place: a call of plots that takes several lines keeps, on one, the data that it draws."""
    call = getattr(statement, "value", None)
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).startswith("plots."):
        return
    long = statement.end_lineno > statement.lineno
    whole = "\n".join(line or "" for line in lines)
    said = [re.sub(r"\s*\n\s*", " ", ast.get_source_segment(whole, argument)) for argument in call.args]
    if not long or not said or not call.keywords or lines[statement.lineno - 1] is None:
        return
    begin = lines[statement.lineno - 1].split("plots.")[0] + f"{ast.unparse(call.func)}("
    if letters(begin + ", ".join([*said, "...)"])) > 104:
        said = said[:1]
    short = begin + ", ".join([*said, "...)"])
    lines[statement.lineno - 1 : statement.end_lineno] = [short] + [None] * (statement.end_lineno - statement.lineno)


def _is_plumbing(statement, with_output):
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return True
    text = ast.unparse(statement)
    if isinstance(statement, ast.Assert):
        return with_output
    if text.startswith(("torch.set_default", "mha_lab.progress")):
        return True
    return not with_output and isinstance(statement, ast.FunctionDef) and "plots." in text


def _serves_only_others(statement, body, kept):
    """Whether it is a function that only what is left out calls."""
    if not isinstance(statement, ast.FunctionDef):
        return False
    calls = re.compile(rf"\b{statement.name}\b")
    others = [each for each in body if each is not statement and calls.search(ast.unparse(each))]
    return bool(others) and not any(each in kept for each in others)


def parts_of_code(source, leads=False, cell=""):
    """`cell` is the whole source of its cell, by which a teacher's plan finds it."""
    lines = source.split("\n")
    size = letters_that_fit(lines)
    coloured = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
    html = f'<div class="highlight" style="font-size:{size:.1f}px"><pre>{coloured}</pre></div>'
    proves = all(line.startswith(("assert ", " ", "#", ")")) or not line for line in lines)
    yield Part("code", html, height_of_lines(lines, size), source=cell or source, leads=leads, proves=proves)


def letters_that_fit(lines):
    """How large, in pixels, the letters of these lines can be; few lines have larger ones, and very long ones wrap."""
    most = 24 if len(lines) <= 6 else 22 if len(lines) <= 10 else 20
    return max(LEAST_LETTERS, min(most, (WIDTH - 40) / (LETTER * max(1, *map(letters, lines)))))


def height_of_lines(lines, size):
    room = int((WIDTH - 40) / (LETTER * size) + 0.01)
    return sum(max(1, math.ceil(letters(line) / room)) for line in lines) * size * 1.35 + 16 + GAP


# outputs -------------------------------------------------------------------------------------------------------------


def parts_of_output(output, hidden, explorer=False):
    data = output.get("data", {})
    if output.output_type == "stream":
        yield from _printed(output.text, hidden)
    elif "mha-host" in data.get("text/html", ""):
        html = data["text/html"].replace('class="mha-host"', 'class="mha-host" data-prevent-swipe')
        yield Part("explorer", html, HEIGHT, hidden=hidden, size=_host_size(html))
    elif "image/png" in data:
        width, height = png_size(data["image/png"])
        width, height = _as_shown(width, height, output.metadata.get("image/png", {}).get("width"))
        words = escape(plain(data.get("text/plain", ""))) if explorer else "figure, drawn by the lesson's code"
        html = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{words}">'
        yield Part("figure", html, height, hidden=hidden, size=(width, height))
    elif "text/html" in data:
        yield from _table(data["text/html"], hidden)
    elif "text/plain" in data:
        yield from _printed(data["text/plain"], hidden)


def _as_shown(width, height, shown):
    return (float(shown), height * float(shown) / width) if shown else (width, height)


def _host_size(html):
    found = re.search(r'base64,([^"]+)" width="([\d.]*)"', html)
    return _as_shown(*png_size(found[1]), found[2]) if found else ()


def png_size(text):
    """(width, height) in pixels, of a PNG in base64."""
    return struct.unpack(">II", base64.b64decode(text[:64])[16:24])


def _printed(text, hidden):
    lines = text.rstrip("\n").split("\n")
    size = letters_that_fit(lines)
    for i in range(0, len(lines), MOST_LINES):
        some = lines[i : i + MOST_LINES]
        html = f'<pre class="printed" style="font-size:{size:.1f}px">{ansi2html(chr(10).join(some))}</pre>'
        yield Part("output", html, height_of_lines(some, size), hidden=hidden)


def _table(html, hidden, many=12):
    """A long table of rows becomes several; what is no table stays whole."""
    html = _without_silence(html)
    rows = re.findall(r"<tr\b.*?</tr>", html, re.DOTALL)
    if not rows:
        lines = [line for line in re.split(r"</(?:li|p|div)>|<br>", html) if plain(line)]
        height = sum(36 * math.ceil(letters(plain(line)) / LETTERS) + 6 for line in lines)
        yield Part("output", html, height + GAP, hidden=hidden)
        return
    heights = [_row_height(row) for row in rows]
    is_plain = html.count("<table") == 1 and not re.search(r"rowspan|<t(body|foot)\b.*<t(body|foot)\b", html, re.S)
    if not is_plain or sum(heights) < HEIGHT - 60 or len(rows) < 4:
        yield Part("output", html, sum(heights) + GAP, hidden=hidden)
        return
    before, after = html[: html.index(rows[1])], html[html.rindex(rows[-1]) + len(rows[-1]) :]
    room, some, used = HEIGHT - heights[0] - 80, [], 0
    tables = max(math.ceil(sum(heights[1:]) / room), math.ceil(len(rows[1:]) / many))
    many = math.ceil(len(rows[1:]) / tables)  # of about the same length
    for row, height in zip(rows[1:], heights[1:]):
        if some and (used + height > room or len(some) == many):
            yield Part("output", before + "".join(some) + after, heights[0] + used + GAP, hidden=hidden)
            some, used = [], 0
        some.append(row)
        used += height
    yield Part("output", before + "".join(some) + after, heights[0] + used + GAP, hidden=hidden)


def _without_silence(html):
    """Without the columns, and what is said of them, that hold the answers of a learner who gave none."""
    rows = [re.findall(CELL_OF_TABLE, row, re.DOTALL) for row in re.findall(r"<tr\b.*?</tr>", html, re.DOTALL)]
    silent = [i for i in range(len(rows[0]) if rows else 0) if _is_silent([row[i] for row in rows[1:] if i < len(row)])]
    if not silent:
        return html

    def heard(row):
        places = iter(range(len(rows[0])))
        return re.sub(
            CELL_OF_TABLE, lambda cell: "" if next(places, None) in silent else cell[0], row[0], flags=re.DOTALL
        )

    return re.sub(r"<p>Right then.*?</p>", "", re.sub(r"<tr\b.*?</tr>", heard, html, flags=re.DOTALL))


def _is_silent(cells):
    return bool(cells) and all(plain(cell) in ("no answer", "no guess yet") for cell in cells)


def _row_height(row):
    cells = [letters(plain(cell)) for cell in re.findall(CELL_OF_TABLE, row, re.DOTALL)]
    room = 108 - 3 * len(cells)  # letters in a line of all columns
    lines = 1 if sum(cells) <= room else math.ceil(1.15 * sum(cells) / room)
    return 28 * lines + 9
