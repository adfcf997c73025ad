"""What a head does, in numbers: where its weight lies, and what breaks without it.

Weights have shape (..., N, S): each row a query's weights, which sum to 1. Layers and heads are counted from 0.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._shown import readable
from mha_lab.attention import MultiHeadAttention
from mha_lab.memory import require_if_large


def entropy(weights: Tensor) -> Tensor:
    """(...): mean over queries of −Σ w ln w, in nats: 0 where each query sees one key, ln S where it sees all alike."""
    weights = _check_rows(weights)
    return _mean_over_queries(-torch.xlogy(weights, weights).sum(dim=-1), weights)


def distance(weights: Tensor) -> Tensor:
    """(...): mean over queries of Σ w·|i − j|, in tokens: how far a head looks (N = S)."""
    weights = _check_rows(weights)
    N, S = weights.shape[-2:]
    if N != S:
        raise ValueError(f"weights of {N} queries on {S} keys: where the queries stand among the keys nobody says.")
    i = torch.arange(S, device=weights.device)
    return _mean_over_queries((weights * (i[:, None] - i).abs()).sum(dim=-1), weights)


def mass(weights: Tensor, right: Tensor) -> Tensor:
    """(...): share of the weight that lies on the keys marked in `right` (boolean, broadcastable to the weights), mean
    over the queries for which at least one is marked; NaN where none is."""
    weights = _check_maps(weights)
    _door.instance("right", right, Tensor, "a boolean tensor (..., N, S)")
    if right.dtype != torch.bool or right.is_meta != weights.is_meta:
        where = f"{right.dtype} on {right.device}"
        raise TypeError(
            f"right is {where}; it must be boolean, True = a right key, and have numbers as the weights do."
        )
    try:
        right = right.to(weights.device).expand(torch.broadcast_shapes(right.shape, weights.shape))
    except RuntimeError:
        shapes = f"right has shape {tuple(right.shape)} and the weights {tuple(weights.shape)}"
        raise ValueError(f"{shapes}: each dimension must be equal or 1.") from None
    asked = right.any(dim=-1)
    return (weights * right).sum(dim=-1).sum(dim=-1) / asked.sum(dim=-1)


def _mean_over_queries(each, weights):
    """Of those that look at anything: padding and other queries that may attend to nothing do not count."""
    looks = weights.detach().sum(dim=-1) > 0.5
    return each.sum(dim=-1) / looks.sum(dim=-1)


def _check_maps(weights):
    """The weights in at least 32 bits: sums over many keys are beyond 16."""
    _door.instance("weights", weights, Tensor, "a tensor (..., N, S)")
    if weights.dim() < 2 or not weights.is_floating_point():
        raise ValueError(
            f"weights are {weights.dtype} of shape {tuple(weights.shape)}; they must be floats (..., N, S)."
        )
    return weights.to(torch.promote_types(weights.dtype, torch.float32))


def _check_rows(weights):
    """Raises ValueError where a row is no average: it sums to 1, or to 0 where the query may attend to nothing."""
    weights = _check_maps(weights)
    if not readable(weights):
        return weights
    sums = weights.detach().sum(dim=-1)
    wrong = ((sums - 1).abs() > 0.01) & (sums != 0) | (weights.detach() < 0).any(dim=-1) | sums.isnan()
    if wrong.any():
        row = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"row {row} of the weights sums to {sums[row]:.3g}: weights lie from 0 to 1, and rows sum to 1, or to 0 "
            "where a query may attend to nothing (scores become weights by softmax; dropout must be off: .eval(); "
            "beside a sink, divide each row by its sum)."
        )
    return weights


def offset(n: int, steps: int, *, device: torch.device | str | None = None) -> Tensor:
    """(n, n) boolean: the key `steps` places after each query: −1 is the previous token, 1 the next."""
    n = _door.whole("n", n, at_least=0)
    require_if_large(n**2, None if device is None else torch.device(device))
    i = torch.arange(n, device=device)
    return i[:, None] + _door.whole("steps", steps, at_least=None) == i


def same_token(tokens: Tensor) -> Tensor:
    """(..., N, N) boolean for tokens (..., N): other places that hold the same token."""
    _door.instance("tokens", tokens, Tensor, "a tensor of whole numbers (..., N)")
    if tokens.dim() < 1:
        raise ValueError("tokens is a single number; it must be a row of them (..., N).")
    same = tokens[..., :, None] == tokens[..., None, :]
    return same & ~torch.eye(tokens.shape[-1], dtype=torch.bool, device=tokens.device)


def attention_layers(model: nn.Module) -> list[MultiHeadAttention]:
    """The model's attention layers in the order in which they were made."""
    _door.instance("model", model, nn.Module, "an nn.Module")
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no MultiHeadAttention: there is no head to look at.")
    return layers


@contextmanager
def scaled(model: nn.Module, factors: Tensor) -> Iterator[None]:
    """Within this block, head h of layer l counts factors[l, h] times as much: 0 switches it off, 1 changes nothing.

    factors   (L, H), or (L, B, 1, H) with a factor of its own for each of B examples.

    A head's share of the output is its columns of Concat through its rows of W^O; the columns are multiplied."""
    layers, num_heads = _layers_and_heads(model)
    expected = len(layers), num_heads
    _door.instance("factors", factors, Tensor, f"a tensor (layers, heads), here {expected}")
    per_example = factors.dim() == 4 and factors.shape[2] == 1
    if not (factors.dim() == 2 or per_example) or (factors.shape[0], factors.shape[-1]) != expected:
        raise ValueError(
            f"factors have shape {tuple(factors.shape)}; this model has (layers, heads) {expected}, and factors are "
            "(layers, heads) or (layers, batch, 1, heads)."
        )

    def multiply(layer, row):
        def hook(_, inputs):
            (concat,) = inputs
            if row.dim() > 1 and row.shape[0] != len(concat):
                raise ValueError(f"there are factors for {row.shape[0]} examples, and the model runs on {len(concat)}.")
            return concat.unflatten(-1, (layer.num_heads, -1)).mul(row[..., None].to(concat.dtype)).flatten(-2)

        return layer.out_proj.register_forward_pre_hook(hook)

    handles = [multiply(layer, row) for layer, row in zip(layers, factors, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def ablated(model: nn.Module, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Within this block the (layer, head) pairs add nothing to the model."""
    layers, num_heads = _layers_and_heads(model)
    factors = torch.ones(len(layers), num_heads, device=layers[0].q_proj.weight.device)
    for pair in heads:
        try:
            layer, head = (_door.whole("a layer or head", i, at_least=None) for i in pair)
        except (TypeError, ValueError):
            raise TypeError(f"{pair!r} is no head: a head is a pair of whole numbers, (layer, head).") from None
        if not (0 <= layer < len(factors) and 0 <= head < num_heads):
            raise ValueError(
                f"there is no head {head} in layer {layer}: layers are 0 to {len(factors) - 1}, heads 0 to "
                f"{num_heads - 1}."
            )
        factors[layer, head] = 0
    with scaled(model, factors):
        yield


def _layers_and_heads(model):
    layers = attention_layers(model)
    counts = sorted({layer.num_heads for layer in layers})
    if len(counts) > 1:
        raise ValueError(f"this model's layers have {counts} heads: a table of layers and heads needs as many in each.")
    return layers, counts[0]


def importance(model: nn.Module, losses: Callable[[], Tensor], num_examples: int) -> Tensor:
    """(L, H): mean over examples of |∂loss/∂factor| at factor 1 (Michel 2019, equation 2): how much the loss of one
    example would move if the head counted a little less. `losses()` runs the model on `num_examples` examples and gives
    the loss of each.

    Raises ValueError where it does not: of another number of examples the slopes would be added up before their sizes
    are averaged."""
    layers, num_heads = _layers_and_heads(model)
    shape = len(layers), _door.whole("num_examples", num_examples), 1, num_heads
    weight = layers[0].q_proj.weight
    require_if_large(math.prod(shape) * weight.element_size(), weight.device)
    factors = torch.ones(shape, device=weight.device, dtype=weight.dtype, requires_grad=True)
    with torch.enable_grad(), scaled(model, factors):
        each = losses()
        _door.instance("what losses() gives", each, Tensor, f"a tensor ({num_examples},), the loss of each example")
        if each.shape != (num_examples,):
            raise ValueError(
                f"losses() gave a tensor of shape {tuple(each.shape)}; it must be ({num_examples},), the loss of each "
                f"of num_examples={num_examples}."
            )
        if each.requires_grad:
            (gradient,) = torch.autograd.grad(each.sum(), factors, allow_unused=True)
    if not each.requires_grad or gradient is None:
        raise ValueError("the losses do not depend on this model's heads: losses() must run it, with gradients.")
    return gradient.abs().mean(dim=(1, 2))
