"""Rotary positions (Su 2021, arXiv:2104.09864): queries and keys are turned by their place, so that a score depends on
the distance between two tokens and not on where they stand."""

import math

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab._shown import readable

WITHOUT_FLOAT64 = "mps", "xpu"
"""Kinds of devices of which some, or all, cannot compute in float64: for these the CPU makes the angles."""


def rotate(x: Tensor, start: int = 0, *, base: float = 10_000.0, adjacent: bool = False, share: float = 1.0) -> Tensor:
    """Turn the pairs of numbers of each token, pair i of the token at place p by the angle p · base^(−2i / K).

    x         (..., N, K) queries or keys of the places start, start + 1, …; K even
    adjacent  which numbers make a pair: 2i and 2i + 1, as in the paper and in GGUF files, or, the default, i and
              i + K/2, as in the weights of transformers. Weights of one layout give wrong scores in the other, of the
              right shape.
    share     how much of K is turned, its first numbers, as if a head had no more; the others compare words wherever
              they stand (partial rotation: ¼ in GPT-NeoX, Black 2022, and in Qwen3-Next). 0 turns nothing. A share of
              three digits is enough: .333 of 192 are 64 numbers.

    The angles are float64 whatever x is: in float32 an angle of a million is off by up to 0.03.
    Raises ValueError or TypeError, in one sentence, for what cannot be turned.
    """
    start = _check(x, start, base, share)
    _door.instance("adjacent", adjacent, bool, "True or False")
    turned = _first(x, share)
    return _joined(_turn(turned, *_cos_sin(turned, start, base), adjacent), x)


class Rotary:
    """`rotate` with its base, layout and share chosen, for all layers of a model: they turn by the same angles, which
    are computed once for each step."""

    def __init__(self, *, base: float = 10_000.0, adjacent: bool = False, share: float = 1.0):
        _check_base(base)
        _check_share(share)
        _door.instance("adjacent", adjacent, bool, "True or False")
        self.base, self.adjacent, self.share = base, adjacent, share
        self._known = None, None

    def check_width(self, d_head: int) -> None:
        """Raises ValueError where heads of this width cannot be turned so: what a layer asks before its first token."""
        _check_width(_door.whole("d_head", d_head), self.share)

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        if isinstance(start, Tensor) or not (
            isinstance(x, Tensor) and (x.is_meta or readable(x))
        ):  # what is made for it serves no later call
            return rotate(x, start, base=self.base, adjacent=self.adjacent, share=self.share)
        asked = start, self.base, self.share, *x.shape[-2:], x.dtype, x.device, torch.is_inference_mode_enabled()
        known, cos_sin = self._known
        if known != asked:  # else all this was checked before
            place = _check(x, start, self.base, self.share)
            cos_sin = _cos_sin(_first(x, self.share), place, self.base)
            self._known = asked, cos_sin
        return _joined(_turn(_first(x, self.share), *cos_sin, self.adjacent), x)


def _check(x, start, base, share):
    """The first place as a whole number, once x, base and share are known to make sense."""
    _door.instance("x", x, Tensor, "a tensor (…, tokens, d_head)")
    if x.dim() < 2 or not x.is_floating_point():
        raise ValueError(f"x is {x.dtype} of shape {tuple(x.shape)}; it must be floats (…, tokens, d_head).")
    if torch.compiler.is_compiling():  # to which a base may be a symbol
        _check_width(x.shape[-1], 1)
    else:
        _check_base(base)
        _check_share(share)
        _check_width(x.shape[-1], share)
    return start if torch.compiler.is_compiling() else _door.whole("start", start, at_least=None)


def _check_base(base):
    if isinstance(base, bool | str | Tensor) or not hasattr(base, "__float__"):
        raise TypeError(f"base is {_door.told(base)}; it must be a number, such as 10,000.")
    if not 0 < base < math.inf:
        raise ValueError(f"base={base}: angles are its powers, so it must lie above 0 and be finite.")


def _check_share(share):
    if isinstance(share, bool | str | Tensor) or not hasattr(share, "__float__"):
        raise TypeError(f"share is {_door.told(share)}; it must be a number from 0 to 1, such as 0.25.")
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: from 0 to 1 of a head can be turned.")


def _check_width(K, share):
    if K % 2 or K == 0:
        odd = "odd" if K else "nothing to turn"
        raise ValueError(f"rotary positions turn pairs of numbers: d_head={K} is {odd}.")
    turned = _pairs(K, share)
    if abs(share * K - turned) > min(0.001 * K, 0.5) or share > 0 == turned:
        raise ValueError(f"share={share} of d_head={K} is {share * K:g} numbers: rotary positions turn pairs.")


def _pairs(K, share):
    """The even number nearest to this share of K."""
    return 2 * round(share * K / 2)


def _first(x, share):
    """The numbers of a head that are turned."""
    return x if share == 1 else x[..., : _pairs(x.shape[-1], share)]


def _joined(turned, x):
    """What was turned, and the rest of the head as it was."""
    R = turned.shape[-1]
    return turned if R == x.shape[-1] else torch.cat([turned, x[..., R:]], dim=-1)


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
