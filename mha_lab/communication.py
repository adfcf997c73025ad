"""What ranks send each other and how long that takes, by arithmetic: `cost` beyond one machine.

A message takes a latency, however small it is, and its bytes at the link's rate. Sizes use the letters of `cost`; R is
the number of ranks.
"""

from dataclasses import dataclass

from mha_lab import cost
from mha_lab._door import divides, finite, instance, whole


@dataclass(frozen=True)
class Link:
    """How one rank reaches the next."""

    name: str
    latency: float
    """Seconds of a message that holds almost nothing."""
    bytes_per_second: float
    """In one direction, while the other one is as busy."""

    def __post_init__(self):
        if finite("latency", self.latency) < 0 or finite("bytes_per_second", self.bytes_per_second) <= 0:
            raise ValueError(
                f"{self.name}: latency={self.latency:g} must be at least 0, and bytes_per_second="
                f"{self.bytes_per_second:g} more than 0."
            )


@dataclass(frozen=True)
class Chip:
    """A processor on paper: its data sheet's rates, which no program quite reaches."""

    name: str
    flops_per_second: float
    """In 16 bits."""
    bytes_per_second: float
    """From its own memory."""
    memory: float
    """Bytes."""

    def __post_init__(self):
        for name in ("flops_per_second", "bytes_per_second", "memory"):
            if (number := finite(name, getattr(self, name))) <= 0:
                raise ValueError(f"{self.name}: {name}={number:g} must be more than 0.")


H100 = Chip("H100 SXM", 989e12, 3.35e12, 80e9)
"""NVIDIA H100 Tensor Core GPU data sheet (SXM; dense, bfloat16)."""
NVLINK = Link("NVLink", 3e-6, 450e9)
"""Between the 8 GPUs of a server: 900 GB/s in both directions together (the same data sheet). The latency is assumed.
"""
INFINIBAND = Link("InfiniBand", 8e-6, 50e9)
"""Between servers: a port of 400 Gb/s for each GPU (NVIDIA DGX H100 user guide). The latency is assumed."""


def all_reduce_bytes(size: int, ranks: int) -> float:
    """Bytes that each rank sends while all add up `size` bytes of each, in a ring: every rank passes on R − 1 sums of
    its way and R − 1 results, each an R-th of the bytes. Nearly twice the size, however many ranks there are."""
    size, ranks = whole("size", size, 0), whole("ranks", ranks)
    return 2 * (ranks - 1) * size / ranks


def all_reduce_seconds(link: Link, size: int, ranks: int) -> float:
    """Seconds of it: 2·(R − 1) messages one after another, each of an R-th of the bytes."""
    instance("link", link, Link, "a Link")
    messages = 2 * (whole("ranks", ranks) - 1)
    return messages * link.latency + all_reduce_bytes(size, ranks) / link.bytes_per_second


def doubling_seconds(link: Link, size: int, ranks: int) -> float:
    """Seconds of an all-reduce by recursive doubling (Thakur 2005): in round r each rank trades its whole
    sum with the rank 2^r away, so that after log₂ R rounds all have the sum of all. Few messages, but more bytes than
    in a ring: for small tensors. Raises ValueError where the ranks are no power of two."""
    instance("link", link, Link, "a Link")
    size, ranks = whole("size", size, 0), whole("ranks", ranks)
    if ranks & (ranks - 1):
        raise ValueError(f"ranks={ranks}: doubling asks for a power of two, such as {1 << ranks.bit_length() - 1}.")
    return (ranks.bit_length() - 1) * (link.latency + size / link.bytes_per_second)


def ring_bytes(B: int, N: int, num_kv_heads: int, d_head: int, ranks: int, *, bytes_per_number: int = 4) -> int:
    """Bytes that each rank sends in one layer of ring attention over a text of N tokens: its keys and values, R − 1
    times."""
    ranks = whole("ranks", ranks)
    own = divides(whole("N", N), ranks, f"N={N} tokens cannot be split over {ranks} ranks")
    return (ranks - 1) * cost.kv_cache_bytes(B, own, num_kv_heads, d_head, bytes_per_number=bytes_per_number)


def ring_seconds(link: Link, size: float, ranks: int) -> float:
    """Seconds of R − 1 messages that hold `size` bytes together."""
    instance("link", link, Link, "a Link")
    ranks, size = whole("ranks", ranks), finite("size", size)
    if size < 0:
        raise ValueError(f"size={size:g} bytes: it must be at least 0.")
    return (ranks - 1) * link.latency + size / link.bytes_per_second


def heads_per_rank(num_heads: int, num_kv_heads: int, ranks: int) -> tuple[int, int]:
    """Query heads and key/value heads of a rank where ranks divide the query heads. Where ranks are more than key/value
    heads, each holds one, and several hold the same.

    Raises ValueError where query heads cannot share the key/value heads, or ranks cannot share either evenly."""
    num_heads, num_kv_heads = whole("num_heads", num_heads), whole("num_kv_heads", num_kv_heads)
    divides(num_heads, num_kv_heads, f"{num_heads} query heads cannot share {num_kv_heads} key/value heads")
    heads = divides(num_heads, whole("ranks", ranks), f"{num_heads} heads cannot be split over {ranks} ranks")
    if num_kv_heads % ranks and ranks % num_kv_heads:
        raise ValueError(f"{num_kv_heads} key/value heads and {ranks} ranks: one of them must divide the other.")
    return heads, max(1, num_kv_heads // ranks)


def predict(
    machine: cost.Machine,
    link: Link,
    ranks: int,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    *,
    path: str = "fused",
) -> dict[str, float]:
    """Predicted seconds of one layer in float32 whose heads are spread over the ranks: "computing", what `cost.predict`
    says of a rank's part, and "sending", the all-reduce of the output. Each rank has a core of its own."""
    instance("machine", machine, cost.Machine, "a Machine, such as measure.calibrate() gives")
    d_model, num_heads = whole("d_model", d_model), whole("num_heads", num_heads)
    G = num_heads if num_kv_heads is None else num_kv_heads
    d_head = divides(d_model, num_heads, f"d_model={d_model} cannot be split over num_heads={num_heads}")
    heads, kv_heads = heads_per_rank(num_heads, G, ranks)
    own = cost.predict(machine, B, N, d_model, heads, kv_heads, d_head=d_head, path=path)
    return {"computing": own, "sending": all_reduce_seconds(link, 4 * B * N * d_model, ranks)}


def on_paper(
    chip: Chip,
    link: Link,
    ranks: int,
    B: int,
    N: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int,
    *,
    d_head: int,
    S: int | None = None,
) -> dict[str, float]:
    """The same on chips by their data sheet, in 16 bits: a rank's FLOPs or its bytes, whichever take longer, and the
    all-reduce. N new tokens look at S (N unless given). What a rank reads: its weights, and its keys and values.

    Raises TypeError or ValueError for what is no chip, no link or no size, and where S tokens do not hold the N new
    ones."""
    instance("chip", chip, Chip, "a Chip, such as H100")
    instance("link", link, Link, "a Link, such as NVLINK")
    B, N = whole("B", B), whole("N", N)
    heads, kv_heads = heads_per_rank(num_heads, num_kv_heads, ranks)
    S = N if S is None else whole("S", S)
    if S < N:
        raise ValueError(f"S={S} tokens to look at and N={N} new ones: the new ones look at themselves too.")
    cached = S > N
    work = sum(cost.flops(B, N, d_model, heads, kv_heads, d_head=d_head, S=S, causal=True).values())
    if cached:  # the keys and values of the past are there already
        past = cost.flops(B, S - N, d_model, heads, kv_heads, d_head=d_head)
        work -= past["W^K"] + past["W^V"]
    read = 2 * cost.parameters(d_model, heads, kv_heads, d_head=d_head, bias=False)
    read += cost.kv_cache_bytes(B, S, kv_heads, d_head)
    seconds = max(work / chip.flops_per_second, read / chip.bytes_per_second)
    return {"computing": seconds, "sending": all_reduce_seconds(link, 2 * B * N * d_model, ranks)}
