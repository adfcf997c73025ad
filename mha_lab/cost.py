"""What a multi-head layer costs, by arithmetic alone: parameters, FLOPs, bytes, and a predicted time.

Sizes use the letters of `mha_lab`: B batch, N queries, S keys (N unless given), d_model, num_heads, num_kv_heads
(num_heads unless given). Nothing here imports torch; the tests hold every count against it.
"""

import math
from dataclasses import dataclass

FRESH = 32 * 2**20
"""glibc's malloc takes buffers of 32 MiB and more from the system every time (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)),
and the system hands over empty pages, each when it is first written to."""


def parameters(d_model: int, num_heads: int, num_kv_heads: int | None = None, *, bias: bool = True) -> int:
    """Numbers that a layer learns: W^Q, W^K, W^V, W^O and, with bias, one number for each of their outputs.

    4·d_model² without sharing and biases, whatever num_heads is (Vaswani 2017, section 3.2.2)."""
    _, kv_width = _widths(d_model, num_heads, num_kv_heads)
    weights = 2 * d_model * d_model + 2 * d_model * kv_width
    return weights + (2 * d_model + 2 * kv_width if bias else 0)


def flops(
    B: int, N: int, d_model: int, num_heads: int, num_kv_heads: int | None = None, *, S: int | None = None
) -> dict[str, int]:
    """Floating-point operations of one forward pass by term, a multiply-add as 2: 8·N·d² + 4·N²·d for one sentence.

    Counted: the six matrix products, with every key for every query (a causal mask saves the explicit path nothing).
    Ignored: biases, scale, mask, softmax and dropout, as in torch.utils.flop_counter: few operations, though not little
    time (`predict`)."""
    S = N if S is None else S
    _, kv_width = _widths(d_model, num_heads, num_kv_heads)
    return {
        "W^Q": 2 * B * N * d_model * d_model,
        "W^K": 2 * B * S * d_model * kv_width,
        "W^V": 2 * B * S * d_model * kv_width,
        "QKᵀ": 2 * B * N * S * d_model,
        "AV": 2 * B * N * S * d_model,
        "W^O": 2 * B * N * d_model * d_model,
    }


def stored_scores(B: int, N: int, num_heads: int, *, S: int | None = None) -> int:
    """Numbers in the scores (B, H, N, S): num_heads·N² for one sentence. The fused path never stores them."""
    return B * num_heads * N * (N if S is None else S)


def explicit_peak_bytes(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    S: int | None = None,
    bytes_per_number: int = 4,
) -> int:
    """Bytes allocated at the worst moment of a forward pass of `MultiHeadAttention` with need_weights, without gradients:
    2·B·num_heads·N² + 3·B·N·d_model numbers from N = 3·d_head on.

    That moment is the softmax, with scores and weights beside query, key and value. For fewer tokens it is the end, with
    weights, query, key, value, the heads' outputs, their merged copy and the result. Ignored: parameters and x, which
    were there before, and a mask, which adds two bytes for each of its entries (itself and its opposite)."""
    S = N if S is None else S
    _, kv_width = _widths(d_model, num_heads, num_kv_heads)
    scores, x, kv = stored_scores(B, N, num_heads, S=S), B * N * d_model, B * S * kv_width
    merged = x if num_heads > 1 and N > 1 else 0  # otherwise the heads lie as W^O wants them
    numbers = x + 2 * kv + max(2 * scores, scores + x + merged + x)
    return numbers * bytes_per_number


def traffic_bytes(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    S: int | None = None,
    path: str = "explicit",
    bytes_per_number: int = 4,
) -> dict[str, int]:
    """Bytes that one forward pass reads and writes, by step: each operand read once, each result written once.

    path "explicit" stores the scores and goes over them six times; "fused" (FlashAttention, Dao 2022) reads query, key
    and value once and writes the heads' outputs. Ignored: biases, masks, and what a small cache makes a kernel read
    again."""
    S = N if S is None else S
    _, kv_width = _widths(d_model, num_heads, num_kv_heads)
    x, context, kv, scores = B * N * d_model, B * S * d_model, B * S * kv_width, stored_scores(B, N, num_heads, S=S)
    steps = {
        "W^Q": x + d_model * d_model + x,
        "W^K": context + d_model * kv_width + kv,
        "W^V": context + d_model * kv_width + kv,
    }
    if _is_explicit(path):
        steps |= {"QKᵀ": x + kv + scores, "scale": 2 * scores, "softmax": 2 * scores, "AV": scores + kv + x}
    else:
        steps |= {"attention": x + 2 * kv + x}
    steps |= {"merge": 2 * x, "W^O": x + d_model * d_model + x}
    return {name: numbers * bytes_per_number for name, numbers in steps.items()}


def kv_cache_bytes(
    B: int, S: int, num_kv_heads: int, d_head: int, *, layers: int = 1, bytes_per_number: int = 2
) -> int:
    """Bytes of the keys and values of S tokens in every layer, in 16 bits unless bytes_per_number says otherwise.

    Counted: the numbers themselves. Ignored: what an implementation allocates ahead (Shazeer 2019; Ainslie 2023)."""
    return 2 * B * S * num_kv_heads * d_head * layers * bytes_per_number


@dataclass(frozen=True)
class Machine:
    """Rates of one device with one number of threads, float32, as `measure.calibrate` finds them."""

    name: str
    device: str
    threads: int
    call_seconds: float  # one operation on almost nothing
    flops_per_second: float  # a large matrix product
    bytes_per_second: float  # a large elementwise operation, read and written
    page_seconds: float  # first write to a fresh byte, beyond bytes_per_second
    softmax_seconds: float  # a number that softmax goes over
    products: tuple[tuple[int, int, float], ...] = ()  # (N, d_head, FLOP/s) of small matrix products
    fused: tuple[tuple[int, int, float], ...] = ()  # (N, d_head, FLOP/s) of the fused kernel


def predict(
    machine: Machine,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    S: int | None = None,
    path: str = "explicit",
) -> float:
    """Seconds of one forward pass without gradients: the sum of `predict_steps`."""
    steps = predict_steps(machine, B, N, d_model, num_heads, num_kv_heads, S=S, path=path)
    return sum(steps.values())


def predict_steps(
    machine: Machine,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    S: int | None = None,
    path: str = "explicit",
) -> dict[str, float]:
    """Predicted seconds of each step of one forward pass in float32: the slower of computing and moving its bytes."""
    S = N if S is None else S
    sizes = B, N, d_model, num_heads, num_kv_heads
    work, moved = flops(*sizes, S=S), traffic_bytes(*sizes, S=S, path=path)
    d_head, _ = _widths(d_model, num_heads, num_kv_heads)
    scores = stored_scores(B, N, num_heads, S=S)
    compute = {name: work[name] / machine.flops_per_second for name in ("W^Q", "W^K", "W^V", "W^O")}
    fresh = 4 * scores if 4 * scores >= FRESH else 0
    if _is_explicit(path):
        rate = _interpolate(machine.products, S, d_head)
        compute |= {"QKᵀ": work["QKᵀ"] / rate, "AV": work["AV"] / rate, "softmax": scores * machine.softmax_seconds}
    else:
        compute["attention"] = (work["QKᵀ"] + work["AV"]) / _interpolate(machine.fused, S, d_head)
        fresh = 0
    seconds = {}
    for name, size in moved.items():
        seconds[name] = machine.call_seconds + max(compute.get(name, 0), size / machine.bytes_per_second)
        if name in ("QKᵀ", "scale", "softmax"):
            seconds[name] += fresh * machine.page_seconds
    return seconds


def _interpolate(table, n, d_head):
    """The rate of the nearest (N, d_head) of the table, in steps of doubling."""
    return min(table, key=lambda row: abs(math.log2(row[0] / n)) + abs(math.log2(row[1] / d_head)))[2]


def _widths(d_model, num_heads, num_kv_heads):
    """d_head, and the width of all keys (or values) of a token."""
    num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
    for whole, parts, problem in (
        (d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}"),
        (num_heads, num_kv_heads, f"num_heads={num_heads} cannot share num_kv_heads={num_kv_heads}"),
    ):
        if parts < 1:
            raise ValueError(f"{problem}: there must be at least 1.")
        if whole % parts:
            raise ValueError(f"{problem}: {whole} / {parts} leaves {whole % parts}.")
    return d_model // num_heads, d_model // num_heads * num_kv_heads


def _is_explicit(path):
    if path not in ("explicit", "fused"):
        raise ValueError(f'path is "explicit" or "fused", not {path!r}.')
    return path == "explicit"
