"""Time and memory of any callable, and the rates of this machine from which `cost.predict` foretells a time.

On a CPU with one thread, times are time.thread_time: what this thread computed, without the time that other work on the
same core took. With more threads, on a GPU and on Windows (whose thread clock ticks every 16 ms) they are wall time.
"""

import math
import platform
import statistics
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mha_lab.cost import FRESH, Machine

SAMPLE = 2e-4  # seconds: shorter calls are repeated within a sample until the clock reads at least this


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: median, quartiles and fastest of `repeats` samples, and what they were taken on."""

    median: float
    q1: float
    q3: float
    fastest: float
    repeats: int
    device: str
    threads: int

    def ratio(self, other: "Timing") -> float:
        """This median as a multiple of the other's: below 1 is faster."""
        return self.median / other.median

    def __str__(self):
        q1, median, q3 = (f"{t * 1e3:.3g}" for t in (self.q1, self.median, self.q3))
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{median} ms ({q1}–{q3}, {self.repeats} runs, {self.device}, {threads})"


def timeit(fn: Callable[[], object], *, repeats: int = 15, budget: float = 1.0, device: str | None = None) -> Timing:
    """How long one call of `fn` takes, after a warm-up.

    repeats  samples to take; a call shorter than 0.2 ms is looped within its sample.
    budget   seconds of wall time after which no further sample is begun; there are always 3.
    device   where fn computes; unless given, where the first tensor that it returns lies.
    """
    return compare({"fn": fn}, repeats=repeats, budget=budget, device=device)["fn"]


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 15,
    budget: float = 1.0,
    device: str | None = None,
) -> dict[str, Timing]:
    """`timeit` of several callables in turn, round after round, so that drift of the machine hits all alike.

    The budget is for each candidate. Ratios: compare({"a": f, "b": g})["b"].ratio(…["a"])."""
    if repeats < 3:
        raise ValueError(f"repeats={repeats} gives no quartiles: take at least 3.")
    runs = {name: _Sampler(fn, device) for name, fn in candidates.items()}
    deadline = time.perf_counter() + budget * len(runs)
    for i in range(repeats):
        if i >= 3 and time.perf_counter() > deadline:
            break
        for run in runs.values():
            run.sample()
    return {name: run.timing() for name, run in runs.items()}


class _Sampler:
    """Warms a callable up, then takes one sample at a time."""

    def __init__(self, fn, device=None):
        self.fn, self.samples, self.loops = fn, [], 1
        self.device = torch.device(_device_of(fn()) if device is None else device)
        self.threads = torch.get_num_threads()
        alone = self.device.type == "cpu" and self.threads == 1 and sys.platform != "win32"
        self.clock = time.thread_time if alone else time.perf_counter
        self.loops = max(1, math.ceil(SAMPLE / max(self.once(), 1e-9)))

    def once(self):
        """Seconds of one call, averaged over a sample."""
        _synchronise(self.device)
        start = self.clock()
        for _ in range(self.loops):
            self.fn()
        _synchronise(self.device)
        return (self.clock() - start) / self.loops

    def sample(self):
        self.samples.append(self.once())

    def timing(self):
        q1, median, q3 = statistics.quantiles(self.samples, method="inclusive")
        return Timing(median, q1, q3, min(self.samples), len(self.samples), str(self.device), self.threads)


def _device_of(result):
    for leaf in tree_leaves(result):
        if isinstance(leaf, torch.Tensor):
            return leaf.device
    return torch.device("cuda") if torch.cuda.is_initialized() else torch.device("cpu")


def _synchronise(device):
    """Wait for work that was only queued: a GPU call returns before the GPU has computed anything."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread within this block: for little work, waking a second costs more than it gives."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def peak_memory(fn: Callable[[], object], *, device: str | None = None) -> int:
    """Bytes that `fn` has allocated at its worst moment, beyond what was allocated before; its result counts.

    fn runs twice, first to warm up. On a GPU this is PyTorch's count of what its allocator gave (max_memory_allocated).
    On a CPU every storage that an operation makes for a tensor counts until it is freed. Scratch space within one kernel
    and buffers that are not torch's do not count."""
    device = torch.device(_device_of(fn()) if device is None else device)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
        torch.accelerator.reset_peak_memory_stats(device)
        before = torch.accelerator.memory_allocated(device)
        fn()
        torch.accelerator.synchronize(device)
        return torch.accelerator.max_memory_allocated(device) - before
    with _CPUStorages() as storages:
        fn()
    return storages.peak


class _CPUStorages(TorchDispatchMode):
    """Follows the storages that operations allocate while it is on."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak = [], 0  # (weak reference to a storage, its bytes)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        known = {id(s) for s in _cpu_storages((args, kwargs))} | {id(ref()) for ref, _ in self.alive}
        for storage in _cpu_storages(result):
            if id(storage) not in known:
                known.add(id(storage))
                self.alive.append((weakref.ref(storage), storage.nbytes()))
        self.alive = [(ref, size) for ref, size in self.alive if ref() is not None]
        self.peak = max(self.peak, sum(size for _, size in self.alive))
        return result


def _cpu_storages(tree):
    leaves = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu")
    return [leaf.untyped_storage() for leaf in leaves]


def require_memory(size: int, *, device: str | torch.device = "cpu") -> None:
    """Raise MemoryError, in words, where `size` bytes would not fit beside what already runs. A tenth is kept back."""
    free = free_memory(device)
    if size > 0.9 * free:
        raise MemoryError(
            f"This needs about {_in_words(size)} of memory and {_in_words(free)} are free on this machine "
            f"({torch.device(device)}), of which a tenth is kept back: choose smaller sizes."
        )


def free_memory(device: str | torch.device = "cpu") -> int:
    """Bytes that can still be allocated."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _in_words(size):
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def calibrate(seconds: float = 1.5, *, device: str | torch.device = "cpu") -> Machine:
    """Rates of this machine with the present number of threads, from short probes that take `seconds` of wall time."""
    device, threads = torch.device(device), torch.get_num_threads()
    small = torch.ones(16, device=device)
    large = torch.ones(1024, 1024, device=device)
    fresh = 2 * FRESH // 4
    table = [(n, k) for n in (64, 512) for k in (8, 64)]

    def heads(n, k):
        return torch.ones(1, max(1, 2**18 // n**2), n, k, device=device)

    probes = {"call": lambda: small * 1, "matmul": lambda: large @ large, "stream": lambda: large * 1}
    probes |= {"page": lambda: torch.ones(fresh, device=device), "softmax": lambda: large.softmax(-1)}
    for n, k in table:
        q = heads(n, k)
        probes["product", n, k] = lambda q=q: q @ q.mT
        probes["fused", n, k] = lambda q=q: F.scaled_dot_product_attention(q, q, q)
    with torch.no_grad():
        t = {name: run.fastest for name, run in compare(probes, budget=seconds / len(probes), device=device).items()}
    rate = 2 * large.nbytes / t["stream"]
    return Machine(
        name=platform.processor() or platform.machine(),
        device=str(device),
        threads=threads,
        call_seconds=t["call"],
        flops_per_second=2 * 1024**3 / t["matmul"],
        bytes_per_second=rate,
        page_seconds=max(0.0, t["page"] / (4 * fresh) - 1 / rate) if device.type == "cpu" else 0.0,
        softmax_seconds=t["softmax"] / large.numel(),
        products=tuple((n, k, 2 * heads(n, k).shape[1] * n * n * k / t["product", n, k]) for n, k in table),
        fused=tuple((n, k, 4 * heads(n, k).shape[1] * n * n * k / t["fused", n, k]) for n, k in table),
    )
