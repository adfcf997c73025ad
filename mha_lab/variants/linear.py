"""Attention without softmax: a matrix a head stands for the whole past, so that no key and no value is kept.

A state is (..., K, width): K numbers of a key by those of a value, whatever the length of the text. Each
rule is written twice: token by token, as a recurrence, and as masked products of whole pieces of the text.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._autograd import without_autocast
from mha_lab._fits import check_tokens
from mha_lab.attention import MultiHeadAttention
from mha_lab.memory import require_if_large
from mha_lab.variants._state import StateCache, checked


def linear_recurrence(
    query: Tensor, key: Tensor, value: Tensor, *, log_decay: Tensor | None = None, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Token by token: what is held fades, key valueᵀ is added to it, and the query reads it (Katharopoulos 2020,
    arXiv:2006.16236, equations 18 to 20, without the division).

    query, key (..., N, K), value (..., N, any width); log_decay (..., N), 0 or less: the state is first multiplied by
    its exp. state (..., K, width) is what earlier tokens left, 0 unless given. Returns the output (..., N, width) and
    the new state. In 16 bits all is computed in 32, and the state stays so."""
    return _by_tokens(query, key, value, None, log_decay, state)


def linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The numbers of `linear_recurrence` by products: (query keyᵀ, causal and decayed) value, and no softmax.

    chunk   tokens that are taken together: within a chunk N² products, from one to the next the state. None: the whole
            text is one chunk, which is a masked product and nothing else.
    """
    return _by_chunks(query, key, value, None, log_decay, state, chunk)


def gated_delta_recurrence(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    write: Tensor,
    *,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Token by token: what is held fades, what it says at this key is taken out, the new value is written there.

    As `linear_recurrence`, but for what is added: key (write · (value − stateᵀ key))ᵀ (Schlag 2021, arXiv:2102.11174;
    Yang 2024, arXiv:2412.06464). write (..., N), from 0 to 1 where keys have length 1: 0 leaves the state, 1 makes it
    say the value at this key."""
    _door.instance("write", write, Tensor, "a tensor (…, tokens)")
    return _by_tokens(query, key, value, write, log_decay, state)


def gated_delta(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    write: Tensor,
    *,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
    chunk: int | None = 64,
) -> tuple[Tensor, Tensor]:
    """The numbers of `gated_delta_recurrence` by products, chunk by chunk (None: all at once).

    What each token adds depends on what the tokens before it in the chunk added: one triangular system gives all of it
    (Yang 2024, arXiv:2406.06484, section 3.2). Then it is linear attention with these in place of the values."""
    _door.instance("write", write, Tensor, "a tensor (…, tokens)")
    return _by_chunks(query, key, value, write, log_decay, state, chunk)


def _by_tokens(query, key, value, write, log_decay, state):
    dtype = value.dtype if isinstance(value, Tensor) else None
    query, key, value, write, log_decay, state = checked(query, key, value, write, log_decay, state)
    outputs = []
    for n in range(query.shape[-2]):
        k, new = key[..., n, :], value[..., n, :]
        state = log_decay[..., n, None, None].exp() * state
        if write is not None:
            new = write[..., n, None] * (new - (k[..., None, :] @ state).squeeze(-2))
        state = state + k[..., :, None] * new[..., None, :]
        outputs.append(query[..., n, None, :] @ state)
    return _joined(outputs, query, value).to(dtype), state


def _by_chunks(query, key, value, write, log_decay, state, chunk):
    dtype = value.dtype if isinstance(value, Tensor) else None
    query, key, value, write, log_decay, state = checked(query, key, value, write, log_decay, state)
    N = query.shape[-2]
    chunk = max(N, 1) if chunk is None else _door.whole("chunk", chunk)
    require_if_large(3 * state[..., 0, 0].numel() * min(N, chunk) ** 2 * query.element_size(), query.device)
    outputs = []
    for start in range(0, N, chunk):
        part = slice(start, min(start + chunk, N))
        q, k, v = (x[..., part, :] for x in (query, key, value))
        all_gone = log_decay[..., part].exp() == 0  # of which no sum can be taken: −∞ less −∞ is no number
        faded = log_decay[..., part].masked_fill(all_gone, 0.0).cumsum(dim=-1)  # since the chunk began
        gone = all_gone.cumsum(dim=-1)  # how often all was
        since = faded[..., :, None] - faded[..., None, :]  # from key to query
        hidden = torch.ones(since.shape[-2:], dtype=torch.bool, device=since.device).triu_(1)  # the future
        since = since.masked_fill(hidden | (gone[..., :, None] != gone[..., None, :]), -torch.inf).exp()
        before = faded.masked_fill(gone > 0, -torch.inf)[..., None].exp()
        if write is not None:
            b = write[..., part, None]
            system = torch.tril(b * (k @ k.mT) * since, -1)
            v = torch.linalg.solve_triangular(system, b * (v - before * (k @ state)), upper=False, unitriangular=True)
        outputs.append(before * (q @ state) + ((q @ k.mT) * since) @ v)
        left = (faded[..., -1:] - faded).masked_fill(gone != gone[..., -1:], -torch.inf)
        left = left[..., None].exp()  # of what each token added, at the chunk's end
        state = before[..., -1:, :] * state + (left * k).mT @ v
    return _joined(outputs, query, value).to(dtype), state


def _joined(outputs, query, value):
    if outputs:
        return torch.cat(outputs, dim=-2)
    batch = torch.broadcast_shapes(query.shape[:-2], value.shape[:-2])
    return value.new_zeros(*batch, 0, value.shape[-1])


# layers --------------------------------------------------------------------------------------------------------------


class LinearAttention(MultiHeadAttention):
    """`MultiHeadAttention` without softmax: a weight is φ(q)·φ(k) over the sum of all of them, with φ = elu + 1, which
    is positive (Katharopoulos 2020, arXiv:2006.16236).

    The arguments are those of `MultiHeadAttention`, without dropout and rotary: there are no weights to drop, and a
    turned φ would not be positive. Query heads of a group share a state. It is causal, and its cache a `StateCache`.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        if self.dropout or self.rotary is not None:
            raise ValueError(f"{type(self).__name__} has neither weights to drop nor places to turn by.")

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        score_bias: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
        cache: StateCache | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """x (B, N, D) → (B, N, D), and with need_weights (B, H, N, N): what each token's value counts in each output.

        The call is that of `MultiHeadAttention`. A state knows the past and nothing else: causal must be True or a
        cache given, and there is no context, mask or score_bias. Raises ValueError or TypeError in one sentence."""
        check_tokens(self.d_model, self.q_proj, x)
        _door.instance("causal", causal, bool, "True or False")
        _door.instance("need_weights", need_weights, bool, "True or False")
        if cache is not None:
            _door.instance("cache", cache, StateCache, "a StateCache")
        refused = {"context": context, "mask": mask, "score_bias": score_bias}
        for name in (name for name, given in refused.items() if given is not None):
            raise ValueError(f"{name} was given: a state holds the whole past of x, and no part of it can be hidden.")
        if not causal and cache is None:
            raise ValueError("a state knows the past only: say causal=True, or give a cache.")
        if need_weights and cache is not None and cache.seen:
            raise ValueError(f"the weights on {cache.seen} earlier tokens are not known: their state has no tokens.")
        query, key, value = self.project(x, x)
        shared = self.num_heads // self.num_kv_heads
        query, key, value = query.unflatten(1, (-1, shared)), key[:, :, None], value[:, :, None]
        held = None if cache is None else cache.held_for(self, (x.shape[0], self.num_kv_heads))
        with without_autocast(x.device):
            heads, state = self.remember(x, query, key, value, held)
            if need_weights:
                unit = torch.eye(x.shape[1], dtype=value.dtype, device=x.device).expand(*key.shape[:3], -1, -1)
                weights, _ = self.remember(x, query, key, unit, None, norm=False)
        output = self.combine(heads.flatten(1, 2).to(value.dtype), x)
        if cache is not None:
            cache.keep(self, state[:, :, 0], x.shape[1])
        return (output, weights.flatten(1, 2)) if need_weights else output

    def remember(self, x, query, key, value, state, *, norm=True) -> tuple[Tensor, Tensor]:
        """query (B, G, H/G, N, K), key and value (B, G, 1, N, …) → the heads' outputs and the new state, in which a
        last column of ones counts what was added."""
        value = F.pad(value, (0, 1), value=1.0)
        found, state = linear_attention(F.elu(query) + 1, F.elu(key) + 1, value, state=state, chunk=64)
        counted = found[..., -1:].clamp(min=torch.finfo(found.dtype).tiny)  # φ of −100 is 0, and 0 / 0 no number
        return found[..., :-1] / counted, state

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention):
        """Raises TypeError: an nn.MultiheadAttention has a softmax, which no state can give."""
        raise TypeError(
            f"{cls.__name__} has no softmax, and an nn.MultiheadAttention has one: MultiHeadAttention.from_torch keeps "
            "what that layer is."
        )


class DeltaAttention(LinearAttention):
    """`LinearAttention` that takes the old value at a key out before it writes the new one (Schlag 2021,
    arXiv:2102.11174): queries and keys have length 1, and each token says, for each key/value head, how much it writes,
    σ(x W_β). What a head reads is brought to one size by an RMSNorm, for nothing divides it.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.write_proj = nn.Linear(self.d_model, self.num_kv_heads)
        self.head_norm = nn.RMSNorm(self.d_head, eps=1e-6)

    def remember(self, x, query, key, value, state, *, norm=True) -> tuple[Tensor, Tensor]:
        """As in `LinearAttention`, without the column of ones. norm=False leaves the outputs as they were read."""
        write = self.write_proj(x).sigmoid().mT[:, :, None]  # (B, G, 1, N)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        found, state = self.rule(query, key, value, write, self.log_decay(x), state)
        return (self.head_norm(found) if norm else found), state

    def rule(self, query, key, value, write, log_decay, state) -> tuple[Tensor, Tensor]:
        """What changes the state."""
        return gated_delta(query, key, value, write, log_decay=log_decay, state=state)

    def log_decay(self, x: Tensor) -> Tensor | None:
        """Nothing fades."""
        return None


class GatedDeltaAttention(DeltaAttention):
    """`DeltaAttention` whose state fades: each token says by how much, before it writes, exp(−softplus(x W_α)) for each
    key/value head (Yang 2024, arXiv:2412.06464; Qwen3-Next). It begins with hardly any fading.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.decay_proj = nn.Linear(self.d_model, self.num_kv_heads)
        nn.init.constant_(self.decay_proj.bias, -5.0)

    def log_decay(self, x: Tensor) -> Tensor:
        """(B, G, 1, N), 0 or less."""
        return -F.softplus(self.decay_proj(x)).mT[:, :, None]
