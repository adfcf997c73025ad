"""The register of claims as a reader finds it: docs/CLAIMS.md and claims/results/, which lie beside the package.

Whoever chooses wants the number of a claim, what was tried against it, and the place in the lessons that shows it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mha_lab import _data

ROOT = _data.PACKAGE.parent
PAGE = "docs/CLAIMS.md"
_ROW = re.compile(
    r"\| `(?P<name>[\w.-]+)` cell `(?P<cell>[^`]+)` \| (?P<says>.*?) \| (?P<tried>.*?) \| (?P<out>.*?) \|"
)


@dataclass(frozen=True)
class Place:
    """A section of a lesson. `link` leads there from a lesson beside it."""

    lesson: str
    section: str
    link: str

    def __str__(self) -> str:
        number = re.match(r"(\d+)\.", self.section)
        return f"lesson {self.lesson}, {f'section {number[1]}' if number else self.section}"


@dataclass(frozen=True)
class Claim:
    """A row of the register.

    name, cell    such as "05.balance", and the cell of the lesson in which the sentence stands
    says          the lesson's sentence
    tried, out    what was done to break it, and what came out
    found         the numbers that were measured, by name"""

    name: str
    cell: str
    says: str
    tried: str
    out: str
    found: Mapping[str, float | str]

    @property
    def lesson(self) -> str:
        return self.name.partition(".")[0]

    @property
    def place(self) -> Place:
        return place(self.lesson, self.cell)


def claim(name: str) -> Claim:
    """The row of this name. Raises KeyError where the register has none, FileNotFoundError where there is none."""
    rows = _rows()
    if name not in rows:
        raise KeyError(f"the register has no claim {name!r}.")
    return rows[name]


def is_registered(name: str) -> bool:
    """Whether the register has a row of this name, with numbers."""
    return name in _rows()


@cache
def place(lesson: str, cell: str) -> Place:
    """The section in which a cell of a lesson stands.

    Raises FileNotFoundError for a lesson and ValueError for a cell that is not there."""
    path = next((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"), None)
    if path is None:
        raise FileNotFoundError(f"there is no lesson {lesson!r} in {ROOT / 'notebooks'}.")
    section = ""
    for each in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        headings = re.findall(r"^## +(.+?)[ #]*$", "".join(each["source"]), re.M)
        if each["cell_type"] == "markdown" and headings:
            section = headings[0] if each["id"] == cell else headings[-1]
        if each["id"] == cell:
            return Place(
                lesson, _plain(section), f"{path.name}#{_plain(section).replace(' ', '-')}" if section else path.name
            )
    raise ValueError(f"lesson {lesson} has no cell {cell!r}.")


def _plain(heading):
    """A heading without marks, as JupyterLab names it."""
    text = re.sub(r"</?[a-z][^>]*>|`|(?<!\w)[*_]+(?=\S)|(?<=\S)[*_]+(?!\w)", "", heading.strip())
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


@cache
def _rows() -> dict[str, Claim]:
    page = ROOT / PAGE
    if not page.exists():
        raise FileNotFoundError(
            f"{page} is missing: the register belongs to the folder of this project, and not to an installed package."
        )
    found = {}
    for results in sorted((ROOT / "claims/results").glob("*.json")):
        for name, result in json.loads(results.read_text(encoding="utf-8")).items():
            found[name] = result["found"]
    rows = (
        row.groupdict()
        for row in map(_ROW.match, page.read_text(encoding="utf-8").replace("\\|", "¦").splitlines())
        if row
    )
    made = (
        Claim(**{part: text.replace("¦", "|") for part, text in row.items()}, found=found.get(row["name"], {}))
        for row in rows
    )
    return {each.name: each for each in made if each.found}
