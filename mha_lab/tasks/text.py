"""Real text that every Python carries with it."""

from functools import cache

import torch

from mha_lab import _door
from mha_lab.tasks._base import Batch, Task, draws, on_cpu


def characters(num_tokens: int = 64, *, part: str = "training") -> Task:
    """The help texts of this Python (pydoc_data.topics, ASCII only), cut at random: which character comes next?

    part   "validation" is every tenth topic, "training" the others: no topic is in both."""
    letters, texts = _python_help()
    if part not in texts:
        raise ValueError(f'part is "training" or "validation", not {part!r}.')
    text = texts[part]
    if not 1 <= _door.whole("num_tokens", num_tokens, at_least=None) < len(text):
        raise ValueError(f"num_tokens={num_tokens}: the {part} part has {len(text):,} characters, one is predicted.")

    @draws((num_tokens + 1) * 16)
    def draw(B, generator=None):
        start = torch.randint(len(text) - num_tokens, (B, 1), generator=generator)
        piece = text[start + torch.arange(num_tokens + 1)]
        return Batch(piece[:, :-1, None], piece[:, 1:, None])

    return Task(f"characters, {part}", num_tokens, (len(letters),), (len(letters),), True, draw)


@cache
@on_cpu
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
