"""Exercises of lesson 09 on judging: which baselines belong beside a number, what pairing the seeds is worth, and which
comparison changes one thing."""

from collections.abc import Mapping
from functools import cache

import torch

from mha_lab import models, tasks
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import answer_exercise, exercise, seeded
from mha_lab.checks.returned import a_thing

# --------------------------------------------------------------------------------------------------------- baselines

OPPONENTS = {
    "a": "always the most frequent answer",
    "b": "one of the 17 answers, at random",
    "c": "one of the wishes that the sentence names, at random",
    "d": "one of the wishes that have a number, at random",
    "e": "the BiLSTM after 500 steps instead of 2,000",
    "f": "a rule that finds the number pointed at, and reads that wish alone",
}
"""Who may stand beside a model's share of right answers to the ordinals."""


def _ordinals(test):
    return [example for example in test.examples if example.kind == "ordinal"]


def shares_of_opponents(test) -> dict[str, float]:
    """The share of right answers to the ordinals of a Chinese test, by letter of `OPPONENTS`. Those that guess have
    what they get on average."""
    examples = _ordinals(test)
    labels = torch.tensor([example.label for example in examples])
    recorded = tasks.recorded_intents()
    return {
        "a": labels.bincount().max().item() / len(examples),
        "b": 1 / len(tasks.INTENTS),
        "c": sum(1 / len(example.named) for example in examples) / len(examples),
        "d": sum(1 / len(tasks.numbered_wishes(example.sentence)) for example in examples) / len(examples),
        "e": recorded.accuracy("BiLSTM", "ordinal", steps=500).mean().item(),
        "f": _share_of_the_rule(tuple(example.sentence for example in examples), tuple(labels.tolist())),
    }


@cache
def _share_of_the_rule(sentences, labels):
    reader = models.SentenceReader(models.trained_intent_model("BiLSTM"), tasks.intents("test", language="zh"))
    said = (int(reader.read(tasks.pointed_at(sentence)).probabilities.argmax()) for sentence in sentences)
    return sum(answer == label for answer, label in zip(said, labels)) / len(labels)


def _letter(answer) -> str | None:
    letter = answer.strip(" .()'\"").lower() if isinstance(answer, str) else ""
    return letter if letter in OPPONENTS else None


def _judge_baselines(task, answer, test):
    if not hasattr(test, "examples") or getattr(test, "language", None) != "zh" or not _ordinals(test):
        return task.result(
            "wrong",
            "not yet",
            f"The answer is judged on the Chinese test: `checks.{task.__name__}((floor, ceiling), test)`. Where is "
            "the second argument?",
        )
    if not isinstance(answer, (tuple, list)) or len(answer) != 2 or None in map(_letter, answer):
        return task.result(
            "wrong",
            "not yet",
            f"The answer is a pair of letters from a to f, (floor, ceiling), and this is {a_thing(answer)}.",
        )
    floor, ceiling = map(_letter, answer)
    share, model = shares_of_opponents(test), tasks.recorded_intents().accuracy("relative", "ordinal").mean().item()
    if (floor, ceiling) == task.solution(test):
        return task.result(
            "passed",
            f"passes: the floor is {share[floor]:.2f}, the ceiling {share[ceiling]:.2f}",
            f"Attention with a relative bias answers {model:.2f} of the ordinals, no more than the floor: it finds the "
            "wishes that have a number, and does not read which one is meant. And the sentence does say it.",
            task.then,
        )
    if (ceiling, floor) == task.solution(test):
        return task.result(
            "wrong",
            "not yet",
            "The two are exchanged. Which of them costs nothing, and which shows what can be had?",
            mistake="exchanged",
        )
    lines = [_about_the_floor(floor, share, model), _about_the_ceiling(ceiling, share)]
    key = "floor" if lines[0] else "ceiling"
    return task.result("wrong", "not yet", *filter(None, lines), mistake=key)


def _about_the_floor(floor, share, model):
    about = f"Your floor, “{OPPONENTS[floor]}”, is right at {share[floor]:.2f}."
    if floor in "ab":
        return (
            f"{about} Beside it {model:.2f} looks like a great success, but it does not know which wishes the sentence "
            "names. Which opponent knows everything except the skill that is tested?"
        )
    if floor == "c":
        return (
            f"{about} It also names wishes that no number stands before, and a model that leaves these out is ahead "
            "without having read a number. Which opponent leaves them out, too?"
        )
    if floor == "e":
        return (
            f"{about} That is a comparison, and no floor: another model may fail at the same thing. Which opponent "
            "cannot have the skill, however it was trained?"
        )
    return f"{about} It has the very skill that is tested. Which opponent has everything else?" if floor == "f" else ""


def _about_the_ceiling(ceiling, share):
    about = f"Your ceiling, “{OPPONENTS[ceiling]}”, is right at {share[ceiling]:.2f}."
    if ceiling == "e":
        return (
            f"{about} It tells what one training reached, and not what the sentences allow. Which opponent shows that "
            "the answer stands in the sentence?"
        )
    return f"{about} It guesses. Which opponent shows how much can be had?" if ceiling in "abcd" else ""


@answer_exercise(
    stars=2,
    minutes=4,
    hint="What can somebody do who reads everything in these sentences but the number that is pointed at?",
    second_hint="The floor is what you get without the one skill that is tested, and with all the others: so leave out "
    "opponents that lack more than that. The ceiling is what the sentences allow: somebody who has the skill by "
    "construction, and not by training.",
    then="A number alone says nothing. Name its floor and its ceiling, and choose them before you look.",
    judge=_judge_baselines,
)
def two_baselines(test):
    """(floor, ceiling), two letters of the list: between which two opponents does a model's share
    of right ordinals mean something?"""
    return "d", "f"


# ------------------------------------------------------------------------------------------------------ paired seeds


def _pairs():
    cases = []
    for seed, (n,) in enumerate(sized([(3,), (5,), (4,), (9,), (2,), (6,)])):
        batches, own, other = seeded(seed, (n,), (n,), (n,))  # what the seed does to both, and to each
        cases.append((0.3 + 0.7 * batches + own, 0.7 * batches + other))
    return cases


@exercise(
    stars=2,
    minutes=5,
    hint="Seed 1 drew hard batches, and both models suffer. What can you compute for each seed in which that cancels?",
    second_hint="By pairs: subtract seed by seed, and divide the mean of these differences by their standard error, "
    "which is their standard deviation (torch's `std`) over the root of their number. As two groups: the same mean, "
    "but its error squared is the sum of both models' squared standard errors.",
    then="What a seed does to both models cancels in the pairs. Where nothing is shared, pairing loses little.",
    cases=_pairs,
    parts={"paired": (), "unpaired": ()},
    sizes=lambda one, other: {"(number of seeds)": len(one)},
)
def in_standard_errors(one, other):
    """Accuracies of two models, (seeds,) each, in the order of the same seeds → how many standard
    errors the mean of one − other lies from 0: by pairs of seeds, and as two separate groups."""
    n, gain = len(one), one - other
    by_pairs = gain.std() / n**0.5
    as_groups = ((one.var() + other.var()) / n) ** 0.5
    return gain.mean() / by_pairs, gain.mean() / as_groups


def _both(one, other, *, correction=1, divided=0.5, gain=None):
    """Paired and unpaired, with what a mistake changes."""
    n = len(one)
    gain = one - other if gain is None else gain
    groups = one.var(correction=correction) + other.var(correction=correction)
    return gain.mean() / (gain.std(correction=correction) / n**divided), gain.mean() / (groups**0.5 / n**divided)


@in_standard_errors.mistake(
    "Both of your numbers are those of two separate groups. Seed 0 of one model and seed 0 of the other saw the same "
    "batches: what cancels if you subtract before you take the spread?"
)
def never_paired(one, other):
    return (_both(one, other)[1],) * 2


@in_standard_errors.mistake(
    "Both of your numbers are paired. If nobody knew which accuracies share a seed, from which two spreads would the "
    "error come?"
)
def always_paired(one, other):
    return (_both(one, other)[0],) * 2


@in_standard_errors.mistake(
    "You divided by how far one seed falls from the mean. How far does the mean of all of them fall?"
)
def by_the_spread(one, other):
    return _both(one, other, divided=0)


@in_standard_errors.mistake(
    "Your errors are divided by the number of seeds. A mean of n numbers is how many times better known than one?"
)
def by_the_number(one, other):
    return _both(one, other, divided=1)


@in_standard_errors.mistake(
    "Your spreads divide by the number of seeds. These seeds are a sample of all that could be drawn: what stands in "
    "its place?"
)
def of_all_seeds(one, other):
    return _both(one, other, correction=0)


@in_standard_errors.mistake("Yours is other − one. Which of the two models gains, if the number is positive?")
def the_other_way(one, other):
    return _both(other, one)


@in_standard_errors.mistake(
    "You sorted before you subtracted: the best of one meets the best of the other. Which two numbers belong to one "
    "seed?"
)
def sorted_first(one, other):
    return _both(one, other, gain=one.sort().values - other.sort().values)


@in_standard_errors.mistake(
    "You left out the signs of the differences. What becomes of a seed in which the other model wins?"
)
def without_signs(one, other):
    gain = (one - other).abs()
    return gain.mean() / (gain.std() / len(one) ** 0.5), gain.mean() / ((one.var() + other.var()) / len(one)) ** 0.5


@in_standard_errors.mistake(
    "Your pairs are right. Of two groups you added the errors as they are; in what form do independent errors add up?"
)
def errors_added(one, other):
    error = (one.std() + other.std()) / len(one) ** 0.5
    return _both(one, other)[0], (one - other).mean() / error


@in_standard_errors.mistake(
    "Your pairs are right. For two groups you took the error of one model alone. Which of the two means may be off?"
)
def error_of_one_group(one, other):
    return _both(one, other)[0], (one - other).mean() / (one.std() / len(one) ** 0.5)


@in_standard_errors.mistake("You divided the error by the mean. How many errors lie between 0 and the mean?")
def turned_over(one, other):
    return tuple(1 / each for each in _both(one, other))


@in_standard_errors.mistake(
    "Those are the two standard errors themselves. How many of them fit between 0 and the mean of the differences?"
)
def errors_alone(one, other):
    n = len(one)
    return (one - other).std() / n**0.5, ((one.var() + other.var()) / n) ** 0.5


# -------------------------------------------------------------------------------------------------------- a confound

_WORK = {"answers": "an answer", "steps": "a training step", "unequal_steps": "a training step"}
_LENGTHS = {"answers": "equal", "steps": "equal", "unequal_steps": "unequal"}


def _settings(row) -> dict[str, object]:
    what, d_model, batch, tokens = row
    return {
        "the work": _WORK[what],
        "the lengths of the sentences": _LENGTHS[what],
        "d_model": d_model,
        "the number of sentences": batch,
        "the number of tokens": tokens,
    }


def _are_rows(rows) -> bool:
    return (
        isinstance(rows, Mapping)
        and len(rows) > 1
        and all(isinstance(row, tuple) and len(row) == 4 and row[0] in _WORK for row in rows.values())
    )


def _judge_confound(task, answer, rows):
    if not _are_rows(rows):
        line = f"The answer is judged on the rows: `checks.{task.__name__}(answer, rows)`. Which cell made them?"
        return task.result("wrong", "not yet", line)
    given = answer if isinstance(answer, (tuple, list)) else [answer]
    letters = [each.strip().upper() if isinstance(each, str) else None for each in given]
    if len(letters) != 2 or len(set(letters)) != 2 or not set(letters) <= set(rows):
        names = ", ".join(rows)
        line = f"The answer is a pair of different rows, two of {names}, and this is {a_thing(answer)}."
        return task.result("wrong", "not yet", line)
    one, other = (_settings(rows[letter]) for letter in letters)
    differ = [name for name in one if one[name] != other[name]]
    speed = tasks.recorded_intent_speed()
    times = [speed.ratio(*rows[letter][1:], what=rows[letter][0]) for letter in letters]
    seen = f"attention takes {times[0]:.2f} of the BiLSTM's time in {letters[0]}, {times[1]:.2f} in {letters[1]}"
    pair = f"Rows {letters[0]} and {letters[1]} differ in"
    if len(differ) > 1:
        several = ", in ".join(differ[:-1]) + f" and in {differ[-1]}"
        line = f"{pair} {several}; {seen}. If the order turns here, which of them turned it?"
        return task.result("wrong", "not yet", line, mistake="several_things_changed")
    if (times[0] - 1) * (times[1] - 1) > 0:
        line = f"{pair} {differ[0]} alone, and {seen}: the same one is faster in both. Where does the order turn?"
        return task.result("wrong", "not yet", line, mistake="order_does_not_turn")
    line = f"{pair} {differ[0]} alone, and {seen}."
    return task.result("passed", "passes: one thing changed, and the order turned", line, task.then)


@answer_exercise(
    stars=1,
    minutes=4,
    hint="For each pair of rows, in how many columns do they differ?",
    second_hint="Look for two rows of which one lies above 1 and the other below. Then strike out each pair that "
    "differs in more than one column: in such a pair nobody can tell which column did it.",
    then="What the sweep measured belongs to this one thing, and to neither architecture.",
    judge=_judge_confound,
)
def one_thing_changed(rows):
    """Two rows of {letter: (what, d_model, sentences, tokens)} that differ in one thing, between
    which the order of the two models turns."""
    return "C", "D"
