"""Static figures: draw given numbers on given axes, compute nothing.

Every function takes NumPy arrays, torch tensors or lists, draws on `ax` (a new figure unless given) and returns it. A
title states the finding. Figures carry their own white page, so they read the same in a light and in a dark notebook.
"""

from mha_lab.plots.charts import curves, measured, seeds, value_plane
from mha_lab.plots.look import INK, KEY, OTHER, OUTPUT, QUERY, SCORES, STYLE, VALUE, WEIGHTS
from mha_lab.plots.maps import attention_map, document_maps, framed, head_maps, image_maps, label_grid, score_map
from mha_lab.plots.tables import table

__all__ = [
    "attention_map",
    "score_map",
    "head_maps",
    "document_maps",
    "framed",
    "image_maps",
    "label_grid",
    "curves",
    "measured",
    "seeds",
    "value_plane",
    "table",
    "QUERY",
    "KEY",
    "VALUE",
    "OUTPUT",
    "OTHER",
    "INK",
    "WEIGHTS",
    "SCORES",
    "STYLE",
]
