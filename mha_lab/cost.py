"""What a multi-head layer costs, by arithmetic alone: parameters, FLOPs, bytes, and a predicted time.

Sizes use the letters of `mha_lab`: B batch, N queries, S keys (N unless given), d_model, num_heads, num_kv_heads
(num_heads unless given), d_head (d_model / num_heads unless given). Every size is a whole number. Nothing here imports
torch; the tests hold every count against it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mha_lab._door import divides, instance, whole

FRESH = 32 * 2**20
"""Bytes from which on glibc's malloc takes a buffer from the system (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)) unless its
heap has as much free; the system then hands over empty pages, each when it is first written to."""


def parameters(
    d_model: int, num_heads: int, num_kv_heads: int | None = None, *, d_head: int | None = None, bias: bool = True
) -> int:
    """Numbers that a layer learns: W^Q, W^K, W^V, W^O and, with bias, one number for each of their outputs.

    4·d_model² without sharing and biases where num_heads·d_head = d_model (Vaswani 2017, section 3.2.2)."""
    d_model, _, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    weights = 2 * d_model * q_width + 2 * d_model * kv_width
    return weights + (q_width + 2 * kv_width + d_model if bias else 0)


def flops(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    S: int | None = None,
    causal: bool = False,
) -> dict[str, int]:
    """Floating-point operations of one forward pass by term, a multiply-add as 2: 8·N·d² + 4·N²·d for one sentence.

    Counted: the six matrix products, with every key for every query; with causal, where the queries are the last N of S
    tokens, only itself and the past for each: half the square where N = S. That is what a fused kernel can leave out;
    the explicit path computes every score and hides half of them. Ignored: biases, scale, mask, softmax and dropout, as
    in torch.utils.flop_counter: few operations, though not little time (`predict`)."""
    B, N, S = _lengths(B, N, S)
    instance("causal", causal, bool, "True or False")
    if causal and N > S:
        raise ValueError(f"causal: the N={N} queries are the last of the S={S} tokens, so that N is at most S.")
    pairs = N * S - (N * (N - 1) // 2 if causal else 0)  # of a query and a key
    d_model, _, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    return {
        "W^Q": 2 * B * N * d_model * q_width,
        "W^K": 2 * B * S * d_model * kv_width,
        "W^V": 2 * B * S * d_model * kv_width,
        "QKᵀ": 2 * B * pairs * q_width,
        "AV": 2 * B * pairs * q_width,
        "W^O": 2 * B * N * q_width * d_model,
    }


def stored_scores(B: int, N: int, num_heads: int, *, S: int | None = None) -> int:
    """Numbers in the scores (B, H, N, S): num_heads·N² for one sentence. The fused path never stores them."""
    B, N, S = _lengths(B, N, S)
    return B * whole("num_heads", num_heads) * N * S


def explicit_peak_bytes(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    S: int | None = None,
    bytes_per_number: int = 4,
) -> int:
    """Bytes allocated at the worst moment of a `MultiHeadAttention` forward with need_weights and without gradients:
    B·num_heads·N² + 6·B·N·d_model numbers where num_heads·d_head = d_model (5 with one head, which needs no merging).

    That moment is the end: weights, query, key, value, the heads' outputs, their merged copy and the result; for few
    queries on many keys in a batch, a product that copies its keys or values. In 16 bits it comes earlier: scores and
    weights are computed from copies in 32 bits, and rounded once. In training softmax keeps the scores while it writes
    the weights, and there are two tensors of B·num_heads·N². Ignored: parameters and x, which were there before; a mask
    (a byte an entry, and with one head up to a copy); and that nothing is copied where d_head is 1."""
    B, N, S = _lengths(B, N, S)
    d_model, d_head, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    scores, query, kv = stored_scores(B, N, num_heads, S=S), B * N * q_width, B * S * kv_width
    merged = query if num_heads > 1 and N > 1 else 0  # otherwise the heads lie as W^O wants them
    queries = query + (merged if B > 1 or kv_width < q_width else 0)  # scaled, and side by side
    copied = kv if B > 1 and S > 1 and kv_width > d_head else 0  # heads of a batch that do not lie evenly spaced
    projected, end = query + 2 * kv, query + merged + B * N * d_model
    width = whole("bytes_per_number", bytes_per_number)
    if width == 2:
        inside, rounding = 4 * (projected + scores + queries + copied), 6 * (query + scores)
        return 2 * projected + max(inside, rounding, 2 * (scores + end))
    return width * (projected + scores + max(end, queries + copied))


def traffic_bytes(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    S: int | None = None,
    path: str = "explicit",
    bytes_per_number: int = 4,
) -> dict[str, int]:
    """Bytes that one forward pass reads and writes, by step: each operand read once, each result written once.

    path "explicit" stores the scores and goes over them four times; "fused" (FlashAttention, Dao 2022) reads query, key
    and value once and writes the heads' outputs. Ignored: biases, masks, what a small cache makes a kernel read
    again, and the copies in 32 bits that the explicit path makes of 16."""
    B, N, S = _lengths(B, N, S)
    d_model, _, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    x, context, scores = B * N * d_model, B * S * d_model, stored_scores(B, N, num_heads, S=S)
    query, kv = B * N * q_width, B * S * kv_width  # the heads' outputs are as many numbers as their queries
    steps = {
        "W^Q": x + d_model * q_width + query,
        "W^K": context + d_model * kv_width + kv,
        "W^V": context + d_model * kv_width + kv,
    }
    if _is_explicit(path):
        steps |= {"scale": 2 * query, "QKᵀ": query + kv + scores, "softmax": 2 * scores, "AV": scores + kv + query}
    else:
        steps |= {"attention": query + 2 * kv + query}
    steps |= {"merge": 2 * query, "W^O": query + q_width * d_model + x}
    return {name: numbers * whole("bytes_per_number", bytes_per_number) for name, numbers in steps.items()}


def kv_cache_bytes(
    B: int, S: int, num_kv_heads: int, d_head: int, *, layers: int = 1, bytes_per_number: int = 2
) -> int:
    """Bytes of the keys and values of S tokens in every layer, in 16 bits unless bytes_per_number says otherwise.

    Counted: the numbers themselves. Ignored: what an implementation allocates ahead (Shazeer 2019; Ainslie 2023)."""
    B, S = whole("B", B, 0), whole("S", S, 0)
    numbers = 2 * whole("num_kv_heads", num_kv_heads) * whole("d_head", d_head) * whole("layers", layers)
    return B * S * numbers * whole("bytes_per_number", bytes_per_number)


def selected_flops(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    keys: int,
    indexer_heads: int,
    indexer_width: int,
    d_head: int | None = None,
    S: int | None = None,
    causal: bool = False,
) -> dict[str, int]:
    """As `flops`, where each query looks at `keys` keys at most, which an indexer chooses among all that it may see
    (DeepSeek-V3.2): QKᵀ and AV meet these alone, and "indexer" is what choosing costs.

    Counted of the indexer: its three matrices, and for each query, key and indexer head a product of indexer_width
    numbers and its part in the sum. Ignored: finding the largest scores, and fetching what was chosen."""
    terms = flops(B, N, d_model, num_heads, num_kv_heads, d_head=d_head, S=S, causal=causal)
    B, N, S = _lengths(B, N, S)
    keys, heads, width = (
        whole("keys", keys),
        whole("indexer_heads", indexer_heads),
        whole("indexer_width", indexer_width),
    )
    pairs = N * S - (N * (N - 1) // 2 if causal else 0)
    full = min(keys, S)
    first = max(0, min(N, full - (S - N))) if causal else 0  # queries that may see fewer keys than that
    seen = N * full - (first * (full - (S - N)) - first * (first + 1) // 2)
    _, _, q_width, _ = _widths(d_model, num_heads, num_kv_heads, d_head)
    made = N * d_model * heads * (width + 1) + S * d_model * width
    return terms | {
        "QKᵀ": 2 * B * seen * q_width,
        "AV": 2 * B * seen * q_width,
        "indexer": 2 * B * (made + pairs * heads * (width + 1)),
    }


def state_flops(
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    delta: bool = True,
) -> dict[str, int]:
    """FLOPs of a linear layer that goes token by token, by term: none of them grows faster than the text.

    Counted: the four projections, and for each token the products with the state, d_head² numbers a head: what it says
    at the key ("take out", with the delta rule alone), writing, and reading by every query head. Ignored: decay, φ,
    norms; and that chunks, which are faster on real machines, do more."""
    instance("delta", delta, bool, "True or False")
    terms = flops(B, N, d_model, num_heads, num_kv_heads, d_head=d_head)
    _, d_head, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    once = terms["W^Q"] // (d_model * q_width)  # 2·B·N
    found = {name: terms[name] for name in ("W^Q", "W^K", "W^V")}
    if delta:
        found["take out"] = once * kv_width * d_head
    return found | {"write": once * kv_width * d_head, "read": once * q_width * d_head, "W^O": terms["W^O"]}


def state_bytes(B: int, num_heads: int, d_head: int, *, layers: int = 1, bytes_per_number: int = 2) -> int:
    """Bytes of the states of linear layers, d_head² numbers for each of num_heads heads, however long the text is.

    Ignored: the short convolutions that such layers often have before them, which remember a few tokens."""
    numbers = whole("num_heads", num_heads) * whole("d_head", d_head) ** 2 * whole("layers", layers)
    return whole("B", B, 0) * numbers * whole("bytes_per_number", bytes_per_number)


@dataclass(frozen=True)
class Machine:
    """What one device takes, in float32 and with one number of threads, as `measure.calibrate` finds it."""

    name: str
    device: str
    threads: int
    flops_per_second: float
    """A large matrix product."""
    bytes_per_second: float
    """Reading memory: far more of it than a cache holds."""
    page_seconds: float
    """Writing to a byte for the first time after the system handed it over (`FRESH`)."""
    call_seconds: Mapping[str, float]
    """A whole forward pass on almost nothing, by path: Python, checks, and one call after the other."""
    step_seconds: Mapping[str, tuple[tuple[int, int, float], ...]]
    """Rows (N, d_head, seconds for each score) of "QKᵀ", "softmax", "AV" and "attention" (the fused kernel),
    and (N, d_model, seconds for each multiply-add) of "W". Small matrices are slower, number by number."""


def predict(
    machine: Machine,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    S: int | None = None,
    path: str = "explicit",
) -> float:
    """Seconds of one forward pass without gradients: the sum of `predict_steps`. A GPU computes while Python makes the
    next calls: there the longer of the two counts."""
    steps = predict_steps(machine, B, N, d_model, num_heads, num_kv_heads, d_head=d_head, S=S, path=path)
    calls = steps.pop("calls")
    work = sum(steps.values())
    return calls + work if machine.device == "cpu" else max(calls, work)


def predict_steps(
    machine: Machine,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    d_head: int | None = None,
    S: int | None = None,
    path: str = "explicit",
) -> dict[str, float]:
    """Predicted seconds of each step of one forward pass, and of the calls themselves.

    A matrix product takes as long as its multiply-adds or its bytes, whichever is more (the roofline, Williams 2009);
    how fast multiply-adds go depends on the size of the matrices. Fresh memory pages come on top. Ignored: masks,
    dropout, and which numbers a step still finds in the cache."""
    instance("machine", machine, Machine, "a Machine, as measure.calibrate() finds it")
    B, N, S = _lengths(B, N, S)
    sizes = B, N, d_model, num_heads, num_kv_heads
    d_model, d_head, q_width, kv_width = _widths(d_model, num_heads, num_kv_heads, d_head)
    query, kv, scores = B * N * q_width, B * S * kv_width, stored_scores(B, N, num_heads, S=S)
    rows = {"W^Q": B * N, "W^K": B * S, "W^V": B * S, "W^O": B * N}
    written = {"W^K": kv, "W^V": kv, "QKᵀ": scores, "softmax": 0, "W^O": B * N * d_model}  # all else: as many as query
    counted, traffic = flops(*sizes, d_head=d_head, S=S), traffic_bytes(*sizes, d_head=d_head, S=S, path=path)
    seconds = {"calls": machine.call_seconds[path]}
    for step, moved in traffic.items():
        table = machine.step_seconds.get("W" if step in rows else step)
        if step in rows:
            work = counted[step] / 2 * _at(table, rows[step], d_model)
        elif step == "softmax":
            work = scores * _at(table, math.sqrt(N * S), 1)
        elif step in ("scale", "merge"):
            work = 0.0
        else:
            wider = max(1.0, d_head / table[-1][1])  # than any calibrated: as many times the multiply-adds
            work = scores * _at(table, math.sqrt(N * S), d_head) * wider
        if step != "softmax":
            work = max(work, moved / machine.bytes_per_second)
        result = 4 * written.get(step, query)
        seconds[step] = work + (result * machine.page_seconds if result >= FRESH else 0.0)
    return seconds


def _at(table, n, width):
    """Seconds at (n, width): between the rows of the table on logarithmic axes, beyond them as at its edge."""
    ns, widths = (sorted({row[axis] for row in table}) for axis in (0, 1))
    logs = {row[:2]: math.log(row[2]) for row in table}
    (n0, n1, a), (w0, w1, b) = _between(ns, n), _between(widths, width)
    narrow = (1 - a) * logs[n0, w0] + a * logs[n1, w0]
    wide = (1 - a) * logs[n0, w1] + a * logs[n1, w1]
    return math.exp((1 - b) * narrow + b * wide)


def _between(marks, position):
    """The marks on either side of a position, and how far it is from the first to the second."""
    if position <= marks[0] or len(marks) == 1:
        return marks[0], marks[0], 0.0
    if position >= marks[-1]:
        return marks[-1], marks[-1], 0.0
    i = next(i for i, mark in enumerate(marks) if mark > position)
    low, high = marks[i - 1], marks[i]
    return low, high, math.log(position / low) / math.log(high / low)


def _widths(d_model, num_heads, num_kv_heads, d_head):
    """d_model, d_head, and the widths of all queries and of all keys (or values) of a token, as Python's own ints."""
    d_model, num_heads = (
        whole("d_model", d_model),
        whole("num_heads", num_heads, at_least=None if d_head is None else 1),
    )
    if d_head is None:
        d_head = divides(d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}")
    num_kv_heads = num_heads if num_kv_heads is None else whole("num_kv_heads", num_kv_heads, at_least=None)
    divides(num_heads, num_kv_heads, f"num_heads={num_heads} cannot share num_kv_heads={num_kv_heads}")
    d_head = whole("d_head", d_head)
    return d_model, d_head, num_heads * d_head, num_kv_heads * d_head


def _lengths(B, N, S):
    """B, N and S (N unless given) as Python's own ints; a text may be empty."""
    B, N = whole("B", B, at_least=0), whole("N", N, at_least=0)
    return B, N, N if S is None else whole("S", S, at_least=0)


def _is_explicit(path):
    if path not in ("explicit", "fused"):
        raise ValueError(f'path is "explicit" or "fused", not {path!r}.')
    return path == "explicit"
