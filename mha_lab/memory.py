"""How much memory is free, asked before much of it is taken: a sentence in place of a machine that stands still."""

import math
import numbers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from torch import nn
from torch._guards import detect_fake_mode
from torch.overrides import TorchFunctionMode

LARGE = 2**30
"""Bytes from which on the package's own functions ask before they allocate. Asking takes as long as a small layer."""


def require_memory(size: float, *, device: str | torch.device = "cpu") -> None:
    """Raise MemoryError, in words, where `size` bytes would not fit beside what already runs. A tenth is kept back."""
    if isinstance(size, bool) or not isinstance(size, numbers.Real):
        raise ValueError(f"size is of type {type(size).__name__}; it must be a number of bytes.")
    if not 0 <= size < math.inf:
        raise ValueError("size is below 0 or not finite; it must be a number of bytes.")
    free = free_memory(device)
    if size > 0.9 * free:
        raise MemoryError(
            f"This needs about {_in_words(size)} of memory and {_in_words(free)} are free on this machine "
            f"({torch.device(device)}), of which a tenth is kept back: choose smaller sizes."
        )


def require_if_large(size: int, device: torch.device | None = None) -> None:
    """`require_memory` on the device (the default one unless given), for `LARGE` sizes only; never while compiling,
    where a size may be a symbol, nor for tensors without numbers."""
    if not torch.compiler.is_compiling() and size >= LARGE and detect_fake_mode() is None:
        require_memory(size, device=torch.get_default_device() if device is None else device)


def require_parameters(beside: int, *, layers: int = 0, d_model: int = 0, mlp: int = 0) -> None:
    """`require_if_large` for a model of some layers of attention, each with an MLP of this width where there is one,
    and of `beside` other parameters."""
    numbers = beside + layers * (4 * d_model**2 + 2 * d_model * mlp)
    require_if_large(numbers * torch.get_default_dtype().itemsize)


@contextmanager
def shapes_only() -> Iterator[None]:
    """What is made in this block has shapes and no numbers (torch's device "meta"), and none are drawn for it.

    Torch itself would work out what drawing them does, in Python, and load 800 modules for that: 70 MB, two seconds."""
    with torch.device("meta"), _NothingDrawn():
        yield


DRAWS = {torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}


class _NothingDrawn(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in DRAWS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def free_memory(device: str | torch.device = "cpu") -> int:
    """Bytes that can still be allocated: on a CPU without swapping and within a container's limit."""
    device = torch.device(device)
    if device.type == "meta":
        return sys.maxsize  # shapes without numbers
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch hands it out again
        return torch.cuda.mem_get_info(device)[0] + kept
    return min(psutil.virtual_memory().available, _container_leaves())


def _container_leaves(root=Path("/sys/fs/cgroup")):
    """What a container's limit (Linux control groups, version 2 or 1) leaves; files kept in memory can be dropped."""
    for folder, limit, used in (
        (root, "memory.max", "memory.current"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            left = int((folder / limit).read_text()) - int((folder / used).read_text())
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # not this version, or no limit: the word "max"
            continue
        return left + int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return sys.maxsize


def _in_words(size):
    if size >= 2**100:
        return "more than 10**18 TiB"
    for unit, power in ("TiB", 40), ("GiB", 30):
        if size >= 2**power:
            return f"{size / 2**power:,.1f} {unit}"
    return f"{size / 2**20:.0f} MiB"
