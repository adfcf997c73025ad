"""Where the parts of a LayerMap stand, in CSS pixels: the same places as in the page (frontend/src/layer_map/layout.js,
arrows.js), which a test compares."""

import math
from dataclasses import dataclass, field
from itertools import accumulate

WIDTH = 980
ROW, BOX, TOP, CELL, TIGHT = 104, 48, 20, 84, 74
ZONE, MATRIX, TOKENS = 232, 42, 60  # widths: the heads, a learned matrix, the tokens
EDGE = 12  # from the sides of the drawing
WIDER = 16  # the cache's column, whose shape has four sides
MIDDLE = 43  # from the top of a row to the middle of its boxes
SHEETS, SHIFT, LARGER, STRIPE = 5, 3, 1.25, 3
PROJECTIONS = "query", "key", "value"
Box = tuple[float, float, float, float]  # left, top, width, height


@dataclass
class Placed:
    """Where a part stands: all of it, its blocks (box, stripes, sheets), and the places (x, y, anchor) of its words."""

    hit: Box
    title: tuple[float, float, str]
    letters: tuple[float, float, str] | None = None
    numbers: tuple[float, float, str] | None = None
    blocks: list[tuple[Box, int, int]] = field(default_factory=list)
    weights: Box | None = None


def layout(mode: str, sizes: dict[str, int], width: float = WIDTH) -> dict[str, Placed]:
    """Every part of the layer in its place, in CSS pixels, from left to right."""
    cache = mode == "cache"
    cell = (TIGHT if cache else CELL) + max(0, min(26, (width - 860) / 10))
    boxes = _measures(sizes, cell)
    made = (boxes["key"][0], boxes["query"][1], boxes["key"][2]) if cache else boxes["key"]
    widths = [TOKENS, cell, MATRIX, cell, *([cell + WIDER] if cache else []), ZONE, cell, MATRIX, cell]
    gap = (width - 2 * EDGE - sum(widths)) / (len(widths) - 1)
    starts = [EDGE + before + i * gap for i, before in enumerate(accumulate([0, *widths[:-1]]))]
    tokens, x, first, query = starts[:4]
    heads, concat, second, output = starts[-4:]
    top, own = [TOP + row * ROW for row in range(3)], 0 if mode == "cross" else 1
    parts = {
        "tokens": _cell(boxes["tokens"], tokens, top[own], TOKENS),
        "x": _cell(boxes["x"], x, top[own], cell),
        "query": _cell(boxes["query"], query, top[0], cell),
        "key": _cell(made, query, top[1], cell),
        "value": _cell(made, query, top[2], cell),
        **_heads(mode, sizes, heads),
        "concat": _cell(boxes["query"], concat, top[2], cell),
        "output": _cell(boxes["x"], output, top[2], cell),
    }
    if mode == "cross":
        parts["context"] = _cell(boxes["context"], x, TOP + 1.5 * ROW, cell)
    if cache:
        keys, values = (_cell(boxes["key"], starts[4], y, cell + WIDER) for y in top[1:])
        hit = (*keys.hit[:3], values.hit[1] + values.hit[3] - keys.hit[1])
        words = ((keys.title[0], top[1] + down, "middle") for down in (13, 96, ROW + 11))
        parts["cache"] = Placed(hit, *words, keys.blocks + values.blocks)
    for row, name in enumerate(PROJECTIONS):
        _with_matrix(parts[name], first, query + cell, top[row] + MIDDLE)
    _with_matrix(parts["output"], second, output + cell, top[2] + MIDDLE)
    return parts


def _measures(sizes, cell):
    """(width, height, stripes) of boxes: as high as they have tokens, as wide as vectors are long, by logarithm."""
    N, S, D, H, G, K = (sizes[letter] for letter in "NSDHGK")
    query = _wide(H * K, cell)
    shared = max(2, query * G / H)
    return {
        "tokens": (18, _tall(N), 1),
        "x": (_wide(D, cell), _tall(N), 1),
        "context": (_wide(D, cell), _tall(S), 1),
        "query": (query, _tall(N), _striped(H, query)),
        "key": (shared, _tall(S), _striped(G, shared)),
    }


def _tall(tokens):
    return min(BOX, 8 + 2.8 * math.log2(tokens))


def _wide(count, room):
    return min(room, (10 + 4.5 * math.log2(count)) * room / CELL)


def _striped(heads, width):
    return max(1, min(heads, math.floor(width / STRIPE)))


def _cell(box, x, y, room) -> Placed:
    """A part with its title above and its shape below."""
    w, h, stripes = box
    middle = x + room / 2
    title, letters, figures = ((middle, y + down, "middle") for down in (13, 82, 96))
    blocks = [((middle - w / 2, y + MIDDLE - h / 2, w, h), stripes, 1)]
    return Placed((x - 2, y, room + 4, ROW - 2), title, letters, figures, blocks)


def _with_matrix(part, x, right, middle):
    part.weights = x, middle - 12, MATRIX, 24
    part.hit = x - 2, part.hit[1], right + 4 - x, part.hit[3]


def _heads(mode, sizes, x) -> dict[str, Placed]:
    """The frame of the heads: scores, weights and averages below each other, their words beside them."""
    N, S, H, K = (sizes[letter] for letter in "NSHK")
    sheets = min(H, SHEETS)
    behind = (sheets - 1) * SHIFT

    def row(i, w):
        middle, h = TOP + i * ROW + MIDDLE, LARGER * _tall(N)
        box = x + 52 - (w + behind) / 2, middle - (h - behind) / 2, w, h
        words = [(x + 104, middle + down, "start") for down in (-10, 7, 23)]
        return Placed((x + 5, middle - 38, ZONE - 10, 76), *words, [(box, 1, sheets)])

    frame = x, 0, ZONE, TOP + 3 * ROW
    parts = {
        "split": Placed(frame, (x + 10, 15, "start")),
        "scores": row(0, LARGER * _tall(S)),
        "softmax": row(1, LARGER * _tall(S)),
        "average": row(2, _wide(K, CELL)),
    }
    if mode in ("causal", "cache"):
        y = TOP + ROW - 9
        words = (x + 126, y + 4, "start"), (x + ZONE - 10, y + 4, "end")
        parts["mask"] = Placed((x + 98, y - 13, ZONE - 104, 26), *words, None, [((x + 104, y - 8, 16, 16), 1, 1)])
    return parts


def arrows(parts: dict[str, Placed], mode: str) -> list[list[tuple[float, float]]]:
    """The ways of the numbers, as corners of lines that end in an arrow's head."""
    frame, cache = parts["split"].hit, mode == "cache"
    gap = parts["x"].hit[0] + 2 - (parts["tokens"].hit[0] + 2 + TOKENS)
    box = {name: part.blocks[0][0] for name, part in parts.items() if part.blocks}
    matrix = {name: part.weights for name, part in parts.items() if part.weights}
    key, value_ = (parts["cache"].blocks[i][0] if cache else box[PROJECTIONS[i + 1]] for i in (0, 1))
    level, last = _middle(box["query"]), _middle(box["value"])
    ways = [_sideways(_out(box["tokens"]), _into(box["x"]))]
    for name in PROJECTIONS:
        source = "context" if mode == "cross" and name != "query" else "x"
        ways += [
            _sideways(_out(box[source]), _into(matrix[name]), gap / 2),
            _sideways(_out(matrix[name]), (box[name][0], _middle(matrix[name]))),
        ]
    if cache:
        ways += [_sideways(_out(box["key"]), _into(key)), _sideways(_out(box["value"]), (value_[0], last))]
    scores, average = box["scores"], box["average"]
    ways += [
        _sideways(_out(box["query"]), (scores[0], level)),
        _sideways(_out(key), (scores[0], level + 9), scores[0] - frame[0] + gap / 2),
        _sideways(_out(value_), (average[0], last)),
        _sideways((frame[0] + frame[2], last), (box["concat"][0], last)),
    ]
    for above, under in (("scores", "softmax"), ("softmax", "average")):
        top = parts[above].hit[1] + parts[above].hit[3]
        ways.append([(frame[0] + 52, top), (frame[0] + 52, parts[under].hit[1])])
    ways += [
        _sideways(_out(box["concat"]), _into(matrix["output"])),
        _sideways(_out(matrix["output"]), _into(box["output"])),
    ]
    return ways


def _middle(box: Box) -> float:
    return box[1] + box[3] / 2


def _out(box: Box) -> tuple[float, float]:
    return box[0] + box[2], _middle(box)


def _into(box: Box) -> tuple[float, float]:
    return box[0], _middle(box)


def _sideways(start, end, before=0.0):
    """From a place to one at its right, turning `before` it."""
    if start[1] == end[1]:
        return [start, end]
    turn = end[0] - before
    return [start, (turn, start[1]), (turn, end[1]), end]
