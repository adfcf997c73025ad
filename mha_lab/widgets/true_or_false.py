"""TrueOrFalse: ten statements about attention, called true or false before the course and again at its end."""

from dataclasses import dataclass
from html import escape

import traitlets

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


class TrueOrFalse(Living):
    """Radio rows for STATEMENTS. An answered row names the lesson that settles it; no row says which answer is right.

    answers  {statement key: True or False}, empty where nobody has answered. The page keeps a copy in the browser's
             localStorage under "mha-lab.true-or-false", for a reload and for other lessons at the same address.

    Raises traitlets.TraitError for a key that is no statement and for an answer that is neither True nor False.
    """

    _esm = STATIC / "true_or_false.js"
    _css = STATIC / "true_or_false.css"
    _statements = traitlets.List().tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    save_html = _static.save_html

    def __init__(self, **traits):
        rows = [{"key": s.key, "text": s.text, "lesson": s.lesson} for s in STATEMENTS]
        super().__init__(_statements=rows, **traits)

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
