"""The small scorer that chooses the keys of a `SelectedAttention` (DeepSeek-V3.2, arXiv:2512.02556, section 2.1)."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._fits import check_kind, check_rotary, check_tokens, fits
from mha_lab._shown import readable
from mha_lab.kv_cache import KVCache


class Indexer(nn.Module):
    """A small scorer: which tokens would the layer want to look at?

    Every token has one short key, and a query for each of a few heads; a pair's score is Σ_h w_h · relu(q_h · k), where
    the asking token chooses the w_h. It is much smaller than the layer it serves, and its keys are all that it keeps.

    rotary  how its queries and keys are turned by their places, (x, start) → x, as in `MultiHeadAttention`
    """

    def __init__(
        self,
        d_model: int,
        *,
        num_heads: int = 4,
        width: int = 32,
        rotary: Callable[[Tensor, int], Tensor] | None = None,
    ):
        super().__init__()
        d_model, num_heads, width = _door.counts(d_model=d_model, num_heads=num_heads, width=width)
        if rotary is not None:
            check_rotary(rotary, width)
        self.d_model, self.num_heads, self.width, self.rotary = d_model, num_heads, width, rotary
        self.q_proj = nn.Linear(d_model, num_heads * width, bias=False)
        self.k_proj = nn.Linear(d_model, width, bias=False)
        self.k_norm = nn.LayerNorm(width, eps=1e-6)
        self.weight_proj = nn.Linear(d_model, num_heads, bias=False)

    def forward(self, x: Tensor, *, cache: KVCache | None = None) -> Tensor:
        """x (B, N, D) → scores (B, N, S). With a cache, x holds new tokens; their keys are staged in it, and committed
        by whoever gave it."""
        check_tokens(self.d_model, self.q_proj, x)
        query = self.q_proj(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, N, width)
        key = self.k_norm(self.k_proj(x))[:, None]  # (B, 1, N, width)
        if self.rotary is not None:
            start = 0 if cache is None else cache.seen
            query, key = self.rotary(query, start), self.rotary(key, start)
        if cache is not None:
            key, _ = cache.stage(key, key[..., :0], owner=self)
        each = F.relu(query @ key.mT * self.width**-0.5)  # (B, heads, N, S)
        counts = self.weight_proj(x) * self.num_heads**-0.5  # (B, N, heads)
        return torch.einsum("bhns,bnh->bns", each, counts)


def indexer_loss(scores: Tensor, weights: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """By how much softmax(scores) misses where the heads look, in nats: KL(mean of the heads' weights ‖ softmax of the
    indexer's scores), mean over queries (DeepSeek-V3.2, section 2.1.1: the first stage of its training).

    scores (B, N, S), weights (B, H, N, S) of the layer without selection, whose rows sum to 1, or to 0 where a query
    sees nothing; no gradient reaches these. mask: what may be seen, broadcastable to the scores. Raises TypeError or
    ValueError for what does not fit."""
    for name, given, dims in (("scores", scores, 3), ("weights", weights, 4)):
        shape = "(B, N, S)" if dims == 3 else "(B, H, N, S)"
        _door.instance(name, given, Tensor, f"a tensor {shape}")
        if given.dim() != dims or not given.is_floating_point():
            raise ValueError(f"{name} are {given.dtype} of shape {tuple(given.shape)}; they must be floats {shape}.")
    if (weights.shape[0], *weights.shape[2:]) != scores.shape or not weights.shape[1]:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)} and weights {tuple(weights.shape)}: of one batch, and the same "
            "queries and keys, (B, N, S) and (B, H, N, S)."
        )
    if mask is not None:
        check_kind("mask", mask, scores.device)
        if not fits(mask.shape, scores.shape):
            raise ValueError(f"mask has shape {tuple(mask.shape)} and the scores {tuple(scores.shape)}.")
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    target = weights.detach().mean(dim=1)
    if readable(target):
        _check_weights(weights.detach(), target, mask)
    missed = scores.log_softmax(dim=-1).masked_fill(target == 0, 0.0)  # 0 · −∞ is no number
    return (torch.special.xlogy(target, target) - target * missed).sum(dim=-1).mean()


def _check_weights(weights, mean, mask):
    """Raises ValueError where these are not what a softmax gives, or lie where the mask hides."""
    sums = weights.sum(dim=-1, dtype=torch.promote_types(weights.dtype, torch.float32))
    wrong = sums[~(((sums - 1).abs() < 0.01) | (sums == 0))]
    if wrong.numel() or (weights < 0).any():
        told = f"a row of weights sums to {wrong[0]:.3g}" if wrong.numel() else f"a weight is {weights.min():.3g}"
        raise ValueError(f"{told}: none lies below 0, and a row sums to 1, or to 0 where a query sees nothing.")
    if mask is not None and (hidden := mean.masked_fill(mask, 0.0)).any():
        raise ValueError(f"the mask hides a key to which the heads give {hidden.max():.3g}: weights and mask disagree.")


class IndexedCache(KVCache):
    """A `KVCache` that keeps an indexer's keys too: width more numbers a token."""

    def __init__(self, *, capacity: int = 0):
        super().__init__(capacity=capacity)
        self.index = KVCache(capacity=capacity)

    def truncate(self, length: int) -> None:
        """As in `KVCache`, and the indexer's keys too."""
        super().truncate(length)
        self.index.truncate(length)

    def __copy__(self) -> "IndexedCache":
        twin = super().__copy__()
        twin.index = copy.copy(self.index)
        return twin
