"""A task in which a head has nothing to do at most tokens."""

from functools import cache

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab.tasks._base import IGNORE, Batch, Task, draws, on_cpu

LETTERS, TRIGGERS = 24, 4
START = LETTERS + TRIGGERS
"""The token that begins every text."""
TRIGGER_SHARE = 0.15


def back_copy(num_tokens: int = 32) -> Task:
    """What follows a letter is drawn from a table, always the same one, for which nobody needs to look anywhere. Only
    after a trigger the letter before it comes again: a look one place back.

    Feature: the token; 0 to 23 are letters, 24 to 27 triggers, 28 begins every text. What follows the first token is
    not asked. (After the bigram-backcopy task of Guo 2024, arXiv:2410.13835.)"""
    num_tokens = _door.whole("num_tokens", num_tokens, at_least=2)

    @draws((num_tokens + 1) * (16 + 2 * LETTERS))
    def draw(B, generator=None):
        follows = followers().cumsum(dim=1)
        dice = torch.rand(B, num_tokens + 1, generator=generator, dtype=torch.float32)
        text = torch.full((B, num_tokens + 1), START)
        text[:, 1] = (dice[:, 1] * LETTERS).long()
        for n in range(2, num_tokens + 1):
            last, before = text[:, n - 1], text[:, n - 2]
            drawn = (follows[last.clamp(max=LETTERS - 1)] < dice[:, n, None]).sum(dim=1).clamp(max=START - 1)
            text[:, n] = drawn.where(last < LETTERS, before)
        targets = text[:, 1:].clone()
        targets[:, 0] = IGNORE
        return Batch(text[:, :-1, None], targets[..., None])

    return Task("back copy", num_tokens, (START + 1,), (START,), True, draw)


@cache
@on_cpu
def followers() -> Tensor:
    """(24, 28) how often each token follows each letter. A few letters follow each one often."""
    table = torch.rand(LETTERS, LETTERS, generator=torch.Generator().manual_seed(0), dtype=torch.float32).log().square()
    table = (1 - TRIGGER_SHARE) * table / table.sum(dim=1, keepdim=True)
    return torch.cat([table, torch.full((LETTERS, TRIGGERS), TRIGGER_SHARE / TRIGGERS)], dim=1)


def least_loss(inputs: Tensor) -> Tensor:
    """inputs (B, N, 1) of `back_copy` → (B, N): the loss in nats that is left to whoever knows the table, expected at
    each token; 0 at a trigger."""
    table, token = followers(), inputs[..., 0]
    entropy = -(table * table.log()).sum(dim=1)
    return entropy[token.clamp(max=LETTERS - 1)].where(token < LETTERS, 0.0)
