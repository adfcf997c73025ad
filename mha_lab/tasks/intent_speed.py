"""The recorded times of lesson 09's two models at several widths."""

import io
from dataclasses import dataclass

import numpy as np

from mha_lab import _data

INTENT_SPEED = _data.FOLDER / "intent_speed.npz"
INTENT_SPEED_SHA256 = "68ac93879ca6d99776e051e10b5e3b3f505d20fea8b38aaf25afc145c375f01e"


@dataclass(frozen=True, eq=False)
class IntentSpeed:
    """Seconds of one thread, each model's median with its quartiles; the models took turns.

    widths     d_model, with the number of heads of each
    answers    {(model, d_model, batch, tokens): (lower quartile, median, upper quartile)} of one forward pass
    steps      the same of a forward and a backward pass over sentences of one length
    unequal_steps  and over sentences whose lengths differ by up to an eighth
    machine    what they were measured on
    """

    widths: dict[int, int]
    answers: dict[tuple[str, int, int, int], tuple[float, float, float]]
    steps: dict[tuple[str, int, int, int], tuple[float, float, float]]
    unequal_steps: dict[tuple[str, int, int, int], tuple[float, float, float]]
    machine: str

    def ratio(
        self, d_model: int, batch: int, tokens: int, *, model: str = "attention, bias", what: str = "answers"
    ) -> float:
        """The model's median time as a multiple of the BiLSTM's: below 1, it is faster. NaN where nobody measured."""
        times = getattr(self, what)
        cell = d_model, batch, tokens
        return times[model, *cell][1] / times["BiLSTM", *cell][1] if (model, *cell) in times else float("nan")


def recorded_intent_speed() -> IntentSpeed:
    """The times in mha_lab/data/intent_speed.npz, verified. data/record_intent_speed.py takes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(INTENT_SPEED, INTENT_SPEED_SHA256)), allow_pickle=False)
    found = {"answers": {}, "steps": {}, "unequal_steps": {}}
    columns = ("what", "model", "d_model", "batch", "tokens", "seconds")
    for what, *cell, seconds in zip(*(file[column].tolist() for column in columns)):
        found[what.replace(" ", "_")][tuple(cell)] = tuple(seconds)
    widths = dict(zip(file["widths"].tolist(), file["heads"].tolist()))
    return IntentSpeed(widths, **found, machine=str(file["machine"]))
