"""Lesson 13: heads and texts over several processes, what they send and hold, and how a rank's failure is told."""

import dataclasses
import os
import signal
import statistics
import tempfile
import time

import psutil
import torch
import torch.distributed as dist
from torch.distributed.tensor.debug import CommDebugMode
from torch.nn import functional

from claims import claim
from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, communication, measure, parallel
from mha_lab.parallel import link, shown
from mha_lab.variants import chunked_attention

SEED = 13  # none that the lesson draws with
PATIENCE = 120.0  # seconds for what computes a while, on a busy machine


def _random(*shape, seed=SEED):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _layer(d_model, heads, kv_heads=None, **options):
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return MultiHeadAttention(d_model, heads, kv_heads, **options).double()


def _over_ranks(layers, x, weight):
    """Of each layer: the output, x's gradient, what comes out of a cache, and the messages of one forward pass."""
    found = []
    for layer in layers:
        split, read = parallel.AcrossRanks(layer), x.clone().requires_grad_()
        with CommDebugMode() as seen:
            output = split(read, causal=True)
        (output * weight).sum().backward()
        cache = KVCache()
        with torch.no_grad():
            decoded = torch.cat([split(token, cache=cache) for token in x.split([2, 1, 3], dim=1)], dim=1)
        found.append((output.detach(), read.grad, decoded, seen.get_total_counts()))
    return found


@claim(
    "13.same-numbers",
    cell="by-hand-says",
    says="Two processes, or four, give the numbers of one, and one sum of N · D numbers is all that they exchange.",
    tried="Two, three and four real processes in float64: six layers with shared keys and values, heads that do not "
    "divide evenly, heads wider than d_model / H, without biases; causal, with a cache, and the gradients. Then "
    "PyTorch's own parallelize_module.",
    attacks=("size", "construction"),
    out="The largest difference of any output or gradient from one process is {apart:.0e}. Forward, every layer sends "
    "{messages} all-reduce, by hand and in PyTorch's way.",
    minutes=0.7,
)
def same_numbers():
    layers = [
        _layer(24, 12, 4),
        _layer(24, 4, 1),
        _layer(24, 6),
        _layer(24, 4, d_head=10, bias=False),
        _layer(24, 12, 3),
        _layer(24, 8),
    ]
    x, weight = _random(2, 6, 24), _random(2, 6, 24, seed=SEED + 1)
    apart, messages = 0.0, set()
    for ranks in (2, 3, 4):
        for found in parallel.run(_over_ranks, ranks, layers, x, weight, seconds=PATIENCE):
            for layer, (output, gradient, decoded, sent) in zip(layers, found):
                read = x.clone().requires_grad_()
                expected = layer(read, causal=True)
                (expected * weight).sum().backward()
                pairs = (output, expected.detach()), (gradient, read.grad), (decoded, expected.detach())
                apart = max(apart, *((mine - right).abs().max().item() for mine, right in pairs))
                messages.add(sent)
    for told in parallel.run(shown.compared, 2, seconds=PATIENCE):
        apart = max(apart, told.by_library)
        messages.add(told.all_reduces)
    assert apart < 1e-12 and messages == {1}
    return {"apart": apart, "messages": messages.pop()}


@claim(
    "13.mlp",
    cell="mlp-says",
    says="Once: the shares add up again, so one all-reduce behind the second matrix is enough.",
    tried="MLPs with one first matrix and gated ones with two, with GELU, ReLU and SiLU, cut in 2, 3 and 4 parts "
    "that are not all alike; and the wrong cut, the first matrix by rows, which asks for a sum before the function.",
    attacks=("construction", "size"),
    out="The shares' sum is within {apart:.0e} of the whole one in all {cases} cases. Cut the other way and summed "
    "only at the end it is off by {off:.1f} or more.",
    minutes=0.1,
)
def the_mlp():
    x, apart, off, cases = _random(2, 5, 12), 0.0, [], 0
    first, gate, second = _random(30, 12, seed=1), _random(30, 12, seed=2), _random(12, 30, seed=3)
    for act in (functional.gelu, functional.relu, functional.silu):
        for gated in (False, True):

            def hidden(rows, act=act, gated=gated):
                return act(x @ first[rows].T) * (x @ gate[rows].T if gated else 1.0)

            whole = hidden(slice(None)) @ second.T
            for ranks in (2, 3, 4):
                parts = torch.arange(30).tensor_split(ranks)
                found = sum(hidden(own) @ second[:, own].T for own in parts)
                apart, cases = max(apart, (found - whole).abs().max().item()), cases + 1
                inputs = torch.arange(12).tensor_split(ranks)
                early = sum(act(x[..., own] @ first[:, own].T) @ second.T for own in inputs)
                if not gated:
                    off.append((early - whole).abs().max().item())
    assert apart < 1e-12 and min(off) > 0.1
    return {"apart": apart, "cases": cases, "off": min(off)}


@claim(
    "13.lost-heads",
    cell="three-says",
    says="8 // 3 is 2: three ranks compute six heads, and two are lost.",
    tried="All layers of 1 to 12 heads on 1 to 12 ranks, dealt as those lines deal them, and as part_of does.",
    attacks=("size",),
    out="Dealt by //, {wrong} of {cases} give other numbers than the layer: just those whose ranks do not divide the "
    "heads. Dealt with one more for the first ranks, none does.",
    minutes=0.1,
)
@torch.no_grad()
def lost_heads():
    wrong = undivided = cases = 0
    for heads in range(1, 13):
        layer, x = _layer(2 * heads, heads), _random(1, 3, 2 * heads)
        whole = layer(x)
        terms = [parallel.part_of(layer, head, heads)(x) for head in range(heads)]
        for ranks in range(1, heads + 1):
            each = heads // ranks
            cases += 1
            undivided += heads % ranks > 0
            wrong += not torch.allclose(sum(terms[: each * ranks]), whole)
            dealt = sum(parallel.part_of(layer, rank, ranks)(x) for rank in range(ranks))
            assert torch.allclose(dealt, whole, atol=1e-12)
    assert wrong == undivided
    return {"wrong": wrong, "cases": cases}


def _untold(layers, x):
    """Of each layer that was cut and not told so: the difference from the whole one, or -1 where it raises."""
    found = []
    for layer in layers:
        try:
            found.append((shown.parallelized(layer, own_counts=False)(x) - layer(x)).abs().max().item())
        except ValueError:
            found.append(-1.0)
    return found


@claim(
    "13.not-told",
    cell="not-told-says",
    says="Nothing raises an error, and the numbers are wrong",
    tried="Heads of 3, 5, 6 and 8 numbers, 4 and 8 heads, on two ranks: is there a layer that objects?",
    attacks=("size",),
    out="Heads of an even width raise nothing, and are off by {least:.2f} or more; where the ranks do not divide "
    "d_head, split_heads objects ({objects} of {cases} layers). The lesson's heads of 8 numbers are of the first kind.",
    minutes=0.2,
)
def not_told():
    widths = [(heads, d_head) for heads in (4, 8) for d_head in (3, 5, 6, 8)]
    layers = [_layer(24, heads, d_head=d_head).requires_grad_(False) for heads, d_head in widths]
    found = parallel.run(_untold, 2, layers, _random(1, 5, 24), seconds=PATIENCE)[0]
    for (_, d_head), off in zip(widths, found):
        assert (off > 1e-3) if d_head % 2 == 0 else off == -1
    return {"least": min(off for off in found if off >= 0), "objects": found.count(-1.0), "cases": len(found)}


@claim(
    "13.kv-cache",
    cell="kv-says",
    says="From 8 GPUs on, a GPU's cache stops shrinking: it holds one key/value head, and others hold copies of it.",
    tried="Not the arithmetic, but caches that were filled: the parts of a layer of 64 query heads on 8, on 1 to 64 "
    "ranks; and of one on 64, on 1.",
    attacks=("construction", "size"),
    out="With 8: {eight} bytes a token on 8 ranks and {many} on 64, of {one} on one; all ranks together hold "
    "{copies:.0f} copies then. With 64 heads of their own it falls to a 64th, with 1 not at all.",
    minutes=0.1,
)
@torch.no_grad()
def kv_cache():
    x, kept = _random(1, 1, 64), {}
    for kv_heads in (64, 8, 1):
        layer = _layer(64, 64, kv_heads)
        for ranks in (1, 2, 4, 8, 16, 32, 64):
            sizes = []
            for rank in range(ranks):
                cache = KVCache()
                parallel.part_of(layer, rank, ranks)(x, cache=cache)
                sizes.append(cache.key.nbytes + cache.value.nbytes)
            kept[kv_heads, ranks] = max(sizes)
            if (kv_heads, ranks) == (8, 64):
                copies = sum(sizes) / kept[8, 1]
    assert kept[8, 8] == kept[8, 16] == kept[8, 64] == kept[8, 1] / 8
    assert kept[64, 64] == kept[64, 1] / 64 and kept[1, 64] == kept[1, 1]
    return {"one": kept[8, 1], "eight": kept[8, 8], "many": kept[8, 64], "copies": copies}


@claim(
    "13.work",
    cell="times-say",
    says="The work of a rank falls to a half and to a quarter, as foretold.",
    tried="Layers of 512 and 256, 512, 1,024 and 2,048 tokens, on 2 and 4 ranks, each rank's own thread time; the "
    "machine calibrated anew.",
    attacks=("size",),
    out="With two ranks {least_2:.2f} to {most_2:.2f} of the work of one, with four {least_4:.2f} to {most_4:.2f}: a "
    "little more than a half and a quarter, for small matrices are slower, number by number. Half of the predictions "
    "are within {off:.0%}.",
    minutes=1.0,
)
def work():
    with measure.single_thread():
        machine = measure.calibrate()
    shares, off = {2: [], 4: []}, []
    for d_model in (256, 512):
        layer, tokens = _layer(d_model, 8).float(), (512, 1024, 2048)
        took = {ranks: link.layer_times(layer, tokens, ranks, repeats=7, seconds=PATIENCE) for ranks in (1, 2, 4)}
        wire = communication.Link("unused", 0.0, 1e9)
        for ranks, by_tokens in took.items():
            for n, found in by_tokens.items():
                foretold = communication.predict(machine, wire, ranks, 1, n, d_model, 8)["computing"]
                off.append(abs(foretold / found.work - 1))
                if ranks > 1:
                    shares[ranks].append(found.work / took[1][n].work)
    assert 0.4 < min(shares[2]) and max(shares[2]) < 0.7 and 0.2 < min(shares[4]) and max(shares[4]) < 0.5
    return {
        "least_2": min(shares[2]),
        "most_2": max(shares[2]),
        "least_4": min(shares[4]),
        "most_4": max(shares[4]),
        "off": statistics.median(off),
    }


@claim(
    "13.link",
    cell="link-says",
    says="With four ranks on fewer cores, ranks wait for a core as well, and the model is mostly too hopeful",
    tried="A link calibrated with two ranks; six sizes that it has not seen, three rounds, two and four ranks.",
    attacks=("size", "seeds"),
    out="{cores} cores. With two ranks half of the sums take {two_low:.2f} to {two_high:.2f} times what was foretold "
    "(quartiles), with four {four_low:.2f} to {four_high:.2f} times.",
    minutes=0.6,
)
def the_link():
    sizes = [1024, 16_384, 262_144, 524_288, 2**21, 2**23]
    ratios = {2: [], 4: []}
    for _ in range(3):
        wire = link.calibrated()
        for ranks in ratios:
            took = link.all_reduce_times(sizes, ranks, seconds=PATIENCE)
            ratios[ranks] += [took[size] / communication.all_reduce_seconds(wire, size, ranks) for size in sizes]
    (two_low, two, two_high), (four_low, four, four_high) = (statistics.quantiles(ratios[R]) for R in (2, 4))
    assert 0.4 < two < 2.5
    cores = os.cpu_count()
    if cores < 4:
        assert four > two
    return {"cores": cores, "two_low": two_low, "two_high": two_high, "four_low": four_low, "four_high": four_high}


LLAMAS = {"405B": (16384, 128), "70B": (8192, 64), "8B": (4096, 32)}
"""d_model and query heads, on 8 key/value heads of 128 (Grattafiori 2024, table 3)."""
HIDDEN = 53_248
"""Width of the 405B model's MLP, which has three matrices (the same table)."""


def _token(wire, ranks, model="405B", S=8192, share=0.6):
    """Seconds of one token in one attention layer, by what they go to."""
    chip = dataclasses.replace(communication.H100, flops_per_second=share * 989e12)
    d_model, heads = LLAMAS[model]
    return communication.on_paper(chip, wire, ranks, 1, 1, d_model, heads, 8, d_head=128, S=S)


def _mlp(ranks):
    """Seconds in which a rank reads its part of the 405B model's MLP for one token."""
    return 2 * 3 * LLAMAS["405B"][0] * HIDDEN / ranks / communication.H100.bytes_per_second


@claim(
    "13.pays",
    cell="pays-says",
    says="For a token it is the messages that count: 62 of them among 32 GPUs take longer than all that was saved of "
    "this layer.",
    tried="The latency was assumed: from which one on is it so? Then 20% to 100% of the data sheet's operations, texts "
    "of 1,000 and 100,000 tokens, and the layers of Llama 3's three sizes. The lesson had said it of *all that was "
    "saved*: the largest layer with its MLP, which waits for a sum of the same size. (A "
    "prompt of 8,192 tokens with the MLP, tried besides: over the network 3.0-fold on 8 GPUs and 3.7-fold on 32, in a "
    "server 6.7-fold on 8.)",
    attacks=("one thing", "size", "construction"),
    out="Of attention alone: 32 GPUs are slower than 4 from a latency of {threshold:.1f} µs on (assumed: 8). With 8 µs "
    "they take {slower:.1f} times as long or more in all {cases} cases. Inside a server a token gains {least:.1f}- to "
    "{most:.1f}-fold with 8 GPUs, most in the largest model; the 8B model loses. With the MLP narrower: 8 GPUs gain "
    "{server:.1f}-fold in a server; over the network {fastest} GPUs are fastest ({best:.1f}-fold), and 32 still gain "
    "{many:.1f}-fold.",
    minutes=0.1,
)
def pays():
    def seconds(wire, ranks, model="405B", S=8192, share=0.6):
        return sum(_token(wire, ranks, model, S, share).values())

    def network(latency):
        return dataclasses.replace(communication.INFINIBAND, latency=latency)

    latencies = [n * 1e-7 for n in range(1, 100)]
    threshold = next(each for each in latencies if seconds(network(each), 32) > seconds(network(each), 4))
    slower = []
    for model in LLAMAS:
        for S in (1000, 8192, 100_000):
            for share in (0.2, 0.6, 1.0):
                wire = communication.INFINIBAND
                slower.append(seconds(wire, 32, model, S, share) / seconds(wire, 4, model, S, share))
    assert min(slower) > 1
    gains = [seconds(communication.NVLINK, 1, m) / seconds(communication.NVLINK, 8, m) for m in LLAMAS]
    assert max(gains) > 4 and min(gains) < 1

    def block(wire, ranks):
        parts = _token(wire, ranks)
        return parts["computing"] + _mlp(ranks) + 2 * parts["sending"]

    whole = {R: block(communication.INFINIBAND, 1) / block(communication.INFINIBAND, R) for R in (1, 2, 4, 8, 16, 32)}
    fastest = max(whole, key=whole.get)
    assert whole[32] > 1 and fastest < 32
    return {
        "threshold": 1e6 * threshold,
        "slower": min(slower),
        "cases": len(slower),
        "least": min(gains),
        "most": max(gains),
        "server": block(communication.NVLINK, 1) / block(communication.NVLINK, 8),
        "fastest": fastest,
        "best": whole[fastest],
        "many": whole[32],
    }


@claim(
    "13.doubling",
    cell="pays-says",
    says="Then more GPUs still help, each less than the one before.",
    tried="The strongest opponent of a ring, for one token over the network: log₂ R rounds of the whole tensor, with "
    "latencies of 1 to 30 µs, texts of 1,000 to 100,000 tokens and the layers of Llama 3's three sizes. Then a tree, "
    "up and down, which takes twice as many rounds.",
    attacks=("opponent", "one thing", "size"),
    out="With 8 µs the largest layer, attention alone, gains {four:.1f}-fold on 4 GPUs, {eight:.1f} on 8 and "
    "{most:.1f} on 32 (a ring: {ring:.1f}). It is not so everywhere: of {cases} cases {helps} are fastest with 32, and "
    "the smallest model is slower on 32 than on one in {slower} of its cases. A tree is fastest with {tree} GPUs.",
    minutes=0.1,
)
def doubling():
    counts = 1, 2, 4, 8, 16, 32

    def gains(wire, rounds=1, model="405B", S=8192):
        size = 2 * LLAMAS[model][0]
        took = {
            R: _token(wire, R, model, S)["computing"] + rounds * communication.doubling_seconds(wire, size, R)
            for R in counts
        }
        return {R: took[1] / took[R] for R in counts}

    network = communication.INFINIBAND
    found, tree = gains(network), gains(network, rounds=2)
    steps = [found[R] / found[R // 2] for R in counts[1:]]
    assert min(steps) > 1 and steps == sorted(steps, reverse=True)
    cases = {
        (latency, S, model): gains(dataclasses.replace(network, latency=1e-6 * latency), model=model, S=S)
        for latency in (1, 3, 8, 30)
        for S in (1000, 8192, 100_000)
        for model in LLAMAS
    }
    ring = sum(_token(network, 1).values()) / sum(_token(network, 32).values())
    assert all(
        each[32] > sum(_token(wire, 1, m, S).values()) / sum(_token(wire, 32, m, S).values())
        for (latency, S, m), each in cases.items()
        for wire in [dataclasses.replace(network, latency=1e-6 * latency)]
    )
    return {
        "four": found[4],
        "eight": found[8],
        "most": found[32],
        "ring": ring,
        "cases": len(cases),
        "helps": sum(max(each, key=each.get) == 32 for each in cases.values()),
        "slower": sum(each[32] < 1 for (_, _, model), each in cases.items() if model == "8B"),
        "tree": max(tree, key=tree.get),
    }


def _rings(texts):
    rank, ranks, found = dist.get_rank(), dist.get_world_size(), []
    for q, k, v, weight, causal in texts:
        own = [part.chunk(ranks, dim=2)[rank].clone().requires_grad_() for part in (q, k, v)]
        output = parallel.ring_attention(*own, causal=causal)
        (output * weight.chunk(ranks, dim=2)[rank]).sum().backward()
        found.append([output.detach(), *(part.grad for part in own)])
    return found


@claim(
    "13.ring",
    cell="ring-words",
    says="They need not meet them at once: lesson 10's online softmax takes the keys block by block, in any order.",
    tried="Texts over 1, 2, 3 and 4 processes in float64: causal, shared keys and values, scores 300 times too large, "
    "equal tokens, and the gradients, which go round too. Then 24 blocks merged in 20 random orders.",
    attacks=("size", "construction"),
    out="The largest difference from one machine is {apart:.0e} of the largest number, of outputs and gradients alike; "
    "of the 20 orders {orders:.0e}.",
    minutes=0.7,
)
def the_ring():
    apart = 0.0
    for ranks in (1, 2, 3, 4):
        texts = []
        for seed, (size, G, causal) in enumerate([(1, 4, False), (1, 2, True), (300, 1, True), (0, 2, False)]):
            q, k = size * _random(2, 4, 3 * ranks, 5, seed=seed), _random(2, G, 3 * ranks, 5, seed=seed + 9)
            v, weight = _random(2, G, 3 * ranks, 2, seed=seed + 5), _random(2, 4, 3 * ranks, 2, seed=seed + 7)
            texts.append((q, k, v, weight, causal))
        by_rank = parallel.run(_rings, ranks, texts, seconds=PATIENCE)
        for i, (q, k, v, weight, causal) in enumerate(texts):
            whole = [part.clone().requires_grad_() for part in (q, k, v)]
            expected = attention(*whole, mask=causal_mask(q.shape[2]) if causal else None)[0]
            (expected * weight).sum().backward()
            for parts, right in zip(zip(*(found[i] for found in by_rank)), [expected, *(w.grad for w in whole)]):
                scale = max(1.0, right.abs().max().item())
                apart = max(apart, (torch.cat(parts, dim=2) - right).abs().max().item() / scale)
    scores, values, orders = 50 * _random(6, 48), _random(48, 3, seed=2), 0.0
    blocks = [(s.softmax(-1) @ v, s.logsumexp(-1)) for s, v in zip(scores.split(2, -1), values.split(2))]
    for seed in range(20):
        order = torch.randperm(24, generator=torch.Generator().manual_seed(seed)).tolist()
        result = blocks[order[0]]
        for i in order[1:]:
            result = parallel.merged(*result, *blocks[i])
        orders = max(orders, (result[0] - scores.softmax(-1) @ values).abs().max().item())
    assert apart < 1e-10 and orders < 1e-10
    return {"apart": apart, "orders": orders}


def _held(tokens, kv_heads):
    own = tokens // dist.get_world_size()
    q, kv = torch.ones(1, 8, own, 64), torch.ones(1, kv_heads, own, 64)
    return measure.peak_memory(lambda: parallel.ring_attention(q, kv, kv, causal=True))


@claim(
    "13.ring-memory",
    cell="ring-memory-says",
    says="A quarter of the queries meets a quarter of the keys at a time: a 16th of the scores.",
    tried="512 and 2,048 tokens on 1, 2 and 4 processes, with 8 and 2 key/value heads, bytes measured on a rank. The "
    "strongest opponent: lesson 10's tiles on one machine.",
    attacks=("size", "opponent"),
    out="Twice the ranks hold {least:.1f} to {most:.1f} times less each: 4 would be the scores, 2 the tokens, which "
    "weigh more in a short text. Tiles on one machine hold {tiles:.1f} MiB for "
    "2,048 tokens, less than a rank of four in the ring ({ring:.1f} MiB): the ring is for the tokens, not for the "
    "scores, as the lesson says.",
    minutes=0.7,
)
def ring_memory():
    held, times = {}, []
    for kv_heads in (8, 2):
        for tokens in (512, 2048):
            for ranks in (1, 2, 4):
                held[ranks] = max(parallel.run(_held, ranks, tokens, kv_heads, seconds=PATIENCE))
            times += [held[1] / held[2], held[2] / held[4]]
    assert 2.5 < min(times) and max(times) < 4
    x = torch.ones(1, 8, 2048, 64)
    with torch.no_grad():
        tiles = measure.peak_memory(lambda: chunked_attention(x, x[:, :2], x[:, :2], causal=True))
    assert tiles < held[4]
    return {"least": min(times), "most": max(times), "tiles": tiles / 2**20, "ring": held[4] / 2**20}


@claim(
    "13.causal-ring",
    cell="causal-ring-says",
    says="The first rank has one block to look at, the last has four, and all wait for the last: 62 % is used.",
    tried="2 to 16 ranks; and counted by pairs of tokens, so that the half of its own block that lies in the future "
    "costs a rank nothing.",
    attacks=("size", "one thing"),
    out="In order, from {two:.0%} with 2 ranks to {sixteen:.0%} with 16; by pairs {pairs:.0%} with 4. From both ends "
    "every rank has as much to do, in all of these.",
    minutes=0.1,
)
def causal_ring():
    def used(seen):
        return sum(seen) / (len(seen) * max(seen))

    in_order = {R: used([rank + 1 for rank in range(R)]) for R in range(2, 17)}
    for R in range(2, 17):
        for own in (1.0, 0.5):
            folded = [rank + own + (2 * R - 1 - rank) + own for rank in range(R)]
            assert len(set(folded)) == 1
    pairs = causal_mask(64).float().sum(dim=1).view(4, 16).sum(dim=1)
    assert round(100 * in_order[4]) == 62 and in_order[16] > 0.5
    return {"two": in_order[2], "sixteen": in_order[16], "pairs": used(pairs.tolist())}


@claim(
    "13.bubble",
    cell="bubble",
    says="(P − 1) of M + P − 1 steps, for P machines and M texts.",
    tried="Pipelines of 1 to 8 machines and 1 to 64 texts, played step by step: a machine takes the first text that "
    "the one before it has finished.",
    attacks=("size", "construction"),
    out="As the formula says in all {cases} of them; 8 machines and 64 texts wait {eight:.0%} of the time.",
    minutes=0.1,
)
def bubble():
    cases = 0
    for P in range(1, 9):
        for M in range(1, 65):
            done, steps, waits = [0] * P, 0, 0
            while done[-1] < M:
                ready = [(M if p == 0 else done[p - 1]) > done[p] for p in range(P)]
                waits += ready.count(False)
                done, steps = [count + go for count, go in zip(done, ready)], steps + 1
            assert steps == M + P - 1 and waits == P * (P - 1)
            cases += 1
    return {"cases": cases, "eight": waits / (P * steps)}


def _late(seconds):
    if dist.get_rank() == 1:
        time.sleep(seconds)
    total = torch.ones(1)
    dist.all_reduce(total)
    return total.item()


def _marked(how, folder):
    """Rank 1 fails, and leaves word when it did; rank 0 waits for it."""
    if dist.get_rank() == 1:
        with open(os.path.join(folder, how), "w") as file:
            file.write(str(time.monotonic()))
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "raised":
            raise ValueError("of its own")
        time.sleep(1000)
    dist.all_reduce(torch.ones(1))


@claim(
    "13.late",
    cell="sleeps-says",
    says="A rank that is late looks to it like a machine without power.",
    tried="A rank that comes four seconds late; one that never comes, one that is killed and one that raises an error: "
    "how long until a sentence says so, and who is left? (The library's own clock, tried besides: with a group's "
    "timeout of three seconds, the waiting rank itself raised an error after 3.0.)",
    attacks=("one thing",),
    out="The late one is waited for, and the sum is right. Of the others the sentence came {slept:.1f}, {killed:.1f} "
    "and {raised:.1f} seconds after the rank stopped, and no process was left.",
    minutes=0.6,
)
def late():
    assert parallel.run(_late, 2, 4.0) == [2, 2]
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        for how in ("slept", "killed", "raised"):
            try:
                parallel.run(_marked, 2, how, folder)
            except parallel.RankFailed:
                now = time.monotonic()
            with open(os.path.join(folder, how)) as file:
                took[how] = now - float(file.read())
    assert max(took.values()) < 10 and not [
        child for child in psutil.Process().children(recursive=True) if "_rank.py" in " ".join(child.cmdline())
    ]
    return took
