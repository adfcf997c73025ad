"""How a result shows itself: a calm card in a notebook, the same words as plain text everywhere else."""

import ast
import base64
import html
import inspect
import io
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mha_lab.checks import classroom

# One accent and one sign a state. White words on it read on any page; everything else takes the page's own colour.
LOOKS = {
    "passed": ("#2B7A3D", "✓"),
    "wrong": ("#B3541E", "≠"),
    "untouched": ("#6B6F76", "○"),
    "ours": ("#3B5B8C", "="),
}

AFTER_A_TRY = "The solution is there after a try."


class Code(str):
    """A line of a result that is code, or was said by Python, and is shown as such."""


@dataclass(frozen=True, repr=False)
class Result:
    """What a check found. True where the exercise is solved.

    state    "passed", "wrong", "untouched", or "ours" where the lab's own code was handed in
    verdict  the state in a few words; lines say more
    picture  draws the figure when the card is shown, so that a check without a reader draws nothing
    mistake  the key of the mistake that was met, a short name that stays the same from edition to edition
    right    on how many of the `of` calls the answer is right; an answer that is no function has one
    """

    task: "Task"
    state: str
    verdict: str
    lines: tuple[str, ...] = ()
    picture: Callable | None = None
    mistake: str | None = None
    right: int = 0
    of: int = 1

    @property
    def passed(self) -> bool:
        return self.state == "passed"

    def __bool__(self) -> bool:
        return self.passed

    @property
    def points(self) -> int:
        """The exercise's stars where it is passed, else 0: being right on some shapes is often an accident."""
        return self.task.stars if self.passed else 0

    def require(self) -> "Result":
        """The result itself where the exercise is passed. Raises AssertionError with the verdict and its lines
        otherwise, for graders that count what raises."""
        if not self.passed:
            raise AssertionError("\n".join([f"{self.task.__name__}: {self.verdict}", *self.lines]))
        return self

    def as_dict(self) -> dict[str, Any]:
        """What a program keeps of it, ready for JSON: no code, no name, no text of the learner's."""
        return {
            "exercise": self.task.__name__,
            "state": self.state,
            "mistake": self.mistake,
            "right": self.right,
            "of": self.of,
            "points": self.points,
        }

    def __repr__(self) -> str:
        _, sign = LOOKS[self.state]
        name = self.task.__name__
        lines = [textwrap.indent(line, "    ") if isinstance(line, Code) else line for line in self.lines]
        more = [f"Hint: print(checks.{name}.hint)"]
        if self.task.withheld:
            more += [classroom.LATER]
        else:
            if self.task.second_hint:
                more += [f"Second hint: print(checks.{name}.second_hint)"]
            more += [AFTER_A_TRY if self.state == "untouched" else f"Solution: print(checks.{name}.source)"]
        return "\n".join([f"{sign} {name} ({stars(self.task)}): {self.verdict}", *lines, "   ".join(more)])

    def _repr_html_(self) -> str:
        color, sign = LOOKS[self.state]
        box = f"border-left:4px solid {color};padding:4px 16px;margin:4px 0;max-width:860px;line-height:1.5"
        pill = f"background-color:{color};color:#ffffff;border-radius:12px;padding:2px 12px;font-weight:600"
        head = [
            f'<span style="{pill}">{sign} {_words(self.verdict)}</span>',
            f"<b>{self.task.__name__}</b>",
            f'<span style="opacity:0.75">{stars(self.task)}</span>',
        ]
        return "\n".join(
            [
                f'<div style="{box}">',
                f"<div>{' &nbsp;'.join(head)}</div>",
                *(_code(line) if isinstance(line, Code) else _paragraph(line) for line in self.lines),
                *([_image(self.picture())] if self.picture else []),
                _fold("Hint", _paragraph(self.task.hint) + self._second_hint()),
                self._solution(),
                "</div>",
            ]
        )

    def _solution(self) -> str:
        if self.task.withheld or self.state == "untouched":
            why = classroom.LATER if self.task.withheld else AFTER_A_TRY
            return f'<p style="margin:4px 0;opacity:0.75">{why}</p>'
        return _fold("Solution", _code(self.task.source))

    def _second_hint(self) -> str:
        if not self.task.second_hint or self.task.withheld:
            return ""
        return f'<div style="margin-left:16px">{_fold("A second hint", _paragraph(self.task.second_hint))}</div>'


@dataclass(frozen=True, repr=False)
class Task:
    """What a card says beside the verdict.

    hint         a question that points at the idea
    second_hint  the construction in words, offered within the first one; neither is the solution
    then         the thought that follows a pass
    """

    solution: Callable
    stars: int
    minutes: int
    hint: str
    second_hint: str = ""
    then: str = ""

    withheld_in_class = frozenset({"solution", "source", "second_hint"})  # no annotation: no field

    def __post_init__(self):
        # The solution's name is the learner's too, and its docstring is the task, which IPython's ? shows.
        object.__setattr__(self, "__name__", self.solution.__name__)
        object.__setattr__(self, "__doc__", self.solution.__doc__)

    def __getattribute__(self, name: str):
        if name in object.__getattribute__(self, "withheld_in_class") and (
            classroom.asked_from_outside() and self.withheld
        ):
            exercise = self.__name__
            raise classroom.Withheld(f"checks.{exercise}.{name}: your lecturer has not opened it for this class yet.")
        return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"checks.{self.__name__}: {self.__doc__}"

    @property
    def lesson(self) -> str:
        """The number of its lesson, "02"; "" for an exercise that belongs to none."""
        found = re.fullmatch(r"mha_lab\.checks\.lesson(\d\d[a-z]?)(_\w+)?", self.solution.__module__)
        return found[1] if found else ""

    @property
    def withheld(self) -> bool:
        """Whether a class has to wait for its solution and its second hint."""
        return classroom.withheld(self.lesson)

    @property
    def ours(self) -> Callable:
        """Our solution, to be called: lessons go on with it whatever a learner wrote. It shows no source."""
        return Ours(self.solution)

    @property
    def source(self) -> str:
        """The solution as a learner would type it: the very function that the checks are tested with."""
        return source_of(self.solution)

    def result(self, state: str, verdict: str, *lines: str, mistake: str | None = None, **fields) -> Result:
        """A result of this exercise. What is wrong without a name of its own is "unnamed"."""
        if state == "wrong":
            mistake = mistake or "unnamed"
        if state == "passed":
            fields = {"right": 1, **fields}
        return Result(self, state, verdict, lines, mistake=mistake, **fields)

    def untouched(self, how: str) -> Result:
        return self.result("untouched", "not attempted yet", how)


class Ours:
    """A solution of ours that can be called and not read."""

    __slots__ = ("_ours",)

    def __init__(self, solution: Callable):
        self._ours = solution

    def __call__(self, *given, **named):
        return self._ours(*given, **named)

    def __repr__(self) -> str:
        return f"the lab's own {self._ours.__name__}"


def stars(task: Task) -> str:
    """★★☆ · 10 minutes"""
    return f"{'★' * task.stars}{'☆' * (3 - task.stars)} · {task.minutes} minutes"


def source_of(function: Callable) -> str:
    """The function's source as a learner would write it: without decorators."""
    source = textwrap.dedent(inspect.getsource(function))
    start = ast.parse(source).body[0].lineno  # the line of `def`
    return "\n".join(source.rstrip().splitlines()[start - 1 :])


def _words(text: str) -> str:
    """Escaped, with `code` and *emphasis* set as such."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\*(\w[\w ]*)\*", r"<em>\1</em>", text)


def _paragraph(text: str) -> str:
    return f'<p style="margin:8px 0">{_words(text)}</p>'


def _fold(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _code(text: str) -> str:
    box = "background-color:rgba(127,127,127,0.14);color:inherit;padding:8px 12px;margin:8px 0;overflow-x:auto"
    plain = "background-color:transparent;color:inherit;white-space:pre"
    return f'<pre style="{box}"><code style="{plain}">{html.escape(text)}</code></pre>'


def _image(figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=160, metadata={"Software": None})  # no version: same picture, same bytes
    data = base64.b64encode(file.getvalue()).decode()
    width = round(figure.get_figwidth() * 80)
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(figure.get_label())}" width="{width}" '
        'style="max-width:100%;margin:4px 0;border-radius:6px">'
    )
