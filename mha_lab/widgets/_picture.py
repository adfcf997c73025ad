"""Pictures of the explorers' states, for places where no script runs: drawn with Pillow in milliseconds.

(One Matplotlib axes a head takes a second for twelve heads; a cell that shows an explorer must not wait for that.)
"""

import io
from bisect import bisect
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mha_lab._shown import WIDE, wide_fonts
from mha_lab.widgets._base import CIVIDIS, DIFFERENCE

INK, MUTED, PAGE, LINE = "#333333", "#767676", "#ffffff", "#bbbbbb"
QUERY, KEY = "#4477AA", "#EE6677"
ABOVE, BELOW = "#D5801F", "#7D6BB3"  # positive and negative numbers
STRONGEST = 0.5  # share of that colour in the cell with the largest number: words on it stay legible
FINE = 2  # pixels of the picture for each CSS pixel
MARGIN = 8  # CSS pixels on each side
Image.preinit()  # Pillow would look for its formats while the first picture is awaited


def colour_table(anchors=CIVIDIS) -> np.ndarray:
    """256 colours through the given (index, "#rrggbb"), (256, 3) uint8."""
    index = [at for at, _ in anchors]
    rgb = np.array([[int(hex[i : i + 2], 16) for i in (1, 3, 5)] for _, hex in anchors])
    table = [np.interp(range(256), index, rgb[:, channel]) for channel in range(3)]
    return np.stack(table, axis=1).round().astype(np.uint8)


@cache
def _colours(difference: bool) -> np.ndarray:
    return colour_table(DIFFERENCE if difference else CIVIDIS)


def _wide_font() -> tuple[str, int] | None:
    """(file, face in it) of an installed font with Chinese, Japanese and Korean letters."""
    return next(iter(wide_fonts().values()), None)  # the first time slow, and needed for such letters alone


@cache
def _font(size: float, bold: bool, wide: bool) -> ImageFont.FreeTypeFont:
    if wide and (found := _wide_font()):
        return ImageFont.truetype(found[0], round(size * FINE), index=found[1])
    fonts = Path(find_spec("matplotlib").submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), round(size * FINE))


def font(size: float, bold: bool = False, text: str = "") -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings along; size in CSS pixels. It has no Chinese, Japanese or Korean letters:
    for a text with such, one of WIDE_FONTS. Where none is installed, boxes stand for them; the live view has them."""
    return _font(size, bold, bool(WIDE.search(text)))


def drawable(text: str) -> bool:
    """Whether a font for it is installed."""
    return not WIDE.search(text) or _wide_font() is not None


@cache
def _stripes(width: int, height: int) -> Image.Image:
    row, column = np.indices((height, width))
    tile = np.where((row + column) % (4 * FINE) < FINE, np.uint8(0x99), np.uint8(0xEE))
    return Image.fromarray(tile[..., None].repeat(3, axis=2))


@lru_cache(256)
def _turned(text: str, face: ImageFont.FreeTypeFont, angle: float) -> Image.Image:
    """A stencil of text that begins in its middle. Kept: the words of a map stand above every other map too."""
    reach = round(face.getlength(text)) + 4  # a square around the beginning, so that turning it needs no offset
    stencil = Image.new("L", (2 * reach, 2 * reach), 0)
    ImageDraw.Draw(stencil).text((reach, reach), text, 255, face, "lm")
    return stencil.rotate(angle, Image.Resampling.BICUBIC)


@cache
def _map_palette() -> Image.Image:
    """Every second colour of weights, every third of differences, greys for words and page, and that of keys."""
    greys = np.arange(0, 0x100, 0x11, dtype=np.uint8)[:, None].repeat(3, axis=1)
    key = np.frombuffer(bytes.fromhex(KEY[1:]), np.uint8)[None]
    colours = np.concatenate([colour_table()[::2], colour_table(DIFFERENCE)[::3], greys, key])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.tobytes())
    return palette


def _pixel(x: float, y: float) -> tuple[float, float]:
    return (x + MARGIN) * FINE, (y + MARGIN) * FINE


def _corner(x: float, y: float) -> tuple[int, int]:
    return tuple(map(round, _pixel(x, y)))


class Page:
    """A white page that is drawn on in CSS pixels, and has a margin around them: it stands on dark pages too."""

    def __init__(self, width: float, height: float):
        self.width = round(width)
        self.image = Image.new("RGB", _corner(width + MARGIN, height + MARGIN), PAGE)
        self.draw = ImageDraw.Draw(self.image)

    def text(self, x, y, text, size=12, *, anchor="lm", colour=INK, bold=False, angle=0):
        """anchor as in Pillow: l, m or r (left, middle, right), then t, m or s (top, middle, baseline).
        angle turns about (x, y), and then the anchor is lm."""
        face = font(size, bold, text)
        if not angle:
            self.draw.text(_pixel(x, y), text, colour, face, anchor)
            return
        stencil = _turned(text, face, angle)
        left, top = _corner(x, y)
        left, top = left - stencil.width // 2, top - stencil.height // 2
        self.image.paste(colour, (left, top, left + stencil.width, top + stencil.height), stencil)

    def width_of(self, text, size=12, bold=False) -> float:
        return font(size, bold, text).getlength(text) / FINE

    def clipped(self, text, size, room, bold=False) -> str:
        """`text`, cut with … where it needs more than `room`."""
        if self.width_of(text, size, bold) <= room:
            return text
        fitting = bisect(range(1, len(text)), room, key=lambda letters: self.width_of(text[:letters] + "…", size, bold))
        return text[: max(fitting, 1)] + "…"

    def box(self, x, y, width, height, colour=None, outline=None, thick=1):
        """A box, however thin: at least as wide and as high as a pixel of the picture."""
        (left, top), (right, bottom) = _pixel(x, y), _pixel(x + width, y + height)
        corners = [left, top, max(left, right - 1), max(top, bottom - 1)]
        self.draw.rectangle(corners, colour, outline, round(thick * FINE))

    def line(self, corners, colour, dash=None):
        """Through these points; dash as (drawn, left out)."""
        xs, ys = np.transpose([_pixel(x, y) for x, y in corners])
        along = np.cumsum(np.hypot(np.diff(xs, prepend=xs[0]), np.diff(ys, prepend=ys[0])))
        on, off = (length * FINE for length in dash or (along[-1], 1))
        for start in np.arange(0, along[-1], on + off):
            inner = along[(along > start) & (along < start + on)]
            at = [start, *inner, min(start + on, along[-1])]
            points = list(zip(np.interp(at, along, xs), np.interp(at, along, ys)))
            self.draw.line(points, colour, 2 * FINE, joint="curve")

    def stroke(self, ends, colour, thick):
        """A straight line, as thick as it is given; one thinner than a pixel is paler instead."""
        width = max(1, round(thick * FINE))
        paler = min(1.0, thick * FINE)
        red, green, blue = (round(255 + paler * (c - 255)) for c in bytes.fromhex(colour[1:]))
        self.draw.line([_pixel(*end) for end in ends], (red, green, blue), width)

    def mark(self, x, y, colour, *, diamond=False):
        """A measured point: a circle or a diamond."""
        radius, corners, turn = (6, 4, 45) if diamond else (5, 40, 0)
        self.draw.regular_polygon((*_pixel(x, y), radius * FINE), corners, turn, colour, "white", FINE)

    def ring(self, x, y, radius, *, filled=False):
        """A radio button around (x, y), filled where it is chosen."""
        corners = [_pixel(x - radius, y - radius), _pixel(x + radius, y + radius)]
        self.draw.ellipse(corners, None, MUTED, FINE)
        if filled:
            self.draw.ellipse([_pixel(x - radius / 2, y - radius / 2), _pixel(x + radius / 2, y + radius / 2)], INK)

    def hatched(self, x, y, width, height):
        """Masked: light grey with stripes."""
        self.image.paste(_stripes(max(1, round(width * FINE)), max(1, round(height * FINE))), _corner(x, y))

    def polygon(self, corners, colour=None):
        """Filled with a colour, or, without one, hatched as what is masked."""
        corners = [_corner(x, y) for x, y in corners]
        if colour:
            self.draw.polygon(corners, colour)
            return
        stencil = Image.new("L", self.image.size, 0)
        ImageDraw.Draw(stencil).polygon(corners, 255)
        box = stencil.getbbox()
        if box:
            stripes = _stripes(box[2] - box[0], box[3] - box[1])
            self.image.paste(stripes, box[:2], stencil.crop(box))

    def map(self, x, y, cell, weights, allowed=None, *, numbers=False, stretch=False, difference=False):
        """Attention weights (N, S) as cells of this size, 0 to 1 (or to the largest with stretch); or the difference of
        two such maps, -1 to 1."""
        n, s = weights.shape
        size = max(1, round(s * cell * FINE)), max(1, round(n * cell * FINE))
        shade = weights / (np.abs(weights).max() or 1.0) if stretch else weights
        shade = (shade + 1) / 2 if difference else shade
        levels = np.clip(shade * 255, 0, 255).round().astype(np.uint8)
        if size[0] < s:
            levels = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))  # which leaves no cell out
        picture = Image.fromarray(_colours(difference)[levels]).resize(size, Image.Resampling.NEAREST)
        if allowed is not None:
            masked = Image.fromarray(~allowed).resize(size, Image.Resampling.NEAREST)
            picture.paste(_stripes(*size), mask=masked)
        self.image.paste(picture, _corner(x, y))
        for j in range(1, s) if cell >= 8 else ():
            self.box(x + j * cell, y, 1 / FINE, n * cell, PAGE)
        for i in range(1, n) if cell >= 8 else ():
            self.box(x, y + i * cell, s * cell, 1 / FINE, PAGE)
        # A stroke where a difference is below 0: its colour and that above 0 are the same grey.
        for row, column in np.argwhere(shade < 0.45) if difference and not numbers and cell >= 5 else ():
            self.box(x + (column + 0.25) * cell, y + (row + 0.5) * cell, cell / 2, 1, PAGE)
        for row, column in np.argwhere(np.abs(weights) >= 0.005) if numbers else ():  # a field of 0.00 hides the others
            level, number = shade[row, column], weights[row, column]
            colour = "white" if (abs(level - 0.5) > 0.375 if difference else level < 0.5) else "black"
            place = x + (column + 0.5) * cell, y + (row + 0.5) * cell
            text = f"{number:+.2f}".replace("-", "−").replace("0.", ".") if difference else f"{number:.2f}"
            self.text(*place, text, min(12, cell * 0.34), anchor="mm", colour=colour)

    def diagonal(self, x, y, cell, n):
        """A thin line within the cells of a map where a token looks at itself."""
        line = 1 / FINE  # beside the one that parts the cells
        for i in range(n):
            self.box(x + i * cell + line, y + i * cell + line, cell - line, cell - line, outline=MUTED, thick=line)

    def tinted_row(self, x, y, width, height, values, reach, *, on=True, bold=False):
        """Signed numbers as cells of this width, tinted up to `reach`, and written out where there is room.
        A row that is not on is left in outline."""
        room = width >= 40
        for column, value in enumerate(values):
            tint = (STRONGEST if room else 1.0) * min(abs(value) / reach, 1.0)
            red, green, blue = (
                round(255 + tint * (c - 255)) for c in bytes.fromhex((ABOVE if value > 0 else BELOW)[1:])
            )
            left = x + column * width
            if on:
                self.box(left + 1, y + 1, width - 2, height - 2, (red, green, blue))
            else:
                self.box(left + 1, y + 1, width - 2, height - 2, None, LINE)
            if room:
                place = left + width / 2, y + height / 2
                self.text(*place, decimal(value), 13, anchor="mm", colour=INK if on else MUTED, bold=bold)

    def colour_bar(self, x, y, width, height):
        bar = Image.fromarray(colour_table()[None]).resize((round(width * FINE), round(height * FINE)))
        self.image.paste(bar, _corner(x, y))

    def finished(self, *, of_maps: bool = False, colours: Sequence[str] = ()) -> tuple[bytes, int]:
        """The page as PNG, and its width in CSS pixels. Maps and little else go into 256 colours, letters and boxes
        into these few (#rrggbb): half the bytes and half the time."""
        image, palette = self.image, _map_palette() if of_maps else None
        if colours:
            palette = Image.new("P", (1, 1))
            palette.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in colours))
        if palette:
            image = image.quantize(palette=palette, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=6 if colours else 3)
        return buffer.getvalue(), self.width + 2 * MARGIN


def decimal(number: float) -> str:
    """With at most two decimals and a true minus sign; 0 for what would be shown as 0.00."""
    return "0" if abs(number) < 5e-3 else f"{number:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def weight_colour(weight: float) -> str:
    """The colour of one weight from 0 to 1, as #rrggbb."""
    return "#" + bytes(colour_table()[round(255 * min(max(float(weight), 0.0), 1.0))]).hex()
