"""Where HeadExplorer's maps come from: recorded, cut live from a projection, or of models trained at each head count.

A source knows its words, masks and maps, and which traits may be changed. It keeps no state of its own: `state` is the
explorer, whose traits say what is on show.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from traitlets import TraitError

from mha_lab import _door
from mha_lab.attention import attention, split_heads
from mha_lab.masks import causal_mask, window_mask
from mha_lab.widgets._base import allowed_cells, found, numbers, plural, words
from mha_lab.widgets._recordings import Reading, checked, packed, same_model

LIVE = {"causal": "masked", "window": "masked", "shuffle": "shuffled", "num_kv_heads": "shared"}
"""Traits that need the queries and keys themselves, and what they do to the maps."""


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
            self.model = self.model()
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


class Projection:
    """Heads cut from query and key (N, D) by any head count that divides D."""

    kind = "projection"
    moves = "num_heads", *LIVE

    def __init__(self, query, key, tokens: Sequence[str], mask=None, bias: bool = True):
        query, key = numbers("query", query, "(N, D)"), numbers("key", key, "(N, D)")
        if query.shape != key.shape:
            raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
        n, self.d_model = query.shape
        if self.d_model < 1:
            raise ValueError(f"query has shape {query.shape}: d_model must be at least 1.")
        self.query, self.key, self.tokens = query, key, words(tokens, n, "rows of query and key")
        self.mask = allowed_cells(mask, (n, n))
        self.head_counts = [h for h in range(1, self.d_model + 1) if self.d_model % h == 0]
        self.traits = {
            "_query": query.tobytes(),
            "_key": key.tobytes(),
            "_mask": b"" if self.mask is None else self.mask.astype(np.uint8).tobytes(),
            "tokens": self.tokens,
            "d_model": self.d_model,
            "bias": bias,
        }

    def check(self, name, value, state):
        if name == "num_heads" and value not in self.head_counts:
            divisors = ", ".join(map(str, self.head_counts))
            raise TraitError(
                f"d_model={self.d_model} cannot be split over num_heads={value}; what divides it: {divisors}."
            )
        if name == "num_kv_heads" and value and (value < 0 or state.num_heads % value):
            divisors = ", ".join(str(g) for g in range(1, state.num_heads + 1) if state.num_heads % g == 0)
            raise TraitError(
                f"num_kv_heads={value}: {plural(state.num_heads, 'head')} can share {divisors} heads of keys; "
                "0 leaves each its own."
            )
        if name == "window" and value < 0:
            raise TraitError(f"window={value}: 0 is no window, 1 leaves a query its own key.")
        if name == "shuffle" and not 0 <= value < 2**32:
            raise TraitError(f"shuffle={value}: 0 leaves the columns in order; a seed is at most 2**32 - 1.")

    def sides(self, state):
        return self.tokens, self.tokens

    def keys(self):
        return [self.tokens]

    def allowed(self, state):
        n, masks = len(self.tokens), [] if self.mask is None else [self.mask]
        if state.causal:
            masks.append(causal_mask(n).numpy())
        if state.window:
            masks.append(window_mask(n, state.window).numpy())
        return np.logical_and.reduce(masks) if masks else None

    def weights(self, state):
        order = permutation(self.d_model, state.shuffle)
        query, key = (torch.tensor(data[:, order]).double()[None] for data in (self.query, self.key))
        query, key = split_heads(query, state.num_heads), split_heads(key, state.num_heads)
        if groups := state.num_kv_heads:
            means = key.unflatten(1, (groups, -1)).mean(dim=2)  # (1, G, N, K)
            key = means.repeat_interleave(state.num_heads // groups, dim=1)
        allowed = self.allowed(state)
        mask = None if allowed is None else torch.from_numpy(allowed)
        return attention(query, key, key, mask=mask)[1].numpy()


def permutation(width: int, seed: int) -> list[int]:
    """The order of `width` columns under this seed, 0 being as they are: a shuffle (Fisher and Yates) by a congruential
    generator (Numerical Recipes' constants) that the page computes in the same way, in whole numbers below 2⁵³."""
    order = list(range(width))
    if not seed:
        return order

    def step(state):
        return (1664525 * state + 1013904223) % 2**32

    state = step(seed)
    for i in range(width - 1, 0, -1):
        state = step(state)
        j = state * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def _unknown(sentence, readings):
    return found([reading._asdict() for reading in readings.values()], sentence)


def _listed(recordings, heads) -> list:
    """The recordings of one model, which may be a single one."""
    if hasattr(recordings, "weights"):
        return [recordings]
    if not (several := list(_door.several("a model", recordings, "recordings"))):
        raise ValueError(f"the model of {plural(heads, 'head')} has no recording.")
    return several


def _quality(recording, heads) -> list[dict]:
    """What the model reached, where the recording says it: .quality, a number for each seed, and .measure in words."""
    quality = getattr(recording, "quality", None)
    if quality is None:
        return []
    seeds = [float(f"{number:.5g}") for number in numbers("quality", np.atleast_1d(quality), "(seeds)")]
    measure = str(getattr(recording, "measure", "quality"))
    row = {"sentence": str(recording.sentence), "num_heads": heads, "quality": float(f"{np.mean(seeds):.5g}")}
    return [{**row, "seeds": seeds, "measure": measure}]
