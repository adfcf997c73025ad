"""One text over several ranks: each keeps its queries, and the keys and values go round (Liu 2023, ring attention).

A rank holds N of the R·N tokens. It looks at one rank's keys at a time, and keeps of each query what online softmax
keeps: the output so far, and the logarithm of the sum of all exponentials that it stands for.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from mha_lab import _door
from mha_lab._fits import check_shapes, scale_of
from mha_lab.parallel.group import check_group


def ring_attention(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, scale: float | None = None
) -> Tensor:
    """The output of `attention` for this rank's tokens, which look at those of all ranks of torch.distributed.

    query (B, H, N, K), key and value (B, G, N, K): the rank's own N tokens. Every rank has as many, and rank 0 the
    first of the text; causal hides what comes after a token, on whichever rank it is.

    Each rank sends its 2·B·G·N·K numbers R − 1 times, and holds no more than two ranks' of them and the scores of N
    queries on N keys. Gradients go round too. In 16 bits scores are computed in 32."""
    check_shapes(query, key, value)
    _door.instance("causal", causal, bool, "True or False")
    if query.dim() != 4:
        raise ValueError(f"query has shape {tuple(query.shape)}; a rank's are (B, H, N, K).")
    B, H, N, K = query.shape
    if not B == key.shape[0] == value.shape[0]:
        batches = f"{B}, {key.shape[0]} and {value.shape[0]}"
        raise ValueError(f"query, key and value are batches of {batches}: what goes round must be of one batch.")
    if key.shape[-2] != N:
        raise ValueError(f"{N} queries and {key.shape[-2]} keys: a rank holds both of its own tokens.")
    check_group("ring_attention")
    G = key.shape[1]
    folded = query.reshape(B, G, H // G * N, K)  # the heads of a group are rows that look at the same keys
    return _Ring.apply(folded, key, value, scale_of(scale, query), causal).reshape(B, H, N, value.shape[-1])


def merged(output: Tensor, lse: Tensor, more: Tensor, more_lse: Tensor) -> tuple[Tensor, Tensor]:
    """Two outputs (…, N, K) of the same queries on different keys, as one output on all of these keys.

    lse (…, N): of each query the logarithm of the sum of exp(score) over its keys. An output weighs as much as that
    sum; the larger of the two is taken out before anything is exponentiated. A query without keys so far has −∞."""
    for name, x in {"output": output, "lse": lse, "more": more, "more_lse": more_lse}.items():
        _door.instance(name, x, Tensor, "a tensor")
        expected = output.shape[:-1] if name.endswith("lse") else output.shape
        if not output.dim() or not x.is_floating_point() or x.shape != expected:
            raise ValueError(
                f"{name} is {x.dtype} of shape {tuple(x.shape)} beside an output {tuple(output.shape)}: both outputs "
                "are floats (…, N, K) of one shape, and both lse floats (…, N)."
            )
    both = torch.logaddexp(lse, more_lse)
    safe = both.masked_fill(both == -torch.inf, 0.0)  # −∞ less −∞ is no number
    return output * (lse - safe).exp()[..., None] + more * (more_lse - safe).exp()[..., None], both


class _Ring(torch.autograd.Function):
    """rows (B, G, H / G · N, K): all queries that share a key/value head."""

    @staticmethod
    def forward(ctx, rows, key, value, scale, causal):
        exact = torch.promote_types(rows.dtype, torch.float32)
        rank, ranks = dist.get_rank(), dist.get_world_size()
        output = lse = None
        block = torch.cat([key, value], dim=-1)  # one message in place of two
        for step in range(ranks):
            coming = _Passed(block) if step < ranks - 1 else None  # on its way while we compute
            owner = (rank - step) % ranks
            if owner <= rank or not causal:
                keys, values = block.to(exact).split([key.shape[-1], value.shape[-1]], dim=-1)
                scores = _scores(rows.to(exact), keys, scale, causal and owner == rank)
                found_lse = scores.logsumexp(dim=-1)
                found = (scores - found_lse[..., None]).exp() @ values
                output, lse = (found, found_lse) if lse is None else merged(output, lse, found, found_lse)
            if coming:
                block = coming.wait()
        ctx.save_for_backward(rows, key, value, output, lse)
        ctx.scale, ctx.causal = scale, causal
        return output.to(value.dtype)

    @staticmethod
    def backward(ctx, gradient):
        rows, key, value, output, lse = ctx.saved_tensors
        exact, scale, causal = output.dtype, ctx.scale, ctx.causal
        rank, ranks = dist.get_rank(), dist.get_world_size()
        gradient, asked = gradient.to(exact), rows.to(exact)
        rowwise = (gradient * output).sum(dim=-1, keepdim=True)  # softmax's own part of the gradient
        d_rows = torch.zeros_like(asked)
        widths = 2 * [key.shape[-1], value.shape[-1]]
        # Keys and values go round with their gradients, to which each rank adds, and come home after R steps.
        block = torch.cat([key, value, torch.zeros_like(key), torch.zeros_like(value)], dim=-1).to(exact)
        for step in range(ranks):
            owner = (rank - step) % ranks
            if owner <= rank or not causal:
                keys, values, d_keys, d_values = block.split(widths, dim=-1)
                weights = (_scores(asked, keys, scale, causal and owner == rank) - lse[..., None]).exp()
                d_scores = weights * (gradient @ values.mT - rowwise) * scale
                d_values += weights.mT @ gradient
                d_keys += d_scores.mT @ asked
                d_rows += d_scores @ keys
            if ranks > 1:
                block = _Passed(block).wait()
        _, _, d_keys, d_values = block.split(widths, dim=-1)
        return d_rows.to(rows.dtype), d_keys.to(key.dtype), d_values.to(value.dtype), None, None


class _Passed:
    """A block on its way: ours to the next rank, and the one before's to us."""

    def __init__(self, block):
        rank, ranks = dist.get_rank(), dist.get_world_size()
        self.sent, self.received = block.contiguous(), torch.empty_like(block, memory_format=torch.contiguous_format)
        self.messages = dist.batch_isend_irecv(
            [
                dist.P2POp(dist.isend, self.sent, (rank + 1) % ranks),
                dist.P2POp(dist.irecv, self.received, (rank - 1) % ranks),
            ]
        )

    def wait(self):
        for message in self.messages:
            message.wait()
        return self.received


def _scores(rows, keys, scale, own):
    """Scaled scores of a rank's rows on a block of keys; of its own tokens each sees itself and those before it."""
    scores = rows @ keys.mT * scale
    if own:
        N = keys.shape[-2]
        future = torch.ones(N, N, dtype=torch.bool, device=rows.device).triu(1)
        scores = scores.masked_fill(future.repeat(rows.shape[-2] // N, 1), -torch.inf)
    return scores
