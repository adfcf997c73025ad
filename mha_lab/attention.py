"""Attention and the multi-head layer made of it (Vaswani 2017, sections 3.2.1 and 3.2.2).

Shapes use the letters of `mha_lab`: B batch, N queries, S keys, H query heads, G key/value heads, D d_model, K d_head.
A boolean mask says True = may attend, as F.scaled_dot_product_attention does; nn.MultiheadAttention means the opposite.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab.kv_cache import KVCache


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    score_bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """softmax(query keyᵀ · scale) value: every query's weighted average of the values, and the weights.

    query   (..., N, K), key (..., S, K), value (..., S, any width). With heads as the third dimension from the end,
            query may have a multiple of the heads of key and value: consecutive query heads then share one (GQA,
            Ainslie 2023).
    mask    boolean, broadcastable to the scores (..., N, S). A query that may attend to nothing gets weights and
            output 0.
    score_bias  added to the scaled scores, broadcastable to (..., N, S): a distance that costs (ALiBi, Press 2022).
    scale   1/√K unless given (Vaswani 2017, equation 1).
    dropout probability with which a weight is zeroed (and the rest scaled up): rows then no longer sum to 1.

    Returns output (..., N, width of value) and weights (..., N, S).
    Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean.
    """
    check_shapes(query, key, value, mask, score_bias)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = matmul_by_group(query * scale, key.mT)  # N·K products with the scale instead of N·S
    if score_bias is not None:
        scores += score_bias
    if mask is not None:
        # Not −∞: a fully masked row would become NaN. The lowest finite number gives exp = 0 beside any allowed score.
        scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    # Where no gradient will ask for the scores, the weights are written over them.
    weights = torch.softmax(scores, dim=-1, out=None if scores.requires_grad else scores)
    if mask is not None and not mask.any(dim=-1).all():
        weights = weights.masked_fill(~mask, 0.0)  # changes fully masked rows only
    if dropout:
        weights = F.dropout(weights, dropout)
    return matmul_by_group(weights, value), weights


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    score_bias: Tensor | None = None,
    is_causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """The output of `attention` where nobody asks for the weights: the kernel never stores them (Dao 2022).

    query (B, H, N, K), key and value (B, G, S, K); is_causal, for N = S alone, is the causal mask without its N² bytes.
    The heads of a group are folded into the rows of their query, so that decoding reads each key and value once."""
    check_shapes(query, key, value, mask, score_bias)
    (B, H, N, K), G = query.shape, key.shape[1]
    if N == 1 and H == G:  # one row of scores a head is nothing to save, and two plain products are faster
        return attention(query, key, value, mask=mask, score_bias=score_bias, dropout=dropout)[0]
    if score_bias is not None:
        mask = score_bias if mask is None else score_bias.where(mask, -torch.inf)
    if mask is not None:
        mask = mask.expand(*(1,) * (4 - mask.dim()), *mask.shape)  # with three dimensions the kernel takes a slow path
    options = {"dropout_p": dropout, "is_causal": is_causal}
    if H == G or is_causal:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=H != G, **options)
    if mask is not None:
        masks, rows = (G, H // G) if mask.shape[1] > 1 else (1, H // G)
        mask = mask.expand(-1, masks * rows, N, -1).reshape(mask.shape[0], masks, rows * N, -1)
    folded = query.reshape(B, G, H // G * N, K)
    return F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, **options).view(B, H, N, -1)


def causal_mask(num_queries: int, num_keys: int | None = None, *, device: torch.device | str | None = None) -> Tensor:
    """(N, S) mask in which a query sees itself and the past. The last query sits at the last key, so that a few new
    queries against a longer cache (S > N) see the whole past."""
    num_keys = num_queries if num_keys is None else num_keys
    if num_queries > num_keys:
        raise ValueError(f"{num_queries} causal queries need at least as many keys, not {num_keys}: each sees itself.")
    everything = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    return everything.tril(num_keys - num_queries)


def window_mask(n: int, width: int, *, device: torch.device | str | None = None) -> Tensor:
    """(N, N) mask in which a query sees keys fewer than `width` positions away, on both sides.
    `window_mask(n, w) & causal_mask(n)` leaves each query its last w keys, itself included."""
    if width < 1:
        raise ValueError(f"a window of width {width} sees nothing: width 1 is the token itself.")
    position = torch.arange(n, device=device)
    return (position[:, None] - position).abs() < width


def padding_mask(lengths: Tensor | list[int], num_keys: int | None = None) -> Tensor:
    """(B, 1, S) mask: the first lengths[b] keys of sequence b are seen. S is the longest length unless given."""
    lengths = torch.as_tensor(lengths)
    longest = int(lengths.max())
    num_keys = longest if num_keys is None else num_keys
    if longest > num_keys:
        raise ValueError(f"a sequence of length {longest} does not fit into num_keys={num_keys}.")
    return (torch.arange(num_keys, device=lengths.device) < lengths[:, None])[:, None, :]


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, H·K) → (B, H, N, K): head i takes columns i·K … (i+1)·K of every token."""
    B, N, width = x.shape
    return x.view(B, N, num_heads, width // num_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, N, K) → (B, N, H·K): the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own d_head = d_model / H columns of the projections, mixed by W^O.

    num_kv_heads = num_heads is multi-head attention (the default), 1 is multi-query attention (Shazeer 2019), anything
    between is grouped-query attention (Ainslie 2023).

    rotary   a function (x, start) → x that turns queries and keys (B, heads, N, K) by their places start, start + 1, …
             in the text, such as `mha_lab.rotary.rotate`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        rotary: Callable[[Tensor, int], Tensor] | None = None,
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        _check_divides(d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}")
        _check_divides(num_heads, num_kv_heads, f"num_heads={num_heads} cannot share num_kv_heads={num_kv_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} is not a probability below 1.")
        self.d_model, self.num_heads, self.num_kv_heads = d_model, num_heads, num_kv_heads
        self.d_head = d_model // num_heads
        self.dropout, self.rotary = dropout, rotary
        self.q_proj = nn.Linear(d_model, num_heads * self.d_head, bias=bias)
        self.k_proj = nn.Linear(d_model, num_kv_heads * self.d_head, bias=bias)
        self.v_proj = nn.Linear(d_model, num_kv_heads * self.d_head, bias=bias)
        self.out_proj = nn.Linear(num_heads * self.d_head, d_model, bias=bias)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        score_bias: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
        cache: KVCache | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Tokens of x (B, N, D) look at those of context (B, S, D), or at each other when there is none.

        mask          boolean (N, S), (B, N, S) or (B, H, N, S); any of these dimensions may be 1. True = may attend.
        score_bias    added to every head's scores, broadcastable to (B, H, N, S).
        causal        each token sees itself and the past only; joined with `mask` where both are given.
        need_weights  also return every head's weights, (B, H, N, S). Without, they are never stored (FlashAttention).
        cache         x holds new tokens; they also see the tokens the cache has, and are added to it. With a window,
                      each sees itself and the window - 1 tokens before it.

        Returns output (B, N, D), or (output, weights). Raises ValueError or TypeError at the door, with the numbers.
        """
        context = self._check_tokens(x, context, causal, cache)
        query = split_heads(self.q_proj(x), self.num_heads)  # (B, H, N, K)
        key = split_heads(self.k_proj(context), self.num_kv_heads)  # (B, G, S, K)
        value = split_heads(self.v_proj(context), self.num_kv_heads)
        if self.rotary is not None:
            start = 0 if cache is None else cache.seen
            query, key = self.rotary(query, start), self.rotary(key, start)
        window = None
        if cache is not None:
            window = cache.window
            key, value = cache.append(key, value)

        N, S = query.shape[-2], key.shape[-2]
        if mask is not None and mask.dim() == 3:
            mask = mask[:, None]  # (B, N, S) serves every head
        # The fused kernel knows the causal mask itself. It aligns it at the first key: right for N = S only.
        is_causal = causal and mask is None and score_bias is None and window is None and N == S and not need_weights
        if causal and N > 1 and not is_causal:  # a single token is the last one and sees all
            past = causal_mask(N, S, device=x.device)
            mask = past if mask is None else mask & past
        if window is not None and N > 1:
            recent = causal_mask(N, S, device=x.device).triu(S - N - window + 1)
            mask = recent if mask is None else mask & recent
        dropout = self.dropout if self.training else 0.0

        if need_weights:
            heads, weights = attention(query, key, value, mask=mask, score_bias=score_bias, dropout=dropout)
            return self.out_proj(merge_heads(heads)), weights
        options = {"score_bias": score_bias, "is_causal": is_causal, "dropout": dropout}
        return self.out_proj(merge_heads(fused_attention(query, key, value, mask=mask, **options)))

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "MultiHeadAttention":
        """The same layer as an nn.MultiheadAttention, with its weights copied."""
        if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
            raise ValueError(
                "from_torch takes an nn.MultiheadAttention without kdim, vdim, add_bias_kv and add_zero_attn: "
                "this layer has one width, d_model, and attends to nothing but tokens."
            )
        has_bias = module.in_proj_bias is not None
        layer = cls(module.embed_dim, module.num_heads, bias=has_bias, dropout=module.dropout)
        layer.to(module.in_proj_weight).train(module.training)
        projections = layer.q_proj, layer.k_proj, layer.v_proj
        with torch.no_grad():
            for projection, weight in zip(projections, module.in_proj_weight.chunk(3), strict=True):
                projection.weight.copy_(weight)
            layer.out_proj.weight.copy_(module.out_proj.weight)
            if has_bias:
                for projection, bias in zip(projections, module.in_proj_bias.chunk(3), strict=True):
                    projection.bias.copy_(bias)
                layer.out_proj.bias.copy_(module.out_proj.bias)
        return layer

    def extra_repr(self) -> str:
        return f"d_model={self.d_model}, num_heads={self.num_heads}, num_kv_heads={self.num_kv_heads}"

    def _check_tokens(self, x, context, causal, cache):
        """The sequence that keys and values come from, once x and context are known to fit this layer."""
        for name, tokens in ("x", x), ("context", context):
            if tokens is not None and (tokens.dim() != 3 or tokens.shape[-1] != self.d_model):
                raise ValueError(
                    f"{name} has shape {tuple(tokens.shape)}; this layer takes (batch, tokens, {self.d_model})."
                )
        if context is None:
            return x
        if context.shape[0] != x.shape[0]:
            raise ValueError(
                f"x is a batch of {x.shape[0]} and context a batch of {context.shape[0]}: they must be equal."
            )
        if causal or cache is not None:
            raise ValueError("causal and cache order x against its own past: they do not go with a context.")
        return context


def matmul_by_group(rows: Tensor, shared: Tensor) -> Tensor:
    """rows (..., H, N, a) @ shared (..., G, a, b) → (..., H, N, b): H // G consecutive heads use one shared matrix.

    The heads of a group are folded into its rows, so that the shared matrix is never copied."""
    if rows.dim() < 3 or shared.dim() < 3 or rows.shape[-3] == shared.shape[-3]:
        return rows @ shared
    *batch, H, N, width = rows.shape
    G = shared.shape[-3]
    return (rows.reshape(*batch, G, H // G * N, width) @ shared).view(*batch, H, N, shared.shape[-1])


def check_shapes(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, score_bias: Tensor | None = None
) -> None:
    """Raises ValueError, or TypeError for a mask that is not boolean, where `attention` could not be computed."""
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"query has d_head {query.shape[-1]} and key {key.shape[-1]}: their dot product needs them equal."
        )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"there are {key.shape[-2]} keys and {value.shape[-2]} values: each key needs its value.")
    if query.dim() > 2 and key.dim() > 2 and query.shape[-3] % key.shape[-3]:
        raise ValueError(f"{query.shape[-3]} query heads cannot share {key.shape[-3]} key heads: it must divide them.")
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(f"mask has dtype {mask.dtype}; it must be torch.bool, True = may attend.")
    scores = (*query.shape[:-1], key.shape[-2])
    for name, given in ("mask", mask), ("score_bias", score_bias):
        if given is None:
            continue
        fits = given.dim() <= len(scores) and all(g in (1, s) for g, s in zip(reversed(given.shape), reversed(scores)))
        if not fits:
            raise ValueError(
                f"{name} has shape {tuple(given.shape)} and the scores {scores}: each dimension must be equal or 1."
            )


def _check_divides(whole: int, parts: int, problem: str) -> None:
    if parts < 1:
        raise ValueError(f"{problem}: there must be at least 1.")
    if whole % parts:
        divisors = ", ".join(str(d) for d in range(1, whole + 1) if whole % d == 0)
        raise ValueError(f"{problem}: {whole} / {parts} leaves {whole % parts}; divisors of {whole}: {divisors}.")
