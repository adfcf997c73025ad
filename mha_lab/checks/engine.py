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
from mha_lab.checks.compare import RTOL, a_thing, alike, as_parts, difference


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

    def __call__(self, answer: Any, data: Any) -> Result:
        """Judge the answer on the data. None or `...` means that nobody has answered yet."""
        items = answer if isinstance(answer, (tuple, list)) else [answer]
        if any(item is None or item is ... for item in items):
            return self.untouched("Write your answer in place of `None` above, run that cell and then this one.")
        return self.judge(self, answer, data)


@dataclass
class Outcome:
    """One call: what came back as arrays (None where it is not readable as such), or what was raised."""

    parts: tuple | None = None
    returned: Any = None
    error: Exception | None = None
    changed: Sequence[str] = ()


@dataclass(frozen=True, repr=False)
class FunctionExercise(Task):
    """An exercise answered by a function.

    cases       gives the arguments of every call, tensors and numbers, the same each time
    parts       names what is returned, each with the names of its axes; more than one means a tuple
    gap         says in one sentence how yours differs from the target: (yours, target, *arguments) -> str or None
    picture     draws yours beside the target: (yours, target, *arguments) -> figure, the first two tuples of parts
    draw_pass   whether a pass is worth a picture too
    may_loop    whether a `for` or `while` is a fair solution
    """

    cases: Callable[[], list[tuple]] = list
    parts: dict[str, Sequence[str]] = field(default_factory=dict)
    gap: Callable | None = None
    picture: Callable | None = None
    draw_pass: bool = False
    may_loop: bool = True
    rtol: float = RTOL
    mistakes: list[tuple[Callable, str]] = field(default_factory=list)

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
        problem = learner.signature_problem(function, self._names)
        if problem:
            return self._wrong(problem)
        cases = self.cases()
        targets = [self._outcome(self.solution, case) for case in cases]
        yours = self._outcomes(function, cases)
        gaps = [self._gap(*each) for each in zip(yours, targets, cases, strict=True)]
        if any(gaps):
            return self._not_yet(cases, targets, yours, gaps)
        return self._same_numbers(function, cases, targets, yours)

    @property
    def _names(self) -> Sequence[str]:
        code = self.solution.__code__
        return code.co_varnames[: code.co_argcount]

    def _outcomes(self, function: Callable, cases: list[tuple]) -> list[Outcome]:
        """With tensors, or with arrays where the code speaks numpy; the other way round where only that runs."""
        in_numpy = learner.prefers_numpy(function)
        first = self._outcome(function, cases[0], in_numpy)
        if first.error is not None:
            second = self._outcome(function, cases[0], not in_numpy)
            if second.error is None:
                first, in_numpy = second, not in_numpy
        return [first, *(self._outcome(function, case, in_numpy) for case in cases[1:])]

    def _outcome(self, function: Callable, case: tuple, in_numpy: bool = False) -> Outcome:
        given = [_copy(argument, in_numpy) for argument in case]
        try:
            returned = function(*given)
            parts = as_parts(returned, len(self.parts))
        except Exception as error:  # whatever a learner's code raises is news for the learner
            return Outcome(error=error)
        changed = [name for name, was, now in zip(self._names, case, given, strict=True) if _changed(was, now)]
        return Outcome(parts, returned, None, changed)

    def _gap(self, yours: Outcome, target: Outcome, case: tuple) -> str | None:
        """How one outcome differs from its target, in a sentence, or None."""
        if yours.error is not None:
            return "it raises an error."
        if yours.parts is None:
            return self._unreadable(yours.returned)
        named = zip(self.parts.items(), yours.parts, target.parts, strict=True)
        for (name, axes), mine, right in reversed(list(named)):  # weights explain an output, not the other way round
            gap = self.gap(mine, right, *case) if self.gap else difference(mine, right, axes, self.rtol)
            if gap:
                return gap if len(self.parts) == 1 else f"in the {name}, {gap}"
        return None

    def _unreadable(self, returned: Any) -> str:
        if returned is None:
            return "your function returned nothing: is a `return` missing?"
        if returned is ...:
            return "your function returned `...`: is a blank still to be filled in?"
        wanted = "a tensor" if len(self.parts) == 1 else f"the pair ({', '.join(self.parts)})"
        return f"your function returned {a_thing(returned)}, and {wanted} was asked for."

    def _same_numbers(self, function, cases, targets, yours) -> Result:
        changed = _all_changed(yours)
        if changed:
            return self._wrong(
                f"The numbers are right, but the input {changed} came back changed, and the caller may still need it. "
                "Which line writes into what it was given?"
            )
        line = None if self.may_loop else learner.loop_line(function)
        if line:
            question = "which one operation serves all heads at once?"
            return self._wrong(f"The numbers are right, and line {line} loops: {question}")
        drawing = self._drawing(yours[0], targets[0], cases[0]) if self.draw_pass else None
        return self.result("passed", f"passes on {len(cases)} shapes", *filter(None, [self.then]), picture=drawing)

    def _not_yet(self, cases, targets, yours, gaps) -> Result:
        """A known mistake's question, if one fits every case; then what was seen first."""
        unreadable = next((each for each in yours if each.error is None and each.parts is None), None)
        if unreadable is not None:
            line = self._unreadable(unreadable.returned)
            return self._wrong(line[0].upper() + line[1:])
        message = self._known_mistake(yours, cases)
        lines = [message] if message else []
        raised = next((i for i, each in enumerate(yours) if each.error is not None), None)
        differs = next((i for i, gap in enumerate(gaps) if gap and yours[i].error is None), None)
        if raised is not None:
            where, code = learner.what_was_raised(yours[raised].error)
            lines += [f"Called with {self._call(cases[raised])}, your code raises an error{where}:", code]
        if differs is not None:
            lines += [f"Called with {self._call(cases[differs])}: {gaps[differs]}"]
        if _all_changed(yours):
            lines += [f"The input {_all_changed(yours)} also came back changed: which line writes into it?"]
        right = gaps.count(None)
        verdict = f"not yet: right on {right} of {len(cases)} shapes" if right else "not yet"
        drawing = None if differs is None else self._drawing(yours[differs], targets[differs], cases[differs])
        return self.result("wrong", verdict, *lines, picture=drawing)

    def _wrong(self, line: str) -> Result:
        return self.result("wrong", "not yet", line)

    def _known_mistake(self, yours: list[Outcome], cases: list[tuple]) -> str | None:
        for mistake, message in self.mistakes:
            if all(self._alike(mine, self._outcome(mistake, case)) for mine, case in zip(yours, cases, strict=True)):
                return message
        return None

    def _alike(self, yours: Outcome, other: Outcome) -> bool:
        if yours.parts is None or other.parts is None:
            return yours.error is not None and other.error is not None
        return all(alike(mine, theirs, self.rtol) for mine, theirs in zip(yours.parts, other.parts, strict=True))

    def _call(self, case: tuple) -> str:
        """The arguments in words: x (2, 5, 12), num_heads = 3."""
        given = zip(self._names, case, strict=True)
        return ", ".join(f"{n} {tuple(a.shape)}" if isinstance(a, torch.Tensor) else f"{n} = {a:.4g}" for n, a in given)

    def _drawing(self, yours: Outcome, target: Outcome, case: tuple) -> Callable | None:
        """The picture, to be drawn when somebody looks; only of shapes that can stand side by side."""
        if not self.picture or [part.shape for part in yours.parts] != [part.shape for part in target.parts]:
            return None
        return lambda: self.picture(yours.parts, target.parts, *case)


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


def _copy(argument: Any, in_numpy: bool) -> Any:
    if not isinstance(argument, torch.Tensor):
        return argument
    return argument.numpy().copy() if in_numpy else argument.clone()


def _changed(was: Any, now: Any) -> bool:
    return isinstance(was, torch.Tensor) and not torch.equal(was, torch.as_tensor(now).detach())


def _all_changed(outcomes: list[Outcome]) -> str:
    return " and ".join(dict.fromkeys(f"`{name}`" for each in outcomes for name in each.changed))
