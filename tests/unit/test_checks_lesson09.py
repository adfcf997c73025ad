"""Exercises of lesson 09: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import math

import numpy as np
import torch
from exercise_promises import promises
from torch import nn
from torch.nn import functional as F

from mha_lab import checks, models, rotary

EXERCISES = {name: getattr(checks, name) for name in ("distance_bias", "rotate_by_place", "rms_norm", "gated_fusion")}


def by_pair(num_heads, num_tokens, entry):
    """(H, N, N) of entry(h, i, j), h from 1."""
    tokens = range(num_tokens)
    return torch.tensor([[[entry(h, i, j) for j in tokens] for i in tokens] for h in range(1, num_heads + 1)])


def slope(h, num_heads):
    return 2 ** (-8 * h / num_heads)


def published_slopes(num_heads):
    """As in the code that came with the paper."""
    if math.log2(num_heads).is_integer():
        return [slope(h, num_heads) for h in range(1, num_heads + 1)]
    nearest = 2 ** math.floor(math.log2(num_heads))
    return published_slopes(nearest) + published_slopes(2 * nearest)[0::2][: num_heads - nearest]


def normed(x, mean, gain, eps):
    return torch.einsum("bnd,d->bnd", x * torch.rsqrt(mean + eps), gain)


def by_complex(x, turns):
    """The pairs i and i + K/2 as complex numbers, times e^(i·turns)."""
    half = x.shape[-1] // 2
    pairs = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(turns), turns)
    return torch.cat([pairs.real, pairs.imag], dim=-1)


def turns(x, base, *, power=-2, first=0):
    """(N, K/2) place times base^(power · i / K)."""
    N, K = x.shape[-2:]
    return torch.tensor([[float(n * base ** (power * i / K)) for i in range(K // 2)] for n in range(first, first + N)])


def by_neighbours(x, angle):
    even, odd = x[..., ::2], x[..., 1::2]
    found = torch.empty_like(x)
    found[..., ::2] = even * torch.cos(angle) - odd * torch.sin(angle)
    found[..., 1::2] = odd * torch.cos(angle) + even * torch.sin(angle)
    return found


WRONG = {
    ("rotate_by_place", "turned_back"): lambda x, base: by_complex(x, -turns(x, base)),
    ("rotate_by_place", "neighbours_paired"): lambda x, base: by_neighbours(x, turns(x, base)),
    ("rotate_by_place", "one_rate"): lambda x, base: by_complex(x, turns(x, 1.0)),
    ("rotate_by_place", "half_the_exponent"): lambda x, base: by_complex(x, turns(x, base, power=-1)),
    ("rotate_by_place", "faster_and_faster"): lambda x, base: by_complex(x, turns(x, base, power=2)),
    ("rotate_by_place", "slowest_first"): lambda x, base: by_complex(x, turns(x, base).flip(1)),
    ("rotate_by_place", "places_from_one"): lambda x, base: by_complex(x, turns(x, base, first=1)),
    ("rotate_by_place", "heads_for_places"): lambda x, base: by_complex(
        x.permute(0, 2, 1, 3), turns(x.permute(0, 2, 1, 3), base)
    ).permute(0, 2, 1, 3),
    ("rotate_by_place", "no_minus"): lambda x, base: (
        x * torch.cos(turns(x, base)).repeat(1, 2)
        + x.roll(x.shape[-1] // 2, -1) * torch.sin(turns(x, base)).repeat(1, 2)
    ),
    ("rotate_by_place", "added_waves"): lambda x, base: (
        x + torch.cat([torch.cos(turns(x, base)), torch.sin(turns(x, base))], -1)
    ),
    ("distance_bias", "farther_is_better"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: slope(h, num_heads) * abs(i - j)
    ),
    ("distance_bias", "signed_steps"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: slope(h, num_heads) * (j - i)
    ),
    ("distance_bias", "future_hidden"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -math.inf if j > i else slope(h, num_heads) * (j - i)
    ),
    ("distance_bias", "slopes_of_eight"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -abs(i - j) / 2**h
    ),
    ("distance_bias", "heads_from_zero"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(h - 1, num_heads) * abs(i - j)
    ),
    ("distance_bias", "slopes_turned_round"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(num_heads + 1 - h, num_heads) * abs(i - j)
    ),
    ("distance_bias", "squared"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -slope(h, num_heads) * (i - j) ** 2
    ),
    ("distance_bias", "one_map"): lambda num_heads, num_tokens: by_pair(
        1, num_tokens, lambda h, i, j: -float(abs(i - j))
    )[0],
    ("distance_bias", "slope_one_for_all"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -float(abs(i - j))
    ),
    ("distance_bias", "the_papers_rule"): lambda num_heads, num_tokens: by_pair(
        num_heads, num_tokens, lambda h, i, j: -published_slopes(num_heads)[h - 1] * abs(i - j)
    ),
    ("rms_norm", "_over_a_samples_deviation"): [
        lambda x, gain, eps: gain * x / (x.std(-1, keepdim=True) + eps),
        lambda x, gain, eps: normed(x, x.std(2)[..., None] ** 2, gain, eps),
    ],
    ("rms_norm", "over_the_whole_tensor"): lambda x, gain, eps: normed(x, (x * x).mean(), gain, eps),
    ("rms_norm", "layer_norm"): lambda x, gain, eps: F.layer_norm(x, x.shape[-1:], gain, eps=eps),
    ("rms_norm", "multiplied_by_the_root"): lambda x, gain, eps: (
        gain * x / torch.rsqrt((x**2).mean(2, keepdim=True) + eps)
    ),
    ("rms_norm", "eps_not_used"): [
        lambda x, gain, eps: x / (x**2).mean(2, keepdim=True).sqrt() * gain,
        lambda x, gain, eps: F.rms_norm(x, gain.shape, gain),
        lambda x, gain, eps: F.rms_norm(x, gain.shape, gain, 1e-8),
    ],
    ("rms_norm", "one_plus_gain"): lambda x, gain, eps: F.rms_norm(x, gain.shape, 1 + gain, eps),
    ("rms_norm", "over_gain"): lambda x, gain, eps: F.rms_norm(x, gain.shape, None, eps) / gain,
    ("rms_norm", "over_the_deviation"): lambda x, gain, eps: normed(x, x.std(2, False)[..., None] ** 2, gain, eps),
    ("rms_norm", "length_for_mean"): lambda x, gain, eps: normed(x, (x**2).sum(2)[..., None], gain, eps),
    ("rms_norm", "over_tokens"): lambda x, gain, eps: normed(x, (x**2).mean(1)[:, None], gain, eps),
    ("rms_norm", "over_all"): lambda x, gain, eps: normed(x, (x**2).flatten(1).mean(1)[:, None, None], gain, eps),
    ("rms_norm", "no_gain"): lambda x, gain, eps: F.rms_norm(x, x.shape[-1:], eps=eps),
    ("rms_norm", "no_root"): lambda x, gain, eps: gain * x / ((x**2).mean(2)[..., None] + eps),
    ("rms_norm", "eps_after_the_root"): lambda x, gain, eps: gain * x / (torch.sqrt((x**2).mean(2))[..., None] + eps),
    ("gated_fusion", "no_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "roles_swapped"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * torch.sigmoid(F.linear(concat, output_weight))
    ),
    ("gated_fusion", "_one_not_transposed"): [
        lambda concat, output_weight, gate_weight: (concat @ gate_weight.T).sigmoid() * (concat @ output_weight),
        lambda concat, output_weight, gate_weight: (concat @ gate_weight).sigmoid() * (concat @ output_weight.T),
    ],
    ("gated_fusion", "silu_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, gate_weight) * F.linear(concat, gate_weight).sigmoid() * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "tanh_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        torch.tanh(F.linear(concat, gate_weight)) * F.linear(concat, output_weight)
    ),
    ("gated_fusion", "not_transposed"): lambda concat, output_weight, gate_weight: (
        torch.einsum("bnd,de->bne", concat, output_weight)
        * torch.sigmoid(torch.einsum("bnd,de->bne", concat, gate_weight))
    ),
    ("gated_fusion", "gate_before_output"): lambda concat, output_weight, gate_weight: F.linear(
        concat * torch.sigmoid(F.linear(concat, gate_weight)), output_weight
    ),
    ("gated_fusion", "gate_reads_the_output"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, output_weight) * torch.sigmoid(F.linear(F.linear(concat, output_weight), gate_weight))
    ),
    ("gated_fusion", "softmax_for_sigmoid"): lambda concat, output_weight, gate_weight: (
        F.linear(concat, output_weight) * F.softmax(F.linear(concat, gate_weight), 2)
    ),
    ("gated_fusion", "highway"): lambda concat, output_weight, gate_weight: torch.lerp(
        concat, F.linear(concat, output_weight), F.linear(concat, gate_weight).sigmoid()
    ),
    ("gated_fusion", "no_gate"): lambda concat, output_weight, gate_weight: F.linear(concat, output_weight),
}  # fmt: skip


RIGHT = [
    ("rotate_by_place", lambda x, base: by_complex(x, turns(x, base))),
    ("rotate_by_place", lambda x, base: rotary.rotate(x, base=base)),
    ("distance_bias", lambda num_heads, num_tokens: models.ALiBi(num_heads)(num_tokens)),
    (
        "distance_bias",
        lambda num_heads, num_tokens: by_pair(num_heads, num_tokens, lambda h, i, j: -slope(h, num_heads) * abs(i - j)),
    ),
    ("rms_norm", lambda x, gain, eps: F.rms_norm(x, gain.shape, gain, eps)),
    ("rms_norm", lambda x, gain, eps: x * (np.mean(x**2, axis=2, keepdims=True) + eps) ** -0.5 * gain),
    (
        "gated_fusion",
        lambda concat, output_weight, gate_weight: F.glu(
            F.linear(concat, torch.cat([output_weight, gate_weight])), dim=-1
        ),
    ),
]

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_the_solutions_are_what_the_models_of_the_lesson_compute():
    x, gain, eps = EXERCISES["rms_norm"].cases()[0]
    norm = nn.RMSNorm(x.shape[-1], eps=eps)
    fusion = models.GatedFusion(x.shape[-1])
    with torch.no_grad():
        norm.weight.copy_(gain)
        torch.testing.assert_close(EXERCISES["rms_norm"].solution(x, gain, eps), norm(x))
        fused = EXERCISES["gated_fusion"].solution(x, fusion.project.weight, fusion.gate.weight)
        torch.testing.assert_close(fused, fusion(x))
    torch.testing.assert_close(EXERCISES["distance_bias"].solution(4, 7), models.ALiBi(4)(7))
