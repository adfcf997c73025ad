"""What is kept of a text that is read once: pairs are written, and asked for when all of them have gone by."""

from collections.abc import Sequence

import torch

from mha_lab import _door
from mha_lab.tasks._base import IGNORE, MAP, Batch, Task, draws, permutations


def recall(
    num_pairs: int | Sequence[int],
    *,
    num_keys: int = 64,
    num_values: int = 16,
    num_questions: int = 16,
    writes: int = 1,
) -> Task:
    """Tokens that carry a key and a value each, then tokens that ask for a key's value (Arora 2023, arXiv:2312.04927).

    num_pairs      how many different keys a text has; of several numbers, each batch draws one
    num_questions  tokens that ask, each for one of the text's keys, at random
    writes         how often each key comes, each time with a new value, in random order: what was written last counts

    Features: key (0 where none is written, else from 1), value (likewise), key that is asked for (likewise)."""
    counts = _door.sizes("num_pairs", num_pairs if isinstance(num_pairs, Sequence) else [num_pairs])
    num_keys, num_values, num_questions, writes = _door.counts(
        num_keys=num_keys, num_values=num_values, num_questions=num_questions, writes=writes
    )
    if max(counts) > num_keys:
        raise ValueError(f"{max(counts)} pairs need as many different keys, and there are num_keys={num_keys}.")
    longest = max(counts) * writes + num_questions

    @draws(longest**2 * MAP + num_keys * 12)
    def draw(B, generator=None):
        count = counts[torch.randint(len(counts), (), generator=generator).item()]
        written = count * writes
        keys = permutations(B, num_keys, generator=generator)[:, :count] + 1
        which = permutations(B, written, generator=generator) % count  # each pair `writes` times, in random order
        key = keys.gather(1, which)
        value = torch.randint(num_values, (B, written), generator=generator)
        asked = keys.gather(1, torch.randint(count, (B, num_questions), generator=generator))
        N = written + num_questions
        inputs = torch.zeros(B, N, 3, dtype=torch.long)
        inputs[:, :written, 0], inputs[:, :written, 1], inputs[:, written:, 2] = key, value + 1, asked
        same = asked[:, :, None] == key[:, None]  # (B, questions, written)
        last = (same * torch.arange(1, written + 1)).argmax(dim=-1)
        targets = torch.full((B, N, 1), IGNORE)
        targets[:, written:, 0] = value.gather(1, last)
        right = torch.zeros(B, 1, N, N, dtype=torch.bool)
        right[:, 0, written:].scatter_(-1, last[..., None], True)
        return Batch(inputs, targets, right)

    vocabularies = num_keys + 1, num_values + 1, num_keys + 1
    return Task("recall", longest, vocabularies, (num_values,), True, draw)
