"""Small tasks on which the right attention is known, so that a map can be scored and not only admired.

A task draws batches: the same generator state gives the same batch. Letters: B batch, N tokens, F features of a token,
R questions asked at a token.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mha_lab import _data

HEAD_COUNTS = _data.FOLDER / "head_counts.npz"
HEAD_COUNTS_SHA256 = "5a7a77e13f9ad42b7f91208d469f63d8dc03372921b8eaaf31e9a12d8b9f0444"

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


def lookup(num_tokens: int = 8, num_values: int = 16, num_pointers: int = 4) -> Task:
    """Every token carries a key of its own, a value, and pointers to several keys: which values do they point at?

    Features: key, value, pointers. One question for each pointer, asked at every token. The pointers of a token are
    all different, so that one look cannot answer two questions."""
    if not 1 <= num_pointers <= num_tokens:
        raise ValueError(
            f"{num_pointers} different pointers into {num_tokens} tokens: there must be 1 to {num_tokens}."
        )

    def draw(B, generator=None):
        key = _permutations(B, num_tokens, generator=generator)  # (B, N)
        value = torch.randint(num_values, (B, num_tokens), generator=generator)
        pointers = _permutations(B, num_tokens, num_tokens, generator=generator)[..., :num_pointers]  # (B, N, R)
        return _looked_up(torch.cat([key[..., None], value[..., None], pointers], dim=-1))

    vocabularies = num_tokens, num_values, *[num_tokens] * num_pointers
    return Task("lookup", num_tokens, vocabularies, (num_values,) * num_pointers, False, draw)


def _looked_up(inputs):
    """The batch with these features, key, value and pointers (B, N, 2 + R): the pointers say what is right."""
    key, value, pointers = inputs[..., 0], inputs[..., 1], inputs[..., 2:]
    right = (pointers.mT[..., None] == key[:, None, None]).contiguous()  # (B, R, N, N)
    return Batch(inputs, _read(right, value), right)


def previous_and_match(num_tokens: int = 16, num_letters: int = 8, num_digits: int = 10) -> Task:
    """Every token is a letter with a digit. Which digit stood one place before? Which stood with this letter last?

    Features: letter, digit. Two questions at each token; one that has no answer (the first token, a letter's first
    time) is not asked."""

    def draw(B, generator=None):
        letter = torch.randint(num_letters, (B, num_tokens), generator=generator)
        digit = torch.randint(num_digits, (B, num_tokens), generator=generator)
        before = torch.ones(num_tokens, num_tokens, dtype=torch.bool).tril(-1)
        previous = before & ~before.tril(-2)
        earlier = (letter[:, :, None] == letter[:, None, :]) & before
        last = earlier & (earlier.flip(-1).cumsum(dim=-1).flip(-1) == 1)  # the only one left from here on
        right = torch.stack([previous.expand_as(last), last], dim=1)
        return Batch(torch.stack([letter, digit], dim=-1), _read(right, digit), right)

    return Task("previous and match", num_tokens, (num_letters, num_digits), (num_digits,) * 2, True, draw)


def induction(num_tokens: int = 32, num_letters: int = 64) -> Task:
    """Different letters in random order, repeated to the end: in the repetitions, which letter comes next?

    Feature: the letter. The text's length differs from example to example (a quarter to a half of the tokens), so that
    no distance can be learned by heart: the place to look is the token after this letter's last occurrence, and to find
    it somebody must have noted at every token which letter stood before it (Olsson 2022, arXiv:2209.11895)."""
    shortest, longest = num_tokens // 4, num_tokens // 2
    if not 2 <= shortest <= longest <= num_letters:
        raise ValueError(f"a text of {shortest} to {longest} different letters cannot be made of {num_letters}.")

    def draw(B, generator=None):
        period = torch.randint(shortest, longest + 1, (B, 1), generator=generator)
        position = torch.arange(num_tokens)
        letter = _permutations(B, num_letters, generator=generator).gather(1, position % period)
        right = (position == position[:, None] + 1 - period[:, None]) & (position[:, None] >= period[:, None])
        right[:, -1] = False  # what would come next lies beyond the end
        return Batch(letter[..., None], _read(right[:, None], letter), right[:, None])

    return Task("induction", num_tokens, (num_letters,), (num_letters,), True, draw)


def characters(num_tokens: int = 64, *, part: str = "training") -> Task:
    """The help texts of this Python (pydoc_data.topics, ASCII only), cut at random: which character comes next?

    part   "validation" is every tenth topic, "training" the others: no topic is in both."""
    letters, texts = _python_help()
    if part not in texts:
        raise ValueError(f'part is "training" or "validation", not {part!r}.')
    text = texts[part]

    def draw(B, generator=None):
        start = torch.randint(len(text) - num_tokens, (B, 1), generator=generator)
        piece = text[start + torch.arange(num_tokens + 1)]
        return Batch(piece[:, :-1, None], piece[:, 1:, None])

    return Task(f"characters, {part}", num_tokens, (len(letters),), (len(letters),), True, draw)


@dataclass(frozen=True, eq=False)
class HeadCounts:
    """What small models reached with C head counts and five seeds each; d_model 64 and the same number of parameters.

    heads        the C head counts: 1, 2, 4 … 64
    lookup       (C, 5) share of right answers after 800 steps
    long_heads   the head counts that were trained longer: 16, 32, 64
    lookup_long  (3, 5) share of right answers after 3,000 steps
    characters   (C, 5) loss on held-back text after 1,000 steps, in nats a character
    example      the first look-up example on which they were tested, as a batch of one
    maps         {(num_heads, steps): (H, N, N)} where seed 0's heads look in that example; float16 on file
    """

    heads: list[int]
    lookup: Tensor
    long_heads: list[int]
    lookup_long: Tensor
    characters: Tensor
    example: Batch
    maps: dict[tuple[int, int], Tensor]


def recorded_head_counts() -> HeadCounts:
    """The sweep in data/head_counts.npz, verified. data/sweep_head_counts.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(HEAD_COUNTS, HEAD_COUNTS_SHA256)), allow_pickle=False)
    inputs = torch.from_numpy(file["example"])[None]
    maps = {}
    for name in file.files:
        if name.startswith("maps_"):
            _, num_heads, steps = name.split("_")
            maps[int(num_heads), int(steps)] = torch.from_numpy(file[name]).float()
    results = {name: torch.from_numpy(file[name]) for name in ("lookup", "lookup_long", "characters")}
    heads, long_heads = file["heads"].tolist(), file["long_heads"].tolist()
    return HeadCounts(heads=heads, long_heads=long_heads, example=_looked_up(inputs), maps=maps, **results)


@cache
def _python_help():
    """The characters that occur, in order, and both parts as their numbers."""
    from pydoc_data.topics import topics

    pages = [topics[name].encode("ascii", "ignore") for name in sorted(topics)]
    letters = sorted(set(b"".join(pages)))
    number = torch.zeros(128, dtype=torch.long)
    number[letters] = torch.arange(len(letters))
    held_back, rest = b"".join(pages[::10]), b"".join(page for i, page in enumerate(pages) if i % 10)
    parts = {"training": rest, "validation": held_back}
    return letters, {part: number[list(text)] for part, text in parts.items()}


def _permutations(*shape, generator):
    """Whole numbers from 0, each once in every row."""
    return torch.rand(shape, generator=generator).argsort(dim=-1)


def _read(right, values):
    """Targets (B, N, R): what the one marked token of each row holds; `IGNORE` where none is marked."""
    found = (right * values[:, None, None]).sum(dim=-1)
    return found.where(right.any(dim=-1), torch.tensor(IGNORE)).mT
