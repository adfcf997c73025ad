"""Exercises of lesson 10 on judging: sizes of a long text by pencil, and percentages whose conditions differ."""

import math
from collections.abc import Sequence

from mha_lab import long_sequences as long
from mha_lab.checks.card import Result
from mha_lab.checks.engine import answer_exercise
from mha_lab.checks.pencil import numbers_of, off
from mha_lab.checks.returned import a_thing

# ------------------------------------------------------------------------------------------------------ with a pencil

SIZES = {
    "scores of one layer": "GB",
    "cache of all layers": "GB",
    "the same with windows": "GB",
    "share of the scores in a window": "",
}
"""What is asked for, and its unit."""

SLIPS = {
    "scores of one layer": {
        3.2: "half of it. How many bytes are 16 bits?",
        12.8: "twice as much. How many bytes are 16 bits?",
        204.8: "that is all 32 layers at once. Must a layer keep the scores of the one before it?",
        1.6: "a quarter of it. Shared keys save keys: how many *queries* ask, and does each keep its own scores?",
        0.2: "that is one head. How many heads ask?",
        0.00064: "that grows with N, not with N². How many keys does each query score?",
    },
    "cache of all layers": {
        0.655: "half of it. A cache keeps two things of each token: which?",
        5.24: "four times as much. Which heads have keys of their own: the 32, or the 8 that they share?",
        2.62: "twice as much. How many bytes are 16 bits?",
        0.041: "that is one layer. How many layers have a cache?",
        0.16384: "that is one key/value head. How many are there?",
    },
    "the same with windows": {
        1.31: "that is the cache without a window. How many tokens are still in it?",
        0.0655: "half of it. A cache keeps two things of each token: which?",
        0.524: "four times as much. Which heads have keys of their own: the 32, or the 8 that they share?",
        0.262: "twice as much. How many bytes are 16 bits?",
        0.0041: "that is one layer. How many layers have a cache?",
    },
    "share of the scores in a window": {
        0.1: "half of it. That compares with all N² scores: how many of them does *causal* attention have?",
        0.05: "a quarter of it: half was taken of the window. Does a token see half of its window, or all?",
        5.26: "that is the other way round. Which of the two numbers is the smaller one?",
        19: "that is in per cent; write it as a share of 1. What is 50 % as a share?",
    },
}
"""What slips give for each, and what a teacher would ask."""

NEAR = 0.1  # a pencil may be a tenth off


def _near(number: float, target: float) -> bool:
    return abs(number - target) <= NEAR * abs(target)


def _judge_pencil(task, answer, _) -> Result:
    numbers = numbers_of(answer, len(SIZES))
    if numbers is None:
        asked = ", ".join(SIZES)
        return task.result(
            "wrong",
            "not yet",
            f"Four numbers were asked for ({asked}), and this is {a_thing(answer)}.",
            mistake="not_what_was_asked",
        )
    rows = list(zip(SIZES, numbers, task.solution(), strict=True))
    wrong = [row for row in rows if not _near(*row[1:])]
    if not wrong:
        return task.result("passed", "passes: all four within a tenth", task.then)
    factors = {f"{number / target:.2g}" for _, number, target in rows[:3]}
    verdict = f"not yet: {len(SIZES) - len(wrong)} of {len(SIZES)} are within a tenth"
    if len(factors) == 1 and len(wrong) >= 3:
        line = f"All three sizes are off by one factor, {factors.pop()}. Which unit, or which number of bytes, is it?"
        return task.result("wrong", verdict, line, *[_slip(*row) for row in wrong[3:]], mistake="one_factor")
    key = f"number_{list(SIZES).index(wrong[0][0]) + 1}"
    return task.result("wrong", verdict, *[_slip(*row) for row in wrong], mistake=key)


def _slip(name: str, number: float, target: float) -> str:
    said = f"{name}, {number:,.6g} {SIZES[name]}".strip()
    known = next((question for slip, question in SLIPS[name].items() if math.isclose(number, slip, rel_tol=0.04)), None)
    if known is None and number > 0:
        known = f"that is {off(number, target)}. Which sizes is it a product of?"
    return f"{said}: {known or 'it is more than 0. Which sizes is it a product of?'}"


@answer_exercise(
    stars=2,
    minutes=5,
    hint="For each size, say first what is counted, how many there are of it, and how many bytes one takes: which of "
    "the numbers above does it have, and which not?",
    second_hint="Every query head scores each pair of tokens, and a layer forgets the scores of the one before it. A "
    "cache keeps a key and a value of each token, for each head that has keys of its own, in each layer. Causal "
    "attention fills half of a square, a window a band of it.",
    then="Scores grow with N², a cache with N, a window with neither. Such an estimate takes a minute, and a cluster "
    "that runs out of memory takes a day.",
    judge=_judge_pencil,
)
def with_a_pencil(N=10_000, layers=32, num_heads=32, num_kv_heads=8, d_head=128, window=1_000):
    """In 16 bits, one text: GB of one layer's scores; GB of the cache; GB of the cache with
    windows; the share of causal attention's scores that a causal window leaves."""
    scores = num_heads * N**2 * 2
    a_token = 2 * layers * num_kv_heads * d_head * 2
    in_a_window = N * window - window * (window - 1) // 2
    share = in_a_window / (N * (N + 1) // 2)
    return scores / 1e9, a_token * N / 1e9, a_token * window / 1e9, share


# -------------------------------------------------------------------------------------------------------- percentages

CONDITIONS = "length", "weights", "texts"
REPORTS = {
    "a": (2048, "without", 1),
    "b": (2048, "with", 1),
    "c": (512, "without", 1),
    "d": (512, "with", 1),
    "e": (512, "with", 32),
}
"""Tokens; one layer without its weights, or the model of section 5 with them; and texts at once, by report."""


def saved(letter: str) -> float:
    """The share of memory that the fused kernel saves in a report."""
    n, weights, texts = REPORTS[letter]
    if weights == "without":
        return 1 - 5 / (n / long.D_HEAD + 6)
    return 1 - long.model_bytes(n, batch=texts, fused=True) / long.model_bytes(n, batch=texts)


def _differ_in(pair: str) -> list[str]:
    one, other = (REPORTS[letter] for letter in pair)
    return [name for name, mine, theirs in zip(CONDITIONS, one, other) if mine != theirs]


def _judge_percentages(task, answer, _) -> Result:
    *pairs, count = answer if isinstance(answer, Sequence) and len(answer) == 4 else (None,) * 4
    pairs = ["".join(sorted(pair.lower())) if isinstance(pair, str) else "" for pair in pairs]
    if any(len(pair) != 2 or not set(pair) <= set(REPORTS) for pair in pairs) or not isinstance(count, int):
        words = 'The answer is three pairs of letters from a to e and a number, such as ("ab", "cd", "ae", 1)'
        return task.result("wrong", "not yet", f"{words}, and this is {a_thing(answer)}.", mistake="not_what_was_asked")
    lines = [_about(pair, asked) for pair, asked in zip(pairs, CONDITIONS) if _differ_in(pair) != [asked]]
    if count != len(_differ_in("ae")):
        lines.append(
            f"Between a and e you count {count}. Compare them one by one: their lengths, whether the weights are "
            "counted, how many texts they read. How many differ?"
        )
    if not lines:
        numbers = [f"{pair[0]} and {pair[1]}, {saved(pair[0]):.0%} and {saved(pair[1]):.0%}" for pair in pairs]
        told = ", ".join(f"{name} {number}" for name, number in zip(("length:", "weights:", "texts:"), numbers))
        return task.result("passed", "passes: one condition at a time", f"What each does: {told}.", task.then)
    told = [_differ_in(pair) == [asked] for pair, asked in zip(pairs, CONDITIONS)]
    key = "how_many_differ" if all(told) else f"pair_{told.index(False) + 1}"
    return task.result("wrong", f"not yet: right are {4 - len(lines)} of 4", *lines, mistake=key)


def _about(pair: str, asked: str) -> str:
    differ, name = _differ_in(pair), {"length": "the length", "weights": "the weights", "texts": "the number of texts"}
    if not differ:
        return f"For {name[asked]} you name one report twice, {pair}. With what is it compared?"
    if len(differ) > 1:
        return (
            f"For {name[asked]}: {pair[0]} and {pair[1]} ({saved(pair[0]):.0%} and {saved(pair[1]):.0%}) differ in "
            f"{' and '.join(name[each] for each in differ)}. Which of them is to be thanked for the difference?"
        )
    return (
        f"For {name[asked]}: {pair[0]} and {pair[1]} differ in {name[differ[0]]} alone, so they show what that does. "
        f"Which two are alike but for {name[asked]}?"
    )


@answer_exercise(
    stars=2,
    minutes=5,
    hint="Write three words beside each report, its length, its weights, its texts: which two rows of your table "
    "differ in one place only?",
    second_hint="Take the condition that is asked for. Cover its column, and look for two rows that are now the same.",
    then="It is one kernel in all five. To compare a with e is to compare three conditions, and not two kernels.",
    judge=_judge_percentages,
)
def percentages():
    """A pair of reports that shows what the length does, one for the weights, one for the number of
    texts; and in how many of these conditions reports a and e differ."""
    return "ac", "ab", "de", 3
