"""What small models reached with and without what today's attention layers add, for lesson 12."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

MODERN = _data.FOLDER / "modern.npz"
MODERN_SHA256 = "274f3a57b6acb19a507c222620f0b3d038931463bba147da4576d4e936cb01a7"

SEEDS, FEW_SEEDS = (0, 1, 2, 3, 4), (0, 1, 2)
RATES = 1e-2, 3e-2, 1e-1
RATE_KINDS = "plain", "QK-norm"
RATE_STEPS, TEXT_STEPS, IDLE_STEPS, PLACES_STEPS, PATTERN_STEPS = 300, 400, 500, 800, 200
EVERY = 20  # steps between two looks at the scores
TEXT_KINDS = "plain", "wider", "gate for each number", "gate for each head"
IDLE_KINDS = "plain", "gate for each number", "gate for each head", "sink"
IDLE_WINDOW, PATTERN_WINDOW, DEPTH = 6, 8, 12
PLACE_KINDS = "sinusoidal", "rotary", "a quarter rotary", "none", "rotary, then none"
LENGTHS = 64, 128, 256
PATTERNS = "G", "LG", "LLLG", "LLLLLG", "L"
VIEWS = "all", "window", "first and window"
SHARES = "first", "itself", "all", "first, asked"


@dataclass(frozen=True, eq=False)
class Modern:
    """Small models with and without a change, from the same first weights and batches; index s of an array is seed s.

    rate_loss    {kind: {learning rate: (3,)}} real text, two layers: loss on held-back text in nats a character after
                 300 steps; kinds "plain" and "QK-norm"
    steps        the steps at which their scores were looked at
    largest      {kind: {learning rate: (3, looks)}} the largest score of all layers, without its sign
    entropy      the same of the weights' mean entropy, in nats
    text_loss    {kind: (3,)} the same text after 400 steps at a learning rate of 1e-2; "wider" has no gate and heads of
                 20 numbers in place of 16. text_parameters: {kind: learned numbers}
    idle_loss    {kind: {view: (5, 2)}} back_copy: loss in nats beyond the table's own, after a letter and after a
                 trigger, where a token sees "all", the last six ("window"), or "first and window", the last five and
                 the first token of the text
    idle_share   {kind: {share: (5, H)}} where the queries of letters lay each head's weight: on the "first" token, on
                 the letter "itself", and "all" of it; "first, asked": a trigger's, on the first
    places       {kind: (3, lengths, 2)} documents of 64 tokens, read at `LENGTHS`: share of right answers near and far
    patterns     {pattern: (3, 3)} documents of 64 tokens, twelve layers: share of right answers near, far, and far
                 where the fact stands eight tokens back or more
    weights      {kind: state dict} of seed 0's back-copy models, as `models.today.back_copy_model` makes them; half
                 precision on file
    """

    rate_loss: dict[str, dict[float, Tensor]]
    steps: list[int]
    largest: dict[str, dict[float, Tensor]]
    entropy: dict[str, dict[float, Tensor]]
    text_loss: dict[str, Tensor]
    text_parameters: dict[str, int]
    idle_loss: dict[str, dict[str, Tensor]]
    idle_share: dict[str, dict[str, Tensor]]
    places: dict[str, Tensor]
    patterns: dict[str, Tensor]
    weights: dict[str, dict[str, Tensor]]


def recorded_modern() -> Modern:
    """The trainings in mha_lab/data/modern.npz, verified. data/sweep_modern.py trains them again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    with np.load(io.BytesIO(_data.read(MODERN, MODERN_SHA256)), allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    looks = arrays["rate_looks"]  # (kinds, rates, seeds, looks, 2)

    def by_rate(numbers):
        return {kind: dict(zip(RATES, row)) for kind, row in zip(RATE_KINDS, numbers)}

    def by_idle(what, names):
        return {kind: {name: arrays[f"{what} {name}"][i] for name in names} for i, kind in enumerate(IDLE_KINDS)}

    weights = {kind: {} for kind in IDLE_KINDS}
    for name, numbers in arrays.items():
        kind, _, parameter = name.partition(".")
        if parameter:
            weights[kind][parameter] = numbers.float()
    return Modern(
        rate_loss=by_rate(arrays["rate_loss"]),
        steps=list(range(0, RATE_STEPS + 1, EVERY)),
        largest=by_rate(looks[..., 0]),
        entropy=by_rate(looks[..., 1]),
        text_loss=dict(zip(TEXT_KINDS, arrays["text_loss"])),
        text_parameters=dict(zip(TEXT_KINDS, arrays["text_parameters"].int().tolist())),
        idle_loss=by_idle("idle_loss", VIEWS),
        idle_share=by_idle("idle_share", SHARES),
        places=dict(zip(PLACE_KINDS, arrays["places_right"])),
        patterns=dict(zip(PATTERNS, arrays["pattern_right"])),
        weights=weights,
    )
