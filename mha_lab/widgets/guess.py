"""Guess: a question that is answered before a cell answers it, and `reckoning`: what was said beside what it was."""

import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import traitlets

from mha_lab import _door, progress
from mha_lab.widgets._base import STATIC, Explorer
from mha_lab.widgets._picture import LINE, MUTED, Page

MOST_CHOICES = 6
MOST_LETTERS = 120  # of an answer that is typed
NO_GUESS = "no guess yet"

_questions: dict[str, str] = {}  # by key, of this kernel: the reckoning names a question that nobody answered
_asked: "weakref.WeakSet[Guess]" = weakref.WeakSet()


class Guess(Explorer):
    """A question with choices, or with a place to type a short answer where no choices are given.

    key      the lesson's number, a dot and a word, such as "02.parameters": under it the answer is kept between
             sittings (`mha_lab.progress`), and `reckoning` finds it
    answer   what was said, "" where nobody has answered. It can be changed until a `reckoning` has shown what it was.

    Raises ValueError or TypeError for a key, a question or choices that are none, and traitlets.TraitError for an
    answer that is none of the choices, has too many letters, or comes after the right one was seen.
    """

    _esm = STATIC / "guess.js"
    _css = STATIC / "guess.css"
    fixed = ("key", "question", "choices")
    key = traitlets.Unicode().tag(sync=True)
    question = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answer = traitlets.Unicode().tag(sync=True)
    _seen = traitlets.Bool(False).tag(sync=True)
    _said = ""  # the last answer that was taken: while a page's message is read, `answer` holds what it asks for

    def __init__(self, key: str, question: str, choices: Sequence[str] | None = None):
        _require_key(key)
        question = _line("question", question)
        choices = [] if choices is None else _choices(choices)
        kept = progress.kept()["guesses"].get(key, {})
        said = kept.get("said", "")
        if choices and said not in choices:  # the lesson was worded anew
            kept, said = {}, ""
        super().__init__(key=key, question=question, choices=choices, answer=said, _seen="it_was" in kept)
        self._said = said
        self.observe(self._keep, "answer")
        _questions[key] = question
        _asked.add(self)

    @traitlets.validate("answer")
    def _check_answer(self, proposal):
        answer = proposal.value if self.choices else " ".join(proposal.value.split())
        if self.choices and answer and answer not in self.choices:
            *others, last = map(repr, self.choices)
            raise traitlets.TraitError(f"answer={answer!r}: it must be {', '.join(others)} or {last}.")
        if not self.choices and len(answer) > MOST_LETTERS:
            raise traitlets.TraitError(f"the answer has {len(answer)} letters; at most {MOST_LETTERS} are kept.")
        if self._seen and self._said and answer != self._said:
            lesson = self.key.split(".")[0]
            raise traitlets.TraitError(
                f"You have seen the answer, so what you said before stays: {self._said!r}. "
                f'checks.reset("{lesson}") forgets it, with what else belongs to lesson {lesson}.'
            )
        return answer

    def _keep(self, change):
        self._said = change.new
        progress.guessed(self.key, self.question, change.new)

    def picture(self) -> tuple[bytes, int]:
        """The question with its choices, or with the line on which the answer is typed."""
        return draw(self.question, self.choices, self.answer)

    def __repr__(self) -> str:
        choices = f" [{' / '.join(self.choices)}]" if self.choices else ""
        return f"Guess({self.question}{choices}, {f'you said: {self.answer}' if self.answer else NO_GUESS})"


@dataclass(frozen=True)
class Row:
    asked: str
    said: str
    it_was: str


@dataclass(frozen=True, repr=False)
class Reckoning:
    """A table: what was asked, what you said, what it was. It praises nobody."""

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{row.asked}\n    you said: {row.said}\n    it was:   {row.it_was}" for row in self.rows)

    def _repr_html_(self) -> str:
        cell = "text-align:left;vertical-align:top;padding:4px 16px 4px 0;white-space:normal"
        heads = "".join(f'<th scope="col" style="{cell}">{head}</th>' for head in ("asked", "you said", "it was"))
        rows = [
            f'<tr style="background:none"><td style="{cell}">{escape(row.asked)}</td>'
            f'<td style="{cell}">{_quiet(row.said)}</td><td style="{cell}"><b>{escape(row.it_was)}</b></td></tr>'
            for row in self.rows
        ]
        return "\n".join(
            [
                '<table style="margin:4px 0;max-width:860px;border-collapse:collapse;line-height:1.5">',
                f'<thead><tr style="background:none">{heads}</tr></thead>',
                "<tbody>",
                *rows,
                "</tbody>",
                "</table>",
            ]
        )


def reckoning(it_was: Mapping[str, Any]) -> Reckoning:
    """What was said to each guess beside what it was: {"02.parameters": "stay the same", "02.time": f"× {ratio:.1f}"}.

    From now on what was said stays. Raises TypeError or ValueError for what is no such table."""
    if not isinstance(it_was, Mapping):
        raise TypeError(
            f'it_was is {_door.told(it_was)}; it must be a dict such as {{"02.parameters": "stay the same"}}.'
        )
    if not it_was:
        raise ValueError("it_was is empty; it must name at least one guess by its key.")
    answers = {_require_key(key): _line(f"the answer to {key!r}", answer) for key, answer in it_was.items()}
    rows = []
    for key, answer in answers.items():
        progress.answered(key, answer)
        kept = progress.kept()["guesses"].get(key, {})
        for guess in [each for each in _asked if each.key == key and each.answer]:
            guess._seen = True
        rows += [Row(_questions.get(key) or kept.get("asked", key), kept.get("said", NO_GUESS), answer)]
    return Reckoning(tuple(rows))


# the picture ---------------------------------------------------------------------------------------------------------

WIDTH, LINE_HEIGHT, GAP = 640, 22, 12
RING = 7  # radius of a radio button


def draw(question: str, choices: Sequence[str], answer: str) -> tuple[bytes, int]:
    """The picture as PNG, and its width in CSS pixels."""
    asked = _wrapped(question, 14, WIDTH, bold=True)
    offered = [_wrapped(choice, 13, WIDTH - 30) for choice in choices]
    lines = len(asked) + (sum(map(len, offered)) if offered else 1)
    page = Page(WIDTH, lines * LINE_HEIGHT + GAP + 6 * len(offered))
    y = LINE_HEIGHT / 2
    for line in asked:
        page.text(0, y, line, 14, bold=True)
        y += LINE_HEIGHT
    y += GAP / 2
    for choice, words in zip(choices, offered):
        page.ring(RING + 1, y, RING, filled=choice == answer)
        for line in words:
            page.text(28, y, line, 13)
            y += LINE_HEIGHT
        y += 6
    if not choices:
        page.text(0, y, "Your answer:", 13, colour=MUTED)
        page.text(96, y, answer, 13)
        page.box(96, y + 10, 220, 1, LINE)
    return page.finished()


def _wrapped(text: str, size: float, room: float, bold: bool = False) -> list[str]:
    """The text as lines that fit; a word, or a text without spaces, is cut where it does not."""
    measure = Page(1, 1)
    lines = [""]
    for piece in re.findall(r"\s*[^\s\u2e80-\uffef]+|\s*[\u2e80-\uffef]", text):
        for letters in [piece] if measure.width_of(piece, size, bold) <= room else piece:
            if measure.width_of(lines[-1] + letters, size, bold) > room:
                lines.append(letters.lstrip())
            else:
                lines[-1] += letters
    return lines


# what is given -------------------------------------------------------------------------------------------------------


def _require_key(key: Any) -> str:
    if not isinstance(key, str) or not re.fullmatch(r"\d\d[a-z]?\.[a-z][a-z0-9_-]*", key):
        raise ValueError(f'key={key!r}: it must be a lesson\'s number, a dot and a word, such as "02.parameters".')
    return key


def _choices(choices: Any) -> list[str]:
    found = [_line("a choice", choice) for choice in _door.several("choices", choices, "words")]
    if not 2 <= len(found) <= MOST_CHOICES:
        raise ValueError(f"there are {len(found)} choices; there must be 2 to {MOST_CHOICES}.")
    twice = next((choice for choice in found if found.count(choice) > 1), None)
    if twice is not None:
        raise ValueError(f"the choice {twice!r} is there twice; each must differ from the others.")
    return found


def _line(name: str, words: Any) -> str:
    """Words, or a number, as one line."""
    if isinstance(words, bool) or not isinstance(words, str | int | float):
        raise TypeError(f"{name} is {_door.told(words)}; it must be words or a number.")
    line = " ".join(str(words).split())
    if not line:
        raise ValueError(f"{name} is empty; it must be words or a number.")
    return line


def _quiet(said: str) -> str:
    return f'<span style="opacity:0.75">{said}</span>' if said == NO_GUESS else escape(said)
