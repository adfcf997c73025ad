"""Lesson 05: what a cache saves, what sharing keys and values saves for certain, and a latent in their place."""

from functools import cache, partial

import torch
from record_minilm import SENTENCES
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from claims import claim
from claims.lesson00 import MORE_WINOGRAD, NEW_SENTENCES, WINOGRAD
from claims.lesson02 import _columns
from mha_lab import KVCache, MultiHeadAttention, attention, measure, pretrained, split_heads
from mha_lab.rotary import Rotary, rotate
from mha_lab.variants import LatentAttention

FIT = [sentence for sentence in NEW_SENTENCES if " " in sentence]
FIT += [f"{start} {word}" for start, one, other, *_ in WINOGRAD + MORE_WINOGRAD for word in (one, other)]


def _folded(query, key, value):
    B, H, N, K = query.shape
    rows = query.reshape(B, key.shape[1], -1, K)
    return F.scaled_dot_product_attention(rows, key, value).view(B, H, N, K)


def _step(S, G, H=16, K=64):
    """One new query of H heads and a cache of S tokens with G heads."""
    generator = torch.Generator().manual_seed(S + G)
    return [torch.randn(1, heads, n, K, generator=generator) for heads, n in ((H, 1), (G, S), (G, S))]


def _gains(H, K, contexts, counts):
    """How many times as fast as with H key/value heads a step is, by (K/V heads, context)."""
    gains = {}
    for S in contexts:
        steps = {G: _step(S, G, H, K) for G in (H, *counts)}
        candidates = {G: lambda step=step: _folded(*step) for G, step in steps.items()}
        times = measure.compare(candidates, budget=0.3)
        for G in counts:
            gains[G, S] = times[H].ratio(times[G])
    return gains


@claim(
    "05.cache-changes-nothing",
    cell="place",
    says="All ways must agree, not in the chosen word only but in every score.",
    tried="30 stacks of two layers of random sizes, shared K/V heads, with and without rotary positions, in float64: "
    "a text at once, and in random chunks through a cache. And the bug that the lesson names, by hand: positions "
    "counted from 0 in every chunk.",
    attacks=("size", "construction"),
    out="At most {worst:.0e} apart. Where each chunk counts its positions from 0, at least {wrong:.2f} of the "
    "output's size.",
    minutes=0.1,
)
def cache_changes_nothing():
    generator, off, wrong = torch.Generator().manual_seed(1), [], []
    for _ in range(30):
        groups, per_group, half = (int(torch.randint(1, 4, (), generator=generator)) for _ in range(3))
        sizes = {"d_model": 12, "num_heads": groups * per_group, "num_kv_heads": groups, "d_head": 2 * half}
        layers = [MultiHeadAttention(**sizes, rotary=Rotary()).double().requires_grad_(False) for _ in range(2)]
        x = torch.randn(1, 11, 12, generator=generator, dtype=torch.float64)
        cut = int(torch.randint(1, 10, (), generator=generator))
        whole = layers[1](layers[0](x, causal=True), causal=True)
        caches = [KVCache(), KVCache()]
        parts = [layers[1](layers[0](part, cache=caches[0]), cache=caches[1]) for part in x.split(cut, dim=1)]
        off.append((torch.cat(parts, dim=1) - whole).abs().max().item())
        wrong.append(_counted_from_0(layers[0], x, cut))
    assert max(off) < 1e-12 and min(wrong) > 1e-3
    return {"worst": max(off), "wrong": min(wrong)}


def _counted_from_0(layer, x, cut):
    """How far a layer's output is off, as part of its size, where each chunk counts its positions from 0."""
    layer.rotary, right = (lambda x, start: rotate(x, 0)), layer(x, causal=True)
    cache = KVCache()
    parts = torch.cat([layer(part, cache=cache) for part in x.split(cut, dim=1)], dim=1)
    return ((parts - right).norm() / right.norm()).item()


@claim(
    "05.balance",
    cell="balance-says",
    says="One thread of a CPU can do a few, a large GPU hundreds.",
    tried="The balance of this thread calibrated three times; and the operations for each byte of a step of decoding "
    "as torch's counter gives them, for 1 to 16 K/V heads and a batch of 8.",
    attacks=("seeds", "size"),
    out="Calibrated three times: {low:.1f} to {high:.1f} operations a byte. A step on an unshared cache in float32 "
    "does {mha:.1f}, on a shared one {gqa:.1f} and {mqa:.1f}, also in a batch of 8.",
    minutes=0.2,
)
def balance():
    machines = [measure.calibrate() for _ in range(3)]
    found = [machine.flops_per_second / machine.bytes_per_second for machine in machines]
    per_byte = {}
    for G in 16, 4, 1:
        for B in 1, 8:
            query, key, value = (part.expand(B, -1, -1, -1) for part in _step(512, G))
            with FlopCounterMode(display=False) as counter:
                attention(query, key, value)
            per_byte[G, B] = counter.get_total_flops() / (key.numel() + value.numel()) / 4
        assert per_byte[G, 1] == per_byte[G, 8] == 16 / G / 2
    assert 0.5 < min(found) and max(found) < 30
    return {"low": min(found), "high": max(found), "mha": per_byte[16, 1], "gqa": per_byte[4, 1], "mqa": per_byte[1, 1]}


@claim(
    "05.tied-heads",
    cell="tied-says",
    says="So sharing keys and values is parameter sharing between heads",
    tried="Random sizes and gradients: the shared head's gradient must be the sum of its copies' gradients, or "
    "training would part them. And the other way round: can a random 8-head layer be written with 4 K/V heads?",
    attacks=("size", "opponent"),
    out="Outputs differ by at most {output:.0e}, gradients by {gradient:.0e}. The best rank-shared W^K for a random "
    "layer is off by {best:.0%} of its size: what GQA can do, MHA can, and not the reverse.",
    minutes=0.1,
)
def tied_heads():
    generator, worst = torch.Generator().manual_seed(2), {"output": 0.0, "gradient": 0.0}
    for H, G in (8, 2), (6, 3), (4, 1):
        query, key, value = (
            torch.randn(2, heads, 7, 4, generator=generator, dtype=torch.float64) for heads in (H, G, G)
        )
        copies = [part.repeat_interleave(H // G, dim=1).requires_grad_() for part in (key, value)]
        key.requires_grad_(), value.requires_grad_()
        shared, full = attention(query, key, value)[0], attention(query, *copies)[0]
        worst["output"] = max(worst["output"], (shared - full).abs().max().item())
        ours = torch.autograd.grad(shared.square().sum(), [key, value])
        theirs = torch.autograd.grad(full.square().sum(), copies)
        for a, b in zip(ours, theirs):
            summed = b.unflatten(1, (G, -1)).sum(dim=2)
            worst["gradient"] = max(worst["gradient"], (a - summed).abs().max().item())
    W_k = torch.randn(4, 2, 64 * 8, generator=generator)  # 8 heads in 4 pairs
    best = ((W_k - W_k.mean(dim=1, keepdim=True)).norm() / W_k.norm()).item()
    assert max(worst.values()) < 1e-12 and best > 0.5
    return worst | {"best": best}


@claim(
    "05.copying",
    cell="times-say",
    says="One line can decide whether sharing is a gain or a loss.",
    tried="Other sizes than the lesson's: 32 query heads on 8, 2 and 1 of width 128 and 64, at 1,500 and 6,000 tokens.",
    attacks=("size", "seeds"),
    out="repeat_interleave takes {low:.1f} to {high:.1f} times as long as folding, and {worst:.2f} to {mha:.2f} times "
    "as long as plain MHA.",
    minutes=0.5,
)
def copying():
    against_folded, against_mha = [], []
    for G, K, S in (8, 128, 1500), (2, 64, 6000), (1, 64, 1500):
        query, key, value = _step(S, G, 32, K)
        full = _step(S, 32, 32, K)

        def repeated(query=query, key=key, value=value, times=32 // G):
            return _folded(query, *(part.repeat_interleave(times, dim=1) for part in (key, value)))

        ways = {"folded": lambda q=query, k=key, v=value: _folded(q, k, v), "repeated": repeated}
        times = measure.compare(ways | {"MHA": lambda full=full: _folded(*full)}, budget=0.5)
        against_folded.append(times["repeated"].ratio(times["folded"]))
        against_mha.append(times["repeated"].ratio(times["MHA"]))
    assert min(against_folded) > 1.5 and max(against_mha) > 1
    return {
        "low": min(against_folded),
        "high": max(against_folded),
        "worst": min(against_mha),
        "mha": max(against_mha),
    }


@claim(
    "05.gain-and-context",
    cell="sweep-means-then",
    says="A step gets faster where reading the cache was what took the time, and only until something else takes "
    "longer",
    tried="16 query heads of 64 and 32 of 128; 64, 256 and 16,384 tokens; three rounds, of which the median counts. "
    "Does the gain reach the factor by which the cache shrinks, and does it grow with the text?",
    attacks=("size", "seeds"),
    out="A cache 4 times smaller: {gqa_64:.1f}, {gqa_256:.1f} and {gqa_16384:.1f} times as fast at 64, 256 and 16,384 "
    "tokens; 16 times smaller: {mqa_64:.1f}, {mqa_256:.1f} and {mqa_16384:.1f}. 32 heads of 128 on 1, 32 times "
    "smaller, 4,096 tokens: {wide:.1f}.",
    minutes=1,
)
def gain_and_context():
    rounds = [_gains(16, 64, (64, 256, 16384), (4, 1)) for _ in range(3)]
    found = {case: sorted(gains[case] for gains in rounds)[1] for case in rounds[0]}
    wide = _gains(32, 128, (4096,), (1,))[1, 4096]
    gains = {f"{name}_{S}": found[G, S] for name, G in (("gqa", 4), ("mqa", 1)) for S in (64, 256, 16384)}
    assert gains["gqa_16384"] < 4 and gains["mqa_16384"] < 16 and wide < 32
    assert gains["gqa_256"] > 1.2 and gains["mqa_16384"] > gains["gqa_16384"] > 1.2
    return gains | {"wide": wide}


@claim(
    "05.thin-products",
    cell="sweep-means",
    says="A product of 4 rows runs at {four:.0%} of the rate of a large one, and one of 16 rows at {sixteen:.0%}, even "
    "where the cache stays in the processor.",
    tried="The lesson had said that memory is the limit as long as the operations for each byte stay below the "
    "balance. With 4 K/V heads they do, and at 16,384 tokens the cache comes in far below the bandwidth. So: the rate "
    "of a step on caches that fit the processor's memory (256 to 1,024 tokens, the best of them), against the large "
    "product with which the balance is taken; the same step with its two products and softmax written out; and "
    "whether bytes at the bandwidth and operations at those rates add up to the time at 16,384 tokens.",
    attacks=("opponent", "size", "one thing"),
    out="Written out, the step at 16,384 tokens takes {plain:.2f} of the fused kernel's time: it is no fault of the "
    "kernel. It reads {read:.0%} of the bandwidth with 4 K/V heads. Bytes and operations, added, give {mha:.2f}, "
    "{gqa:.2f} and {mqa:.2f} of the time with 16, 4 and 1 K/V heads: neither alone is the limit, and with few K/V "
    "heads a part of the time is not explained.",
    minutes=0.2,
)
def thin_products():
    machine, work, taken = measure.calibrate(), 4 * 16 * 64, {}  # operations for each token of the cache
    rate = {G: max(work * S / _time(_folded, S, G) for S in (256, 512, 1024)) for G in (16, 4, 1)}
    for G in (16, 4, 1):
        reading = 2 * G * 16384 * 64 * 4 / machine.bytes_per_second
        taken[G] = _time(_folded, 16384, G)
        taken[f"model {G}"] = (reading + work * 16384 / rate[G]) / taken[G]
        taken[f"read {G}"] = reading / taken[G]
    four, sixteen = (rate[G] / machine.flops_per_second for G in (4, 1))
    assert 2 < machine.flops_per_second / machine.bytes_per_second, "4 K/V heads are below the balance"
    assert four < sixteen < 0.8 and four < 0.5 and taken["read 4"] < 0.5
    found = {"four": four, "sixteen": sixteen, "plain": _time(_written_out, 16384, 4) / taken[4]}
    found |= {name: taken[f"model {G}"] for name, G in (("mha", 16), ("gqa", 4), ("mqa", 1))}
    return found | {"read": taken["read 4"]}


def _written_out(query, key, value):
    B, H, N, K = query.shape
    rows = query.reshape(B, key.shape[1], -1, K)
    return (rows @ key.mT / K**0.5).softmax(dim=-1) @ value


def _time(way, S, G):
    return measure.compare({"step": partial(way, *_step(S, G))}, budget=0.4)["step"].median


@claim(
    "05.pooling",
    cell="moved-says",
    says="Pooled to four, half of all attention lands elsewhere; pooled to one, nearly as much as if the maps had "
    "been thrown away.",
    tried="Other groups than the neighbours: five random ways to put the twelve heads into four groups, and the best "
    "of 200 by the very measure on which it is judged.",
    attacks=("opponent", "seeds"),
    out="Neighbours {neighbours:.0f} of 100 parts moved; five random groupings {low:.0f} to {high:.0f}; the best of "
    "200 {best:.0f}.",
    minutes=0.1,
)
def pooling():
    Q, K, tokens = pretrained.recorded_projection()
    query, key = split_heads(Q[None].float(), 12)[0], split_heads(K[None].float(), 12)[0]
    before = (query @ key.mT / 32**0.5).softmax(dim=-1)

    def moved(order, G=4):
        mean = key[order].unflatten(0, (G, -1)).mean(dim=1).repeat_interleave(12 // G, dim=0)
        after = (query[order] @ mean.mT / 32**0.5).softmax(dim=-1)
        return 50 * (after - before[order]).abs().sum(dim=-1).mean().item()

    generator = torch.Generator().manual_seed(3)
    groupings = [moved(torch.randperm(12, generator=generator)) for _ in range(200)]
    neighbours, one = moved(torch.arange(12)), moved(torch.arange(12), 1)
    blind = 50 * (before - 1 / len(tokens)).abs().sum(dim=-1).mean().item()
    assert 40 < min(groupings) and 45 < neighbours < 60 and 0.85 * blind < one < blind
    return {"neighbours": neighbours, "low": min(groupings[:5]), "high": max(groupings[:5]), "best": min(groupings)}


@claim(
    "05.mean-or-first",
    cell="uptrain",
    says="By favourite words the mean is ahead everywhere, in this layer and in MiniLM's five others.",
    tried="The lesson has one sentence and one layer. Twelve recorded sentences and eleven new ones, all six layers, "
    "five sizes of groups: the mean of a group's keys against its first key, by both measures.",
    attacks=("size", "seeds"),
    out="By favourites the mean is ahead in {favourites} of 30 cases of a layer and a size. By the attention that "
    "moved, in {moved} of 30, in {pairs} of the 6 with groups of two: what the lesson sees there is its layer's.",
    minutes=0.1,
)
def mean_or_first():
    favourites = moved = pairs = 0
    for layer in range(6):
        heads = [_heads(layer, sentence) for sentence in [*SENTENCES, *FIT[:11]]]
        for G in (6, 4, 3, 2, 1):
            stay, move = torch.zeros(2), torch.zeros(2)
            for query, key in heads:
                groups, before = key.unflatten(0, (G, -1)), (query @ key.mT / 32**0.5).softmax(dim=-1)
                for i, shared in enumerate((groups.mean(dim=1), groups[:, 0])):
                    after = (query @ shared.repeat_interleave(12 // G, dim=0).mT / 32**0.5).softmax(dim=-1)
                    stay[i] += (after.argmax(dim=-1) == before.argmax(dim=-1)).float().mean()
                    move[i] += (after - before).abs().sum(dim=-1).mean() / 2
            favourites += (stay[0] > stay[1]).item()
            moved += (move[0] < move[1]).item()
            pairs += G == 6 and (move[0] < move[1]).item()
    assert favourites >= 29
    return {"favourites": favourites, "moved": moved, "pairs": pairs}


@claim(
    "05.aligned",
    cell="moved-says",
    says="Turn the heads of each group into one basis first, by rotations fitted to other sentences, and pooling to "
    "four moves {turned:.2f} in place of {mean:.2f}; give each group the 32 directions that serve its heads best, and "
    "it moves {best:.2f}.",
    tried="The strongest way to share without training. Lesson 03 says that a head's basis is free. So each head's "
    "queries and keys are turned alike before the keys are averaged; and, better, a group's common key is made of the "
    "directions in which its keys differ most as its queries see them. Both are fitted to sentences that are not "
    "recorded, and tried on the twelve that are; then all twelve heads on one key, and the other five layers.",
    attacks=("opponent", "construction", "size", "choice"),
    out="Pooled to one: {turned_one:.2f} turned, {best_one:.2f} with the best directions, in place of {mean_one:.2f}. "
    "To four, in the other layers: {others_mean} by the mean, {others_best} with the best directions. What pooling "
    "lost was the bases, not the views. It needs free bases, so rotary positions inside a head forbid most of it, and "
    "of values and of the model's answers this says nothing.",
    minutes=0.3,
)
def aligned():
    moved = {}
    for layer in (1, 0, 2, 3, 4, 5):
        fit = [torch.cat(part, dim=1) for part in zip(*(_heads(layer, sentence) for sentence in FIT))]
        tests = [_heads(layer, sentence) for sentence in SENTENCES]
        for G in (4, 1) if layer == 1 else (4,):
            for name, shared in ("mean", _as_they_are), ("turned", _turned), ("best", _best_directions):
                parts = [shared(*(x[i : i + 12 // G] for x in fit)) for i in range(0, 12, 12 // G)]
                each = [_moved_by(torch.cat(parts), *heads, 12 // G) for heads in tests]
                moved[name, layer, G] = sum(each) / len(each)
    found = {name: moved[name, 1, 4] for name in ("mean", "turned", "best")}
    assert found["best"] < found["turned"] < 0.6 * found["mean"]
    found |= {f"{name}_one": moved[name, 1, 1] for name in ("mean", "turned", "best")}
    for name in "mean", "best":
        found[f"others_{name}"] = ", ".join(f"{moved[name, layer, 4]:.2f}" for layer in (0, 2, 3, 4, 5))
    return found


@cache
def _heads(layer, sentence):
    """Queries and keys (12, N, 32) of a layer of MiniLM."""
    return [split_heads(x[None], 12)[0] for x in _columns(layer, sentence)]


# How the heads of a group share a key. Each gives (heads, 32, 32): M takes a head's own keys to the basis of the shared
# one, which is the mean, or the sum, of what the heads bring; and the queries meet it through N.
def _as_they_are(query, key):
    return torch.stack([torch.eye(32) / len(key), torch.eye(32)]).expand(len(key), 2, 32, 32)


def _turned(query, key):
    """Rotations that bring the keys of the heads as near to each other as rotations can."""
    middle = key[0]
    for _ in range(10):
        left, _, right = torch.linalg.svd(key.mT @ middle)
        turn = left @ right
        middle = (key @ turn).mean(dim=0)
    return torch.stack([turn / len(key), turn], dim=1)


def _best_directions(query, key):
    """The 32 directions that lose least of the heads' scores: principal components of the keys, as queries see them."""
    sees = torch.linalg.cholesky(query.mT @ query / query.shape[1] + 1e-4 * torch.eye(32))  # (heads, 32, 32)
    seen = (key - key.mean(dim=1, keepdim=True)) @ sees  # a part that all keys share moves no softmax
    directions = torch.linalg.svd(torch.cat(list(seen), dim=1), full_matrices=False)[2][:32].T.unflatten(0, (-1, 32))
    return torch.stack([sees @ directions, torch.linalg.inv(sees).mT @ directions], dim=1)


def _moved_by(how, query, key, group):
    """How much of the attention lands elsewhere when each `group` heads share a key, made as `how` (12, 2, 32, 32)."""
    shared = (key @ how[:, 0]).unflatten(0, (-1, group)).sum(dim=1).repeat_interleave(group, dim=0)
    before = (query @ key.mT / 32**0.5).softmax(dim=-1)
    after = (query @ how[:, 1] @ shared.mT / 32**0.5).softmax(dim=-1)
    return ((before - after).abs().sum(dim=-1) / 2).mean().item()


@claim(
    "05.top-left",
    cell="trap-why",
    says="PyTorch aligns it at the top left: query 0 sees key 0.",
    tried="1 to 5 queries on 6 to 40 keys, d_head 8 and 64, float32 and float64, with shared K/V heads by enable_gqa.",
    attacks=("size",),
    out="In all {cases} cases query i sees keys 0 to i and no more.",
    minutes=0.1,
)
def top_left():
    cases = 0
    for N in range(1, 6):
        for S, K, dtype, G in (6, 8, torch.float32, 4), (40, 64, torch.float64, 4), (13, 8, torch.float32, 2):
            query, key = torch.randn(1, 4, N, K, dtype=dtype), torch.randn(1, G, S, K, dtype=dtype)
            value = torch.eye(S, dtype=dtype).expand(1, G, S, S)
            seen = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=G < 4)
            assert ((seen > 0) == torch.ones(N, S).tril().bool()).all()
            cases += 1
    return {"cases": cases}


@claim(
    "05.rotary-outside",
    cell="rotary-says",
    says="turning and W<sup>UK</sup> do not commute.",
    tried="Random latents of other sizes. And W^UK made by hand so that they do commute, for all heads at once: the "
    "latent of 16 numbers is two slots of 8, each turned like a key, and every head has matrices of its own, which "
    "turn and stretch the pairs of both slots and add them.",
    attacks=("construction", "size"),
    out="A random W^UK is wrong by {low:.0%} of a key's length at least. Those that commute exist (off by {off:.0e}): "
    "they make {keys} numbers, of rank {rank}, from 16 that are turned once, a head's with {free} free numbers in "
    "place of {all}, and absorbing them gives the scores to {absorbed:.0e}. The lesson had said that such a matrix "
    "could not make long keys of a short latent.",
    minutes=0.1,
)
def rotary_outside():
    generator, wrong = torch.Generator().manual_seed(4), []
    for d_latent, K in (16, 8), (64, 32), (32, 32):
        latent = torch.randn(20, d_latent, generator=generator, dtype=torch.float64)
        W = torch.randn(d_latent, K, generator=generator, dtype=torch.float64)
        turned, moved = rotate(latent @ W), rotate(latent) @ W
        wrong.append(((turned - moved).norm() / turned.norm()).item())
    N, slots, H, K = 20, 2, 8, 8
    latent = torch.randn(slots, N, K, generator=generator, dtype=torch.float64)
    a, b = torch.randn(2, H, slots, K // 2, generator=generator, dtype=torch.float64)
    turns, swaps = torch.diag_embed(a), torch.diag_embed(b)
    W = torch.cat([torch.cat([turns, swaps], dim=-1), torch.cat([-swaps, turns], dim=-1)], dim=-2)  # (H, slots, K, K)
    keys = (latent @ W).sum(dim=1)  # (H, N, K), made and then turned, or turned before they are made
    of_turned = (rotate(latent) @ W).sum(dim=1)
    off = (rotate(keys) - of_turned).abs().max().item()
    query = rotate(torch.randn(H, N, K, generator=generator, dtype=torch.float64))
    scores, absorbed = query @ rotate(keys).mT, (query[:, None] @ W.mT @ rotate(latent).mT).sum(dim=1)
    rank = torch.linalg.matrix_rank(keys.transpose(0, 1).flatten(1)).item()
    found = {"low": min(wrong), "off": off, "absorbed": (scores - absorbed).abs().max().item()}
    assert min(wrong) > 0.5 and off < 1e-10 and found["absorbed"] < 1e-10 and rank == slots * K
    return found | {"free": slots * K, "all": slots * K * K, "keys": H * K, "rank": rank}


@claim(
    "05.absorb-for-a-few",
    cell="mla-flops-says",
    says="For one token absorbing saves the remaking of all old keys and values; for a prompt of 4,096 it costs three "
    "times as much",
    tried="Torch's count and the clock for the lab's layer at other sizes (latents of 32 to 128 numbers, 4 and 16 "
    "heads), for one token and for a whole text; the last token at which absorbing pays, for 1,024 to 65,536 tokens "
    "in the cache.",
    attacks=("size", "opponent"),
    out="Time, absorbed over expanded: one token {one_low:.2f} to {one_high:.2f}, a whole text {all_low:.2f} to "
    "{all_high:.2f}. In DeepSeek-V2's sizes absorbing pays for up to {few_low} to {few_high} new tokens.",
    minutes=0.4,
)
def absorb_for_a_few():
    one, whole = [], []
    for H, K, L in (4, 64, 128), (16, 16, 64), (8, 32, 64):
        layer = LatentAttention(256, H, L, d_head=K, d_rotary=8).requires_grad_(False)
        kept = torch.randn(1, 1, 1024, L + 8)
        for N, ratios in (1, one), (1024, whole):
            query = torch.randn(1, H, N, K + 8)
            looks = {"absorbed": layer._absorbed, "expanded": layer._expanded}
            ways = {name: partial(look, query, kept, None) for name, look in looks.items()}
            assert torch.allclose(ways["absorbed"](), ways["expanded"](), atol=1e-3)
            counts = {name: _counted(way) for name, way in ways.items()}
            expected = 2 * L * H * 2 * K * (N - 1024) + 2 * N * 1024 * H * (2 * L - 2 * K)
            assert counts["absorbed"] - counts["expanded"] == expected
            times = measure.compare(ways, budget=0.4)
            ratios.append(times["absorbed"].ratio(times["expanded"]))
    assert max(one) < 0.8 and min(whole) > 1
    few = [next(N for N in range(1, S) if _deepseek(N, S) > 0) - 1 for S in (1024, 4096, 65536)]
    assert _deepseek(4096, 4096, ratio=True) > 2.9
    return {
        "one_low": min(one),
        "one_high": max(one),
        "all_low": min(whole),
        "all_high": max(whole),
        "few_low": min(few),
        "few_high": max(few),
    }


def _counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def _deepseek(N, S, ratio=False):
    """FLOPs of absorbing minus those of expanding, in DeepSeek-V2's sizes, or as a multiple of them."""
    H, K, L, R = 128, 128, 512, 64
    expanded = 2 * S * L * H * 2 * K + 2 * N * S * H * (2 * K + R)
    absorbed = 2 * N * L * H * 2 * K + 2 * N * S * H * (2 * L + R)
    return absorbed / expanded if ratio else absorbed - expanded
