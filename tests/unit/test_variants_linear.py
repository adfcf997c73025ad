"""Linear attention and the gated delta rule: a recurrence over a state, equal to masked products of the whole text."""

import copy
import pickle
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mha_lab import KVCache, MultiHeadAttention
from mha_lab.rotary import rotate
from mha_lab.variants import (
    DeltaAttention,
    GatedDeltaAttention,
    LinearAttention,
    StateCache,
    gated_delta,
    gated_delta_recurrence,
    linear_attention,
    linear_recurrence,
)

LAYERS = LinearAttention, DeltaAttention, GatedDeltaAttention


def close(ours, theirs, atol=1e-10):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def text(N=7, K=3, width=4, batch=(2, 2)):
    """query, key, value, write, log_decay and the state that earlier tokens left; keys of length 1."""
    query, key = seeded(*batch, N, K), F.normalize(seeded(*batch, N, K, seed=1), dim=-1)
    value, write = seeded(*batch, N, width, seed=2), seeded(*batch, N, seed=3).sigmoid()
    return query, key, value, write, F.logsigmoid(seeded(*batch, N, seed=4)), seeded(*batch, K, width, seed=5)


def gradients(output, inputs):
    return torch.autograd.grad((output * seeded(*output.shape, seed=9)).sum(), inputs)


def by_hand(query, key, value, write=None, log_decay=None, state=None):
    """The definition, number by number: every entry of the state by itself."""
    *batch, N, K = query.shape
    width = value.shape[-1]
    output = torch.zeros(*batch, N, width, dtype=query.dtype)
    for at in torch.cartesian_prod(*map(torch.arange, batch)).tolist():
        at = tuple(at)
        held = [[0.0 if state is None else state[at][i, j] for j in range(width)] for i in range(K)]
        for n in range(N):
            q, k, v = query[at][n], key[at][n], value[at][n]
            fade = 1.0 if log_decay is None else log_decay[at][n].exp()
            held = [[fade * number for number in row] for row in held]
            for j in range(width):
                said = sum(k[i] * held[i][j] for i in range(K))
                new = v[j] if write is None else write[at][n] * (v[j] - said)
                for i in range(K):
                    held[i][j] = held[i][j] + k[i] * new
                output[(*at, n, j)] = sum(q[i] * held[i][j] for i in range(K))
    return output


@pytest.mark.parametrize("decays", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_linear_attention_is_its_recurrence_is_the_definition(decays, held):
    query, key, value, _, log_decay, state = text()
    options = {"log_decay": log_decay if decays else None, "state": state if held else None}
    expected = by_hand(query, key, value, **options)
    output, left = linear_recurrence(query, key, value, **options)
    close(output, expected)
    for chunk in (None, 1, 3, 7, 64):
        for ours, theirs in zip(linear_attention(query, key, value, chunk=chunk, **options), (output, left)):
            close(ours, theirs)


@pytest.mark.parametrize("decays", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_the_delta_rule_is_its_recurrence_is_the_definition(decays, held):
    query, key, value, write, log_decay, state = text()
    options = {"log_decay": log_decay if decays else None, "state": state if held else None}
    output, left = gated_delta_recurrence(query, key, value, write, **options)
    close(output, by_hand(query, key, value, write, **options))
    for chunk in (None, 1, 3, 7, 64):
        for ours, theirs in zip(gated_delta(query, key, value, write, chunk=chunk, **options), (output, left)):
            close(ours, theirs)


def test_without_decay_linear_attention_is_a_masked_product():
    query, key, value, *_ = text()
    close(linear_attention(query, key, value)[0], (query @ key.mT).tril() @ value)


@pytest.mark.parametrize("chunk", [None, 3])
def test_backward_is_that_of_the_recurrence(chunk):
    given = [x.requires_grad_() for x in text()]
    *inputs, log_decay, state = given
    options = {"log_decay": log_decay, "state": state}
    expected = gradients(gated_delta_recurrence(*inputs, **options)[0], given)
    for ours, theirs in zip(gradients(gated_delta(*inputs, chunk=chunk, **options)[0], given), expected):
        close(ours, theirs)
    query, key, value, _ = inputs
    given = [query, key, value, log_decay, state]
    expected = gradients(linear_recurrence(query, key, value, **options)[0], given)
    for ours, theirs in zip(gradients(linear_attention(query, key, value, chunk=chunk, **options)[0], given), expected):
        close(ours, theirs)
    given = [x.requires_grad_() for x in text(N=4, batch=(1,))[:5]]
    assert torch.autograd.gradcheck(lambda *x: gated_delta(*x[:4], log_decay=x[4], chunk=chunk)[0], given)


def test_the_new_value_is_what_a_written_key_says_and_other_keys_at_right_angles_keep_theirs():
    keys = torch.eye(3, dtype=torch.float64)[[0, 1, 0]]
    values, write = seeded(3, 4), torch.ones(3, dtype=torch.float64)
    _, state = gated_delta(keys, keys, values, write)
    close(keys[:2] @ state, values[[2, 1]])
    _, added = linear_attention(keys, keys, values)
    close(keys[0] @ added, values[0] + values[2])  # without taking out, a key says all that was written there


def test_a_state_goes_on_where_the_text_was_cut():
    query, key, value, write, log_decay, _ = text(N=9)
    whole, left = gated_delta(query, key, value, write, log_decay=log_decay, chunk=4)
    state, outputs = None, []
    for part in (slice(0, 2), slice(2, 3), slice(3, 9)):
        given = [x[..., part, :] for x in (query, key, value)]
        output, state = gated_delta(*given, write[..., part], log_decay=log_decay[..., part], state=state)
        outputs.append(output)
    close(torch.cat(outputs, dim=-2), whole)
    close(state, left)


def test_no_tokens_leave_the_state_as_it_is():
    query, key, value, write, _, state = text(N=0)
    for output, left in (
        gated_delta(query, key, value, write, state=state),
        gated_delta_recurrence(query, key, value, write, state=state),
        linear_attention(query, key, value, state=state),
        linear_recurrence(query, key, value, state=state),
    ):
        assert output.shape == (2, 2, 0, 4) and left is state


@pytest.mark.parametrize(
    "change, words",
    [
        ({"key": seeded(2, 2, 6, 3)}, "each token has one of each"),
        ({"query": seeded(2, 2, 7, 5)}, "query and key are equally wide"),
        ({"value": seeded(3, 2, 7, 4)}, "they must be equal, or 1"),
        ({"write": seeded(2, 2, 6)}, "7 tokens"),
        ({"state": seeded(2, 2, 4, 3)}, "fill one of"),
        ({"value": torch.zeros(2, 2, 7, 4, dtype=torch.long)}, "it must be floats"),
        ({"key": seeded(3)}, "(…, tokens, width)"),
        ({"chunk": 0}, "at least 1"),
        ({"log_decay": torch.full((2, 2, 7), 0.5, dtype=torch.float64)}, "log_decay has a 0.5: it must be 0 or less"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(change, words):
    given = dict(zip(("query", "key", "value", "write", "log_decay", "state"), text())) | change
    with pytest.raises(ValueError, match=re.escape(words)):
        gated_delta(given.pop("query"), given.pop("key"), given.pop("value"), given.pop("write"), **given)


def test_no_rule_takes_a_decay_that_grows_and_a_state_is_a_tensor():
    query, key, value, write, _, _ = text()
    grows = torch.zeros(2, 2, 7, dtype=torch.float64)
    grows[0, 1, 3] = 1e-3
    for rule, given in (linear_attention, ()), (linear_recurrence, ()), (gated_delta_recurrence, (write,)):
        with pytest.raises(ValueError, match="log_decay has a 0.001"):
            rule(query, key, value, *given, log_decay=grows)
        with pytest.raises(TypeError, match="state is the list"):
            rule(query, key, value, *given, state=[1.0])
        rule(query, key, value, *given, log_decay=0 * grows)  # 0 is no decay


@pytest.mark.parametrize("lost", [-torch.inf, -1e30, -800.0], ids=str)
def test_what_fades_to_nothing_is_gone_and_what_comes_after_is_exact_in_both_forms(lost):
    query, key, value, write, log_decay, state = text()
    log_decay[0, 0, 3], log_decay[1, :, [0, 5]], log_decay[1, 1] = lost, lost, lost
    given = [x.requires_grad_() for x in (query, key, value, write, log_decay, state)]
    options = {"log_decay": log_decay, "state": state}
    for rule, recurrence, takes in (
        (gated_delta, gated_delta_recurrence, given[:4]),
        (linear_attention, linear_recurrence, given[:3]),
    ):
        expected = recurrence(*takes, **options)
        wanted = gradients(expected[0], [*takes, log_decay, state])
        for chunk in (None, 1, 3, 64):
            found = rule(*takes, chunk=chunk, **options)
            for ours, theirs in zip(found, expected):
                close(ours, theirs)
            for ours, theirs in zip(gradients(found[0], [*takes, log_decay, state]), wanted):
                close(ours, theirs)


@pytest.mark.parametrize(
    "change, kind, words",
    [
        ({"write": None}, TypeError, "write is None; it must be a tensor"),
        ({"write": seeded(3, 2, 7)}, ValueError, "write is torch.float64 of shape (3, 2, 7)"),
        ({"write": torch.ones(2, 2, 7, dtype=torch.bool)}, ValueError, "write is torch.bool"),
        ({"log_decay": -seeded(5, 7).abs()}, ValueError, "log_decay is torch.float64 of shape (5, 7)"),
        ({"log_decay": -seeded(1, 2, 2, 7).abs()}, ValueError, "and room for (2, 2, 7): floats, and in front equal"),
        ({"state": seeded(3, 2, 3, 4)}, ValueError, "state is torch.float64 of shape (3, 2, 3, 4)"),
        ({"state": torch.ones(2, 2, 3, 4, dtype=torch.long)}, ValueError, "state is torch.int64"),
        ({"state": torch.ones(2, 2, 3, 4, dtype=torch.bool)}, ValueError, "state is torch.bool"),
        ({"state": seeded(2, 2, 3, 4).to("meta")}, ValueError, "state is on meta and query on cpu"),
        ({"key": seeded(2, 2, 7, 3).to("meta")}, ValueError, "key is on meta and query on cpu"),
    ],
)
def test_writes_decays_and_states_are_floats_that_make_no_larger_batch(change, kind, words):
    given = dict(zip(("query", "key", "value", "write"), text())) | change
    for rule in gated_delta, gated_delta_recurrence:
        with pytest.raises(kind, match=re.escape(words)):
            rule(
                *(given[name] for name in ("query", "key", "value", "write")),
                **{name: given[name] for name in ("log_decay", "state") if name in given},
            )


def test_a_batch_of_one_is_not_made_larger_by_what_it_is_given():
    query, key, value, *_ = text(batch=(1, 2))
    for name, given in {"log_decay": torch.zeros(3, 2, 7), "state": seeded(3, 2, 3, 4)}.items():
        with pytest.raises(ValueError, match=f"{name} is .* of shape \\(3, 2, "):
            linear_attention(query, key, value, **{name: given})


# layers --------------------------------------------------------------------------------------------------------------


def layer_of(kind, num_kv_heads=None, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(12, 4, num_kv_heads, **options).double()


def naive(layer, x):
    """Each layer as its formula says, one head after the other, with the recurrence that is tested above."""
    shared, outputs = layer.num_heads // layer.num_kv_heads, []
    query, key, value = layer.project(x, x)
    for h in range(layer.num_heads):
        q, k, v = query[:, h], key[:, h // shared], value[:, h // shared]
        if type(layer) is LinearAttention:
            q, k = (torch.where(z > 0, z + 1, z.exp()) for z in (q, k))
            weights = (q @ k.mT).tril()
            outputs.append(weights / weights.sum(dim=-1, keepdim=True) @ v)
            continue
        q, k = (z / z.norm(dim=-1, keepdim=True) for z in (q, k))
        write = layer.write_proj(x)[..., h // shared].sigmoid()
        fades = type(layer) is GatedDeltaAttention
        log_decay = -(1 + layer.decay_proj(x)[..., h // shared].exp()).log() if fades else None
        read, _ = gated_delta_recurrence(q, k, v, write, log_decay=log_decay)
        outputs.append(read / (read.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * layer.head_norm.weight)
    return layer.out_proj(torch.cat(outputs, dim=-1))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
def test_a_layer_is_its_formula_head_by_head(kind, num_kv_heads):
    layer, x = layer_of(kind, num_kv_heads), seeded(2, 70, 12)  # more than one chunk
    close(layer(x, causal=True), naive(layer, x))


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gradients_of_a_layer_are_those_of_its_formula(kind):
    layer, x = layer_of(kind, 2), seeded(2, 6, 12).requires_grad_()
    given = [x, *layer.parameters()]
    for ours, theirs in zip(gradients(layer(x, causal=True), given), gradients(naive(layer, x), given)):
        close(ours, theirs)


@pytest.mark.parametrize("kind", LAYERS)
def test_token_by_token_is_everything_at_once_and_the_state_does_not_grow(kind):
    layer, x, cache, sizes = layer_of(kind, 2), seeded(2, 9, 12), StateCache(), []
    parts = []
    for part in x.split([1, 1, 3, 4], dim=1):
        parts.append(layer(part, cache=cache))
        sizes.append(cache.nbytes)
    close(torch.cat(parts, dim=1), layer(x, causal=True))
    width = 4 if kind is LinearAttention else 3  # and the count of what was added
    assert set(sizes) == {2 * 2 * 3 * width * 8} and cache.seen == 9
    assert f"(2, 2, 3, {width})" in repr(cache) and "9 tokens seen" in repr(cache)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_cache_serves_one_layer_and_one_batch(kind):
    layer, x, cache = layer_of(kind, 2), seeded(1, 5, 12), StateCache()
    first = layer(x, cache=cache)
    held = cache.state
    with pytest.raises(ValueError, match=r"\(batch, kv heads\) \(1, 2\) and was given \(3, 2\)"):
        layer(seeded(3, 1, 12), cache=cache)
    with pytest.raises(ValueError, match="holds another layer's state of 5 tokens: use one cache for each layer"):
        layer_of(kind, 2)(x, cache=cache)
    assert cache.state is held and cache.seen == 5
    twin = copy.deepcopy(cache)  # a copy belongs to the layer that uses it first
    with torch.no_grad():
        layer(x, cache=(other := StateCache()))
    assert torch.equal(pickle.loads(pickle.dumps(other)).state, held)
    close(layer_of(kind, 2)(x, cache=twin), layer(x, cache=cache))
    with pytest.raises(ValueError, match=r"\(1, 2\) and was given \(1, 1\)"):
        layer_of(kind, 1)(x, cache=copy.copy(cache))
    assert not torch.equal(first, layer(x, cache=cache))


@pytest.mark.parametrize("kind", LAYERS)
def test_the_weights_are_what_each_value_counts_in_what_is_read(kind):
    layer, x = layer_of(kind, 2), seeded(2, 9, 12)
    output, weights = layer(x, causal=True, need_weights=True)
    close(output, layer(x, causal=True))
    assert weights.shape == (2, 4, 9, 9)
    close(weights, weights.tril())
    _, _, value = layer.project(x, x)
    read = weights @ value.repeat_interleave(2, dim=1)
    if kind is LinearAttention:
        close(weights.sum(dim=-1), torch.ones(2, 4, 9, dtype=torch.float64))
        assert (weights.tril() >= 0).all()
    else:
        read = layer.head_norm(read)
        assert (weights < 0).any()
    close(layer.combine(read, x), output)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_token_never_sees_the_future(kind):
    layer, x = layer_of(kind), seeded(1, 8, 12)
    other = x.clone()
    other[:, 5:] = seeded(1, 3, 12, seed=8)
    close(layer(x, causal=True)[:, :5], layer(other, causal=True)[:, :5], atol=0)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "causal=True"),
        ({"causal": True, "mask": torch.ones(5, 5, dtype=torch.bool)}, "mask was given"),
        ({"causal": True, "score_bias": torch.zeros(5, 5)}, "score_bias was given"),
        ({"causal": True, "context": seeded(2, 5, 12)}, "context was given"),
    ],
)
def test_what_a_state_cannot_do_is_refused_in_one_sentence(kind, options, words):
    with pytest.raises(ValueError, match=words):
        layer_of(kind)(seeded(2, 5, 12), **options)


def test_what_else_a_state_cannot_do():
    with pytest.raises(TypeError, match="StateCache"):
        layer_of(LinearAttention)(seeded(2, 5, 12), cache=KVCache())
    cache, layer = StateCache(), layer_of(DeltaAttention)
    layer(seeded(2, 5, 12), cache=cache)
    with pytest.raises(ValueError, match="the weights on 5 earlier tokens are not known"):
        layer(seeded(2, 1, 12), cache=cache, need_weights=True)
    with pytest.raises(ValueError, match="neither weights to drop nor places"):
        LinearAttention(12, 4, dropout=0.1)
    with pytest.raises(ValueError, match="neither weights to drop nor places"):
        DeltaAttention(12, 4, rotary=rotate)
    with pytest.raises(TypeError, match="has no softmax"):
        GatedDeltaAttention.from_torch(nn.MultiheadAttention(12, 4))


def test_a_layer_has_the_parameters_of_multi_head_attention_and_a_little_more():
    def count(kind):
        return sum(p.numel() for p in layer_of(kind, 2).parameters())

    assert count(LinearAttention) == count(MultiHeadAttention)
    assert count(DeltaAttention) == count(MultiHeadAttention) + 2 * 13 + 3
    assert count(GatedDeltaAttention) == count(DeltaAttention) + 2 * 13


def test_in_16_bits_the_state_is_kept_in_them_and_the_layer_runs():
    layer, x = layer_of(GatedDeltaAttention).bfloat16(), seeded(2, 5, 12).bfloat16()
    output = layer(x, causal=True)
    assert (
        output.dtype == torch.bfloat16
        and (output - layer_of(GatedDeltaAttention)(x.double(), causal=True)).abs().max() < 0.1
    )


def test_very_large_inputs_leave_numbers():
    layer, x = LinearAttention(8, 2), 1000 * torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    assert layer(x, causal=True).isfinite().all()
