"""Attention and the multi-head layer made of it (Vaswani 2017, sections 3.2.1 and 3.2.2).

Shapes use the letters of `mha_lab`: B batch, N queries, S keys, H query heads, G key/value heads, D d_model, K d_head.
A boolean mask says True = may attend, as F.scaled_dot_product_attention does; nn.MultiheadAttention means the opposite.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._autograd import kernel_has_a_rule, may_write_over, only_first_derivatives, without_autocast
from mha_lab._fits import check_rotary, check_shapes, check_tokens, layer_mask, scale_of
from mha_lab._from_torch import layer_from_torch
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask
from mha_lab.memory import require_if_large

HALF = (torch.float16, torch.bfloat16)
FEW = 16
"""Queries up to which a mask is written out once for each head of a group, so that shared keys are read once."""


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
    score_bias  floating-point, added to the scaled scores, broadcastable to (..., N, S): a distance that costs (ALiBi,
            Press 2022). −∞ hides a key, as the mask does; two dimensions are (N, S), three (H, N, S).
    scale   1/√K unless given (Vaswani 2017, equation 1).
    dropout probability with which a weight is zeroed (and the rest scaled up): rows then no longer sum to 1.

    Returns output (..., N, width of value) and weights (..., N, S). In 16 bits, scores and softmax are computed in 32,
    as in the fused kernels. Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean.
    """
    check_shapes(query, key, value, mask, score_bias)
    if query.dtype in HALF:
        options = {"mask": mask, "score_bias": score_bias, "scale": scale, "dropout": dropout}
        with without_autocast(query.device):
            output, weights = attention(query.float(), key.float(), value.float(), **options)
        return output.to(value.dtype), weights.to(value.dtype)
    require_if_large(math.prod(query.shape[:-1]) * key.shape[-2] * query.element_size(), query.device)
    scale = scale_of(scale, query)
    if dropout:
        _door.share("dropout", dropout)
    scores = matmul_by_group(query * scale, key.mT)  # N·K products with the scale instead of N·S
    over = may_write_over(scores, value, score_bias)
    add, fill = (Tensor.add_, Tensor.masked_fill_) if over else (torch.add, torch.masked_fill)
    sees = None  # 1 for a query that sees something, 0 for one that sees nothing: softmax would divide 0 by 0 there
    if score_bias is not None:
        scores = add(scores, score_bias.to(scores.dtype))
    if mask is not None:
        sees = mask.any(dim=-1, keepdim=True)
        scores = fill(scores, ~(mask | ~sees), -torch.inf)  # a row that sees nothing keeps its scores for now
    if score_bias is not None and scores.shape[-1]:
        blind = scores.amax(dim=-1, keepdim=True) == -torch.inf
        scores = fill(scores, blind, 0.0)
        sees = ~blind if sees is None else sees & ~blind
    weights = torch.softmax(scores, dim=-1, out=scores if over else None)
    if dropout:
        weights = F.dropout(weights, dropout)
    output = matmul_by_group(weights, value)
    if sees is not None:
        sees = sees.to(weights.dtype)
        weights = weights.mul_(sees) if over else weights * sees
        output = output * sees
    return output, weights


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    score_bias: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The output of `attention` where nobody asks for the weights: the kernel never stores them (Dao 2022).

    query (B, H, N, K), key and value (B, G, S, K); is_causal, for N = S alone, is the causal mask without its N² bytes.
    The heads of a group are folded into the rows of their query, so that decoding reads each key and value once.
    The kernel has no forward derivative and no rule for torch.func's transforms (then `attention` computes), and no
    second derivative (its error says what to ask for).
    """
    check_shapes(query, key, value, mask, score_bias)
    if query.dim() != 4:
        raise ValueError(f"query has shape {tuple(query.shape)}; the fused path takes (B, H, N, K).")
    H, N, G, S = query.shape[1], query.shape[2], key.shape[1], key.shape[2]
    if is_causal and (N != S or mask is not None):
        raise ValueError(
            f"is_causal is the mask of {N} queries on {S} keys: it needs as many of each, and no other mask."
        )
    scale = scale_of(scale, query)
    if dropout:
        _door.share("dropout", dropout)
    if N == 1 and H == G and query.dtype not in HALF:
        # One row of scores a head is nothing to save, and two plain products are faster.
        return attention(query, key, value, mask=mask, score_bias=score_bias, scale=scale, dropout=dropout)[0]
    if kernel_has_a_rule():
        only_first_derivatives(query, key, value)
        try:
            return _fused(query, key, value, mask, score_bias, is_causal, scale, dropout)
        except NotImplementedError:  # what torch raises for a forward derivative outside of torch.func
            pass
    mask = causal_mask(N, device=query.device) if is_causal else mask
    return attention(query, key, value, mask=mask, score_bias=score_bias, scale=scale, dropout=dropout)[0]


def _fused(query, key, value, mask, score_bias, is_causal, scale, dropout):
    (B, H, N, K), (_, G, S, _) = query.shape, key.shape
    if score_bias is not None:  # in 16 bits a distance would be rounded before it meets its score
        score_bias = score_bias.to(torch.promote_types(query.dtype, torch.float32))
        if not torch.is_grad_enabled():
            score_bias = score_bias.detach()  # or the kernel would store the scores for a gradient nobody asks for
        mask = score_bias if mask is None else score_bias.where(mask, -torch.inf)
    if mask is not None:
        mask = mask.expand(*(1,) * (4 - mask.dim()), *mask.shape)  # with three dimensions the kernel takes a slow path
    options = {"dropout_p": dropout, "is_causal": is_causal, "scale": scale}
    if not query.shape[0] == key.shape[0] == value.shape[0]:  # one text for all, which the kernel does not repeat
        B = max(query.shape[0], key.shape[0], value.shape[0])
        query, key, value = (x.expand(B, -1, -1, -1) for x in (query, key, value))
    if H == G or is_causal or (mask is not None and N > FEW):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=H != G, **options)
    if mask is not None:
        masks, rows = (G, H // G) if mask.shape[1] > 1 else (1, H // G)
        mask = mask.expand(-1, masks * rows, N, S).reshape(mask.shape[0], masks, rows * N, S)
    folded = query.reshape(B, G, H // G * N, K)
    found = F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, **options)
    return found.view(B, H, N, value.shape[-1])


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, H·K) → (B, H, N, K): head i takes columns i·K … (i+1)·K of every token."""
    _door.instance("x", x, Tensor, "a tensor")
    num_heads = _door.whole("num_heads", num_heads)
    if x.dim() != 3 or x.shape[-1] % num_heads:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (B, N, a multiple of num_heads={num_heads}).")
    B, N, width = x.shape
    return x.view(B, N, num_heads, width // num_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, N, K) → (B, N, H·K): the inverse of `split_heads`."""
    _door.instance("x", x, Tensor, "a tensor")
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (B, H, N, K).")
    return x.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own d_head columns of the projections, mixed by W^O.

    num_kv_heads = num_heads is multi-head attention (the default), 1 is multi-query attention (Shazeer 2019), anything
    between is grouped-query attention (Ainslie 2023).

    d_head   width of a head: d_model / num_heads unless given (Vaswani 2017), and any other in most models of today.
    rotary   a function (x, start) → x that turns queries and keys (B, heads, N, K) by their places start, start + 1, …
             in the text, such as `mha_lab.rotary.rotate`. Queries and the keys of a context are each counted from 0.

    What later models add composes from outside: a subclass changes how tokens are projected, how heads attend, or how
    they are combined (`mha_lab.variants`).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        d_head: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        rotary: Callable[[Tensor, int], Tensor] | None = None,
    ):
        super().__init__()
        d_model = _door.whole("d_model", d_model)
        num_heads = _door.whole("num_heads", num_heads, at_least=None if d_head is None else 1)
        G = num_heads if num_kv_heads is None else _door.whole("num_kv_heads", num_kv_heads, at_least=None)
        if d_head is None:
            d_head = _door.divides(d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}")
        K = _door.whole("d_head", d_head)
        _door.divides(num_heads, G, f"num_heads={num_heads} cannot share num_kv_heads={G}")
        _door.instance("bias", bias, bool, "True or False")
        _door.share("dropout", dropout)
        if rotary is not None:
            check_rotary(rotary, K)
        require_if_large(2 * d_model * (num_heads + G) * K * torch.get_default_dtype().itemsize)
        self.d_model, self.num_heads, self.num_kv_heads, self.d_head = d_model, num_heads, G, K
        self.dropout, self.rotary = dropout, rotary
        self.q_proj = nn.Linear(d_model, num_heads * K, bias=bias)
        self.k_proj = nn.Linear(d_model, G * K, bias=bias)
        self.v_proj = nn.Linear(d_model, G * K, bias=bias)
        self.out_proj = nn.Linear(num_heads * K, d_model, bias=bias)

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
        score_bias    floats added to every head's scores, broadcastable to (B, H, N, S).
        causal        each token sees itself and the past only; joined with `mask` where both are given.
        need_weights  also return every head's weights, (B, H, N, S). Without, they are never stored (FlashAttention).
                      Their path is also the one that has second derivatives.
        cache         x holds new tokens, which are added to it. A cache is causal, whatever `causal` says: each token
                      sees itself, the new ones before it and those in the cache (of a window: as far as it reaches).
                      S counts all of these keys, also in a mask. After an error the cache is as it was.

        Returns output (B, N, D), or (output, weights). Raises ValueError or TypeError at the door, with the numbers.
        """
        check_tokens(self.d_model, self.q_proj, x, context)
        _door.instance("causal", causal, bool, "True or False")
        _door.instance("need_weights", need_weights, bool, "True or False")
        if cache is not None:
            _door.instance("cache", cache, KVCache, "a KVCache")
        if context is None:
            context = x
        elif causal or cache is not None:
            raise ValueError("causal and cache order x against its own past: they do not go with a context.")
        (B, N, _), held = x.shape, 0
        if cache is not None:
            held = cache.reach(N) - N
        S = context.shape[1] + held
        scores = B, self.num_heads, N, S
        if mask is not None:
            mask = layer_mask("mask", mask, scores, held, x.device)
        if score_bias is not None:
            score_bias = layer_mask("score_bias", score_bias, scores, held, x.device)

        query, key, value = self.project(x, context)
        if self.rotary is not None:
            start = 0 if cache is None else cache.seen
            query, key = self.rotary(query, start), self.rotary(key, start)
        causal, is_causal = causal or cache is not None, False
        plain = mask is None and score_bias is None and not need_weights and (cache is None or not cache.window)
        if causal and plain and N == S:
            is_causal = True  # the fused kernel knows that mask itself, aligned at the first key: right for N = S only
        elif causal and N > 1:  # a single token is the last one and sees all
            past = causal_mask(N, device=x.device) if cache is None else cache.mask(N, device=x.device)
            mask = past if mask is None else mask & past
        if cache is not None:
            asked = [tensor for tensor in (query, score_bias) if tensor is not None]
            learning = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in asked)
            key, value = cache.stage(key, value, owner=self, learning=learning)

        options = {"mask": mask, "score_bias": score_bias, "is_causal": is_causal}
        heads, weights = self.attend(query, key, value, need_weights=need_weights, **options)
        output = self.combine(heads, x)
        if cache is not None:
            cache.commit()  # last: whatever went wrong before, the cache is as it was
        return (output, weights) if need_weights else output

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, N, D) and context (B, S, D) → query (B, H, N, K), key and value (B, G, S, K)."""
        key, value = self.k_proj(context), self.v_proj(context)
        H, G = self.num_heads, self.num_kv_heads
        return split_heads(self.q_proj(x), H), split_heads(key, G), split_heads(value, G)

    def attend(
        self, query, key, value, *, mask=None, score_bias=None, is_causal=False, need_weights=False
    ) -> tuple[Tensor, Tensor | None]:
        """Every head's output (B, H, N, K), and its weights where they are needed. is_causal stands in for a mask."""
        options = {"mask": mask, "score_bias": score_bias, "dropout": self.dropout if self.training else 0.0}
        if need_weights:
            return attention(query, key, value, **options)
        return fused_attention(query, key, value, is_causal=is_causal, **options), None

    def combine(self, heads: Tensor, x: Tensor) -> Tensor:
        """heads (B, H, N, K) of tokens x (B, N, D) → (B, N, D): side by side, and mixed by W^O."""
        return self.out_proj(merge_heads(heads))

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "MultiHeadAttention":
        """The same layer as an nn.MultiheadAttention, with its weights copied: same dtype, device, mode and dropout,
        and frozen where it was frozen. Raises ValueError for what this layer cannot keep."""
        return layer_from_torch(cls, module)

    def extra_repr(self) -> str:
        sizes = f"d_model={self.d_model}, num_heads={self.num_heads}, num_kv_heads={self.num_kv_heads}"
        return sizes if self.num_heads * self.d_head == self.d_model else f"{sizes}, d_head={self.d_head}"


def matmul_by_group(rows: Tensor, shared: Tensor) -> Tensor:
    """rows (..., H, N, a) @ shared (..., G, a, b) → (..., H, N, b): H // G consecutive heads use one shared matrix.

    The heads of a group are folded into its rows, so that the shared matrix is never copied."""
    if rows.dim() < 3 or shared.dim() < 3 or rows.shape[-3] == shared.shape[-3]:
        return rows @ shared
    *batch, H, N, width = rows.shape
    G = shared.shape[-3]
    product = rows.reshape(*batch, G, H // G * N, width) @ shared
    return product.view(*product.shape[:-3], H, N, shared.shape[-1])
