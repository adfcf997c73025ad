"""TrueOrFalse: ten statements about attention, called true or false before the course and again at its end; and
`then_and_now`, which shows both beside what it was."""

from dataclasses import dataclass
from html import escape

import traitlets

from mha_lab import progress
from mha_lab.widgets import _static
from mha_lab.widgets._base import STATIC
from mha_lab.widgets._life import Living


@dataclass(frozen=True)
class Statement:
    """A claim that the numbered lesson settles by experiment. `is_true` stays in Python: the page never holds it."""

    key: str  # answers are kept under it, so it outlives a new wording or a new order
    text: str
    is_true: bool
    lesson: str


STATEMENTS = (
    Statement("zero-score", "A word whose score is 0 gets no attention.", False, "01"),
    Statement(
        "shuffled-words",
        "If nothing marks positions and no mask hides a word, shuffling the words only shuffles the outputs.",
        True,
        "01",
    ),
    Statement("scale", "With d_model 512 and 8 heads, every score is divided by 8 before the softmax.", True, "02"),
    Statement("own-slice", "Each head reads its own slice of every word's input.", False, "02"),
    Statement(
        "two-masks",
        "A boolean mask means the same to F.scaled_dot_product_attention and to nn.MultiheadAttention.",
        False,
        "03",
    ),
    Statement(
        "default-maps",
        "Called with its defaults, nn.MultiheadAttention returns one attention map for each head.",
        False,
        "03",
    ),
    Statement(
        "where-the-work-is",
        "For 500 words and d_model 512, comparing words with words is the smaller part of the multiplications.",
        True,
        "04",
    ),
    Statement(
        "shared-keys",
        "When 8 heads share one set of keys and values, text is generated 8 times as fast.",
        False,
        "05",
    ),
    Statement("more-heads", "At the same d_model, more heads never make a trained model worse.", False, "06"),
    Statement("same-prediction", "Two very different attention maps can lead to the same prediction.", True, "07"),
)


FIRST, LAST = "00", "14"
"""The lessons that ask: under their number the answers are kept."""

WORDS = {True: "true", False: "false"}


class TrueOrFalse(Living):
    """Radio rows for STATEMENTS. An answered row names the lesson that settles it; no row says which answer is right.

    answers  {statement key: True or False}, empty where nobody has answered. They are kept between sittings
             (`mha_lab.progress`), as long as `then_and_now` has not shown what they were; the page keeps a copy in the
             browser's localStorage, for the time in which no kernel listens.
    again    whether the statements are asked again, at the end of the course: the first answers stay as they are

    Raises traitlets.TraitError for a key that is no statement and for an answer that is neither True nor False.
    """

    _esm = STATIC / "true_or_false.js"
    _css = STATIC / "true_or_false.css"
    fixed = ("again",)
    again = traitlets.Bool(False).tag(sync=True)
    _statements = traitlets.List().tag(sync=True)
    _since = traitlets.Unicode().tag(sync=True)  # what a browser kept before is forgotten
    answers = traitlets.Dict().tag(sync=True)
    save_html = _static.save_html

    def __init__(self, **traits):
        rows = [{"key": s.key, "text": s.text, "lesson": s.lesson} for s in STATEMENTS]
        kept = {"answers": said(again=bool(traits.get("again")))}
        super().__init__(_statements=rows, _since=progress.kept()["forgotten"], **kept | traits)
        self.observe(self._keep, "answers")

    def _keep(self, change):
        kept = progress.kept()["guesses"]
        for statement in STATEMENTS:
            key = _key(statement, self.again)
            if "it_was" not in kept.get(key, {}):
                progress.guessed(key, statement.text, WORDS.get(change.new.get(statement.key), ""))

    @traitlets.validate("answers")
    def _check_answers(self, proposal):
        keys = [statement.key for statement in STATEMENTS]
        for key, answer in proposal.value.items():
            if key not in keys:
                raise traitlets.TraitError(f"{key!r} is none of the {len(keys)} statements: {', '.join(keys)}.")
            if not isinstance(answer, bool):
                raise traitlets.TraitError(f"the answer to {key!r} is {answer!r}; it must be True or False.")
        return proposal.value

    def __repr__(self) -> str:
        return f"TrueOrFalse({len(self.answers)} of {len(STATEMENTS)} answered)"

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and the statements as a list for places that run no script."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        rows = "".join(f"<li>{escape(statement.text)}</li>" for statement in STATEMENTS)
        return {**data, "text/html": f"<p>True or false? Run this cell to answer.</p><ol>{rows}</ol>"}, metadata


def said(*, again: bool) -> dict[str, bool]:
    """What was answered, by the statement's key: before the course, or again at its end."""
    kept, meaning = progress.kept()["guesses"], {word: answer for answer, word in WORDS.items()}
    words = {statement.key: kept.get(_key(statement, again), {}).get("said") for statement in STATEMENTS}
    return {key: meaning[word] for key, word in words.items() if word in meaning}


def _key(statement: Statement, again: bool) -> str:
    return f"{LAST if again else FIRST}.{statement.key}"


@dataclass(frozen=True, repr=False)
class ThenAndNow:
    """A table: the statement, what you said before the course, what you say now, what it was. It praises nobody."""

    then: dict[str, bool]
    now: dict[str, bool]

    @property
    def right(self) -> tuple[int, int]:
        """How many answers were right, then and now."""
        return tuple(sum(said.get(s.key) is s.is_true for s in STATEMENTS) for said in (self.then, self.now))

    def _rows(self):
        for s in STATEMENTS:
            before, after = (WORDS.get(said.get(s.key), "no answer") for said in (self.then, self.now))
            yield s.text, before, after, WORDS[s.is_true], s.lesson

    def __repr__(self) -> str:
        lines = [f"{text}\n    then: {a}   now: {b}   it was: {c} (lesson {at})" for text, a, b, c, at in self._rows()]
        return "\n".join([*lines, self._sum()])

    def _sum(self):
        (then, now), all_of_them = self.right, len(STATEMENTS)
        return f"Right then: {then} of {all_of_them}; right now: {now} of {all_of_them}."

    def _repr_html_(self) -> str:
        cell = "text-align:left;vertical-align:top;padding:4px 16px 4px 0;white-space:normal"
        heads = ("statement", "then", "now", "it was", "settled in lesson")
        lines = ['<table style="margin:4px 0;max-width:860px;border-collapse:collapse;line-height:1.5">']
        head = "".join(f'<th scope="col" style="{cell}">{each}</th>' for each in heads)
        lines += [f'<tr style="background:none">{head}</tr>']
        for text, before, after, was, lesson in self._rows():
            cells = (escape(text), before, after, f"<b>{was}</b>", lesson)
            lines += ['<tr style="background:none">' + "".join(f'<td style="{cell}">{c}</td>' for c in cells) + "</tr>"]
        return "\n".join([*lines, "</table>", f"<p>{self._sum()}</p>"])


def then_and_now() -> ThenAndNow:
    """The answers before the course and at its end, beside what each statement was. From now on both stay as they are;
    checks.reset("00") and checks.reset("14") forget them."""
    found = ThenAndNow(said(again=False), said(again=True))
    for statement in STATEMENTS:
        for again in (False, True):
            progress.answered(_key(statement, again), WORDS[statement.is_true])
    return found
