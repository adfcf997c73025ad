"""Words and numbers in rows: a table for a notebook, and the same in letters everywhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from mha_lab.plots.look import one_each


@dataclass(frozen=True, repr=False)
class Table:
    """What `table` gives: shows itself."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_html_(self) -> str:
        lines = [("th", self.head), *(("td", row) for row in self.rows)]
        left = 'style="text-align: left"'
        cells = ("".join(f"<{tag} {left}>{escape(cell)}</{tag}>" for cell in row) for tag, row in lines)
        # A line for each row: of a hidden output JupyterLab shows the first line, as it is written.
        return "<table>\n" + "\n".join(f"<tr>{row}</tr>" for row in cells) + "\n</table>"

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(_columns, column)) for column in zip(*lines)]
        each = ("  ".join(cell + " " * (w - _columns(cell)) for cell, w in zip(line, widths)) for line in lines)
        return "\n".join(line.rstrip() for line in each)


def table(head: Sequence[str], rows: Sequence[Sequence]) -> Table:
    """A table with a head; every row has as many cells, which are shown as their `str`.

    Raises ValueError, with both numbers, for a row that has another number of cells."""
    if isinstance(head, str) or not len(head):
        raise ValueError(f"head is {head!r}; it must be a list of words, one for each column.")
    head = tuple(map(str, head))
    return Table(head, tuple(tuple(one_each("cells", row, len(head), "columns")) for row in rows))


def _columns(words: str) -> int:
    """How wide a line is; a Chinese letter takes the room of two."""
    return sum(1 + (east_asian_width(letter) in "WF") for letter in words)
