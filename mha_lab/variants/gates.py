"""What today's layers do to their heads: a gate on what they found, and queries and keys of one length."""

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._fits import check_tokens
from mha_lab.attention import MultiHeadAttention, split_heads
from mha_lab.memory import require_if_large


class GatedAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose heads are multiplied by σ(x W_G) before W^O: the token that asks says, for each number
    of each head, how much of it is let through (Qiu 2025, arXiv:2505.06708; Qwen3-Next).

    The arguments are those of `MultiHeadAttention`. W_G (D → H·K) has no bias. The output is still a sum over heads:
    each head's own gate stands before its own columns of W^O.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        gates = self.num_heads * self.gates_per_head()
        require_if_large(self.d_model * gates * torch.get_default_dtype().itemsize)
        self.gate_proj = nn.Linear(self.d_model, gates, bias=False)

    def gates_per_head(self) -> int:
        """One for each number that a head gives."""
        return self.d_head

    def combine(self, heads: Tensor, x: Tensor) -> Tensor:
        """As in `MultiHeadAttention`, after the gates (B, H, N, K), or (B, H, N, 1) where a head has one."""
        check_tokens(self.d_model, self.gate_proj, x)
        _door.instance("heads", heads, Tensor, "a tensor (B, H, N, K)")
        expected = x.shape[0], self.num_heads, x.shape[1], self.d_head
        if heads.shape != expected:
            raise ValueError(f"heads have shape {tuple(heads.shape)}; of these tokens x they must have {expected}.")
        gates = split_heads(self.gate_proj(x).sigmoid(), self.num_heads)
        return super().combine(heads * gates, x)

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention):
        """Raises TypeError: an nn.MultiheadAttention has no such gate."""
        raise TypeError(_no_such_layer(cls, "gates of its own, which an nn.MultiheadAttention"))


class HeadGatedAttention(GatedAttention):
    """`GatedAttention` with a single gate for the whole of a head: W_G is D → H (as in Step-3.7 and LFM3)."""

    def gates_per_head(self) -> int:
        """One, whatever the width of a head."""
        return 1


class QKNormAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose queries and keys are brought to one length by an RMSNorm, before the rotary turn,
    as in Qwen3: with gains of 1 no score leaves ±√K, however large the weights. (Henry 2020, arXiv:2010.04245, made the
    length 1 and learned one scale.)

    The arguments are those of `MultiHeadAttention`. The K gains of q_norm serve all query heads, those of k_norm all
    key heads.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.q_norm, self.k_norm = (nn.RMSNorm(self.d_head, eps=1e-6) for _ in range(2))

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As in `MultiHeadAttention`, and normed."""
        query, key, value = super().project(x, context)
        return self.q_norm(query), self.k_norm(key), value

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention):
        """Raises TypeError: an nn.MultiheadAttention norms nothing."""
        raise TypeError(_no_such_layer(cls, "norms, which an nn.MultiheadAttention"))


def _no_such_layer(cls, parts):
    return f"{cls.__name__} has {parts} does not have: MultiHeadAttention.from_torch keeps what that layer is."
