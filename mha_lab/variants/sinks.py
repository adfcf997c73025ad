"""A place for weight that has nowhere to go: a learned sink (gpt-oss 2025), or the first tokens (Xiao 2023)."""

import math
import weakref

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._autograd import without_autocast
from mha_lab._fits import check_kind, check_shapes, fits, scale_of
from mha_lab._shown import readable
from mha_lab.attention import MultiHeadAttention, fused_attention, matmul_by_group
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_if_large


def sink_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    sink: Tensor,
    *,
    mask: Tensor | None = None,
    score_bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """`attention` beside a sink: one more key, which no mask hides and which has nothing to give.

    sink    its logit, beside which the scores stand in the softmax: (H,), one a head, or broadcastable to
            (..., H, N, 1), one for each query. −∞ closes it: what is left is `attention`; ∞ takes all.

    It is a gate on the row: with a sink s, output and weights are σ(logsumexp(scores) − s) times those of `attention`.
    Returns both, the weights without the sink's column: a row sums to that gate. A query that may attend to nothing has
    the sink. Everything else, and what is raised, is as in `attention`."""
    check_shapes(query, key, value, mask, score_bias)
    sink = _one_column(sink, query)
    scale = scale_of(scale, query)
    _door.share("dropout", dropout)
    exact = torch.promote_types(query.dtype, torch.float32)
    require_if_large(2 * math.prod(query.shape[:-1]) * key.shape[-2] * exact.itemsize, query.device)
    with without_autocast(query.device):
        scores = matmul_by_group(query.to(exact) * scale, key.to(exact).mT)
        if score_bias is not None:
            scores = scores + score_bias.to(exact)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        sink = sink.to(exact).clamp(torch.finfo(exact).min, torch.finfo(exact).max)  # ∞ less ∞ is no number
        weights = torch.cat([scores, sink.expand(*scores.shape[:-1], 1)], dim=-1).softmax(dim=-1)[..., :-1]
        if dropout:
            weights = F.dropout(weights, dropout)
        output = matmul_by_group(weights, value.to(exact))
    return output.to(value.dtype), weights.to(value.dtype)


def fused_sink_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    sink: Tensor,
    *,
    mask: Tensor | None = None,
    score_bias: Tensor | None = None,
    is_causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """The output of `sink_attention` by `fused_attention`, which never stores the weights.

    query (B, H, N, K), key and value (B, G, S, K). The sink becomes a token before the text, where the kernel's own
    causal mask leaves it to be seen by all. Queries and keys have two more numbers: 1 in the sink's key, 0 in all
    others, and in a query its sink's logit, the second for what 16 bits leave of the first."""
    check_shapes(query, key, value, mask, score_bias)
    if query.dim() != 4:
        raise ValueError(f"query has shape {tuple(query.shape)}; the fused path takes (B, H, N, K).")
    K, S, dtype = key.shape[-1], key.shape[-2], query.dtype
    exact = torch.promote_types(dtype, torch.float32)
    most = torch.finfo(dtype).max / 2  # −∞ times 0, in the keys of the text, is no number
    logit = (_one_column(sink, query).to(exact) * K**0.5).clamp(-most, most)  # the kernel divides scores by √K
    logit = logit.expand(*query.shape[:-1], 1)
    whole = logit.to(dtype)
    query = torch.cat([query, whole, (logit - whole.to(exact)).to(dtype)], dim=-1)
    first = F.pad(key.new_ones(*key.shape[:-2], 1, 2), (K, 0))
    key = torch.cat([first, F.pad(key, (0, 2))], dim=-2)
    value = F.pad(value, (0, 2, 1, 0))  # as wide as the keys, or the kernel takes a slow path
    if is_causal:
        query = F.pad(query, (0, 0, 1, 0))  # the sink's own row, which sees the sink
    if mask is not None:
        mask = F.pad(mask.expand(*mask.shape[:-1], S), (1, 0), value=True)
    if score_bias is not None:
        score_bias = F.pad(score_bias.expand(*score_bias.shape[:-1], S), (1, 0))
    options = {"mask": mask, "score_bias": score_bias, "is_causal": is_causal, "scale": K**-0.5, "dropout": dropout}
    found = fused_attention(query, key, value, **options)[..., :-2]
    return found[..., 1:, :] if is_causal else found


def _one_column(sink, query):
    """The sink's logits, broadcastable to one more column of the scores."""
    check_kind("sink", sink, query.device)
    if not sink.is_floating_point():
        raise TypeError(f"sink has dtype {sink.dtype}; logits are floats.")
    column, scores = sink[:, None, None] if sink.dim() == 1 else sink, (*query.shape[:-1], 1)
    if not fits(column.shape, scores):
        raise ValueError(
            f"sink has shape {tuple(sink.shape)} and the queries {tuple(query.shape)}; it must be one logit a head, "
            f"(H,), or broadcastable to {scores}, one for each query."
        )
    if readable(sink) and (unknown := int(sink.isnan().sum())):  # the fused kernel would make 0 of it
        raise ValueError(f"{unknown} of {sink.numel()} logits of the sink are NaN: each must be a number, −∞ or ∞.")
    return column


class SinkAttention(MultiHeadAttention):
    """`MultiHeadAttention` in which every head has a sink: a learned logit beside its scores (gpt-oss 2025).

    The arguments are those of `MultiHeadAttention`; `sink` (H,) begins at 0, the score of a key that is 0. Weights are
    those of the tokens alone: a row's sum says how much the head took from them.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sink = nn.Parameter(torch.zeros(self.num_heads))

    def attend(
        self, query, key, value, *, mask=None, score_bias=None, is_causal=False, need_weights=False
    ) -> tuple[Tensor, Tensor | None]:
        """As in `MultiHeadAttention`, beside the sink."""
        options = {"mask": mask, "score_bias": score_bias, "dropout": self.dropout if self.training else 0.0}
        if need_weights or query.shape[-2] == 1:  # one row of scores a head is nothing to save
            return sink_attention(query, key, value, self.sink, **options)
        return fused_sink_attention(query, key, value, self.sink, is_causal=is_causal, **options), None

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "SinkAttention":
        """The same layer as an nn.MultiheadAttention(add_zero_attn=True), whose key of zeros is a sink of logit 0 that
        is not learned (`requires_grad` is False). Its weights have the sink's column at the end; ours are the columns
        before it. Raises what `MultiHeadAttention.from_torch` raises, and ValueError for a layer without a sink."""
        _door.instance("module", module, nn.MultiheadAttention, "an nn.MultiheadAttention")
        if not module.add_zero_attn:
            raise ValueError(
                "this nn.MultiheadAttention has no sink (add_zero_attn=False): MultiHeadAttention.from_torch keeps "
                "what it is."
            )
        without = object.__new__(type(module))  # the same weights; copy.copy refuses some modules
        vars(without).update(vars(module), add_zero_attn=False)
        layer = super().from_torch(without)
        layer.sink.requires_grad_(False)
        return layer


def streaming_mask(n: int, window: int, first: int, *, device: torch.device | str | None = None) -> Tensor:
    """(N, N) mask in which a query sees its last `window` tokens, itself included, and the `first` tokens of the text,
    which serve as a sink (Xiao 2023, arXiv:2309.17453). It is causal."""
    n, first = _door.whole("n", n, at_least=0), _door.whole("first", first, at_least=0)
    window = _whole_window(window)
    require_if_large(3 * n * n, device)
    mask = torch.ones(n, n, dtype=torch.bool, device=device).tril_()
    mask[:, first:].triu_(1 - window - first)  # column c of this part is key c + first
    return mask


class StreamingCache(KVCache):
    """A cache that keeps the first `first` tokens of a text beside its last `window`: decoding sees what
    `streaming_mask` shows, and memory does not grow with the text (Xiao 2023, arXiv:2309.17453).

    A layer uses it as any `KVCache`. The places of tokens stay those of the text, so that rotary positions turn as in
    the whole text; Xiao counts them within the cache. What is kept is copied at each step, and never written over.
    """

    def __init__(self, *, window: int, first: int):
        super().__init__(window=_whole_window(window))
        self.first = _door.whole("first", first, at_least=0)

    def __repr__(self) -> str:
        return f"StreamingCache({len(self)} of {self.seen} tokens, window={self.window}, first={self.first})"

    def reach(self, new: int) -> int:
        """S, how many keys stand before a layer that adds `new` tokens: these, the first ones and the window's past."""
        return new + min(len(self), self.first + self.window - 1)

    def mask(self, new: int, *, device: torch.device | str | None = None) -> Tensor | None:
        """(N, S) boolean for `new` tokens that are not yet added; None for a single token, which sees all."""
        if new <= 1:
            return None
        S = self.reach(new)
        require_if_large(3 * new * S, device)
        mask = torch.ones(new, S, dtype=torch.bool, device=device).tril_(S - new)
        mask[:, self.first :].triu_(S - new + 1 - self.window - self.first)
        return mask

    def stage(
        self, key: Tensor, value: Tensor, *, owner: object = None, learning: bool = False
    ) -> tuple[Tensor, Tensor]:
        """What the new tokens may see. The cache is as before until `commit()`."""
        kind = self._check(key, value, owner)
        held, new, S = self._state, key.shape[-2], self.reach(key.shape[-2])
        first = min(self.first, len(self))
        last = len(self) - (S - new - first)
        require_if_large(S * (key[..., :1, :].numel() + value[..., :1, :].numel()) * key.element_size(), key.device)
        past = held.columns() if held.storage else (key[..., :0, :], value[..., :0, :])
        storage = tuple(
            torch.cat([old[..., :first, :], old[..., last:, :], added], dim=-2)
            for old, added in zip(past, (key, value), strict=True)
        )
        owner = held.owner if owner is None else weakref.ref(owner)
        self._staged = held._replace(storage=storage, start=0, end=S, seen=held.seen + new, kind=kind, owner=owner)
        return storage


def _whole_window(window):
    window = _door.whole("window", window, at_least=None)
    if window < 1:
        raise ValueError(f"a window of {window} tokens remembers nothing: window 1 is the new token.")
    return window
