"""What a decoder remembers, so that it computes the keys and values of each token once.

Shapes: B batch, G key/value heads, S keys, K d_head, as everywhere in `mha_lab`.
"""

from torch import Tensor


class KVCache:
    """The keys and values of the tokens that one attention layer has seen.

    capacity  tokens to make room for at once. Beyond it the room doubles, so that each token is copied about once on
              average however long the text grows; below it, what is in the cache is never copied.
    window    forget all but this many tokens: sliding-window attention (Beltagy 2020), whose memory does not grow with
              the text. A layer that is given such a cache lets no token see farther back.

    The storage is written in place: decode under torch.no_grad().
    """

    def __init__(self, *, capacity: int = 0, window: int | None = None):
        if window is not None and window < 1:
            raise ValueError(f"a cache with a window of {window} tokens remembers nothing: window 1 is the new token.")
        self.capacity, self.window = capacity, window
        self.seen = 0
        """How many tokens were ever added: the place of the next one in its text."""
        self._storage: tuple[Tensor, Tensor] | None = None
        self._start = self._end = 0  # what is held, as columns of the storage

    def __len__(self) -> int:
        """How many tokens it holds."""
        return self._end - self._start

    @property
    def key(self) -> Tensor | None:
        """(B, G, S, K), a view, or None where nothing was added yet."""
        return None if self._storage is None else self._storage[0][..., self._start : self._end, :]

    @property
    def value(self) -> Tensor | None:
        """(B, G, S, K), a view, or None where nothing was added yet."""
        return None if self._storage is None else self._storage[1][..., self._start : self._end, :]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new tokens' keys and values (B, G, N, K); return those that the new tokens may see, as views."""
        self._check(key)
        if self.window is not None:  # the first of the new tokens sees this many old ones
            self._start = max(self._start, self._end - (self.window - 1))
        new = key.shape[-2]
        if self._storage is None or self._end + new > self._storage[0].shape[-2]:
            self._make_room(key, value)
        for stored, added in zip(self._storage, (key, value), strict=True):
            stored[..., self._end : self._end + new, :] = added
        self._end += new
        self.seen += new
        return self.key, self.value

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens of the text, as when a draft is rejected."""
        if not 0 <= length <= self.seen:
            raise ValueError(f"the cache has seen {self.seen} tokens and cannot be cut to {length}.")
        if self.seen > len(self) and length:
            raise ValueError(
                f"of {self.seen} tokens the window of {self.window} has kept {len(self)}: what stood before "
                f"token {length} is gone. Only reset() is possible."
            )
        self._start, self._end, self.seen = 0, length, length

    def reset(self) -> None:
        """Forget everything and keep the room: for the next text of the same batch."""
        self.truncate(0)

    def _check(self, key):
        if self._storage is None:
            return
        stored = self._storage[0]
        if key.shape[:2] != stored.shape[:2]:
            raise ValueError(
                f"the cache holds (batch, kv heads) {tuple(stored.shape[:2])} and was given {tuple(key.shape[:2])}: "
                "use one cache for each layer and each batch."
            )

    def _make_room(self, key, value):
        """Move what is held to the front of a storage with room for twice as much, or for the capacity."""
        held, needed = len(self), len(self) + key.shape[-2]
        room = max(self.capacity, needed if self._storage is None else 2 * needed)
        storage = tuple(new.new_empty(*new.shape[:-2], room, new.shape[-1]) for new in (key, value))
        if held:
            for stored, old in zip(storage, (self.key, self.value), strict=True):
                stored[..., :held, :] = old
        self._storage, self._start, self._end = storage, 0, held
