"""MockInterview: questions one by one, the points of each hidden until it was answered, and a score by dimension."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import traitlets

from mha_lab import _door, progress
from mha_lab.choosing.questions import DIMENSIONS, QUESTIONS, Question, in_turn
from mha_lab.widgets._base import STATIC, Explorer, Whole
from mha_lab.widgets._picture import LINE, MUTED, Page
from mha_lab.widgets.guess import _wrapped

MOST_LETTERS = 2000  # of a typed answer


class MockInterview(Explorer):
    """Questions in five dimensions, which somebody answers aloud or in writing and then holds against the points.

        MockInterview()

    questions  what is asked, dictionaries with key, dimension, asks and points (text, place, link); all twenty unless
               some are given as `choosing.Question`, in turn over the dimensions
    at         the question that is shown, from 0
    said       {key: what was typed}
    ticked     {key: the points that were said, counted from 0}; a question is in it once its points were shown

    What is typed and ticked is kept between sittings (`mha_lab.progress`); the page keeps a copy in the browser's
    localStorage, for the time in which no kernel listens. Raises traitlets.TraitError for what is no such answer.
    """

    _esm = STATIC / "mock_interview.js"
    _css = STATIC / "mock_interview.css"
    fixed = ("questions",)
    questions = traitlets.List().tag(sync=True)
    at = Whole(0).tag(sync=True)
    said = traitlets.Dict().tag(sync=True)
    ticked = traitlets.Dict().tag(sync=True)
    _since = traitlets.Unicode().tag(sync=True)  # what a browser kept before is forgotten

    def __init__(self, questions: Sequence[Question] = QUESTIONS, **traits):
        questions = _door.several("questions", questions, "choosing.Question")
        if not questions:
            raise ValueError("questions is empty: there must be at least one to ask.")
        for each in questions:
            _door.instance("one of questions", each, Question, "a choosing.Question")
        kept = progress.kept()
        self._asked = {each.key: each for each in in_turn(tuple(questions))}
        answers = {key: answer for key, answer in kept["interview"].items() if key in self._asked}
        known = {
            "said": {key: answer["said"] for key, answer in answers.items() if answer["said"]},
            "ticked": {
                key: [i for i in answer["points"] if 0 <= i < len(self._asked[key].points)]
                for key, answer in answers.items()
                if "points" in answer
            },
        }
        first = next((i for i, key in enumerate(self._asked) if key not in known["ticked"]), 0)
        rows = [asdict(each) for each in self._asked.values()]
        super().__init__(questions=rows, _since=kept["forgotten"], **{"at": first} | known | traits)
        self.observe(self._keep, ["said", "ticked"])

    @traitlets.validate("at")
    def _check_at(self, proposal):
        if not 0 <= proposal.value < len(self._asked):
            raise traitlets.TraitError(f"at={proposal.value}: the questions are 0 to {len(self._asked) - 1}.")
        return proposal.value

    @traitlets.validate("said")
    def _check_said(self, proposal):
        for key, words in proposal.value.items():
            self._require_key(key)
            if not isinstance(words, str):
                raise traitlets.TraitError(f"what was said to {key!r} is {_door.told(words)}; it must be words.")
            if len(words) > MOST_LETTERS:
                raise traitlets.TraitError(
                    f"what was said to {key!r} has {len(words):,} letters; at most {MOST_LETTERS:,} are kept."
                )
        return proposal.value

    @traitlets.validate("ticked")
    def _check_ticked(self, proposal):
        for key, points in proposal.value.items():
            self._require_key(key)
            most = len(self._asked[key].points)
            whole = isinstance(points, list | tuple) and all(type(i) is int and 0 <= i < most for i in points)
            if not whole or len(set(points)) < len(points):
                raise traitlets.TraitError(
                    f"the points ticked for {key!r} are {_door.told(points)}; they must be a list of different whole "
                    f"numbers from 0 to {most - 1}."
                )
        return {key: sorted(points) for key, points in proposal.value.items()}

    def _require_key(self, key: Any) -> None:
        if key not in self._asked:
            raise traitlets.TraitError(f"{key!r} is none of the questions: {', '.join(self._asked)}.")

    def _keep(self, _):
        for key, question in self._asked.items():
            progress.interviewed(key, question.asks, self.said.get(key, ""), self.ticked.get(key))

    @property
    def scores(self) -> dict[str, tuple[int, int]]:
        """By dimension: points said, of those that were shown."""
        found = {name: (0, 0) for name in DIMENSIONS if any(q.dimension == name for q in self._asked.values())}
        for key, points in self.ticked.items():
            said, of = found[self._asked[key].dimension]
            found[self._asked[key].dimension] = said + len(points), of + len(self._asked[key].points)
        return found

    def result(self) -> "InterviewResult":
        """The scores, and which sections to read again, with links."""
        missed = Counter(
            (point.place, point.link)
            for key, ticks in self.ticked.items()
            for i, point in enumerate(self._asked[key].points)
            if i not in ticks
        )
        again = tuple((place, link, points) for (place, link), points in missed.most_common())
        return InterviewResult(self.scores, len(self.ticked), len(self._asked), again)

    def picture(self) -> tuple[bytes, int]:
        """The questions as PNG, each with its dimension and how many of its points were said."""
        return draw(self._asked, self.ticked)

    def __repr__(self) -> str:
        return f"MockInterview({len(self.ticked)} of {len(self._asked)} questions answered)"


@dataclass(frozen=True, repr=False)
class InterviewResult:
    """A table of the scores by dimension, and below it what to read again. It praises nobody."""

    scores: dict[str, tuple[int, int]]
    answered: int
    questions: int
    again: tuple[tuple[str, str, int], ...]

    def __repr__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{self.answered} of {self.questions} questions answered"]
        lines += [f"{name:{width}}  {_points(*score)}" for name, score in self.scores.items()]
        lines += [f"read again: {place} ({_plural(points)})" for place, _, points in self.again]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cell = "text-align:left;padding:3px 16px 3px 0"
        lines = [f"<p>{self.answered} of {self.questions} questions answered</p>"]
        lines += ['<table style="margin:4px 0;border-collapse:collapse">']
        lines += [
            f'<tr style="background:none"><th scope="row" style="{cell}">{escape(name)}</th>'
            f'<td style="{cell}">{_points(*score)}</td></tr>'
            for name, score in self.scores.items()
        ]
        lines += ["</table>"]
        if self.again:
            links = "; ".join(
                f'<a href="{escape(link)}">{escape(place)}</a> ({_plural(points)})'
                for place, link, points in self.again
            )
            lines += [f"<p>Read again: {links}</p>"]
        return "\n".join(lines)


def _points(said: int, of: int) -> str:
    return f"{said} of {_plural(of)} said" if of else "not asked yet"


def _plural(points: int) -> str:
    return f"{points} point{'s' * (points != 1)}"


# the picture ---------------------------------------------------------------------------------------------------------

WIDTH, LINE_HEIGHT, GAP = 640, 20, 6


def draw(questions: dict[str, Question], ticked: dict[str, list[int]]) -> tuple[bytes, int]:
    """The picture as PNG, and its width in CSS pixels."""
    asked = {key: _wrapped(question.asks, 13, WIDTH - 190) for key, question in questions.items()}
    page = Page(WIDTH, sum(len(lines) * LINE_HEIGHT + GAP for lines in asked.values()))
    y = LINE_HEIGHT / 2
    for number, (key, lines) in enumerate(asked.items(), start=1):
        said = f"{len(ticked[key])} of {len(questions[key].points)} said" if key in ticked else questions[key].dimension
        page.text(0, y, f"{number}", 13, colour=MUTED)
        page.text(WIDTH - 150, y, said, 12, colour=MUTED)
        for line in lines:
            page.text(28, y, line, 13)
            y += LINE_HEIGHT
        page.box(0, y - LINE_HEIGHT / 2 + GAP / 2, WIDTH, 1, LINE)
        y += GAP
    return page.finished()
