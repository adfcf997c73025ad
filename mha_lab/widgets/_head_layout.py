"""Where HeadExplorer's maps stand, in CSS pixels: for the picture the same numbers as for the page.

frontend/src/head_explorer/layout.js and other_layouts.js say why they are as they are; a test compares the two."""

import math
from typing import NamedTuple

WORD_CELL = 7  # the smallest cell whose row can carry a word
NUMBER_CELL = 26  # the smallest cell that can carry its number
DIAGONAL_CELL = 5  # the smallest cell whose outline leaves something to see
TALL = 560  # the height that maps take where the screen has it
ENLARGED = 420  # the height that pinned heads take, even if one has to scroll for it
THUMBNAIL, BESIDE, ABOVE, THIN = 64, 56, 16, 4  # of the overview: a side, room for names and numbers, gaps
ROWS, GAPS = 420, 24  # of the lines: the height that rows take where they have it, and what is around words
LEAST = 220  # the height of the map beside them
SMALLEST = 24  # a map is no smaller so that all of them fit: the finger must find it


class Place(NamedTuple):
    """A map: a pixel of the screen shows pool × pool cells, label is the height kept for "head 3" below it, left and
    top say which words it carries, less is the head whose weights are taken away."""

    head: int
    x: float
    y: float
    wide: float
    high: float
    cell: float
    pool: int
    font: float
    label: int
    large: bool
    left: bool
    top: bool
    less: int | None = None


class Lines(NamedTuple):
    """One head's lines: they run from x to end; the first word that looks, and the first that is looked at, stand at
    `top`, the others a step below each other."""

    x: float
    end: float
    top: tuple[float, float]
    step: float
    font: float


class Layout(NamedTuple):
    places: list[Place]
    columns: int
    height: float
    empty: Place | None = None
    lines: Lines | None = None


class Room(NamedTuple):
    """What maps of n rows and s columns have: a width and a height, room for the longest word at 12 px, and one device
    pixel; no map is larger than a square of `largest`."""

    n: int
    s: int
    width: float
    word_room: float
    unit: float
    limit: float
    largest: float
    with_words: bool


class Grid(NamedTuple):
    """What maps of one size make; step is device pixels a cell, most how many stand side by side."""

    step: float
    pool: int
    cell: float
    high: float
    wide: float
    words: bool
    font: float
    room: float
    above: float
    gap: int
    label: int
    most: int
    rows: int
    height: int


def arrange(heads, n, s, width, *, limit=TALL, pinned=(), word_room=60, unit=1.0, enlarged=None) -> Layout:
    """Without pins the heads fill the room; with pins they become a strip of thumbnails, and the pinned heads stand
    large below it (up to the height `enlarged`), two of them beside their difference."""
    room = Room(n, s, width, word_room, unit, limit, 440, True)
    if not pinned:
        return _fit(heads, room)
    strip = _fit(heads, room._replace(limit=min(150, 0.3 * limit), largest=76, with_words=False))
    two = len(pinned) > 1
    slots = 3 if two else 2 if heads > 1 and width >= 640 else 1
    below = strip.height + 6
    large = _fit(slots, room._replace(limit=enlarged or max(limit, ENLARGED), largest=450))
    heads_of = [*pinned, pinned[0], pinned[0]]  # the third is the difference; of one, the second slot is empty
    places = [
        place._replace(head=head, less=pinned[1] if i == 2 else None, y=place.y + below, large=True)
        for i, (place, head) in enumerate(zip(large.places, heads_of))
    ]
    shown = places if two else places[:1]
    empty = places[1] if not two and len(places) > 1 else None
    return Layout([*strip.places, *shown], strip.columns, below + large.height + 8, empty)


def overview(layers, heads, n, s, width, *, limit, unit=1.0) -> Layout:
    """A row of thumbnails for each layer of so many heads; places are numbered through all layers."""
    side = min(THUMBNAIL, (width - BESIDE) / heads - THIN, (limit - ABOVE) / layers - THIN)
    pixels = max(1, math.floor(side / unit))  # of the screen
    whole = pixels // max(n, s)
    pool = 1 if whole else math.ceil(max(n, s) / pixels)
    cell = (whole or 1 / pool) * unit
    high, wide = ((cells * whole if whole else math.ceil(cells / pool)) * unit for cells in (n, s))
    places = []
    for head in range(layers * heads):
        row, column = divmod(head, heads)
        x, y = BESIDE + column * (wide + THIN), ABOVE + row * (high + THIN)
        x, y = (_round(at / unit) * unit for at in (x, y))
        places.append(Place(head, x, y, wide, high, cell, pool, 10, 0, False, False, False))
    return Layout(places, heads, math.ceil(ABOVE + layers * (high + THIN)))


def with_lines(heads, n, s, width, *, head=0, word_room=60, limit=TALL, unit=1.0) -> Layout:
    """A head's map below all thumbnails, and its lines beside it where there is room, else below."""
    room = {"limit": limit, "word_room": word_room, "unit": unit}
    layout = arrange(heads, n, s, width, pinned=[head], enlarged=max(LEAST, 0.7 * limit - 14), **room)
    place, beside, most = layout.places[-1], layout.empty, max(n, s)
    rows = min(ROWS, most * 16)
    step = max(2, min(24, (max(beside.high, rows) if beside else rows) / most))
    font = min(13, max(8, step * 0.86))
    words = (word_room * font / 12 if step >= 8 else 0) + GAPS
    start = place.x + place.wide + (word_room * place.font / 24 if place.top else 0) + GAPS if beside else 0
    across = min(520, width - start) - 2 * words
    y = place.y if beside else layout.height + GAPS
    top = tuple(y + (most - count) * step / 2 + step / 2 for count in (n, s))
    lines = Lines(start + words, start + words + max(40, across), top, step, font)
    return layout._replace(empty=None, lines=lines, height=math.ceil(max(layout.height, y + most * step + 12)))


def _fit(heads, room) -> Layout:
    """The largest maps of whole device pixels a cell, or cells a pixel, with which `heads` maps fit; a bit smaller for
    fewer rows, but not so small that they lose their words."""
    best = None
    whole = max(1, math.floor(room.largest / math.sqrt(room.n * room.s) / room.unit))  # a long map has a square's area
    for step in (*range(whole, 0, -1), 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8):
        found = _attempt(heads, room, step)
        fits = found.most >= 1 and found.height <= room.limit
        if best and (not fits or step < 0.85 * best.step or (best.words and not found.words)):
            break
        if not fits and max(found.wide, found.high) > SMALLEST and step > 1 / 8:
            continue
        if not best or found.rows < best.rows:
            best = found
    return _placed(heads, room.unit, best or _attempt(heads, room, 1 / 8))


def _attempt(heads, room, step) -> Grid:
    pool, cell = max(1, _round(1 / step)), step * room.unit
    high, wide = ((math.ceil(cells / pool) if step < 1 else cells * step) * room.unit for cells in (room.n, room.s))
    words = room.with_words and cell >= WORD_CELL
    font = min(13, max(8, cell * 0.86))
    long = room.word_room * font / 12
    # Above, words lean by 60 degrees; without words there is room for the frame of a chosen head.
    beside, above = (long + 10, long * 0.87 + 6 + font / 2) if words else (3, 3)
    gap = 14 if wide >= 120 else 8 if wide >= 48 else 4
    label = 18 if wide >= 60 else 13 if wide >= 40 else 0
    most = math.floor((room.width - beside * 1.5 + gap) / (wide + gap))
    rows = math.ceil(heads / max(1, most))
    height = math.ceil(above + rows * (high + gap + label))
    return Grid(step, pool, cell, high, wide, words, font, beside, above, gap, label, most, rows, height)


def _placed(heads, unit, grid) -> Layout:
    columns = math.ceil(heads / grid.rows)
    places = []
    for head in range(heads):
        row, column = divmod(head, columns)
        x, y = grid.room + column * (grid.wide + grid.gap), grid.above + row * (grid.high + grid.gap + grid.label)
        x, y = (_round(value / unit) * unit for value in (x, y))
        size = grid.wide, grid.high, grid.cell, grid.pool, grid.font, grid.label
        places.append(Place(head, x, y, *size, False, grid.words and not column, grid.words and not row))
    return Layout(places, columns, grid.height)


def _round(value: float) -> int:
    """To the nearest whole number, halves upwards: what JavaScript's Math.round does."""
    return math.floor(value + 0.5)
