"""The recorded sweep over head counts, of lesson 06."""

import io
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data
from mha_lab.masks import causal_mask
from mha_lab.tasks._base import Batch
from mha_lab.tasks.lookups import looked_up

HEAD_COUNTS = _data.FOLDER / "head_counts.npz"
HEAD_COUNTS_SHA256 = "938b933c01a484efa19893e986c69af625328c2a981e73da399c4c17f3727576"
HEAD_MAPS = _data.FOLDER / "head_maps.npz"
HEAD_MAPS_SHA256 = "41b7262e0a63ede801255dfef44140758812065246ceabe6a0cc0377f981c3d4"


class HeadReading(NamedTuple):
    """What the heads of one trained model see, as HeadExplorer.from_trained takes it; and what its model reached.

    weights   (1, H, N, N), seed 0's
    mask      (N, N) boolean, True = may attend, or None where every token may look at all
    quality   a number for each seed; measure says of what"""

    sentence: str
    tokens: list[str]
    weights: Tensor
    mask: Tensor | None
    quality: list[float]
    measure: str


@dataclass(frozen=True, eq=False)
class HeadCounts:
    """What small models reached with several head counts, d_model 64 and the same number of parameters; and, sharing
    keys and values, with fewer. Seeds are counted from 0: column s of every array is seed s, so that columns can be
    compared.

    heads           the head counts: 1, 2, 4 … 64
    lookup          (counts, 5) share of right answers after 800 steps, at a learning rate of 3e-3
    long_heads      the head counts that were trained longer: 16, 32, 64
    lookup_long     (3, 5) share of right answers after 3,000 steps
    lookup_faster   (2,) the same for 64 heads at a learning rate of 1e-2
    characters      (counts, 5) loss on held-back text after 1,000 steps, in nats a character
    characters_long (counts, 2) the same after 3,000 steps
    shared          {(H, G, K): (2,)} loss on held-back text after 1,000 steps, with H query heads, G key/value heads
                    and d_head K
    shared_long     the same after 3,000 steps
    example         the first look-up example on which they were tested, as a batch of one
    maps            {(num_heads, steps): (H, N, N)} where seed 0's heads look in that example; float16 on file
    """

    heads: list[int]
    lookup: Tensor
    long_heads: list[int]
    lookup_long: Tensor
    lookup_faster: Tensor
    characters: Tensor
    characters_long: Tensor
    shared: dict[tuple[int, int, int], Tensor]
    shared_long: dict[tuple[int, int, int], Tensor]
    example: Batch
    maps: dict[tuple[int, int], Tensor]

    @cached_property
    def readings(self) -> dict[int, list[HeadReading]]:
        """For each head count three readings, for HeadExplorer.from_trained: of the look-up example after 800 steps,
        and of a line of text after 1,000 and after 3,000 steps (mha_lab/data/head_maps.npz, verified; 8 bits a weight,
        made by data/record_head_maps.py). Errors as `recorded_head_counts` raises them."""
        text = np.load(io.BytesIO(_data.read(HEAD_MAPS, HEAD_MAPS_SHA256)), allow_pickle=False)
        line = list(str(text["line"]))
        keys = [f"key {key}" for key in self.example.inputs[0, :, 0].tolist()]
        past = causal_mask(len(line))

        def of_lookups(h, quality):
            name, measure = "look-ups, after 800 steps", "share of right answers"
            return HeadReading(name, keys, self.maps[h, 800][None], None, quality.tolist(), measure)

        def of_text(h, steps, quality):
            weights = (torch.from_numpy(text[f"maps_{h}_{steps}"]) / 255.0) ** 2
            weights = weights / weights.sum(dim=-1, keepdim=True)  # rows of bytes sum to 1 but nearly
            name, measure = f"text, after {steps:,} steps", "nats a character (lower is better)"
            return HeadReading(name, line, weights[None], past, quality.tolist(), measure)

        rows = zip(self.heads, self.lookup, self.characters, self.characters_long)
        return {
            h: [of_lookups(h, lookup), of_text(h, 1000, short), of_text(h, 3000, long)]
            for h, lookup, short, long in rows
        }


def recorded_head_counts() -> HeadCounts:
    """The sweep in mha_lab/data/head_counts.npz, verified. data/sweep_head_counts.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(HEAD_COUNTS, HEAD_COUNTS_SHA256)), allow_pickle=False)
    inputs = torch.from_numpy(file["example"])[None]
    maps = {}
    for name in file.files:
        if name.startswith("maps_"):
            _, num_heads, steps = name.split("_")
            maps[int(num_heads), int(steps)] = torch.from_numpy(file[name]).float()
    shared, shared_long = (
        dict(zip(map(tuple, file[shapes].tolist()), torch.from_numpy(file[name])))
        for shapes, name in (("shapes", "shared"), ("long_shapes", "shared_long"))
    )
    measured = "lookup", "lookup_long", "lookup_faster", "characters", "characters_long"
    results = {name: torch.from_numpy(file[name]) for name in measured}
    lists = {name: file[name].tolist() for name in ("heads", "long_heads")}
    groups = {"shared": shared, "shared_long": shared_long}
    return HeadCounts(example=looked_up(inputs), maps=maps, **lists, **results, **groups)
