"""Attention that looks at a few keys, which a small scorer chose (DeepSeek-V3.2, arXiv:2512.02556, section 2.1)."""

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._fits import check_kind, check_shapes, check_tokens, fits, layer_mask
from mha_lab._shown import readable
from mha_lab.attention import MultiHeadAttention, attention
from mha_lab.masks import causal_mask
from mha_lab.variants.indexer import IndexedCache, Indexer


def top_keys(scores: Tensor, count: int, *, mask: Tensor | None = None) -> Tensor:
    """(..., N, S) boolean: for each query the `count` keys with the highest scores among those that the mask allows, or
    all of these where there are no more. The mask comes first: what is chosen is then never hidden. A score of −∞ hides
    its key, as the mask does."""
    _door.instance("scores", scores, Tensor, "a tensor (…, N, S)")
    count = _door.whole("count", count)
    if scores.dim() < 2 or not scores.is_floating_point():
        raise ValueError(f"scores are {scores.dtype} of shape {tuple(scores.shape)}; they must be floats (…, N, S).")
    if mask is not None:
        check_kind("mask", mask, scores.device)
        if not fits(mask.shape, scores.shape):
            raise ValueError(f"mask has shape {tuple(mask.shape)} and the scores {tuple(scores.shape)}.")
    scores = _allowed(scores, mask)
    best = scores.topk(min(count, scores.shape[-1]), dim=-1).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, best, True) & (scores > -torch.inf)


def _allowed(scores, mask):
    """The scores, −∞ where the mask hides. Raises ValueError for NaN among those that it leaves, where it can look."""
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    if readable(scores) and (unknown := int(scores.isnan().sum())):
        raise ValueError(
            f"{unknown} of {scores.numel()} scores are NaN: keys are chosen by their order, and NaN has none."
        )
    return scores


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
    mask    what may be chosen, as in `attention`; where it differs by head, so does the choice

    Returns output and weights. One new query (N = 1) with one choice for all heads fetches its keys and computes no
    other score; several compute all scores and hide the others: the numbers are the same. Raises what `attention` and
    `top_keys` raise, and ValueError where the scores do not fit."""
    check_shapes(query, key, value, mask)
    _door.whole("count", count)
    batch = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3], value.shape[:-3])
    _check_scores(scores, (*batch, *query.shape[-3:-1], key.shape[-2]), query.device)
    scores = scores.detach()
    if mask is not None:
        scores = scores.expand(torch.broadcast_shapes(scores.shape, mask.shape))
    if query.dim() == 4 and query.shape[-2] == 1 and scores.shape[-3:-1] == (1, 1) and scores.dim() == 4:
        return _fetched(query, key, value, scores, count, mask, scale)
    return attention(query, key, value, mask=top_keys(scores, count, mask=mask), scale=scale)


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
    (B,) = torch.broadcast_shapes(*(x.shape[:1] for x in (query, key, value, scores)))
    best = _allowed(scores, mask).topk(min(count, S), dim=-1)
    seen = (best.values > -torch.inf).expand(B, -1, -1, -1)  # fewer may be allowed than are fetched
    place = best.indices[:, 0, 0, :].expand(B, -1)  # (B, count)
    batch = torch.arange(B, device=query.device)[:, None]
    keys, values = (x.expand(B, -1, -1, -1).transpose(1, 2)[batch, place].transpose(1, 2) for x in (key, value))
    output, weights = attention(query, keys, values, mask=seen, scale=scale)
    where = place[:, None, None].expand_as(weights)
    return output, weights.new_zeros(*weights.shape[:-1], S).scatter(-1, where, weights)


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
