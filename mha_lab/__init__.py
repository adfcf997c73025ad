"""Multi-Head Attention Lab: the package behind the notebooks.

Every module writes shapes with the same letters:

    B  batch          H  query heads                    D  d_model, the width of a token
    N  query length   G  key/value heads (G ≤ H)        K  d_head, the width of a head (D / H unless chosen)
    S  key length
"""

from mha_lab.attention import MultiHeadAttention, attention, merge_heads, split_heads
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask, padding_mask, window_mask

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
