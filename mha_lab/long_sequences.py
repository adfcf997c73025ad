"""Four ways to attend to a long text: the bytes and seconds they take, predicted, measured, and as recorded once. And
what the scores are of a whole model's memory, and what stacks of windows learned.

    full     `attention`, with all H·N² scores in memory
    chunked  `chunked_attention`, a tile of TILE × TILE scores at a time
    SDPA     F.scaled_dot_product_attention, which does the same inside one kernel
    window   `windowed_attention`, in which a token sees WINDOW − 1 neighbours on each side, and no others

One text, query, key and value (1, H, N, K) in float32, no mask, no gradients, one thread of a CPU.
"""

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from mha_lab import _data, _door, _whole, cost, measure
from mha_lab.attention import MultiHeadAttention, attention
from mha_lab.cost import Machine
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_memory
from mha_lab.variants import chunked_attention, windowed_attention

PATHS = "full", "chunked", "SDPA", "window"
HEADS, D_HEAD, TILE, WINDOW = 8, 64, 256, 128
BUDGET = 2 * 2**30
"""Bytes that a way may take: what is predicted to need more is not measured."""

LENGTHS = 512, 1024, 2048, 4096, 8192, 16384
CONTEXTS = 64, 256, 1024, 4096, 16384
RECORDED = _data.FOLDER / "long_sequences.npz"
RECORDED_SHA256 = "af47a9ede373d2d8067f624cf3a016fde818ca8796a6abfeacbdaf840156110a"


@dataclass
class Measured:
    """Dictionaries by (path, tokens); where a way was refused, it has no entry.

    seconds  of one call, the fastest of several;  peak  bytes at the worst moment, beyond query, key and value
    machine  the rates from which `predicted_seconds` foretells, taken just before"""

    machine: Machine
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    peak: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Relay:
    """What one training of a stack of attention layers on a contract of 64 tokens reached (lesson 10, section 7).

    kind   a name in `models.relays.KINDS`;  steps, lr, seed  of its training
    near, far, beyond  share of right answers: the number of the token before; a name's number; the number of a name
                       that was defined more than 15 tokens earlier, farther than one window of 16 shows"""

    kind: str
    steps: int
    lr: float
    seed: int
    near: float
    far: float
    beyond: float


@dataclass
class Decoding:
    """Seconds of a `MultiHeadAttention(512, 8)` by tokens of context, the fastest of several runs.

    prefill  all tokens at once, causal;  step  one new token, the others in the cache
    window   one new token, the last WINDOW of the others in a sliding cache"""

    prefill: dict[int, float] = field(default_factory=dict)
    step: dict[int, float] = field(default_factory=dict)
    window: dict[int, float] = field(default_factory=dict)


def text(n: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random query, key and value (1, H, N, K) of n tokens."""
    shape = 3, 1, HEADS, _door.whole("n", n), D_HEAD
    require_memory(_text_bytes(n))
    return tuple(_random(shape, seed))


def _random(shape, seed):
    """The same numbers whatever the default type and device are."""
    generator = torch.Generator().manual_seed(_door.seed("seed", seed))
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def ways(query: Tensor, key: Tensor, value: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Each path as a function without arguments, which returns the output (1, H, N, K)."""
    return {
        "full": lambda: attention(query, key, value)[0],
        "chunked": lambda: chunked_attention(query, key, value, query_chunk=TILE, key_chunk=TILE),
        "SDPA": lambda: F.scaled_dot_product_attention(query, key, value),
        "window": lambda: windowed_attention(query, key, value, width=WINDOW),
    }


def predicted_bytes(path: str, n: int) -> int:
    """Bytes at the worst moment, by arithmetic. x is H·K numbers a token, the size of query, key, value or output.

    full     H·n² scores, and one x: first the scaled query, then the output
    chunked  three tiles of H·TILE² scores and what was found so far; at the end that again, in one piece
    SDPA     one x, and a number for each row of each head, which its backward pass would want
    window   3·WINDOW·H scores a token; and ten x: each block has a copy of the keys and values that it sees"""
    _check_path(path)
    n = _door.whole("n", n)
    x, scores = n * HEADS * D_HEAD, HEADS * min(n, TILE) ** 2
    rows = HEADS * min(n, TILE) * D_HEAD  # the x of a tile's queries
    numbers = {
        "full": HEADS * n**2 + x,
        "chunked": max(x + 3 * scores + rows, 2 * x + scores + 2 * rows),
        "SDPA": x + HEADS * n,
        "window": math.ceil(n / WINDOW) * WINDOW * HEADS * (3 * WINDOW + 10 * D_HEAD),
    }
    return 4 * numbers[path]


def model_bytes(
    n: int,
    *,
    batch: int = 1,
    layers: int = 6,
    d_model: int = 512,
    num_heads: int = 8,
    vocabulary: int = 21_000,
    fused: bool = False,
    training: bool = False,
) -> int:
    """Bytes of a whole encoder at the worst moment: `models.Block`s with MLPs of 4·d_model, and a word embedding.

    The weights, P numbers, and beside them, x being B·n·d_model numbers and a layer's scores B·num_heads·n²:
    inference   11 x in the middle of a layer; one layer's scores, unless they are fused
    training    4 P (weights, gradients, and two averages of Adam's); 16 x kept in each layer and 7 more; the scores of
                all layers, unless they are fused

    Counted with `measure.peak_memory`, to which the tests hold it within a twentieth, for texts of 256 tokens and more.
    In 32 bits; without the loss and the answers' logits."""
    sizes = {"n": n, "batch": batch, "layers": layers, "d_model": d_model, "num_heads": num_heads}
    for name, size in (sizes | {"vocabulary": vocabulary}).items():
        _door.whole(name, size)
    weights = layers * (12 * d_model**2 + 9 * d_model) + vocabulary * d_model
    x, scores = batch * n * d_model, 0 if fused else batch * num_heads * n**2
    if training:
        return 4 * (4 * weights + (16 * layers + 7) * x + layers * scores)
    return 4 * (weights + 11 * x + scores)


def _text_bytes(n):
    """Query, key and value."""
    return 3 * 4 * n * HEADS * D_HEAD


def _check_path(path):
    if path not in PATHS:
        raise ValueError(f"there is no path {path!r}; there are: {', '.join(PATHS)}.")


def predicted_seconds(machine: Machine, path: str, n: int) -> float:
    """Seconds by `cost.predict_steps`, which knows nothing of tiles and windows: they are many small layers to it.

    chunked  (n / TILE)² layers of TILE queries on TILE keys, each with the calls of a layer
    window   a batch of n / WINDOW texts, with WINDOW queries on 3·WINDOW keys; and all that it allocates, mostly
             copies of neighbours, written once and read once more"""
    _check_path(path)
    n, d_model = _door.whole("n", n), HEADS * D_HEAD

    def attending(B, N, S, path="explicit"):
        steps = cost.predict_steps(machine, B, N, d_model, HEADS, S=S, path=path)
        return sum(seconds for step, seconds in steps.items() if step in ("scale", "QKᵀ", "softmax", "AV", "attention"))

    if path == "chunked":
        tile = min(n, TILE)
        return math.ceil(n / tile) ** 2 * (attending(1, tile, tile) + machine.call_seconds["explicit"])
    if path == "window":
        copied = 2 * predicted_bytes("window", n) / machine.bytes_per_second
        return attending(math.ceil(n / WINDOW), WINDOW, 3 * WINDOW) + copied
    return attending(1, n, n, "fused" if path == "SDPA" else "explicit")


def exponent(table: dict[tuple[str, int], float], path: str, *, first: int = 2048) -> float:
    """The power of n that fits a table by (path, tokens) best, from `first` tokens on."""
    _check_path(path)
    points = [(n, y) for (name, n), y in table.items() if name == path and n >= first]
    if len(points) < 2:
        raise ValueError(f"{path} has {len(points)} entries from {first:,} tokens on; a power takes two.")
    return float(np.polyfit(*np.log(np.array(points).T), 1)[0])


def measure_ways(
    lengths: Iterable[int] = LENGTHS, *, paths: Iterable[str] = PATHS, budget: int = BUDGET, seconds: float = 0.3
) -> Iterator[tuple[int, Measured]]:
    """Calibrates this machine, then measures length after length: each time the tokens, and everything so far.

    budget   bytes that a path may take at a length; one that would take more is left out there
    seconds  for each path at each length, beyond which no further run is begun (there are always three)

    Raises MemoryError, in words, for a text that would not fit."""
    paths = _door.several("paths", paths, f"some of {', '.join(PATHS)}")
    for path in paths:
        _check_path(path)
    lengths = _door.several("lengths", lengths, "counts of tokens")
    budget, seconds = _door.finite("budget", budget), _door.finite("seconds", seconds)
    return _measured_ways(lengths, paths, budget, seconds)


def _measured_ways(lengths, paths, budget, seconds):
    with _alone():
        found = Measured(measure.calibrate())
    for n in lengths:
        fits = [path for path in paths if predicted_bytes(path, n) <= budget]
        require_memory(_text_bytes(n) + max((predicted_bytes(path, n) for path in fits), default=0))
        if fits:
            with _alone():
                run = {path: way for path, way in ways(*text(n)).items() if path in fits}
                found.peak |= {(path, n): measure.peak_memory(way) for path, way in run.items()}
                times = measure.compare(run, repeats=9, budget=seconds, device="cpu")
                found.seconds |= {(path, n): timing.fastest for path, timing in times.items()}
        yield n, found


@contextmanager
def _alone():
    """Without gradients and on one thread. Entered and left between two results: a generator that somebody keeps and
    does not finish must not leave them so."""
    with torch.no_grad(), measure.single_thread():
        yield


def measure_decoding(
    contexts: Iterable[int] = CONTEXTS, *, seconds: float = 0.3, prefill: bool = True
) -> Iterator[tuple[int, Decoding]]:
    """Context after context: each time the tokens, and everything so far. Without prefill only single tokens.

    Raises MemoryError, in words, for a context that would not fit."""
    contexts, seconds = _door.several("contexts", contexts, "counts of tokens"), _door.finite("seconds", seconds)
    _door.instance("prefill", prefill, bool, "True or False")
    found, layer = Decoding(), measure.constant_layers(HEADS * D_HEAD, [HEADS])[HEADS]
    for n in contexts:
        # x, the keys and values of its cache; with prefill x in the forms of query, key, value, heads and output too
        require_memory((3 + 5 * prefill) * 4 * _door.whole("a context", n) * layer.d_model)
        with _alone():
            x = _random((1, n, layer.d_model), 0).to(layer.q_proj.weight)
            steps = {"step": step(layer, x), "window": step(layer, x, window=WINDOW)}
            if prefill:
                whole = measure.timeit(lambda x=x: layer(x, causal=True), repeats=5, budget=seconds, device="cpu")
                found.prefill[n] = whole.fastest
            for name, timing in measure.compare(steps, budget=seconds, device="cpu").items():
                getattr(found, name)[n] = timing.fastest
        yield n, found


def step(layer: MultiHeadAttention, x: Tensor, *, window: int | None = None) -> Callable[[], Tensor]:
    """A function that reads one more token after x (1, N, D), again and again after the same N."""
    cache = KVCache(window=window, capacity=0 if window else x.shape[1] + 1)
    for part in x.split(1024, dim=1):  # a windowed layer masks a part in whole
        layer(part, causal=True, cache=cache)
    new, held = x[:, -1:], len(cache)

    def next_token():
        output = layer(new, causal=True, cache=cache)
        if window is None:
            cache.truncate(held)
        return output

    return next_token


def measured(lengths: Iterable[int] = LENGTHS, contexts: Iterable[int] = CONTEXTS) -> tuple[Measured, Decoding]:
    """`measure_ways` and `measure_decoding` to their end, with a bar: for both, what `recorded` gives."""
    lengths, contexts = tuple(lengths), tuple(contexts)
    work = sum(n**2 for n in (*lengths, *contexts))  # what takes the time
    with tqdm(total=work, bar_format="{percentage:3.0f}% |{bar}| {elapsed}, {remaining} left") as bar:
        for n, so_far in measure_decoding(contexts):
            decoding = so_far
            bar.update(n**2)
        for n, so_far in measure_ways(lengths):
            found = so_far
            bar.update(n**2)
    return found, decoding


def save(found: Measured, decoding: Decoding, relays: list["Relay"], path=RECORDED) -> None:
    """Write what `recorded` and `recorded_relays` read."""
    lengths = sorted({n for _, n in found.seconds})
    seconds = [[found.seconds.get((p, n), math.nan) for n in lengths] for p in PATHS]
    peak = [[found.peak.get((p, n), -1) for n in lengths] for p in PATHS]
    contexts = sorted(decoding.step)
    steps = {name: np.array([getattr(decoding, name)[n] for n in contexts]) for name in ("prefill", "step", "window")}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            paths=np.array(PATHS),
            lengths=np.array(lengths),
            seconds=np.array(seconds),
            peak=np.array(peak, dtype=np.int64),
            machine=np.array(json.dumps(asdict(found.machine))),
            contexts=np.array(contexts),
            relays=np.array(json.dumps([asdict(relay) for relay in relays])),
            **steps,
        )


def recorded() -> tuple[Measured, Decoding]:
    """What mha_lab/data/long_sequences.npz holds, verified. data/record_long_sequences.py measures it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(RECORDED, RECORDED_SHA256)), allow_pickle=False)
    rates = json.loads(file["machine"].item())
    rates["step_seconds"] = {step: tuple(map(tuple, rows)) for step, rows in rates["step_seconds"].items()}
    found = Measured(Machine(**rates))
    for i, path in enumerate(file["paths"].tolist()):
        for n, seconds, peak in zip(file["lengths"].tolist(), file["seconds"][i].tolist(), file["peak"][i].tolist()):
            if peak >= 0:
                found.seconds[path, n], found.peak[path, n] = seconds, peak
    contexts = file["contexts"].tolist()
    steps = {name: dict(zip(contexts, file[name].tolist())) for name in ("prefill", "step", "window")}
    return found, Decoding(**steps)


def recorded_relays() -> list[Relay]:
    """The trainings that mha_lab/data/long_sequences.npz holds. `data/record_long_sequences.py relays` trains again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(RECORDED, RECORDED_SHA256)), allow_pickle=False)
    return [Relay(**row) for row in json.loads(file["relays"].item())]
