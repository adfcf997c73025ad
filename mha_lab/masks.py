"""Boolean masks: True = may attend. They join with &, and broadcast to the scores (B, H, N, S)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab.memory import require_if_large


def causal_mask(num_queries: int, num_keys: int | None = None, *, device: torch.device | str | None = None) -> Tensor:
    """(N, S) mask in which a query sees itself and the past. The last query sits at the last key, so that a few new
    queries against a longer cache (S > N) see the whole past."""
    num_queries = _door.whole("num_queries", num_queries, at_least=0)
    num_keys = num_queries if num_keys is None else _door.whole("num_keys", num_keys, at_least=0)
    if num_queries > num_keys:
        raise ValueError(f"{num_queries} causal queries need at least as many keys, not {num_keys}: each sees itself.")
    return _everything(num_queries, num_keys, device).tril_(num_keys - num_queries)


def window_mask(n: int, width: int, *, device: torch.device | str | None = None) -> Tensor:
    """(N, N) mask in which a query sees keys fewer than `width` positions away, on both sides.
    `window_mask(n, w) & causal_mask(n)` leaves each query its last w keys, itself included."""
    n, width = _door.whole("n", n, at_least=0), _door.whole("width", width, at_least=0)
    if width < 1:
        raise ValueError(f"a window of width {width} sees nothing: width 1 is the token itself.")
    width = min(width, n)
    return _everything(n, n, device).tril_(width - 1).triu_(1 - width)


def padding_mask(lengths: Tensor | Sequence[int], num_keys: int | None = None) -> Tensor:
    """(B, 1, S) mask: the first lengths[b] keys of sequence b are seen. S is the longest length unless given."""
    if not isinstance(lengths, Tensor):
        if isinstance(lengths, str) or not hasattr(lengths, "__iter__"):
            raise TypeError(f"lengths is {_door.told(lengths)}; it must be a list of whole numbers, one a sequence.")
        lengths = [_door.whole("a length", length, at_least=0) for length in lengths]
        longest = max(lengths, default=0)
    elif lengths.dim() != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
        shape = tuple(lengths.shape)
        raise TypeError(f"lengths are {lengths.dtype} of shape {shape}; they must be whole numbers (B,).")
    elif lengths.is_meta:
        raise ValueError("lengths are on the meta device, which has no numbers: a mask is made of some.")
    else:
        lengths = lengths.long()
        shortest, longest = map(int, lengths.aminmax()) if len(lengths) else (0, 0)
        _door.whole("a length", shortest, at_least=0)
    if num_keys is None and not len(lengths):
        raise ValueError("there are no lengths, and so no longest one: num_keys must be given.")
    num_keys = longest if num_keys is None else _door.whole("num_keys", num_keys, at_least=0)
    if longest > num_keys:
        raise ValueError(f"a sequence of length {longest} does not fit into num_keys={num_keys}.")
    device = lengths.device if isinstance(lengths, Tensor) else None
    require_if_large(len(lengths) * num_keys, device)
    lengths = torch.as_tensor(lengths, dtype=torch.long, device=device)
    return (torch.arange(num_keys, device=lengths.device) < lengths[:, None])[:, None, :]


def _everything(num_queries, num_keys, device):
    require_if_large(num_queries * num_keys, device)
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
