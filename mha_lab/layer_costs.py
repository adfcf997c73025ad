"""What one multi-head layer costs beside what `cost` foretells: counted by others, timed on both paths, taken apart,
and in published models at the length of their longest text.

Explicit is the path that writes the scores out, fused the one through F.scaled_dot_product_attention; both in float32,
for one text, without gradients, on one thread of a CPU.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mha_lab import cost, measure, published
from mha_lab._door import divides, whole
from mha_lab.attention import MultiHeadAttention
from mha_lab.cost import Machine
from mha_lab.measure import Timing
from mha_lab.memory import require_memory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATHS = "explicit", "fused"


# counted by others ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def counted_by_torch(run: Callable[[], object]) -> int:
    """FLOPs of all operations within run() that torch.utils.flop_counter has a formula for."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def counted_by_hooks(module: nn.Module, run: Callable[[], object]) -> int:
    """FLOPs as tools count them that hang a hook on each layer: of all nn.Linear in the module that run() calls."""
    seen = []

    def add(linear, inputs, output):
        seen.append(2 * output.numel() * linear.in_features)

    hooks = [part.register_forward_hook(add) for part in module.modules() if isinstance(part, nn.Linear)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(seen)


# timed ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Race:
    """Both paths of a layer at several sizes: what was measured and what was predicted, by (path, tokens, heads)."""

    measured: dict[tuple[str, int, int], Timing]
    predicted: dict[tuple[str, int, int], float]

    def ratio(self, path: str, after: tuple[int, int], before: tuple[int, int]) -> float:
        """How many times as long the path takes with the sizes (tokens, heads) `after` as with those `before`."""
        return self.measured[path, *after].ratio(self.measured[path, *before])

    def __repr__(self) -> str:
        lines, off = ["path      tokens  heads   measured  predicted  ratio"], []
        for (path, N, H), timing in sorted(self.measured.items()):
            seconds = self.predicted[path, N, H]
            ratio = timing.median / seconds
            off.append(abs(ratio - 1))
            times = f"{timing.median * 1e3:7.1f} ms {seconds * 1e3:7.1f} ms"
            lines.append(f"{path:8} {N:7,} {H:6} {times}  {ratio:5.2f}")
        median = sorted(off)[len(off) // 2]
        return "\n".join(
            [*lines, f"half of the predictions are within {median:.0%}, the worst is off by {max(off):.0%}"]
        )

    def draw(self, title: str) -> "Axes":
        """Both paths over the tokens, or over the heads where those are several: measured with marks, predicted
        dashed. The colours are those of CostExplorer."""
        from mha_lab import plots  # who only counts needs no figures

        colors = {"explicit": plots.OUTPUT, "fused": plots.QUERY}
        axis = 2 if len({H for _, _, H in self.measured}) > 1 else 1
        x = sorted({sizes[axis] for sizes in self.measured})
        medians = {sizes: timing.median for sizes, timing in self.measured.items()}

        def line(table, path):
            return [1e3 * table[sizes] for sizes in sorted(table) if sizes[0] == path]

        ax = plots.curves(
            x,
            {path: line(medians, path) for path in PATHS},
            log="xy" if axis == 1 else "x",
            xlabel=("tokens", "heads")[axis - 1],
            ylabel="milliseconds (dashed: predicted)",
            title=title,
            colors=colors,
        )
        for path in PATHS:
            ax.plot(x, line(self.predicted, path), "--", color=colors[path], linewidth=1.2, zorder=1)
        if axis == 1:
            low, high = ax.get_ylim()
            ticks = [tick for tick in (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000) if low < tick < high]
            ax.set_yticks(ticks, [f"{tick:,g}" for tick in ticks])
        else:
            ax.set_ylim(bottom=0)
        return ax


@torch.no_grad()
def race(machine: Machine, d_model: int, *, tokens: Iterable[int], heads: Iterable[int], repeats: int = 3) -> Race:
    """Time both paths of a layer for each number of tokens and of heads, and predict each time from the machine's
    rates. Every layer has its own weights and text, so that no size finds another one's numbers in the cache.

    Raises MemoryError before anything is allocated where the explicit path would not fit."""
    sizes = [(N, H) for N in tokens for H in heads]
    if not sizes:
        raise ValueError("a race needs at least one number of tokens and one number of heads.")
    require_memory(max(cost.explicit_peak_bytes(1, N, d_model, H) for N, H in sizes))
    runs, predicted = {}, {}
    generator = torch.Generator().manual_seed(0)
    for N, H in sizes:
        layer = MultiHeadAttention(d_model, H).float()
        text = torch.randn(1, N, d_model, generator=generator, dtype=torch.float32)
        runs["explicit", N, H] = partial(layer, text, need_weights=True)
        runs["fused", N, H] = partial(layer, text)
        for path in PATHS:
            predicted[path, N, H] = cost.predict(machine, 1, N, d_model, H, path=path)
    with measure.single_thread():
        return Race(measure.compare(runs, repeats=repeats, device="cpu"), predicted)


@torch.no_grad()
def steps_of_the_explicit_path(
    d_model: int, tokens: int, heads: Iterable[int], *, repeats: int = 3
) -> dict[str, list[float]]:
    """Seconds of what the explicit path does for each number of heads: "QKᵀ and AV" and "softmax", which here write
    into memory that they own already, and "new memory", what it takes longer to write QKᵀ into memory of its own."""
    N = whole("tokens", tokens)
    by_heads, heads = {}, list(heads)
    for H in sorted(heads, reverse=True):  # what few heads leave free in the heap would serve more of them
        divides(d_model, H, f"d_model={d_model} cannot be cut into {H} heads")
        q, k = torch.randn(2, 1, H, N, d_model // H, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
        weights = (q @ k.mT / (d_model // H) ** 0.5).softmax(-1)
        owned = torch.empty_like(weights)  # two of this size at a time, and no third: 32 heads' are 134 MB each
        steps = {  # k stands in for the values, which have its shape
            "QKᵀ": partial(torch.matmul, q, k.mT, out=owned),
            "AV": partial(torch.matmul, weights, k),
            "softmax": partial(torch.softmax, weights, -1, out=owned),  # of any numbers
            "QKᵀ into new memory": partial(torch.matmul, q, k.mT),
        }
        with measure.single_thread():
            took = {step: t.median for step, t in measure.compare(steps, repeats=repeats, device="cpu").items()}
        more = max(0.0, took["QKᵀ into new memory"] - took["QKᵀ"])
        by_heads[H] = {"QKᵀ and AV": took["QKᵀ"] + took["AV"], "softmax": took["softmax"], "new memory": more}
    return {step: [by_heads[H][step] for H in heads] for step in ("QKᵀ and AV", "softmax", "new memory")}


@torch.no_grad()
def traffic(way: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[int, int]:
    """(bytes of new memory at the worst moment, bytes that are moved by count) of way(query, key, value): it reads the
    keys and the values, and writes and reads again whatever it puts into new memory."""
    new = measure.peak_memory(partial(way, query, key, value), device="cpu")
    return new, key.nbytes + value.nbytes + 2 * new


def draw_steps(heads: Sequence[int], whole: Sequence[float], steps: dict[str, list[float]], title: str) -> "Axes":
    """The seconds of the whole layer over the heads, a line, and below it those of `steps_of_the_explicit_path`, one
    grey on the other, on what else the layer with the fewest heads takes."""
    from mha_lab import plots  # who only counts needs no figures

    whole, *parts = ([1e3 * seconds for seconds in row] for row in (whole, *steps.values()))
    ax = plots.curves(heads, {"the layer": whole}, log="x", xlabel="heads", ylabel="milliseconds", title=title)
    rest = [whole[0] - sum(row[0] for row in parts)] * len(whole)
    names = [f"the rest, with {heads[0]} head{'s' * (heads[0] > 1)}", *steps]
    ax.stackplot(heads, rest, *parts, labels=names, colors=["#F0F0F0", "#D5D5D5", "#A8A8A8", "#707070"])
    ax.legend(loc="upper left", reverse=True, frameon=False)
    ax.set_axisbelow(True)
    return ax


# published -----------------------------------------------------------------------------------------------------------


class AtFullLength(NamedTuple):
    """A published model's layer at its longest text."""

    model: published.Model
    meets: int
    """Tokens from which on QKᵀ and AV are more than the projections, under the model's own mask."""
    tokens: int
    """What a layer sees at most."""
    share: float
    """QKᵀ and AV of the layer's FLOPs at that length, under the model's own mask."""
    unmasked: float
    """The same if every token saw every other."""


def at_full_length() -> list[AtFullLength]:
    """The published models until 2024 whose layers are alike and have a matrix for each of W^Q, W^K, W^V and W^O."""
    found = []
    for m in published.MODELS:
        if (m.year or 9999) >= 2025 or m.latent:
            continue
        tokens = m.window if set(m.kinds) == {"L"} else m.context
        numbers = sum(published.projections(m).values())
        shares = []
        for causal in m.decoder, False:
            terms = cost.flops(1, tokens, m.d_model, m.num_heads, m.num_kv_heads, d_head=m.d_head, causal=causal)
            shares.append((terms["QKᵀ"] + terms["AV"]) / sum(terms.values()))
        meets = numbers * (2 if m.decoder else 1) // (2 * m.num_heads * m.d_head)
        found.append(AtFullLength(m, meets, tokens, *shares))
    return found
