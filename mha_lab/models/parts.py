"""What can be exchanged in a small network: how it knows places, and what stands for W^O."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._shown import readable
from mha_lab.memory import require_parameters


def check_numbers(name: str, numbers: Tensor, shape: str) -> None:
    """Raises TypeError or ValueError where these are no whole numbers of such a shape: "(batch, tokens, 2)", with words
    for sizes that may be any."""
    _door.instance(name, numbers, Tensor, f"a tensor {shape}")
    many = name.endswith("s")
    sizes = shape.strip("()").split(", ")
    fitting = (size == str(found) or not size.isdigit() for size, found in zip(sizes, numbers.shape))
    if numbers.dim() != len(sizes) or not all(fitting):
        raise ValueError(f"{name} {'have' if many else 'has'} shape {tuple(numbers.shape)}; this model takes {shape}.")
    if numbers.is_floating_point() or numbers.dtype == torch.bool:
        raise TypeError(f"{name} {'are' if many else 'is'} {numbers.dtype}; this model takes whole numbers.")


def check_known(name: str, features: Tensor, vocabularies: Sequence[int]) -> None:
    """Raises ValueError for a number in (..., F) features beyond what its feature has: 0 to vocabularies[f] − 1."""
    if not readable(features) or not features.numel():
        return
    ends = zip(*(end.tolist() for end in features.flatten(0, -2).aminmax(dim=0)))
    for f, ((least, most), known) in enumerate(zip(ends, vocabularies)):
        if least < 0 or most >= known:
            which = f"{name} {f}" if len(vocabularies) > 1 else name
            raise ValueError(f"{which} holds {least if least < 0 else most}: this model knows 0 to {known - 1}.")


def how_many(asked: Tensor) -> Tensor:
    """(B,) how many are asked in each example of (B, …). Raises ValueError for an example without any: a mean over
    nothing is no number."""
    count = asked.flatten(1).sum(dim=1)
    if readable(count) and not count.all():
        first = count.eq(0).nonzero()[0].item()
        raise ValueError(f"nothing is asked in example {first} of the batch: it has no mean loss; leave it out.")
    return count


class Learned(nn.Module):
    """Adds a learned vector for each place (Gehring 2017)."""

    def __init__(self, num_tokens: int, d_model: int):
        super().__init__()
        num_tokens, d_model = _door.counts(num_tokens=num_tokens, d_model=d_model)
        require_parameters(num_tokens * d_model)
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
        d_model = _door.whole("d_model", d_model)
        require_parameters(d_model)
        self.register_buffer("rate", 10_000 ** (-torch.arange(0, d_model, 2) / d_model), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        angle = torch.arange(x.shape[1], device=x.device)[:, None] * self.rate
        waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
        return x + waves[:, : x.shape[-1]]


class GatedFusion(nn.Module):
    """W^O and a gate: σ(W^G c) ⊙ (W^O c) of the concatenated heads c. d_model² parameters more than W^O alone."""

    def __init__(self, d_model: int):
        super().__init__()
        d_model = _door.whole("d_model", d_model)
        require_parameters(2 * d_model**2)
        self.project = nn.Linear(d_model, d_model, bias=False)
        self.gate = nn.Linear(d_model, d_model, bias=False)

    def forward(self, concat: Tensor) -> Tensor:
        return self.gate(concat).sigmoid() * self.project(concat)


class HeadGate(nn.Module):
    """A gate for each head before W^O: σ(W^G c + b) says at every token how much of head h is let through. It begins
    half open."""

    def __init__(self, d_model: int, num_heads: int):
        super().__init__()
        d_model, num_heads = _door.counts(d_model=d_model, num_heads=num_heads)
        require_parameters(d_model * (d_model + num_heads))
        self.gate = nn.Linear(d_model, num_heads)
        self.project = nn.Linear(d_model, d_model, bias=False)

    def forward(self, concat: Tensor) -> Tensor:
        gates = self.gate(concat).sigmoid()[..., None]  # (…, H, 1)
        return self.project((concat.unflatten(-1, (gates.shape[-2], -1)) * gates).flatten(-2))
