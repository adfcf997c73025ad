"""Keys and values that later layers take from an earlier one (Brandon 2024, arXiv:2405.12981; Gemma 3n, Gemma 4)."""

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._fits import check_tokens, layer_mask
from mha_lab.attention import MultiHeadAttention, split_heads
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask
from mha_lab.rotary import Rotary


def lent(layer: MultiHeadAttention, x: Tensor, *, cache: KVCache | None = None) -> tuple[Tensor, Tensor]:
    """The keys and values (B, G, S, K) that a layer makes of its tokens x (B, N, D), turned by its rotary: what it
    attends to itself, and what a `BorrowingAttention` after it takes. With a cache x holds new tokens, which the layer
    has added already, and all that is held comes back. Raises TypeError or ValueError for what lends nothing."""
    _door.instance("layer", layer, MultiHeadAttention, "a MultiHeadAttention")
    if layer.k_proj is None or layer.v_proj is None:
        raise ValueError(f"the {type(layer).__name__} borrows itself, and makes no keys and values that it could lend.")
    check_tokens(layer.d_model, layer.k_proj, x)
    if cache is not None:
        _door.instance("cache", cache, KVCache, "a KVCache")
        if not len(cache):
            raise ValueError("the cache is empty: the layer that lends comes first, and fills it.")
        key, value = cache.key, cache.value
    else:
        _, key, value = layer.project(x, x)
        key = key if layer.rotary is None else layer.rotary(key, 0)
    if not torch.compiler.is_compiling():
        key.turned_by = layer.rotary  # what a borrower asks; whatever is computed from the key does not have it
    return key, value


def _check_turn(key, rotary):
    """Raises ValueError where `lent` turned the keys by other places than a borrower turns its queries by."""
    theirs = getattr(key, "turned_by", rotary)
    if (theirs is None) != (rotary is None):
        does = ["does not turn" if turn is None else "turns" for turn in (theirs, rotary)]
        raise ValueError(
            f"the layer that lends {does[0]} its keys, and this one {does[1]} its queries: both, or neither."
        )
    if isinstance(theirs, Rotary) and isinstance(rotary, Rotary):
        ours, others = ((turn.base, turn.adjacent, turn.share) for turn in (rotary, theirs))
        if ours != others:
            raise ValueError(
                f"the layer that lends turns by (base, adjacent, share) = {others} and this one by {ours}: they "
                "must be equal."
            )


class BorrowingAttention(MultiHeadAttention):
    """`MultiHeadAttention` without W^K and W^V: its queries look at the keys and values of an earlier layer.

    The arguments are those of `MultiHeadAttention`; num_kv_heads, d_head and rotary must be those of the layer that
    lends. It keeps nothing, so that it needs no cache.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.k_proj = self.v_proj = None

    def forward(
        self,
        x: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """x (B, N, D) looks at key and value (B, G, S, K), which `lent` gives → (B, N, D), and weights (B, H, N, S).

        mask     as in `MultiHeadAttention`
        causal   the tokens of x are the last N of the S: each sees itself and the past
        """
        check_tokens(self.d_model, self.q_proj, x)
        _door.instance("causal", causal, bool, "True or False")
        _door.instance("need_weights", need_weights, bool, "True or False")
        expected = x.shape[0], self.num_kv_heads, self.d_head
        for name, made in ("key", key), ("value", value):
            _door.instance(name, made, Tensor, "a tensor (B, G, S, K)")
            if made.dim() != 4 or (*made.shape[:2], made.shape[3]) != expected:
                B, G, K = expected
                raise ValueError(f"{name} has shape {tuple(made.shape)}; this layer borrows ({B}, {G}, tokens, {K}).")
        _check_turn(key, self.rotary)
        N, S = x.shape[1], key.shape[-2]
        if mask is not None:
            mask = layer_mask("mask", mask, (x.shape[0], self.num_heads, N, S), 0, x.device)
        query = split_heads(self.q_proj(x), self.num_heads)
        if self.rotary is not None:
            query = self.rotary(query, S - N)
        if causal:
            past = causal_mask(N, S, device=x.device)
            mask = past if mask is None else past & mask
        heads, weights = self.attend(query, key, value, mask=mask, need_weights=need_weights)
        output = self.combine(heads, x)
        return (output, weights) if need_weights else output

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention):
        """Raises TypeError: an nn.MultiheadAttention makes keys and values of its own."""
        raise TypeError(
            f"{cls.__name__} takes its keys and values from another layer, and an nn.MultiheadAttention makes its own: "
            "MultiHeadAttention.from_torch keeps what that layer is."
        )
