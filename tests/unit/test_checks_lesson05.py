"""Exercises of lesson 05: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import math

import numpy as np
import torch
from exercise_promises import promises
from torch.nn import functional as F

from mha_lab import MultiHeadAttention, checks, cost
from mha_lab.kv_cache import KVCache

EXERCISES = {name: getattr(checks, name) for name in ("grouped_attention", "cache_bytes", "decode_step")}
WRONG = {}  # (exercise, mistake) -> a learner's function; several under one name are ways to the same mistake


def wrong(exercise, mistake):
    def register(function):
        WRONG.setdefault((exercise, mistake), []).append(function)
        return function

    return register


def sdpa(query, key, value, **options):
    return F.scaled_dot_product_attention(query, key, value, **options)


# ------------------------------------------------------------------------------------------------ grouped attention


def times(query, key):
    return query.shape[1] // key.shape[1]


@wrong("grouped_attention", "repeated_in_turn")
def _(query, key, value):
    n = times(query, key)
    return sdpa(query, key.repeat(1, n, 1, 1), value.repeat(1, n, 1, 1))


@wrong("grouped_attention", "repeated_in_turn")
def _(query, key, value):
    n = times(query, key)
    return sdpa(query, torch.cat([key] * n, 1), torch.cat([value] * n, 1))


@wrong("grouped_attention", "repeated_in_turn")
def _(query, key, value):
    B, H, N, K = query.shape
    folded = query.reshape(B, H // key.shape[1], key.shape[1], N, K).transpose(1, 2)
    heads = sdpa(folded, key.unsqueeze(2), value.unsqueeze(2))
    return heads.transpose(1, 2).reshape(B, H, N, K)


@wrong("grouped_attention", "values_repeated_in_turn")
def _(query, key, value):
    n = times(query, key)
    return sdpa(query, torch.repeat_interleave(key, n, 1), value.tile(1, n, 1, 1))


@wrong("grouped_attention", "folded_word_by_word")
def _(query, key, value):
    B, H, N, K = query.shape
    rows = query.permute(0, 2, 1, 3).contiguous().view(B, key.shape[1], -1, K)
    return sdpa(rows, key, value).view(B, H, N, K)


@wrong("grouped_attention", "keys_repeated_in_turn")
def _(query, key, value):
    n = times(query, key)
    return sdpa(query, key.tile(1, n, 1, 1), torch.repeat_interleave(value, n, 1))


@wrong("grouped_attention", "first_head_for_all")
def _(query, key, value):
    H = query.shape[1]
    return sdpa(query, key[:, :1].expand(-1, H, -1, -1), value[:, :1].expand(-1, H, -1, -1))


@wrong("grouped_attention", "causal_by_habit")
def _(query, key, value):
    return sdpa(query, key, value, enable_gqa=True, is_causal=True)


@wrong("grouped_attention", "_on_all")
def _(query, key, value):
    scores = torch.einsum("bhnk,bgsk->bhgns", query, key) / math.sqrt(query.size(-1))
    return torch.einsum("bhgns,bgsk->bhnk", F.softmax(scores, -1), value)


@wrong("grouped_attention", "_on_all")
def _(query, key, value):
    return sdpa(query, key.flatten(1, 2).unsqueeze(1), value.flatten(1, 2).unsqueeze(1))


@wrong("grouped_attention", "keys_fetched")
def _(query, key, value):
    return sdpa(query, key, key, enable_gqa=True)


@wrong("grouped_attention", "averaged_over_heads")
def _(query, key, value):
    scores = torch.einsum("bhnk,bsk->bhns", query, key.mean(1)) / math.sqrt(query.size(-1))
    return torch.einsum("bhns,bsk->bhnk", F.softmax(scores, -1), value.mean(1))


@wrong("grouped_attention", "queries_averaged")
def _(query, key, value):
    B, H, N, K = query.shape
    G = key.shape[1]
    return sdpa(query.view(B, G, H // G, N, K).sum(2) / (H // G), key, value)


@wrong("grouped_attention", "not_unfolded")
def _(query, key, value):
    B, H, N, K = query.shape
    G = key.shape[1]
    return sdpa(query.reshape(B, G, (H // G) * N, K), key, value)


@wrong("grouped_attention", "grouped_without_scale")
def _(query, key, value):
    return sdpa(query, key, value, enable_gqa=True, scale=1.0)


@wrong("grouped_attention", "grouped_scaled_by_d_model")
def _(query, key, value):
    d_model = query.shape[1] * query.shape[3]
    return sdpa(query, key, value, enable_gqa=True, scale=1 / math.sqrt(d_model))


@wrong("grouped_attention", "grouped_softmax_over_queries")
def _(query, key, value):
    n = times(query, key)
    key, value = key.repeat_interleave(n, 1), value.repeat_interleave(n, 1)
    return F.softmax(query @ key.transpose(2, 3) / math.sqrt(query.size(-1)), dim=2) @ value


# ------------------------------------------------------------------------------------------------------ cache bytes


@wrong("cache_bytes", "values_forgotten")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * num_kv_heads * d_head * bytes_per_number


@wrong("cache_bytes", "query_heads_counted")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    d_model = num_heads * d_head
    return batch * tokens * layers * 2 * d_model * bytes_per_number


@wrong("cache_bytes", "query_heads_counted_and_values_forgotten")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return float(batch * tokens * layers * num_heads * d_head * bytes_per_number)


@wrong("cache_bytes", "queries_kept_too")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * (num_heads + 2 * num_kv_heads) * d_head * bytes_per_number


@wrong("cache_bytes", "three_vectors")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    query = key = value = batch * tokens * layers * num_kv_heads * d_head * bytes_per_number
    return query + key + value


@wrong("cache_bytes", "one_layer")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * 2 * num_kv_heads * d_head * bytes_per_number


@wrong("cache_bytes", "one_text")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return tokens * layers * 2 * num_kv_heads * d_head * bytes_per_number


@wrong("cache_bytes", "numbers_instead_of_bytes")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * 2 * num_kv_heads * d_head


@wrong("cache_bytes", "bits_instead_of_bytes")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * 2 * num_kv_heads * d_head * bytes_per_number * 8


@wrong("cache_bytes", "d_head_forgotten")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * 2 * num_kv_heads * bytes_per_number


@wrong("cache_bytes", "_tokens_off")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * (tokens - 1) * layers * 2 * num_kv_heads * d_head * bytes_per_number


@wrong("cache_bytes", "_in_larger_units")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * 2 * num_kv_heads * d_head * bytes_per_number / 1024**3


@wrong("cache_bytes", "_in_larger_units")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens * layers * 2 * num_kv_heads * d_head * bytes_per_number / 1e6


@wrong("cache_bytes", "tokens_squared")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    return batch * tokens**2 * layers * 2 * num_kv_heads * d_head * bytes_per_number


@wrong("cache_bytes", "in_32_bits")
def _(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    factors = np.array([2, batch, tokens, layers, num_kv_heads, d_head, bytes_per_number], dtype=np.int32)
    return np.prod(factors, dtype=np.int32)


# ------------------------------------------------------------------------------------------------------ decode step


def behind(old, new):
    return torch.cat((old, new), 2)


@wrong("decode_step", "causal_at_decode")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, value)
    return sdpa(query, keys, values, is_causal=True), keys, values


@wrong("decode_step", "causal_at_decode")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, value)
    mask = torch.ones(1, keys.shape[2]).tril().bool()
    scores = (query @ keys.mT / query.shape[-1] ** 0.5).masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ values, keys, values


@wrong("decode_step", "cache_overwritten")
def _(query, key, value, cached_key, cached_value):
    cached_key, cached_value = key, value
    return sdpa(query, cached_key, cached_value), cached_key, cached_value


@wrong("decode_step", "only_the_new_token_kept")
def _(query, key, value, cached_key, cached_value):
    return sdpa(query, behind(cached_key, key), behind(cached_value, value)), key, value


@wrong("decode_step", "cache_not_extended")
def _(query, key, value, cached_key, cached_value):
    return sdpa(query, behind(cached_key, key), behind(cached_value, value)), cached_key, cached_value


@wrong("decode_step", "attends_before_appending")
def _(query, key, value, cached_key, cached_value):
    output = sdpa(query, cached_key, cached_value)
    return output, behind(cached_key, key), behind(cached_value, value)


@wrong("decode_step", "new_token_dropped")
def _(query, key, value, cached_key, cached_value):
    return sdpa(query, cached_key, cached_value), cached_key, cached_value


@wrong("decode_step", "prepended")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(key, cached_key), behind(value, cached_value)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "values_prepended")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(value, cached_value)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "keys_prepended")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(key, cached_key), behind(cached_value, value)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "values_extend_the_key_cache")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_key, value)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "keys_extend_the_value_cache")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_value, key), behind(cached_value, value)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "caches_exchanged")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, value)
    return sdpa(query, keys, values), values, keys


@wrong("decode_step", "new_key_in_both")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, key)
    return sdpa(query, keys, values), keys, values


@wrong("decode_step", "decoded_without_scale")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, value)
    return sdpa(query, keys, values, scale=1.0), keys, values


@wrong("decode_step", "decoded_with_softmax_over_queries")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, key), behind(cached_value, value)
    return F.softmax(query @ keys.mT, dim=2) @ values, keys, values


@wrong("decode_step", "query_cached_as_key")
def _(query, key, value, cached_key, cached_value):
    keys, values = behind(cached_key, query), behind(cached_value, value)
    return sdpa(query, keys, values), keys, values


# ----------------------------------------------------------------------------------------------------- the promises


def with_the_labs_cache(query, key, value, cached_key, cached_value):
    cache = KVCache()
    cache.append(cached_key, cached_value)
    keys, values = cache.append(key, value)
    return sdpa(query, keys, values), keys, values


def in_numpy(query, key, value, cached_key, cached_value):
    keys, values = np.concatenate([cached_key, key], 2), np.concatenate([cached_value, value], 2)
    powers = np.exp(query @ keys.swapaxes(2, 3) / np.sqrt(query.shape[-1]))
    return powers / powers.sum(-1, keepdims=True) @ values, keys, values


RIGHT = [
    ("grouped_attention", lambda query, key, value: sdpa(query, key, value, enable_gqa=True)),
    (
        "grouped_attention",
        lambda query, key, value: torch.stack(
            [sdpa(query[:, h], key[:, h // times(query, key)], value[:, h // times(query, key)])
             for h in range(query.shape[1])], 1
        ),
    ),
    (
        "cache_bytes",
        lambda batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number: cost.kv_cache_bytes(
            batch, tokens, num_kv_heads, d_head, layers=layers, bytes_per_number=bytes_per_number
        ),
    ),
    ("decode_step", with_the_labs_cache),
    ("decode_step", in_numpy),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_a_number_of_bytes_that_is_off_by_one_is_wrong_and_shown_whole():
    def one_more(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
        return 2 * batch * tokens * layers * num_kv_heads * d_head * bytes_per_number + 1

    result = checks.cache_bytes(one_more)
    assert not result.passed and "1,073,741,825 bytes" in result.lines[0]


def test_the_cache_that_is_counted_is_the_cache_that_is_kept():
    """One layer of ours, in float32, against the exercise's solution."""
    layer, cache = MultiHeadAttention(12, 4, 2), KVCache()
    layer(torch.zeros(3, 5, 12), causal=True, cache=cache)
    kept = cache.key.numel() * 4 + cache.value.numel() * 4
    assert kept == checks.cache_bytes.solution(3, 5, 1, 4, 2, 3, 4)
