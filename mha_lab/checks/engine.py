"""The exercise engine: run the learner's function beside ours on the same inputs and say what differs.

An exercise is a decorated function: the function is our solution, its docstring the task. `checks.split_heads(yours)`
gives a Result, which shows itself in a notebook. A wrong result is compared with what each known mistake computes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mha_lab.checks import learner
from mha_lab.checks.card import Result, source_of
from mha_lab.checks.compare import RTOL, alike, difference
from mha_lab.checks.loops import loop_over_heads
from mha_lab.checks.returned import a_thing, unreadable
from mha_lab.checks.run import Outcome, all_changed, on_plain_ground, outcome, outcomes, plain_ground
from mha_lab.checks.story import drawn, in_half, not_yet, with_help


@dataclass(frozen=True, repr=False)
class Task:
    """What a card says beside the verdict. `then` is the thought that follows a pass."""

    solution: Callable
    stars: int
    minutes: int
    hint: str
    then: str = ""

    def __post_init__(self):
        # The solution's name is the learner's too, and its docstring is the task, which IPython's ? shows.
        object.__setattr__(self, "__name__", self.solution.__name__)
        object.__setattr__(self, "__doc__", self.solution.__doc__)

    def __repr__(self) -> str:
        return f"checks.{self.__name__}: {self.__doc__}"

    @property
    def source(self) -> str:
        """The solution as a learner would type it: the very function that the checks are tested with."""
        return source_of(self.solution)

    def result(self, state: str, verdict: str, *lines: str, picture: Callable | None = None) -> Result:
        return Result(self, state, verdict, lines, picture)

    def untouched(self, how: str) -> Result:
        return self.result("untouched", "not attempted yet", how)


@dataclass(frozen=True, repr=False)
class AnswerExercise(Task):
    """An exercise answered by a word or a pair of numbers, judged on data that the lesson hands over."""

    judge: Callable = None  # (task, answer, data) -> Result

    def __call__(self, answer: Any = None, data: Any = None) -> Result:
        """Judge the answer on the data. None or `...` means that nobody has answered yet."""
        items = answer if isinstance(answer, (tuple, list)) else [answer]
        if any(item is None or item is ... for item in items):
            return self.untouched("Write your answer in place of `None` above, run that cell and then this one.")
        with plain_ground():
            return self.judge(self, answer, data)


@dataclass(frozen=True, repr=False)
class FunctionExercise(Task):
    """An exercise answered by a function.

    cases       gives the arguments of every call, tensors and numbers, the same each time
    parts       names what is returned, each with the names of its axes; more than one means a tuple
    blame       the parts in order of cause: a wrong one is told before those that are computed from it
    gap         says in one sentence how yours differs from the target: (yours, target, *arguments) -> str or None
    picture     draws yours beside the target: (yours, target, *arguments) -> figure, the first two tuples of parts
    draw_pass   whether a pass is worth a picture too
    two_counts  where a loop over heads is no solution: two cases that differ in the number of heads alone
    sizes       what a wrong factor may be made of, by name: (*arguments) -> {"d_head": 4}; if None, the numbers given
    at_scale    what ours computes with another number in place of √d_head: (number, *arguments)
    """

    cases: Callable[[], list[tuple]] = list
    parts: dict[str, Sequence[str]] = field(default_factory=dict)
    blame: Sequence[str] = ()
    gap: Callable | None = None
    picture: Callable | None = None
    draw_pass: bool = False
    two_counts: Callable[[], list[tuple]] | None = None
    sizes: Callable | None = None
    at_scale: Callable | None = None
    rtol: float = RTOL
    mistakes: list[tuple[Callable, str]] = field(default_factory=list)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "cases", on_plain_ground(self.cases))

    def mistake(self, message: str) -> Callable:
        """Decorator: what a known mistake computes from the same arguments, and what a teacher would ask about it."""

        def register(function: Callable) -> Callable:
            self.mistakes.append((function, message))
            return function

        return register

    def __call__(self, function: Callable) -> Result:
        """Run the learner's function on every case and say how it did; what it raises is reported, not raised."""
        if not callable(function):
            name = self.__name__
            return self._wrong(
                f"The check takes the function itself, `checks.{name}({name})`, and got {a_thing(function)}. "
                "Was the function called on the way in?"
            )
        if learner.is_stub(function):
            return self.untouched("Write your code in place of the `...` above, run that cell and then this one.")
        problem = learner.signature_problem(function, self.names)
        if problem:
            return self._wrong(problem)
        with plain_ground():
            return self._judged(function)

    @property
    def names(self) -> Sequence[str]:
        """The names of the arguments, as the task has them."""
        code = self.solution.__code__
        return code.co_varnames[: code.co_argcount]

    def call_in_words(self, case: tuple) -> str:
        """The arguments in words: x (2, 5, 12), num_heads = 3."""
        given = zip(self.names, case, strict=True)
        return ", ".join(f"{n} {tuple(a.shape)}" if isinstance(a, torch.Tensor) else f"{n} = {a:.4g}" for n, a in given)

    def sizes_of(self, case: tuple) -> dict[str, float]:
        """What a wrong factor may be made of in this case."""
        if self.sizes:
            return self.sizes(*case)
        return {name: given for name, given in zip(self.names, case, strict=True) if isinstance(given, int)}

    def run(self, function: Callable, case: tuple, in_numpy: bool = False) -> Outcome:
        """One call, with copies of the arguments."""
        return outcome(function, case, self.names, list(self.parts.values()), in_numpy)

    def gaps(self, yours: Outcome, target: Outcome, case: tuple) -> dict[str, str]:
        """What is wrong with each part, in order of cause; the name is "" where nothing could be compared."""
        if yours.error is not None:
            return {"": "it raises an error."}
        if yours.parts is None:
            return {"": unreadable(yours.returned, self.parts)}
        found = {}
        for name in self.blame or self.parts:
            i = list(self.parts).index(name)
            mine, right = yours.parts[i], target.parts[i]
            if self.gap:
                found[name] = self.gap(mine, right, *case)
            else:
                found[name] = difference(mine, right, self.parts[name], self.rtol, yours.dtypes[i])
        return {name: gap for name, gap in found.items() if gap}

    def known_mistake(self, yours: list[Outcome], cases: list[tuple]) -> str | None:
        """The question that goes with the mistake that gives these numbers in every case."""
        if not any(each.parts for each in yours):
            return None
        for mistake, message in self.mistakes:
            if all(self.same(mine, self.run(mistake, case)) for mine, case in zip(yours, cases, strict=True)):
                return message
        return None

    def _judged(self, function: Callable) -> Result:
        cases = self.cases()
        targets = [self.run(self.solution, case) for case in cases]

        def gaps(found: list[Outcome]) -> list[dict[str, str]]:
            return [self.gaps(*each) for each in zip(found, targets, cases, strict=True)]

        axes = list(self.parts.values())
        yours = outcomes(function, cases, self.names, axes, right=lambda found: not any(gaps(found)))
        if any(gaps(yours)):
            return not_yet(self, function, cases, targets, yours, gaps(yours))
        return self._same_numbers(function, cases, targets, yours)

    def _same_numbers(self, function, cases, targets, yours) -> Result:
        changed = all_changed(yours)
        if changed:
            return self._wrong(
                f"The numbers are right, but the {changed} came back changed, and the caller may still need what it "
                "gave. Which line writes into what it was given?"
            )
        looped = self.two_counts and loop_over_heads(function, *self.two_counts(), yours[0].in_numpy)
        if looped:
            return self._wrong(looped)
        drawing = drawn(self, yours[0], targets[0], cases[0]) if self.draw_pass else None
        remarks = [in_half(yours), with_help(function, cases[0], yours[0].in_numpy), self.then]
        return self.result("passed", f"passes on {len(cases)} shapes", *filter(None, remarks), picture=drawing)

    def _wrong(self, line: str) -> Result:
        return self.result("wrong", "not yet", line)

    def same(self, yours: Outcome, other: Outcome) -> bool:
        """Whether two calls came to the same, up to rounding: the same numbers, or an error both."""
        if yours.parts is None or other.parts is None:
            return yours.error is not None and other.error is not None
        each = zip(yours.parts, other.parts, yours.dtypes, strict=True)
        return all(alike(mine, theirs, self.rtol, dtype) for mine, theirs, dtype in each)


def exercise(**fields) -> Callable[[Callable], FunctionExercise]:
    """Decorator: this function is the solution of an exercise answered by a function."""
    return lambda solution: FunctionExercise(solution, **fields)


def answer_exercise(**fields) -> Callable[[Callable], AnswerExercise]:
    """Decorator: this function finds in the data what the learner is asked to find."""
    return lambda solution: AnswerExercise(solution, **fields)


def seeded(seed: int, *shapes: Sequence[int], spread: float = 1.0) -> list[torch.Tensor]:
    """Normal numbers of these shapes, the same ones for the same seed on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return [spread * torch.randn(shape, generator=generator) for shape in shapes]
