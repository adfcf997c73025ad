"""A layer over ranks beside the same layer on one machine: by hand, by PyTorch's own library, and what was sent."""

import copy
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mha_lab.attention import MultiHeadAttention
from mha_lab.parallel.group import check_group
from mha_lab.parallel.heads import AcrossRanks


@dataclass(frozen=True)
class Compared:
    """What one rank found. Differences are the largest of any number of the output, in float64."""

    ranks: int
    by_hand: float
    by_library: float
    all_reduces: int
    """Messages of all kinds in the library's forward pass: what it sends is one sum."""
    numbers: int
    """Parameters that a rank holds, of those of the whole layer."""
    whole: int

    def __str__(self) -> str:
        machines = "1 rank" if self.ranks == 1 else f"{self.ranks} ranks"
        return (
            f"{machines}: by hand {self.by_hand:.0e} from one machine, by parallelize_module {self.by_library:.0e}, "
            f"which sent {self.all_reduces} all-reduce; a rank holds {self.numbers:,} of {self.whole:,} numbers."
        )


@torch.no_grad()
def compared(d_model: int = 64, num_heads: int = 8, num_kv_heads: int = 4, tokens: int = 16) -> Compared:
    """To be called on every rank of torch.distributed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same layer and the same text on every rank
        layer = MultiHeadAttention(d_model, num_heads, num_kv_heads).double()
        x = torch.randn(2, tokens, d_model, dtype=torch.float64)
    whole, split = layer(x), AcrossRanks(layer)
    by_library, sent = called(parallelized(layer), x)
    return Compared(
        ranks=dist.get_world_size(),
        by_hand=(split(x) - whole).abs().max().item(),
        by_library=(by_library - whole).abs().max().item(),
        all_reduces=sent,
        numbers=sum(p.numel() for p in split.parameters()),
        whole=sum(p.numel() for p in layer.parameters()),
    )


def parallelized(layer: MultiHeadAttention, *, own_counts: bool = True) -> nn.Module:
    """A copy of the layer that PyTorch's parallelize_module has spread over all ranks. It cuts the weights and knows
    nothing of heads; own_counts tells the copy how many of them it has now."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    check_group("parallelized")
    ranks = dist.get_world_size()
    plan = {"q_proj": ColwiseParallel(), "k_proj": ColwiseParallel(), "v_proj": ColwiseParallel()}
    plan["out_proj"] = RowwiseParallel()
    split = parallelize_module(copy.deepcopy(layer), init_device_mesh("cpu", (ranks,)), plan)
    if own_counts:
        split.num_heads //= ranks
        split.num_kv_heads //= ranks
    return split


def called(layer: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    """The layer's output, and how many messages among ranks torch counts on the way."""
    from torch.distributed.tensor.debug import CommDebugMode

    with CommDebugMode() as seen:
        output = layer(x)
    return output, seen.get_total_counts()
