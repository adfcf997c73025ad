"""What a decoder remembers, so that it computes the keys and values of each token once.

Shapes: B batch, G key/value heads, N new tokens, S keys, K d_head, as everywhere in `mha_lab`.
"""

import copy
import weakref
from typing import NamedTuple

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab.memory import require_if_large


class KVCache:
    """The keys and values of the tokens that one attention layer has seen of one batch of texts.

    capacity  tokens to make room for at once. Beyond it the room doubles, so that each token is copied about once on
              average however long the text grows; below it, what is in the cache is never copied.
    window    forget all but this many tokens: sliding-window attention (Beltagy 2020), whose memory does not grow with
              the text. What a later token cannot see is forgotten when the next ones are added.

    A cache is causal: what it holds is the past, and `mask` says which of it each new token may see. A layer first
    stages the new tokens, and commits them when its output is there: whatever goes wrong before, the cache is as it
    was. The storage is written in place, but for tokens whose gradients may be asked for: they are copied at each step.
    """

    def __init__(self, *, capacity: int = 0, window: int | None = None):
        self.capacity = _door.whole("capacity", capacity, at_least=0)
        self.window = None if window is None else _door.whole("window", window, at_least=None)
        if window is not None and self.window < 1:
            raise ValueError(f"a cache with a window of {window} tokens remembers nothing: window 1 is the new token.")
        self._state = self._staged = _State()

    @property
    def seen(self) -> int:
        """How many tokens were ever added: the place of the next one in its text."""
        return self._state.seen

    def __len__(self) -> int:
        """How many tokens it holds."""
        return self._state.end - self._state.start

    def __bool__(self) -> bool:
        """A cache is there, even while it is empty: `if cache:` asks whether there is one."""
        return True

    def __repr__(self) -> str:
        window = f", window={self.window}" if self.window else ""
        if self._state.storage is None:
            return f"KVCache(empty{window})"
        key, value = self.key, self.value
        return f"KVCache({self.seen} tokens seen, key {tuple(key.shape)}, value {tuple(value.shape)}{window})"

    @property
    def key(self) -> Tensor | None:
        """(B, G, S, K), a view, or None where nothing was added yet."""
        return None if self._state.storage is None else self._state.columns()[0]

    @property
    def value(self) -> Tensor | None:
        """(B, G, S, K), a view, or None where nothing was added yet."""
        return None if self._state.storage is None else self._state.columns()[1]

    def reach(self, new: int) -> int:
        """S, how many keys stand before a layer that adds `new` tokens: these, and the past that the first may see."""
        new = _door.whole("new", new, at_least=0)
        return new + (len(self) if self.window is None else min(len(self), self.window - 1))

    def mask(self, new: int, *, device: torch.device | str | None = None) -> Tensor | None:
        """(N, S) boolean for `new` tokens that are not yet added: each sees itself and the past, as far as the window
        reaches. None for a single token, which sees all."""
        if _door.whole("new", new, at_least=0) <= 1:
            return None
        S = self.reach(new)
        require_if_large(2 * new * S, device)
        past = torch.ones(new, S, dtype=torch.bool, device=device).tril(S - new)
        return past if self.window is None else past.triu(S - new - self.window + 1)

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new tokens' keys and values (B, G, N, K); return those that the new tokens may see, as views."""
        both = self.stage(key, value)
        self.commit()
        return both

    def stage(
        self, key: Tensor, value: Tensor, *, owner: object = None, learning: bool = False
    ) -> tuple[Tensor, Tensor]:
        """What `append` would return. The cache is as before until `commit()`.

        owner     the layer that asks: a cache serves one layer.
        learning  whether a backward pass may ask for keys and values though they need no gradient themselves.
        Raises ValueError or TypeError for what does not fit what is held: nothing is broadcast, nothing is converted.
        """
        kind = self._check(key, value, owner)
        held, new = self._state, key.shape[-2]
        storage, end = held.storage, held.end
        start = end + new - self.reach(new)  # the first of the new tokens sees the window - 1 before it
        if torch.is_grad_enabled():
            learning = learning or any(tensor.requires_grad for tensor in (key, value, *(storage or ())))
        if storage is None or end + new > storage[0].shape[-2] or learning or held.asked_for:
            storage = self._with_room(key, value, start, exact=learning)
            start, end = 0, end - start
        for stored, added in zip(storage, (key, value), strict=True):
            stored[:, :, end : end + new] = added
        owner = held.owner if owner is None else weakref.ref(owner)
        self._staged = _State(storage, start, end + new, held.seen + new, kind, owner, learning)
        return self._staged.columns()

    def commit(self) -> None:
        """Remember what was staged last."""
        self._state = self._staged

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens of the text, as when a draft is rejected."""
        length = _door.whole("length", length, at_least=0)
        if length > self.seen:
            raise ValueError(f"the cache has seen {self.seen} tokens and cannot be cut to {length}.")
        if self.seen > len(self) and 0 < length < self.seen:
            raise ValueError(
                f"of {self.seen} tokens the window of {self.window} has kept {len(self)}: what stood before "
                f"token {length} is gone. Only reset() is possible."
            )
        if length < self.seen:
            owner = self._state.owner if length else None
            self._state = self._staged = self._state._replace(start=0, end=length, seen=length, owner=owner)

    def reset(self) -> None:
        """Forget everything and keep the room: for the next text of the same batch."""
        self.truncate(0)

    def __copy__(self) -> "KVCache":
        """Two texts that go on from one past do not write into one storage."""
        twin = object.__new__(type(self))
        vars(twin).update(self.__getstate__())
        if twin._state.storage is not None:
            twin._state = twin._state._replace(storage=tuple(stored.clone() for stored in twin._state.storage))
        return twin

    def __deepcopy__(self, memo: dict) -> "KVCache":
        return copy.copy(self)

    def __getstate__(self) -> dict:
        unowned = self._state._replace(owner=None)  # a copy belongs to the layer that uses it first
        return vars(self) | {"_state": unowned, "_staged": unowned}

    def _check(self, key, value, owner):
        """What the new keys and values are, once they are known to fit each other and what is held."""
        state = self._state
        if type(key) is type(value) is Tensor and key.dim() == value.dim() == 4 and key.shape[2] == value.shape[2]:
            kind = _kind(key), _kind(value)
            if kind == state.kind and (owner is None or state.owner is None or state.owner() in (owner, None)):
                self._check_inference()
                return kind  # nearly every call: asked in one go
        for name, tensor in ("key", key), ("value", value):
            _door.instance(name, tensor, Tensor, "a tensor of shape (B, G, N, K)")
        if key.dim() != 4 or key.shape[:3] != value.shape[:3] or value.dim() != 4:
            raise ValueError(
                f"key has shape {tuple(key.shape)} and value {tuple(value.shape)}: the cache takes (B, G, N, K), equal "
                "but for the last."
            )
        if not key.is_floating_point() or not value.is_floating_point():
            raise TypeError(f"key is {key.dtype} and value {value.dtype}: they must be floats.")
        if (key.dtype, key.device) != (value.dtype, value.device):
            raise ValueError(
                f"key is {key.dtype} on {key.device} and value {value.dtype} on {value.device}: they must be equal."
            )
        state, kind = self._state, (_kind(key), _kind(value))
        held_by = None if state.owner is None else state.owner()
        if owner is not None and held_by is not None and held_by is not owner:
            raise ValueError(f"the cache holds another layer's {len(self)} tokens: use one cache for each layer.")
        if state.storage is None:
            return kind
        if kind != state.kind:
            raise ValueError(_misfit(*next((n, h, g) for n, h, g in zip(("key", "value"), state.kind, kind) if h != g)))
        self._check_inference()
        return kind

    def _check_inference(self):
        compiling = torch.compiler.is_compiling()  # which cannot ask, and says so itself
        if not compiling and self._state.storage[0].is_inference() and not torch.is_inference_mode_enabled():
            raise RuntimeError(
                "the cache was filled under torch.inference_mode(), and its storage can be written there alone: go on "
                "under inference_mode, or use torch.no_grad() from the start."
            )

    def _with_room(self, key, value, start, exact):
        """A new storage that begins with what is held from column `start` on, and has room for more."""
        held = self._state.end - start
        needed = held + key.shape[-2]
        kept = self._state.storage or ()
        room = needed if exact else max(self.capacity, 2 * needed if kept else needed)
        numbers = sum(new.shape[:-2].numel() * new.shape[-1] for new in (key, value)) * room
        require_if_large(numbers * key.element_size(), key.device)
        storage = tuple(new.new_empty(*new.shape[:-2], room, new.shape[-1]) for new in (key, value))
        for stored, old in zip(storage, kept):
            stored[..., :held, :] = old[..., start : self._state.end, :]
        return storage


class _State(NamedTuple):
    """All that a cache knows, changed at one stroke: an interrupt finds the old one or the new one."""

    storage: tuple[Tensor, Tensor] | None = None
    start: int = 0
    end: int = 0
    """What is held: columns start to end of the storage."""
    seen: int = 0
    kind: tuple | None = None
    owner: weakref.ref | None = None
    asked_for: bool = False
    """Whether a backward pass may ask for what stands in the storage: it must then not be written over."""

    def columns(self) -> tuple[Tensor, Tensor]:
        key, value = self.storage
        held = self.end - self.start
        return key.narrow(2, self.start, held), value.narrow(2, self.start, held)


def _kind(tensor):
    """What keys (or values) share with those before them: nothing is broadcast, nothing is converted."""
    B, G, _, width = tensor.shape
    return (B, G), width, tensor.dtype, tensor.device


def _misfit(name, held, given):
    """How keys or values of one kind differ from those held, in words."""
    (has, width, dtype, device), (heads, new_width, new_dtype, new_device) = held, given
    if has != heads:
        rule = "use one cache for each layer and each batch."
        return f"the cache holds (batch, kv heads) {has} and was given {heads}: {rule}"
    if width != new_width:
        return f"the cache holds {name}s of {width} numbers and was given {new_width}: use one cache for each layer."
    return (
        f"the cache holds {name}s that are {dtype} on {device} and was given {new_dtype} on {new_device}: a cache "
        "converts nothing."
    )
