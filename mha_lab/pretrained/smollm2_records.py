"""What was measured of SmolLM2, recorded in data/: no model is needed."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data
from mha_lab.pretrained.recordings import Recording

SMOLLM2 = _data.FOLDER / "smollm2.npz"
SMOLLM2_SHA256 = "216c7bbb0b3deee90f70250a230937c765f861d47debf26ad02d4c473f2642d1"
SHOWN = (16, 0), (18, 6)  # the heads whose maps of a repeated text are kept


@dataclass(frozen=True, eq=False)
class SmolLM2Record:
    """SmolLM2's 30 layers × 9 heads, measured. Losses are nats a token; text stands as the model's token ids.

    sentences       every head's weights in two sentences, as `recorded()` gives MiniLM's
    repeated        (4, 100) random tokens, 50 and the same again
    previous        (30, 9) share of weight on the token before, in the second copy
    induction       (30, 9) share on the token that followed the same token the first time
    losses          (4, 99) loss at each token after the first
    maps            {(layer, head): (100, 100)} two heads' weights in the first of the texts
    without         (30, 9, 99) losses without a head, mean of the first two texts
    choosing        (1, N) ordinary text; choosing_loss: its mean loss
    choosing_without  (30, 9) its mean loss without a head
    held_out        (1, M) other ordinary text; held_out_loss: its mean loss
    harmless        27 heads (layer, head) without which `choosing` loses least; pruned: both losses without them
    mha             held-out loss with 9 key/value heads, each of the 3 repeated
    pooled, first   held-out loss with 1: the mean of the 3, or the first of them
    pooled_alone    (30,) the same with the mean in one layer only
    wrong_layout    held-out loss with rotary pairs half a head apart; wrong_layout_agreement: how often the same token
                    is then the likeliest
    contexts, cached, uncached  tokens before, and seconds of the next with and without the cache (one thread)
    written         {prompt: continuation}, 30 tokens each
    """

    sentences: list[Recording]
    repeated: Tensor
    previous: Tensor
    induction: Tensor
    losses: Tensor
    maps: dict[tuple[int, int], Tensor]
    without: Tensor
    choosing: Tensor
    choosing_loss: float
    choosing_without: Tensor
    held_out: Tensor
    held_out_loss: float
    harmless: list[tuple[int, int]]
    pruned: tuple[float, float]
    mha: float
    pooled: float
    first: float
    pooled_alone: Tensor
    wrong_layout: float
    wrong_layout_agreement: float
    contexts: list[int]
    cached: Tensor
    uncached: Tensor
    written: dict[str, str]


def recorded_smollm2() -> SmolLM2Record:
    """The measurements in mha_lab/data/smollm2.npz, verified; data/record_smollm2.py takes them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(SMOLLM2, SMOLLM2_SHA256)), allow_pickle=False)

    def tensor(name):
        array = file[name]
        return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)

    numbers = "mha", "pooled", "first", "wrong_layout", "wrong_layout_agreement"
    sentences = [
        Recording(sentence, file[f"tokens_{i}"].tolist(), tensor(f"weights_{i}"))
        for i, sentence in enumerate(file["sentences"].tolist())
    ]
    return SmolLM2Record(
        sentences=sentences,
        repeated=tensor("ids_repeated"),
        previous=tensor("previous"),
        induction=tensor("induction"),
        losses=tensor("losses_repeated"),
        maps=dict(zip(SHOWN, tensor("maps"))),
        without=tensor("without_repeated"),
        choosing=tensor("ids_choosing"),
        choosing_loss=tensor("losses_choosing").mean().item(),
        choosing_without=tensor("without_choosing").mean(dim=-1),
        held_out=tensor("ids_held_out"),
        held_out_loss=tensor("losses_held_out").mean().item(),
        harmless=[divmod(head, 9) for head in file["harmless"].tolist()],
        pruned=tuple(file["pruned"].tolist()),
        pooled_alone=tensor("pooled_alone"),
        contexts=file["contexts"].tolist(),
        cached=tensor("seconds")[:, 0],
        uncached=tensor("seconds")[:, 1],
        written=dict(zip(file["prompts"].tolist(), file["continuations"].tolist())),
        **{name: float(file[name]) for name in numbers},
    )
