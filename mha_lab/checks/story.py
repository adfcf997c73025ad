"""What is said beside a verdict: for a wrong answer what was seen, in the order in which it helps."""

from collections.abc import Callable
from functools import partial
from itertools import permutations

from mha_lab.checks import learner
from mha_lab.checks.card import Result
from mha_lab.checks.compare import ROUNDED, alike
from mha_lab.checks.pattern import POWERS, regularity, without_zeros
from mha_lab.checks.question import Question
from mha_lab.checks.returned import as_parts, unreadable
from mha_lab.checks.run import Outcome, all_changed, copied, quietly
from mha_lab.checks.weights import about_weights


def not_yet(task: Question, function: Callable, cases, targets, yours, gaps) -> Result:
    """A known mistake's question, if one fits every case; then what was raised, what differs, what all of it shares."""
    if all(each.error is None and each.parts is None for each in yours):
        line = unreadable(yours[0].returned, task.parts)
        if isinstance(function, type):
            line = f"you handed in a class, and a call of it makes an object: {line}"
        key = "returns_nothing" if yours[0].returned is None else "returns_no_numbers"
        return task.result("wrong", "not yet", line[0].upper() + line[1:], mistake=key, of=len(cases))
    key, message = task.known_mistake(yours, cases)
    if not key and any(each.error is not None for each in yours):
        key = "raises"
    lines = [message] if message else []
    if not message:
        lines += _about_the_calls(task, function, cases, targets, yours, gaps)
    lines += _raised(task, cases, yours) + _nothing_returned(task, cases, yours)
    shown = _most_telling(task, gaps)
    if shown is not None:
        lines += [_difference(task, cases[shown], yours, gaps, shown)]
    if not message:
        lines += _in_common(task, cases, targets, yours, gaps)
    if all_changed(yours):
        lines += [f"The {all_changed(yours)} also came back changed: which line writes into what it was given?"]
    right = sum(not gap for gap in gaps)
    verdict = f"not yet: right on {right} of {len(cases)} shapes" if right else "not yet"
    drawing = None if shown is None else drawn(task, yours[shown], targets[shown], cases[shown])
    return task.result("wrong", verdict, *lines, picture=drawing, mistake=key, right=right, of=len(cases))


def drawn(task: Question, yours: Outcome, target: Outcome, case: tuple) -> Callable | None:
    """The picture, to be drawn when somebody looks; only of shapes that can stand side by side."""
    if not task.picture or [part.shape for part in yours.parts] != [part.shape for part in target.parts]:
        return None
    return lambda: task.picture(yours.parts, target.parts, *case)


def in_half(yours: list[Outcome]) -> str | None:
    """The remark that goes with right numbers in half precision."""
    half = next((dtype for each in yours for dtype in each.dtypes if dtype in ROUNDED), None)
    return half and f"Your numbers are in {half}: they are right to its two or three digits."


def with_help(function: Callable, case: tuple, in_numpy: bool) -> str | None:
    """The remark that goes with an answer that lets mha_lab do the work."""
    given = [copied(argument, in_numpy) for argument in case]
    with quietly():
        names = learner.helpers_of_the_lab(function, *given)
    if not names:
        return None
    called = " and ".join(f"`{name}`" for name in names[:3])
    return f"The work is done by mha_lab's {called}. Could you also write it with torch alone?"


def done_by_the_lab(task: Question, function: Callable, case: tuple) -> bool:
    """Whether one call of mha_lab returned the whole answer, or our solution did, whatever was written around it."""
    with quietly():
        found = learner.work_of_the_lab(function, task.solution.__code__, *(copied(each, False) for each in case))
        right = task.run(function, case)
    if found is None or right.parts is None:
        return False
    ours, returned = found
    parts = list(task.parts.values())
    each = (as_parts(value, parts)[0] for value in returned)
    return ours or any(got and all(map(alike, got, right.parts)) for got in each)


def _about_the_calls(task, function, cases, targets, yours, gaps) -> list[str]:
    """What single numbers cannot tell: arguments or results in another order, a result that changes with the call."""
    lines = [learner.other_order(function, task.names), _parts_exchanged(task, targets, yours)]
    wrong = next((i for i, gap in enumerate(gaps) if gap and yours[i].parts is not None), None)
    if wrong is not None:
        with quietly():
            again = task.run(function, cases[wrong], yours[wrong].in_numpy)
        if again.parts is not None and not all(map(alike, again.parts, yours[wrong].parts)):
            lines += [
                "Called twice with the same input, your function gives two different results. What in it is random, "
                "as dropout is, or remembers the call before?"
            ]
    return [line for line in lines if line]


def _parts_exchanged(task, targets, yours) -> str | None:
    """One sentence where the right results come in another order."""
    names = list(task.parts)
    for order in permutations(range(len(names))):
        pairs = zip(yours, targets, strict=True)
        if list(order) != sorted(order) and all(
            mine.parts and all(alike(mine.parts[j], right.parts[i]) for j, i in enumerate(order))
            for mine, right in pairs
        ):
            theirs = ", ".join(names[i] for i in order)
            return f"All results are right and come in the order ({theirs}). In which order does the task name them?"
    return None


def _raised(task, cases, yours) -> list[str]:
    raised = next((i for i, each in enumerate(yours) if each.error is not None), None)
    if raised is None:
        return []
    where, code = learner.what_was_raised(yours[raised].error)
    return [f"Called with {task.call_in_words(cases[raised])}, your code raises an error{where}:", code]


def _nothing_returned(task, cases, yours) -> list[str]:
    """Of a function that returns something elsewhere."""
    unread = [i for i, each in enumerate(yours) if each.error is None and each.parts is None]
    if not unread:
        return []
    case, returned = cases[unread[0]], yours[unread[0]].returned
    if returned is not None:
        return [f"Called with {task.call_in_words(case)}: {unreadable(returned, task.parts)}"]
    return [
        f"Your function returned nothing for {task.call_in_words(case)}, though it does return something for other "
        "inputs. Which way through it ends without a `return`?"
    ]


def _most_telling(task, gaps: list[dict[str, str]]) -> int | None:
    """The first case in which the first cause is wrong: weights explain an output, not the other way round."""
    for name in task.blame or task.parts:
        for i, gap in enumerate(gaps):
            if name in gap:
                return i
    return None


def _difference(task, case, yours, gaps, shown) -> str:
    name, gap = next(iter(gaps[shown].items()))
    call = f"Called with {task.call_in_words(case)}:"
    if len(task.parts) == 1:
        return f"{call} {gap}"
    fine = [part for part in task.parts if all(part not in gap for gap in gaps) and all(each.parts for each in yours)]
    praise = f"the {' and the '.join(fine)} {_are(fine)} right; " if fine else ""
    return f"{call} {praise}in the {name}, {gap}"


def _are(names: list[str]) -> str:
    return "are" if len(names) > 1 or names[0].endswith("s") else "is"


def _in_common(task, cases, targets, yours, gaps) -> list[str]:
    """One sentence where all wrong numbers have one factor, one difference or one temperature."""
    wrong = next((name for name in task.blame or task.parts if any(name in gap for gap in gaps)), None)
    if wrong is None or any(each.parts is None for each in yours):
        return []
    i = list(task.parts).index(wrong)
    pairs = [(mine.parts[i], right.parts[i]) for mine, right in zip(yours, targets, strict=True)]
    sizes = [task.sizes_of(case) for case in cases]
    line = None
    if wrong == "weights":
        line = about_weights(pairs, sizes, task.parts[wrong])
    if not line and task.at_scale:
        line = _other_scale(task, cases, yours, sizes)
    line = line or regularity(pairs, sizes)
    return [line] if line else []


def _other_scale(task, cases, yours, sizes) -> str | None:
    """One sentence where yours is what ours computes with another number in place of the root of the head's width."""
    numbers = {f"{n}": [n] * len(cases) for n in (2, 4, 8, 10)} | {"√8": [8**0.5] * len(cases)}
    sizes = without_zeros(sizes)
    for name in sizes[0]:
        numbers |= {POWERS[p].format(name, name): [size[name] ** p for size in sizes] for p in (1, 0.5, 2, 1.5)}
    for words, each in numbers.items():
        for verb, scales in (("divided", each), ("multiplied", [1 / number for number in each])):
            at = (task.run(partial(task.at_scale, scale), case) for scale, case in zip(scales, cases, strict=True))
            if all(task.same(mine, other) for mine, other in zip(yours, at, strict=True)):
                return (
                    f"Yours is what comes out where the scores are {verb} by {words}. Which number keeps their spread "
                    "at 1, whatever the width of a head is?"
                )
    return None
