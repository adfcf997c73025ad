"""Lesson 02: what a head sees, two splits, what follows the head count, and which columns belong together."""

from functools import cache

import torch
from record_minilm import SENTENCES

import mha_lab
from claims import claim
from claims.lesson00 import _model
from mha_lab import MultiHeadAttention, attention, pretrained, published

CUTS = 1, 3, 6, 12, 24, 48, 96


def _random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def _cut(query, key, h):
    """Scores (h, N, N) of columns (N, D) cut into h heads."""
    split = [mha_lab.split_heads(x[None], h)[0] for x in (query, key)]
    return split[0] @ split[1].mT / split[0].shape[-1] ** 0.5


@cache
def _columns(layer, sentence):
    """Queries and keys (N, 384) of a layer of MiniLM, without its bias as with it: what the model itself cuts."""
    model = _model()
    with torch.no_grad():
        x = model.embed(model.ids(sentence)[0])
        for block in model.blocks[:layer]:
            x, _ = block(x, None)
        return model.blocks[layer].attention.q_proj(x)[0], model.blocks[layer].attention.k_proj(x)[0]


@claim(
    "02.sees-all",
    cell="what-is-split-end",
    says="Every head sees all of x.",
    tried="PyTorch's own layer, not ours, for 20 sizes from 2 to 16 heads of 2 to 9 features, with other weights each: "
    "does each head's map answer to each feature, in float64?",
    attacks=("size", "seeds", "opponent"),
    out="In all {pairs:,} pairs of a head and a feature the map moves; a layer that splits its input moves in 1 of h.",
    minutes=0.1,
)
def sees_all():
    pairs = 0
    for seed in range(20):
        heads, width = 2 + seed % 15, 2 + seed % 8
        torch.manual_seed(seed)
        layer = torch.nn.MultiheadAttention(heads * width, heads).double()
        x = _random(7, heads * width, seed=seed).double().requires_grad_()
        for i, of_head in enumerate(layer(x, x, x, average_attn_weights=False)[1]):
            (gradient,) = torch.autograd.grad(of_head[:, 0].sum(), x, retain_graph=True)
            moved = gradient.abs().sum(dim=0) > 0
            assert moved.all(), (seed, i)
            pairs += moved.numel()
    return {"pairs": pairs}


@claim(
    "02.plain-view",
    cell="exercise-split",
    says="Every test with one word or with one head lets the bug through.",
    tried="All sizes of 1 to 12 words and 1 to 12 heads: where do the two splits agree, and where would their scores?",
    attacks=("size", "opponent"),
    out="They agree in the {same} of 144 sizes with one word or one head, and in no other; nor do the scores.",
    minutes=0.1,
)
def plain_view():
    same = 0
    for n in range(1, 13):
        for h in range(1, 13):
            x = _random(n, 3 * h, seed=n)
            right, short = mha_lab.split_heads(x[None], h)[0], x.view(h, n, 3)
            assert torch.equal(right, short) == (n == 1 or h == 1), (n, h)
            assert torch.allclose(right @ right.mT, short @ short.mT) == (n == 1 or h == 1), (n, h)
            same += n == 1 or h == 1
    return {"same": same}


@claim(
    "02.one-product",
    cell="this-is-split",
    says="This is what is split: the twelve columns of the result.",
    tried="60 layers of other sizes, with biases, in float64: each head alone, from its own columns of the matrices, "
    "against PyTorch's layer, outputs and weights.",
    attacks=("size", "opponent"),
    out="The largest difference was {difference:.0e}.",
    minutes=0.1,
)
def one_product():
    difference = 0.0
    for seed in range(60):
        heads, width, n = 1 + seed % 7, 1 + seed % 5, 2 + seed % 9
        torch.manual_seed(seed)
        layer = torch.nn.MultiheadAttention(heads * width, heads).double()
        torch.nn.init.normal_(layer.in_proj_bias)
        x = _random(n, heads * width, seed=seed).double()
        parts = zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3))
        q, k, v = ([(x @ w.T + b) for w, b in zip(W.chunk(heads), B.chunk(heads))] for W, B in parts)
        each = [attention(*head) for head in zip(q, k, v)]
        whole, maps = layer(x, x, x, average_attn_weights=False)
        ours = layer.out_proj(torch.cat([output for output, _ in each], dim=-1))
        difference = max(difference, (whole - ours).abs().max().item())
        difference = max(difference, (maps - torch.stack([weights for _, weights in each])).abs().max().item())
    assert difference < 1e-12
    return {"difference": difference}


@claim(
    "02.d-head-is-a-choice",
    cell="d-head-free-words",
    says="Parameters depend on H · d_head, the width of all heads together",
    tried="Three widths, 40 pairs of H and d_head, without biases; and the models of our table since 2025.",
    attacks=("size", "opponent"),
    out="4 · d_model · H · d_head each time. {free} of {recent} models since 2025 whose d_head is published have "
    "another H · d_head than d_model, from {least:.2g} to {most:.2g} times.",
    minutes=0.1,
)
def d_head_is_a_choice():
    for width in (30, 64, 512):
        for h, d_head in ((h, k) for h in (1, 2, 3, 7, 16) for k in (1, 8, 33)):
            layer = MultiHeadAttention(width, h, d_head=d_head, bias=False)
            assert sum(p.numel() for p in layer.parameters()) == 4 * width * h * d_head
    recent = [m for m in published.MODELS if m.year >= 2025]
    ratios = [m.num_heads * m.d_head / m.d_model for m in recent if m.d_head]
    free = sum(ratio != 1 for ratio in ratios)
    assert free > len(ratios) / 2
    return {"free": free, "recent": len(ratios), "least": min(ratios), "most": max(ratios)}


@claim(
    "02.spread",
    cell="scale-why",
    says="A head's dot product sums d_head products, not d_model. Divide by √d_model and many heads get flat maps",
    tried="d_model 96 and 768, random columns of another seed; entropy of the maps over 64 keys, in nats (log 64 = "
    "4.16 is flat).",
    attacks=("size", "seeds"),
    out="With √d_head the entropy lies between {least:.2f} and {most:.2f} at every head count; with √d_model it rises "
    "from {few:.2f} at one head to {many:.2f} where d_head is 2.",
    minutes=0.1,
)
def spread():
    entropies = {True: [], False: []}
    for width in (96, 768):
        q, k = _random(2, 64, width, seed=width)
        for h in (h for h in range(1, width // 2 + 1) if width % h == 0):
            scores = _cut(q, k, h)
            for by_head, divided in (True, scores), (False, scores / h**0.5):
                entropies[by_head].append(torch.special.entr(divided.softmax(-1)).sum(-1).mean().item())
    right, wrong = entropies[True], entropies[False]
    assert max(right) - min(right) < 0.25 and wrong[-1] > 4.1
    return {"least": min(right), "most": max(right), "few": wrong[0], "many": wrong[-1]}


@claim(
    "02.paler",
    cell="cls-lead-words",
    says="What the columns agree on fades with every cut",
    tried="The first edition said that narrow heads have weak opinions. Random queries and keys, of two widths, cut "
    "in the same places; a part added on which all their columns agree (one key a little longer along every query); "
    "and the eleven other recorded sentences of the trained layer.",
    attacks=("one thing", "size", "seeds"),
    out="Largest weight in a row from the fewest to the most heads: random {random[0]:.2f} to {random[1]:.2f}; with "
    "the agreeing part {agreeing[0]:.2f} to {agreeing[1]:.2f}; in the trained layer it fell at every cut in {falls} "
    "of 11 sentences, on average {trained[0]:.2f} to {trained[1]:.2f}.",
    minutes=0.1,
)
def paler():
    def largest(query, key, cuts=CUTS):
        return [_cut(query, key, h).softmax(dim=-1).amax(dim=-1).mean().item() for h in cuts]

    found = {}
    q, k = _random(2, 15, 768, seed=200)
    plain = [largest(*_random(2, 15, 384, seed=seed)) for seed in range(200, 205)] + [largest(q, k)]
    found["random"] = [sum(row[i] for row in plain) / len(plain) for i in (0, -1)]
    shared = _random(768, seed=201)
    agreeing = largest(q + shared, torch.cat([k[:1] + 0.5 * shared, k[1:]]))
    found["agreeing"] = [agreeing[0], agreeing[-1]]
    rows = [largest(*_columns(1, sentence)) for sentence in SENTENCES[1:]]
    found["falls"] = sum(all(a > b for a, b in zip(row, row[1:])) for row in rows)
    found["trained"] = [sum(row[i] for row in rows) / len(rows) for i in (0, -1)]
    assert all(abs(row[0] - row[-1]) < 0.1 for row in plain)  # no paling without agreement
    assert agreeing[0] > agreeing[-1] + 0.4 and found["falls"] >= 9
    return found


@claim(
    "02.columns",
    cell="borders",
    says="Which columns stand together was learned",
    tried="300 other shuffles, and 100 random rotations of all columns; the eleven other sentences, and in layer 0 the "
    "head for the word before. Then cuts that keep neighbours together: borders moved by half a head, and 24 heads.",
    attacks=("seeds", "opponent", "size"),
    out="The best of 12 heads gives the next word {trained:.2f}; in 300 shuffles {least:.2f} to {most:.2f}, after 100 "
    "rotations at most {turned:.2f}. In the other sentences {others:.2f} on average against {others_after:.2f}; layer "
    "0, word before: {before:.2f} against {before_after:.2f}. But with the borders moved by half a head it is "
    "{moved:.2f}, and with 24 heads {finer:.2f}: that the borders themselves were learned does not stand, and the "
    "lesson says so.",
    minutes=0.2,
)
def columns():
    def best(query, key, step=1, h=12):
        return _cut(query, key, h).softmax(dim=-1).diagonal(step, -2, -1).mean(dim=-1).max().item()

    def shuffled(query, key, seed):
        order = torch.randperm(384, generator=torch.Generator().manual_seed(seed))
        return query[:, order], key[:, order]

    query, key, _ = pretrained.recorded_projection()
    after = [best(*shuffled(query, key, seed)) for seed in range(1000, 1300)]
    turned = []
    for seed in range(100):
        turn, _ = torch.linalg.qr(_random(384, 384, seed=seed))
        turned.append(best(query @ turn, key @ turn))
    found = {"trained": best(query, key), "least": min(after), "most": max(after), "turned": max(turned)}
    found |= {"moved": best(query.roll(16, 1), key.roll(16, 1)), "finer": best(query, key, h=24)}
    for name, layer, step in ("others", 1, 1), ("before", 0, -1):
        pairs = [_columns(layer, sentence) for sentence in SENTENCES[1:]]
        found[name] = sum(best(*pair, step) for pair in pairs) / len(pairs)
        shuffles = [best(*shuffled(*pair, seed), step) for pair in pairs for seed in range(10)]
        found[f"{name}_after"] = sum(shuffles) / len(shuffles)
    assert found["trained"] > 0.6 and max(found["most"], found["turned"]) < 0.45
    assert found["others"] > found["others_after"] + 0.2 and found["before"] > found["before_after"] + 0.3
    assert min(found["moved"], found["finer"]) > 0.5
    return found


@claim(
    "02.brackets",
    cell="vote",
    says="one softmax around the sum multiplies the heads' opinions",
    tried="40 random layers of other sizes in float64: is the single head's map the product of the heads' maps, made "
    "to sum to 1?",
    attacks=("size",),
    out="The largest difference was {difference:.0e}.",
    minutes=0.1,
)
def brackets():
    difference = 0.0
    for seed in range(40):
        h, width = 1 + seed % 8, 1 + seed % 5
        q, k = _random(2, 9, h * width, seed=seed).double()
        terms = torch.stack([a @ b.T for a, b in zip(q.split(width, 1), k.split(width, 1))]) / (h * width) ** 0.5
        product = terms.softmax(dim=-1).prod(dim=0)
        one = attention(q, k, k)[1]
        difference = max(difference, (product / product.sum(-1, keepdim=True) - one).abs().max().item())
    assert difference < 1e-12
    return {"difference": difference}


@claim(
    "02.votes",
    cell="insight",
    says="the largest sum wins: here the word on which most columns agree",
    tried="A sum is no vote: a few large products can beat many small ones. In all six layers and twelve sentences: is "
    "the favourite of the uncut layer the word that most of the 384 columns put above their mean? And is the fading "
    "of this layer's maps [CLS] alone?",
    attacks=("size", "opponent"),
    out="In layer 1 for {here:.0%} of the words, in layers 2 to 5 for {least:.0%} or more, in layer 0 for "
    "{layer_0:.0%}: the lesson had said that most columns win, and says it of this layer now. From 1 head "
    "to 96 the largest weight falls by {open:.2f} on average over twelve sentences, with [CLS] hidden by "
    "{hidden:.2f}: half of the fading is [CLS], not most of it.",
    minutes=0.1,
)
def votes():
    shares = []
    for layer in range(6):
        agree = []
        for sentence in SENTENCES:
            query, key = _columns(layer, sentence)
            products = query[:, None] * key[None]  # (N, N, 384)
            most = (products > products.mean(dim=1, keepdim=True)).sum(dim=-1).argmax(dim=-1)
            agree.append(products.sum(dim=-1).argmax(dim=-1) == most)
        shares.append(torch.cat(agree).float().mean().item())
    falls = {"open": [], "hidden": []}
    for sentence in SENTENCES:
        for name, seen in ("open", slice(None)), ("hidden", slice(1, None)):
            scores = [_cut(*_columns(1, sentence), h)[:, seen, seen] for h in (1, 96)]
            one, many = (each.softmax(dim=-1).amax(dim=-1).mean().item() for each in scores)
            falls[name].append(one - many)
    found = {name: sum(each) / len(each) for name, each in falls.items()}
    assert shares[1] > 0.9 and 0.4 < found["hidden"] / found["open"] < 0.65
    return found | {"here": shares[1], "least": min(shares[2:]), "layer_0": shares[0]}


@claim(
    "02.two-favourites",
    cell="why-two",
    says="Two numbers would do, if somebody laid the keys on a circle by hand",
    tried="d_head 1: 2,000 random heads of 40 words, and weights set by hand for d_head 2: keys on a circle, each "
    "query turned to the word before it.",
    attacks=("construction", "size"),
    out="Of width 1 no head had more than {one} favourites over 40 queries; of width 2, set by hand, {two} of 40 words "
    "look at the word before them. The lesson's sentence is about width 1 alone.",
    minutes=0.1,
)
def two_favourites():
    q, k = _random(2, 2000, 40, seed=300)
    one = max(len(set(head.tolist())) for head in (q[:, :, None] * k[:, None, :]).argmax(dim=-1))
    angle = torch.arange(40) * 2 * torch.pi / 40
    keys = torch.stack([angle.cos(), angle.sin()], dim=1)
    favourite = (keys.roll(1, 0) @ keys.T).argmax(dim=1)
    two = (favourite == (torch.arange(40) - 1) % 40).sum().item()
    assert one == 2 and two == 40
    return {"one": one, "two": two}
