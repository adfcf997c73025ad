"""Names: each is defined once, early in a message, and asked for often, with a target at every mention."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from mha_lab import _data, _door
from mha_lab.tasks._base import IGNORE, MAP, Batch, Task, draws, on_cpu, permutations

LOANS = "house", "car", "study", "phone", "travel", "shop", "wedding", "boat"
LETTERS = "A", "B", "C", "D", "E", "F", "G", "H"
FILLERS = "please", "also", "about", "and"
NAME_WORDS = (*FILLERS, *LETTERS)
"""What the first feature of `names` stands for, by its number."""

NAME_RESULTS = _data.FOLDER / "names.npz"
NAME_RESULTS_SHA256 = "6c152c3aed9244ff44578c0fc586d5222d67e0a2be2e3535827aae89ebf54362"


def names(num_tokens: int = 32, num_names: int = 4) -> Task:
    """A customer's message about several loans. In its first half `num_names` letters are given to loans, at places
    that differ from message to message; three quarters of its second half mention them. At each mention: which loan?

    Features: the word (`NAME_WORDS`); the loan that it is given to here (0 for none, else 1 to 8). The loans of a
    message differ: whoever does not read the letters and picks one of its loans is right once in `num_names`. A model
    may read in both directions; the definition stands before."""
    half = _door.whole("num_tokens", num_tokens, at_least=2) // 2
    most = min(len(LETTERS), half)
    if not 1 <= _door.whole("num_names", num_names, at_least=None) <= most:
        raise ValueError(f"num_names={num_names}: the first half of {num_tokens} tokens defines 1 to {most} names.")
    mentions = math.ceil(3 * (num_tokens - half) / 4)

    @draws(num_tokens**2 * MAP + 400)
    def draw(B, generator=None):
        letter = permutations(B, len(LETTERS), generator=generator)[:, :num_names]
        loan = permutations(B, len(LOANS), generator=generator)[:, :num_names]
        defined = permutations(B, half, generator=generator)[:, :num_names]
        place = half + permutations(B, num_tokens - half, generator=generator)[:, :mentions]
        which = torch.randint(num_names, (B, mentions), generator=generator)
        words = torch.randint(len(FILLERS), (B, num_tokens), generator=generator)
        words.scatter_(1, defined, len(FILLERS) + letter)
        words.scatter_(1, place, len(FILLERS) + letter.gather(1, which))
        given = torch.zeros_like(words).scatter(1, defined, 1 + loan)
        targets = torch.full_like(words, IGNORE).scatter(1, place, loan.gather(1, which))
        right = torch.zeros(B, num_tokens, num_tokens, dtype=torch.bool)
        right[torch.arange(B)[:, None], place, defined.gather(1, which)] = True
        return Batch(torch.stack([words, given], dim=-1), targets[..., None], right[:, None])

    return Task("names", num_tokens, (len(NAME_WORDS), 1 + len(LOANS)), (len(LOANS),), False, draw)


def few(task: Task, size: int, seed: int = 0) -> Callable[[int, Generator | None], Batch]:
    """A draw(B, generator) for `train.fit` that knows only `size` examples of a task, those that the seed draws: little
    data, seen again and again. Its attribute `everything` is all of them."""
    everything = task.draw(_door.whole("size", size), Generator().manual_seed(seed))

    @on_cpu
    def draw(B, generator=None):
        rows = torch.randint(size, (_door.whole("B", B),), generator=generator)
        return Batch(*(part[rows] for part in everything))

    draw.everything = everything
    return draw


@on_cpu
def by_rule(batch: Batch) -> Tensor:
    """(B, N) what a rule without training answers to `names`: it notes each letter's loan and reads it off at each
    mention; `IGNORE` where nothing is asked."""
    answers = torch.full_like(batch.targets[..., 0], IGNORE)
    for message, found, asked in zip(batch.inputs.tolist(), answers, batch.targets[..., 0] != IGNORE):
        known = {word: loan - 1 for word, loan in message if loan}
        for place in asked.nonzero()[:, 0].tolist():
            found[place] = known[message[place][0]]
    return answers


@on_cpu
def last_named(batch: Batch) -> Tensor:
    """(B, N) another: at each mention, the loan that was named last."""
    given = batch.inputs[..., 1]
    place = torch.arange(given.shape[1]).where(given > 0, -1).max(dim=1, keepdim=True).values
    asked = batch.targets[..., 0] != IGNORE
    return (given.gather(1, place) - 1).where(asked, IGNORE)


@dataclass(frozen=True, eq=False)
class NameResults:
    """What small models reached on `names`, trained on few messages.

    accuracy  {(model, size, steps, d_model): (seeds,)} share of right answers at the mentions of 1,000 new messages
    seen      the same in the messages that were trained on
    parameters  by model and d_model
    """

    accuracy: dict[tuple[str, int, int, int], Tensor]
    seen: dict[tuple[str, int, int, int], Tensor]
    parameters: dict[tuple[str, int], int]


def recorded_names() -> NameResults:
    """The trainings in mha_lab/data/names.npz, verified. data/sweep_names.py makes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(NAME_RESULTS, NAME_RESULTS_SHA256)), allow_pickle=False)
    columns = ("model", "size", "steps", "d_model", "accuracy", "seen", "parameters")
    accuracy, seen, parameters = {}, {}, {}
    for model, size, steps, d_model, *shares, count in zip(*(file[column].tolist() for column in columns)):
        cell = model, size, steps, d_model
        accuracy[cell], seen[cell] = map(torch.tensor, shares)
        parameters[model, d_model] = count
    return NameResults(accuracy, seen, parameters)
