"""Lesson 12: QK-norm, gates, sinks, positions and patterns of layers, on the small models of data/sweep_modern.py."""

from functools import partial

import sweep_modern
import torch

from claims import claim, kept
from mha_lab import attention, causal_mask, measure, tasks, train, window_mask
from mha_lab.models.decoder import Decoder
from mha_lab.models.today import LAYERS
from mha_lab.rotary import Rotary
from mha_lab.tasks.back_copy import LETTERS, back_copy, least_loss
from mha_lab.variants import GatedAttention, HeadGatedAttention, SinkAttention, sink_attention, top_keys

FRESH = 7  # a seed that no recorded model was trained with


def _kept(name, make):
    def alone():
        with measure.single_thread():
            return make()

    return kept(name, alone)


@claim(
    "12.qk-norm",
    cell="norm-says",
    says="What QK-norm changes is above all which learning rates work. At .01 a fourth pair differs by {best:+.2f}",
    tried="A fresh seed at all three rates; at the highest one also one layer of 32 numbers in place of two of 64, "
    "and twice the steps. Tried besides, seeds 0 to 2 at .1: no norm, and W^Q and W^K learn ten times more slowly: "
    "2.33, 2.31 and 2.34 nats, where plain has 2.75 to 2.81 and QK-norm 2.17 to 2.23. At lower rates the norm brings "
    "nothing: with it minus without +.030 and +.012 at .003, +.001 and −.011 at .001.",
    attacks=("seeds", "size", "budget"),
    out="Loss with QK-norm minus without: {best:+.3f} nats at .01, {middle:+.2f} at .03, {highest:+.2f} at .1; one "
    "small layer at .1 {small:+.2f}; 600 steps at .1 {longer:+.2f}.",
    minutes=1.6,
)
def qk_norm():
    settings = {
        "best": (1e-2, {}),
        "middle": (3e-2, {}),
        "highest": (1e-1, {}),
        "small": (1e-1, {"d_model": 32, "num_layers": 1}),
        "longer": (1e-1, {"steps": 600}),
    }
    found = {}
    for name, (lr, options) in settings.items():
        losses = [
            _kept(
                f"12.qk-norm {name} {kind}", lambda k=kind, r=lr, o=options: sweep_modern.rate(k, r, FRESH, **o)["loss"]
            )
            for kind in ("plain", "QK-norm")
        ]
        found[name] = losses[1] - losses[0]
    assert abs(found["best"]) < 0.05 and found["middle"] < -0.02
    assert max(found["highest"], found["longer"], found["small"]) < -0.05
    return found


@claim(
    "12.norm-bound",
    cell="norm-bound",
    says="so a score is at most K / √K = √K, whatever the weights are.",
    tried="Queries and keys of 1 to 128 numbers, times 10⁻³ to 10⁶, in float64; keys that are their queries, which "
    "reach the bound; and the same with gains of 2.",
    attacks=("size", "construction"),
    out="The largest score over √K is {most:.6f}; with gains of 2 {gained:.1f}: the sentence is about gains of 1.",
    minutes=0.02,
)
def norm_bound():
    generator, most = torch.Generator().manual_seed(FRESH), 0.0
    for K in (1, 2, 16, 128):
        layer = LAYERS["QK-norm"](4 * K, 4, bias=False).double()
        for size in (1e-3, 1.0, 1e6):
            x = size * torch.randn(1, 40, 4 * K, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                layer.k_proj.weight.copy_(layer.q_proj.weight)  # so that each key is its query
                query, key, _ = layer.project(x, x)
            most = max(most, (query @ key.mT / K).abs().max().item())
    assert 0.999 < most <= 1 + 1e-9
    return {"most": most, "gained": 4 * most}


@claim(
    "12.still-a-sum",
    cell="gate-sum-says",
    says="A gate made of x is a number that no head changes",
    tried="The package's layers with both gates and with sinks, 40 sizes, key/value heads that are shared, biases and "
    "heads of a width of their own, in float64: the layer's output against the sum of its heads, each alone.",
    attacks=("size", "construction"),
    out="The largest difference in {layers} layers was {apart:.0e}.",
    minutes=0.05,
)
def still_a_sum():
    generator, apart, layers = torch.Generator().manual_seed(FRESH), 0.0, 0
    for H, G, K, D in ((1, 1, 3, 5), (4, 2, 8, 24), (6, 3, 5, 30), (8, 1, 16, 64)):
        for kind in (GatedAttention, HeadGatedAttention, SinkAttention):
            layer = kind(D, H, G, d_head=K, rotary=None).double().requires_grad_(False)
            for N in (1, 2, 9):
                x = torch.randn(2, N, D, generator=generator, dtype=torch.float64)
                query, key, value = layer.project(x, x)
                heads, _ = layer.attend(query, key, value)
                alone = torch.eye(H, dtype=x.dtype)[:, None, :, None, None]
                terms = [layer.combine(heads * one, x) - layer.out_proj.bias for one in alone]
                apart = max(apart, (sum(terms) + layer.out_proj.bias - layer(x)).abs().max().item())
                layers += 1
    assert apart < 1e-12
    return {"apart": apart, "layers": layers}


@torch.no_grad()
def _at_letters(model, mask=None):
    """Nats beyond the table after a letter from the seventh token on, where only `mask` is seen."""
    test = back_copy().draw(300, torch.Generator().manual_seed(30_000))
    token = test.inputs[..., 0]
    loss = torch.nn.functional.cross_entropy(
        model(test.inputs, mask=mask)[0].mT, test.targets[..., 0], reduction="none", ignore_index=tasks.IGNORE
    )
    letters = (token < LETTERS) & (torch.arange(32) >= 6)
    return (loss - least_loss(test.inputs))[letters].mean().item()


def _of_idle(kind, heads=2, d_model=64, frozen=False):
    """What windows of six cost a model of a fresh seed: with all, the window, the first and five, another and five."""
    torch.manual_seed(FRESH)
    layer = partial(LAYERS[kind], rotary=Rotary())
    model = Decoder(back_copy(), attention=layer, num_heads=heads, num_layers=1, d_model=d_model)
    if frozen:
        model.blocks[0].attention.sink.requires_grad_(False)
    train.fit_whole(model, back_copy().draw, steps=500, batch_size=32, lr=1e-2, seed=FRESH, progress=False)
    near, one_less = window_mask(32, 6), window_mask(32, 5)
    losses = [_at_letters(model), _at_letters(model, near)]
    for token in (0, 1):
        with_token = one_less.clone()
        with_token[:, token] = True
        losses.append(_at_letters(model, with_token))
    return losses


@claim(
    "12.idle",
    cell="idle-window-says",
    says="weight that rested on the start now falls on other letters, whose values say something.",
    tried="A fresh seed; four heads, and 32 numbers in place of 64; and the second token of the text kept in place of "
    "the first, which is a letter.",
    attacks=("seeds", "size", "opponent"),
    out="Nats beyond the table at letters, with everything, with the last six, with the first and five, with the "
    "second and five: {two}; four heads {four}; 32 numbers {narrow}.",
    minutes=0.5,
)
def idle():
    recipes = {"two": {}, "four": {"heads": 4}, "narrow": {"d_model": 32}}
    found = {name: _kept(f"12.idle {name}", lambda o=o: _of_idle("plain", **o)) for name, o in recipes.items()}
    for everything, near, first, second in found.values():
        assert near > everything + 0.03 and first < everything + 0.3 * (near - everything) and second > 2 * first
    return {name: ", ".join(f"{loss:.3f}" for loss in losses) for name, losses in found.items()}


def _built_near(seed):
    """Nats beyond the table at letters of a plain model of windows of six: trained with them, and given them later."""
    losses = []
    for pattern in "LG":
        torch.manual_seed(seed)
        layer = partial(LAYERS["plain"], rotary=Rotary())
        model = Decoder(back_copy(), attention=layer, num_heads=2, num_layers=1, pattern=pattern, window=6)
        train.fit_whole(model, back_copy().draw, steps=500, batch_size=32, lr=1e-2, seed=seed, progress=False)
        losses.append(_at_letters(model, window_mask(32, 6)))
    return losses


@claim(
    "12.built",
    cell="idle-window-says",
    says="A plain model that is *trained* with this window loses nothing by it",
    tried="The lesson said that models are built with sinks because of their windows. The strongest opponent: the "
    "same plain model trained with the window from the first step; three fresh seeds, in pairs.",
    attacks=("seeds", "opponent", "one thing"),
    out="Refuted, and rewritten. Nats beyond the table at letters, trained with windows of six: {built}; the same "
    "seeds trained without and given them later: {later}.",
    minutes=1,
)
def built():
    pairs = [_kept(f"12.built {seed}", lambda s=seed: _built_near(s)) for seed in (FRESH, FRESH + 1, FRESH + 2)]
    assert all(near < 0.02 and near < later - 0.05 for near, later in pairs)
    return {name: ", ".join(f"{loss:.3f}" for loss in each) for name, each in zip(("built", "later"), zip(*pairs))}


@claim(
    "12.quiet",
    cell="sink-says",
    says="So a gate takes away nearly all of what the window costs in each of five seeds, and a sink most of it in "
    "four. In a sixth, a sink left {sink:.3f} of {plain:.3f} nats, and with four heads {sink_4:.3f} of {plain_4:.3f}.",
    tried="A fresh seed for each; four heads; and a sink that is not learned but stays at 0, as add_zero_attn has it.",
    attacks=("seeds", "size", "one thing"),
    out="What the window adds at letters: plain {plain:.3f} nats, gate for each number {number:.3f}, gate for each "
    "head {head:.3f}, sink {sink:.3f}, sink of 0 {zero:.3f}; four heads: plain {plain_4:.3f}, gate for each head "
    "{head_4:.3f}, sink {sink_4:.3f}.",
    minutes=0.9,
)
def quiet():
    recipes = {
        "plain": ("plain", {}),
        "number": ("gate for each number", {}),
        "head": ("gate for each head", {}),
        "sink": ("sink", {}),
        "zero": ("sink", {"frozen": True}),
        "plain_4": ("plain", {"heads": 4}),
        "head_4": ("gate for each head", {"heads": 4}),
        "sink_4": ("sink", {"heads": 4}),
    }
    found = {}
    for name, (kind, options) in recipes.items():
        everything, near, *_ = _kept(f"12.quiet {name}", lambda k=kind, o=options: _of_idle(k, **o))
        found[name] = near - everything
    assert max(found["number"], found["head"]) < 0.5 * found["plain"] and found["head_4"] < 0.5 * found["plain_4"]
    assert found["sink"] < 0.5 * found["plain"] and found["sink_4"] < found["plain_4"]
    return found


@claim(
    "12.sink-is-a-gate",
    cell="sink-gate",
    says="A sink is a gate on the row, and the scores compute it: it opens when Σ is large beside exp(s), by one high "
    "score or by very many middling ones.",
    tried="Sinks from −20 to 20, scores up to 100, rows with hidden keys and 1 to 50 keys, in float64. Tried besides: "
    "the lesson said that it opens when a head has found much; with all scores 0 and s = 1 it is .27 open with 1 key, "
    ".92 with 32 and .9993 with 4,096.",
    attacks=("size",),
    out="The largest difference of σ(logsumexp − s) times the plain output was {apart:.0e} of the values' scale.",
    minutes=0.02,
)
def sink_is_a_gate():
    generator, apart = torch.Generator().manual_seed(FRESH), 0.0
    for S in (1, 7, 50):
        for size in (0.1, 1.0, 5.0):
            q, k, v = (torch.randn(2, 3, S, 8, generator=generator, dtype=torch.float64) for _ in range(3))
            q, sink = size * q, torch.tensor([-20.0, 0.3, 20.0], dtype=torch.float64)
            mask = torch.ones(S, S, dtype=torch.bool).tril()
            scores = (q @ k.mT / 8**0.5).masked_fill(~mask, -torch.inf)
            gate = (scores.logsumexp(dim=-1, keepdim=True) - sink[:, None, None]).sigmoid()
            gap = sink_attention(q, k, v, sink, mask=mask)[0] - gate * attention(q, k, v, mask=mask)[0]
            apart = max(apart, gap.abs().max().item())
    assert apart < 1e-12
    return {"apart": apart}


@claim(
    "12.gate-on-text",
    cell="gate-text-says",
    says="After twice the steps, with a fresh seed, plain has {plain:.2f} nats, wider heads {wider:.2f} and the gate "
    "{number:.2f}",
    tried="Twice the steps, with a fresh seed: the plain layer, wider heads, and a gate for each number.",
    attacks=("budget", "seeds", "opponent"),
    out="After 800 steps: plain {plain:.3f} nats, wider {wider:.3f}, gate for each number {number:.3f}.",
    minutes=1.0,
)
def gate_on_text():
    names = {"plain": "plain", "wider": "wider", "number": "gate for each number"}
    found = {
        name: _kept(f"12.gate-on-text {name}", lambda k=kind: sweep_modern.text(k, FRESH, steps=800)["loss"])
        for name, kind in names.items()
    }
    assert found["number"] > max(found["wider"], found["plain"]) - 0.02, found  # no gain that lasts, beside either
    return found


def _read(kind, seed, steps):
    """Right near and far at 256 tokens, where tokens see everything; and near, where they see their last 64."""
    model, new = sweep_modern.reader(kind, seed, steps=steps), sweep_modern.new_documents(256)
    return [*model.accuracy(new).tolist(), _near(model(new.inputs, mask=window_mask(256, 64)), new)]


def _near(answers, new):
    right = answers[0].argmax(dim=-1) == new.targets[..., 0]
    return right[:, 1:].double().mean().item()


@torch.no_grad()
def _no_new_distance(model, inputs, most=63):
    """The model's answers where a query sees all of its past, and no key stands more than `most` tokens away: farther
    ones are turned as if they stood there."""
    x = model.positions(sum(embed(feature) for embed, feature in zip(model.embed, inputs.unbind(dim=-1))))
    n = x.shape[1]
    apart = torch.arange(n)[:, None] - torch.arange(n)
    for block in model.blocks:
        layer, read = block.attention, block.norm(x)
        query, key, value = layer.project(read, read)
        farthest = layer.rotary(query[..., None, :], most)[..., 0, :] @ key.mT  # queries stand at `most`, keys at 0
        scores = torch.where(apart <= most, layer.rotary(query) @ layer.rotary(key).mT, farthest) / layer.d_head**0.5
        weights = scores.masked_fill(apart < 0, -torch.inf).softmax(dim=-1)
        x = x + layer.combine(weights @ value, read)
        x = x if block.mlp is None else x + block.mlp(x)
    return [answer(model.norm(x)) for answer in model.answer]


def _drawn_from_the_past(n=256, keys=64):
    """(N, N) mask: each token sees itself, the one before, and others of its past at any distance: 64 keys at most."""
    wish = torch.rand(n, n, generator=torch.Generator().manual_seed(FRESH))
    wish = wish.fill_diagonal_(2.0)
    wish[1:].diagonal().fill_(2.0)
    return top_keys(wish, keys, mask=causal_mask(n))


def _read_apart(seed, steps):
    """Right near at 256 tokens: all keys at new distances too; the last 64; as many at any distance; and all keys, none
    at a new distance."""
    model, new = sweep_modern.reader("rotary", seed, steps=steps), sweep_modern.new_documents(256)
    with torch.no_grad():
        masked = [_near(model(new.inputs, mask=mask), new) for mask in (window_mask(256, 64), _drawn_from_the_past())]
    return [model.accuracy(new)[0].item(), *masked, _near(_no_new_distance(model, new.inputs), new)]


@claim(
    "12.longer",
    cell="place-trouble-says",
    says="A fresh model at 256 tokens knows the order again if it sees only its last 64, and just as well if it sees "
    "all of them and none is turned as if it stood more than 63 tokens away",
    tried="Whether the order is lost because of keys at new distances, or because there are more keys: a fresh seed, "
    "after 800 steps and after 1,600, reads 256 tokens with everything in sight; through a window as long as the texts "
    "of its training; with as many keys as such a window has, but drawn from the whole past (the token and the one "
    "before are always among them); and with all keys in sight, but none turned by more than 63 tokens.",
    attacks=("seeds", "budget", "one thing"),
    out="Right near after 800 steps: {rotary:.2f} with everything, {window:.2f} through the window, {drawn:.2f} with "
    "64 keys at any distance, {known:.2f} with all keys and no new distance; after 1,600 steps {rotary_longer:.2f}, "
    "{window_longer:.2f}, {drawn_longer:.2f} and {known_longer:.2f}.",
    minutes=0.7,
)
def longer():
    found = {}
    for more, steps in (("", 800), ("_longer", 1600)):
        near = _kept(f"12.longer {steps}", lambda n=steps: _read_apart(FRESH, n))
        found |= {f"{name}{more}": share for name, share in zip(("rotary", "window", "drawn", "known"), near)}
    assert max(found["rotary"], found["rotary_longer"]) < 0.85
    assert min(found[f"{name}{more}"] for name in ("window", "known") for more in ("", "_longer")) > 0.95
    assert max(found["drawn"], found["drawn_longer"]) < 0.85  # few keys alone do not mend it
    return found


@claim(
    "12.quarter",
    cell="place-says",
    says="where it has learned both, both hold at 256 tokens",
    tried="The seed that had not learned to find a content, with twice the steps; a fresh seed with as many; and the "
    "strongest opponent, rotary positions in all of a head, with as many steps and that seed. Tried besides: seeds 3 "
    "and 4 with a quarter, near and far at 256 tokens: .96 and 1.00, .99 and .99; and all of a head rotated with base "
    "10⁶, seeds 0 and 1: far .966 and .991 (with base 10,000 .88 and .90), near .67 and .67 (.46 and .49).",
    attacks=("budget", "seeds", "opponent"),
    out="Near and far at 256 tokens: seed 0 after 1,600 steps {zero}; a fresh seed {fresh}; all of a head "
    "rotated, {whole}.",
    minutes=1.6,
)
def quarter():
    recipes = {
        "zero": ("a quarter rotary", 0, 1600),
        "fresh": ("a quarter rotary", FRESH, 1600),
        "whole": ("rotary", FRESH, 1600),
    }
    found = {name: _kept(f"12.quarter {name}", lambda r=recipe: _read(*r)) for name, recipe in recipes.items()}
    assert found["fresh"][0] > found["whole"][0] + 0.1
    return {name: f"{near:.2f} and {far:.2f}" for name, (near, far, _) in found.items()}


@claim(
    "12.pattern",
    cell="pattern-says",
    says="Two global layers of twelve answer what twelve answer",
    tried="A fresh seed with the global layers first in place of last; one global layer of twelve; and windows alone "
    "with four times the steps. (Four of the five patterns answer all: the bench tells no difference between them.)",
    attacks=("seeds", "one thing", "budget"),
    out="Right about names beyond a window: 5 : 1 with the global layers first {first:.2f}, 11 : 1 {one:.2f}, windows "
    "alone after 800 steps {windows:.2f}.",
    minutes=2.0,
)
def pattern():
    recipes = {
        "first": ("GLLLLL", 200),
        "one": ("LLLLLLLLLLLG", 200),
        "windows": ("L", 800),
    }
    found = {
        name: _kept(f"12.pattern {name}", lambda k=kind, n=steps: sweep_modern.pattern(k, FRESH, steps=n)["right"][2])
        for name, (kind, steps) in recipes.items()
    }
    assert found["first"] > 0.95 > found["windows"] + 0.1
    return found
