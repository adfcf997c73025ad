"""A learner's function inside a trained model, and on the card what comes of it: in one recorded call (ModelExercise),
or in its place all through the model (WholeModelExercise)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from mha_lab.checks import learner
from mha_lab.checks.card import Result
from mha_lab.checks.engine import FunctionExercise
from mha_lab.checks.returned import a_thing
from mha_lab.checks.run import outcomes, quietly


@dataclass(frozen=True, repr=False)
class ModelExercise(FunctionExercise):
    """A function exercise that goes on inside a trained model: `checks.name(yours, recorded)`. Without the second
    argument it is judged on its cases alone.

    inside  the arguments of the call in the model, from what was handed over: (recorded) -> tuple; or a sentence, where
            that is something else
    says    what the model does with yours, in one sentence: (yours, target, recorded) -> str, the first two tuples of
            parts of one shape
    shows   the same as a figure: (yours, target, recorded) -> figure
    """

    inside: Callable = None
    says: Callable = None
    shows: Callable = None
    recorded: Any = None

    def __call__(self, function: Callable, recorded: Any = None) -> Result:
        """Judge the function on every case, and in the model, if what was recorded there is handed over."""
        task = self if recorded is None else replace(self, recorded=recorded)
        return FunctionExercise.__call__(task, function)

    def _judged(self, function: Callable) -> Result:
        result = super()._judged(function)
        return result if self.recorded is None else self._in_the_model(function, result)

    def _in_the_model(self, function: Callable, result: Result) -> Result:
        case = self.inside(self.recorded)
        if isinstance(case, str):
            return self._wrong(case)
        target, axes = self.run(self.solution, case), list(self.parts.values())
        (yours,) = outcomes(
            function, [case], self.names, axes, right=lambda found: not self.gaps(found[0], target, case)
        )
        gaps = self.gaps(yours, target, case)
        if result.passed and gaps:
            name, gap = next(iter(gaps.items()))
            inside = f"in the {name}, {gap}" if name else gap
            line = f"{result.verdict[0].upper()}{result.verdict[1:]}, and inside the model: {inside}"
            result = replace(self._wrong(line, "only_outside_the_model"), right=result.right, of=result.of)
        if yours.parts is None or [part.shape for part in yours.parts] != [part.shape for part in target.parts]:
            return result
        line = self.says(yours.parts, target.parts, self.recorded)
        lines = (line, *result.lines) if result.passed else (*result.lines, line)
        return replace(result, lines=lines, picture=partial(self.shows, yours.parts, target.parts, self.recorded))


def model_exercise(**fields) -> Callable[[Callable], ModelExercise]:
    """Decorator: this function is the solution of an exercise that goes on inside a trained model."""
    return lambda solution: ModelExercise(solution, **fields)


def in_a_record(kind: type, made: Callable[[Any], tuple], asked: str) -> Callable[[Any], tuple | str]:
    """`inside` of an exercise that goes on in a record of this kind: made(record), or a question for anything else.

    asked    what was asked for, and where it is found, as a sentence's second half and a question"""

    def inside(found):
        return made(found) if isinstance(found, kind) else f"The second argument is {a_thing(found)}, and {asked}"

    return inside


@dataclass(frozen=True, repr=False)
class WholeModelExercise(FunctionExercise):
    """An exercise whose right answers are then put to work inside a trained model.

    inside   runs the model with a function in its place: (function from tensors to tensors) -> what came of it in a
             sentence or two, and what draws it, or None"""

    inside: Callable = None

    def _same_numbers(self, function, cases, targets, yours) -> Result:
        result = super()._same_numbers(function, cases, targets, yours)
        return self._at_work(function, yours[0].in_numpy, result) if result.passed else result

    def _at_work(self, function, in_numpy, result) -> Result:
        def called(*case):
            found = self.run(function, case, in_numpy)
            if found.error is not None:
                raise found.error
            parts = [torch.as_tensor(part) for part in found.parts]
            parts = [part.float() if part.is_floating_point() else part for part in parts]
            return parts if len(parts) > 1 else parts[0]

        def but(*lines):
            verdict = "not yet: right on the shapes of the check only"
            return replace(result, state="wrong", verdict=verdict, lines=lines, mistake="only_outside_the_model")

        ours, _ = self.inside(self.solution)
        try:
            with quietly():
                yours, picture = self.inside(called)
        except Exception as error:  # code that is made for the sizes of the cases
            where, code = learner.what_was_raised(error)
            return but(
                f"Put to work in a trained model, which has other sizes, your code raises an error{where}:", code
            )
        if yours != ours:
            return but(f"{yours} With our function there: {ours} Which size of the model does your code not ask for?")
        return replace(result, lines=(*result.lines, f"{yours} With our function it does the same."), picture=picture)


def whole_model_exercise(**fields) -> Callable[[Callable], WholeModelExercise]:
    """Decorator: as `exercise`; a right answer is then put to work in a trained model."""
    return lambda solution: WholeModelExercise(solution, **fields)
