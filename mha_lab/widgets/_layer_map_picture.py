"""LayerMap's state as a picture; below it the table of all parts, because nobody points at a picture."""

from functools import cache

import numpy as np
from PIL import Image

from mha_lab.plots.look import KEY, OTHER, OUTPUT, QUERY, VALUE
from mha_lab.widgets._layer_map_layout import ROW, SHIFT, TOP, WIDTH, Placed, arrows, layout
from mha_lab.widgets._layer_parts import MODES, Part, filled, formula, numbers, parts_of
from mha_lab.widgets._picture import INK, LINE, MUTED, PAGE, Page

HUES = {
    "query": [QUERY],
    "key": [KEY],
    "value": [VALUE],
    "cache": [KEY, VALUE],
    "average": [VALUE],
    "concat": [VALUE],
    "output": [OUTPUT],
}
MATRICES = {"query": "W^Q", "key": "W^K", "value": "W^V", "output": "W^O"}
LIGHT, EDGE = "#fff0b3", "#9a7000"
HEAD = 34  # pixels above the drawing, for its title
COLUMNS = ("part", 0), ("formula", 100), ("shape", 330), ("in numbers", 430), ("parameters", 740), ("FLOPs", WIDTH)
LARGE = "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion"


def draw(layer) -> tuple[bytes, int]:
    """The present state as PNG, and its width in CSS pixels."""
    mode, sizes, parts = layer.mode, layer.sizes, parts_of(layer.mode)
    places = layout(mode, sizes)
    bottom = HEAD + TOP + 3 * ROW
    page = Page(WIDTH, bottom + 22 * (len(parts) + 2) + 22)
    page.text(
        0, 12, f"Multi-head attention ({MODES[mode]}): {_title_of_heads(sizes)}, d_model {sizes['D']}", 15, bold=True
    )
    for name in layer.lit:
        if name in places:
            page.box(*_down(places[name].hit), LIGHT, EDGE, 2)
    page.box(*_down(places["split"].hit), None, LINE)
    for corners in arrows(places, mode):
        _arrow(page, [(x, y + HEAD) for x, y in corners])
    for part in parts:
        faint = INK if {part.name, "split"} & {*layer.lit} else MUTED  # on a lit part a faint letter is too faint
        _part(page, part, places[part.name], sizes, mode, faint)
    _totals(page, layer, places["concat"].hit[0] + 2)
    _table(page, layer, parts, bottom + 26)
    page.image = page.image.quantize(
        palette=_palette(), dither=Image.Dither.NONE
    )  # a fifth of the time, half the bytes
    return page.finished()


@cache
def _palette() -> Image.Image:
    """The few colours of a drawing, and what lies between them at the edges of letters and boxes."""
    share = np.linspace(0, 1, 12)[:, None]
    light, ink, hues = _rgb(LIGHT), _rgb(INK), np.concatenate([_rgb(hue) for hue in (QUERY, KEY, VALUE, OUTPUT, OTHER)])
    between = [share * ink + (1 - share) * page for page in (light, _rgb(PAGE))]
    colours = np.concatenate([*between, hues, (hues + 255) / 2, light, _rgb(EDGE), _rgb("#eeeeee"), _rgb("#999999")])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.round().astype(np.uint8).tobytes())
    return palette


def _rgb(colour: str) -> np.ndarray:
    return np.array([[*bytes.fromhex(colour[1:])]], float)


def _down(box):
    return box[0], box[1] + HEAD, *box[2:]


def _title_of_heads(sizes):
    heads = f"1 head of {sizes['K']}" if sizes["H"] == 1 else f"{sizes['H']} heads of {sizes['K']}"
    return f"{heads}, {sizes['R']} to a key" if sizes["R"] > 1 else heads


def _arrow(page, corners):
    (x0, y0), (x, y) = corners[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    page.line(corners, MUTED)
    page.polygon(
        [(x, y), (x - 7 * dx - 3.5 * dy, y - 7 * dy - 3.5 * dx), (x - 7 * dx + 3.5 * dy, y - 7 * dy + 3.5 * dx)], MUTED
    )


def _part(page, part: Part, place: Placed, sizes, mode, faint):
    hues = HUES.get(part.name, [OTHER])
    for i, (box, stripes, sheets) in enumerate(place.blocks):
        x, y, w, h = _down(box)
        for sheet in reversed(range(sheets)):
            page.box(x + sheet * SHIFT, y - sheet * SHIFT, w, h, hues[min(i, len(hues) - 1)], PAGE, 0.5)
        for stripe in range(1, stripes):
            group = part.name == "query" and sizes["R"] > 1 and stripes == sizes["H"] and stripe % sizes["R"] == 0
            page.box(x + w * stripe / stripes, y, 2 if group else 0.5, h, PAGE)
        if part.name == "mask" or (mode == "causal" and part.name in ("scores", "softmax")):
            page.polygon([(x, y), (x + w, y), (x + w, y + h)], None)
    if place.weights:
        x, y, w, h = _down(place.weights)
        page.box(x, y, w, h, PAGE, hues[0], 2)
        page.text(x + w / 2, y + h / 2, MATRICES[part.name], 12, anchor="mm", bold=True)
    title = _title_of_heads(sizes) if part.name == "split" else part.label
    words = (place.title, title, INK, True), (place.letters, f"({part.shape})", faint, False)
    for spot, text, colour, bold in (*words, (place.numbers, _tuple(numbers(part.shape, sizes)), INK, False)):
        if spot:
            x, y, side = spot
            page.text(
                x,
                y + HEAD,
                text,
                12,
                anchor={"start": "ls", "middle": "ms", "end": "rs"}[side],
                colour=colour,
                bold=bold,
            )


def _totals(page, layer, x):
    parts = layer.parts.values()
    rows = [(name, in_words(sum(part[name.lower()] for part in parts))) for name in ("parameters", "FLOPs")]
    rows += [("cache", bytes_in_words(layer.cache_bytes))] if layer.mode == "cache" else []
    for i, (name, words) in enumerate(rows):
        y = HEAD + TOP + 12 + 46 * i
        page.text(x, y, name, 12, anchor="ls", colour=MUTED)
        page.text(x, y + 20, words, 17, anchor="ls", bold=True)


def _table(page, layer, parts, top):
    """A row for each part, and one for all of them."""
    sizes, counts = layer.sizes, layer.parts
    rows = [[name for name, _ in COLUMNS]]
    for part in parts:
        shape = ", ".join(map(str, numbers(part.shape, sizes)))
        counted = counts[part.name]
        figures = (f"{counted[what]:,}" if counted[what] else "–" for what in ("parameters", "flops"))
        rows.append([part.label, filled(formula(part, layer.bias), sizes), f"({part.shape})", f"({shape})", *figures])
    total = [f"{sum(part[name] for part in counts.values()):,}" for name in ("parameters", "flops")]
    rows.append(["the layer", "", "", "", *total])
    for i, row in enumerate(rows):
        y = top + 22 * i
        for text, (_, x) in zip(row, COLUMNS):
            edge = "rm" if x >= COLUMNS[-2][1] else "lm"
            strong = i == 0 or i == len(rows) - 1
            page.text(x, y, text, 12, anchor=edge, colour=MUTED if i == 0 else INK, bold=strong)
        page.box(0, y + 11, WIDTH, 0.5, LINE)


def _tuple(shape):
    return "(" + ", ".join(str(n) if n < 10_000 else f"{(n + 500) // 1000}k" for n in shape) + ")"


def in_words(count: int) -> str:
    """A count as one says it: exact below a million, in three digits from there on."""
    return f"{count:,}" if count < 1_000_000 else _in_steps(count / 1e6, 1000, LARGE)


def bytes_in_words(count: int) -> str:
    return _in_steps(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _in_steps(rest: float, base: int, names) -> str:
    """Three digits and a unit."""
    step = 0
    while rest >= 999.5 and step < len(names) - 1:
        rest, step = rest / base, step + 1
    digits = f"{rest:,.0f}" if rest >= 999.5 else f"{float(f'{rest:.3g}'):g}"
    return f"{digits} {names[step]}"
