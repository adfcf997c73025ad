"""KVCacheExplorer's picture: the cache in words, the layers in a row, a bar for every number of key/value heads."""

from mha_lab.published import Model, layers_in_words, source_in_words, stores
from mha_lab.widgets._base import plural
from mha_lab.widgets._picture import MUTED, Page

STRIP = {"G": (20, "#4477AA"), "N": (20, "#66CCEE"), "L": (8, "#CCBB44"), "K": (14, "#AA3377"), "H": (11, "#EE6677")}
STRIP |= {"S": (8, None), "V": (4, "#BBBBBB")}
"""Each kind of layer in a row of all: height and colour, as in the live view; a linear layer in outline."""


def size(count: float) -> str:
    """A number of bytes in words: 128 KiB, 1.5 GiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    digits = 0 if count >= 100 or count == int(count) else 1 if count >= 10 else 2
    return f"{count:,.{digits}f} {unit}"


def draw(explorer, *, kept: str, left_out: str) -> tuple[bytes, int]:
    """The present state as PNG, and its width in CSS pixels; what is kept and what is not counted in words."""
    m, bars = explorer._model(), explorer._bars()
    largest, budget = max(b for _, b, _ in bars), explorer.budget * 2**30
    left, room, top, row = 150, 560, 146, 28
    page = Page(900, top + len(bars) * row + (78 if left_out else 56))
    texts = plural(explorer.batch, "text")
    page.text(0, 14, f"{m.name}: {size(explorer.cache_bytes)} of {kept}", 15, bold=True)
    first = " until a window is full" if any(s.kind == "local" for s in stores(m)) else ""
    page.text(0, 38, f"{texts} of {explorer.context:,} tokens; {size(explorer.token_bytes)} a token{first}", 12)
    page.text(0, 58, f"at most {rate(explorer)} at {explorer.bandwidth:,.0f} GB/s, the cache read once a token", 12)
    page.text(0, 78, f"layers: {layers_in_words(m)}", 12)
    _strip(page, m, 92)
    page.text(left - 10, top - 10, "key/value heads", 11, anchor="rm", colour=MUTED)
    for i, (label, count, chosen) in enumerate(bars):
        y = top + i * row
        page.text(left - 10, y + 12, label, 12, anchor="rm", bold=chosen)
        page.box(left, y + 3, max(1, room * count / largest), 18, "#4477AA" if chosen else "#BBBBBB")
        fits = "" if count <= budget else "  over budget"
        page.text(left + room * count / largest + 8, y + 12, size(count) + fits, 12, bold=chosen)
    bottom = top + len(bars) * row
    if budget <= largest:
        x = left + room * budget / largest
        page.box(x, top - 4, 1.5, bottom - top + 8, "#CC3311")
        page.text(x, bottom + 14, f"{explorer.budget} GiB", 11, anchor="mm", colour="#CC3311")
    else:
        page.text(left, bottom + 14, f"The budget, {explorer.budget} GiB, is beyond the longest bar.", 11, colour=MUTED)
    page.text(0, bottom + 40, f"Sizes: {source_in_words(m)}", 11, colour=MUTED)
    if left_out:
        page.text(0, bottom + 58, f"Left out: {left_out}", 11, colour=MUTED)
    return page.finished()


def _strip(page: Page, m: Model, top: float):
    """The layers in a row, the first on the left; those that take an earlier layer's keys in outline."""
    step = min(24.0, 880 / m.layers)
    for i, letter in enumerate(m.kinds):
        height, colour = STRIP[letter]
        shared = i >= m.layers - m.shared_layers
        outline = "#228833" if colour is None else colour if shared else None
        page.box(i * step, top + 20 - height, max(step - 2, 0.5), height, None if outline else colour, outline)


def rate(explorer) -> str:
    """Tokens a second in words."""
    each = explorer.tokens_per_second
    number = f"{each:,.0f}" if each >= 10 else f"{each:.2g}"
    return f"{number} tokens/s" + (" for each text" if explorer.batch > 1 else "")
