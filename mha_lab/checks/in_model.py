"""A learner's function inside a trained model: the lesson hands over what was recorded there, and the card says what
the model does with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mha_lab.checks.card import Result
from mha_lab.checks.engine import FunctionExercise
from mha_lab.checks.run import outcomes


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
            result = self._wrong(f"{result.verdict[0].upper()}{result.verdict[1:]}, and inside the model: {inside}")
        if yours.parts is None or [part.shape for part in yours.parts] != [part.shape for part in target.parts]:
            return result
        line = self.says(yours.parts, target.parts, self.recorded)
        lines = (line, *result.lines) if result.passed else (*result.lines, line)
        return replace(result, lines=lines, picture=partial(self.shows, yours.parts, target.parts, self.recorded))


def model_exercise(**fields) -> Callable[[Callable], ModelExercise]:
    """Decorator: this function is the solution of an exercise that goes on inside a trained model."""
    return lambda solution: ModelExercise(solution, **fields)
