"""Every exercise: our solution passes, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner, no_two_mistakes_are_one
from torch.nn import functional as F

from mha_lab import checks, pretrained

EXERCISES = {name: getattr(checks, name) for name in checks.__all__}
OWN_FILE = {path.stem.removeprefix("test_checks_") for path in Path(__file__).parent.glob("test_checks_lesson*.py")}
BY_FUNCTION = {
    name: exercise
    for name, exercise in EXERCISES.items()
    if hasattr(exercise, "mistakes") and exercise.solution.__module__.split(".")[-1].split("_")[0] not in OWN_FILE
}
WRONG = {}  # (exercise, mistake) -> a learner's function; several under one name are ways to the same mistake


def wrong(exercise, mistake):
    def register(function):
        WRONG.setdefault((exercise, mistake), []).append(function)
        return function

    return register


# ------------------------------------------------------------------------------------------------- 01: one query


@wrong("one_query", "no_scale")
def _(query, keys, values):
    weights = F.softmax(torch.mv(keys, query), dim=-1)
    return (weights[:, None] * values).sum(0)


@wrong("one_query", "no_scale")
def _(query, keys, values):
    scores = np.array([np.dot(query, k) for k in keys])
    weights = np.exp(scores) / np.exp(scores).sum()
    return sum(w * v for w, v in zip(weights, values))


@wrong("one_query", "weights_for_the_output")
def _(query, keys, values):
    powers = torch.exp(keys @ query / math.sqrt(len(query)))
    return powers / powers.sum()


@wrong("causal_mask", "nothing_hidden")
def _(n):
    return torch.full((n, n), True)


@wrong("head_weights", "_as_wide_as_minilms")
def _(query, key, head, num_heads):
    q, k = query[:, 96:128], key[:, 96:128]
    return F.softmax(q @ k.T / math.sqrt(32), dim=-1)


@wrong("head_weights", "_as_wide_as_minilms")
def _(query, key, head, num_heads):
    q, k = (each[:, 32 * head : 32 * head + 32] for each in (query, key))
    return F.softmax(q @ k.T / 32**0.5, dim=-1)


@wrong("one_query", "scaled_by_k")
def _(query, keys, values):
    K = query.numel()
    return torch.softmax(torch.einsum("k,sk->s", query, keys) / K, 0) @ values


@wrong("one_query", "scale_upside_down")
def _(query, keys, values):
    return torch.softmax(keys @ query * math.sqrt(len(query)), 0) @ values


@wrong("one_query", "no_softmax")
def _(query, keys, values):
    scores = (query * keys).sum(-1) / math.sqrt(keys.shape[1])
    return torch.einsum("s,sv->v", scores, values)


@wrong("one_query", "no_exponential")
def _(query, keys, values):
    scores = (query * keys).sum(-1) / math.sqrt(keys.shape[1])
    weights = scores / torch.sum(scores)
    return weights @ values


@wrong("one_query", "softmax_over_the_wrong_axis")
def _(query, keys, values):
    scores = query.unsqueeze(0) @ keys.T / math.sqrt(keys.shape[1])  # (1, S)
    return (torch.softmax(scores, dim=0) @ values).squeeze(0)


@wrong("one_query", "weights_on_the_keys")
def _(query, keys, values):
    return F.softmax(keys @ query / math.sqrt(keys.shape[1]), dim=0) @ keys


@wrong("one_query", "root_of_four")
def _(query, keys, values):
    return F.softmax(keys @ query / np.sqrt(4), dim=0) @ values


@wrong("one_query", "scaled_by_the_number_of_keys_here")
def _(query, keys, values):
    return F.softmax(keys @ query / math.sqrt(keys.shape[0]), dim=0) @ values


@wrong("one_query", "half_of_k")
def _(query, keys, values):
    return F.softmax(keys @ query / len(query) ** 1 / 2, dim=0) @ values


@wrong("one_query", "k_over_two")
def _(query, keys, values):
    scale = len(query) ** 1 / 2
    return F.softmax(keys @ query / scale, dim=0) @ values


@wrong("one_query", "mean_for_the_dot_product")
def _(query, keys, values):
    return F.softmax((keys * query).mean(1) / math.sqrt(len(query)), dim=0) @ values


@wrong("one_query", "averaged_once_more")
def _(query, keys, values):
    weights = F.softmax(keys @ query / math.sqrt(len(query)), dim=0)
    return (weights[:, None] * values).mean(0)


@wrong("one_query", "only_the_best")
def _(query, keys, values):
    return values[torch.argmax(keys @ query / math.sqrt(len(query)))]


@wrong("one_query", "_not_shared_out")
def _(query, keys, values):
    return torch.exp(keys @ query / math.sqrt(len(query))) @ values


@wrong("one_query", "_not_shared_out")
def _(query, keys, values):
    return sum(math.exp(keys[i] @ query) * values[i] for i in range(len(keys)))


@wrong("one_query", "all_weights_alike")
def _(query, keys, values):
    return torch.ones(len(keys)) / len(keys) @ values


@wrong("one_query", "scaled_after_the_softmax")
def _(query, keys, values):
    return F.softmax(keys @ query, dim=0) / math.sqrt(len(query)) @ values


@wrong("one_query", "scaled_twice")
def _(query, keys, values):
    weights = F.softmax(keys @ query / math.sqrt(len(query)), dim=0) / math.sqrt(len(query))
    return weights @ values


# ---------------------------------------------------------------------------------------------- 01: causal mask


@wrong("causal_mask", "inverted")
def _(n):
    i = torch.arange(n)
    return i[None] > i[:, None]


@wrong("causal_mask", "future_instead_of_past")
def _(n):
    i = np.arange(n)
    return i[None] >= i[:, None]


@wrong("causal_mask", "without_itself")
def _(n):
    return torch.tensor([[key < query for key in range(n)] for query in range(n)])


@wrong("causal_mask", "zeros_and_ones")
def _(n):
    return np.tri(n)


@wrong("causal_mask", "zeros_and_ones")
def _(n):
    return torch.tril(torch.ones(n, n, dtype=torch.int64))


@wrong("causal_mask", "zeros_and_minus_infinity")
def _(n):
    return torch.zeros(n, n).masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf"))


@wrong("causal_mask", "one_diagonal_too_many")
def _(n):
    return np.arange(n)[None, :] <= np.arange(n)[:, None] + 1


# ------------------------------------------------------------------------------------------ 01: masked attention


def learners_scores(query, key):
    return torch.einsum("nk,sk->ns", query, key) / math.sqrt(key.shape[-1])


@wrong("masked_attention", "mask_inverted")
def _(query, key, value, mask):
    scores = learners_scores(query, key)
    scores[mask] = -1e9
    weights = F.softmax(scores, dim=1)
    return weights @ value, weights


@wrong("masked_attention", "masked_after_softmax")
def _(query, key, value, mask):
    weights = F.softmax(learners_scores(query, key), dim=1)
    weights = torch.where(mask, weights, 0.0)
    return weights @ value, weights


@wrong("masked_attention", "score_zero")
def _(query, key, value, mask):
    weights = F.softmax(learners_scores(query, key).masked_fill(~mask, 0), dim=1)
    return weights @ value, weights


@wrong("masked_attention", "multiplied_by_infinity")
def _(query, key, value, mask):
    scores = learners_scores(query, key) + (1 - mask.float()) * float("-inf")
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


@wrong("masked_attention", "softmax_over_queries")
def _(query, key, value, mask):
    scores = torch.where(mask, learners_scores(query, key), float("-inf"))
    weights = F.softmax(scores, dim=0)
    return weights @ value, weights


@wrong("masked_attention", "softmax_over_queries")
def _(query, key, value, mask):
    scores = torch.where(mask, learners_scores(query, key), -1e9)
    weights = F.softmax(scores, dim=0)
    return weights @ value, weights


@wrong("masked_attention", "mask_forgotten")
def _(query, key, value, mask):
    weights = F.softmax(learners_scores(query, key), dim=1)
    return weights @ value, weights


@wrong("masked_attention", "mask_added_as_numbers")
def _(query, key, value, mask):
    weights = F.softmax(learners_scores(query, key) + mask.float(), dim=1)
    return weights @ value, weights


@wrong("masked_attention", "mask_added_as_numbers")
def _(query, key, value, mask):
    eye, additive = torch.eye(len(key)), mask.float()
    return (
        F.scaled_dot_product_attention(query, key, value, attn_mask=additive),
        F.scaled_dot_product_attention(query, key, eye, attn_mask=additive),
    )


@wrong("masked_attention", "mask_transposed")
def _(query, key, value, mask):
    weights = F.softmax(learners_scores(query, key).masked_fill(~mask.T, -torch.inf), dim=1)
    return weights @ value, weights


@wrong("masked_attention", "masked_without_scale")
def _(query, key, value, mask):
    return F.scaled_dot_product_attention(query, key, value, mask, scale=1.0), torch.softmax(
        torch.where(mask, query @ key.T, -math.inf), -1
    )


@wrong("masked_attention", "masked_and_scaled_by_k")
def _(query, key, value, mask):
    weights = torch.softmax(torch.where(mask, query @ key.T / key.shape[1], -math.inf), -1)
    return weights @ value, weights


@wrong("masked_attention", "scaled_by_the_number_of_keys")
def _(query, key, value, mask):
    weights = torch.softmax(torch.where(mask, query @ key.T / math.sqrt(key.shape[0]), -math.inf), -1)
    return weights @ value, weights


@wrong("masked_attention", "weights_first")
def _(query, key, value, mask):
    weights = torch.softmax(torch.where(mask, learners_scores(query, key), -math.inf), -1)
    return weights, weights @ value


@wrong("masked_attention", "_scores_as_weights")
def _(query, key, value, mask):
    scores = torch.where(mask, learners_scores(query, key), -math.inf)
    return F.softmax(scores, dim=-1) @ value, scores


@wrong("masked_attention", "log_weights")
def _(query, key, value, mask):
    scores = torch.where(mask, learners_scores(query, key), -math.inf)
    return F.softmax(scores, dim=-1) @ value, F.log_softmax(scores, dim=-1)


@wrong("masked_attention", "averaged_with_log_weights")
def _(query, key, value, mask):
    weights = F.log_softmax(torch.where(mask, learners_scores(query, key), -math.inf), dim=-1)
    return weights @ value, weights


# ----------------------------------------------------------------------------------------------- 01: temperature


def bisect(entropy, wanted, steps=40, low=0.01, high=100.0):
    for _ in range(steps):
        middle = (low + high) / 2
        if entropy(middle) < wanted:
            low = middle
        else:
            high = middle
    return middle


def learners_entropy(weights, log=math.log):
    return -sum(float(w) * log(float(w)) for w in weights if w > 0)


@wrong("temperature", "entropy_in_bits")
def _(scores, target_entropy):
    return bisect(lambda t: learners_entropy(F.softmax(scores / t, 0), math.log2), target_entropy)


@wrong("temperature", "temperature_multiplies")
def _(scores, target_entropy):
    return bisect(lambda t: -learners_entropy(F.softmax(scores * t, 0)), -target_entropy)


@wrong("temperature", "entropy_returned")
def _(scores, target_entropy):
    t = bisect(lambda t: learners_entropy(F.softmax(scores / t, 0)), target_entropy)
    return learners_entropy(F.softmax(scores / t, 0))


@wrong("temperature", "_search_that_ends")
def _(scores, target_entropy):
    return bisect(lambda t: learners_entropy(F.softmax(scores / t, 0)), target_entropy, high=5.0)


@wrong("temperature", "_search_that_ends")
def _(scores, target_entropy):
    grid = torch.arange(0.0005, 5.0, 0.0005)
    entropies = torch.special.entr((scores[:, None] / grid).softmax(0)).sum(0)
    return grid[(entropies - target_entropy).abs().argmin()]


@wrong("temperature", "_search_that_begins")
def _(scores, target_entropy):
    return bisect(lambda t: learners_entropy(F.softmax(scores / t, 0)), target_entropy, low=0.1)


@wrong("temperature", "_search_between")
def _(scores, target_entropy):
    return bisect(lambda t: learners_entropy(F.softmax(scores / t, 0)), target_entropy, low=0.1, high=5.0)


@pytest.mark.parametrize("limit", [10, 20, 50])
def test_a_search_that_ends_too_early_is_told_its_own_end(limit):
    def temperature(scores, target_entropy):
        return bisect(lambda t: learners_entropy(F.softmax(scores / t, 0)), target_entropy, high=float(limit))

    line = checks.temperature(temperature).lines[0]
    assert line.startswith(f"Your search ends at {limit}, and the answer lies higher.")


# ----------------------------------------------------------------------------------- 01: one head of a trained layer


def cut_out(tensor, head, num_heads):
    K = tensor.shape[1] // num_heads
    return tensor[:, head * K : head * K + K]


def learners_map(query, key, divisor, dim=-1):
    return F.softmax(torch.einsum("ik,jk->ij", query, key) / divisor, dim=dim)


def one_head(query, key, head, num_heads):
    return cut_out(query, head, num_heads), cut_out(key, head, num_heads)


@wrong("head_weights", "scaled_by_d_model")
def _(query, key, head, num_heads):
    return learners_map(*one_head(query, key, head, num_heads), math.sqrt(query.shape[1]))


@wrong("head_weights", "head_without_scale")
def _(query, key, head, num_heads):
    return learners_map(*one_head(query, key, head, num_heads), 1)


@wrong("head_weights", "head_scaled_by_its_width")
def _(query, key, head, num_heads):
    return learners_map(*one_head(query, key, head, num_heads), query.shape[1] // num_heads)


@wrong("head_weights", "_of_all_columns")
def _(query, key, head, num_heads):
    return learners_map(query, key, query.shape[1] ** 0.5)


@wrong("head_weights", "_of_all_columns")
def _(query, key, head, num_heads):
    return learners_map(query, key, (query.shape[1] // num_heads) ** 0.5)


@wrong("head_weights", "every_nth_column")
def _(query, key, head, num_heads):
    N, D = query.shape
    q, k = (tensor.view(N, D // num_heads, num_heads)[:, :, head] for tensor in (query, key))
    return learners_map(q, k, math.sqrt(D // num_heads))


@wrong("head_weights", "always_the_first_head")
def _(query, key, head, num_heads):
    K = query.shape[1] // num_heads
    return learners_map(query[:, :K], key[:, :K], K**0.5)


@wrong("head_weights", "_next_head")
def _(query, key, head, num_heads):
    K = query.shape[1] // num_heads
    return learners_map(query[:, head * K - K : head * K], key[:, head * K - K : head * K], K**0.5)


@wrong("head_weights", "_next_head")
def _(query, key, head, num_heads):
    K = query.shape[1] // num_heads
    return learners_map(query[:, head * K + K :][:, :K], key[:, head * K + K :][:, :K], K**0.5)


@wrong("head_weights", "_as_many_columns_as_heads")
def _(query, key, head, num_heads):
    q, k = query.split(num_heads, dim=1)[head], key.split(num_heads, dim=1)[head]
    return learners_map(q, k, num_heads**0.5)


@wrong("head_weights", "_as_many_columns_as_heads")
def _(query, key, head, num_heads):
    q, k = query.split(num_heads, dim=1)[head], key.split(num_heads, dim=1)[head]
    return learners_map(q, k, (query.shape[1] / num_heads) ** 0.5)


@wrong("head_weights", "head_softmax_over_queries")
def _(query, key, head, num_heads):
    return learners_map(*one_head(query, key, head, num_heads), (query.shape[1] / num_heads) ** 0.5, dim=0)


@wrong("head_weights", "looked_at_for_looking")
def _(query, key, head, num_heads):
    return learners_map(*one_head(key, query, head, num_heads), (query.shape[1] / num_heads) ** 0.5)


@wrong("head_weights", "head_scores")
def _(query, key, head, num_heads):
    q, k = one_head(query, key, head, num_heads)
    return q @ k.T / math.sqrt(q.shape[1])


def test_the_trained_head_is_drawn_and_told_from_the_learners_weights():
    recording, task = pretrained.recorded()[0], checks.head_weights
    said = task(as_a_learner(task.solution))
    drawn = said.picture().axes[0].images[0].get_array()
    assert abs(drawn - recording.weights[pretrained.PROJECTION_LAYER, 3].numpy()).max() < 2e-5
    row = dict(zip(recording.tokens, drawn[recording.tokens.index("it")]))
    assert max(row, key=row.get) == "suitcase" and f"*suitcase*, with {row['suitcase']:.2f}" in said.lines[-1]
    wrong = task(WRONG["head_weights", "always_the_first_head"][0])
    assert [ax.get_title(loc="left") for ax in wrong.picture().axes[:2]] == ["yours", "the target"]


# ---------------------------------------------------------------------------------------- 02: split, merge heads


@wrong("split_heads", "plain_view")
def _(x, num_heads):
    return x.view(x.size(0), num_heads, x.size(1), -1)


@wrong("split_heads", "heads_outermost")
def _(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1))


@wrong("split_heads", "not_transposed")
def _(x, num_heads):
    return x.unflatten(-1, (num_heads, -1))


@wrong("split_heads", "interleaved_columns")
def _(x, num_heads):
    return torch.stack([x[:, :, head::num_heads] for head in range(num_heads)], dim=1)


@wrong("split_heads", "d_model_for_each_head")
def _(x, num_heads):
    return torch.stack([x for _ in range(num_heads)], dim=1)


@wrong("split_heads", "num_heads_taken_for_a_width")
def _(x, num_heads):
    return torch.stack(x.split(num_heads, -1), 1)


@wrong("split_heads", "_first_for_all")
def _(x, num_heads):
    return torch.stack(x[0].chunk(num_heads, -1))[None]


@wrong("split_heads", "_first_for_all")
def _(x, num_heads):
    return torch.stack([torch.stack(x[0].chunk(num_heads, -1)) for _ in x])


# -------------------------------------------------------------------------------------------- 02: scores of heads


def cut(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).permute(0, 2, 1, 3)


@wrong("multi_head_scores", "scaled_by_d_model")
def _(query, key, num_heads):
    return torch.einsum("bhnk,bhsk->bhns", cut(query, num_heads), cut(key, num_heads)) / math.sqrt(query.size(-1))


@wrong("multi_head_scores", "scores_without_scale")
def _(query, key, num_heads):
    return torch.einsum("bhnk,bhsk->bhns", cut(query, num_heads), cut(key, num_heads))


@wrong("multi_head_scores", "scores_over_d_head")
def _(query, key, num_heads):
    return cut(query, num_heads) @ cut(key, num_heads).mT / (query.shape[-1] // num_heads)


@wrong("multi_head_scores", "scores_times_the_root")
def _(query, key, num_heads):
    return cut(query, num_heads) @ cut(key, num_heads).mT * math.sqrt(query.shape[-1] // num_heads)


@wrong("multi_head_scores", "scaled_by_the_number_of_heads")
def _(query, key, num_heads):
    return cut(query, num_heads) @ cut(key, num_heads).mT / math.sqrt(num_heads)


@wrong("multi_head_scores", "scores_of_a_plain_view")
def _(query, key, num_heads):
    B, N, D = query.shape
    S, K = key.shape[1], D // num_heads
    return query.view(B, num_heads, N, K) @ key.view(B, num_heads, S, K).transpose(-2, -1) / math.sqrt(K)


@wrong("multi_head_scores", "softmaxed_already")
def _(query, key, num_heads):
    q, k = cut(query, num_heads), cut(key, num_heads)
    return F.softmax(q @ k.transpose(2, 3) / math.sqrt(q.size(-1)), dim=-1)


@wrong("multi_head_scores", "keys_as_rows")
def _(query, key, num_heads):
    q, k = cut(query, num_heads), cut(key, num_heads)
    return k @ q.transpose(2, 3) / math.sqrt(q.size(-1))


@wrong("multi_head_scores", "one_head_over_the_whole_width")
def _(query, key, num_heads):
    return torch.bmm(query, key.transpose(1, 2)) / math.sqrt(query.size(-1) // num_heads)


@wrong("multi_head_scores", "width_taken_from_num_heads")
def _(query, key, num_heads):
    query, key = (torch.stack(x.split(num_heads, -1), 1) for x in (query, key))
    return query @ key.mT / math.sqrt(query.size(-1))


# ---------------------------------------------------------------------------------------------- 02: pseudo-code


@wrong("mended_pseudo_code", "_published")
def _(Q, K, V, h):
    B, L, d_model = Q.shape
    d_k = d_model // h
    Q = Q.view(B, L, h, d_k)
    K = K.view(B, L, h, d_k).permute(0, 2, 3, 1)
    V = V.view(B, L, h, d_k).transpose(1, 2)
    weights = torch.softmax(Q @ K / d_k**0.5, dim=-1)
    return (weights @ V).transpose(1, 2).reshape(B, L, d_model)


@wrong("mended_pseudo_code", "_published")
def _(Q, K, V, h):
    B, L, d_model = Q.shape
    Q, K, V = (x.unflatten(-1, (h, -1)) for x in (Q, K, V))
    weights = torch.softmax(Q @ K.permute(0, 2, 3, 1) / Q.shape[-1] ** 0.5, dim=-1)
    return (weights @ V).reshape(B, L, d_model)


@wrong("mended_pseudo_code", "not_transposed_back")
def _(Q, K, V, h):
    heads = F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(V, h))
    return heads.reshape(Q.shape)


@wrong("mended_pseudo_code", "mended_but_scaled_by_d_model")
def _(Q, K, V, h):
    heads = F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(V, h), scale=1 / math.sqrt(Q.size(-1)))
    return heads.transpose(1, 2).flatten(2)


@wrong("mended_pseudo_code", "_mended_with_a_plain_view")
def _(Q, K, V, h):
    B, L, d_model = Q.shape
    return F.scaled_dot_product_attention(*(x.view(B, h, L, d_model // h) for x in (Q, K, V))).view(B, L, d_model)


@wrong("mended_pseudo_code", "keys_for_values")
def _(Q, K, V, h):
    return F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(K, h)).transpose(1, 2).flatten(2)


@wrong("mended_pseudo_code", "_mended_with_a_plain_view")
def _(Q, K, V, h):
    B, L, d_model = Q.shape
    heads = F.scaled_dot_product_attention(*(x.reshape(B, h, L, d_model // h) for x in (Q, K, V)))
    return heads.transpose(1, 2).flatten(2)


@wrong("mended_pseudo_code", "heads_attend_to_heads")
def _(Q, K, V, h):
    B, L, d_model = Q.shape
    Q, K, V = Q.view(B, L, h, -1), K.view(B, L, h, -1), V.view(B, L, h, -1)
    return F.scaled_dot_product_attention(Q, K, V).reshape(B, L, d_model)


@wrong("mended_pseudo_code", "heads_attend_to_heads")
def _(Q, K, V, h):
    B, N, d_model = Q.shape
    Q, V = Q.view(B, N, h, -1), V.view(B, N, h, -1)
    K = K.view(B, N, h, -1).permute(0, 1, 3, 2)
    weights = (Q @ K / (d_model // h) ** 0.5).softmax(dim=-1)
    return (weights @ V).transpose(1, 2).reshape(B, N, d_model)


@wrong("mended_pseudo_code", "only_the_queries_by_a_plain_view")
def _(Q, K, V, h):
    B, N, d_model = Q.shape
    heads = F.scaled_dot_product_attention(Q.view(B, h, N, d_model // h), cut(K, h), cut(V, h))
    return heads.transpose(1, 2).reshape(B, N, d_model)


@wrong("mended_pseudo_code", "mended_and_causal")
def _(Q, K, V, h):
    heads = F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(V, h), is_causal=True)
    return heads.transpose(1, 2).flatten(2)


@wrong("mended_pseudo_code", "mended_without_scale")
def _(Q, K, V, h):
    heads = F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(V, h), scale=1.0)
    return heads.transpose(1, 2).flatten(2)


@wrong("mended_pseudo_code", "mended_with_softmax_over_queries")
def _(Q, K, V, h):
    q, k, v = cut(Q, h), cut(K, h), cut(V, h)
    weights = F.softmax(q @ k.mT / math.sqrt(q.size(-1)), dim=2)
    return (weights @ v).transpose(1, 2).flatten(2)


# ------------------------------------------------------------------------------------------- 03: the whole layer


def learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, heads_of=lambda x, h: cut(x, h), **softmax):
    """Every head's output (B, H, N, K) and weights, through PyTorch's functions."""
    query, key, value = heads_of(x @ W_q, num_heads), heads_of(x @ W_k, num_heads), heads_of(x @ W_v, num_heads)
    eye = torch.eye(x.shape[1]).expand(*query.shape[:3], -1)
    heads = F.scaled_dot_product_attention(query, key, value, mask, **softmax)
    return heads, F.scaled_dot_product_attention(query, key, eye, mask, **softmax)


def learners_output(heads, W_o):
    return torch.cat(list(heads.unbind(1)), -1) @ W_o


@wrong("multi_head_attention", "without_w_o")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return torch.cat(list(heads.unbind(1)), -1), weights


@wrong("multi_head_attention", "merged_without_transpose")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return heads.reshape(x.shape) @ W_o, weights


@wrong("multi_head_attention", "_split_with_a_plain_view")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    plain = lambda x, h: x.view(len(x), h, x.shape[1], -1)  # noqa: E731
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, plain)
    return heads.reshape(x.shape) @ W_o, weights


@wrong("multi_head_attention", "_split_with_a_plain_view")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    B, N, D = x.shape
    plain = lambda x, h: x.view(B, h, N, D // h)  # noqa: E731
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, plain)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "interleaved_columns")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    every_nth = lambda x, h: torch.stack([x[..., i::h] for i in range(h)], 1)  # noqa: E731
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, every_nth)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "scaled_by_d_model")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=1 / math.sqrt(x.size(-1)))
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "without_scale")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=1.0)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "softmax_over_queries")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    query, key, value = (cut(x @ W, num_heads) for W in (W_q, W_k, W_v))
    scores = torch.einsum("bhnk,bhsk->bhns", query, key) / math.sqrt(query.size(-1))
    weights = torch.softmax(torch.where(mask, scores, -math.inf), dim=2)
    return learners_output(weights @ value, W_o), weights


@wrong("multi_head_attention", "_mask_turned_round")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: s.masked_fill(mask, -1e9).softmax(-1))


@wrong("multi_head_attention", "_mask_turned_round")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: (s + mask * torch.finfo(s.dtype).min).softmax(-1))


@wrong("multi_head_attention", "scores_for_weights")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    output, _ = softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: torch.where(mask, s, -math.inf).softmax(-1))
    _, scores = softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: torch.where(mask, s, -math.inf))
    return output, scores


@wrong("multi_head_attention", "log_weights")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    output, weights = softmaxed(
        x, W_q, W_k, W_v, W_o, num_heads, lambda s: torch.where(mask, s, -math.inf).log_softmax(-1)
    )
    value = cut(x @ W_v, num_heads)
    return learners_output(weights.exp() @ value, W_o), weights


@wrong("multi_head_attention", "averaged_with_log_weights")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: torch.where(mask, s, -math.inf).log_softmax(-1))


@wrong("multi_head_attention", "_mask_turned_round")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    query, key, value = (cut(x @ W, num_heads) for W in (W_q, W_k, W_v))
    scores = query @ key.transpose(2, 3) / math.sqrt(query.size(-1))
    weights = scores.masked_fill(mask, -math.inf).softmax(3)  # a row that may look everywhere becomes NaN
    return learners_output(weights @ value, W_o), weights


@wrong("multi_head_attention", "mask_forgotten")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, None)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "matrices_transposed")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    query, key, value = (cut(F.linear(x, W), num_heads) for W in (W_q, W_k, W_v))
    weights = F.softmax(torch.where(mask, query @ key.mT / math.sqrt(query.size(-1)), -math.inf), dim=-1)
    return F.linear((weights @ value).transpose(1, 2).flatten(2), W_o), weights


def softmaxed(x, W_q, W_k, W_v, W_o, num_heads, weigh):
    """The layer with a learner's own way from scores to weights."""
    query, key, value = (cut(x @ W, num_heads) for W in (W_q, W_k, W_v))
    weights = weigh(query @ key.transpose(2, 3) / math.sqrt(query.size(-1)))
    return learners_output(weights @ value, W_o), weights


@wrong("multi_head_attention", "flattened_as_they_stand")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return heads.flatten(2) @ W_o, weights


@wrong("multi_head_attention", "values_through_w_k")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_k, W_o, num_heads, mask)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "values_through_w_q")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_q, W_o, num_heads, mask)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "values_not_projected")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    _, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return learners_output(weights @ cut(x, num_heads), W_o), weights


@wrong("multi_head_attention", "w_o_transposed")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return F.linear(heads.transpose(1, 2).flatten(2), W_o), weights


@wrong("multi_head_attention", "first_three_transposed")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q.t(), W_k.t(), W_v.t(), W_o, num_heads, mask)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "residual_added")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return x + learners_output(heads, W_o), weights


@wrong("multi_head_attention", "_added_up")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return heads.sum(1), weights


@wrong("multi_head_attention", "_added_up")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return sum(heads.unbind(1)) @ W_o[: heads.shape[-1]], weights


@wrong("multi_head_attention", "keys_ask")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    query, key, value = (cut(x @ W, num_heads) for W in (W_q, W_k, W_v))
    scores = key @ query.transpose(2, 3) / math.sqrt(query.size(-1))
    weights = scores.masked_fill(~mask, -math.inf).softmax(3)
    return learners_output(weights @ value, W_o), weights


@wrong("multi_head_attention", "scaled_by_d_head")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=num_heads / x.shape[-1])
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "scaled_by_the_number_of_heads")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask, scale=num_heads**-0.5)
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "softmax_over_heads")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: F.softmax(s.masked_fill(~mask, -math.inf), 1))


@wrong("multi_head_attention", "score_zero")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: s.masked_fill(~mask, 0).softmax(-1))


@wrong("multi_head_attention", "mask_added_as_numbers")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: (s + mask).softmax(-1))


@wrong("multi_head_attention", "masked_after_softmax")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    return softmaxed(x, W_q, W_k, W_v, W_o, num_heads, lambda s: s.softmax(-1).masked_fill(~mask, 0))


@wrong("multi_head_attention", "mask_transposed")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask.t().contiguous())
    return learners_output(heads, W_o), weights


@wrong("multi_head_attention", "own_causal_mask")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    N = x.shape[1]
    return softmaxed(
        x, W_q, W_k, W_v, W_o, num_heads, lambda s: torch.where(torch.ones(N, N).tril() == 0, -1e9, s).softmax(-1)
    )


@wrong("multi_head_attention", "_each_piece_projected")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    pieces = cut(x, num_heads)
    K = pieces.shape[-1]
    query, key, value = (pieces @ W[:K, :K] for W in (W_q, W_k, W_v))
    weights = (query @ key.mT / math.sqrt(K)).masked_fill(~mask, -math.inf).softmax(-1)
    return learners_output(weights @ value, W_o), weights


@wrong("multi_head_attention", "weights_averaged")
def _(x, W_q, W_k, W_v, W_o, num_heads, mask):
    heads, weights = learners_layer(x, W_q, W_k, W_v, W_o, num_heads, mask)
    return learners_output(heads, W_o), weights.sum(1) / num_heads


# ------------------------------------------------------------------------------------------- 03: W^O as a sum


@wrong("output_as_a_sum", "the_sum_itself")
def _(heads, W_o):
    return torch.cat(list(heads.unbind(1)), -1) @ W_o


@wrong("output_as_a_sum", "interleaved_rows")
def _(heads, W_o):
    H = heads.shape[1]
    return torch.stack([heads[:, i] @ W_o[i::H] for i in range(H)], 1)


@wrong("output_as_a_sum", "transposed_before_the_cut")
def _(heads, W_o):
    _, H, _, K = heads.shape
    return torch.einsum("bhnk,hkd->bhnd", heads, W_o.T.contiguous().view(H, K, -1))


@wrong("output_as_a_sum", "cut_and_transposed")
def _(heads, W_o):
    _, H, _, K = heads.shape
    return heads @ W_o.view(H, W_o.size(1), K).transpose(1, 2)


@wrong("output_as_a_sum", "everybody_gets_the_first_rows")
def _(heads, W_o):
    return torch.einsum("bhnk,kd->bhnd", heads, W_o[: heads.size(-1)])


@wrong("output_as_a_sum", "equal_shares")
def _(heads, W_o):
    H = heads.shape[1]
    return torch.stack([torch.cat(list(heads.unbind(1)), -1) @ W_o] * H, 1) / H


@wrong("output_as_a_sum", "heads_in_front")
def _(heads, W_o):
    H, K = heads.shape[1], heads.shape[3]
    return torch.stack([heads[:, i] @ W_o[i * K : (i + 1) * K] for i in range(H)])


@wrong("output_as_a_sum", "_first_for_all")
def _(heads, W_o):
    K = heads.shape[3]
    return torch.stack([head @ W_o[i * K : (i + 1) * K] for i, head in enumerate(heads[0])])[None]


@wrong("output_as_a_sum", "_first_for_all")
def _(heads, W_o):
    K = heads.shape[3]
    return torch.stack(
        [torch.stack([head @ W_o[i * K : (i + 1) * K] for i, head in enumerate(heads[0])]) for _ in heads]
    )


# ---------------------------------------------------------------------------------------- 03: the inverted mask


@wrong("repaired_mask", "both_must_forbid")
def _(allowed, is_word):
    return torch.logical_not(allowed)[None] & torch.logical_not(is_word).unsqueeze(1)


@wrong("repaired_mask", "not_turned_round")
def _(allowed, is_word):
    return torch.logical_and(allowed[None], is_word[:, None, :])


@wrong("repaired_mask", "only_allowed_turned_round")
def _(allowed, is_word):
    return torch.logical_or(~allowed, is_word.unsqueeze(1))


@wrong("repaired_mask", "only_is_word_turned_round")
def _(allowed, is_word):
    return torch.logical_or(allowed, ~is_word.unsqueeze(1))


@wrong("repaired_mask", "padding_as_queries")
def _(allowed, is_word):
    return ~allowed | ~is_word.unsqueeze(-1)


@wrong("repaired_mask", "padding_forgotten")
def _(allowed, is_word):
    return torch.stack([~allowed for _ in is_word])


@wrong("repaired_mask", "order_forgotten")
def _(allowed, is_word):
    return torch.stack([~words.expand(allowed.shape) for words in is_word])


@wrong("repaired_mask", "zeros_and_minus_infinity")
def _(allowed, is_word):
    return torch.where(allowed & is_word[:, None], 0.0, -math.inf)


# ------------------------------------------------------------------------------------------------- the promises


def messages(exercise):
    """The message of each known mistake, by the name of the function that computes it."""
    return {getattr(f, "__name__", None) or f.func.__name__: message for f, message in BY_FUNCTION[exercise].mistakes}


@pytest.mark.parametrize("exercise, mistake", WRONG)
def test_a_wrong_answer_gets_the_question_that_leads_on(exercise, mistake):
    for learners in WRONG[exercise, mistake]:
        result = EXERCISES[exercise](learners)
        assert not result.passed and result.state == "wrong"
        assert result.lines[0] == messages(exercise)[mistake]


@pytest.mark.parametrize("exercise", BY_FUNCTION)
def test_every_known_mistake_has_its_own_message_and_a_learner_who_makes_it(exercise):
    named = messages(exercise)
    assert len(named) >= 3
    assert len(set(named.values())) == len(named)
    no_two_mistakes_are_one(BY_FUNCTION[exercise])
    assert all("?" in message for message in named.values())
    assert set(named) == {mistake for name, mistake in WRONG if name == exercise}


@pytest.mark.parametrize("exercise", BY_FUNCTION)
def test_the_solution_passes_as_it_is_shown(exercise):
    task = BY_FUNCTION[exercise]
    shown = {"torch": torch}
    exec(task.source, shown)  # what a reader copies out of the card, and nothing else
    for solution in as_a_learner(task.solution), shown[exercise]:
        result = task(solution)
        assert result.passed and bool(result) and result.state == "passed"
        assert result.verdict == f"passes on {len(task.cases())} shapes"


def through_pytorchs_layer(x, W_q, W_k, W_v, W_o, num_heads, mask):
    layer = torch.nn.MultiheadAttention(x.shape[-1], num_heads, bias=False, batch_first=True)
    layer.load_state_dict({"in_proj_weight": torch.cat([W_q, W_k, W_v], 1).T, "out_proj.weight": W_o.T})
    return layer(x, x, x, attn_mask=~mask, average_attn_weights=False)


OTHER_WAYS = {
    "one_query": lambda q, k, v: F.scaled_dot_product_attention(q[None], k, v)[0],
    "causal_mask": lambda n: np.tri(n, dtype=bool),
    "masked_attention": lambda q, k, v, mask: (
        F.scaled_dot_product_attention(q, k, v, mask),
        F.scaled_dot_product_attention(q, k, torch.eye(len(k)), mask),
    ),
    "head_weights": lambda q, k, head, h: (
        (q * (h / q.shape[1]) ** 0.5).unflatten(1, (h, -1))[:, head] @ k.unflatten(1, (h, -1))[:, head].T
    ).softmax(1),
    "temperature": lambda s, e: torch.tensor([bisect(lambda t: learners_entropy(F.softmax(s / t, 0)), e, 20)]),
    "split_heads": lambda x, h: torch.stack(x.chunk(h, -1), 1),
    "multi_head_scores": lambda q, k, h: (
        torch.einsum("bnhk,bshk->bhns", q.unflatten(-1, (h, -1)), k.unflatten(-1, (h, -1))) / math.sqrt(q.shape[-1] / h)
    ),
    "mended_pseudo_code": lambda Q, K, V, h: (
        F.scaled_dot_product_attention(cut(Q, h), cut(K, h), cut(V, h)).permute(0, 2, 1, 3).flatten(2)
    ),
    "multi_head_attention": through_pytorchs_layer,
    "output_as_a_sum": lambda heads, W_o: torch.einsum("bhnk,hkd->bhnd", heads, W_o.unflatten(0, (heads.shape[1], -1))),
    "repaired_mask": lambda allowed, is_word: ~allowed[None] | ~is_word[:, None],
}


@pytest.mark.parametrize("exercise", BY_FUNCTION)
def test_another_right_way_passes_too(exercise):
    result = EXERCISES[exercise](OTHER_WAYS[exercise])
    assert result.passed, result


def test_scores_from_a_loop_are_told_apart_from_wrong_scores():
    def with_a_loop(query, key, num_heads):
        pairs = zip(query.chunk(num_heads, -1), key.chunk(num_heads, -1))
        return torch.stack([q @ k.mT / q.shape[-1] ** 0.5 for q, k in pairs], 1)

    result = checks.multi_head_scores(with_a_loop)
    assert not result.passed
    assert "numbers are right" in result.lines[0]
    assert f"line {with_a_loop.__code__.co_firstlineno + 2} runs again for each head" in result.lines[0]


def test_the_published_pseudo_code_is_shown_raising_and_shown_wrong():
    result = checks.mended_pseudo_code(WRONG["mended_pseudo_code", "_published"][0])
    text = repr(result)
    assert "h = 3, your code raises an error" in text and "torch.softmax(Q @ K / d_k**0.5, dim=-1)" in text
    assert "Called with Q (1, 4, 12), K (1, 4, 12), V (1, 4, 12), h = 4: first difference" in text


def test_a_search_that_kept_the_wrong_half_is_told_where_it_ended():
    assert "the most 3 scores can have" in repr(checks.temperature(lambda scores, target_entropy: 1000.0))
    assert "next to 0" in repr(checks.temperature(lambda scores, target_entropy: 0.001))
    assert "a positive number" in repr(checks.temperature(lambda scores, target_entropy: -1.0))
    assert "a positive number" in repr(checks.temperature(lambda scores, target_entropy: math.nan))
    assert "be higher?" in repr(checks.temperature(lambda scores, target_entropy: 2.0))


# ----------------------------------------------------------------------------------------------- 00: about heads


def a_model_of_known_heads():
    """Two sentences, 3 layers of 4 heads whose habit is known: all else spreads its weight."""
    recordings = []
    for words in (["the", "cat", "sat", "on", "it"], ["dogs", "bark", "loudly"]):
        N = len(words) + 2
        weights = torch.full((3, 4, N, N), 1 / N)
        here = torch.arange(N)
        for pair, looked_at in {
            (0, 2): (here - 1).clamp(min=0),
            (1, 0): (here + 1).clamp(max=N - 1),
            (1, 1): here,
            (1, 2): torch.zeros(N, dtype=torch.int64),
            (2, 3): torch.full((N,), N - 1),
        }.items():
            weights[pair] = F.one_hot(looked_at, N).float()
        weights[2, 1] = 0.6 * weights[0, 2] + 0.4 * weights[0, 0]
        recordings.append(SimpleNamespace(sentence=" ".join(words), tokens=["[CLS]", *words, "[SEP]"], weights=weights))
    return recordings


@pytest.mark.parametrize(
    "name, right, wrong_way", [("previous_token_head", (0, 2), (1, 0)), ("next_token_head", (1, 0), (0, 2))]
)
def test_a_head_is_judged_by_what_it_looks_at(name, right, wrong_way):
    recordings, exercise = a_model_of_known_heads(), EXERCISES[name]
    assert exercise.solution(recordings) == right
    assert exercise(right, recordings).passed and exercise(list(np.array(right)), recordings).passed
    said = {
        wrong_way: "A row is the word that looks",
        (1, 1): "bright cells are on the diagonal",
        (1, 2): "[CLS] 1.00. A bright column",
        (2, 3): "[SEP] 1.00. A bright column",
        (0, 0): "spreads its looks",
        (0, 3): "spreads its looks",
    }
    lines = {}
    for pair, words in said.items():
        result = exercise(pair, recordings)
        assert not result.passed and words in result.lines[-1], (pair, result)
        lines[pair] = result.lines[-1]
    assert len(set(lines.values())) == len(said)


def test_a_head_that_half_does_it_is_near():
    result = checks.previous_token_head((2, 1), a_model_of_known_heads())
    assert not result.passed and "clearly more" in result.lines[-1]


def test_a_pair_that_was_written_down_wrongly_is_understood():
    recordings = a_model_of_known_heads()
    assert "Counted from 1" in checks.previous_token_head((1, 3), recordings).lines[0]
    assert "other way round" in checks.previous_token_head((2, 0), recordings).lines[0]
    assert "Counted from 1" in checks.next_token_head((2, 1), recordings).lines[0]
    assert "no layer 5, head 2: the model has 3 layers, 0 to 2, of 4 heads, 0 to 3" in repr(
        checks.previous_token_head((5, 2), recordings)
    )
    assert "no layer -3, head 2" in repr(checks.previous_token_head((-3, 2), recordings))
    for no_pair in ("0.2", 2, (0.0, 2.0), (1, 2, 3), "12x"):
        assert "a pair of whole numbers" in repr(checks.previous_token_head(no_pair, recordings))


def test_the_heads_of_the_real_model_are_found():
    recordings = pretrained.recorded()
    assert checks.previous_token_head(checks.previous_token_head.solution(recordings), recordings)
    assert checks.next_token_head(checks.next_token_head.solution(recordings), recordings)
    every = [(layer, head) for layer in range(6) for head in range(12)]
    assert [pair for pair in every if checks.previous_token_head(pair, recordings)] == [(0, 2)]
    assert [pair for pair in every if checks.next_token_head(pair, recordings)] == [(1, 8)]


def test_where_it_looks_tells_the_map_from_the_meaning():
    recordings = pretrained.recorded()
    assert checks.where_it_looks.solution(recordings) == "suitcase"
    assert checks.where_it_looks("suitcase", recordings) and checks.where_it_looks(" Suitcase", recordings)
    said = {
        "trophy": "what the sentence means",
        "[CLS]": "a mark which the model adds",
        "it": "the one on the diagonal",
        "big": "in the *column*",
        "because": "along the row",
        "elephant": "this is the str 'elephant'",
        3: "this is the int 3",
    }
    replies = {word: checks.where_it_looks(word, recordings) for word in said}
    for word, words in said.items():
        assert not replies[word].passed and words in repr(replies[word])
    assert len({repr(reply) for reply in replies.values()}) == len(said)
    with pytest.raises(ValueError, match="needs the recording of"):
        checks.where_it_looks("suitcase", recordings[1:])


@pytest.mark.parametrize("answer", [None, ..., (None, None), (0, None), [..., ...]])
def test_an_answer_that_nobody_gave_is_not_wrong(answer):
    recordings = a_model_of_known_heads()
    for exercise in checks.previous_token_head, checks.next_token_head:
        result = exercise(answer, recordings)
        assert result.state == "untouched" and not result.passed
    assert checks.where_it_looks(None, recordings).state == "untouched"
