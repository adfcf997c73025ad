"""What a task of two sequences is: sentences, what should be written for them, and where each word of that stands."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mha_lab import _door, memory
from mha_lab.tasks._base import on_cpu

PAD, START, END = 0, 1, 2
"""The first words of every vocabulary: nothing, the decoder's first input, and its last answer."""
MARKS = "<pad>", "<start>", "<end>"


class Pairs(NamedTuple):
    """B sentences in two languages, filled up with `PAD` to the longest.

    source  (B, S) whole numbers
    target  (B, N) whole numbers, each row ending with `END`
    right   (B, N, S) boolean: right[b, n] marks the source tokens that target token n stands for; none for `END`, nor
            for a word that stands for no source word
    """

    source: Tensor
    target: Tensor
    right: Tensor


class Aligned(NamedTuple):
    """One example in words: right[n] are the places in `source` that `target[n]` stands for."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    right: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Vocabulary:
    """words[i] is the word of number i; the first three are `MARKS`."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @on_cpu
    def encode(self, sentence: Sequence[str]) -> Tensor:
        """(number of words,) whole numbers. Raises ValueError for no word, or for one that nobody has learned."""
        if not sentence:
            raise ValueError("the sentence is empty: it needs at least one word.")
        number = {word: i for i, word in enumerate(self.words)}
        unknown = [word for word in sentence if word not in number or word in MARKS]
        if unknown:
            known = len(self.words) - len(MARKS)
            raise ValueError(f"{unknown[0]!r} is not among the {known} words that were learned.")
        return torch.tensor([number[word] for word in sentence])

    def among(self, numbers: Tensor, words: Collection[str]) -> Tensor:
        """Boolean, of the numbers' shape: which of them are one of these words."""
        return torch.isin(numbers, torch.tensor([i for i, word in enumerate(self.words) if word in words]))

    def decode(self, numbers: Tensor) -> list[str]:
        """The words of a row of numbers, up to `END` and without `PAD`."""
        numbers = numbers.tolist()
        numbers = numbers[: numbers.index(END)] if END in numbers else numbers
        return [self.words[i] for i in numbers if i != PAD]


@dataclass(frozen=True)
class Corpus:
    """parts: "training", "validation", "test" …: no sentence is in two of them.
    split: how a sentence is cut into tokens, and how French or English tokens are joined again."""

    name: str
    source: Vocabulary
    target: Vocabulary
    examples: dict[str, list[Aligned]]
    parts: dict[str, Pairs]
    split: Callable[[str], list[str]]
    join: Callable[[Sequence[str]], str]

    @on_cpu
    def draw(self, B: int, generator: Generator | None = None) -> Pairs:
        """B training sentences at random."""
        pairs = self.parts["training"]
        B = _door.whole("B", B)
        memory.require_if_large(B * sum(tensor[0].nbytes for tensor in pairs), torch.device("cpu"))
        return shortened(pairs, torch.randint(len(pairs.source), (B,), generator=generator))

    def read(self, *sentences: str) -> Tensor:
        """(B, S) source tokens of sentences that somebody typed."""
        return pad_sequence([self.source.encode(self.split(text)) for text in sentences], batch_first=True)

    def copy(self) -> "Corpus":
        """The same with lists and tensors of its own: whoever changes them changes nobody else's."""
        parts = {name: Pairs(*(tensor.clone() for tensor in pairs)) for name, pairs in self.parts.items()}
        return replace(self, examples={name: [*part] for name, part in self.examples.items()}, parts=parts)

    def write(self, target: Tensor) -> list[str]:
        """The sentences of target tokens (B, N)."""
        return [self.join(self.target.decode(row)) for row in target]


def shortened(pairs: Pairs, rows) -> Pairs:
    """These rows, with no more padding than their longest sentences need."""
    source, target, right = (tensor[rows] for tensor in pairs)
    S, N = int((source != PAD).sum(dim=1).max()), int((target != PAD).sum(dim=1).max())
    return Pairs(source[:, :S], target[:, :N], right[:, :N, :S])


@on_cpu
def by_place(training: Pairs, pairs: Pairs) -> Tensor:
    """(B, N, S): the look of a head that reads no token. All its weight lies on one place, where the answer stood most
    often in the training pairs with a source of the same length; on the first place where there was none."""
    lengths, asked = ((each.source != PAD).sum(dim=1) for each in (training, pairs))
    weights = torch.zeros(pairs.right.shape)
    N, S = pairs.right.shape[1:]
    for length in asked.unique():
        often = training.right[lengths == length].sum(dim=0)[:N, :S]
        often = F.pad(often, (0, S - often.shape[1], 0, N - often.shape[0]))  # where `pairs` has longer sentences
        weights[asked == length] = F.one_hot(often.argmax(dim=-1), S).float()
    return weights


def part_of(text: str) -> str:
    """The part that a text belongs to, from its own checksum: of ten, one is for validation, one for the test. So the
    parts are the same on every machine and cannot overlap, however the texts were drawn."""
    return {0: "test", 1: "validation"}.get(crc32(text.encode()) % 10, "training")


def corpus(name: str, examples: dict[str, list[Aligned]], split: Callable, join: Callable) -> Corpus:
    """Numbers for the words of these examples, in the order of the alphabet."""
    everything = [example for part in examples.values() for example in part]
    source = Vocabulary((*MARKS, *sorted({word for e in everything for word in e.source})))
    target = Vocabulary((*MARKS, *sorted({word for e in everything for word in e.target})))
    parts = {part: _numbers(chosen, source, target) for part, chosen in examples.items()}
    return Corpus(name, source, target, examples, parts, split, join)


@on_cpu
def _numbers(examples, source, target):
    number = [{word: i for i, word in enumerate(vocabulary.words)} for vocabulary in (source, target)]
    sources = [torch.tensor([number[0][word] for word in e.source]) for e in examples]
    targets = [torch.tensor([*(number[1][word] for word in e.target), END]) for e in examples]
    sources, targets = (pad_sequence(rows, batch_first=True) for rows in (sources, targets))
    right = torch.zeros(*targets.shape, sources.shape[1], dtype=torch.bool)
    links = [(b, n, s) for b, e in enumerate(examples) for n, places in enumerate(e.right) for s in places]
    right.numpy()[tuple(np.array(links).T)] = True
    return Pairs(sources, targets, right)
