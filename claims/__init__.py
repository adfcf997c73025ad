"""The register of claims: what the lessons say, what was tried to break it, and what came out.

A claim is a sentence of a lesson and a function that tries to refute it, from scratch: other seeds, a larger budget,
another size, the strongest simple opponent, weights set by hand. What the function measured is kept in
claims/results/, with the machine; docs/CLAIMS.md shows it; and a test holds that the lesson says what the row says.
`make claims` tries all of them again.
"""

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mha_lab import _whole

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
KEPT = ROOT / "build" / "claims"  # what a run that was interrupted has measured so far
sys.path.append(str(ROOT / "data"))  # so that a claim trains by the very recipe of the recorded sweep

ATTACKS = {
    "budget": "four times the steps",
    "seeds": "more seeds, the same for both sides, and the difference of each pair",
    "opponent": "the strongest simple opponent: a rule, a fixed place, a random choice of the same size",
    "construction": "weights set by hand",
    "size": "another width or length",
    "one thing": "only one thing changed",
    "choice": "chosen on the validation part, reported on the test part",
}


@dataclass(frozen=True)
class Claim:
    """One row of the register.

    name     lesson and claim, as "01.gradient"
    cell     the id of the lesson's cell in which the sentence stands, in its text or in what it prints
    says     the sentence, word for word, with the measured numbers as fields: "falls {ratio:.0f}-fold"
    tried    what was done to break it, in words
    attacks  which of the seven (`ATTACKS`) that was
    out      what came out, in words, with the numbers as fields
    minutes  of one core, for all of it
    refute   tries; gives the numbers by name, and raises AssertionError where the claim does not stand"""

    name: str
    cell: str
    says: str
    tried: str
    attacks: tuple[str, ...]
    out: str
    minutes: float
    refute: Callable[[], dict]

    @property
    def lesson(self) -> str:
        """The lesson's number, as its notebook's name begins: two digits, and a letter where it has one."""
        return self.name.partition(".")[0]


_REGISTER: dict[str, Claim] = {}


def claim(
    name: str, *, cell: str, says: str, tried: str, attacks: tuple[str, ...], out: str, minutes: float
) -> Callable[[Callable[[], dict]], Callable[[], dict]]:
    """Enters the function below it into the register; what the arguments mean says `Claim`.

    Raises ValueError for a name that is taken or has another form, and for an unknown attack."""
    if not re.fullmatch(r"\d\d[a-z]?\.[a-z0-9-]+", name) or name in _REGISTER:
        raise ValueError(f"{name!r} is taken, or is not a lesson, a point and words in small letters: 01.some-words")
    if not attacks or not set(attacks) <= set(ATTACKS):
        raise ValueError(f"{name}: attacks={attacks}; the seven are {', '.join(ATTACKS)}.")

    def enter(refute):
        _REGISTER[name] = Claim(name, cell, says, tried, tuple(attacks), out, minutes, refute)
        return refute

    return enter


def register() -> dict[str, Claim]:
    """All claims by name, in the order of the lessons and, within one, of the code."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return dict(sorted(_REGISTER.items(), key=lambda item: item[1].lesson))


def results(lesson: str) -> dict[str, dict]:
    """What the last trial of each claim of a lesson gave, by its name: found (the numbers), machine and seconds.

    Raises ValueError where the file is no such record."""
    path = RESULTS / f"{lesson}.json"
    if not path.exists():
        return {}
    found = _read(path)
    parts = {"found": dict, "machine": str, "seconds": (int, float)}
    if not isinstance(found, dict) or not all(
        isinstance(result, dict) and all(isinstance(result.get(part), kind) for part, kind in parts.items())
        for result in found.values()
    ):
        raise ValueError(f"{path} is damaged: `git restore` brings back the one before, and removing it begins anew.")
    return found


def _read(path):
    """What JSON stands in a file; None where there is none in it."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


@contextmanager
def alone(name: str, wait: bool = False) -> Iterator[bool]:
    """Whether no other run holds this name; within the block none can, until this process ends in any way. Without
    wait the answer comes at once."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / f".{name}.lock", "ab") as file:  # never removed: whoever waits for it waits for this very file
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError:  # a disk without locks
            pass
        yield True


def kept(name: str, make: Callable[[], object]) -> object:
    """make(), or what it gave when an interrupted run called it under this name; anything that JSON can hold.

    For the trainings of a long claim, so that an interrupt costs one of them. The name begins with the claim's:
    kept("01.scale h4 seed 0", …)."""
    path = KEPT / f"{re.sub(r'[^A-Za-z0-9.= -]+', '_', name)}.part.json"
    if path.exists():
        try:
            return json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            print(f"{path} is damaged: what it held is measured anew.", flush=True)
    found = make()
    try:
        KEPT.mkdir(parents=True, exist_ok=True)
        _whole.write(path, json.dumps(found))
    except OSError as problem:  # no reason for losing what is in memory
        print(f"{path} could not be written ({problem.strerror}): an interrupt would cost it.", flush=True)
    return found
