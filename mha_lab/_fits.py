"""Whether tensors fit each other, asked at the door of every attention, and told in one sentence with the shapes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._autograd import autocasts


def check_shapes(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, score_bias: Tensor | None = None
) -> None:
    """Raises ValueError, or TypeError for what is no tensor of the right kind, where `attention` is not defined."""
    if not _plainly_fit(query, key, value):
        _explain(query, key, value)
    if mask is None and score_bias is None:
        return
    scores = (*_batch(query, key, value), *query.shape[-3:-1], key.shape[-2])
    for name, extra in ("mask", mask), ("score_bias", score_bias):
        if extra is not None:
            check_kind(name, extra, query.device)
            if not fits(extra.shape, scores):
                raise ValueError(
                    f"{name} has shape {tuple(extra.shape)} and the scores {scores}: each dimension must be equal or 1."
                )


def _plainly_fit(query, key, value):
    """What nearly every call is, asked in one go: a layer of few tokens takes no longer than a few such questions."""
    if not (type(query) is type(key) is type(value) is Tensor and query.dtype == key.dtype == value.dtype):
        return False
    asks, offers = query.shape, key.shape
    return (
        len(asks) == len(offers) > 2
        and asks[-1] == offers[-1] > 0
        and offers[:-1] == value.shape[:-1]
        and asks[:-3] == offers[:-3]
        and offers[-3] > 0
        and asks[-3] % offers[-3] == 0
        and query.is_floating_point()
        and query.device == key.device == value.device
    )


def _explain(query, key, value):
    """Raises TypeError or ValueError for what does not fit; other calls, less plain, do fit."""
    given = {"query": query, "key": key, "value": value}
    for name, tensor in given.items():
        _door.instance(name, tensor, Tensor, "a tensor")
        if tensor.dim() < 2 or not tensor.is_floating_point():
            shape = tuple(tensor.shape)
            raise ValueError(f"{name} is {tensor.dtype} of shape {shape}; it must be floats (…, tokens, width).")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"query has d_head {query.shape[-1]} and key {key.shape[-1]}: their dot product needs them equal."
        )
    if query.shape[-1] == 0:
        raise ValueError("query and key have d_head 0: there is nothing to compare.")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"there are {key.shape[-2]} keys and {value.shape[-2]} values: each key needs its value.")
    if key.shape[-3:-2] != value.shape[-3:-2]:
        raise ValueError(
            f"key has shape {tuple(key.shape)} and value {tuple(value.shape)}: each key head needs its value head."
        )
    if query.dim() > 2 and key.dim() > 2 and (key.shape[-3] < 1 or query.shape[-3] % key.shape[-3]):
        raise ValueError(f"{query.shape[-3]} query heads cannot share {key.shape[-3]} key heads: it must divide them.")
    batches = query.shape[:-3], key.shape[:-3], value.shape[:-3]
    if not batches[0] == batches[1] == batches[2] and not _broadcast(*batches):
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in given.items())
        raise ValueError(f"the batches differ: {shapes}. Dimensions in front of the heads must be equal, or 1.")
    _check_alike(given)


def _batch(query, key, value):
    """What stands in front of the heads, where some of it may be 1."""
    batch = query.shape[:-3]
    if batch == key.shape[:-3] == value.shape[:-3]:
        return batch
    return torch.broadcast_shapes(batch, key.shape[:-3], value.shape[:-3])


def scale_of(scale: float | Tensor | None, query: Tensor) -> float | Tensor:
    """The scale that was given, or 1/√K. Raises ValueError for what is not one finite number."""
    if scale is None:
        return query.shape[-1] ** -0.5
    if isinstance(scale, Tensor):
        if scale.numel() != 1 or scale.dim() > query.dim():
            raise ValueError(f"scale has shape {tuple(scale.shape)}; it must be one number.")
        return scale.to(query.dtype)
    if not torch.compiler.is_compiling():  # to which it may be a symbol
        _door.finite("scale", scale)
    return scale


def _check_alike(given):
    (first, one), *others = given.items()
    for name, other in others:
        if one.device != other.device:
            raise ValueError(f"{first} is on {one.device} and {name} on {other.device}: they must be on one device.")
        if one.dtype != other.dtype and not autocasts(one.device):
            raise ValueError(f"{first} is {one.dtype} and {name} {other.dtype}: they must be of one type.")


def check_tokens(width: int, module: nn.Module, x: Tensor, context: Tensor | None = None) -> None:
    """Raises TypeError or ValueError where x and context are not batches of tokens of this width, or of another type or
    on another device than the module's weight. What has no weight of its own, such as an adapter, is not asked."""
    weight = getattr(module, "weight", None)
    weight = weight if isinstance(weight, Tensor) else None
    for name, tokens in {"x": x, "context": context}.items():
        if name == "context" and tokens is None:
            continue
        _door.instance(name, tokens, Tensor, f"a tensor (batch, tokens, {width})")
        if tokens.is_nested:
            raise ValueError(f"{name} is a nested tensor; pad it, and hide the padding with padding_mask.")
        if tokens.dim() != 3 or tokens.shape[-1] != width:
            raise ValueError(f"{name} has shape {tuple(tokens.shape)}; this layer takes (batch, tokens, {width}).")
        if weight is None:
            continue
        if tokens.device != weight.device:
            raise ValueError(f"{name} is on {tokens.device} and this layer on {weight.device}: move one of them.")
        if tokens.dtype != weight.dtype and not autocasts(tokens.device):
            raise ValueError(f"{name} is {tokens.dtype} and this layer {weight.dtype}: convert one of them.")
    if context is not None and context.shape[0] != x.shape[0]:
        raise ValueError(f"x is a batch of {x.shape[0]} and context a batch of {context.shape[0]}: they must be equal.")


def check_rotary(rotary: object, width: int) -> None:
    """Raises TypeError where it is no function (x, start) → x, ValueError where it cannot turn heads so wide."""
    _door.instance("rotary", rotary, Callable, "a function (x, start) → x")
    if hasattr(rotary, "check_width"):
        rotary.check_width(width)


def check_kind(name: str, given: Tensor, device: torch.device) -> None:
    """Raises TypeError where a mask is not boolean or a score_bias not floats, ValueError on another device."""
    _door.instance(name, given, Tensor, "a tensor")
    if name == "mask" and given.dtype != torch.bool:
        remedy = (
            "0 and −∞ to be added to the scores are score_bias=."
            if given.is_floating_point()
            else "mask.bool() makes it one, if 1 means that a query may attend."
        )
        raise TypeError(f"mask has dtype {given.dtype}; it must be torch.bool, True = may attend. {remedy}")
    if name == "score_bias" and not given.is_floating_point():
        remedy = "True and False are mask=." if given.dtype == torch.bool else "score_bias.float() makes them such."
        raise TypeError(f"score_bias has dtype {given.dtype}; what is added to scores are floats. {remedy}")
    if given.device != device:
        raise ValueError(f"{name} is on {given.device} and the tokens on {device}: they must be on one device.")


def fits(shape: torch.Size, scores: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape broadcasts to the scores without making them larger."""
    return len(shape) <= len(scores) and all(g in (1, s) for g, s in zip(reversed(shape), reversed(scores)))


def layer_mask(name: str, given: Tensor, scores: tuple[int, int, int, int], held: int, device: torch.device) -> Tensor:
    """A layer's mask or score_bias, with a dimension for the heads where a mask of three has none.

    scores  (B, H, N, S), of which the first `held` keys come out of a cache.
    Raises ValueError or TypeError, with both shapes and what to write instead."""
    check_kind(name, given, device)
    B, H, N, S = scores
    shape = tuple(given.shape)
    if name == "mask" and len(shape) == 2 and shape == (B, S) != (1, S):
        if B == N:
            raise ValueError(
                f"mask has shape {shape}, which may be (batch, keys) or (queries, keys): for padding write "
                "mask[:, None], for an order that all sequences share mask[None]."
            )
        if not fits(shape, (N, S)):
            raise ValueError(
                f"mask has shape {shape} and the scores {scores}. One row a sequence, as for padding, is written "
                "mask[:, None]."
            )
    if name == "mask" and len(shape) == 3:
        given = given[:, None]  # (B, N, S) serves every head
    if fits(given.shape, scores):
        return given
    asked = "(N, S), (B, N, S) or (B, H, N, S)" if name == "mask" else "one that broadcasts to (B, H, N, S)"
    remedy = "each dimension must be equal or 1."
    if held:
        remedy = f"S counts the {held} keys in the cache too that these tokens see, which stand first; {remedy}"
    elif name == "score_bias" and shape == (B, N, S):
        remedy = "three dimensions are (H, N, S): for one bias a sequence write score_bias[:, None]."
    raise ValueError(f"{name} has shape {shape} and the scores {scores}; it must be {asked}: {remedy}")


def _broadcast(*shapes):
    try:
        torch.broadcast_shapes(*shapes)
    except RuntimeError:
        return False
    return True
