"""Exercises of lesson 13 on paper: what an all-reduce takes, and which axis to cut."""

import math
from collections.abc import Sequence

from mha_lab.checks.card import Result
from mha_lab.checks.engine import answer_exercise
from mha_lab.checks.pencil import numbers_of, off
from mha_lab.checks.returned import a_thing

# ------------------------------------------------------------------------------------------------------- with a pencil

SIZES = {
    "what is added up": "MB",
    "what each GPU sends": "MB",
    "over NVLink": "ms",
    "over the network": "ms",
    "one token over NVLink": "µs",
}
"""What is asked for, and its unit."""

SLIPS = {
    "what is added up": {
        67.1: "half of it. How many bytes are 16 bits?",
        268.4: "twice as much. How many bytes are 16 bits?",
        16.78: "an eighth of it: each GPU has its heads' part of Concat. But what does it have behind W^O?",
        1073.7: "eight times as much. Each GPU has a share of so many numbers; how many are in their sum?",
        0.0164: "that is one token. How many are read at once?",
    },
    "what each GPU sends": {
        117.4: "half of it. The sums travel round once, and then the results do: how often is that?",
        134.2: "that is the tensor itself. In a ring every GPU passes on R − 1 parts, twice: how large is a part?",
        268.4: "nearly. R − 1 parts of R travel, twice: a GPU does not send its last part to itself, does it?",
        1879.0: "that would be the whole tensor, to each of the others and back. How large is a part of a ring?",
        939.5: "that would be the whole tensor, to each of the others. How large is a part of a ring?",
    },
    "over NVLink": {
        0.261: "half of it: 900 GB/s are both directions together. How many of them does what is sent have?",
        0.298: "that is the tensor itself, not what each GPU sends in a ring. What did you find for that?",
        4.7: "that is the network's time. Which of the two links is nine times as fast?",
    },
    "over the network": {
        0.587: "an eighth of it: 400 Gb/s are bits. How many bytes are they?",
        2.35: "half of it. The sums travel round once, and then the results do: how often is that?",
        0.522: "that is NVLink's time. How many bytes a second are 400 Gb/s?",
    },
    "one token over NVLink": {
        0.064: "that is what the bytes take. How many messages follow each other, and how long does an empty one take?",
        3.06: "that is one message. How many follow each other in a ring of 8?",
        21.06: "half of it. The sums travel round once, and then the results do: how many messages are that?",
        24.06: "there are 2 · (R − 1) messages, not R. How many are they for 8?",
        48.06: "there are 2 · (R − 1) messages, not 2 R. How many are they for 8?",
    },
}
"""What slips give for each, and what a teacher would ask."""

NEAR = 0.06  # a pencil may be so much off, and 268 is still told from 235


def _judge_pencil(task, answer, _) -> Result:
    numbers = numbers_of(answer, len(SIZES))
    if numbers is None:
        asked = ", ".join(SIZES)
        return task.result(
            "wrong",
            "not yet",
            f"Five numbers were asked for ({asked}), and this is {a_thing(answer)}.",
            mistake="not_what_was_asked",
        )
    rows = list(zip(SIZES, numbers, task.solution(), strict=True))
    wrong = [row for row in rows if abs(row[1] - row[2]) > NEAR * row[2]]
    if not wrong:
        return task.result("passed", "passes: all five are near enough", task.then)
    verdict = f"not yet: {len(SIZES) - len(wrong)} of {len(SIZES)} are near enough"
    key = f"number_{list(SIZES).index(wrong[0][0]) + 1}"
    return task.result("wrong", verdict, *[_slip(*row) for row in wrong], mistake=key)


def _slip(name: str, number: float, target: float) -> str:
    said = f"{name}, {number:,.6g} {SIZES[name]}"
    known = next((question for slip, question in SLIPS[name].items() if math.isclose(number, slip, rel_tol=0.03)), None)
    if known is None and number > 0:
        known = f"that is {off(number, target)}. What is it a product of?"
    return f"{said}: {known or 'it is more than 0. What is it a product of?'}"


@answer_exercise(
    stars=2,
    minutes=10,
    hint="Three questions for each number: how large is the tensor behind W^O, what part of it is one message of the "
    "ring, and how many messages does a GPU send one after another?",
    second_hint="The tensor has N · D numbers of 2 bytes. A ring of R sends 2 · (R − 1) messages of an R-th of it. A "
    "link of 900 GB/s in both directions gives half of it in one; eight bits are a byte. For one token the bytes "
    "hardly count: the messages do.",
    then="A long prompt waits for bytes, a single token for messages. So servers are wired with NVLink inside, and "
    "heads are split inside one server.",
    judge=_judge_pencil,
)
def all_reduce_on_paper(N=8192, D=8192, R=8, latency=3e-6):
    """N tokens of D numbers in 16 bits, R GPUs: MB of the sum; MB that each GPU sends; ms of that
    over NVLink (900 GB/s in both directions) and over a network port of 400 Gb/s; µs of the same
    for one token over NVLink."""
    size = N * D * 2
    sent = 2 * (R - 1) * size / R
    a_token = 2 * (R - 1) * latency + sent / N / 450e9
    return size / 1e6, sent / 1e6, 1e3 * sent / 450e9, 1e3 * sent / 50e9, 1e6 * a_token


# ---------------------------------------------------------------------------------------------------------- which axis

CASES = {
    "training on contracts of a million tokens; what one layer must keep of a single contract fits on no GPU": "text",
    "a thousand short reviews; the model fits on one GPU": "texts",
    "one person waits for each word; the weights fit into one server of 8 GPUs, not on one": "heads",
    "the weights need two servers, between which the network is slow; many requests at once": "layers",
}
"""A case, and the axis that is cut first."""

WHY_NOT = {
    ("text", "heads"): "Each rank would have fewer heads, and still all of the layer's input and output: N · D numbers "
    "each. What is it that a million of makes too large?",
    ("text", "texts"): "A single text is too long already. What is left to deal out?",
    (
        "text",
        "layers",
    ): "A layer's tokens would all be on one machine, and one layer of one text does not fit. Which axis is "
    "the long one?",
    ("texts", "heads"): "Every layer would stop for an all-reduce. Do the reviews have anything to say to each other?",
    ("texts", "text"): "A short review would be cut, and its keys sent round. Do the reviews have anything to say to "
    "each other?",
    (
        "texts",
        "layers",
    ): "It works, and each review passes all machines one after another. What would have to travel if "
    "each machine read its own?",
    ("heads", "text"): "The weights would lie whole on every GPU, and a new word is one token: how would you cut it?",
    ("heads", "texts"): "There is one text, and every GPU would need all of the weights. What can all GPUs do at once "
    "for one token?",
    ("heads", "layers"): "The weights fit then, but a token passes one GPU after another while the others wait. Which "
    "cut lets all of them work on one token?",
    (
        "layers",
        "heads",
    ): "Every layer would then send a sum over the slow network. Which cut sends least, and least often?",
    ("layers", "text"): "Every machine would need all of the weights. Do they fit?",
    ("layers", "texts"): "Every machine would need all of the weights. Do they fit?",
}
"""What a teacher would ask, by the right axis and the one that was named."""

WAYS = "heads", "text", "layers", "texts"


def _judge_ways(task, answer, _) -> Result:
    right = task.solution()
    named = list(answer) if isinstance(answer, Sequence) and not isinstance(answer, str) else []
    if len(named) != len(right) or not all(isinstance(each, str) and each in WAYS for each in named):
        words = f"The answer is four of the words {', '.join(WAYS)}, one for each case"
        return task.result("wrong", "not yet", f"{words}, and this is {a_thing(answer)}.")
    wrong = [(i, (target, mine)) for i, (mine, target) in enumerate(zip(named, right)) if mine != target]
    if not wrong:
        return task.result("passed", "passes: all four", task.then)
    lines = [f"Case {'abcd'[i]}, {pair[1]}: {WHY_NOT[pair]}" for i, pair in wrong]
    verdict = f"not yet: {len(right) - len(wrong)} of {len(right)} are right"
    return task.result("wrong", verdict, *lines, mistake=f"case_{'abcd'[wrong[0][0]]}")


@answer_exercise(
    stars=1,
    minutes=5,
    hint="For each case: what is it that does not fit, or takes too long: the weights, one text, or many texts?",
    second_hint="Take the axis that is too long for one machine. Where two would do, take the one that sends less and "
    "less often; but a single token cannot be cut, and one machine after another is no faster than one.",
    then="Real clusters cut several axes at once: heads inside a server, layers and texts between servers, and the "
    "text where it is long.",
    judge=_judge_ways,
)
def which_axis():
    """For each of the four cases the axis to cut: "heads", "text", "layers" or "texts"."""
    return tuple(CASES.values())
