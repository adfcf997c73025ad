"""Another number of key/value heads for a layer that is trained already."""

import torch
from torch import nn

from mha_lab.attention import MultiHeadAttention
from mha_lab.memory import shapes_only


@torch.no_grad()
def regrouped(layer: MultiHeadAttention, num_kv_heads: int) -> MultiHeadAttention:
    """The same layer with more or fewer key/value heads.

    More: each is repeated for its query heads, and the layer computes what it computed before. Fewer: those that are
    to be one are averaged, which is how Ainslie 2023 (section 2.1) begins before training on. The layer then computes
    something else."""
    G, D, K = layer.num_kv_heads, layer.d_model, layer.d_head
    if num_kv_heads < 1 or G % num_kv_heads and num_kv_heads % G:
        raise ValueError(
            f"{G} key/value heads cannot become {num_kv_heads}: one of the two numbers must divide the other."
        )
    has_bias = layer.q_proj.bias is not None
    with shapes_only():
        new = MultiHeadAttention(
            D, layer.num_heads, num_kv_heads, bias=has_bias, dropout=layer.dropout, rotary=layer.rotary
        )
    new.q_proj, new.out_proj = layer.q_proj, layer.out_proj

    def regroup(numbers):  # (G·K, …) of a weight or a bias
        by_head = numbers.unflatten(0, (G, K))
        if num_kv_heads < G:
            by_head = by_head.unflatten(0, (num_kv_heads, -1)).mean(dim=1)
        return by_head.repeat_interleave(max(1, num_kv_heads // G), dim=0).flatten(0, 1)

    for name in "k_proj", "v_proj":
        old = getattr(layer, name)
        for kind, numbers in old.named_parameters():
            setattr(getattr(new, name), kind, nn.Parameter(regroup(numbers), requires_grad=numbers.requires_grad))
    return new.train(layer.training)
