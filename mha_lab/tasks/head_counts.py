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
HEAD_COUNTS_SHA256 = "938b933c01a484efa19893e986c69af625328c2a981e73da399c4c17f3727576"


@dataclass(frozen=True, eq=False)
class HeadCounts:
    """What small models reached with C head counts, d_model 64 and the same number of parameters; and, sharing keys and
    values, with fewer. Seeds are counted from 0: column s of every array is seed s, so that columns can be compared.

    heads           the C head counts: 1, 2, 4 … 64
    lookup          (C, 5) share of right answers after 800 steps, at a learning rate of 3e-3
    long_heads      the head counts that were trained longer: 16, 32, 64
    lookup_long     (3, 5) share of right answers after 3,000 steps
    lookup_faster   (2,) the same for 64 heads at a learning rate of 1e-2
    characters      (C, 5) loss on held-back text after 1,000 steps, in nats a character
    characters_long (C, 2) the same after 3,000 steps
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
