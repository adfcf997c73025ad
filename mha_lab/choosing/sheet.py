"""All decisions on one sheet: a table in a notebook, and a page of A4 that a browser prints."""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from mha_lab import _page
from mha_lab.choosing.decisions import EXAMPLE, TOKENS, Decision, decisions

HEADS = "decision", "begin with", "because", "what it costs", "when not"
PRINTED = Path(__file__).with_suffix(".css")


@dataclass(frozen=True, repr=False)
class Sheet:
    """The decision page. page["windows"] is one row; what it asks for and the register lacks stands in `missing`."""

    rows: tuple[Decision, ...]

    def __getitem__(self, name: str) -> Decision:
        found = next((row for row in self.rows if row.name.split(",")[0] == name.split(",")[0]), None)
        if found is None:
            raise KeyError(f"there is no decision {name!r}; there are: {', '.join(row.name for row in self.rows)}.")
        return found

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims of the register on which the page stands."""
        return tuple(each.claim for row in self.rows for each in row.evidence if each.claim)

    @property
    def missing(self) -> tuple[str, ...]:
        """Claims that a row asks for, and that the register does not have yet."""
        return tuple(name for row in self.rows for name in row.missing)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.rows))

    def _repr_html_(self) -> str:
        """The table, with links to the lessons beside this one."""
        cell = "text-align:left;vertical-align:top;padding:4px 12px 4px 0;white-space:normal;line-height:1.35"
        widths = ("9%", "18%", "36%", "19%", "18%")
        head = "".join(f'<th style="{cell};width:{w}">{h}</th>' for h, w in zip(HEADS, widths))
        lines = ['<table style="margin:4px 0;border-collapse:collapse;font-size:13px;min-width:720px">']
        lines += [f'<tr style="background:none">{head}</tr>']
        for row in self.rows:
            cells = "".join(f'<td style="{cell}">{text}</td>' for text in self._cells(row))
            lines += [f'<tr style="background:none;border-top:1px solid rgba(127,127,127,0.5)">{cells}</tr>']
        return "\n".join([*lines, "</table>"])

    def _cells(self, row: Decision, suffix: str = ".ipynb") -> tuple[str, ...]:
        def link(each):
            return f'<a href="{escape(each.place.link.replace(".ipynb", suffix))}">{escape(short(each.place))}</a>'

        why = "; ".join(f"{_in_html(each.text)} ({link(each)})" for each in row.evidence)
        plain = (_in_html(row.default), why, _in_html(row.cost), _in_html(row.when_not))
        return f"<b>{escape(row.name)}</b>", *plain

    def html(self, suffix: str = ".html") -> str:
        """The sheet as a page of its own, for A4 in landscape; links lead to lessons whose names end in `suffix`."""
        columns = "".join(f'<col class="{name}">' for name in ("name", "first", "why", "cost", "not"))
        head = "".join(f"<th>{each}</th>" for each in HEADS)
        rows = [
            "<tr>" + "".join(f'<td data-head="{h}">{c}</td>' for h, c in zip(HEADS, self._cells(row, suffix))) + "</tr>"
            for row in self.rows
        ]
        body = f"""<h1>Choosing attention: where to begin, why, and when not</h1>
<p>{about()}</p>
<table><colgroup>{columns}</colgroup>
<thead><tr>{head}</tr></thead>
<tbody>
{chr(10).join(rows)}
</tbody></table>"""
        return _page.whole("Choosing attention", body, PRINTED.read_text(encoding="utf-8"))

    def save_html(self, path: str | Path) -> Path:
        """Save the sheet as one HTML page that prints on one A4 sheet; the path is returned.

        Raises ValueError for a path that does not end in .html, OSError where the file cannot be written."""
        return _page.write(path, self.html())


def page() -> Sheet:
    """The decision page, computed now. Raises FileNotFoundError where the register does not lie beside the package."""
    return Sheet(decisions())


def about() -> str:
    """What the columns stand on, in a few sentences."""
    return (
        f"Costs are in the sizes of {EXAMPLE.name} ({EXAMPLE.layers} layers, d_model {EXAMPLE.d_model:,}, "
        f"{EXAMPLE.num_heads} heads on {EXAMPLE.num_kv_heads}, {TOKENS:,} tokens, 16 bits a number). New models are "
        "those of 2025 and 2026 in our table. Each reason holds under the conditions of its section; the register of "
        "claims says what was tried against it."
    )


def short(place) -> str:
    """A place in few letters: 05 §8."""
    number = re.match(r"(\d+)\.", place.section)
    return f"{place.lesson} §{number[1]}" if number else place.lesson


def _in_html(text):
    return escape(text).replace("W^O", "W<sup>O</sup>").replace("W^G", "W<sup>G</sup>")
