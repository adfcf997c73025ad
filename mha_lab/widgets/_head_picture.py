"""HeadExplorer's picture: what its page shows, drawn with Pillow in the page's layout."""

import numpy as np

from mha_lab.widgets._base import plural, shown_words
from mha_lab.widgets._head_layout import BESIDE, DIAGONAL_CELL, NUMBER_CELL, Place, arrange, overview, with_lines
from mha_lab.widgets._picture import FINE, INK, KEY, MUTED, QUERY, Page

WIDTH = 920
HEADLINE = 34  # the height of the line above the maps
TALLEST = 640  # of an overview
WORD_ROOM = 84  # for the longest word, at 12 px
MOST_WRITTEN = 128  # words; the cells of more are too small for any
THICKEST = 5  # of the lines from word to word; below THINNEST nothing is drawn
THINNEST = 0.3


def draw(explorer) -> tuple[bytes, int]:
    """The explorer's view as PNG, and its width in CSS pixels."""
    return _overview(explorer) if explorer.view == "overview" else _maps(explorer)


def _maps(explorer):
    """The maps of one layer; or all of them small, and one head's map with its lines."""
    sheet, lines = _Sheet(explorer), None
    sizes = explorer.num_heads, len(sheet.words), len(sheet.keys), WIDTH
    room = {"word_room": sheet.longest, "unit": 1 / FINE}
    if explorer.view == "lines":
        layout = with_lines(*sizes, head=explorer.head, **room)
        lines = layout.lines
    else:
        layout = arrange(*sizes, pinned=explorer.pinned, **room)
    lean = max(sheet.longest * place.font / 24 if place.top else 0 for place in layout.places)  # of the last word above
    right = max(place.x + place.wide for place in layout.places) + lean
    if lines:
        right = max(right, lines.end + sheet.longest * lines.font / 12 + 12)
    page = _page(explorer, min(WIDTH, right), layout.height)
    places = [place._replace(y=place.y + HEADLINE) for place in layout.places]
    for place in places:
        sheet.draw(page, place)
    if explorer.num_kv_heads:
        _groups(page, places, explorer)
    if lines:
        sheet.draw_lines(page, lines._replace(top=[y + HEADLINE for y in lines.top]))
    return page.finished(of_maps=not lines)


def _groups(page, places, explorer):
    """A line in the colour of keys under the maps of each group of heads that share a head of keys."""
    group = [place.head * explorer.num_kv_heads // explorer.num_heads for place in places]
    for i, place in enumerate(places):
        following = places[i + 1] if i + 1 < len(places) else None
        together = following and following.y == place.y and not place.large and group[i] == group[i + 1]
        wide = following.x - place.x if together else place.wide
        page.box(place.x, place.y + place.high + place.label, wide, 3, KEY)


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

    def draw_lines(self, page: Page, lines):
        """Words that look on the left, those that are looked at on the right, and a line as thick as the weight is
        large from each to each."""
        x, end, (left, right), step, size = lines
        weights = self.weights[self.explorer.head]
        shares = weights / (weights.max(initial=0.0) or 1.0) if self.explorer.stretch else weights
        thick = min(THICKEST, step)
        for i, j in np.argwhere(shares >= max(THINNEST / thick, 0.02)):
            page.stroke([(x, left + i * step), (end, right + j * step)], INK, shares[i, j] * thick)
        page.box(x - 4, left - step / 2, 2, len(self.words) * step, QUERY)
        page.box(end + 2, right - step / 2, 2, len(self.keys) * step, KEY)
        for i, word in enumerate(self.words) if step >= 8 else ():
            self._word(page, word, size, (x - 8, left + i * step), anchor="rm")
        for j, word in enumerate(self.keys) if step >= 8 else ():
            self._word(page, word, size, (end + 8, right + j * step))

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
    layers, heads, n, s = weights.shape
    layout = overview(layers, heads, n, s, WIDTH, limit=max(TALLEST, 20 * layers), unit=1 / FINE)
    page = _page(explorer, layout.places[-1].x + layout.places[-1].wide, layout.height)
    allowed = None if allowed is None else _pooled_mask(allowed[cells], layout.places[0].pool)
    for place in layout.places:
        layer, head = divmod(place.head, heads)
        x, y, cell = place.x, place.y + HEADLINE, place.cell if place.pool == 1 else 1 / FINE
        page.map(x, y, cell, pooled(weights[layer, head], place.pool), allowed, stretch=explorer.stretch)
        if not layer and place.wide >= 14:
            page.text(x + place.wide / 2, y - 8, f"{head}", 10, anchor="mm", colour=MUTED)
        if not head:
            here = {"bold": True} if layer == explorer.layer else {"colour": MUTED}
            page.text(BESIDE - 6, y + place.high / 2, f"layer {layer}", 11, anchor="rm", **here)
    return page.finished(of_maps=True)


def _page(explorer, width, height):
    """An empty page with a headline and the key to the colours."""
    width = max(460, round(width))
    page = Page(width, HEADLINE + height)
    headline, room = _headline(explorer), width - 240  # the key to the colours stands at the right
    size = 14 if page.width_of(headline, 14, bold=True) <= room else 12
    page.text(0, 12, page.clipped(headline, size, room, bold=True), size, bold=True)
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
    if explorer.num_kv_heads:
        heads += f" on {explorer.num_kv_heads} of keys"
    headline = f"Layer {explorer.layer}, {heads}"
    if explorer.source != "recorded":
        headline = f"{heads}, d_head {explorer.d_model // explorer.num_heads}"
    if explorer.source == "trained":
        headline = f"{explorer.sentence}: {headline}{_reached(explorer)}"
    if explorer.shuffle:
        headline += f", columns shuffled (seed {explorer.shuffle})"
    if explorer.view == "overview":
        headline = f"{plural(explorer.num_layers, 'layer')} × {heads}"
    visible, shown = explorer._visible(), shown_words(explorer._keys())
    hidden = [word for i, word in enumerate(shown) if i not in visible]
    headline = headline[0].upper() + headline[1:]
    return f"{headline}, without {' '.join(hidden)}" if hidden else headline


def _reached(explorer) -> str:
    """What the models with this head count reached, where it is known."""
    for row in explorer._trained:
        if (row["sentence"], row["num_heads"]) == (explorer.sentence, explorer.num_heads):
            return f"; {row['quality']:.3g} {row['measure']}"
    return ""


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
