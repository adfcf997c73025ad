"""What a trained encoder, MiniLM, makes of lesson 09's English sentences, as recorded in data/. No model is needed."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

MINILM_INTENTS = _data.FOLDER / "minilm_intents.npz"
MINILM_INTENTS_SHA256 = "7e8424e11ff9e6afd9e498475a448da699d841fe5b023f42e1bf59461a99872e"


@dataclass(frozen=True, eq=False)
class MiniLMResults:
    """The answers that were read off MiniLM's vectors of the first 1,000 English test sentences.

    answers  {(way, size, seed): (1000,)} an index into INTENTS each. The ways: "mean, logistic regression", "tokens,
             weighted mean", "tokens, two small layers" on vectors that stay as they are, and "top two layers trained";
             size is the number of training sentences
    seconds  of one core for each, MiniLM's own reading of the sentences not counted
    """

    answers: dict[tuple[str, int, int], Tensor]
    seconds: dict[tuple[str, int, int], float]

    def right(self, way: str, labels: Tensor, *, size: int = 3000) -> Tensor:
        """(seeds, sentences) boolean. Raises ValueError for a way or a size that was not tried."""
        found = [each for (name, trained, _), each in self.answers.items() if (name, trained) == (way, size)]
        if not found:
            raise ValueError(f"nobody read {way!r} off {size} training sentences.")
        return torch.stack(found) == labels[: len(found[0])]


def recorded_minilm_intents() -> MiniLMResults:
    """The answers in mha_lab/data/minilm_intents.npz, verified. data/record_minilm_intents.py makes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(MINILM_INTENTS, MINILM_INTENTS_SHA256)), allow_pickle=False)
    cells = list(zip(*(file[column].tolist() for column in ("way", "size", "seed"))))
    answers = torch.from_numpy(file["answers"].astype(np.int64))
    return MiniLMResults(dict(zip(cells, answers)), dict(zip(cells, file["seconds"].tolist())))
