"""The recorded trainings of lesson 12b: what a state, shared layers and few keys keep."""

import io
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

MEMORIES = _data.FOLDER / "memories.npz"
MEMORIES_SHA256 = "d8b9810280e3c6907658de9c546bfea1e2f1ee76b9bac6ff7b6a559fae110f86"


@dataclass(frozen=True, eq=False)
class SelectedCall:
    """One layer of SmolLM2 at work on 96 tokens, and which of them an indexer trained beside it prefers.

    query (9, N, 64), key and value (3, N, 64), scores (N, N) of the indexer, before any mask; tokens: N pieces"""

    query: Tensor = field(repr=False)
    key: Tensor = field(repr=False)
    value: Tensor = field(repr=False)
    scores: Tensor = field(repr=False)
    tokens: list[str] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Memories:
    """Row s of every tensor is seed s, so that rows can be compared. Layers are words of letters: G softmax over all
    keys, L linear attention, W a state that is only written to, D the delta rule, S the gated delta rule.

    capacity    {(layers, d_head): (3, 5)} share of right answers after 4, 8, 16, 32 and 64 pairs (`pairs`)
    updates     {layers: (3, 4)} the same after 2, 4, 8 and 16 pairs (`few_pairs`), d_head 16, each key written three
                times: the last value counts
    stacks      {layers: (3, 5)} as capacity, four layers, d_head 8
    sharing     {(layers, key/value heads): (3,)} nats a character on held-back text; O a layer with keys and values of
                its own, B one that borrows those of the last O before it
    parameters  {the same keys, with "sharing" or "stacks" … in front: how many numbers the model learns}
    keys        how many keys each token of SmolLM2 looks at: 16, 32, 64, 128, 256
    weight      {way of choosing: (draws, 5)} share of the heads' weight on what is chosen
    perplexity  {way of choosing: (draws, 5)} of tokens 300 to 899; NaN where only 64 keys were tried
    everything  the perplexity where each token looks at its whole past
    copied      {way of choosing: (draws,)} nats a token where thirty random tokens come a second time, 350 tokens after
                the first, with 64 keys; "everything": with all
    call        one layer's call, with its indexer's scores
    state       the parameters of a trained model for `models.memories.memory_model`, layers "D" """

    pairs: list[int]
    few_pairs: list[int]
    capacity: dict[tuple[str, int], Tensor]
    updates: dict[str, Tensor]
    stacks: dict[str, Tensor]
    sharing: dict[tuple[str, int], Tensor]
    parameters: dict[tuple[str, str, int], int]
    keys: list[int]
    weight: dict[str, Tensor]
    perplexity: dict[str, Tensor]
    everything: float
    copied: dict[str, Tensor]
    call: SelectedCall
    state: dict[str, Tensor] = field(repr=False)


def recorded_memories() -> Memories:
    """What mha_lab/data/memories.npz holds, verified. data/sweep_memories.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    with np.load(io.BytesIO(_data.read(MEMORIES, MEMORIES_SHA256)), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    found = {"capacity": {}, "updates": {}, "stacks": {}, "sharing": {}, "parameters": {}}
    chosen, copied, call, state = {"weight": {}, "perplexity": {}}, {}, {}, {}
    for name, array in arrays.items():
        match name.split():
            case "capacity" | "sharing" as what, layers, size:
                found[what][layers, int(size)] = torch.from_numpy(array)
            case "updates" | "stacks" as what, layers, _:
                found[what][layers] = torch.from_numpy(array)
            case "parameters", what, layers, size:
                found["parameters"][what, layers, int(size)] = int(array)
            case "model", parameter:
                state[parameter] = torch.from_numpy(array).float()
            case "chosen", "example", part:
                call[part] = array.tolist() if part == "tokens" else torch.from_numpy(array).float()
            case "chosen", "copy", *how:
                how = [part for part in how if not part.isdigit()]
                copied.setdefault(" ".join(how), []).append(torch.from_numpy(array))
            case "chosen", "weight" | "perplexity" as what, *how, _ if how:
                chosen[what].setdefault(" ".join(how), []).append(_padded(array))
    return Memories(
        pairs=arrays["pairs"].tolist(),
        few_pairs=arrays["few_pairs"].tolist(),
        keys=arrays["chosen keys"].tolist(),
        everything=float(arrays["chosen perplexity everything"][0]),
        copied={how: torch.cat(draws) for how, draws in copied.items()},
        call=SelectedCall(**call),
        state=state,
        **found,
        **{what: {how: torch.stack(rows) for how, rows in table.items()} for what, table in chosen.items()},
    )


def _padded(array):
    """Five numbers; one alone is that of 64 keys, the third."""
    row = torch.full((5,), torch.nan)
    row[2 if len(array) == 1 else slice(None)] = torch.from_numpy(array)
    return row
