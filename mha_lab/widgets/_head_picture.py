"""HeadExplorer's picture: what its page shows, drawn with Pillow."""

import numpy as np

from mha_lab.widgets._base import plural, shown_words
from mha_lab.widgets._picture import FINE, MUTED, Page


def draw(explorer) -> tuple[bytes, int]:
    asking, visible, allowed = explorer._asking(), explorer._visible(), explorer._allowed()
    weights = explorer.weights[np.ix_(range(explorer.num_heads), asking, visible)]
    allowed = None if allowed is None else allowed[np.ix_(asking, visible)]
    every_query, every_key = shown_words(explorer._words()), shown_words(explorer._keys())
    tokens, keys = [every_query[i] for i in asking], [every_key[j] for j in visible]
    n, s = len(tokens), len(keys)
    heads = explorer.pinned or range(explorer.num_heads)
    maps = [(f"head {head}", weights[head]) for head in heads]
    if len(explorer.pinned) == 2:
        one, other = heads
        maps.append((f"head {one} − head {other} (orange: {one} has more)", weights[one] - weights[other]))
    width, limit = 920, 720
    fitting = None
    # The largest maps that fit; a bit smaller for fewer rows.
    middle = (n * s) ** 0.5  # the side of a square of that area
    for side in np.arange(min(30 * middle, 430), min(middle, 24) - 1, -min(middle / 2, 4)):
        cell = side / middle
        cell = int(cell * FINE) / FINE if cell >= 1 else cell  # whole pixels, so that all cells are alike
        size = min(12, max(7.5, cell * 0.86))
        room = 7 * size if cell >= 7 else 0  # for words, where a row can carry one
        wide, high = s * cell, n * cell
        gap, label = (14, 18) if wide >= 60 else (4, 0)
        columns = int((width - 1.5 * room + gap) // (wide + gap))
        rows = -(-len(maps) // max(1, columns))
        if (columns < 1 or rows * (high + gap + label) + room > limit) and side > 28:
            continue
        if fitting and cell < 0.85 * fitting[0]:
            break
        if not fitting or rows < fitting[-1]:
            fitting = cell, wide, high, size, room, gap, label, rows
    cell, wide, high, size, room, gap, label, rows = fitting
    columns = -(-len(maps) // rows)
    width = max(460, min(width, columns * (wide + gap) + 1.5 * room))
    page = Page(width, 34 + room * 0.86 + rows * (high + gap + label) + 6)

    page.text(0, 12, _headline(explorer), 14, bold=True)
    page.text(width - 172, 12, "weight 0", 11, anchor="rm")
    page.colour_bar(width - 166, 6, 90, 12)
    page.text(width - 70, 12, "head's max" if explorer.stretch else "1", 11)
    for index, (name, shown) in enumerate(maps):
        row, column = divmod(index, columns)
        x, y = round(room) + column * (wide + gap), round(34 + room * 0.86) + row * (high + gap + label)
        options = {"numbers": cell >= 28, "stretch": explorer.stretch, "difference": index >= len(heads)}
        page.map(x, y, cell, shown, allowed, **options)
        if cell >= 5 and explorer._keys() is explorer._words():
            page.diagonal(x, y, cell, n)
        if label:
            page.text(x + wide / 2, y + high + 9, name, 11, anchor="mm", colour=MUTED)
        for i, token in enumerate(tokens) if room and column == 0 else ():
            page.text(x - 5, y + (i + 0.5) * cell, page.clipped(token, size, room - 8), size, anchor="rm")
        for j, token in enumerate(keys) if room and row == 0 else ():
            page.text(x + (j + 0.5) * cell, y - 5, page.clipped(token, size, room - 8), size, angle=60)
    return page.finished(of_maps=True)


def _headline(explorer) -> str:
    headline = f"Layer {explorer.layer}, {plural(explorer.num_heads, 'head')}"
    if explorer.source == "projection":
        headline = f"{plural(explorer.num_heads, 'head')} of d_head {explorer.d_model // explorer.num_heads}"
    visible, shown = explorer._visible(), shown_words(explorer._keys())
    hidden = [word for i, word in enumerate(shown) if i not in visible]
    return f"{headline}, without {' '.join(hidden)}" if hidden else headline
