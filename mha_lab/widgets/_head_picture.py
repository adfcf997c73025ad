"""HeadExplorer's picture: what its page shows, drawn with Pillow in the page's layout."""

import numpy as np

from mha_lab.widgets._base import plural, shown_words
from mha_lab.widgets._head_layout import DIAGONAL_CELL, NUMBER_CELL, Place, arrange
from mha_lab.widgets._picture import FINE, INK, MUTED, Page

WIDTH = 920
HEADLINE = 34  # the height of the line above the maps
WORD_ROOM = 84  # for the longest word, at 12 px
MOST_WRITTEN = 128  # words; the cells of more are too small for any
THICKEST = 5  # of the lines from word to word; below THINNEST nothing is drawn
THINNEST = 0.3
QUERY, KEY = "#4477AA", "#EE6677"


def draw(explorer) -> tuple[bytes, int]:
    """The explorer's view as PNG, and its width in CSS pixels."""
    return {"maps": _maps, "overview": _overview, "lines": _lines}[explorer.view](explorer)


def _maps(explorer):
    sheet = _Sheet(explorer)
    heads, n, s, pinned = explorer.num_heads, len(sheet.words), len(sheet.keys), explorer.pinned
    layout = arrange(heads, n, s, WIDTH, pinned=pinned, word_room=sheet.longest, unit=1 / FINE)
    lean = max(sheet.longest * place.font / 24 if place.top else 0 for place in layout.places)  # of the last word above
    right = max(place.x + place.wide for place in layout.places) + lean
    page = _page(explorer, min(WIDTH, right), layout.height)
    for place in layout.places:
        sheet.draw(page, place._replace(y=place.y + HEADLINE))
    return page.finished(of_maps=True)


class _Sheet:
    """The maps of one layer without hidden words, and where they are drawn."""

    def __init__(self, explorer):
        self.explorer = explorer
        asking, visible, allowed = explorer._asking(), explorer._visible(), explorer._allowed()
        self.weights = explorer.weights[np.ix_(range(explorer.num_heads), asking, visible)]
        self.allowed = None if allowed is None else allowed[np.ix_(asking, visible)]
        words, keys = shown_words(explorer._words()), shown_words(explorer._keys())
        self.words, self.keys = [words[i] for i in asking], [keys[j] for j in visible]
        self.own = explorer._keys() is explorer._words()
        ruler = Page(1, 1)
        widths = [ruler.width_of(word, 12) for word in {*self.words[:MOST_WRITTEN], *self.keys[:MOST_WRITTEN]}]
        self.longest = min(WORD_ROOM, max(widths))

    def draw(self, page: Page, place: Place):
        x, y, cell, n, s = place.x, place.y, place.cell, len(self.words), len(self.keys)
        weights = self.weights[place.head] - (0 if place.less is None else self.weights[place.less])
        weights, allowed = pooled(weights, place.pool), _pooled_mask(self.allowed, place.pool)
        look = {"stretch": self.explorer.stretch, "difference": place.less is not None}
        page.map(x, y, cell if place.pool == 1 else 1 / FINE, weights, allowed, numbers=cell >= NUMBER_CELL, **look)
        if cell >= DIAGONAL_CELL and self.own:
            page.diagonal(x, y, cell, n)
        for i, word in enumerate(self.words) if place.left else ():
            self._word(page, word, place.font, (x - 5, y + (i + 0.5) * cell), anchor="rm")
        for j, word in enumerate(self.keys) if place.top else ():
            self._word(page, word, place.font, (x + (j + 0.5) * cell, y - 5), angle=60)
        if place.label:
            size, colour = (14, INK) if place.large else (12 if place.label > 14 else 10, MUTED)
            middle = x + s * cell / 2, y + place.high + place.label - 9
            page.text(*middle, self._label(page, place, size), size, anchor="mm", colour=colour, bold=place.large)

    def _word(self, page, word, size, at, **options):
        page.text(*at, page.clipped(word, size, WORD_ROOM * size / 12), size, **options)

    def _label(self, page, place, size):
        """As much of the head's name as there is room for; with shared keys, whose these are."""
        head, less, groups = place.head, place.less, self.explorer.num_kv_heads
        names = [f"head {head}", f"{head}"]
        if groups:
            group = head * groups // self.explorer.num_heads
            names = [f"head {head} · keys {group}", f"{head} · k{group}", f"{head}"]
        if less is not None:
            names = [f"head {head} − head {less} (orange: {head} has more)", f"head {head} − head {less}"]
            names.append(f"{head} − {less}")
        return next((name for name in names if page.width_of(name, size, place.large) <= place.wide), names[-1])


def _overview(explorer):
    """All layers' heads as thumbnails: a row for each layer."""
    asking, visible, allowed = explorer._asking(), explorer._visible(), explorer._allowed()
    cells = np.ix_(asking, visible)
    weights = explorer._of_the_visible(explorer._source.weights(explorer))[..., *cells]
    allowed = None if allowed is None else allowed[cells]
    layers, heads, n, s = weights.shape
    beside, gap = 64, 4
    side = min(64, (WIDTH - beside) / heads - gap, 900 / layers - gap)
    pixels = max(1, int(side * FINE))
    pool = -(-max(n, s) // pixels)
    cell = pixels // max(n, s) / FINE if pool == 1 else 1 / FINE
    allowed, size = _pooled_mask(allowed, pool), [-(-count // pool) * cell for count in (n, s)]
    page = _page(explorer, beside + heads * (size[1] + gap), layers * (size[0] + gap) + 20)
    for head in range(heads) if size[1] >= 14 else ():
        page.text(beside + head * (size[1] + gap) + size[1] / 2, HEADLINE + 6, f"{head}", 10, anchor="mm", colour=MUTED)
    for layer in range(layers):
        y = HEADLINE + 16 + layer * (size[0] + gap)
        here = layer == explorer.layer
        page.text(
            beside - 8, y + size[0] / 2, f"layer {layer}", 11, anchor="rm", bold=here, colour=INK if here else MUTED
        )
        for head in range(heads):
            x = beside + head * (size[1] + gap)
            page.map(x, y, cell, pooled(weights[layer, head], pool), allowed, stretch=explorer.stretch)
    return page.finished(of_maps=True)


def _lines(explorer):
    """One head: its map, and beside it a line from each word that looks to each that is looked at, as thick as the
    weight is large."""
    sheet = _Sheet(explorer)
    n, s = len(sheet.words), len(sheet.keys)
    [place], _, high, _ = arrange(1, n, s, WIDTH / 2, limit=480, word_room=sheet.longest, unit=1 / FINE)
    step = max(3.0, min(22.0, 460 / max(n, s)))
    size = min(13.0, max(7.5, step * 0.86))
    room = sheet.longest * size / 12 + 18  # for the words on either side
    left = max(place.x + place.wide + place.font * sheet.longest / 24, WIDTH / 2) + room
    right = left + 240
    page = _page(explorer, right + room, max(high, max(n, s) * step + 12))
    sheet.draw(page, place._replace(head=explorer.head, y=place.y + HEADLINE))
    tops = [HEADLINE + 14 + (max(n, s) - count) * step / 2 for count in (n, s)]
    weights = sheet.weights[explorer.head]
    shares = weights / (weights.max(initial=0.0) or 1.0) if explorer.stretch else weights
    for i, j in sorted(np.argwhere(shares * THICKEST >= THINNEST), key=lambda cell: shares[tuple(cell)]):
        page.stroke([(left, tops[0] + i * step), (right, tops[1] + j * step)], INK, shares[i, j] * min(THICKEST, step))
    sides = (sheet.words, tops[0], left, -1, "rm", QUERY), (sheet.keys, tops[1], right, 1, "lm", KEY)
    for words, top, x, away, anchor, colour in sides:
        page.box(x + min(away * 3, away), top - step / 2, 2, len(words) * step, colour)
        for i, word in enumerate(words) if step >= 7 else ():
            page.text(x + 7 * away, top + i * step, page.clipped(word, size, room - 8), size, anchor=anchor)
    return page.finished()


def _page(explorer, width, height):
    """An empty page with a headline and the key to the colours."""
    width = max(460, round(width))
    page = Page(width, HEADLINE + height)
    page.text(0, 12, page.clipped(_headline(explorer), 14, width - 260), 14, bold=True)
    if explorer.view == "lines":
        most = "head's largest weight" if explorer.stretch else "weight 1"
        page.text(width, 12, f"thickest line: {most}", 11, anchor="rm")
        return page
    page.text(width - 172, 12, "weight 0", 11, anchor="rm")
    page.colour_bar(width - 166, 6, 90, 12)
    page.text(width - 70, 12, "head's max" if explorer.stretch else "1", 11)
    return page


def _headline(explorer) -> str:
    heads = plural(explorer.num_heads, "head")
    if explorer.view == "lines":
        heads = f"head {explorer.head} of {explorer.num_heads}"
    headline = f"Layer {explorer.layer}, {heads}"
    if explorer.source != "recorded":
        headline = f"{heads}, d_head {explorer.d_model // explorer.num_heads}"
    if explorer.source == "trained":
        headline = f"{explorer.sentence}: {headline}"
    if explorer.num_kv_heads:
        headline += f" on {explorer.num_kv_heads} of keys"
    if explorer.shuffle:
        headline += f", columns shuffled (seed {explorer.shuffle})"
    if explorer.view == "overview":
        headline = f"{plural(explorer.num_layers, 'layer')} × {heads}"
    visible, shown = explorer._visible(), shown_words(explorer._keys())
    hidden = [word for i, word in enumerate(shown) if i not in visible]
    headline = headline[0].upper() + headline[1:]
    return f"{headline}, without {' '.join(hidden)}" if hidden else headline


def pooled(weights: np.ndarray, pool: int) -> np.ndarray:
    """(N, S) with pool × pool cells made one, which has the largest (in size) of their numbers."""
    if pool == 1:
        return weights
    n, s = (-(-cells // pool) * pool for cells in weights.shape)
    cells = np.pad(weights, ((0, n - weights.shape[0]), (0, s - weights.shape[1])))
    blocks = cells.reshape(n // pool, pool, s // pool, pool)
    high, low = blocks.max(axis=(1, 3)), blocks.min(axis=(1, 3))
    return np.where(high >= -low, high, low)


def _pooled_mask(allowed, pool):
    """Masked is a block all of whose cells are."""
    return None if allowed is None else pooled(allowed.astype(np.int8), pool).astype(bool)
