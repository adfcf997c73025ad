"""A query that looks at the best keys only: the same numbers as attention under the mask that the choice is."""

import copy

import pytest
import torch
from torch import nn

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, padding_mask
from mha_lab.rotary import rotate
from mha_lab.variants import IndexedCache, Indexer, SelectedAttention, indexer_loss, selected_attention, top_keys


def close(ours, theirs, atol=1e-10):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def text(N=6, S=6, H=4, G=2, K=3):
    """query, key, value"""
    return seeded(2, H, N, K), seeded(2, G, S, K, seed=1), seeded(2, G, S, K, seed=2)


def gradients(output, inputs):
    return torch.autograd.grad((output * seeded(*output.shape, seed=9)).sum(), inputs)


def naive(query, key, value, scores, count, allowed):
    """The definition, one query at a time: sort what may be seen, keep the best, softmax over these."""
    B, H, N, K = query.shape
    shared, outputs = H // key.shape[1], torch.zeros_like(query)
    for b, h, n in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(N)):
        asked = scores.expand(B, H, N, -1)[b, h, n]
        may = [s for s in range(key.shape[2]) if allowed[n, s]]
        best = sorted(may, key=lambda s: -asked[s])[:count]
        parts = [(key[b, h // shared, s] @ query[b, h, n] / K**0.5).exp() for s in best]
        outputs[b, h, n] = sum(part * value[b, h // shared, s] for part, s in zip(parts, best)) / sum(parts)
    return outputs


@pytest.mark.parametrize("count", [1, 3, 6, 50])
@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (2, 4, 6, 6), (6, 6)])
@pytest.mark.parametrize("allowed", [causal_mask(6), torch.ones(6, 6, dtype=torch.bool)], ids=["causal", "all"])
def test_selected_attention_is_the_definition_forward_and_backward(count, shape, allowed):
    inputs = [x.requires_grad_() for x in text()]
    scores = seeded(*shape, seed=3)
    output, weights = selected_attention(*inputs, scores, count=count, mask=allowed)
    expected = naive(*inputs, scores, count, allowed)
    close(output, expected)
    assert ((weights > 0).sum(dim=-1) == allowed.sum(dim=-1).clamp(max=count)).all()
    for ours, theirs in zip(gradients(output, inputs), gradients(expected, inputs)):
        close(ours, theirs)


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("mask", [None, padding_mask([6, 2])[:, None]], ids=["all", "padding"])
def test_one_new_query_that_fetches_its_keys_has_the_numbers_and_gradients_of_the_mask(count, mask):
    inputs = [x.requires_grad_() for x in text(N=1)]
    scores = seeded(2, 1, 1, 6, seed=3)
    fetched = selected_attention(*inputs, scores, count=count, mask=mask)
    hidden = attention(*inputs, mask=top_keys(scores, count, mask=mask))
    for ours, theirs in zip(fetched, hidden):
        close(ours, theirs)
    for ours, theirs in zip(gradients(fetched[0], inputs), gradients(hidden[0], inputs)):
        close(ours, theirs)


@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("shape", [(2, 4), (1, 4), (2, 1)], ids=str)
@pytest.mark.parametrize("given", [(2, 1), (1, 1), (2, 4)], ids=str)
def test_a_mask_of_each_head_or_text_is_never_looked_behind(N, shape, given):
    inputs, scores = text(N=N), seeded(*given, N, 6, seed=3)
    mask = seeded(*shape, N, 6, seed=4) > -0.3
    output, weights = selected_attention(*inputs, scores, count=2, mask=mask)
    mask, scores = mask.expand(2, 4, N, 6), scores.expand(2, 4, N, 6)
    assert (weights[~mask] == 0).all()
    assert ((weights > 0).sum(dim=-1) == mask.sum(dim=-1).clamp(max=2)).all()
    close(output, attention(*inputs, mask=top_keys(scores, 2, mask=mask))[0])


@pytest.mark.parametrize("alone", [0, 1, 2], ids=["query", "keys", "scores"])
def test_one_new_query_is_fetched_for_every_text_whichever_stands_for_all(alone):
    query, key, value = text(N=1)
    scores = seeded(2, 1, 1, 6, seed=3)
    given = [query, key, value, scores]
    for which in ((0,), (1, 2), (3,))[alone]:
        given[which] = given[which][:1]
    found, _ = selected_attention(*given, count=2)
    whole = [x.expand(2, *x.shape[1:]) for x in given]
    close(found, attention(*whole[:3], mask=top_keys(whole[3], 2))[0])


def test_a_score_of_minus_infinity_hides_its_key_and_nan_is_told():
    (query, key, value), scores = (
        text(N=1),
        torch.tensor([[[[0.0, -torch.inf, -torch.inf, 2.0, -torch.inf, -torch.inf]]]]),
    )
    assert top_keys(scores, 3)[0, 0, 0].tolist() == [True, False, False, True, False, False]
    _, fetched = selected_attention(query, key, value, scores, count=3)
    _, hidden = selected_attention(query, key, value, scores.expand(2, 4, 1, 6), count=3)
    close(fetched, hidden)
    assert (fetched > 0).sum(dim=-1).eq(2).all()
    scores = scores.index_fill(-1, torch.tensor([1]), torch.nan)
    for call in (
        lambda: top_keys(scores, 3),
        lambda: selected_attention(query, key, value, scores, count=3),
        lambda: selected_attention(query, key, value, scores.expand(2, 4, 1, 6), count=3),
    ):
        with pytest.raises(ValueError, match="scores are NaN: keys are chosen by their order, and NaN has none"):
            call()
    assert top_keys(scores, 3, mask=~scores.isnan()).sum() == 2  # what is hidden may be anything


def test_all_keys_are_plain_attention():
    inputs, scores = text(), seeded(2, 1, 6, 6, seed=3)
    for ours, theirs in zip(selected_attention(*inputs, scores, count=6), attention(*inputs)):
        close(ours, theirs)


def test_the_mask_comes_before_the_choice():
    scores = torch.arange(5.0).expand(5, 5)  # the last token is everybody's best
    chosen = top_keys(scores, 2, mask=causal_mask(5))
    assert chosen.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]
    assert top_keys(torch.zeros(3, 4), 2).sum(dim=-1).tolist() == [2, 2, 2]  # ties do not add keys


def test_scores_get_no_gradient_from_a_choice():
    inputs, scores = text(), seeded(2, 1, 6, 6, seed=3).requires_grad_()
    assert not selected_attention(*inputs, scores, count=2)[0].requires_grad


@pytest.mark.parametrize(
    "given, words",
    [
        ((torch.zeros(3, 3), 0), "count=0"),
        ((torch.zeros(3), 2), r"floats \(…, N, S\)"),
        ((torch.zeros(3, 3, dtype=torch.long), 2), "int64"),
        ((torch.zeros(3, 3), 2, torch.ones(4, 3, dtype=torch.bool)), r"\(4, 3\)"),
    ],
)
def test_what_cannot_be_chosen_from_is_told(given, words):
    scores, count, *mask = given
    with pytest.raises(ValueError, match=words):
        top_keys(scores, count, mask=mask[0] if mask else None)


def test_scores_may_have_the_batch_of_the_keys_where_the_query_is_one_for_all():
    query, key, value = text()
    scores = seeded(2, 1, 6, 6, seed=3)
    found, _ = selected_attention(query[:1], key, value, scores, count=2)
    close(found, selected_attention(query[:1].expand(2, -1, -1, -1), key, value, scores, count=2)[0])


def call(**changed):
    inputs = dict(zip(("query", "key", "value"), text()))
    return inputs | {"scores": seeded(2, 1, 6, 6, seed=3), "count": 2} | changed


@pytest.mark.parametrize(
    "changed, kind, words",
    [
        ({"scores": [[1.0]]}, TypeError, "scores is the list"),
        ({"scores": torch.zeros(6, 6, dtype=torch.long)}, ValueError, "scores are torch.int64"),
        ({"scores": seeded(2, 6, 6)}, ValueError, r"scores have shape \(2, 6, 6\).* room for \(2, 4, 6, 6\)"),
        ({"scores": seeded(2, 1, 6, 5)}, ValueError, r"scores have shape \(2, 1, 6, 5\)"),
        ({"scores": seeded(2, 1, 1, 6)}, ValueError, r"scores have shape \(2, 1, 1, 6\)"),
        ({"count": 0}, ValueError, "count=0"),
        ({"count": 2.5}, TypeError, "count is the float 2.5"),
        ({"query": seeded(2, 4, 1, 3), "scores": seeded(2, 1, 1, 6), "count": 0}, ValueError, "count=0"),
        ({"query": seeded(2, 4, 1, 3), "scores": seeded(2, 1, 1, 5)}, ValueError, r"scores have shape \(2, 1, 1, 5\)"),
        ({"key": seeded(2, 3, 6, 3)}, ValueError, "3 key heads|key has shape"),
        ({"mask": torch.ones(5, 6, dtype=torch.bool)}, ValueError, r"mask has shape \(5, 6\)"),
    ],
)
def test_what_a_selected_attention_refuses_is_one_sentence_with_the_shapes(changed, kind, words):
    given = call(**changed)
    with pytest.raises(kind, match=words):
        selected_attention(given.pop("query"), given.pop("key"), given.pop("value"), given.pop("scores"), **given)


@pytest.mark.parametrize(
    "scores, weights, mask, kind, words",
    [
        ([1.0], seeded(2, 4, 5, 5), None, TypeError, "scores is the list"),
        (seeded(5, 5), seeded(2, 4, 5, 5), None, ValueError, r"scores are .*\(5, 5\)"),
        (seeded(2, 5, 5), seeded(2, 5, 5), None, ValueError, r"weights are .*\(2, 5, 5\).*\(B, H, N, S\)"),
        (seeded(2, 5, 5), seeded(2, 4, 5, 6), None, ValueError, r"\(2, 5, 5\) and weights \(2, 4, 5, 6\)"),
        (seeded(2, 5, 5), seeded(1, 4, 5, 5), None, ValueError, r"\(2, 5, 5\) and weights \(1, 4, 5, 5\)"),
        (seeded(2, 5, 5), seeded(2, 4, 5, 5), torch.ones(4, 5) > 0, ValueError, r"mask has shape \(4, 5\)"),
        (seeded(2, 5, 5), seeded(2, 4, 5, 5), torch.ones(5, 5), TypeError, "torch.bool"),
    ],
)
def test_what_an_indexers_loss_refuses_is_one_sentence_with_the_shapes(scores, weights, mask, kind, words):
    with pytest.raises(kind, match=words):
        indexer_loss(scores, weights, mask=mask)


EVEN = torch.full((2, 4, 5, 5), 0.2, dtype=torch.float64)


@pytest.mark.parametrize(
    "weights, mask, words",
    [
        (seeded(2, 4, 5, 5), None, "a row of weights sums to"),
        (5 * EVEN, None, "a row of weights sums to 5: none lies below 0, and a row sums to 1"),
        (EVEN.where(EVEN.cumsum(-1) > 0.3, torch.nan), None, "a row of weights sums to nan"),
        (EVEN + torch.tensor([-0.5, 0.5, 0, 0, 0]), None, "a weight is -0.3"),
        (EVEN, causal_mask(5), "the mask hides a key to which the heads give 0.2: weights and mask disagree"),
    ],
    ids=["any numbers", "too large", "NaN", "below 0", "behind the mask"],
)
def test_an_indexers_loss_takes_weights_alone(weights, mask, words):
    with pytest.raises(ValueError, match=words):
        indexer_loss(seeded(2, 5, 5), weights, mask=mask)


def test_scores_of_minus_infinity_are_a_mask_to_the_loss_and_queries_that_see_nothing_cost_nothing():
    seen = causal_mask(5)
    weights = seeded(2, 4, 5, 5).masked_fill(~seen, -torch.inf).softmax(dim=-1)
    scores = seeded(2, 5, 5, seed=4)
    hidden = scores.masked_fill(~seen, -torch.inf).requires_grad_()
    loss = indexer_loss(hidden, weights)
    close(loss, indexer_loss(scores, weights, mask=seen))
    assert torch.autograd.grad(loss, hidden)[0].isfinite().all()
    blind = seen & (torch.arange(5) != 2)[:, None]
    nothing = weights * (torch.arange(5) != 2)[:, None]
    assert indexer_loss(scores, nothing, mask=blind).isfinite()


# the indexer ---------------------------------------------------------------------------------------------------------


def seeded_layer(kind, *args, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*args, **options).double()


def test_an_indexer_is_its_formula():
    indexer, x = seeded_layer(Indexer, 12, num_heads=3, width=4), seeded(2, 5, 12)
    q, k = indexer.q_proj(x).view(2, 5, 3, 4), indexer.k_norm(indexer.k_proj(x))
    expected = torch.zeros(2, 5, 5, dtype=torch.float64)
    for b, n, s, h in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(5), torch.arange(3)):
        expected[b, n, s] += indexer.weight_proj(x)[b, n, h] / 3**0.5 * (q[b, n, h] @ k[b, s] / 4**0.5).clamp(min=0)
    close(indexer(x), expected)


def test_an_indexer_that_turns_knows_distances():
    indexer = seeded_layer(Indexer, 12, width=4, rotary=rotate)
    same = seeded(1, 1, 12).expand(1, 6, 12)
    scores = indexer(same)[0]
    assert not torch.allclose(scores[5, 5], scores[5, 0])
    close(scores.diagonal(), scores[0, 0].expand(6))


def test_the_loss_is_0_where_the_indexer_says_what_the_heads_look_at_and_else_the_divergence():
    weights = seeded(2, 4, 5, 5).masked_fill(~causal_mask(5), -torch.inf).softmax(dim=-1)
    mean = weights.mean(dim=1)
    assert indexer_loss(mean.clamp(min=1e-300).log(), weights, mask=causal_mask(5)).abs() < 1e-12
    scores = seeded(2, 5, 5, seed=4).requires_grad_()
    guess = scores.masked_fill(~causal_mask(5), -torch.inf).softmax(dim=-1)
    expected = torch.where(mean > 0, mean * (mean / guess).log(), 0.0).sum(dim=-1).mean()
    close(indexer_loss(scores, weights, mask=causal_mask(5)), expected)
    weights = weights.detach().requires_grad_()
    indexer_loss(scores, weights, mask=causal_mask(5)).backward()
    assert weights.grad is None and scores.grad is not None


# the layer -----------------------------------------------------------------------------------------------------------


def layer_of(keys=3, **options):
    return seeded_layer(SelectedAttention, 12, 4, 2, keys=keys, indexer_heads=2, indexer_width=4, **options)


@pytest.mark.parametrize("rotary", [None, lambda x, start: rotate(x, start)], ids=["no places", "rotary"])
def test_a_layer_looks_at_what_its_indexer_chose(rotary):
    layer, x = seeded_layer(SelectedAttention, 16, 4, 2, keys=3, indexer_width=4, rotary=rotary), seeded(2, 8, 16)
    output, weights = layer(x, causal=True, need_weights=True)
    chosen = top_keys(layer.indexer(x), 3, mask=causal_mask(8))
    assert ((weights > 0) == chosen[:, None]).all()
    close(output, MultiHeadAttention.forward(layer, x, mask=chosen))
    close(layer(x, causal=True), output)


def test_a_layer_that_may_look_at_all_is_multi_head_attention():
    layer, x = layer_of(keys=8), seeded(2, 8, 12)
    close(layer(x, causal=True), MultiHeadAttention.forward(layer, x, causal=True))
    close(layer(x), MultiHeadAttention.forward(layer, x))


def test_padding_is_never_chosen():
    layer, x = layer_of(), seeded(2, 8, 12)
    _, weights = layer(x, mask=padding_mask([8, 4]), need_weights=True)
    assert (weights[1, ..., 4:] == 0).all() and (weights[1, ..., :4] > 0).sum(dim=-1).eq(3).all()


@pytest.mark.parametrize("rotary", [None, rotate], ids=["no places", "rotary"])
def test_token_by_token_is_everything_at_once(rotary):
    layer = seeded_layer(SelectedAttention, 16, 4, 2, keys=3, indexer_width=4, rotary=rotary)
    x, cache = seeded(2, 9, 16), IndexedCache()
    parts = [layer(part, cache=cache) for part in x.split([1, 1, 3, 4], dim=1)]
    close(torch.cat(parts, dim=1), layer(x, causal=True))
    assert len(cache) == len(cache.index) == 9 and cache.index.key.shape == (2, 1, 9, 4)
    twin = copy.copy(cache)
    cache.truncate(5)
    assert len(cache) == len(cache.index) == 5 and len(twin) == len(twin.index) == 9
    close(layer(x[:, 5:], cache=cache), layer(x, causal=True)[:, 5:])


def test_after_an_error_the_cache_is_as_it_was():
    layer, x, cache = layer_of(), seeded(2, 5, 12), IndexedCache()
    layer(x, cache=cache)
    with pytest.raises(ValueError):
        layer(x, mask=torch.ones(3, 3, dtype=torch.bool), cache=cache)
    assert len(cache) == len(cache.index) == 5


def test_what_a_layer_refuses():
    with pytest.raises(ValueError, match="a context was given"):
        layer_of()(seeded(2, 5, 12), seeded(2, 4, 12))
    with pytest.raises(TypeError, match="IndexedCache"):
        layer_of()(seeded(2, 5, 12), cache=KVCache())
    with pytest.raises(ValueError, match="keys=0"):
        layer_of(keys=0)
    with pytest.raises(TypeError, match="has an indexer"):
        SelectedAttention.from_torch(nn.MultiheadAttention(12, 4))
