"""Where HeadExplorer's maps come from: recorded, cut live from a projection, or of models trained at each head count.

A source knows its words, masks and maps, and which traits may be changed. It keeps no state of its own: `state` is the
explorer, whose traits say what is on show.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from traitlets import TraitError

from mha_lab import _door
from mha_lab.widgets._base import found, numbers, plural
from mha_lab.widgets._projection import LIVE, Projection
from mha_lab.widgets._recordings import Reading, checked, packed, same_model

__all__ = ["Projection", "Recorded", "Trained"]


class Readings:
    """What recorded and trained heads have in common: maps that stand as they were read.

    kind      its name to the page                 models       {head count: {sentence: Reading}}
    traits    what the page must know              moves        the traits that may be changed, beside every explorer's
    """

    kind: str
    moves: tuple[str, ...]
    traits: dict
    models: dict[int, dict[str, Reading]]

    @property
    def first(self) -> dict[str, Reading]:
        """The readings of the smallest head count: of its sentences and words the others have the same."""
        return next(iter(self.models.values()))

    def reading(self, state) -> Reading:
        """The one on show. Raises TraitError, in words, where there is none of this sentence."""
        readings = self.models.get(state.num_heads, self.first)
        return readings.get(state.sentence) or _unknown(state.sentence, readings)

    def check(self, name: str, value, state) -> None:
        """Raises TraitError, in words, where a trait cannot have this value."""
        if name in LIVE and value:
            raise TraitError(
                f"{name}={value}: recorded weights cannot be {LIVE[name]} afterwards: the scores behind them are gone. "
                "Use HeadExplorer.from_projection."
            )
        if name == "sentence" and value not in self.first:
            _unknown(value, self.first)

    def keys(self) -> list[list[str]]:
        """The words that are looked at, sentence by sentence."""
        return [reading.keys for reading in self.first.values()]

    def sides(self, state) -> tuple[list[str], list[str]]:
        """The words that look, and those that are looked at; one list where they look at themselves."""
        reading = self.reading(state)
        return reading.tokens, reading.keys

    def allowed(self, state) -> np.ndarray | None:
        """(N, S) boolean, True = may attend; None where all may."""
        return self.reading(state).allowed

    def weights(self, state) -> np.ndarray:
        """The maps (layers, H, N, S) of all words, before any is hidden."""
        return self.reading(state).weights


class Recorded(Readings):
    """One model's heads as they were recorded, sentence by sentence; with a model to read others."""

    kind = "recorded"
    moves = "sentence", "layer"

    def __init__(self, recordings: Iterable, mask=None, model=None):
        if hasattr(recordings, "weights"):
            raise ValueError(f"recordings is one {type(recordings).__name__}; it must be a list of them: [recording].")
        recordings = list(recordings)
        if not recordings:
            raise ValueError("there are 0 recordings; HeadExplorer shows one or more.")
        if model is not None and not hasattr(model, "read") and not callable(model):
            raise ValueError(
                f"model is {type(model).__name__}: it must have .read(sentence), or be a function that loads it."
            )
        readings = [checked(recording, mask) for recording in recordings]
        self.model, self.shape = model, readings[0].model
        for reading in readings:
            same_model(reading, self.shape)
        layers, heads = self.shape
        self.models = {heads: {reading.sentence: reading for reading in readings}}
        if len(self.first) < len(readings):
            raise ValueError("two recordings have the same sentence: the menu could not tell them apart.")
        self.traits = {
            "_recordings": [packed(reading) for reading in readings],
            "sentence": readings[0].sentence,
            "num_layers": layers,
            "num_heads": heads,
            "can_read": model is not None,
            "loaded": model is None or hasattr(model, "read"),
        }

    def check(self, name, value, state):
        if name == "num_heads" and value not in self.models:
            raise TraitError("a trained model's head count is its own: use HeadExplorer.from_projection.")
        super().check(name, value, state)

    def read(self, sentence: str) -> dict:
        """What the model reads in a new sentence, as it is sent. A model that is still to be loaded is, and stays."""
        if not hasattr(self.model, "read"):
            loaded = self.model()
            if not hasattr(loaded, "read"):
                raise TypeError(f"model() gave {_door.told(loaded)}; it must give what has .read(sentence).")
            self.model = loaded
        reading = checked(self.model.read(sentence))._replace(sentence=sentence)
        same_model(reading, self.shape)
        self.first[sentence] = reading
        return packed(reading)


class Trained(Readings):
    """Models that were trained with each head count, and read the same sentences."""

    kind = "trained"
    moves = "sentence", "layer", "num_heads"

    def __init__(self, models: Mapping, d_model: int, bias: bool = True, mask=None):
        if not isinstance(models, Mapping) or not models:
            raise ValueError(
                f"models is {_door.told(models)}; it must be recordings by head count: {{1: recording, 2: …}}."
            )
        d_model = _door.whole("d_model", d_model)
        self.models, sent, trained = {}, [], []
        for heads in sorted(_door.whole("a head count", heads) for heads in models):
            if d_model % heads:
                raise ValueError(f"d_model={d_model} cannot be split over num_heads={heads}: there is no such model.")
            for recording in _listed(models[heads], heads):
                reading = checked(recording, mask)
                self.models.setdefault(heads, {})[reading.sentence] = reading
                sent.append({**packed(reading), "num_heads": heads})
                trained += _quality(recording, heads)
        first = next(iter(self.first.values()))
        layers = first.model[0]
        for heads, readings in self.models.items():
            self._compare(heads, readings, layers)
        self.traits = {
            "_recordings": sent,
            "_trained": trained,
            "sentence": first.sentence,
            "num_layers": layers,
            "d_model": d_model,
            "bias": bias,
        }

    def _compare(self, heads, readings, layers):
        """Raises ValueError where a model has not the heads it should, or read something else than the first one."""
        for sentence in self.first.keys() | readings.keys():
            mine, others = readings.get(sentence), self.first.get(sentence)
            if not mine or not others or (mine.tokens, mine.keys) != (others.tokens, others.keys):
                least = next(iter(self.models))
                raise ValueError(
                    f"{sentence!r} was not read, in the same tokens, with {plural(least, 'head')} and with {heads}: "
                    "every model reads the same."
                )
            same_model(mine, (layers, heads), "there should be")

    def check(self, name, value, state):
        if name == "num_heads" and value not in self.models:
            raise TraitError(f"num_heads={value}: models were trained with {', '.join(map(str, self.models))} heads.")
        super().check(name, value, state)


def _unknown(sentence, readings):
    return found([reading._asdict() for reading in readings.values()], sentence)


def _listed(recordings, heads) -> list:
    """The recordings of one model, which may be a single one."""
    if hasattr(recordings, "weights"):
        return [recordings]
    if not (several := list(_door.several("a model", recordings, "recordings"))):
        raise ValueError(f"the model of {plural(heads, 'head')} has no recording.")
    return several


MOST_LETTERS = 60  # of what the quality counts: as wide as the chart


def _quality(recording, heads) -> list[dict]:
    """What the model reached, where the recording says it: .quality, a number for each seed, and .measure in words."""
    quality = getattr(recording, "quality", None)
    if quality is None:
        return []
    seeds = [float(f"{number:.5g}") for number in numbers("quality", np.atleast_1d(quality), "(seeds)")]
    measure = str(getattr(recording, "measure", "quality"))
    if not 1 <= len(measure) <= MOST_LETTERS:
        raise ValueError(f"measure has {len(measure):,} letters: say in 1 to {MOST_LETTERS} what the quality counts.")
    row = {"sentence": str(recording.sentence), "num_heads": heads, "quality": float(f"{np.mean(seeds):.5g}")}
    return [{**row, "seeds": seeds, "measure": measure}]
