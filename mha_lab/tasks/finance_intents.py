"""What does this customer of a loan bank want? Sentences in Chinese and English, made by a seeded grammar of our own.

The label is the request that the customer makes for themselves, now, and wants handled first. A request that is
negated, somebody else's, or done already is not it; nor is one that comes later; and which of several numbered requests
it is, an ordinal says. So the words of a sentence do not decide: their order does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from mha_lab import _door, memory
from mha_lab.tasks._base import on_cpu
from mha_lab.tasks._intent_grammar import INTENTS
from mha_lab.tasks._intent_sentences import KINDS, MARKS, Dice, Example, compose, share_of
from mha_lab.tasks.tokens import Encoded, Lexicon

LANGUAGES = "zh", "en"
# Sentences of each language, and which share of what the grammar can make (but for numbers and greetings) is theirs.
PARTS = {
    "training": (8000, 0.3, 1.0),
    "validation": (1000, 0.0, 0.1),
    "test": (2000, 0.1, 0.3),
    "longer": (1000, 0.0, 1.0),
    "double training": (400, 0.5, 1.0),
    "double test": (400, 0.0, 0.5),
}


class IntentBatch(NamedTuple):
    """What a model sees, and what it should say.

    inputs     (B, N, 1) numbers of tokens, with 0 behind the end of each sentence
    targets    (B,) the intent, an index into INTENTS
    lengths    (B,) how many tokens are the sentence's own
    marks      by name, (B, N) boolean: right, the words of the request that is the label; number; negation; term;
               order, what says which comes first
    clause_of  (B, N) the clause of each token, from 0; −1 outside of clauses and behind the end
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    marks: dict[str, Tensor]
    clause_of: Tensor


@dataclass(frozen=True, eq=False)
class Intents:
    """Sentences with their intents; made by `intents`."""

    part: str
    language: str | None
    examples: Sequence[Example]
    vocabulary: Lexicon
    everything: IntentBatch

    @property
    def labels(self) -> Tensor:
        """(sentences,) the intent of each sentence."""
        return self.everything.targets

    @property
    def vocabularies(self) -> tuple[int]:
        return (len(self.vocabulary),)

    @property
    def answers(self) -> tuple[int]:
        return (len(INTENTS),)

    @on_cpu
    def of_kind(self, kind: str) -> Tensor:
        """(sentences,) boolean: the sentences of one kind. Every sentence is of exactly one:

        double    what is wanted is denied twice (in two parts of their own)
        ordinal   several numbered requests, and a number says which one counts
        compound  several requests of one's own, and a word says which comes first
        none      nothing is wanted
        plain     one request, and nothing beside it
        negated   one request, beside others that are denied; so too other, somebody else's, and past, done already
        mixed     one request, beside others of several of these three

        Raises ValueError for another word."""
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: the kinds are {', '.join(KINDS)}.")
        return torch.tensor([example.kind == kind for example in self.examples])

    @on_cpu
    def batch(self, rows) -> IntentBatch:
        """The sentences of these rows, in this order, no wider than the longest of them."""
        inputs, targets, lengths, marks, clause_of = self.everything
        rows = torch.as_tensor(rows)
        N = int(lengths[rows].max())
        marks = {name: mark[rows, :N] for name, mark in marks.items()}
        return IntentBatch(inputs[rows, :N], targets[rows], lengths[rows], marks, clause_of[rows, :N])

    @on_cpu
    def batches(self, size: int = 256) -> Iterator[IntentBatch]:
        """Every sentence once, in order."""
        return map(self.batch, torch.arange(len(self.examples)).split(_door.whole("size", size)))

    @on_cpu
    def draw(self, B: int, generator: Generator | None = None) -> IntentBatch:
        """B sentences at random, each of any."""
        B = _door.whole("B", B)
        inputs, _, _, marks, clause_of = self.everything
        size = sum(tensor[0].nbytes for tensor in (inputs, clause_of, *marks.values()))
        memory.require_if_large(B * size, torch.device("cpu"))
        return self.batch(torch.randint(len(self.examples), (B,), generator=generator))

    def encode(self, sentence: str, *, most: int = 1024) -> Encoded:
        """A sentence that somebody typed: see `Lexicon.encode`."""
        return self.vocabulary.encode(sentence, most=most)


def intents(part: str = "training", *, size: int | None = None, language: str | None = None) -> Intents:
    """Customers' sentences and what they want: the first `size` of a part, so that a smaller set lies in a larger.

    part      "training" (8,000 sentences of each language), "validation" (1,000) and "test" (2,000): combinations of
              phrases that differ in more than numbers and greetings. "longer" (1,000): 6 to 8 requests, where the
              others have 1 to 4. "double training" and "double test" (400 each): what is wanted is denied twice, as
              in no other part.
    language  "zh", "en", or None for both in turn.

    The vocabulary is that of all training sentences in these languages, whatever the size, so that models of every size
    have the same parameters. Raises ValueError for what there is not."""
    if part not in PARTS:
        raise ValueError(f"part={part!r}: the parts are {', '.join(PARTS)}.")
    if language not in (*LANGUAGES, None):
        raise ValueError(f"language={language!r}: the sentences are in 'zh' or 'en'; None is both.")
    most = PARTS[part][0] * (1 if language else len(LANGUAGES))
    if size is not None and not 1 <= _door.whole("size", size, at_least=None) <= most:
        raise ValueError(f"size={size}: the {part} part has 1 to {most:,} sentences.")
    examples, everything = _intents(part, size, language)
    inputs, targets, lengths, marks, clause_of = everything
    marks = {name: mark.clone() for name, mark in marks.items()}
    examples = tuple([example._replace(marks={**example.marks}) for example in examples])
    own = IntentBatch(inputs.clone(), targets.clone(), lengths.clone(), marks, clause_of.clone())
    return Intents(part, language, examples, _vocabulary(language), own)


@cache
@on_cpu
def _intents(part, size, language) -> tuple[tuple[Example, ...], IntentBatch]:
    """Made once. Each caller of `intents` gets what can be changed as their own."""
    examples = tuple(_examples(part, language)[:size])
    return examples, _padded(examples, _vocabulary(language))


@cache
def _examples(part: str, language: str | None) -> list[Example]:
    """All sentences of a part, each once."""
    if language is None:
        pairs = zip(*(_examples(part, each) for each in LANGUAGES))
        return [example for pair in pairs for example in pair]
    count, low, high = PARTS[part]
    dice, found = Dice(f"intents, {part}, {language}"), {}
    while len(found) < count:
        example = compose(
            language,
            dice,
            accept=lambda key: low <= share_of(key) < high,
            longer=part == "longer",
            double=part.startswith("double"),
        )
        found.setdefault(example.sentence, example)
    return list(found.values())


@cache
def _vocabulary(language: str | None) -> Lexicon:
    return Lexicon(example.tokens for example in _examples("training", language))


def _padded(examples: Sequence[Example], vocabulary: Lexicon) -> IntentBatch:
    def pad(rows, fill=0):
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)

    return IntentBatch(
        inputs=pad(vocabulary.numbers(example.tokens) for example in examples)[..., None],
        targets=torch.tensor([example.label for example in examples]),
        lengths=torch.tensor([len(example.tokens) for example in examples]),
        marks={name: pad(example.marks[name] for example in examples) for name in MARKS},
        clause_of=pad((example.clause_of for example in examples), -1),
    )
