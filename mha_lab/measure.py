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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.cost import FRESH, Machine
from mha_lab.memory import require_memory

SAMPLE = 2e-4  # seconds: shorter calls are repeated within a sample until the clock reads at least this
LONGEST = 600.0
"""Seconds beyond which no calibration gets any better."""

STREAM = 256 * 2**20
"""Bytes that are summed to find Machine.bytes_per_second: far more than a cache holds, so that memory sets the pace."""


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
    return dict(compare_in_steps(candidates, repeats=repeats, budget=budget, device=device))


def compare_in_steps(
    candidates: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 15,
    budget: float = 1.0,
    device: str | None = None,
) -> Iterator[tuple[str, Timing | None]]:
    """`compare` for whoever has other things to do in between: after each warm-up (None) and each sample, the name of
    the candidate and its timing so far."""
    if (repeats := _door.whole("repeats", repeats, at_least=None)) < 3:
        raise ValueError(f"repeats={repeats} gives no quartiles: take at least 3.")
    _door.instance("candidates", candidates, Mapping, "functions by their names, such as {'a': f, 'b': g}")
    for name, fn in candidates.items():
        _check_callable(name, fn)
    budget = _door.finite("budget", budget)
    deadline = time.perf_counter() + budget * len(candidates)
    runs = {}
    for i in range(repeats):
        if i >= 3 and time.perf_counter() > deadline:
            return
        for name, fn in candidates.items():
            if i == 0:
                runs[name] = _Sampler(fn, device)
                yield name, None
            runs[name].sample()
            yield name, runs[name].timing()


def _check_callable(name, fn):
    if not callable(fn):
        raise TypeError(f"{name} is {_door.told(fn)}; it must be a function without arguments, such as lambda: f(x).")


class _Sampler:
    """Warms a callable up, then takes one sample at a time."""

    def __init__(self, fn, device=None):
        self.fn, self.samples, self.loops, self.brief = fn, [], 1, False
        self.device = torch.device(_device_of(fn()) if device is None else device)
        self.threads = torch.get_num_threads()
        alone = self.device.type == "cpu" and self.threads == 1 and sys.platform != "win32"
        self.clock = time.thread_time if alone else time.perf_counter
        each = min(self.once(), self.once())
        self.loops, self.brief = max(1, math.ceil(SAMPLE / max(each, 1e-7))), each < 1e-3

    def once(self):
        """Seconds of one call, averaged over a sample."""
        if self.brief:
            self.fn()  # others ran since the last sample: it would mostly measure cold caches
        _synchronise(self.device)
        start = self.clock()
        for _ in range(self.loops):
            self.fn()
        _synchronise(self.device)
        return (self.clock() - start) / self.loops

    def sample(self):
        self.samples.append(self.once())

    def timing(self):
        several = self.samples if len(self.samples) > 1 else 2 * self.samples
        q1, median, q3 = statistics.quantiles(several, method="inclusive")
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
    On a CPU every storage that an operation makes for a tensor counts until it is freed. Scratch space within a kernel
    and buffers that are not torch's do not count."""
    _check_callable("fn", fn)
    found = _device_of(fn())
    device = torch.device(found if device is None else device)
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

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether PyTorch loads its compiler to keep out of the method below: a second and more, and nothing here is
        compiled."""
        return False

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


def calibrate(seconds: float = 1.0, *, device: str | torch.device = "cpu") -> Machine:
    """What this machine takes with the present number of threads: the fastest of several runs of some 50 short probes.
    Where other work runs too, calibrate and measure within `single_thread()`: several threads then wait for each other.
    bytes_per_second is the rate of reading, by a sum, `STREAM` bytes that no cache still has: that of the memory.

    seconds  of wall time for all of them together, though each runs at least three times.
    Raises MemoryError where `STREAM` bytes would not fit."""
    with torch.no_grad():
        *_, machine = calibrate_in_steps(seconds, device=device)
    return machine


def calibrate_in_steps(seconds: float = 1.0, *, device: str | torch.device = "cpu") -> Iterator[Machine | None]:
    """`calibrate` for whoever has other things to do in between: None after each run of a probe, the Machine last.
    Every step belongs within torch.no_grad()."""
    device, seconds = torch.device(device), _door.finite("seconds", seconds)
    if seconds > LONGEST:
        raise ValueError(f"seconds={seconds:g}: a calibration takes at most {LONGEST:g} of them.")
    require_memory(STREAM, device=device)
    steps = {
        "QKᵀ": lambda scores, q: q @ q.mT,
        "softmax": lambda scores, q: scores.softmax(-1),
        "AV": lambda scores, q: scores @ q,
        "attention": lambda scores, q: F.scaled_dot_product_attention(q, q, q),
        "W": lambda x, weights: F.linear(x, next(weights)),
    }
    sizes, scores = ((32, 128, 512), 2**18) if device.type == "cpu" else ((128, 512, 2048), 2**22)
    numbers = {"device": device, "dtype": torch.float32}  # as `Machine` counts them
    ones = cache(lambda *shape: torch.ones(shape, **numbers))  # pages of memory cost more than many a probe
    probes, units = {}, {}
    for step, run in steps.items():
        widths = {"softmax": (1,), "W": (128, 512)}.get(step, (4, 16, 128))
        lengths = (sizes[0] // 2, *sizes) if step == "W" else sizes  # the fewer rows, the dearer each of them
        for n, width in [(1, 1), *((n, width) for n in lengths for width in widths)]:
            heads = 1 if n == 1 else max(4, scores // n**2)
            if step == "W":  # a layer has four weights: each has left a small cache when its turn comes again
                operands = ones(n, width), cycle(ones(4, width, width))
            else:
                operands = ones(1, heads, n, n), ones(1, heads, n, width)
            units[step, n, width] = n * width**2 if step == "W" else heads * n * n
            probes[step, n, width] = lambda run=run, operands=operands: run(*operands)
    large = ones(STREAM // 4)
    tiny, token = constant_layers(2, [2], device=device)[2].float(), ones(1, 2, 2)
    probes |= {
        "explicit": lambda: tiny(token, need_weights=True),
        "fused": lambda: tiny(token),
        "stream": lambda: large.sum(),
        # Only pages that are written to count. So large a block is never one that the allocator still has.
        "fresh": lambda: torch.empty_like(large)[: FRESH // 32].fill_(1.0),
    }
    torch.empty(
        FRESH - 2**20, dtype=torch.uint8, device="cpu"
    )  # freed at once: from now on glibc keeps whatever is smaller (FRESH)
    taken = {}
    for name, timing in compare_in_steps(probes, repeats=50, budget=seconds / len(probes), device=device):
        taken[name] = timing
        yield None
    t = {name: timing.fastest for name, timing in taken.items()}
    rows = {step: [] for step in steps}
    for (step, n, width), count in units.items():
        if n > 1:  # a call on one number tells what the call itself takes
            alone = max(t[step, n, width] - t[step, 1, 1], 0.1 * t[step, n, width])
            rows[step].append((n, width, alone / count))
    yield Machine(
        name=f"{processor(device)}, torch {torch.__version__}",
        device=str(device),
        threads=torch.get_num_threads(),
        flops_per_second=2 / min(each for *_, each in rows["W"]),
        bytes_per_second=STREAM / t["stream"],
        page_seconds=t["fresh"] / (FRESH // 8) if device.type == "cpu" else 0.0,
        call_seconds={path: t[path] for path in ("explicit", "fused")},
        step_seconds={step: tuple(found) for step, found in rows.items()},
    )


def constant_layers(
    d_model: int, head_counts: Iterable[int], *, device: str | torch.device = "cpu"
) -> dict[int, MultiHeadAttention]:
    """A `MultiHeadAttention` for each head count, all on the same weights, each 1 / d_model.

    Made without memory of their own and without random numbers: other work may be drawing them right now."""
    head_counts = _door.several("head_counts", head_counts, "counts of heads")
    with torch.device("meta"):
        layers = {num_heads: MultiHeadAttention(d_model, num_heads) for num_heads in head_counts}
    shapes = next(iter(layers.values())).state_dict().items()
    weights = {name: torch.full(w.shape, 1 / d_model, device=device) for name, w in shapes}
    for layer in layers.values():
        layer.load_state_dict(weights, assign=True)
    return layers


def processor(device: str | torch.device = "cpu") -> str:
    """What the maker calls the processor, or the GPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:  # Linux, where the platform module knows the kind alone
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
