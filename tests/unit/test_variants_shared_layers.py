"""A layer that borrows: its queries look at the keys and values that an earlier layer made."""

import pytest
import torch
from torch import nn

from mha_lab import KVCache, MultiHeadAttention, causal_mask, tasks
from mha_lab.models.memories import SharingEncoder
from mha_lab.rotary import Rotary, rotate
from mha_lab.variants import BorrowingAttention, lent


def close(ours, theirs, atol=1e-10):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(rotary=None, G=2):
    """A layer that lends, and one that borrows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lends = MultiHeadAttention(16, 4, G, rotary=rotary).double()
        return lends, BorrowingAttention(16, 4, G, rotary=rotary).double()


def naive(borrows, lends, x, context, causal):
    """The definition, one head and one query at a time."""
    H, G, K, (B, N, _) = borrows.num_heads, borrows.num_kv_heads, borrows.d_head, x.shape
    q, k, v = borrows.q_proj(x), lends.k_proj(context), lends.v_proj(context)
    heads = torch.zeros(B, N, H * K, dtype=x.dtype)
    for b, h, n in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(N)):
        g, own = h // (H // G), slice(h * K, (h + 1) * K)
        keys, values = (made[b, :, g * K : (g + 1) * K] for made in (k, v))
        query = q[b, n, own]
        if borrows.rotary is not None:
            query, keys = rotate(query[None], n.item())[0], rotate(keys)
        scores = (keys @ query / K**0.5)[: n + 1 if causal else None]
        heads[b, n, own] = scores.softmax(dim=0) @ values[: len(scores)]
    return borrows.out_proj(heads)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rotary", [None, rotate], ids=["no places", "rotary"])
@pytest.mark.parametrize("G", [4, 2, 1])
def test_a_borrowing_layer_is_the_definition_forward_and_backward(causal, rotary, G):
    lends, borrows = pair(rotary, G)
    x, context = seeded(2, 6, 16).requires_grad_(), seeded(2, 6, 16, seed=1).requires_grad_()
    output = borrows(x, *lent(lends, context), causal=causal)
    expected = naive(borrows, lends, x, context, causal)
    close(output, expected)
    given = [x, context, borrows.q_proj.weight, lends.k_proj.weight, lends.v_proj.weight]
    ours, theirs = (torch.autograd.grad((y * seeded(*y.shape, seed=9)).sum(), given) for y in (output, expected))
    for one, other in zip(ours, theirs):
        close(one, other)


def test_borrowing_is_looking_at_the_earlier_layers_tokens_with_its_matrices():
    lends, borrows = pair()
    whole = MultiHeadAttention(16, 4, 2).double()
    for name, source in ("q_proj", borrows), ("k_proj", lends), ("v_proj", lends), ("out_proj", borrows):
        getattr(whole, name).load_state_dict(getattr(source, name).state_dict())
    x, earlier = seeded(2, 6, 16), seeded(2, 6, 16, seed=1)
    close(borrows(x, *lent(lends, earlier), causal=True), whole(x, earlier, mask=causal_mask(6)))
    output, weights = borrows(x, *lent(lends, earlier), causal=True, need_weights=True)
    for ours, theirs in zip((output, weights), whole(x, earlier, mask=causal_mask(6), need_weights=True)):
        close(ours, theirs)


@pytest.mark.parametrize("rotary", [None, rotate], ids=["no places", "rotary"])
def test_token_by_token_with_one_cache_for_both_layers_is_everything_at_once(rotary):
    lends, borrows = pair(rotary)
    x, cache, outputs = seeded(2, 7, 16), KVCache(), []
    for part in x.split([2, 1, 3, 1], dim=1):
        middle = part + lends(part, cache=cache)
        outputs.append(borrows(middle, *lent(lends, part, cache=cache), causal=True))
    middle = x + lends(x, causal=True)
    close(torch.cat(outputs, dim=1), borrows(middle, *lent(lends, x), causal=True))


def test_a_borrowing_layer_has_half_the_parameters_at_most_and_keeps_nothing():
    lends, borrows = (sum(p.numel() for p in layer.parameters()) for layer in pair(G=4))
    assert 2 * borrows == lends


def test_what_cannot_be_borrowed_is_told():
    lends, borrows = pair()
    key, value = lent(lends, seeded(2, 6, 16))
    for wrong in (key[:1], key[:, :1], key[..., :2], key[0]):
        with pytest.raises(ValueError, match="this layer borrows"):
            borrows(seeded(2, 6, 16), wrong, value)
    with pytest.raises(ValueError, match="at least as many keys"):
        borrows(seeded(2, 8, 16), key, value, causal=True)
    with pytest.raises(ValueError, match="the cache is empty"):
        lent(lends, seeded(2, 6, 16), cache=KVCache())
    with pytest.raises(ValueError, match=r"x has shape \(2, 6, 8\); this layer takes \(batch, tokens, 16\)"):
        lent(lends, seeded(2, 6, 8))
    with pytest.raises(TypeError, match="x is the list"):
        lent(lends, [1.0])
    with pytest.raises(TypeError, match="cache is the str"):
        lent(lends, seeded(2, 6, 16), cache="none")
    with pytest.raises(TypeError, match="layer is a Linear|layer is the Linear"):
        lent(nn.Linear(16, 16), seeded(2, 6, 16))
    with pytest.raises(ValueError, match="BorrowingAttention borrows itself"):
        lent(borrows, seeded(2, 6, 16))
    with pytest.raises(TypeError, match="makes its own"):
        BorrowingAttention.from_torch(nn.MultiheadAttention(16, 4))


@pytest.mark.parametrize(
    "options, kind, words",
    [
        ({"causal": "no"}, TypeError, "causal is the str 'no'; it must be True or False"),
        ({"need_weights": 1}, TypeError, "need_weights is the int 1; it must be True or False"),
        ({"mask": torch.ones(6, 6)}, TypeError, "mask has dtype torch.float32; it must be torch.bool"),
        (
            {"mask": torch.ones(5, 6, dtype=torch.bool)},
            ValueError,
            r"mask has shape \(5, 6\) and the scores \(2, 4, 6, 6\)",
        ),
        ({"mask": [True]}, TypeError, r"mask is the list \[True\]"),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_options_that_a_borrowing_layer_does_not_know_are_told(options, kind, words, causal):
    lends, borrows = pair()
    with pytest.raises(kind, match=words):
        borrows(seeded(2, 6, 16), *lent(lends, seeded(2, 6, 16)), **{"causal": causal, **options})


def test_a_mask_of_three_dimensions_is_one_for_each_text_as_in_every_layer():
    lends, borrows = pair()
    x = seeded(4, 6, 16)  # as many texts as heads
    mask, made = seeded(4, 6, 6, seed=5) > -1, lent(lends, x)
    close(borrows(x, *made, mask=mask), borrows(x, *made, mask=mask[:, None]))


@pytest.mark.parametrize(
    "theirs, ours, words",
    [
        (None, rotate, "lends does not turn its keys, and this one turns its queries"),
        (rotate, None, "lends turns its keys, and this one does not turn its queries"),
        (Rotary(), Rotary(base=500.0), "must be equal"),
        (Rotary(share=0.5), Rotary(), "must be equal"),
    ],
)
def test_a_layer_that_turns_otherwise_cannot_borrow(theirs, ours, words):
    (lends, _), (_, borrows), x = pair(theirs), pair(ours), seeded(2, 6, 16)
    cache = KVCache()
    lends(x, cache=cache)
    for made in lent(lends, x), lent(lends, x, cache=cache):
        with pytest.raises(ValueError, match=words):
            borrows(x, *made, causal=True)
    borrows(x, *lent(pair(ours)[0], x), causal=True)


# the small model -----------------------------------------------------------------------------------------------------


def encoder(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SharingEncoder((7,), (5,), d_model=16, num_heads=4, mlp=8, **options).double()


@pytest.mark.parametrize("G", [None, 2])
def test_an_encoder_that_shares_lends_the_keys_of_its_last_own_layer(G):
    model, inputs = encoder(shared=2, num_kv_heads=G), torch.randint(7, (2, 6, 1))
    x, kept = model.embed[0](inputs[..., 0]), None
    for at, block in enumerate(model.blocks):
        seen = block.norm(x)
        if at < 2:
            kept = lent(block.attention, seen)
            x = x + block.attention(seen, causal=True)
        else:
            x = x + block.attention(seen, *kept, causal=True)
        x = x + block.mlp(x)
    close(model(inputs)[0], model.answer[0](model.norm(x)))


def test_an_encoder_that_shares_nothing_is_an_encoder():
    model, inputs = encoder(shared=0), torch.randint(7, (2, 6, 1))
    close(model(inputs)[0], super(SharingEncoder, model).forward(inputs)[0])


def test_all_layers_cannot_borrow():
    with pytest.raises(ValueError, match="shared=4 of 4 layers"):
        encoder(shared=4)


def test_a_sharing_encoder_learns_from_a_text():
    task = tasks.characters(16)
    model = SharingEncoder(task.vocabularies, task.answers, shared=3)
    model.losses(task.draw(2, torch.Generator().manual_seed(0))).mean().backward()
    assert all(p.grad is not None for p in model.parameters())
