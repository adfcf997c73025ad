"""The course as a map: which lessons there are, what of each is passed, and what comes next."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mha_lab import progress
from mha_lab.checks.card import Task

LESSONS = {
    "00": ("Start here", "00_start_here.ipynb"),
    "01": ("Single-head attention", "01_single_head_attention.ipynb"),
    "02": ("Multi-head projection", "02_multi_head_projection.ipynb"),
    "03": ("Concatenation and W^O", "03_concat_and_output_projection.ipynb"),
    "04": ("Complexity", "04_complexity.ipynb"),
    "05": ("MQA and GQA", "05_mqa_and_gqa.ipynb"),
    "06": ("How many heads?", "06_how_many_heads.ipynb"),
    "07": ("What heads learn", "07_what_heads_learn.ipynb"),
    "08": ("Cross-attention", "08_cross_attention.ipynb"),
    "08b": ("Images and long documents", "08b_images_and_long_documents.ipynb"),
    "09": ("Intent case study", "09_intent_case_study.ipynb"),
    "10": ("Long sequences", "10_long_sequences.ipynb"),
    "11": ("A real model", "11_a_real_model.ipynb"),
    "12": ("Attention today", "12_attention_today.ipynb"),
    "12b": ("Attention today: keeping less", "12b_keeping_less.ipynb"),
    "13": ("Heads across machines", "13_heads_across_machines.ipynb"),
    "14": ("Choosing", "14_choosing.ipynb"),
}
"""{number: (title, file)} of every lesson, in order."""

INTERVIEW = "14"
"""The lesson to which the mock interview belongs."""

NOTHING_YET = (
    "Nothing is kept yet. What you pass and guess is remembered from now on, in a small file on this computer, "
    "and sent nowhere."
)


@dataclass(frozen=True)
class Row:
    """One lesson of the map. passed, open: the names of its exercises, in the order of the lesson."""

    number: str
    passed: tuple[str, ...]
    open: tuple[str, ...]
    guesses: int

    @property
    def sign(self) -> str:
        """● all passed, ◐ begun, ○ not begun"""
        return "●" if not self.open else "◐" if self.passed or self.guesses else "○"

    @property
    def exercises(self) -> str:
        return f"{len(self.passed)} of {len(self.passed) + len(self.open)} exercises"

    @property
    def guesses_in_words(self) -> str:
        return _plural(self.guesses, "guess", "guesses") if self.guesses else ""


@dataclass(frozen=True, repr=False)
class Course:
    """How far somebody has come. Shows itself as a map in a notebook and as plain text everywhere else."""

    rows: tuple[Row, ...]
    where: str

    @property
    def next(self) -> Row | None:
        """The first lesson that has an open exercise; None where all are passed."""
        return next((row for row in self.rows if row.open), None)

    @property
    def so_far(self) -> str:
        done, all_of_them = sum(len(row.passed) for row in self.rows), sum(len(r.passed + r.open) for r in self.rows)
        guesses = _plural(sum(row.guesses for row in self.rows), "guess", "guesses")
        return f"{done} of {all_of_them} exercises passed, {guesses} made"

    @property
    def what_is_next(self) -> str:
        if self.next is None:
            return "All exercises are passed."
        still_open = f"; still open: {', '.join(f'`{name}`' for name in self.next.open)}" if self.next.passed else ""
        return f"Next: lesson {self.next.number}, {LESSONS[self.next.number][0]}{still_open}."

    def __repr__(self) -> str:
        width = max(len(title) for title, _ in LESSONS.values())
        lines = [
            f"{row.sign} {row.number:3} {LESSONS[row.number][0]:{width}}  {row.exercises:15}  {row.guesses_in_words}"
            for row in self.rows
        ]
        plain = [self.what_is_next.replace("`", ""), self.where.replace("`", "")]
        return "\n".join([f"The course: {self.so_far}.", *(line.rstrip() for line in lines), *plain])

    def _repr_html_(self) -> str:
        cell = "text-align:left;vertical-align:top;padding:2px 16px 2px 0;white-space:normal"
        heads = "".join(f'<th scope="col" style="{cell}">{head}</th>' for head in ("lesson", "exercises", "guesses"))
        rows = []
        for row in self.rows:
            title, file = LESSONS[row.number]
            next_one = " <b>← next</b>" if row is self.next else ""
            passed, all_of_them = len(row.passed), len(row.passed + row.open)
            rows += [
                f'<tr style="background:none">'
                f'<td style="{cell}">{row.sign} {row.number} <a href="{file}">{_text(title)}</a>{next_one}</td>'
                f'<td style="{cell}">{passed} of {all_of_them}</td><td style="{cell}">{row.guesses or ""}</td></tr>'
            ]
        return "\n".join(
            [
                '<div style="max-width:860px;line-height:1.5">',
                f'<p style="margin:4px 0"><b>The course</b>: {self.so_far}. {_text(self.what_is_next)}</p>',
                '<table style="margin:4px 0;border-collapse:collapse">',
                f'<thead><tr style="background:none">{heads}</tr></thead>',
                "<tbody>",
                *rows,
                "</tbody>",
                "</table>",
                f'<p style="margin:4px 0;opacity:0.75;overflow-wrap:anywhere">{_text(self.where)}</p>',
                "</div>",
            ]
        )


def so_far(tasks: Sequence[Task]) -> Course:
    """The map, of what is kept at this moment."""
    kept = progress.kept()
    rows = []
    for number in LESSONS:
        names = exercises_of(number, tasks)
        done = tuple(name for name in names if name in kept["passed"])
        left = tuple(name for name in names if name not in kept["passed"])
        rows += [Row(number, done, left, len(_guesses_of(number, kept)))]
    return Course(tuple(rows), _where(kept))


def exercises_of(number: str, tasks: Sequence[Task]) -> list[str]:
    """The names of a lesson's exercises, in the order in which its modules have them."""
    found = [task for task in tasks if task.lesson == number]
    found.sort(key=lambda task: (task.solution.__module__, task.solution.__code__.co_firstlineno))
    return [task.__name__ for task in found]


def reset(tasks: Sequence[Task], what: str | None = None) -> None:
    """Forget "everything", or what belongs to one lesson ("02"). Without an argument: say what would be forgotten."""
    kept = progress.kept()
    if what is None:
        print(_what_would_be_forgotten(kept))
        return
    if what == "everything":
        exercises, guesses, answers = (list(kept[part]) for part in progress.PARTS)
        progress.forget()
    elif isinstance(what, str) and what in LESSONS:
        exercises = [name for name in exercises_of(what, tasks) if name in kept["passed"]]
        guesses = _guesses_of(what, kept)
        answers = list(kept["interview"]) if what == INTERVIEW else []
        progress.forget(exercises, guesses, answers)
    else:
        numbers = f'"{min(LESSONS)}" to "{max(LESSONS)}"'
        raise ValueError(f'reset({what!r}): it must be "everything" or the number of a lesson, {numbers}.')
    print(f"Forgotten: {_counted(exercises, guesses, answers)}.")


def _what_would_be_forgotten(kept: dict) -> str:
    if not any(kept[part] for part in progress.PARTS):
        return "There is nothing to forget."
    how = 'checks.reset("everything") forgets all of it, and checks.reset("02") what belongs to lesson 02.'
    return f"Nothing is forgotten yet. Kept so far: {_counted(*(kept[part] for part in progress.PARTS))}. {how}"


def _guesses_of(number: str, kept: dict) -> list[str]:
    return [key for key in kept["guesses"] if key.startswith(f"{number}.")]


def _where(kept: dict) -> str:
    if why := progress.problem():
        return f"This is remembered only until the kernel stops, because no file can be kept: {why.rstrip('.')}."
    if not any(kept[part] for part in progress.PARTS):
        return NOTHING_YET
    return f"Kept in {progress.place()} and sent nowhere; `checks.reset()` tells how to forget it."


def _counted(exercises, guesses, answers) -> str:
    counted = [
        _plural(len(exercises), "passed exercise", "passed exercises"),
        _plural(len(guesses), "guess", "guesses"),
    ]
    if answers:
        counted += [_plural(len(answers), "answer of the interview", "answers of the interview")]
    *first, last = counted
    return f"{', '.join(first)} and {last}"


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _text(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(words))
