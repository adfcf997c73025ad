"""Where ModelTable's dots and bars stand: the arithmetic of frontend/src/model_table/layout.js, for its picture."""

import math
from bisect import bisect_left

RADIUS = 4.5
APART = 2 * RADIUS + 1
LEFT, TOP, RIGHT, BOTTOM = 52, 10, 14, 20
HEIGHTS = {"G": 1, "N": 1, "K": 6 / 8, "H": 5 / 8, "L": 3 / 8, "S": 3 / 8, "V": 2 / 8}
"""How high the bar of a layer is: how far it looks."""


def axis(column: str, values: list[float]) -> tuple[float, float, list[float], bool]:
    """(low, high, ticks, whether it is logarithmic) of an axis: years as they are, all else in powers of two."""
    least, most = (min(values), max(values)) if values else (1, 2)
    if column == "year":
        return least - 0.5, most + 0.5, list(range(least, most + 1)), False
    low, high = least / 1.2, most * 1.2
    return low, high, [2.0**p for p in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)], True


def cluster(count: int) -> list[tuple[float, float]]:
    """Places around one, the nearest first: itself, then rings of six, twelve, …"""
    places, ring = [(0.0, 0.0)], 1
    while len(places) < count:
        for i in range(6 * ring):
            angle = math.pi * i / (3 * ring)
            places.append((APART * ring * math.cos(angle), APART * ring * math.sin(angle)))
        ring += 1
    return places[:count]


def plot(rows: list[dict], across: str, up: str, width: float, height: float) -> dict:
    """The frame, the dots {name: (x, y)}, and the ticks [(place, value)] of both axes. A row without one of the two
    numbers has no dot."""
    known = [row for row in rows if row[across] is not None and row[up] is not None]
    frame = LEFT, TOP, max(width - LEFT - RIGHT, 1), max(height - TOP - BOTTOM, 1)
    x, y, wide, high = frame
    ends = ((across, x, x + wide), (up, y + high, y))
    places, ticks = [], []
    for column, start, end in ends:
        low, top, at, log = axis(column, [row[column] for row in known])
        places.append(_scale(low, top, start, end, log))
        ticks.append([(places[-1](tick), tick) for tick in at])
    alike: dict[tuple, list[str]] = {}
    for row in known:
        alike.setdefault((row[across], row[up]), []).append(row["name"])
    dots = {
        name: (places[0](values[0]) + dx, places[1](values[1]) + dy)
        for values, names in alike.items()
        for name, (dx, dy) in zip(names, cluster(len(names)))
    }
    return {"frame": frame, "dots": dots, "across": ticks[0], "up": ticks[1]}


def _scale(low, high, start, end, log):
    level = math.log if log else float
    length = level(high) - level(low) or 1
    return lambda value: start + (end - start) * (level(value) - level(low)) / length


def spaced(ticks: list[tuple[float, float]], room) -> list[tuple[float, float]]:
    """Every first, second, third … tick, so that no two stand nearer than room(tick)."""
    steps = range(1, len(ticks))
    fits = [all(abs(b[0] - a[0]) >= room(b[1]) for a, b in zip(ticks[::n], ticks[n::n])) for n in steps]
    found = bisect_left(fits, True) + 1 if True in fits else len(ticks)
    return ticks[:: max(found, 1)]
