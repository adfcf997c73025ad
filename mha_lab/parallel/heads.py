"""The heads of one layer over several ranks: each keeps some, and one sum joins them (Shoeybi 2019, Megatron-LM).

Concat · W^O is a sum over heads. So a rank's part of a layer is a layer itself, with fewer heads, and the sum of what
all parts give is what the whole layer gives.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.memory import shapes_only
from mha_lab.parallel.group import check_group


def heads_of(num_heads: int, rank: int, ranks: int) -> range:
    """The query heads of a rank: neighbours, dealt as evenly as it can be; where that leaves a rest, the first ranks
    have one more. Raises ValueError where a rank would have none."""
    num_heads, rank, ranks = _door.whole("num_heads", num_heads), _rank(rank, ranks), _door.whole("ranks", ranks)
    if ranks > num_heads:
        raise ValueError(f"{num_heads} heads on {ranks} ranks: a rank without a head has nothing to do.")
    each, more = divmod(num_heads, ranks)
    first = rank * each + min(rank, more)
    return range(first, first + each + (rank < more))


def kv_heads_of(num_heads: int, num_kv_heads: int, rank: int, ranks: int) -> list[int]:
    """The key/value heads that a rank's query heads look at. Where there are fewer than ranks, several ranks hold the
    same one; and a rank whose query heads belong to two groups holds two."""
    _door.divides(num_heads, num_kv_heads, f"num_heads={num_heads} cannot share num_kv_heads={num_kv_heads}")
    shared = num_heads // num_kv_heads
    return sorted({head // shared for head in heads_of(num_heads, rank, ranks)})


def part_of(layer: MultiHeadAttention, rank: int, ranks: int) -> MultiHeadAttention:
    """A rank's part of a layer, with copies of its weights: its columns of W^Q, W^K and W^V, and the rows of W^O that
    belong to its heads. The parts' outputs add up to the layer's; the bias of W^O is rank 0's alone.

    Key/value heads are held by every rank that needs them; a rank whose query heads do not share them evenly holds one
    for each of its query heads. Raises ValueError for a layer of another class, which may do more than heads do."""
    if type(layer) is not MultiHeadAttention:
        raise ValueError(
            f"layer is a {type(layer).__name__}; what is taken apart here is a MultiHeadAttention, of no subclass."
        )
    heads = heads_of(layer.num_heads, rank, ranks)
    shared = layer.num_heads // layer.num_kv_heads
    wanted = [head // shared for head in heads]
    held = sorted(set(wanted))
    if len(heads) % len(held) or any(wanted.count(head) * len(held) != len(heads) for head in held):
        held = wanted
    bias = layer.q_proj.bias is not None
    with shapes_only():  # no random numbers for weights that are about to be replaced
        part = MultiHeadAttention(
            layer.d_model,
            len(heads),
            len(held),
            d_head=layer.d_head,
            bias=bias,
            dropout=layer.dropout,
            rotary=layer.rotary,
        )
    queries, keys = (_places(chosen, layer.d_head, layer.q_proj.weight.device) for chosen in (heads, held))
    weights = {}
    for name, places in ("q_proj", queries), ("k_proj", keys), ("v_proj", keys):
        for kind, tensor in getattr(layer, name).named_parameters():
            weights[f"{name}.{kind}"] = tensor.detach()[places].clone()
    weights["out_proj.weight"] = layer.out_proj.weight.detach()[:, queries].clone()  # nn.Linear stores W^O transposed
    if bias:
        weights["out_proj.bias"] = layer.out_proj.bias.detach() * (rank == 0)
    part.load_state_dict(weights, assign=True)
    part.requires_grad_(layer.q_proj.weight.requires_grad).train(layer.training)
    if bias and rank:
        part.out_proj.bias.requires_grad_(False)  # it stays 0: trained on each rank, it would be learned R times
    return part


class AcrossRanks(nn.Module):
    """A layer whose heads are spread over the ranks of torch.distributed: each rank computes its part, and one
    all-reduce gives every rank the whole output. To be made on every rank, from the same layer.

    Called as `MultiHeadAttention` is. A cache holds the rank's own key/value heads; with need_weights the weights are
    those of its own heads; and masks must be alike for all heads. Gradients arrive as they should: of x the whole one
    on each rank (a second all-reduce, on the way back), of the weights each rank's own. Ranks that hold copies of one
    key/value head have the gradients of their own queries: who trains adds these up before each step."""

    def __init__(self, layer: MultiHeadAttention):
        super().__init__()
        check_group("AcrossRanks")
        self.part = part_of(layer, dist.get_rank(), dist.get_world_size())

    def forward(self, x: Tensor, context: Tensor | None = None, **options) -> Tensor | tuple[Tensor, Tensor]:
        """x (B, N, D), the same on every rank → (B, N, D), the same on every rank."""
        read = [None if tokens is None else _Enter.apply(tokens) for tokens in (x, context)]
        found = self.part(*read, **options)
        if options.get("need_weights"):
            return _Sum.apply(found[0]), found[1]
        return _Sum.apply(found)


class _Enter(torch.autograd.Function):
    """Every rank reads the same x; on the way back its gradient is the sum of all ranks'."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient


class _Sum(torch.autograd.Function):
    """The sum over all ranks; on the way back each term gets the sum's gradient as it is."""

    @staticmethod
    def forward(ctx, share):
        total = share.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def _places(heads: Sequence[int], d_head: int, device: torch.device) -> Tensor:
    """The columns (or rows) that belong to these heads."""
    return (torch.tensor(list(heads), device=device)[:, None] * d_head + torch.arange(d_head, device=device)).flatten()


def _rank(rank, ranks):
    rank, ranks = _door.whole("rank", rank, at_least=0), _door.whole("ranks", ranks)
    if rank >= ranks:
        raise ValueError(f"rank={rank} of {ranks}: the ranks are counted from 0.")
    return rank
