"""What a task of two sequences is when one of them asks and the other is looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Generator, Tensor


class ReadingBatch(NamedTuple):
    """A question of N words about a context of S tokens, and where in the context its answers stand.

    question  (B, N) whole numbers
    context   (B, S, F) features of its tokens
    targets   (B, N) whole numbers: every word of the question has an answer of its own
    right     (B, N, S) boolean: the tokens of the context that answer each word
    allowed   (B, N, S) boolean: the tokens that each word may look at; None where it may look at all
    """

    question: Tensor
    context: Tensor
    targets: Tensor
    right: Tensor
    allowed: Tensor | None = None


@dataclass(frozen=True)
class ReadingTask:
    """words: the words that a question may have, by number; num_tokens: S; answers: how many there are."""

    name: str
    words: tuple[str, ...]
    num_tokens: int
    answers: int
    draw: Callable[[int, Generator | None], ReadingBatch]
    """draw(B, generator): B examples."""
