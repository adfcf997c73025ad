"""`attention` for neighbours only, at a cost that is linear in the text."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._fits import check_shapes
from mha_lab.attention import attention
from mha_lab.memory import require_if_large


def windowed_attention(
    query: Tensor, key: Tensor, value: Tensor, *, width: int, causal: bool = False, scale: float | None = None
) -> Tensor:
    """`attention` with `window_mask(N, width)`, and with `causal_mask` too, at a cost that is linear in N.

    query (B, H, N, K), key and value (B, G, N, K): every token of a text looks at its neighbours (Beltagy 2020). The
    text is cut into blocks of `width` tokens; a block sees itself and the block before it and, unless causal, the one
    after it. So a query meets 2 or 3 times `width` keys, however long the text. Raises ValueError or TypeError for what
    does not fit."""
    check_shapes(query, key, value)
    _door.instance("causal", causal, bool, "True or False")
    width = _door.whole("width", width, at_least=None)
    for name, tensor in {"query": query, "key": key, "value": value}.items():
        if tensor.dim() != 4:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; it must be (batch, heads, tokens, width).")
    N = query.shape[-2]
    if key.shape[-2] != N:
        raise ValueError(f"{N} queries and {key.shape[-2]} keys: a window slides along one text, with as many of each.")
    if width < 1:
        raise ValueError(f"a window of width {width} sees nothing: width 1 is the token itself.")
    if N == 0:
        return attention(query, key, value)[0]  # no tokens: no blocks
    width = min(width, N)
    blocks = -(-N // width)
    sides = (1, 0) if causal else (1, 1)  # blocks seen before and after one's own
    require_if_large(query[..., 0].numel() * (1 + sum(sides)) * width * query.element_size(), query.device)

    def in_blocks(x, before=0, after=0):
        """(B, heads, N, K) → (B, blocks, heads, tokens, K), with the neighbouring blocks' tokens."""
        padding = before * width, blocks * width - N + after * width
        x = F.pad(x, (0, 0, *padding)).unfold(-2, (before + 1 + after) * width, width)
        return x.permute(0, 2, 1, 4, 3)

    # Places in the text: (blocks, tokens of a block) and (blocks, tokens it sees).
    asks = torch.arange(blocks * width, device=query.device).view(blocks, width)
    seen = asks[:, :1] + torch.arange(-sides[0] * width, (1 + sides[1]) * width, device=query.device)
    back = asks[:, :, None] - seen[:, None]
    near = (back < width) & (back >= 0 if causal else back > -width) & (seen >= 0)[:, None] & (seen < N)[:, None]
    found, _ = attention(
        in_blocks(query), in_blocks(key, *sides), in_blocks(value, *sides), mask=near[:, None], scale=scale
    )
    return found.transpose(1, 2).flatten(2, 3)[:, :, :N]
