"""TileExplorer's state as a picture: slow memory with the scores that are never stored, and fast memory in numbers."""

from functools import cache

import numpy as np
from PIL import Image

from mha_lab.plots.look import KEY, OTHER, OUTPUT, QUERY, VALUE
from mha_lab.widgets._base import shown_words
from mha_lab.widgets._picture import ABOVE, BELOW, INK, LINE, MUTED, PAGE, STRONGEST, Page
from mha_lab.widgets._tiles import BYTES

WIDE = 400  # what slow memory has; as in layout.js
WORDS, STRIP, GAP, LETTERS = 68, 30, 8, 16
LARGEST, SMALLEST, MATRIX = 30, 10, 264
FORGOTTEN = "#c4c4c4"
TOP, BESIDE, ROW, CELL = 34, 34, 24, 46


def layout(n: int, width: float) -> dict:
    """Boxes (x, y, w, h) of Q, K, V, O and the scores, the size of a cell and of all; frontend's layout.js has the
    same."""
    room = min(MATRIX, width - WORDS - 2 * (STRIP + GAP) - 2)
    cell = max(SMALLEST, min(LARGEST, room // n))
    size, strip = cell * n, STRIP - 6
    x, y = WORDS + STRIP + GAP, 2 * strip + 4 + LETTERS + 8
    return {
        "cell": cell,
        "width": x + size + GAP + STRIP + 1,
        "height": y + size + LETTERS + 6,
        "words": WORDS - 6,
        "scores": (x, y, size, size),
        "query": (WORDS, y, STRIP, size),
        "output": (x + size + GAP, y, STRIP, size),
        "key": (x, 1, size, strip),
        "value": (x, strip + 5, size, strip),
    }


def draw(explorer) -> tuple[bytes, int]:
    """The present state as PNG, and its width in CSS pixels."""
    words, trace = shown_words(explorer.tokens), explorer.trace
    now = trace[explorer.step - 1] if explorer.step else None
    places = layout(len(words), WIDE)
    columns = len(now["columns"]) if now else 0
    table = 90 + CELL * (columns + 3 + explorer.d_value)
    rows = len(now["rows"]) if now else 1
    height = TOP + max(places["height"], 96 + ROW * rows)
    page = Page(places["width"] + BESIDE + max(table, 420), height + 44)
    page.text(0, 10, _title(explorer, now), 15, bold=True)
    _slow(page, places, explorer, now, words)
    _fast(page, places["width"] + BESIDE, explorer, now, words)
    memory = explorer.memory
    held = f"A tile of {explorer.query_rows} × {explorer.key_columns} needs {memory['held']:,} bytes of fast memory"
    page.text(0, height + 10, f"{held}; all {len(words) ** 2} scores would need {memory['scores']:,}.", 13)
    kinds = "Scores: outlined in fast memory, hatched to come, grey used and forgotten, crossed skipped."
    page.text(0, height + 30, kinds, 13, colour=MUTED)
    page.image = page.image.quantize(palette=_palette(), dither=Image.Dither.NONE)  # a third of the time and bytes
    return page.finished()


@cache
def _palette() -> Image.Image:
    """The tints of numbers, the greys of words, and the four blocks."""
    share = np.linspace(0.09, 1, 24)[:, None]  # Pillow takes a tint that is nearly white for white, and the page for it
    rgb = [np.array([[*bytes.fromhex(hue[1:])]], float) for hue in (ABOVE, BELOW, INK, QUERY, KEY, VALUE, OUTPUT)]
    tints = [share * hue + (1 - share) * 255 for hue in rgb[:3]]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([np.full((1, 3), 255.0), *tints, *rgb[3:]]).round().astype(np.uint8).tobytes())
    return palette


def _title(explorer, now):
    at = f"Step {explorer.step} of {explorer.last}"
    if now is None:
        return f"{at}: nothing is read yet"
    rows, columns = now["rows"], now["columns"]
    if not columns:
        return f"{at}: queries {_span(rows)}: their output is written"
    return f"{at}: queries {_span(rows)} × keys {_span(columns)}"


def _span(part: range) -> str:
    return f"{part.start}–{part.stop - 1}" if len(part) > 1 else f"{part.start}"


def _slow(page, places, explorer, now, words):
    """Q, K, V and O around the scores."""
    cell, trace = places["cell"], explorer.trace
    rows, columns = (now["rows"], now["columns"]) if now else (range(0), range(0))
    done = [step["rows"].stop for step in trace[: explorer.step] if not step["columns"]]
    copied = {
        "query": rows if columns else range(0),
        "key": columns,
        "value": columns,
        "output": range(max([0, *done])),
    }
    letters = {"query": "Q", "key": "Kᵀ", "value": "Vᵀ", "output": "O"}
    for (name, part), colour in zip(copied.items(), (QUERY, KEY, VALUE, OUTPUT)):
        x, y, w, h = places[name]
        upright = name in ("query", "output")
        page.box(x, y + TOP, w, h, PAGE, colour)
        box = (x, y + TOP + part.start * cell, w, len(part) * cell)
        box = box if upright else (x + part.start * cell, y + TOP, len(part) * cell, h)
        if part:
            page.box(*box, colour)
        place = (x + w / 2, y + TOP - 8, "mm") if upright else (x - 8, y + TOP + h / 2, "rm")
        page.text(*place[:2], letters[name], 13, anchor=place[2], bold=True)
    _matrix(page, places, explorer, now)
    x, y, w, h = places["scores"]
    for i, word in enumerate(words):
        middle = y + TOP + (i + 0.5) * cell
        page.text(places["words"], middle, page.clipped(word, 12, places["words"]), 12, anchor="rm")
    page.text(
        x + w / 2, y + h + TOP + 10, f"scores: {len(words)} × {len(words)}, never stored", 12, anchor="mm", colour=MUTED
    )


def _matrix(page, places, explorer, now):
    """Hatched but for the present tile and what is skipped."""
    cell, n = places["cell"], len(explorer.tokens)
    left, top = places["scores"][0], places["scores"][1] + TOP
    at = {(step["rows"].start, step["columns"].start): i for i, step in enumerate(explorer.trace) if step["columns"]}
    for first in range(0, n, explorer.query_rows):
        for start in range(0, n, explorer.key_columns):
            w, h = (
                cell * (min(at + size, n) - at)
                for at, size in ((start, explorer.key_columns), (first, explorer.query_rows))
            )
            x, y = left + cell * start, top + cell * first
            if at.get((first, start), explorer.last) < explorer.step - 1:
                page.box(x, y, w, h, FORGOTTEN)
            elif (first, start) in at:
                page.hatched(x, y, w, h)
            else:
                page.stroke([(x, y), (x + w, y + h)], LINE, 1)
                page.stroke([(x, y + h), (x + w, y)], LINE, 1)
            page.box(x, y, w, h, None, LINE)
    if not now or not now["columns"]:
        return
    shown, reach = now[explorer.cells], _reach(explorer)
    for i, at in np.ndindex(now["scores"].shape):
        x, y = left + cell * (now["columns"].start + at), top + cell * (now["rows"].start + i)
        if np.isfinite(now["scores"][i, at]):
            page.box(x, y, cell, cell, PAGE)
            page.box(x, y, cell, cell, _tint(shown[i, at], reach, 0.9), PAGE, 0.5)
    box = left + cell * now["columns"].start, top + cell * now["rows"].start
    page.box(*box, cell * len(now["columns"]), cell * len(now["rows"]), None, INK, 2.5)


def _fast(page, left, explorer, now, words):
    """The numbers that are there, as a table."""
    page.text(left, TOP + 8, "Fast memory", 14, bold=True)
    if now is None:
        page.text(left, TOP + 34, "empty", 13, colour=MUTED)
        return
    rows, columns, V = now["rows"], now["columns"], explorer.d_value
    page.text(left + 120, TOP + 8, f"{now['held']} numbers, {BYTES * now['held']:,} bytes", 13, colour=MUTED)
    heads = [(words[j], INK) for j in columns] + [(name, MUTED) for name in ("m", "shrink", "l")]
    heads += [("o" if columns else "o / l", OUTPUT)] + [("", OTHER)] * (V - 1)
    for at, (name, colour) in enumerate(heads):
        x = left + 90 + CELL * (at + 0.5)
        page.text(x, TOP + 40, page.clipped(name, 12, CELL - 4), 12, anchor="mm", colour=colour)
    first_tile = columns and columns.start == 0
    reach = _reach(explorer)
    for i, row in enumerate(rows):
        y = TOP + 54 + ROW * i
        page.text(left, y + ROW / 2, page.clipped(words[row], 13, 84), 13)
        tile = now[explorer.cells][i] if columns else []
        for at, number in enumerate(tile):
            _number(page, left + 90 + CELL * at, y, number, reach, hidden=not np.isfinite(now["scores"][i, at]))
        x = left + 90 + CELL * len(columns)
        shrink = "–" if first_tile or not columns else _short(now["shrink"][i])
        for at, text in enumerate((_short(now["largest"][i]), shrink, _short(now["total"][i]))):
            page.text(x + CELL * (at + 0.5), y + ROW / 2, text, 13, anchor="mm")
        sums = now["summed" if columns else "output"][i]
        for d, number in enumerate(sums):
            _number(page, x + CELL * (3 + d), y, number, np.abs(sums).max() or 1.0)


def _number(page, x, y, number, reach, hidden=False):
    if hidden:
        page.hatched(x + 1, y + 1, CELL - 2, ROW - 2)
        return
    page.box(x + 1, y + 1, CELL - 2, ROW - 2, _tint(number, reach, STRONGEST))
    page.text(x + CELL / 2, y + ROW / 2, _short(number), 13, anchor="mm")


def _reach(explorer) -> float:
    """The number whose tint is the strongest."""
    if explorer.cells == "weights":
        return 1.0
    scores = np.concatenate([step["scores"].ravel() for step in explorer.trace if step["columns"]])
    return max(1e-9, np.abs(scores[np.isfinite(scores)]).max())


def _tint(number, reach, strongest) -> tuple[int, int, int]:
    share = strongest * min(1.0, abs(number) / reach)
    return tuple(round(255 + share * (c - 255)) for c in bytes.fromhex((ABOVE if number >= 0 else BELOW)[1:]))


def _short(number: float) -> str:
    if abs(number) >= 9999.5:  # as rounded() in speech.js
        text, power = f"{number:.1e}".split("e")
        return f"{text}e{int(power)}".replace("-", "−")
    text = f"{number:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")
