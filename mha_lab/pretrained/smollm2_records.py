"""What was measured of SmolLM2, recorded in data/: no model is needed."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data
from mha_lab.pretrained.recordings import Recording

SMOLLM2 = _data.FOLDER / "smollm2.npz"
SMOLLM2_SHA256 = "47617f43dfd810080c78fb509ae9be2e902367ed56207502a2f84069b45b27a5"
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
    choosing_error  (30, 9) standard error, over the tokens, of what the mean loss rises by without the head
    halves          (2, 30, 9) what the loss rises by in the first and in the second half of `choosing`
    held_out        (1, tokens) other ordinary text; held_out_loss: its mean loss
    harmless        27 heads (layer, head) without which `choosing` loses least; pruned: both losses without them
    random_pruned   (draws, 2) both losses without 27 heads that chance has drawn
    blinded         {(layer, head): (30, 9)} `induction` again, while one head is switched off
    blinded_maps    {(layer, head): (100, 100)} head 18.6's weights in the first text, while one head is switched off
    copying_without_several  (3,) loss of the second copy (first two texts) without 17.3, 17.4 and 17.5; without 18.6
                    too; and without 18.7 as well
    long            (1, 900) a longer text of our own
    seen            {view: (899,)} its losses where every token sees only a part of the text: everything, the last 128
                    tokens, the first and the last 127, and so on
    on_first        (30, 9) share of its weight that each head lays on the first token, mean over tokens 300 to 899
    value_of_first  (30, 3) length of the first token's value, beside the median of all others
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
    choosing_error: Tensor
    halves: Tensor
    random_pruned: Tensor
    blinded: dict[tuple[int, int], Tensor]
    blinded_maps: dict[tuple[int, int], Tensor]
    copying_without_several: Tensor
    long: Tensor
    seen: dict[str, Tensor]
    on_first: Tensor
    value_of_first: Tensor
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
    rise = tensor("without_choosing") - tensor("losses_choosing")  # (30, 9, tokens)
    middle = rise.shape[-1] // 2
    blinding = [tuple(pair) for pair in file["blinding"].tolist()]
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
        choosing_error=rise.std(dim=-1) / rise.shape[-1] ** 0.5,
        halves=torch.stack([rise[..., :middle].mean(dim=-1), rise[..., middle:].mean(dim=-1)]),
        random_pruned=tensor("random_pruned"),
        blinded=dict(zip(blinding, tensor("blinded"))),
        blinded_maps=dict(zip(blinding, tensor("blinded_maps"))),
        copying_without_several=tensor("copying_without_several"),
        long=tensor("ids_long"),
        seen=dict(zip(file["views"].tolist(), tensor("losses_seen"))),
        on_first=tensor("on_first"),
        value_of_first=tensor("value_of_first"),
        pooled_alone=tensor("pooled_alone"),
        contexts=file["contexts"].tolist(),
        cached=tensor("seconds")[:, 0],
        uncached=tensor("seconds")[:, 1],
        written=dict(zip(file["prompts"].tolist(), file["continuations"].tolist())),
        **{name: float(file[name]) for name in numbers},
    )
