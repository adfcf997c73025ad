"""Rotary positions (Su 2021, arXiv:2104.09864): queries and keys are turned by their place, so that a score depends on
the distance between two tokens and not on where they stand."""

import math

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab._shown import readable

WITHOUT_FLOAT64 = "mps", "xpu"
"""Kinds of devices of which some, or all, cannot compute in float64: for these the CPU makes the angles."""


def rotate(x: Tensor, start: int = 0, *, base: float = 10_000.0, adjacent: bool = False) -> Tensor:
    """Turn the pairs of numbers of each token, pair i of the token at place p by the angle p · base^(−2i / K).

    x         (..., N, K) queries or keys of the places start, start + 1, …; K even
    adjacent  which numbers make a pair: 2i and 2i + 1, as in the paper and in GGUF files, or, the default, i and
              i + K/2, as in the weights of transformers. Weights of one layout give wrong scores in the other, of the
              right shape.

    The angles are float64 whatever x is: in float32 an angle of a million is off by up to 0.03.
    Raises ValueError or TypeError, in one sentence, for what cannot be turned.
    """
    start = _check(x, start, base)
    _door.instance("adjacent", adjacent, bool, "True or False")
    return _turn(x, *_cos_sin(x, start, base), adjacent)


class Rotary:
    """`rotate` with its base and layout chosen, for all layers of a model: they turn by the same angles, which are
    computed once for each step."""

    def __init__(self, *, base: float = 10_000.0, adjacent: bool = False):
        _check_base(base)
        _door.instance("adjacent", adjacent, bool, "True or False")
        self.base, self.adjacent = base, adjacent
        self._known = None, None

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        if isinstance(start, Tensor) or not (
            isinstance(x, Tensor) and (x.is_meta or readable(x))
        ):  # what is made for it serves no later call
            return rotate(x, start, base=self.base, adjacent=self.adjacent)
        asked = start, self.base, *x.shape[-2:], x.dtype, x.device, torch.is_inference_mode_enabled()
        known, cos_sin = self._known
        if known != asked:  # else all this was checked before
            cos_sin = _cos_sin(x, _check(x, start, self.base), self.base)
            self._known = asked, cos_sin
        return _turn(x, *cos_sin, self.adjacent)


def _check(x, start, base):
    """The first place as a whole number, once x and base are known to make sense."""
    _door.instance("x", x, Tensor, "a tensor (…, tokens, d_head)")
    if x.dim() < 2 or not x.is_floating_point():
        raise ValueError(f"x is {x.dtype} of shape {tuple(x.shape)}; it must be floats (…, tokens, d_head).")
    K = x.shape[-1]
    if K % 2 or K == 0:
        odd = "odd" if K else "nothing to turn"
        raise ValueError(f"rotary positions turn pairs of numbers: d_head={K} is {odd}.")
    if not torch.compiler.is_compiling():  # to which a base may be a symbol
        _check_base(base)
    return start if torch.compiler.is_compiling() else _door.whole("start", start, at_least=None)


def _check_base(base):
    if isinstance(base, bool | str | Tensor) or not hasattr(base, "__float__"):
        raise TypeError(f"base is {_door.told(base)}; it must be a number, such as 10,000.")
    if not 0 < base < math.inf:
        raise ValueError(f"base={base}: angles are its powers, so it must lie above 0 and be finite.")


def _cos_sin(x, start, base):
    """(N, K/2) each."""
    N, K = x.shape[-2:]
    exact = {"device": "cpu" if x.device.type in WITHOUT_FLOAT64 else x.device, "dtype": torch.float64}
    place = torch.arange(start, start + N, **exact)
    rate = float(base) ** (-torch.arange(0, K, 2, **exact) / K)
    angle = place[:, None] * rate
    return angle.cos().to(x.device, x.dtype), angle.sin().to(x.device, x.dtype)


def _turn(x, cos, sin, adjacent):
    first, second = (x[..., 0::2], x[..., 1::2]) if adjacent else x.chunk(2, dim=-1)
    turned = first * cos - second * sin, first * sin + second * cos
    return torch.stack(turned, dim=-1).flatten(-2) if adjacent else torch.cat(turned, dim=-1)
