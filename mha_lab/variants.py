"""The same attention, computed otherwise: without ever holding all scores, for neighbours only, from a shared latent.

Each is tested equal to `attention`. Shapes and masks as there: query (B, H, N, K), key and value (B, G, S, K).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab._fits import check_shapes
from mha_lab.attention import attention, matmul_by_group, merge_heads, split_heads
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask


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

    mask     boolean, broadcastable to (B, H, N, S)
    causal   the last query sits at the last key, as in `causal_mask`; tiles that lie in the future are skipped

    Memory beside the output: a few tensors of (B, H, query_chunk, key_chunk). The backward pass keeps every tile, so
    that it needs what `attention` needs."""
    check_shapes(query, key, value, mask)
    if min(query_chunk, key_chunk) < 1:
        raise ValueError(f"query_chunk={query_chunk} and key_chunk={key_chunk}: a tile has at least 1 of each.")
    N, S = query.shape[-2], key.shape[-2]
    if causal and N > S:
        raise ValueError(f"{N} causal queries need at least as many keys, not {S}: each sees itself.")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    offset = S - N if causal else S  # query n sees the keys up to n + offset
    outputs = []
    for first in range(0, N, query_chunk):
        rows = slice(first, min(first + query_chunk, N))
        tile = query[..., rows, :] * scale
        running = None
        for start in range(0, min(S, rows.stop + offset), key_chunk):
            columns = slice(start, min(start + key_chunk, S))
            scores = matmul_by_group(tile, key[..., columns, :].mT)
            allowed = _tile_of(mask, rows, columns)
            if causal and columns.stop - 1 > rows.start + offset:
                past = _place(rows, query)[:, None] + offset >= _place(columns, query)
                allowed = past if allowed is None else allowed & past
            running = _online_softmax(running, scores, value[..., columns, :], allowed)
        outputs.append(running[0] / running[1].where(running[1] > 0, 1.0))
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
    if mask.shape[-1] > 1:
        mask = mask[..., columns]
    return mask[..., rows, :] if mask.dim() > 1 and mask.shape[-2] > 1 else mask


def _place(part, like):
    return torch.arange(part.start, part.stop, device=like.device)


def windowed_attention(
    query: Tensor, key: Tensor, value: Tensor, *, width: int, causal: bool = False, scale: float | None = None
) -> Tensor:
    """`attention` with `window_mask(N, width)`, and with `causal_mask` too, at a cost that is linear in N.

    query (B, H, N, K), key and value (B, G, N, K): every token of a text looks at its neighbours (Beltagy 2020). The
    text is cut into blocks of `width` tokens; a block sees itself and the block before it and, unless causal, the one
    after it. So a query meets 2 or 3 times `width` keys, however long the text."""
    B, H, N, K = query.shape
    if key.shape[-2] != N:
        raise ValueError(f"{N} queries and {key.shape[-2]} keys: a window slides along one text, with as many of each.")
    if width < 1:
        raise ValueError(f"a window of width {width} sees nothing: width 1 is the token itself.")
    width = min(width, N)
    blocks = -(-N // width)
    sides = (1, 0) if causal else (1, 1)  # blocks seen before and after one's own

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


class LatentAttention(nn.Module):
    """Multi-head latent attention (DeepSeek-V2 2024, arXiv:2405.04434, section 2.1, without its rotary part).

    Keys and values of all heads are made of one latent c = W^DKV x of d_latent numbers a token: the cache keeps c, and
    neither keys nor values. The same numbers come out two ways.

    expanded  k = W^UK c and v = W^UV c for every head and token, then attention as usual
    absorbed  W^UK is applied to the query instead, W^UV to the result: every head then looks at the latents themselves,
              as in multi-query attention with one head of d_latent numbers, and no key is ever made
    """

    def __init__(self, d_model: int, num_heads: int, d_latent: int):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(
                f"d_model={d_model} cannot be split over num_heads={num_heads}: {d_model} / {num_heads} leaves "
                f"{d_model % num_heads}."
            )
        self.num_heads, self.d_head = num_heads, d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model, bias=False)
        self.down = nn.Linear(d_model, d_latent, bias=False)
        self.k_up = nn.Linear(d_latent, d_model, bias=False)
        self.v_up = nn.Linear(d_latent, d_model, bias=False)
        self.out_proj = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self, x: Tensor, *, causal: bool = False, cache: KVCache | None = None, absorbed: bool = False
    ) -> Tensor:
        """x (B, N, D) → (B, N, D). The cache holds the latents, (B, 1, S, d_latent); as values it holds nothing."""
        query = split_heads(self.q_proj(x), self.num_heads)  # (B, H, N, K)
        latent = self.down(x)[:, None]  # (B, 1, S, d_latent)
        if cache is not None:
            latent, _ = cache.append(latent, latent[..., :0])
        mask = causal_mask(x.shape[1], latent.shape[-2], device=x.device) if causal else None
        look = self._absorbed if absorbed else self._expanded
        return self.out_proj(merge_heads(look(query, latent, mask)))

    def _expanded(self, query, latent, mask):
        key, value = (split_heads(up(latent[:, 0]), self.num_heads) for up in (self.k_up, self.v_up))
        return attention(query, key, value, mask=mask)[0]

    def _absorbed(self, query, latent, mask):
        k_up, v_up = (up.weight.unflatten(0, (self.num_heads, -1)) for up in (self.k_up, self.v_up))  # (H, K, d_latent)
        found, _ = attention(query @ k_up, latent, latent, mask=mask, scale=self.d_head**-0.5)
        return found @ v_up.mT
