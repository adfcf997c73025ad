"""The one look of all figures: what has which colour, and the style in which every function draws."""

from functools import wraps

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

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


def styled(draw):
    """Draw in the lab's style and leave the caller's matplotlib settings as they were."""

    @wraps(draw)
    def drawing(*args, **kwargs):
        with plt.rc_context(STYLE):
            drawn = draw(*args, **kwargs)
            interactive = matplotlib.is_interactive()  # turned on when a notebook's first figure loads its backend
        matplotlib.interactive(interactive)
        return drawn

    return drawing


def array(data) -> np.ndarray:
    return data.detach().cpu().numpy() if hasattr(data, "detach") else np.asarray(data)
