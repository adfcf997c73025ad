"""Places told by distance: what is added to every head's scores instead of to the tokens."""

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab.memory import require_if_large


def alibi_slopes(num_heads: int) -> Tensor:
    """(H,) 2^(−8/H), 2^(−16/H) … 2^(−8): what a step of distance costs each head (Press 2022, arXiv:2108.12409)."""
    num_heads = _door.whole("num_heads", num_heads)
    require_if_large(8 * num_heads)
    return 2.0 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)


class ALiBi(nn.Module):
    """−slope · |i − j| for each head: what is farther away scores less (Press 2022). Nothing is learned.

    Press's models look back only. Here the cost is the same on both sides, so that a sentence and its mirror image
    are the same to the model."""

    def __init__(self, num_heads: int):
        super().__init__()
        self.register_buffer("slopes", alibi_slopes(num_heads), persistent=False)

    def forward(self, num_tokens: int) -> Tensor:
        """(H, N, N), rows for queries, columns for keys."""
        return -self.slopes[:, None, None] * offsets(num_tokens, self.slopes.device).abs()


def two_sided(num_heads: int) -> Tensor:
    """(2, H) what a step back and a step ahead cost each head at the beginning of a `RelativeBias`.

    Heads in pairs, of which the first looks back and the second ahead. On the side where it looks, a step costs the
    first pair 1/2, the next 1/4 …; on the other side four times as much. A single head pays 1/2 on both sides."""
    num_heads = _door.whole("num_heads", num_heads)
    require_if_large(8 * num_heads)
    head = torch.arange(num_heads)
    rate = 2.0 ** -(1 + head // 2)
    other = rate if num_heads == 1 else 4 * rate
    return torch.stack([rate.where(head % 2 == 0, other), rate.where(head % 2 == 1, other)])


class RelativeBias(nn.Module):
    """A relative position bias: a learned number for each head and each distance j − i from −reach to reach.

    rates    (2, H) what a step back and a step ahead cost each head at the beginning, so that the table begins as an
             ALiBi; `two_sided` unless given. Beyond the reach the cost goes on at that rate, so that no distance is
             unknown.
    learned  False leaves the table as it begins

    Tables of learned biases: Shaw 2018 (arXiv:1803.02155), Raffel 2020 (T5, arXiv:1910.10683)."""

    def __init__(self, num_heads: int, reach: int = 16, *, rates: Tensor | None = None, learned: bool = True):
        super().__init__()
        self.reach = reach
        rates = two_sided(num_heads) if rates is None else rates
        if rates.shape != (2, num_heads):
            raise ValueError(
                f"rates have shape {tuple(rates.shape)}; {num_heads} heads need (2, {num_heads}): back and ahead."
            )
        self.register_buffer("rates", rates, persistent=False)
        beginning = self._cost(torch.arange(-reach, reach + 1))  # (H, 2·reach + 1)
        self.table = nn.Parameter(beginning, requires_grad=learned)

    def forward(self, num_tokens: int) -> Tensor:
        """(H, N, N), rows for queries, columns for keys."""
        N = num_tokens
        step = torch.arange(1 - N, N, device=self.table.device)
        near = step.clamp(-self.reach, self.reach)
        by_step = self.table[:, near + self.reach] + self._cost(step - near)  # (H, 2N − 1)
        return by_step.unfold(-1, N, 1).flip(-2)  # each row one place further left: copied in rows, not gathered

    def _cost(self, step):
        back, ahead = self.rates[:, :, None]
        return -back * (-step).clamp(min=0) - ahead * step.clamp(min=0)


def offsets(num_tokens: int, device: torch.device | str | None = None) -> Tensor:
    """(N, N) j − i: how many places after the query i the key j stands."""
    num_tokens = _door.whole("num_tokens", num_tokens, 0)
    require_if_large(8 * num_tokens**2, None if device is None else torch.device(device))
    i = torch.arange(num_tokens, device=device)
    return i - i[:, None]
