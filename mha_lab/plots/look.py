"""The one look of all figures: what has which colour, and the style in which every function draws."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from functools import wraps

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from mha_lab._door import told
from mha_lab._shown import WIDE, plain, wide_fonts

QUERY, KEY, VALUE, OUTPUT, OTHER = "#4477AA", "#EE6677", "#228833", "#AA3377", "#BBBBBB"
"""One thing, one colour, in every figure and explorer (Paul Tol's bright scheme)."""

WEIGHTS, SCORES = "cividis", "PuOr_r"
"""Colour maps: attention weights from 0 to 1, and raw scores, which diverge around 0."""

INK = "#333333"
STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 11,
    "hatch.linewidth": 0.8,
}


OWN_FONT = "DejaVu Sans"  # Matplotlib brings it along
ABSENT = "□"  # a letter that no installed font has; OWN_FONT has this one
_absent: ContextVar[set[str]] = ContextVar("_absent")
"""The letters of the figure that is being drawn for which ABSENT stands."""


@contextmanager
def our_settings() -> Iterator[None]:
    """STYLE over Matplotlib's own settings, whatever the user's matplotlibrc says: theirs come back afterwards."""
    with plt.rc_context():
        matplotlib.rcdefaults()
        family = [OWN_FONT, *wide_fonts()]  # for each letter the first that has it
        matplotlib.rcParams.update(STYLE | {"font.family": family})
        yield


class Page(Figure):
    """A figure that is drawn in our settings, too: some are asked for only then, such as those of the ticks. No word
    goes through TeX, which may be absent: neither on axes that were made elsewhere, nor what is written there later."""

    def draw(self, renderer):
        with our_settings():
            self._without_tex()
            super().draw(renderer)

    def get_tightbbox(self, *args, **kwargs):
        with our_settings():
            self._without_tex()
            return super().get_tightbbox(*args, **kwargs)

    def _without_tex(self):
        for words in self.findobj(lambda part: isinstance(part, Text) and part.get_usetex()):
            words.set_usetex(False)

    def __repr__(self):
        return super().__repr__().replace("Page", "Figure", 1)  # as in every notebook

    __str__ = __repr__


_ELSEWHERE = {name.lower() for name in matplotlib.backends.backend_registry.list_builtin()} - {"nbagg", "notebook"}
"""Where figures can go that are not shown in a notebook: into windows, or nowhere."""


def styled(draw):
    """Draw in the lab's style and leave the caller's matplotlib settings as they were."""

    @wraps(draw)
    def drawing(*args, **kwargs):
        _show_below_the_cell()
        token = _absent.set(set())
        try:
            with our_settings():
                drawn = draw(*args, **kwargs)
                _page(drawn)
                interactive = matplotlib.is_interactive()  # turned on when a notebook's first figure loads its backend
            absent = sorted(_absent.get())
        finally:
            _absent.reset(token)
        matplotlib.interactive(interactive)
        if absent:
            warnings.warn(_advice(absent), stacklevel=2)
        return drawn

    return drawing


def _page(drawn):
    """The figure becomes a `Page`, and white, also where it and its axes were made elsewhere."""
    if (figure := getattr(drawn, "figure", None)) is None:
        return
    figure = figure.get_figure(root=True)
    if type(figure) is Figure:
        figure.__class__ = Page
    for part in {figure, drawn}:
        part.set_facecolor("white")
    if drawn is not figure:  # axes, on which white lines and numbers may have been meant for a black page
        drawn.tick_params(colors=INK)
        drawn.spines[:].set_color(STYLE["axes.edgecolor"])


def _show_below_the_cell():
    """In a notebook where MPLBACKEND sends figures elsewhere, as it does in containers, ask for the usual way: below
    the cell. Asked when a figure is drawn, never at import, and not where somebody chose a way since."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    forced = os.environ.get("MPLBACKEND", "").lower()
    if not hasattr(shell, "kernel") or forced not in _ELSEWHERE or shell.kernel.eventloop is not None:
        return
    if matplotlib.rcParams["backend"].lower() in (forced, "agg"):  # what windows become where there is no screen
        shell.enable_matplotlib("inline")


def text(words) -> str:
    """A caller's words as they can be drawn: ABSENT for a letter of which no installed font knows the form.
    (Matplotlib would warn of each, every time the figure is drawn.)"""
    words = str(words)
    if words.isascii():
        return words
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in plt.rcParams["font.family"]]
    absent = {
        letter for letter in words if letter > "~" and not any(font.get_char_index(ord(letter)) for font in fonts)
    }
    _absent.get(set()).update(absent)
    return "".join(ABSENT if letter in absent else letter for letter in words)


def lettering() -> dict:
    """How a caller's words are set, also on axes that were made elsewhere: $ is a letter and begins no mathematics."""
    return {"parse_math": False, "usetex": False, "family": plt.rcParams["font.family"], "color": INK}


def number(tick: float, _=None) -> str:
    """A number at an axis, as people write it: 0.00001 and 1,000,000, not 1e-05. Matplotlib also gives its place."""
    return f"{Decimal(f'{tick:.9g}'):,f}"


def _advice(absent):
    letters = " ".join(absent[:8]) + (" …" if len(absent) > 8 else "")
    install = "install a font that has them"
    if any(map(WIDE.match, absent)):
        install = "install Noto Sans CJK (Debian and Ubuntu: apt install fonts-noto-cjk)"
    return f"no font on this machine has {letters}: {ABSENT} stands for them; {install} and restart the kernel."


def array(name: str, data, shape: str = "") -> np.ndarray:
    """Numbers in a tensor, an array or nested lists, with as many dimensions as `shape` names, such as "(N, S)".
    Raises ValueError, in one sentence, for what is none."""
    try:
        numbers = np.asarray(plain(data))
    except (TypeError, ValueError, RuntimeError) as problem:
        raise ValueError(f"{name} is no block of numbers: {problem}.") from None
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{name} is no block of numbers, but of {numbers.dtype}: {str(data)[:40]}.")
    if shape and (numbers.ndim != shape.count(",") + 1 - shape.count(",)") or 0 in numbers.shape):
        raise ValueError(f"{name} has shape {numbers.shape}; it must be {shape}, each at least 1.")
    return numbers


def one_each(name: str, words, count: int, things: str) -> list[str]:
    """`words` as a list, one for each of `count` things. Raises ValueError, with both numbers, where it is not."""
    if isinstance(words, str):
        raise ValueError(f"{name} is one string; it must be a list of {count}, one for each of the {things}.")
    try:
        words = [str(word) for word in plain(words)]
    except TypeError:
        raise ValueError(
            f"{name} is {told(words)}; it must be a list of {count}, one for each of the {things}."
        ) from None
    if len(words) != count:
        raise ValueError(f"there are {len(words)} {name} for {count} {things}: one for each.")
    return words
