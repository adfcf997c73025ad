"""The recorded trainings of lesson 09."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

INTENT_RESULTS = _data.FOLDER / "intents.npz"
INTENT_RESULTS_SHA256 = "50545ef53ffb2c27b9a5e2b0471204bb6efba8e6a73c053605d0b7b0a49b3e5f"


@dataclass(frozen=True)
class IntentTraining:
    """One training, and what it reached on sentences that it had not seen.

    name, language, size, steps, seed   what was trained, on how many sentences, for how many steps of 32 sentences
    parameters   how many numbers were learned
    seconds      of one core, spent on training
    loss         mean of the last 50 steps, in nats
    accuracy     by kind of sentence: "test" is all of the test part, "longer" the part with more requests than any in
                 training, "seen" sentences that were trained on; the others are kinds within the test part
    """

    name: str
    language: str
    size: int
    steps: int
    seed: int
    parameters: int
    seconds: float
    loss: float
    accuracy: dict[str, float]


@dataclass(frozen=True, eq=False)
class IntentResults:
    """All trainings, and the time that one sentence takes.

    trained          every training that data/sweep_intents.py made
    steps            for how many steps all of them were trained but for those that say otherwise
    lengths          numbers of tokens (P,)
    latency          by path: (P, 3) seconds of one sentence of each length, as quartiles; batch 1, one thread
    machine          what the seconds were measured on
    """

    trained: list[IntentTraining]
    steps: int
    lengths: list[int]
    latency: dict[str, Tensor]
    machine: str

    def of(
        self, name: str, *, size: int = 8000, language: str = "zh", steps: int | None = None
    ) -> list[IntentTraining]:
        """The trainings of one model and one size, by seed. Raises ValueError where there are none."""
        wanted = name, language, size, self.steps if steps is None else steps
        found = [each for each in self.trained if (each.name, each.language, each.size, each.steps) == wanted]
        if not found:
            raise ValueError(f"nobody trained {name!r} on {size} sentences in {language!r} for {wanted[-1]} steps.")
        return sorted(found, key=lambda each: each.seed)

    def accuracy(self, name: str, kind: str = "test", **which) -> Tensor:
        """(seeds,) what `of` reached on sentences of a kind."""
        return torch.tensor([each.accuracy[kind] for each in self.of(name, **which)])


def recorded_intents() -> IntentResults:
    """The trainings in mha_lab/data/intents.npz, verified. data/sweep_intents.py makes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(INTENT_RESULTS, INTENT_RESULTS_SHA256)), allow_pickle=False)
    kinds = file["kinds"].tolist()
    columns = "name", "language", "size", "steps", "seed", "parameters", "seconds", "loss", "accuracy"
    rows = zip(*(file[column].tolist() for column in columns))
    trained = [IntentTraining(*row, accuracy=dict(zip(kinds, accuracy))) for *row, accuracy in rows]
    latency = {name: torch.from_numpy(times) for name, times in zip(file["paths"].tolist(), file["latency"])}
    return IntentResults(trained, int(file["usual_steps"]), file["lengths"].tolist(), latency, str(file["machine"]))
