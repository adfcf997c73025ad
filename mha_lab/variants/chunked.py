"""`attention` without ever holding all scores."""

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab._autograd import without_autocast
from mha_lab._fits import check_shapes, scale_of
from mha_lab.attention import attention, matmul_by_group


def chunked_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    query_chunk: int = 256,
    key_chunk: int = 256,
) -> Tensor:
    """The output of `attention`, one tile of scores at a time (Rabe & Staats 2021; the arithmetic of FlashAttention).

    query (..., N, K), key (..., S, K), value (..., S, any width), heads shared as in `attention`
    mask     boolean, broadcastable to the scores (..., N, S)
    causal   the last query sits at the last key, as in `causal_mask`; tiles that lie in the future are skipped

    Memory beside the output: a few tensors of (..., query_chunk, key_chunk). The backward pass keeps every tile, so
    that it needs what `attention` needs. In 16 bits the tiles are computed in 32. Raises ValueError or TypeError for
    what does not fit."""
    check_shapes(query, key, value, mask)
    _door.instance("causal", causal, bool, "True or False")
    query_chunk = _door.whole("query_chunk", query_chunk, at_least=None)
    key_chunk = _door.whole("key_chunk", key_chunk, at_least=None)
    if min(query_chunk, key_chunk) < 1:
        raise ValueError(f"query_chunk={query_chunk} and key_chunk={key_chunk}: a tile has at least 1 of each.")
    N, S = query.shape[-2], key.shape[-2]
    if causal and N > S:
        raise ValueError(f"{N} causal queries need at least as many keys, not {S}: each sees itself.")
    scale = scale_of(scale, query)
    if 0 in (N, S):
        return attention(query, key, value)[0]  # no scores: no tile
    exact = torch.promote_types(query.dtype, torch.float32)
    offset = S - N if causal else S  # query n sees the keys up to n + offset
    outputs = []
    with without_autocast(query.device):
        for first in range(0, N, query_chunk):
            rows = slice(first, min(first + query_chunk, N))
            tile = query[..., rows, :].to(exact) * scale
            running = None
            for start in range(0, min(S, rows.stop + offset), key_chunk):
                columns = slice(start, min(start + key_chunk, S))
                scores = matmul_by_group(tile, key[..., columns, :].to(exact).mT)
                allowed = _tile_of(mask, rows, columns)
                if causal and columns.stop - 1 > rows.start + offset:
                    past = _place(rows, query)[:, None] + offset >= _place(columns, query)
                    allowed = past if allowed is None else allowed & past
                running = _online_softmax(running, scores, value[..., columns, :].to(exact), allowed)
            outputs.append((running[0] / running[1].where(running[1] > 0, 1.0)).to(value.dtype))
    return torch.cat(outputs, dim=-2)


def _online_softmax(running, scores, value, allowed):
    """Add a tile of scores to (Σ exp(s − m)·v, Σ exp(s − m), m), the sums so far and the largest score m among them.

    A larger score changes m: what was added before is multiplied by exp(old m − new m) and is right again."""
    if allowed is not None:
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    largest = scores.amax(dim=-1, keepdim=True)
    if running is not None:
        largest = torch.maximum(running[2], largest)
    weights = (scores - largest).exp()
    if allowed is not None:
        weights = weights.masked_fill(~allowed, 0.0)  # a row without any allowed key would count each as exp(0)
    total, average = weights.sum(dim=-1, keepdim=True), matmul_by_group(weights, value)
    if running is not None:
        shrink = (running[2] - largest).exp()
        average, total = average + running[0] * shrink, total + running[1] * shrink
    return average, total, largest


def _tile_of(mask, rows, columns):
    """The part of a broadcastable mask that belongs to these rows and columns."""
    if mask is None:
        return None
    if mask.dim() > 0 and mask.shape[-1] > 1:
        mask = mask[..., columns]
    return mask[..., rows, :] if mask.dim() > 1 and mask.shape[-2] > 1 else mask


def _place(part, like):
    return torch.arange(part.start, part.stop, device=like.device)
