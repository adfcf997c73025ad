"""The recorded sweep over head counts, of lesson 06."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data
from mha_lab.tasks._base import Batch
from mha_lab.tasks.lookups import looked_up

HEAD_COUNTS = _data.FOLDER / "head_counts.npz"
HEAD_COUNTS_SHA256 = "5a7a77e13f9ad42b7f91208d469f63d8dc03372921b8eaaf31e9a12d8b9f0444"


@dataclass(frozen=True, eq=False)
class HeadCounts:
    """What small models reached with C head counts and five seeds each; d_model 64 and the same number of parameters.

    heads        the C head counts: 1, 2, 4 … 64
    lookup       (C, 5) share of right answers after 800 steps
    long_heads   the head counts that were trained longer: 16, 32, 64
    lookup_long  (3, 5) share of right answers after 3,000 steps
    characters   (C, 5) loss on held-back text after 1,000 steps, in nats a character
    example      the first look-up example on which they were tested, as a batch of one
    maps         {(num_heads, steps): (H, N, N)} where seed 0's heads look in that example; float16 on file
    """

    heads: list[int]
    lookup: Tensor
    long_heads: list[int]
    lookup_long: Tensor
    characters: Tensor
    example: Batch
    maps: dict[tuple[int, int], Tensor]


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
    results = {name: torch.from_numpy(file[name]) for name in ("lookup", "lookup_long", "characters")}
    heads, long_heads = file["heads"].tolist(), file["long_heads"].tolist()
    return HeadCounts(heads=heads, long_heads=long_heads, example=looked_up(inputs), maps=maps, **results)
