"""Multi-Head Attention Lab: the package behind the notebooks.

Every module writes shapes with the same letters:

    B  batch          H  query heads                    D  d_model, the width of a token
    N  query length   G  key/value heads (G ≤ H)        K  d_head = D / H
    S  key length
"""

from mha_lab.attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
    merge_heads,
    padding_mask,
    split_heads,
    window_mask,
)
from mha_lab.kv_cache import KVCache

__all__ = [
    "KVCache",
    "MultiHeadAttention",
    "attention",
    "causal_mask",
    "merge_heads",
    "padding_mask",
    "split_heads",
    "window_mask",
]
