"""Long documents: facts are stated once, early, and needed much later."""

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab.tasks._base import MAP, Batch, Task, draws, permutations, read
from mha_lab.tasks._reading import ReadingBatch, ReadingTask

VALUES = 10


def document(num_tokens: int = 128, num_names: int = 8) -> Task:
    """A contract: its first quarter defines names, each once; the rest mentions them. Every token carries a number.

    Two questions at each token. Near: which number did the token before carry? Far: which number did the token carry
    that defined the name mentioned here? Far is not asked where no name is mentioned, in the first quarter.

    Features: number; the name defined here, the name mentioned here (0 for none, else 1 to num_names)."""
    definitions = _room(num_tokens, num_names)

    @draws(num_tokens**2 * 2 * MAP)
    def draw(B, generator=None):
        number, place, defined = _stated(B, num_tokens, definitions, num_names, generator)
        mentioned = torch.randint(1, num_names + 1, (B, num_tokens), generator=generator)
        mentioned[:, :definitions] = 0
        i = torch.arange(num_tokens)
        near = (i[:, None] - 1 == i).expand(B, -1, -1)
        far = (mentioned[:, :, None] == defined[:, None, :]) & (mentioned > 0)[:, :, None]
        right = torch.stack([near, far], dim=1)
        return Batch(torch.stack([number, defined, mentioned], dim=-1), read(right, number), right)

    names = num_names + 1
    return Task("document", num_tokens, (VALUES, names, names), (VALUES, VALUES), True, draw)


def far_distance(right: Tensor) -> Tensor:
    """(B, N) how many tokens lie between a mention and its definition, from the `right` of `document`; 0 where nothing
    is mentioned."""
    far = right[:, 1]
    place = torch.arange(right.shape[-1], device=right.device)
    return (place - far.long().argmax(dim=-1)).where(far.any(dim=-1), 0)


def facts(num_tokens: int = 128, num_names: int = 8, num_questions: int = 4) -> ReadingTask:
    """The definitions of such a document, and a short question from outside: which numbers were these names given?

    The context's features are the number and the name defined there, as in `document`. The names asked for differ."""
    definitions = _room(num_tokens, num_names)
    if not 1 <= _door.whole("num_questions", num_questions, at_least=None) <= num_names:
        raise ValueError(f"{num_questions} different names out of {num_names} cannot be asked for.")

    @draws(num_tokens * (24 + num_questions))
    def draw(B, generator=None):
        number, place, defined = _stated(B, num_tokens, definitions, num_names, generator)
        question = permutations(B, num_names, generator=generator)[:, :num_questions]
        right = defined[:, None, :] == question[:, :, None] + 1
        context = torch.stack([number, defined], dim=-1)
        return ReadingBatch(question, context, number.gather(1, place.gather(1, question)), right)

    words = tuple(f"name {i}" for i in range(num_names))
    return ReadingTask("facts", words, num_tokens, VALUES, draw)


def _room(num_tokens, num_names):
    """The length of the first quarter, if the names fit."""
    if _door.whole("num_names", num_names) > _door.whole("num_tokens", num_tokens) // 4:
        raise ValueError(
            f"{num_names} names do not fit into the first quarter of {num_tokens} tokens: at most {num_tokens // 4} do."
        )
    return num_tokens // 4


def _stated(B, num_tokens, definitions, num_names, generator):
    """Every token's number (B, N), the place where each name is defined (B, names), and the name defined at each token
    (B, N), from 1; 0 for none."""
    number = torch.randint(VALUES, (B, num_tokens), generator=generator)
    place = permutations(B, definitions, generator=generator)[:, :num_names]
    defined = torch.zeros_like(number).scatter(1, place, torch.arange(1, num_names + 1).expand(B, -1))
    return number, place, defined
