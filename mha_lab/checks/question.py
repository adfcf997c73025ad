"""A question answered by a function: which calls are made, what comes back, and how two answers compare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from mha_lab.checks import class_key
from mha_lab.checks.card import Task
from mha_lab.checks.compare import RTOL, alike, difference
from mha_lab.checks.returned import unreadable
from mha_lab.checks.run import Outcome, on_plain_ground, outcome


@dataclass(frozen=True, repr=False)
class Question(Task):
    """What an exercise asks for, and how answers to it compare.

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

    def held_back(self) -> list[tuple]:
        """The cases of the class key; none where no key is set."""
        key = class_key.key()
        if not key:
            return []
        with class_key.drawn_from(key, self.__name__):
            return self.cases()

    def known_mistake(self, yours: list[Outcome], cases: list[tuple]) -> tuple[str | None, str | None]:
        """(the key, the question) of the mistake that gives these numbers in every case, or (None, None)."""
        if not any(each.parts for each in yours):
            return None, None
        for mistake, message in self.mistakes:
            if all(self.same(mine, self.run(mistake, case)) for mine, case in zip(yours, cases, strict=True)):
                return key_of(mistake), message
        return None, None

    def same(self, yours: Outcome, other: Outcome) -> bool:
        """Whether two calls came to the same, up to rounding: the same numbers, or an error both."""
        if yours.parts is None or other.parts is None:
            return yours.error is not None and other.error is not None
        each = zip(yours.parts, other.parts, yours.dtypes, strict=True)
        return all(alike(mine, theirs, self.rtol, dtype) for mine, theirs, dtype in each)


def key_of(mistake: Callable) -> str:
    """The short name of a known mistake: that of the function which computes it."""
    while isinstance(mistake, partial):
        mistake = mistake.func
    return mistake.__name__.strip("_")
