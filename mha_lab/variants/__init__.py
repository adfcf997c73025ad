"""Attention computed otherwise, and what today's models add to it.

chunked, windowed   the same numbers without all scores, and for neighbours only
sinks               a place to look at that gives nothing, and a window that keeps the first tokens
gates               a gate on every head's output; queries and keys of one length
latent              keys and values of all heads made of a few numbers a token

Each is tested equal to a naive form. The layers of sinks and gates are subclasses of `MultiHeadAttention`, each of
which changes one of its steps; a class that inherits from several has them all.
"""

from mha_lab.variants.chunked import chunked_attention
from mha_lab.variants.gates import GatedAttention, HeadGatedAttention, QKNormAttention
from mha_lab.variants.latent import LatentAttention
from mha_lab.variants.sinks import (
    SinkAttention,
    StreamingCache,
    fused_sink_attention,
    sink_attention,
    streaming_mask,
)
from mha_lab.variants.windowed import windowed_attention

__all__ = [
    "GatedAttention",
    "HeadGatedAttention",
    "LatentAttention",
    "QKNormAttention",
    "SinkAttention",
    "StreamingCache",
    "chunked_attention",
    "fused_sink_attention",
    "sink_attention",
    "streaming_mask",
    "windowed_attention",
]
