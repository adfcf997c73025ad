"""Rotary positions (Su 2021, arXiv:2104.09864): queries and keys are turned by their place, so that a score depends on
the distance between two tokens and not on where they stand."""

import torch
from torch import Tensor


def rotate(x: Tensor, start: int = 0, *, base: float = 10_000.0, adjacent: bool = False) -> Tensor:
    """Turn the pairs of numbers of each token, pair i of the token at place p by the angle p · base^(−2i / K).

    x         (..., N, K) queries or keys of the places start, start + 1, …; K even
    adjacent  which numbers make a pair: 2i and 2i + 1, as in the paper and in GGUF files, or, the default, i and
              i + K/2, as in the weights of transformers. Weights of one layout give wrong scores in the other, of the
              right shape.
    """
    return _turn(x, *_cos_sin(x, start, base), adjacent)


class Rotary:
    """`rotate` with its base and layout chosen, for all layers of a model: they turn by the same angles, which are
    computed once for each step."""

    def __init__(self, *, base: float = 10_000.0, adjacent: bool = False):
        self.base, self.adjacent = base, adjacent
        self._known = None, None

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        asked = start, *x.shape[-2:], x.dtype, x.device, torch.is_inference_mode_enabled()
        if self._known[0] != asked:
            self._known = asked, _cos_sin(x, start, self.base)
        return _turn(x, *self._known[1], self.adjacent)


def _cos_sin(x, start, base):
    """(N, K/2) each."""
    K = x.shape[-1]
    if K % 2:
        raise ValueError(f"rotary positions turn pairs of numbers: d_head={K} is odd.")
    exact = {"device": x.device, "dtype": torch.promote_types(x.dtype, torch.float32)}
    place = torch.arange(start, start + x.shape[-2], **exact)
    rate = base ** (-torch.arange(0, K, 2, **exact) / K)
    angle = place[:, None] * rate
    return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


def _turn(x, cos, sin, adjacent):
    first, second = (x[..., 0::2], x[..., 1::2]) if adjacent else x.chunk(2, dim=-1)
    turned = first * cos - second * sin, first * sin + second * cos
    return torch.stack(turned, dim=-1).flatten(-2) if adjacent else torch.cat(turned, dim=-1)
