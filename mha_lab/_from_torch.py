"""An nn.MultiheadAttention as one of our layers, or a sentence on what cannot be kept."""

import torch
from torch import nn

from mha_lab import _door


def layer_from_torch(layer_class: type[nn.Module], module: nn.MultiheadAttention) -> nn.Module:
    """A layer of this class, of `MultiHeadAttention`'s kind, with the module's weights copied: see its `from_torch`."""
    _door.instance("module", module, nn.MultiheadAttention, "an nn.MultiheadAttention")
    if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
        sink = "add_zero_attn is a sink: mha_lab.variants.SinkAttention.from_torch keeps it."
        raise ValueError(
            "from_torch takes an nn.MultiheadAttention without kdim, vdim, add_bias_kv and add_zero_attn: this "
            "layer has one width, d_model, and attends to nothing but tokens. " + sink * module.add_zero_attn
        )
    if not module.batch_first:
        raise ValueError(
            "this nn.MultiheadAttention takes (tokens, batch, d_model), and our layer (batch, tokens, d_model): "
            "set its batch_first = True first, which changes no weight."
        )
    if type(module).forward is not nn.MultiheadAttention.forward or module._forward_hooks or module._forward_pre_hooks:
        raise ValueError("this nn.MultiheadAttention computes something else: its forward is changed, or has hooks.")
    has_bias = module.in_proj_bias is not None
    expected = {"in_proj_weight", "out_proj.weight"} | ({"in_proj_bias", "out_proj.bias"} if has_bias else set())
    found = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    if found != expected:
        others = ", ".join(sorted(found ^ expected))
        raise ValueError(
            f"this nn.MultiheadAttention has parametrized weights or lacks some ({others}): remove what prunes, "
            "normalises or parametrizes them first (prune.remove, remove_parametrizations)."
        )
    layer = layer_class(module.embed_dim, module.num_heads, bias=has_bias, dropout=module.dropout)
    layer.to(module.in_proj_weight).train(module.training)
    projections = layer.q_proj, layer.k_proj, layer.v_proj
    pairs = list(zip((p.weight for p in projections), module.in_proj_weight.chunk(3), strict=True))
    pairs.append((layer.out_proj.weight, module.out_proj.weight))
    if has_bias:
        pairs += zip((p.bias for p in projections), module.in_proj_bias.chunk(3), strict=True)
        pairs.append((layer.out_proj.bias, module.out_proj.bias))
    with torch.no_grad():
        for ours, theirs in pairs:
            ours.copy_(theirs).requires_grad_(theirs.requires_grad)
    return layer
