"""From a sentence to numbers: Chinese by character, English by word, numbers and Latin terms as one token each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mha_lab.tasks._base import on_cpu

PAD, UNK, NUM = "[PAD]", "[UNK]", "[NUM]"
SPECIAL = PAD, UNK, NUM
_NUMBER = r"\d+(?:[.,]\d+)*(?:%|st\b|nd\b|rd\b|th\b)?"
_WORD = r"[a-z\u00c0-\u024f]+(?:['’\-&][a-z\u00c0-\u024f]+)*\d*"
_TOKEN = re.compile(rf"{_NUMBER}|{_WORD}|[^\s]")


class Encoded(NamedTuple):
    """A sentence as a model reads it.

    tokens   N words, as written but in lower case
    inputs   (1, N, 1) their numbers;  lengths  (1,) holds N
    unknown  the words that no training sentence has;  message  one sentence that names them, empty where there is none
    """

    tokens: list[str]
    inputs: Tensor
    lengths: Tensor
    unknown: list[str]
    message: str


def tokenise(sentence: str) -> list[str]:
    """第2年，LPR加45个基点 → 第 2 年 , lpr 加 45 个 基 点. Lower case; full-width forms become plain ones."""
    plain = unicodedata.normalize("NFKC", sentence).lower().replace("’", "'")
    return [token.replace(",", "") if token[0].isdigit() else token for token in _TOKEN.findall(plain)]


def is_number(token: str) -> bool:
    return token[0].isdigit()


class Lexicon:
    """The tokens that training knows, each with a number; 0 is [PAD], 1 is [UNK], 2 is [NUM]."""

    def __init__(self, sentences: Iterable[Sequence[str]], *, least: int = 2, least_numbers: int = 20):
        """sentences   tokens of the training sentences.
        least         a word seen less often is [UNK], so that training knows what an unknown word is.
        least_numbers a number seen less often is [NUM]: one amount more or less says nothing."""
        seen = Counter(token for tokens in sentences for token in tokens)
        known = sorted(t for t, n in seen.items() if n >= (least_numbers if is_number(t) else least))
        self.tokens = (*SPECIAL, *known)
        self._number = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._number

    def numbers(self, tokens: Iterable[str]) -> list[int]:
        unknown, number = self._number[UNK], self._number[NUM]
        return [self._number.get(token, number if is_number(token) else unknown) for token in tokens]

    @on_cpu
    def encode(self, sentence: str, *, most: int = 1024) -> Encoded:
        """A sentence that somebody typed. Raises ValueError where it is empty or has more than `most` tokens."""
        tokens = tokenise(sentence)
        if not tokens:
            raise ValueError("the sentence is empty: type at least one word.")
        if len(tokens) > most:
            raise ValueError(f"the sentence has {len(tokens):,} tokens; at most {most:,} are read: shorten it.")
        unknown = list(dict.fromkeys(t for t in tokens if t not in self and not is_number(t)))
        message = ""
        if unknown:
            *most_of_them, last = [*unknown[:8], f"{len(unknown) - 8} more"] if len(unknown) > 8 else unknown
            named = f"{', '.join(most_of_them)} and {last} do" if most_of_them else f"{last} does"
            verb = "are" if most_of_them else "is"
            message = f"{named} not occur in the training sentences and {verb} read as {UNK}."
        inputs = torch.tensor(self.numbers(tokens))[None, :, None]
        return Encoded(tokens, inputs, torch.tensor([len(tokens)]), unknown, message)
