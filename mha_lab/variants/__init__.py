"""Attention computed otherwise, and what today's models add to it.

chunked, windowed   the same numbers without all scores, and for neighbours only
sinks               a place to look at that gives nothing, and a window that keeps the first tokens
gates               a gate on every head's output; queries and keys of one length
latent              keys and values of all heads made of a few numbers a token
selected            a few keys for each query, chosen by a small scorer
linear              no softmax and no keys: a state that each token changes
shared_layers       keys and values of an earlier layer

Each is tested equal to a naive form. The layers but `LatentAttention` are subclasses of `MultiHeadAttention`. Those of
sinks and gates change one of its steps each; a class that inherits from several has them all.
"""

from mha_lab.variants.chunked import chunked_attention
from mha_lab.variants.gates import GatedAttention, HeadGatedAttention, QKNormAttention
from mha_lab.variants.indexer import IndexedCache, Indexer, indexer_loss
from mha_lab.variants.latent import LatentAttention
from mha_lab.variants.linear import (
    DeltaAttention,
    GatedDeltaAttention,
    LinearAttention,
    StateCache,
    gated_delta,
    gated_delta_recurrence,
    linear_attention,
    linear_recurrence,
)
from mha_lab.variants.selected import SelectedAttention, selected_attention, top_keys
from mha_lab.variants.shared_layers import BorrowingAttention, lent
from mha_lab.variants.sinks import (
    SinkAttention,
    StreamingCache,
    fused_sink_attention,
    sink_attention,
    streaming_mask,
)
from mha_lab.variants.windowed import windowed_attention

__all__ = [
    "BorrowingAttention",
    "DeltaAttention",
    "GatedAttention",
    "GatedDeltaAttention",
    "HeadGatedAttention",
    "IndexedCache",
    "Indexer",
    "LatentAttention",
    "LinearAttention",
    "QKNormAttention",
    "SelectedAttention",
    "SinkAttention",
    "StateCache",
    "StreamingCache",
    "chunked_attention",
    "fused_sink_attention",
    "gated_delta",
    "gated_delta_recurrence",
    "indexer_loss",
    "lent",
    "linear_attention",
    "linear_recurrence",
    "selected_attention",
    "sink_attention",
    "streaming_mask",
    "top_keys",
    "windowed_attention",
]
