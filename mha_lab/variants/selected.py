"""Attention that looks at a few keys, which a small scorer chose (DeepSeek-V3.2, arXiv:2512.02556, section 2.1)."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._fits import check_kind, check_shapes, check_tokens, fits, layer_mask
from mha_lab.attention import MultiHeadAttention, attention
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask


def top_keys(scores: Tensor, count: int, *, mask: Tensor | None = None) -> Tensor:
    """(..., N, S) boolean: for each query the `count` keys with the highest scores among those that the mask allows, or
    all of these where there are no more. The mask comes first: what is chosen is then never hidden."""
    _door.instance("scores", scores, Tensor, "a tensor (…, N, S)")
    count = _door.whole("count", count)
    if scores.dim() < 2 or not scores.is_floating_point():
        raise ValueError(f"scores are {scores.dtype} of shape {tuple(scores.shape)}; they must be floats (…, N, S).")
    if mask is not None:
        check_kind("mask", mask, scores.device)
        if not fits(mask.shape, scores.shape):
            raise ValueError(f"mask has shape {tuple(mask.shape)} and the scores {tuple(scores.shape)}.")
        scores = scores.masked_fill(~mask, -torch.inf)
    best = scores.topk(min(count, scores.shape[-1]), dim=-1).indices
    chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, best, True)
    return chosen if mask is None else chosen & mask


def selected_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scores: Tensor,
    *,
    count: int,
    mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`attention` in which each query looks at the `count` keys with the highest `scores` alone.

    scores  an indexer's, broadcastable to (..., H, N, S): (B, 1, N, S) chooses once for all heads. Of them only the
            order counts, so that they get no gradient from here.
    mask    what may be chosen, as in `attention`

    Returns output and weights. One new query (N = 1) with one choice for all heads fetches its keys and computes no
    other score; several compute all scores and hide the others: the numbers are the same. Raises what `attention` and
    `top_keys` raise, and ValueError where the scores do not fit."""
    check_shapes(query, key, value, mask)
    _door.whole("count", count)
    batch = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3], value.shape[:-3])
    _check_scores(scores, (*batch, *query.shape[-3:-1], key.shape[-2]), query.device)
    if query.dim() == 4 and query.shape[-2] == 1 and scores.shape[-3:-1] == (1, 1) and scores.dim() == 4:
        return _fetched(query, key, value, scores, count, mask, scale)
    return attention(query, key, value, mask=top_keys(scores.detach(), count, mask=mask), scale=scale)


def _check_scores(scores, expected, device):
    """Raises TypeError or ValueError where an indexer's scores are no floats that fit (..., H, N, S)."""
    _door.instance("scores", scores, Tensor, "a tensor (…, N, S)")
    if scores.dim() < 2 or not scores.is_floating_point():
        raise ValueError(f"scores are {scores.dtype} of shape {tuple(scores.shape)}; they must be floats (…, N, S).")
    if scores.device != device:
        raise ValueError(f"scores are on {scores.device} and the queries on {device}: they must be on one device.")
    if scores.shape[-2:] != expected[-2:] or not fits(scores.shape, expected):
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}, and these queries and keys have room for {tuple(expected)}: in "
            "front of the last two each dimension must be equal or 1."
        )


def _fetched(query, key, value, scores, count, mask, scale):
    """(B, H, 1, K) on `count` of the keys (B, G, S, K), the same for all heads."""
    S = key.shape[-2]
    allowed = scores.detach() if mask is None else scores.detach().masked_fill(~mask, -torch.inf)
    best = allowed.topk(min(count, S), dim=-1)
    seen = (best.values > -torch.inf).expand(query.shape[0], -1, -1, -1)  # fewer may be allowed than are fetched
    place = best.indices[:, 0, 0, :].expand(query.shape[0], -1)  # (B, count)
    batch = torch.arange(query.shape[0], device=query.device)[:, None]
    keys, values = (x.transpose(1, 2)[batch, place].transpose(1, 2) for x in (key, value))
    output, weights = attention(query, keys, values, mask=seen, scale=scale)
    where = place[:, None, None].expand_as(weights)
    return output, weights.new_zeros(*weights.shape[:-1], S).scatter(-1, where, weights)


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
            _door.instance("rotary", rotary, Callable, "a function (x, start) → x")
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

    scores (B, N, S), weights (B, H, N, S) of the layer without selection; no gradient reaches these. mask: what may be
    seen, broadcastable to the scores. Raises TypeError or ValueError for what does not fit."""
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
    return (torch.special.xlogy(target, target) - target * scores.log_softmax(dim=-1)).sum(dim=-1).mean()


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


class SelectedAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose queries look at `keys` keys each, chosen by an `Indexer` for all heads at once.

    The arguments are those of `MultiHeadAttention`, and

    keys             how many keys a query looks at
    indexer_heads, indexer_width   the size of the indexer, which turns by the layer's own rotary

    A choice has no gradient: the indexer learns by `indexer_loss`, beside the layer. The cache is an `IndexedCache`.
    """

    def __init__(self, *args, keys: int, indexer_heads: int = 4, indexer_width: int = 32, **options):
        super().__init__(*args, **options)
        self.keys = _door.whole("keys", keys)
        sizes = {"num_heads": indexer_heads, "width": indexer_width, "rotary": self.rotary}
        self.indexer = Indexer(self.d_model, **sizes)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        score_bias: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
        cache: IndexedCache | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """As in `MultiHeadAttention`, within the keys that the indexer chose. There is no context."""
        check_tokens(self.d_model, self.q_proj, x)
        if context is not None:
            raise ValueError("a context was given: this indexer chooses among the tokens of x, and its cache.")
        if cache is not None:
            _door.instance("cache", cache, IndexedCache, "an IndexedCache")
        held = 0 if cache is None else len(cache)
        N, S = x.shape[1], held + x.shape[1]
        allowed = causal_mask(N, S, device=x.device) if causal or cache is not None else None
        if mask is not None:
            mask = layer_mask("mask", mask, (x.shape[0], self.num_heads, N, S), held, x.device)
            allowed = mask if allowed is None else allowed & mask
        scores = self.indexer(x, cache=None if cache is None else cache.index)[:, None]  # (B, 1, N, S)
        if allowed is not None and allowed.dim() == 4 and allowed.shape[1] > 1:
            scores = scores.expand(-1, self.num_heads, -1, -1)
        chosen = top_keys(scores.detach(), self.keys, mask=allowed)
        options = {"score_bias": score_bias, "need_weights": need_weights, "cache": cache}
        found = super().forward(x, mask=chosen, causal=causal, **options)
        if cache is not None:
            cache.index.commit()  # last: whatever went wrong before, the cache is as it was
        return found

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention):
        """Raises TypeError: an nn.MultiheadAttention has no indexer."""
        raise TypeError(
            f"{cls.__name__} has an indexer, which an nn.MultiheadAttention does not have: "
            "MultiHeadAttention.from_torch keeps what that layer is."
        )
