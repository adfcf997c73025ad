"""The exercise of lesson 04 for a pencil: what the attention of a published model costs, to the order of magnitude."""

import math

from mha_lab.checks.card import Result
from mha_lab.checks.engine import AnswerExercise, answer_exercise
from mha_lab.checks.pencil import numbers_of, off
from mha_lab.checks.returned import a_thing

ASKED = {
    "parameters": "parameters, {}",
    "FLOPs of one layer": "FLOPs of one layer, {} FLOPs",
    "time of all layers": "time of all layers, {} seconds",
    "scores of one layer": "scores of one layer, {} bytes",
    "the length where the terms meet": "the terms meet at {} tokens",
}
"""What is asked for, and how its number is told, with its unit."""

SLIPS = {
    "parameters": {
        4.19e6: "that is one layer. How many layers has the model?",
        2.52e7: "that is one matrix in each layer. How many matrices has a layer?",
        1.05e6: "that is one matrix. How many has a layer, and how many layers are there?",
        1.61e9: "that is 16 times too many. Has each head four matrices of full width?",
        4.03e8: "that is four times as many: bytes, perhaps. How many *numbers* are there?",
    },
    "FLOPs of one layer": {
        2.68e9: "that is half. A multiply-add is two operations: which two?",
        1.07e9: "that is one projection, or the two products of attention alone. Which six products has a layer?",
        1.29e11: "that is all 24 layers. How much is one of them?",
        8.59e10: "that is 16 times too much. Does each head do the work of the whole layer?",
        2.15e10: "that is four times as much. Over how many numbers does one head's dot product run: 1,024, or 64?",
        8.39e6: "those are the projections of one token. How many tokens are there?",
        3.36e8: "that is one head's share. How many heads has the layer?",
    },
    "time of all layers": {
        0.054: "that is one layer. How many layers has the model?",
        1290: "those are milliseconds. How many seconds are they?",
        0.645: "that is half. A multiply-add is two operations: did you count both?",
        30.9: "that is 24 times too long, as if all layers were counted twice. Which number had them already?",
        20.6: "that is 16 times too long. Does each head do the work of the whole layer?",
        1.29e11: "those are operations. How many of them does the processor do in a second?",
        7.76e-13: "that is the rate divided by the work. Which of the two is above the line?",
    },
    "scores of one layer": {
        4.19e6: "those are numbers. How many bytes takes each of them?",
        1.05e6: "that is one head's map. How many heads has the layer?",
        2.62e5: "those are the numbers of one map. How many maps are there, and how many bytes takes a number?",
        3.28e4: "that grows with N, and not with N². How many keys does each query meet?",
        4.03e8: "that is all 24 layers at once. Must a layer keep the scores of the one before it?",
        16.8: "those are megabytes. How many bytes are they?",
    },
    "the length where the terms meet": {
        1024: "that is D. From which N on is 4N²D more than 8ND²?",
        4096: "that is so under a causal mask. Does this model hide anything?",
        512: "that is the longest text of the model. From which N on is 4N²D more than 8ND²?",
        64: "that is the width of one head. Which width stands in both terms?",
    },
}
"""What slips give for each, and what a teacher would ask."""


def _near(number: float, right: float) -> bool:
    """Whether less than a factor of 2 lies between them: numbers from a pencil are rounded, and that is fine."""
    return number > 0 and abs(math.log2(number / right)) < 0.95


def _what_it_is(answer) -> str:
    """What stands where five numbers were asked for: among five things, the first that is no number."""
    if isinstance(answer, tuple | list) and len(answer) == len(ASKED):
        for name, thing in zip(ASKED, answer):
            if numbers_of([thing], 1) is None:
                return f"the one for {name} is {a_thing(thing)}"
    return f"this is {a_thing(answer)}"


def _told(name: str, number: float) -> str:
    return ASKED[name].format(f"{number:,.4g}")


def _slip(name: str, number: float, right: float) -> str:
    known = next((question for slip, question in SLIPS[name].items() if math.isclose(number, slip, rel_tol=0.2)), None)
    if known is None and number > 0:
        known = f"that is {off(number, right, 2)}. Which sizes is it a product of?"
    return f"{_told(name, number)}: {known or 'it is more than 0. Which sizes is it a product of?'}"


def _judge(task: AnswerExercise, answer, _) -> Result:
    numbers = numbers_of(answer, len(ASKED))
    if numbers is None:
        asked = ", ".join(ASKED)
        return task.result(
            "wrong",
            "not yet",
            f"Five numbers were asked for ({asked}), and {_what_it_is(answer)}.",
            mistake="not_what_was_asked",
        )
    right = task.solution()
    wrong = [row for row in zip(ASKED, numbers, right, strict=True) if not _near(*row[1:])]
    if not wrong:
        exact = "; ".join(map(_told, ASKED, right))
        return task.result("passed", "passes: five of five within a factor of two", f"Computed: {exact}.", task.then)
    verdict = f"not yet: {len(ASKED) - len(wrong)} of {len(ASKED)} are within a factor of two"
    factors = [number / target for _, number, target in wrong]
    if len(wrong) > 2 and 0 < max(factors) < 1.5 * min(factors):
        line = f"{len(wrong)} of your numbers are off by one factor, about {factors[0]:.1g}. Which unit, or which size?"
        return task.result("wrong", verdict, line, mistake="one_factor")
    key = f"number_{list(ASKED).index(wrong[0][0]) + 1}"
    return task.result("wrong", verdict, *[_slip(*row) for row in wrong], mistake=key)


@answer_exercise(
    stars=2,
    minutes=6,
    hint="Which of the five numbers know the number of heads, which the number of layers, and which the number of "
    "tokens?",
    second_hint="A layer has four matrices of d_model times d_model. Its work is one term for them and one for the two "
    "products in attention, as section 2 has them. A time is work over rate. Scores are a map for each head, a number "
    "for each pair of tokens. Round as you go: 1,024 is a thousand.",
    then="One digit was enough to say that the layer is cheap, that its projections do most of the work, and that its "
    "scores fit anywhere. The clock then says how far a processor is from its rate.",
    judge=_judge,
)
def cost_on_paper(layers=24, d_model=1024, num_heads=16, tokens=512, rate=1e11):
    """Parameters of attention in all layers; FLOPs of one layer; seconds for all layers;
    bytes of one layer's scores in float32; tokens at which QKᵀ and AV equal the projections."""
    parameters = layers * 4 * d_model**2
    one_layer = 8 * tokens * d_model**2 + 4 * tokens**2 * d_model
    scores = num_heads * tokens**2 * 4
    return parameters, one_layer, layers * one_layer / rate, scores, 2 * d_model
