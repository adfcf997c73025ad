"""What a choice is held against: needs with a limit each, and by how much they are missed."""

import math
from dataclasses import dataclass
from html import escape

from mha_lab.choosing.register import Place


@dataclass(frozen=True)
class Need:
    """One requirement, and what a choice makes of it.

    value     NaN where nobody measured such a choice
    at_most   whether the limit is an upper one
    unit      written behind both numbers: " GB", or ""
    why       where the value comes from and under which conditions it was measured
    place     the section of the lessons that shows it, or None for plain arithmetic"""

    name: str
    value: float
    limit: float
    unit: str = ""
    at_most: bool = True
    why: str = ""
    place: Place | None = None

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def by(self) -> str:
        """By how much it is met or missed."""
        if math.isnan(self.value):
            return "nobody measured this"
        if self.holds:
            return "holds"
        share = self.unit == "" and self.limit <= 1  # a share, or nats: differences say more than factors
        if share or self.value == 0:
            return f"missed by {abs(self.value - self.limit):.3g}{self.unit}"
        factor = self.value / self.limit if self.at_most else self.limit / self.value
        return f"{_number(factor)} times too {'much' if self.at_most else 'little'}"

    @property
    def told(self) -> str:
        value = "?" if math.isnan(self.value) else f"{_number(self.value)}{self.unit}"
        return f"{value}, and {'at most' if self.at_most else 'at least'} {_number(self.limit)}{self.unit} is wanted"

    def __str__(self) -> str:
        return f"{self.name}: {self.told}: {self.by}"


@dataclass(frozen=True, repr=False)
class Judgement:
    """What a choice makes of every need. True where all of them hold; shows itself as a table."""

    needs: tuple[Need, ...]

    def __bool__(self) -> bool:
        return all(need.holds for need in self.needs)

    @property
    def missed(self) -> tuple[Need, ...]:
        return tuple(need for need in self.needs if not need.holds)

    def __getitem__(self, name: str) -> Need:
        found = next((need for need in self.needs if need.name == name), None)
        if found is None:
            raise KeyError(f"no need is called {name!r}; there are: {', '.join(need.name for need in self.needs)}.")
        return found

    def __repr__(self) -> str:
        width = max(len(need.name) for need in self.needs)
        lines = [f"{'✓' if need.holds else '≠'} {need.name:{width}}  {need.told}: {need.by}" for need in self.needs]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cell = "text-align:left;vertical-align:top;padding:3px 14px 3px 0;white-space:"
        wraps = ("nowrap", "normal", "nowrap", "nowrap", "normal;min-width:7em", "normal;min-width:16em")
        heads = ("", "what is wanted", "it comes to", "limit", "", "where that comes from")
        rows = [
            [
                "✓" if need.holds else "≠",
                f"<b>{escape(need.name)}</b>",
                "?" if math.isnan(need.value) else f"{_number(need.value)}{need.unit}",
                f"{'≤' if need.at_most else '≥'} {_number(need.limit)}{need.unit}",
                need.by if need.holds else f"<b>{need.by}</b>",
                escape(need.why) + (f' (<a href="{escape(need.place.link)}">{need.place}</a>)' if need.place else ""),
            ]
            for need in self.needs
        ]
        return "\n".join(
            [
                '<table style="margin:4px 0;border-collapse:collapse;line-height:1.4">',
                '<tr style="background:none">'
                + "".join(f'<th style="{cell}{wrap}">{head}</th>' for head, wrap in zip(heads, wraps))
                + "</tr>",
                *(
                    '<tr style="background:none">'
                    + "".join(f'<td style="{cell}{wrap}">{c}</td>' for c, wrap in zip(row, wraps))
                    + "</tr>"
                    for row in rows
                ),
                "</table>",
            ]
        )


def _number(value: float) -> str:
    """Three digits, as people write them: 0.123, 9.81, 1,230."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"
