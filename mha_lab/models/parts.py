"""What can be exchanged in a small network: how it knows places, and what stands for W^O."""

import torch
from torch import Tensor, nn


class Learned(nn.Module):
    """Adds a learned vector for each place (Gehring 2017)."""

    def __init__(self, num_tokens: int, d_model: int):
        super().__init__()
        self.place = nn.Embedding(num_tokens, d_model)

    def forward(self, x: Tensor) -> Tensor:
        N, known = x.shape[1], self.place.num_embeddings
        if N > known:
            raise ValueError(f"a sentence of {N} tokens has places that were never learned: there are {known}.")
        return x + self.place.weight[:N]


class Sinusoidal(nn.Module):
    """Adds sines and cosines of the place, at wavelengths from 2π to 10,000 · 2π (Vaswani 2017, section 3.5)."""

    def __init__(self, d_model: int):
        super().__init__()
        self.register_buffer("rate", 10_000 ** (-torch.arange(0, d_model, 2) / d_model), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        angle = torch.arange(x.shape[1], device=x.device)[:, None] * self.rate
        waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
        return x + waves[:, : x.shape[-1]]


class GatedFusion(nn.Module):
    """W^O and a gate: σ(W^G c) ⊙ (W^O c) of the concatenated heads c. d_model² parameters more than W^O alone."""

    def __init__(self, d_model: int):
        super().__init__()
        self.project = nn.Linear(d_model, d_model, bias=False)
        self.gate = nn.Linear(d_model, d_model, bias=False)

    def forward(self, concat: Tensor) -> Tensor:
        return self.gate(concat).sigmoid() * self.project(concat)


class HeadGate(nn.Module):
    """A gate for each head before W^O: σ(W^G c + b) says at every token how much of head h is let through. It begins
    half open."""

    def __init__(self, d_model: int, num_heads: int):
        super().__init__()
        self.gate = nn.Linear(d_model, num_heads)
        self.project = nn.Linear(d_model, d_model, bias=False)

    def forward(self, concat: Tensor) -> Tensor:
        gates = self.gate(concat).sigmoid()[..., None]  # (…, H, 1)
        return self.project((concat.unflatten(-1, (gates.shape[-2], -1)) * gates).flatten(-2))
