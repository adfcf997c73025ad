"""The exercise engine: run the learner's function beside ours on the same inputs and say what differs.

An exercise is a decorated function: the function is our solution, its docstring the task. `checks.split_heads(yours)`
gives a Result, which shows itself in a notebook. A wrong result is compared with what each known mistake computes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mha_lab import progress
from mha_lab.checks import class_key, classroom, learner
from mha_lab.checks.card import Ours, Result, Task
from mha_lab.checks.loops import loop_over_heads
from mha_lab.checks.question import Question
from mha_lab.checks.returned import a_thing
from mha_lab.checks.run import Outcome, all_changed, outcomes, plain_ground
from mha_lab.checks.story import done_by_the_lab, drawn, in_half, not_yet, with_help

NOTHING_COUNTED = (
    "It is right, since it is ours; nothing is counted. Write yours whenever you like, and the check looks at that."
)
NO_POINTS = "It is right, since it is ours; points are for code of your own."


@dataclass(frozen=True, repr=False)
class AnswerExercise(Task):
    """An exercise answered by a word or a pair of numbers, judged on data that the lesson hands over."""

    judge: Callable = None  # (task, answer, data) -> Result
    withheld_in_class = Task.withheld_in_class | {"ours"}  # called, it would be the answer

    def __call__(self, answer: Any = None, data: Any = None) -> Result:
        """Judge the answer on the data. None or `...` means that nobody has answered yet."""
        items = answer if isinstance(answer, (tuple, list)) else [answer]
        if any(item is None or item is ... for item in items):
            return self.untouched("Write your answer in place of `None` above, run that cell and then this one.")
        with plain_ground():
            return remembered(self.judge(self, answer, data))


@dataclass(frozen=True, repr=False)
class FunctionExercise(Question):
    """An exercise answered by a function: the learner's is run beside ours on the same inputs."""

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
                "Was the function called on the way in?",
                "not_a_function",
            )
        if learner.is_stub(function):
            return self.untouched("Write your code in place of the `...` above, run that cell and then this one.")
        problem = learner.signature_problem(function, self.names)
        if problem:
            return self._wrong(problem, "wrong_arguments")
        with plain_ground():
            result = self._judged(function)
            if result.passed and self._is_ours(function):
                sentence = NO_POINTS if classroom.on() else NOTHING_COUNTED
                return self.result("ours", "the lab's own code", sentence, of=result.of)
            return remembered(result)

    def _is_ours(self, function: Callable) -> bool:
        """Whether the lab's own code was handed in; in a class also, whether it did all the work."""
        solution = self.solution
        if isinstance(function, Ours) or learner.is_the_labs(function, solution):
            return True
        return classroom.on() and done_by_the_lab(self, function, self.cases()[0])

    def _judged(self, function: Callable) -> Result:
        cases = self.cases() + self.held_back()
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
                "gave. Which line writes into what it was given?",
                "changes_its_inputs",
            )
        looped = self.two_counts and loop_over_heads(function, *self.two_counts(), yours[0].in_numpy)
        if looped:
            return self._wrong(looped, "loops_over_heads")
        drawing = drawn(self, yours[0], targets[0], cases[0]) if self.draw_pass else None
        remarks = [in_half(yours), with_help(function, cases[0], yours[0].in_numpy), self.then]
        many = len(cases)
        verdict = f"passes on {many} shapes"
        return self.result("passed", verdict, *filter(None, remarks), picture=drawing, right=many, of=many)

    def _wrong(self, line: str, mistake: str | None = None) -> Result:
        return self.result("wrong", "not yet", line, mistake=mistake)


def remembered(result: Result) -> Result:
    """The result; a pass is kept for the next sitting."""
    if result.passed:
        progress.passed(result.task.__name__)
    return result


def exercise(**fields) -> Callable[[Callable], FunctionExercise]:
    """Decorator: this function is the solution of an exercise answered by a function."""
    return lambda solution: FunctionExercise(solution, **fields)


def answer_exercise(**fields) -> Callable[[Callable], AnswerExercise]:
    """Decorator: this function finds in the data what the learner is asked to find."""
    return lambda solution: AnswerExercise(solution, **fields)


def seeded(seed: int, *shapes: Sequence[int], spread: float = 1.0) -> list[torch.Tensor]:
    """Normal numbers of these shapes, the same ones for the same seed on every machine; others under a class key."""
    generator = class_key.generator(seed)
    return [spread * torch.randn(shape, generator=generator) for shape in shapes]
