"""What a task is: batches, with the answers, and with the tokens where a head should look."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mha_lab import _door, memory

IGNORE = -100
"""The target where nothing is asked: what F.cross_entropy ignores unless told otherwise."""


class Batch(NamedTuple):
    """What a model sees, what it should say, and where it should have looked.

    inputs   (B, N, F) whole numbers
    targets  (B, N, R) whole numbers; `IGNORE` where nothing is asked
    right    (B, R, N, N) boolean: right[b, r, i] marks the tokens that hold the answer to question r at token i;
             None where nobody knows, as in real text
    """

    inputs: Tensor
    targets: Tensor
    right: Tensor | None = None


@dataclass(frozen=True)
class Task:
    """vocabularies: how many values each of the F features has; answers: how many each of the R questions has."""

    name: str
    num_tokens: int
    vocabularies: tuple[int, ...]
    answers: tuple[int, ...]
    causal: bool
    draw: Callable[[int, Generator | None], Batch]
    """draw(B, generator): B examples."""


def on_cpu(make):
    """`make`, whose tensors lie on the CPU whatever the default device is: there a seed draws the same everywhere."""

    @wraps(make)
    def making(*args, **kwargs):
        with torch.device("cpu"):
            return make(*args, **kwargs)

    return making


def draws(size: int):
    """What every draw(B, generator) does first: it sees that B is a count and that B examples of `size` bytes each have
    room, and goes on the CPU."""

    def door(draw):
        draw = on_cpu(draw)

        @wraps(draw)
        def drawing(B, generator=None):
            B = _door.whole("B", B)
            memory.require_if_large(B * size, torch.device("cpu"))
            return draw(B, generator)

        return drawing

    return door


MAP = 9
"""Bytes of a cell of `right`, with what is computed on the way to the targets."""


def permutations(*shape, generator):
    """Whole numbers from 0, each once in every row."""
    return torch.rand(shape, generator=generator, dtype=torch.float32).argsort(dim=-1)


def read(right, values):
    """Targets (B, N, R): what the one marked token of each row holds; `IGNORE` where none is marked."""
    found = (right * values[:, None, None]).sum(dim=-1)
    return found.where(right.any(dim=-1), IGNORE).mT
