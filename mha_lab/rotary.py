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
    K = x.shape[-1]
    if K % 2:
        raise ValueError(f"rotary positions turn pairs of numbers: d_head={K} is odd.")
    exact = {"device": x.device, "dtype": torch.promote_types(x.dtype, torch.float32)}
    place = torch.arange(start, start + x.shape[-2], **exact)
    rate = base ** (-torch.arange(0, K, 2, **exact) / K)
    angle = place[:, None] * rate  # (N, K/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = (x[..., 0::2], x[..., 1::2]) if adjacent else x.chunk(2, dim=-1)
    turned = first * cos - second * sin, first * sin + second * cos
    return torch.stack(turned, dim=-1).flatten(-2) if adjacent else torch.cat(turned, dim=-1)
