"""What a head does, in numbers: where its weight lies, and what breaks without it.

Weights have shape (..., N, S): each row a query's weights, which sum to 1. Layers and heads are counted from 0.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mha_lab.attention import MultiHeadAttention


def entropy(weights: Tensor) -> Tensor:
    """(...): mean over queries of −Σ w ln w, in nats: 0 where each query sees one key, ln S where it sees all alike."""
    return -torch.xlogy(weights, weights).sum(dim=-1).mean(dim=-1)


def distance(weights: Tensor) -> Tensor:
    """(...): mean over queries of Σ w·|i − j|, in tokens: how far a head looks (N = S)."""
    i = torch.arange(weights.shape[-1], device=weights.device)
    return (weights * (i[:, None] - i).abs()).sum(dim=-1).mean(dim=-1)


def mass(weights: Tensor, right: Tensor) -> Tensor:
    """(...): share of the weight that lies on the keys marked in `right` (boolean, broadcastable to the weights), mean
    over the queries for which at least one is marked; NaN where none is."""
    right = right.expand(torch.broadcast_shapes(right.shape, weights.shape))
    asked = right.any(dim=-1)
    return (weights * right).sum(dim=-1).sum(dim=-1) / asked.sum(dim=-1)


def offset(n: int, steps: int) -> Tensor:
    """(n, n) boolean: the key `steps` places after each query: −1 is the previous token, 1 the next."""
    i = torch.arange(n)
    return i[:, None] + steps == i


def same_token(tokens: Tensor) -> Tensor:
    """(..., N, N) boolean for tokens (..., N): other places that hold the same token."""
    same = tokens[..., :, None] == tokens[..., None, :]
    return same & ~torch.eye(tokens.shape[-1], dtype=torch.bool)


def attention_layers(model: nn.Module) -> list[MultiHeadAttention]:
    """The model's attention layers in the order in which they were made."""
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no MultiHeadAttention: there is no head to look at.")
    return layers


@contextmanager
def scaled(model: nn.Module, factors: Tensor) -> Iterator[None]:
    """Within this block, head h of layer l counts factors[l, h] times as much: 0 switches it off, 1 changes nothing.

    factors   (L, H), or (L, B, 1, H) with a factor of its own for each of B examples.

    A head's share of the output is its columns of Concat through its rows of W^O; the columns are multiplied."""
    layers = attention_layers(model)
    expected = len(layers), layers[0].num_heads
    if factors.dim() < 2 or (factors.shape[0], factors.shape[-1]) != expected:
        raise ValueError(f"factors have shape {tuple(factors.shape)}; this model has (layers, heads) {expected}.")

    def multiply(layer, row):
        def hook(_, inputs):
            (concat,) = inputs
            return concat.unflatten(-1, (layer.num_heads, -1)).mul(row[..., None]).flatten(-2)

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
    layers = attention_layers(model)
    factors = torch.ones(len(layers), layers[0].num_heads, device=layers[0].q_proj.weight.device)
    for layer, head in heads:
        if not (0 <= layer < len(factors) and 0 <= head < factors.shape[1]):
            raise ValueError(
                f"there is no head {head} in layer {layer}: layers are 0 to {len(factors) - 1}, heads 0 to "
                f"{factors.shape[1] - 1}."
            )
        factors[layer, head] = 0
    with scaled(model, factors):
        yield


def importance(model: nn.Module, losses: Callable[[], Tensor], num_examples: int) -> Tensor:
    """(L, H): mean over examples of |∂loss/∂factor| at factor 1 (Michel 2019, equation 2): how much the loss of one
    example would move if the head counted a little less. `losses()` runs the model on `num_examples` examples and gives
    the loss of each."""
    layers = attention_layers(model)
    shape = len(layers), num_examples, 1, layers[0].num_heads
    factors = torch.ones(shape, device=layers[0].q_proj.weight.device, requires_grad=True)
    with torch.enable_grad(), scaled(model, factors):
        (gradient,) = torch.autograd.grad(losses().sum(), factors)
    return gradient.abs().mean(dim=(1, 2))
