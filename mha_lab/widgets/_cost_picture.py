"""CostExplorer's picture: counts, FLOPs by term, stored maps and curves, where no script runs."""

import math

from mha_lab.widgets._cost_sizes import LENGTHS, PATHS
from mha_lab.widgets._picture import LINE, MUTED, Page

TERM_COLOURS = {
    "W^Q": "#3D6A99",
    "W^K": "#C23B4E",
    "W^V": "#1F7A2E",
    "W^O": "#AA3377",
    "QKᵀ": "#BBBBBB",
    "AV": "#D8D8D8",
}
"""Projections first, then the two products that no layer owns; the order in which the bar is stacked."""
HUES = {"explicit": "#AA3377", "fused": "#4477AA"}
CURVE_COLOURS = {
    "projections": "#AA3377",
    "QKᵀ and AV": "#4477AA",
    "explicit peak": "#AA3377",
    "scores": "#4477AA",
    "KV cache": "#228833",
    **HUES,
}
# Drawn, then left out, as in the live view: curves are told apart without their colours.
DASHES = {"QKᵀ and AV": (9, 3), "fused": (2, 3), "scores": (9, 3), "KV cache": (2, 3), "explicit": (9, 3)}
MOST_MAPS, GAP = 512, 3  # squares that are drawn, and pixels between them


def amount(value: float, unit: str) -> str:
    """A positive number in three digits, with its unit: "FLOP" and "" in thousands, "B" in 1,024s, "s" from µs on."""
    steps = {"B": ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), "s": ("µs", "ms", "s")}.get(unit)
    steps = steps or tuple(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P", "E"))
    base = 1024 if unit == "B" else 1000
    value = value * 1e6 if unit == "s" else value
    for step in steps:
        if value < 999.5 or step == steps[-1]:
            digits = f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
            return f"{digits} {step}".rstrip()
        value /= base


def maps_layout(count: int, n: int, width: float, height: float) -> dict[str, float]:
    """How `count` maps of n × n scores lie in a box: squares true to one scale, as large as they fit, in rows.

    tokens a pixel are a power of 2 and never fewer than a quarter; each square stands for `each` maps."""
    each = math.ceil(count / MOST_MAPS)
    drawn, tokens = math.ceil(count / each), 0.25
    while True:
        side = max(n / tokens, 1.0)
        columns = int((width + GAP) // (side + GAP))
        if columns and math.ceil(drawn / columns) * (side + GAP) - GAP <= height:
            return {"each": each, "drawn": drawn, "tokens": tokens, "side": side, "columns": min(columns, drawn)}
        tokens *= 2


def draw(explorer) -> tuple[bytes, int]:
    """The present state as PNG, and its width in CSS pixels."""
    now, page = explorer.costs, Page(960, 566)
    page.text(0, 14, repr(explorer).removeprefix("CostExplorer(").removesuffix(")"), 15, bold=True)
    total = sum(now["flops"].values())
    facts = [
        ("parameters", f"{now['parameters']:,}"),
        ("one forward pass", amount(total, "FLOP")),
        ("stored scores", amount(now["scores_bytes"], "B")),
        ("KV cache", amount(now["cache_bytes"], "B")),
    ]
    if now["peak_bytes"]:
        facts.append(("explicit peak", amount(now["peak_bytes"], "B")))
        facts.append(("read and written", amount(now["moved_bytes"]["explicit"], "B")))
    facts += [(f"predicted, {path}", amount(seconds, "s")) for path, seconds in now["seconds"].items()]
    for i, (name, value) in enumerate(facts):
        page.text(i * 120, 44, value, 15, bold=True)
        page.text(i * 120, 62, name, 11, colour=MUTED)
    _bar(page, now["flops"], total)
    _maps(page, explorer, now)
    over = LENGTHS if explorer.against == "tokens" else explorer._head_counts()
    charts = charts_of(explorer, over)
    room = 960 / len(charts)
    for i, chart in enumerate(charts):
        _chart(page, i * room, 210, room - 20, explorer, over, **chart)
    return page.finished()


def _bar(page, flops, total):
    x = 0.0
    for name, colour in TERM_COLOURS.items():
        width = 960 * flops[name] / total
        page.box(x, 82, width, 26, colour)
        if width > page.width_of(name, 12) + 6:
            light = name in ("QKᵀ", "AV")
            page.text(x + width / 2, 95, name, 12, anchor="mm", colour="#333333" if light else "white", bold=True)
        x += width


def _maps(page, explorer, now):
    """The scores that the explicit path stores: a square for each map, heads that share keys in one shade."""
    n, heads, count = explorer.n, explorer.num_heads, explorer.batch * explorer.num_heads
    place = maps_layout(count, n, 460, 78)
    share = heads // explorer._kv_heads_at(heads)
    for i in range(place["drawn"]):
        x = (i % place["columns"]) * (place["side"] + GAP)
        y = 118 + (i // place["columns"]) * (place["side"] + GAP)
        odd = share > 1 and (i * place["each"] // share) % 2
        page.box(x, y, place["side"], place["side"], "#A9C1D9" if odd else "#4477AA")
    each = f", a square for {place['each']:,}" if place["each"] > 1 else ""
    words = f"{count:,} maps of {n:,} × {n:,} scores{each}: {amount(now['scores_bytes'], 'B')} on the explicit path"
    page.text(480, 128, words, 12)
    page.text(480, 146, "The fused path stores none of them.", 12, colour=MUTED)
    if share > 1:
        page.text(480, 164, f"{share:,} neighbours of one shade share their keys and values.", 12, colour=MUTED)


def charts_of(explorer, over: list[int]) -> list[dict]:
    """Title, unit, curves [(place, value)] by name, and measured points of each chart, over lengths or head counts."""
    tokens = explorer.against == "tokens"
    at = [(m, explorer._costs_at(*((m, explorer.num_heads) if tokens else (explorer.n, m)))) for m in over]
    if tokens:
        points = [(one["n"], one) for one in explorer._points()]
    else:
        points = [(m, one) for m in over for one in explorer._points(m) if one["n"] == explorer.n]
    points = [(place, one) for place, one in points if over[0] <= place <= over[-1]]

    def curve(get):
        return [(m, get(costs)) for m, costs in at]

    def products(costs):
        return costs["flops"]["QKᵀ"] + costs["flops"]["AV"]

    memory = {
        "scores": curve(lambda costs: costs["scores_bytes"]),
        "KV cache": curve(lambda costs: costs["cache_bytes"]),
    }
    if at[0][1]["peak_bytes"]:
        memory = {"explicit peak": curve(lambda costs: costs["peak_bytes"])} | memory
    terms = {"projections": curve(lambda costs: sum(costs["flops"].values()) - products(costs))}
    charts = [
        {"title": "FLOPs", "unit": "FLOP", "curves": terms | {"QKᵀ and AV": curve(products)}, "points": []},
        {"title": "Memory", "unit": "B", "curves": memory, "points": []},
    ]
    times = {path: curve(lambda costs, path=path: costs["seconds"][path]) for path in at[0][1]["seconds"]}
    if times or points:
        named = times | {path: [] for path in PATHS if path not in times and any(p["path"] == path for _, p in points)}
        title = "Time: dashed predicted, points measured"
        charts.append({"title": title, "unit": "s", "curves": named, "points": points})
    return charts


def axis(unit: str, values: list[float]) -> tuple[int, int, int]:
    """(base, low, high): a chart's upright axis goes from base**low to base**high, so that ticks are round."""
    base = 32 if unit == "B" else 10
    low = math.floor(math.log(min(values), base) + 1e-9)  # of 1,000 the logarithm is a little below 3
    high = math.ceil(math.log(max(values), base) - 1e-9)
    return base, low, max(low + 1, high)  # it has a length, even for a single point


def _chart(page, left, top, width, explorer, over, title, unit, curves, points):
    """Curves with both axes logarithmic; points are measured; the present state and the crossing are upright lines."""
    height, margin = 290, 66
    values = [value for curve in curves.values() for _, value in curve]
    values += [one[name] for _, one in points for name in ("low", "seconds", "high")]
    base, low, high = axis(unit, values)
    first, last = math.log(over[0]), math.log(over[-1]) if over[-1] > over[0] else math.log(over[0]) + 1

    def place(m, value):
        across = (math.log(m) - first) / (last - first)
        up = (math.log(value, base) - low) / (high - low)
        return left + margin + across * (width - margin), top + 24 + (1 - up) * height

    page.text(left, top + 4, title, 13, bold=True)
    for power in range(low, high + 1, max(1, (high - low) // 6)):
        _, y = place(over[0], float(base) ** power)
        page.box(left + margin, y, width - margin, 0.5, "#E4E4E4")
        page.text(left + margin - 6, y, amount(float(base) ** power, unit), 10, anchor="rm", colour=MUTED)
    tokens, free = explorer.against == "tokens", -math.inf
    for m in (16, 128, 1024, 8192, 65536) if tokens else over:
        x, y = place(m, float(base) ** low)
        if x > free:
            page.text(x, y + 12, f"{m:,}", 10, anchor="mm", colour=MUTED)
            free = x + 30
    page.text(left + margin + (width - margin) / 2, top + height + 54, explorer.against, 11, anchor="mm", colour=MUTED)
    here = explorer.n if tokens else explorer.num_heads
    if over[0] <= here <= over[-1]:
        page.box(place(here, float(base) ** low)[0], top + 24, 1, height, LINE)
    crossing = explorer.costs["crossing"]
    if tokens and unit == "FLOP" and over[0] <= crossing <= over[-1]:
        x, _ = place(crossing, float(base) ** low)
        for step in range(0, height, 8):
            page.box(x, top + 24 + step, 1, 4, "#333333")
        unshared = explorer.num_kv_heads == explorer.num_heads and not explorer.latent
        whole = explorer.num_heads * explorer.head_width == explorer.d_model
        page.text(x + 5, top + 24 + height - 12, f"{'N = 2D =' if unshared and whole else 'equal at'} {crossing:,}", 11)
    for row, (name, curve) in enumerate(curves.items()):
        x, y = left + margin + 6, top + 36 + 17 * row
        page.box(x - 4, y - 9, page.width_of(name, 12, bold=True) + 46, 18, "white")  # the upright lines stop here
        if curve:
            page.line([place(m, value) for m, value in curve], CURVE_COLOURS[name], DASHES.get(name))
            page.line([(x, y), (x + 30, y)], CURVE_COLOURS[name], DASHES.get(name))
        if any(one["path"] == name for _, one in points):
            page.mark(x + 15, y, HUES[name], diamond=name == "fused")
        page.text(x + 36, y, name, 12, colour=CURVE_COLOURS[name], bold=True)
    for path in PATHS:
        measured = sorted((m, one["seconds"]) for m, one in points if one["path"] == path)
        if len(measured) > 1:
            page.line([place(*point) for point in measured], HUES[path])
    for m, one in points:
        (x, bottom), (_, end) = place(m, one["low"]), place(m, one["high"])
        if bottom > end:
            page.box(x - 1.5, end, 3, bottom - end, HUES[one["path"]])
        page.mark(*place(m, one["seconds"]), HUES[one["path"]], diamond=one["path"] == "fused")
