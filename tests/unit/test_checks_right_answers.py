"""Right answers in the many ways in which people write them: none is refused."""

import functools
import math
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner
from torch import nn
from torch.nn import functional as F

from mha_lab import checks


def softmax_in_numpy(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def loop_of_floats(query, keys, values):
    scores = [sum(float(q) * float(k) for q, k in zip(query, key)) / len(query) ** 0.5 for key in keys]
    total = sum(map(math.exp, scores))
    return [sum(math.exp(s) / total * float(v[i]) for s, v in zip(scores, values)) for i in range(values.shape[1])]


def walrus(*given):
    query, keys, values = given
    return (weights := torch.softmax(keys @ query / query.shape[0] ** 0.5, -1)) @ values if len(given) == 3 else weights


def in_place_on_a_copy(query, keys, values):
    query = query.clone()
    query /= query.shape[0] ** 0.5
    return (keys @ query).softmax(0) @ values


def with_out(query, keys, values):
    scores = torch.empty(len(keys))
    torch.mv(keys, query, out=scores)
    return torch.softmax(scores.div_(math.sqrt(len(query))), 0) @ values


def zero_dimensional_tensors_with_gradients(query, keys, values):
    return list((keys @ query.requires_grad_() / len(query) ** 0.5).softmax(0) @ values)


class OneQuery(nn.Module):
    def forward(self, query, keys, values):
        return F.softmax(keys @ query / math.sqrt(query.size(0)), dim=0) @ values


@torch.jit.script
def scripted(query, keys, values):
    return torch.softmax(torch.mv(keys, query) / float(query.shape[0]) ** 0.5, 0) @ values


@torch.no_grad()
def decorated(query, keys, values):
    return F.scaled_dot_product_attention(query[None], keys, values)[0]


def masked(query, key, value, mask):
    weights = (query @ key.T / query.shape[1] ** 0.5).masked_fill(~mask, -math.inf).softmax(-1)
    return weights @ value, weights


def masked_array(query, key, value, mask):
    scores = np.ma.array(np.asarray(query) @ np.asarray(key).T / np.sqrt(query.shape[1]), mask=~np.asarray(mask))
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return weights.filled(0) @ np.asarray(value), weights  # these are not filled


Found = namedtuple("Found", "output weights")


def numpy_heads(query, key, num_heads):
    def split(x):
        return x.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3)

    return split(query) @ split(key).swapaxes(2, 3) / np.sqrt(query.shape[-1] // num_heads)


def generator_of_both(query, key, num_heads):
    query, key = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key))
    assert all(x.dim() == 4 for x in (query, key))
    return query @ key.mT / query.shape[-1] ** 0.5


def pieces_stacked_before_one_product(query, key, num_heads):
    query, key = (torch.stack([*x.chunk(num_heads, -1)], 1) for x in (query, key))
    return query @ key.mT / query.shape[-1] ** 0.5


def through_vmap(query, key, num_heads):
    one_head = torch.func.vmap(lambda q, k: q @ k.mT / q.shape[-1] ** 0.5, in_dims=(2, 2), out_dims=1)
    return one_head(query.unflatten(-1, (num_heads, -1)), key.unflatten(-1, (num_heads, -1)))


def through_bmm(query, key, num_heads):
    query, key = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key))
    scores = torch.bmm(query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2))
    return scores.unflatten(0, (-1, num_heads)) / math.sqrt(query.shape[-1])


def einsum_on_arrays(query, key, num_heads):
    query, key = (x.numpy().reshape(*x.shape[:2], num_heads, -1) for x in (query, key))
    return np.einsum("bnhk,bshk->bhns", query, key) / np.sqrt(query.shape[-1])


def layer_in_torch_that_says_np(x, W_q, W_k, W_v, W_o, num_heads, mask):
    query, key, value = (F.linear(x, W.T).unflatten(-1, (num_heads, -1)).transpose(1, 2) for W in (W_q, W_k, W_v))
    scores = query @ key.mT / np.sqrt(query.shape[-1])
    weights = torch.where(mask, scores, -np.inf).softmax(-1)
    return (weights @ value).transpose(1, 2).reshape(x.shape) @ W_o, weights


def layer_in_numpy(x, W_q, W_k, W_v, W_o, num_heads, mask):
    B, N, D = x.shape
    query, key, value = np.split(
        (x @ np.concatenate([W_q, W_k, W_v], 1)).reshape(B, N, 3 * num_heads, -1).transpose(0, 2, 1, 3), 3, 1
    )
    weights = softmax_in_numpy(np.where(mask, query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1]), -np.inf))
    return (weights @ value).transpose(0, 2, 1, 3).reshape(B, N, D) @ W_o, weights


def layer_as_a_sum_over_heads(x, W_q, W_k, W_v, W_o, num_heads, mask):
    K, output, maps = x.shape[-1] // num_heads, 0, []
    for rows in torch.arange(x.shape[-1]).split(K):
        weights = (x @ W_q[:, rows] @ (x @ W_k[:, rows]).mT / K**0.5).masked_fill(~mask, -1e9).softmax(-1)
        output = output + weights @ (x @ W_v[:, rows]) @ W_o[rows]
        maps.append(weights)
    return output, torch.stack(maps, 1)


def importance_by_autograd(concat, gradient, num_heads):
    factor = torch.ones(len(concat), 1, num_heads, 1, requires_grad=True)
    ((concat.unflatten(-1, (num_heads, -1)) * factor).flatten(2) * gradient).sum().backward()
    return factor.grad.abs().mean(0).flatten()


def decoded_in_pairs(query, key, value, cached_key, cached_value):
    keys, values = torch.cat([cached_key, key], 2), torch.cat([cached_value, value], 2)
    return F.scaled_dot_product_attention(query, keys, values), (keys, values)


def most(d_model, d_head, heads=None):
    heads = heads or d_model // d_head
    return heads if d_model % heads == 0 else most(d_model, d_head, heads - 1)


def parameters(d, h, g):
    return 2 * d * (d + 1) + 2 * (g * d // h) * (d + 1)


def one(query, keys, values):
    return (keys @ query / len(query) ** 0.5).softmax(0) @ values


ANSWERS = {
    "one_query": [
        loop_of_floats,
        walrus,
        in_place_on_a_copy,
        with_out,
        zero_dimensional_tensors_with_gradients,
        OneQuery(),
        OneQuery().forward,
        scripted,
        decorated,
        torch.compile(one, backend="eager"),
        functools.partial(lambda power, query, keys, values: one(query, keys, values) * power, 1),
        lambda query, keys, values: torch.func.vmap(lambda v: one(query, keys, v), in_dims=1)(values),
        lambda query, keys, values: one(query.double(), keys.double(), values.double()),
        lambda query, keys, values: one(query.bfloat16(), keys.bfloat16(), values.bfloat16()),
        lambda query, keys, values: one(query, keys, values).half(),
        lambda query, keys, values: one(query, keys, values).numpy().astype(object),
        lambda query, keys, values: [Decimal(float(x)) for x in one(query, keys, values)],
        lambda query, keys, values: [Fraction(float(x)) for x in one(query, keys, values)],
        lambda query, keys, values, *, scale=None: one(query, keys, values),
        lambda q, k, v: softmax_in_numpy(k.numpy() @ q.numpy() / np.sqrt(len(q))) @ v.numpy(),
    ],
    "causal_mask": [
        lambda n: torch.full((n, n), -math.inf).triu(1) == 0,
        lambda n: np.greater_equal.outer(np.arange(n), np.arange(n)),
        lambda n: tuple(tuple(j <= i for j in range(n)) for i in range(n)),
        lambda n: torch.vmap(lambda i: torch.arange(n) <= i)(torch.arange(n)),
    ],
    "masked_attention": [
        masked_array,
        lambda query, key, value, mask: Found(*masked(query, key, value, mask)),
        lambda query, key, value, mask: list(masked(query, key, value, mask)),
        lambda q, k, v, mask: (lambda w: (w @ v, w))(
            softmax_in_numpy(np.where(mask, q @ k.T / np.sqrt(q.shape[1]), -np.inf))
        ),
    ],
    "temperature": [lambda scores, entropy: [checks.temperature.solution(scores, entropy)]],
    "multi_head_scores": [
        numpy_heads,
        generator_of_both,
        pieces_stacked_before_one_product,
        through_vmap,
        through_bmm,
        einsum_on_arrays,
        torch.compile(generator_of_both, backend="eager"),
    ],
    "multi_head_attention": [layer_in_torch_that_says_np, layer_in_numpy, layer_as_a_sum_over_heads],
    "count_parameters": [
        lambda *sizes: [parameters(*sizes)],
        lambda *sizes: Fraction(parameters(*sizes)),
        lambda *sizes: Decimal(parameters(*sizes)),
        lambda *sizes: np.int32(parameters(*sizes)),
        lambda *sizes: torch.tensor(float(parameters(*sizes))),
    ],
    "grouped_attention": [
        lambda query, key, value: F.scaled_dot_product_attention(
            query.unflatten(1, (key.shape[1], -1)), key[:, :, None], value[:, :, None]
        ).flatten(1, 2),
    ],
    "decode_step": [decoded_in_pairs],
    "error_bars": [
        lambda quality: (quality.mean(1), quality.std(1) / np.sqrt(quality.shape[1])),
        lambda quality: (quality.mean(axis=1), quality.std(axis=1, ddof=1) / len(quality[0]) ** 0.5),
        lambda quality: (np.mean(quality.numpy(), 1), np.std(quality.numpy(), 1, ddof=1) / np.sqrt(len(quality[0]))),
    ],
    "most_heads": [most],
    "head_importance": [importance_by_autograd],
    "within_reach": [lambda right, width: (np.subtract(*np.nonzero(right.numpy())) < width).mean()[None]],
    "rms_norm": [lambda x, gain, eps: x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * gain],
    "add_block": [
        lambda largest, total, summed, scores, values: (
            (new := np.maximum(largest, scores.max(1))),
            total * (shrink := np.exp(largest - new)) + (weights := np.exp(scores - new[:, None])).sum(1),
            summed * shrink[:, None] + weights @ values,
        ),
    ],
}


@pytest.mark.parametrize("exercise, answer", [(name, each) for name, answers in ANSWERS.items() for each in answers])
def test_a_right_answer_passes_however_it_is_written(exercise, answer):
    result = getattr(checks, exercise)(answer)
    assert result.passed, result


def test_an_answer_in_half_precision_passes_with_a_remark_and_a_wrong_one_does_not():
    def in_half(query, key, value, mask):
        return masked(query.bfloat16(), key.bfloat16(), value.bfloat16(), mask)

    result = checks.masked_attention(in_half)
    assert result.passed and "in bfloat16: they are right to its two or three digits" in result.lines[0]
    for name in ANSWERS:
        task, cases = getattr(checks, name), getattr(checks, name).cases()
        targets = [task.run(task.solution, case) for case in cases]
        for mistake, message in task.mistakes:
            each = zip(cases, targets)
            assert any(task.gaps(task.run(halved(mistake), case), right, case) for case, right in each), message


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [name for name in checks.__all__ if hasattr(getattr(checks, name), "cases")])
def test_a_solution_that_runs_in_half_precision_passes(name, dtype):
    task = getattr(checks, name)

    def in_half(*given):
        halves = (isinstance(x, torch.Tensor) and x.is_floating_point() for x in given)
        return task.solution(*(x.to(dtype) if half else x for x, half in zip(given, halves)))

    assert task(in_half).passed


def halved(function):
    """The function with its result in bfloat16, where that is a result of a known mistake."""

    def half(*given):
        result = function(*given)
        each = [torch.as_tensor(x) for x in (result if isinstance(result, tuple) else (result,))]
        each = [x.bfloat16() if x.is_floating_point() else x for x in each]
        return tuple(each) if isinstance(result, tuple) else each[0]

    return half


def test_an_answer_that_lets_mha_lab_do_the_work_passes_with_a_remark():
    from mha_lab import attention

    result = checks.masked_attention(lambda query, key, value, mask: attention(query, key, value, mask=mask))
    assert result.passed and "The work is done by mha_lab's `attention`." in result.lines[0]
    assert "mha_lab's" not in repr(checks.masked_attention(masked))


def defaults(dtype=torch.float32, device="cpu"):
    torch.set_default_dtype(dtype)
    torch.set_default_device(device)


@pytest.fixture
def plain_defaults():
    yield
    defaults()
    torch.set_default_device(None)


@pytest.mark.parametrize("dtype, device", [("float64", "cpu"), ("float16", "cpu"), ("bfloat16", "meta")])
def test_the_cases_do_not_depend_on_what_the_notebook_has_set(dtype, device, plain_defaults):
    defaults(getattr(torch, dtype), device)
    for name in checks.__all__:
        task = getattr(checks, name)
        if hasattr(task, "cases"):
            assert task(as_a_learner(task.solution)).passed, name
    assert checks.causal_mask(lambda n: torch.ones(n, n).tril() > 0).passed
    assert torch.get_default_dtype() == getattr(torch, dtype) and torch.ones(1).device.type == device


def test_numpy_does_not_warn_of_the_tensors_that_come_first(recwarn):
    assert checks.rms_norm(ANSWERS["rms_norm"][0]).passed
    assert checks.add_block(ANSWERS["add_block"][0]).passed
    assert not [each for each in recwarn if issubclass(each.category, DeprecationWarning)]


def test_modes_that_are_on_make_no_difference():
    modes = [torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)]
    for mode in [*modes, np.errstate(all="raise")]:
        with mode:
            assert checks.head_importance(importance_by_autograd).passed
            assert checks.multi_head_attention(layer_in_numpy).passed
