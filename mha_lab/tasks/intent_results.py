"""The recorded trainings of lesson 09."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

INTENT_RESULTS = _data.FOLDER / "intents.npz"
INTENT_RESULTS_SHA256 = "2c1797d832e2812a8d223362cf218ee2b1ca9451920542275f5b59881ba104dc"

UNKNOWN = 255  # in place of answers in other languages, and of those that were not kept


@dataclass(frozen=True)
class IntentTraining:
    """One training, and what it reached on sentences that it had not seen.

    name, language, size, steps, seed   what was trained, on how many sentences, for how many steps of 32 sentences
    parameters   how many numbers were learned
    seconds      of one core, spent on training
    loss         mean of the last 50 steps, in nats
    accuracy     share of right answers, by column. "main": the test sentences that are no ordinals, and the kinds in
                 it; "ordinal": those that are; "composite": those of "main" that name several of early repayment, its
                 penalty and the late fee, and want one of them; "validation", "longer": without their ordinals; "all
                 longer" with them; "seen": sentences that were trained on. NaN where it was not recorded
    answers      (2,000,) what it answered to the Chinese test sentences, in their order; None where that is not kept
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
    answers: Tensor | None


@dataclass(frozen=True, eq=False)
class IntentResults:
    """All trainings, what their heads look at, and what a mend costs.

    trained          every training that data/sweep_intents.py made
    steps            for how many steps a model is trained unless `of` is told otherwise: enough for flat curves
    kinds            of the sentences in "main", each of which is of one kind
    mended           by what was done to "relative" after its training: column → (seeds,) accuracy
    marks            what heads of "8 heads" were looked for: words of negation, terms, numbers, order
    head_share       (seeds, marks, L, H) weight on the marked words of a clause, from its other words
    head_chance      (seeds, marks, 20) the best head's weight on as many words of the clause drawn at random
    head_fall        (seeds, L, H, kinds) how much accuracy is lost without the head
    """

    trained: list[IntentTraining]
    steps: int
    kinds: list[str]
    mended: dict[str, dict[str, Tensor]]
    marks: list[str]
    head_share: Tensor
    head_chance: Tensor
    head_fall: Tensor

    def of(
        self, name: str, *, size: int = 8000, language: str = "zh", steps: int | None = None
    ) -> list[IntentTraining]:
        """The trainings of one model and one size, by seed. Raises ValueError where there are none."""
        wanted = name, language, size, self.steps if steps is None else steps
        found = [each for each in self.trained if (each.name, each.language, each.size, each.steps) == wanted]
        if not found:
            raise ValueError(f"nobody trained {name!r} on {size} sentences in {language!r} for {wanted[-1]} steps.")
        return sorted(found, key=lambda each: each.seed)

    def accuracy(self, name: str, column: str = "main", **which) -> Tensor:
        """(seeds,) what `of` reached in a column of accuracy."""
        return torch.tensor([each.accuracy[column] for each in self.of(name, **which)], dtype=torch.float64)

    def gain(self, name: str, over: str, column: str = "main", **which) -> Tensor:
        """(seeds,) accuracy of one model minus that of another with the same seed, for the seeds that both have: they
        saw the same batches, so that what these do to both cancels."""
        pairs = zip(*self._by_seed(name, over, column, which))
        return torch.tensor([one - other for one, other in pairs], dtype=torch.float64)

    def _by_seed(self, name, over, column, which):
        one, other = ({each.seed: each.accuracy[column] for each in self.of(model, **which)} for model in (name, over))
        both = sorted(one.keys() & other.keys())
        return [one[seed] for seed in both], [other[seed] for seed in both]


def recorded_intents() -> IntentResults:
    """The trainings in mha_lab/data/intents.npz, verified. data/sweep_intents.py makes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(INTENT_RESULTS, INTENT_RESULTS_SHA256)), allow_pickle=False)
    columns = file["columns"].tolist()
    fields = "name", "language", "size", "steps", "seed", "parameters", "seconds", "loss", "shares"
    rows = zip(*(file[field].tolist() for field in fields))
    kept = [torch.from_numpy(each).long() if each[0] != UNKNOWN else None for each in file["answers"]]
    trained = [
        IntentTraining(*row, accuracy=dict(zip(columns, shares)), answers=answers)
        for (*row, shares), answers in zip(rows, kept)
    ]
    by_mend = torch.from_numpy(file["mended"]).permute(1, 2, 0)  # (mends, columns, seeds)
    mended = {mend: dict(zip(columns, shares)) for mend, shares in zip(file["mends"].tolist(), by_mend)}
    heads = [torch.from_numpy(file[f"head_{what}"]) for what in ("share", "chance", "fall")]
    return IntentResults(
        trained,
        2000,
        file["kinds"].tolist(),
        mended,
        file["marks"].tolist(),
        *heads,
    )
