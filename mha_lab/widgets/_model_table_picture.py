"""ModelTable's picture: the rows that answer, with a strip of their layers and their marks, and the plot below."""

from textwrap import wrap

from mha_lab.published import FEATURES
from mha_lab.widgets import _model_table_layout as layout
from mha_lab.widgets._cache_picture import STRIP
from mha_lab.widgets._model_rows import status_in_words
from mha_lab.widgets._picture import FINE, INK, LINE, MUTED, PAGE, Page, _pixel

LIT = "#4477AA"
OPEN = "#FFF0B3"
PALE = {LIT: "#B8CADC", "#CCBB44": "#E5DDA8"}
"""Layers that keep no keys of their own."""
GREYS = [f"#{level:02x}{level:02x}{level:02x}" for level in range(0x33, 0x100, 0x22)]
COLOURS = [*GREYS, LIT, OPEN, *PALE.values(), "#228833", *{colour for _, colour in STRIP.values() if colour}]
"""All that the picture is drawn with."""
MOST_ROWS = 60  # a picture of more is too long to be read
WIDE = {"name": 178, "year": 40, "layers": 46, "d_model": 60, "num_heads": 46, "num_kv_heads": 58, "d_head": 52}
WIDE |= {"ratio": 60, "cached": 72, "pattern": 132}
MARK = 25  # the width of a feature's column
HEAD, ROW = 84, 18
PLOT = 470, 230
ABOUT = 72  # letters in a line beside the plot


def draw(table) -> tuple[bytes, int]:
    """The present state as PNG, and its width in CSS pixels."""
    answering = table.answers
    rows = {row["name"]: row for row in table._models}
    shown = [rows[name] for name in answering[:MOST_ROWS]]
    width = sum(WIDE.values()) + MARK * len(FEATURES) + 8
    below = 28 + HEAD + ROW * max(len(shown), 1) + 34
    page = Page(width, below + PLOT[1] + 12)
    page.text(0, 10, page.clipped(status_in_words(table._models, table.ask), 14, width, bold=True), 14, bold=True)
    _heads(page, table, 28)
    if not shown:
        page.text(0, 28 + HEAD + 10, "No model answers this.", 12)
    for i, row in enumerate(shown):
        _row(page, row, 28 + HEAD + i * ROW, width, table.model == row["name"])
    if len(answering) > len(shown):
        page.text(0, below - 26, f"… and {len(answering) - len(shown)} more", 11, colour=MUTED)
    _plot(page, table, set(answering), below)
    _about(page, rows.get(table.model), PLOT[0] + 30, below - 6)
    return page.finished(colours=COLOURS)


def number_in_words(row: dict, column: str) -> str:
    """A number of a model as its cell shows it. The page says the same."""
    value = row[column]
    if value is None:
        return "none" if column == "cached" and not row["decoder"] else "?"
    return str(value) if column == "year" else f"{value:.2f}" if column == "ratio" else f"{value:,}"


def _heads(page: Page, table, top: float):
    x, base = 0, top + HEAD - 10
    for name, words, _ in table._columns:
        arrow = (" ▼" if table.descending else " ▲") if table.sort == name else ""
        left = name in ("name", "pattern")
        for i, line in enumerate(reversed((words + arrow).split("\n"))):
            place = x if left else x + WIDE[name] - 8
            page.text(place, base - 14 * i, line, 11, anchor="lm" if left else "rm", bold=True)
        x += WIDE[name]
    for name, words, _ in table._features:
        asked = table.ask.get(name)
        mark = {True: "with ", False: "without ", None: ""}[asked]
        arrow = (" ▼" if table.descending else " ▲") if table.sort == name else ""
        colour = INK if asked is None else LIT
        page.text(x + MARK / 2, base + 6, mark + words + arrow, 11, angle=90, bold=asked is not None, colour=colour)
        x += MARK
    page.box(0, top + HEAD - 1, x, 1, LINE)


def _row(page: Page, row: dict, top: float, width: float, opened: bool):
    if opened:
        page.box(0, top, width, ROW, OPEN)
    middle, x = top + ROW / 2, WIDE["name"]
    page.text(2, middle, page.clipped(row["name"], 12, WIDE["name"] - 6, bold=opened), 12, bold=opened)
    for name in [name for name in WIDE if name not in ("name", "pattern")]:
        x += WIDE[name]
        page.text(x - 8, middle, number_in_words(row, name), 12, anchor="rm")
    _strip(page, row, x, top + 3)
    x += WIDE["pattern"]
    for words in row["has"].values():
        if words is None:
            page.text(x + MARK / 2, middle, "?", 12, anchor="mm", colour=MUTED)
        elif words:
            page.box(x + MARK / 2 - 5.5, middle - 5.5, 11, 11, LIT)
        x += MARK


def _strip(page: Page, row: dict, left: float, top: float):
    """The layers as bars, the first on the left; those that keep no keys of their own paler."""
    pattern, high = row["pattern"], ROW - 6
    if pattern is None:
        page.text(left, top + high / 2, "?", 12, colour=MUTED)
        return
    step = min((WIDE["pattern"] - 14) / len(pattern), 8)
    start = 0
    for at in range(1, len(pattern) + 1):  # equal neighbours in one go: a thousand layers are a few boxes
        ends = at == len(pattern) or pattern[at] != pattern[start] or at == len(pattern) - row["shared"] or step > 3
        if not ends:
            continue
        _, colour = STRIP[pattern[start]]
        tall = high * layout.HEIGHTS[pattern[start]]
        paler = start >= len(pattern) - row["shared"]
        gap = 1 if step > 3 else 0.3
        fill = PALE.get(colour, colour) if paler else colour
        wide = max((at - start) * step - gap, 0.5)
        page.box(left + start * step, top + high - tall, wide, tall, fill or "#228833")
        start = at


def _plot(page: Page, table, answering: set[str], top: float):
    """The dots, those that answer filled, the open one ringed and named."""
    width, height = PLOT
    plot = layout.plot(table._models, table.across, table.up, width, height)
    x, y, wide, high = plot["frame"]
    heads = {name: words.replace("\n", " ") for name, words, _ in table._columns}
    page.text(0, top - 6, f"dots: {heads[table.up]} against {heads[table.across]}", 12, bold=True)

    for at, value in layout.spaced(plot["across"], lambda value: page.width_of(_tick(table.across, value), 11) + 10):
        text = _tick(table.across, value)
        page.box(at, top + y, 0.5, high, "#E4E4E4")
        page.text(at, top + y + high + 12, text, 11, anchor="mm", colour=MUTED)
    for at, value in layout.spaced(plot["up"], lambda value: 16):
        text = _tick(table.up, value)
        page.box(x, top + at, wide, 0.5, "#E4E4E4")
        page.text(x - 6, top + at, text, 11, anchor="rm", colour=MUTED)
    for name, (dx, dy) in sorted(plot["dots"].items(), key=lambda dot: (dot[0] in answering, dot[0] == table.model)):
        corners = [_pixel(dx + way * layout.RADIUS, top + dy + way * layout.RADIUS) for way in (-1, 1)]
        opened, lit = name == table.model, name in answering
        edge, thick = (INK, 2) if opened else (PAGE, 1) if lit else (LINE, 1)
        page.draw.ellipse(corners, LIT if lit else PAGE, edge, thick * FINE)
    if table.model in plot["dots"]:
        dx, dy = plot["dots"][table.model]
        left = dx > x + wide / 2
        page.text(dx + (-10 if left else 10), top + dy, table.model, 12, anchor="rm" if left else "lm", bold=True)


def _tick(column: str, value: float) -> str:
    return f"{value:.0f}" if column == "year" else f"{value:g}" if value < 1 else f"{value:,.0f}"


def _about(page: Page, row: dict | None, left: float, top: float):
    """The open row in words."""
    if row is None:
        page.text(left, top, "A dot is a model; those that answer are filled. Run this cell to sort and ask.", 12)
        return
    page.text(left, top, f"{row['name']}, {row['year'] or '?'}", 13, bold=True)
    words = [row["kinds"], *row["has"].values(), row["note"], f"Source: {row['source']}."]
    lines = [line for each in [*words, f"How sure: {row['certainty']}."] for line in wrap(each or "", ABOUT)]
    for i, line in enumerate(lines):
        page.text(left, top + 20 + 17 * i, line, 12)
