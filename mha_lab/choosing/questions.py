"""Twenty questions that interviewers ask, in five dimensions, each with the points of a good answer.

They stand in questions.json. The interview card (notebooks/interview.ipynb) shows the same words, all at once."""

import json
from dataclasses import dataclass

from mha_lab import _data

DIMENSIONS = "structure", "mathematics", "advantage", "choice of parameters", "engineering"


@dataclass(frozen=True)
class Point:
    """One sentence of an answer, and the section that shows it: in words, and as a link from a lesson beside it."""

    text: str
    place: str
    link: str


@dataclass(frozen=True)
class Question:
    """`key` outlives a new wording: under it answers are kept."""

    key: str
    dimension: str
    asks: str
    points: tuple[Point, ...]


def in_turn(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    """The questions so that one of each dimension follows the other, as an interviewer goes through them."""
    by_dimension = {name: [each for each in questions if each.dimension == name] for name in DIMENSIONS}
    longest = max(map(len, by_dimension.values()))
    return tuple(each[i] for i in range(longest) for each in by_dimension.values() if i < len(each))


def _read() -> tuple[Question, ...]:
    rows = json.loads((_data.PACKAGE / "choosing/questions.json").read_text(encoding="utf-8"))
    return tuple(Question(**row | {"points": tuple(Point(**point) for point in row["points"])}) for row in rows)


QUESTIONS = _read()
