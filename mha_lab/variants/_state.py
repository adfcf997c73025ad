"""What the rules of `linear` are given, asked at their door, and what their layers remember."""

import copy
import weakref

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab._fits import fits
from mha_lab._shown import readable


def checked(query, key, value, write, log_decay, state):
    """All of them in at least 32 bits, where they fit; ValueError or TypeError in one sentence where they do not.

    In front of the last two dimensions some may be 1, so that a key of several queries is not copied."""
    front = _front(query, key, value)
    (*_, N, K), width = query.shape, value.shape[-1]
    held = torch.broadcast_shapes(key.shape[:-2], value.shape[:-2])
    state = value.new_zeros(*held, K, width) if state is None else state
    _check("state", state, query, (K, width), front, f"keys of {K} numbers and values of {width} fill one of")
    for name, x in {"log_decay": log_decay, "write": write}.items():
        if x is not None:
            _check(name, x, query, (N,), front, f"there are {N} tokens, and room for")
    if log_decay is not None and log_decay.numel() and readable(log_decay) and (largest := log_decay.max()) > 0:
        raise ValueError(
            f"log_decay has a {largest:.3g}: it must be 0 or less, for a state is multiplied by its exp and may fade "
            "but not grow. log(decay) of a decay between 0 and 1 is meant."
        )
    log_decay = value.new_zeros(N) if log_decay is None else log_decay
    exact = torch.promote_types(query.dtype, torch.float32)
    return tuple(None if x is None else x.to(exact) for x in (query, key, value, write, log_decay, state))


def _front(query, key, value):
    """What stands in front of tokens and width, where some of it may be 1."""
    given = {"query": query, "key": key, "value": value}
    for name, x in given.items():
        _door.instance(name, x, Tensor, "a tensor")
        if x.dim() < 2 or not x.is_floating_point():
            raise ValueError(f"{name} is {x.dtype} of shape {tuple(x.shape)}; it must be floats (…, tokens, width).")
        if x.device != query.device:
            raise ValueError(f"{name} is on {x.device} and query on {query.device}: they must be on one device.")
    if query.shape[-2:] != key.shape[-2:] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}: each token has one of "
            "each, and query and key are equally wide."
        )
    try:
        return torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except RuntimeError:
        shapes = ", ".join(str(tuple(x.shape)) for x in given.values())
        raise ValueError(f"query, key and value have shapes {shapes}: in front they must be equal, or 1.") from None


def _check(name, x, query, last, front, room):
    """Raises TypeError or ValueError where x is no floats that end in `last`, with `front` or parts of it before."""
    _door.instance(name, x, Tensor, "a tensor (…, K, width)" if name == "state" else "a tensor (…, tokens)")
    expected = (*front, *last)
    if not x.is_floating_point() or x.shape[-len(last) :] != last or not fits(x.shape, expected):
        raise ValueError(
            f"{name} is {x.dtype} of shape {tuple(x.shape)}; {room} {expected}: floats, and in front equal, or 1."
        )
    if x.device != query.device:
        raise ValueError(f"{name} is on {x.device} and query on {query.device}: they must be on one device.")


class StateCache:
    """What a linear layer remembers of one batch of texts: a state, as large after a million tokens as after one."""

    def __init__(self):
        self.state: Tensor | None = None
        """(B, G, K, width), or None before the first token."""
        self.seen = 0
        self._owner: weakref.ref | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.state is None else self.state.nbytes

    def held_for(self, layer: object, size: tuple[int, int]) -> Tensor | None:
        """The state as (B, G, 1, K, width), for the query heads of a group. Raises ValueError where it is another
        layer's, or not of this size (B, G): nothing is broadcast."""
        if self.state is None:
            return None
        owner = None if self._owner is None else self._owner()
        if owner is not None and owner is not layer:
            raise ValueError(
                f"the cache holds another layer's state of {self.seen} tokens: use one cache for each layer."
            )
        if self.state.shape[:2] != size:
            raise ValueError(
                f"the cache holds the states of (batch, kv heads) {tuple(self.state.shape[:2])} and was given {size}: "
                "use one cache for each layer and each batch."
            )
        return self.state[:, :, None]

    def keep(self, layer: object, state: Tensor, new: int) -> None:
        """The state after `new` more tokens of this layer."""
        self.state, self.seen, self._owner = state, self.seen + new, weakref.ref(layer)

    def __deepcopy__(self, memo: dict) -> "StateCache":
        return copy.copy(self)  # a state is never written over

    def __getstate__(self) -> dict:
        return vars(self) | {"_owner": None}  # a copy belongs to the layer that uses it first

    def __repr__(self) -> str:
        held = "empty" if self.state is None else f"a state of {tuple(self.state.shape)}"
        return f"StateCache({held}, {self.seen} tokens seen)"
