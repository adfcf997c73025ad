"""Lesson 04: what heads cost in parameters, operations, memory and time, and where a count and the clock part."""

import os
import subprocess
import sys
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from claims import ROOT, claim
from mha_lab import MultiHeadAttention, attention, causal_mask, cost, measure, published


def _rounds(candidates, of, over, rounds=3):
    """`of`'s time as a multiple of `over`'s, smallest and largest of some rounds."""
    with torch.no_grad():
        times = [measure.compare(candidates, repeats=3, budget=0.2) for _ in range(rounds)]
    ratios = [time[of].ratio(time[over]) for time in times]
    return min(ratios), max(ratios)


def _layer(d_model, num_heads, N, seed=0, **options):
    """Both paths of a layer on N tokens."""
    layer = MultiHeadAttention(d_model, num_heads, **options)
    x = torch.randn(1, N, d_model, generator=torch.Generator().manual_seed(seed))
    return {"explicit": partial(layer, x, need_weights=True), "fused": partial(layer, x)}


def _counted(run):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@claim(
    "04.same-for-every-h",
    cell="say-it-aloud",
    says="At H · d_head = D, heads are free in parameters and in the products' FLOPs.",
    tried="Parameters and FLOPs that torch counts for every divisor of three widths; and the condition taken away: "
    "d_head kept at 128 while heads are added, as in Qwen3-0.6B (d_model 1,024, 16 heads). And what neither count "
    "holds: five operations of a softmax for each score (largest, difference, exponential, sum, quotient).",
    attacks=("size", "one thing"),
    out="One value for each width. With d_head 128 at d_model 1,024, 16 heads have {parameters:.0f} times the "
    "parameters and {flops:.1f} times the FLOPs (1,024 tokens) of 8. Softmax would add {wide:.0%} at 8 heads of 64, "
    "and {narrow:.0%} at 512 heads of 1: the sentence, which named no products, was narrowed to them.",
    minutes=0.2,
)
def same_for_every_h():
    for d_model in 24, 96, 160:
        divisors = [h for h in range(1, d_model + 1) if d_model % h == 0]
        layers = [MultiHeadAttention(d_model, h) for h in divisors]
        x = torch.randn(1, 50, d_model)
        assert {sum(p.numel() for p in layer.parameters()) for layer in layers} == {4 * d_model**2 + 4 * d_model}
        found = {_counted(partial(layer, x, need_weights=True)) for layer in layers}
        assert found == {8 * 50 * d_model**2 + 4 * 50**2 * d_model}
    parameters, flops = ([count(heads) for heads in (8, 16)] for count in (_parameters_at_128, _flops_at_128))
    assert parameters[1] == 2 * parameters[0]
    wide, narrow = (5 * h * 1024**2 / sum(cost.flops(1, 1024, 512, h).values()) for h in (8, 512))
    assert wide < 0.02 and narrow > 0.5
    return {"parameters": parameters[1] / parameters[0], "flops": flops[1] / flops[0], "wide": wide, "narrow": narrow}


def _parameters_at_128(num_heads):
    return cost.parameters(1024, num_heads, d_head=128, bias=False)


def _flops_at_128(num_heads):
    return sum(cost.flops(1, 1024, 1024, num_heads, d_head=128).values())


@claim(
    "04.hooks",
    cell="what-hooks-miss",
    says="Nothing is there to hang a hook on, and the whole second term is missed.",
    tried="Hooks on every module of other layers, with shared K/V heads and for two texts; and a layer rewritten so "
    "that both products are modules of their own, in which hooks can see them.",
    attacks=("size", "construction"),
    out="Off by exactly the second term, {missed:.0%} of the work at d_model 32 and 128 tokens. With products that "
    "are modules the hooks see all of it.",
    minutes=0.1,
)
def hooks():
    class Product(nn.Module):
        def forward(self, a, b):
            return a @ b

    def seen(module, run):
        total = []

        def add(part, inputs, output):
            inner = part.in_features if isinstance(part, nn.Linear) else inputs[0].shape[-1]
            total.append(2 * output.numel() * inner)

        parts = [part for part in module.modules() if isinstance(part, nn.Linear | Product)]
        handles = [part.register_forward_hook(add) for part in parts]
        with torch.no_grad():
            run()
        for handle in handles:
            handle.remove()
        return sum(total)

    for heads, groups, B, N in (4, 4, 1, 128), (8, 2, 2, 33), (2, 1, 3, 7):
        layer, x = MultiHeadAttention(32, heads, groups), torch.randn(B, N, 32)
        terms = cost.flops(B, N, 32, heads, groups)
        missed = terms["QKᵀ"] + terms["AV"]
        assert seen(layer, partial(layer, x, need_weights=True)) == sum(terms.values()) - missed

    class Visible(MultiHeadAttention):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.scores, self.mix = Product(), Product()

        def attend(self, query, key, value, **_):
            weights = (self.scores(query, key.mT) / self.d_head**0.5).softmax(dim=-1)
            return self.mix(weights, value), weights

    layer, x = Visible(32, 4), torch.randn(1, 128, 32)
    terms = cost.flops(1, 128, 32, 4)
    assert seen(layer, partial(layer, x)) == sum(terms.values())
    return {"missed": (terms["QKᵀ"] + terms["AV"]) / sum(terms.values())}


@claim(
    "04.causal-half",
    cell="causal-says",
    says="A causal mask saves the explicit path nothing; it costs it time, to hide what was computed.",
    tried="Both paths with and without the causal mask, d_head 64 and 128, 512 to 4,096 tokens, three rounds each; "
    "the pairs that remain, counted in the mask itself.",
    attacks=("size", "seeds"),
    out="Pairs that remain at 4,096 tokens: {pairs:.1%}. Time with the mask, of the time without: explicit "
    "{explicit_low:.2f} to {explicit_high:.2f}; fused {fused_512:.2f} at 512 tokens and {fused_4096:.2f} at 4,096.",
    minutes=0.7,
)
def causal_half():
    generator, explicit, fused = torch.Generator().manual_seed(1), [], {}
    for heads, K, N in (4, 64, 512), (2, 128, 2048), (2, 64, 4096):
        q, k, v = torch.randn(3, 1, heads, N, K, generator=generator)
        past = causal_mask(N)
        fused[N] = _rounds(
            {
                "square": partial(F.scaled_dot_product_attention, q, k, v),
                "half": partial(F.scaled_dot_product_attention, q, k, v, is_causal=True),
            },
            "half",
            "square",
        )
        if N < 4096:
            ways = {"square": partial(attention, q, k, v), "half": partial(attention, q, k, v, mask=past)}
            explicit += _rounds(ways, "half", "square")
    pairs = past.float().mean().item()
    assert min(explicit) > 0.95 and fused[4096][1] < 0.75 and fused[512][0] > 0.85
    return {
        "pairs": pairs,
        "explicit_low": min(explicit),
        "explicit_high": max(explicit),
        "fused_512": fused[512][0],
        "fused_4096": fused[4096][0],
    }


@claim(
    "04.crossing",
    cell="say-it-aloud",
    says="The quadratic term leads only beyond N = 2D, or 4D under a causal mask",
    tried="The crossing searched token by token for six widths; and its condition taken away: all models of the "
    "lab's table whose heads have a width that is not d_model / H, or that share K/V heads.",
    attacks=("size", "opponent"),
    out="2D and 4D − 1 for every width with H · d_head = D. In the {models} other models the crossing lies at "
    "{low:.2f} to {high:.2f} times 2D: the sentence holds for the layer that it names.",
    minutes=0.2,
)
def crossing():
    def first(d_model, causal, *, heads=1, groups=1, K=None, step=1):
        def leads(N):
            terms = cost.flops(1, N, d_model, heads, groups, d_head=K, causal=causal)
            return 2 * (terms["QKᵀ"] + terms["AV"]) >= sum(terms.values())

        low, high = 1, 2**20
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if leads(middle) else (middle + 1, high)
        return low

    for d_model in 16, 64, 100, 512, 768, 4096:
        assert first(d_model, False) == 2 * d_model and first(d_model, True) == 4 * d_model - 1
    others = []
    for m in published.MODELS:
        if m.d_head and not m.latent and (m.num_heads * m.d_head != m.d_model or m.num_kv_heads != m.num_heads):
            where = first(m.d_model, False, heads=m.num_heads, groups=m.num_kv_heads, K=m.d_head)
            others.append(where / (2 * m.d_model))
    return {"models": len(others), "low": min(others), "high": max(others)}


@claim(
    "04.memory",
    cell="fused-how-then",
    says="With dropout PyTorch's CPU version falls back to a path that stores scores, and says nothing.",
    tried="Peak memory of both paths at other widths, lengths and head counts, in a batch; with gradients; with "
    "dropout, a boolean mask, and values wider than keys.",
    attacks=("size", "one thing"),
    out="Fused: {fused_1:.0f} and {fused_16:.0f} MiB with 1 and 16 heads (a mask: {mask:.0f}). With dropout "
    "{dropout:.0f}, with values wider than keys {wide:.0f} MiB. Explicit: {explicit_16:.0f}, with gradients "
    "{learning:.0f} MiB.",
    minutes=0.2,
)
def memory():
    def peak(run, learning=False):
        with torch.set_grad_enabled(learning):
            return measure.peak_memory(run, device="cpu") / 2**20

    found = {}
    for heads in 1, 16:
        paths = _layer(256, heads, 1500)
        found[f"fused_{heads}"], found[f"explicit_{heads}"] = peak(paths["fused"]), peak(paths["explicit"])
    found["learning"] = peak(_layer(256, 16, 1500)["explicit"], learning=True)
    found["dropout"] = peak(_layer(256, 16, 1500, dropout=0.1)["fused"])
    layer, x, seen = MultiHeadAttention(256, 16), torch.randn(1, 1500, 256), torch.rand(1500, 1500) > 0.2
    found["mask"] = peak(partial(layer, x, mask=seen[None]))
    q, v = torch.randn(1, 16, 1500, 16), torch.randn(1, 16, 1500, 24)
    found["wide"] = peak(partial(F.scaled_dot_product_attention, q, q, v))
    scores = 16 * 1500**2 * 4 / 2**20
    assert found["fused_16"] == found["fused_1"] < 0.1 * scores < scores < found["explicit_16"]
    assert found["dropout"] > scores and found["wide"] > scores and found["mask"] < 0.3 * scores
    assert found["learning"] > 2 * scores > found["explicit_16"]
    return found


@claim(
    "04.more-heads-slower",
    cell="why-h",
    says='So "heads are free" is wrong for the explicit path, and for the fused one much less wrong.',
    tried="1 head against 32 at d_model 256, 512 and 1,024 and other lengths than the lesson's, three rounds each.",
    attacks=("size", "seeds"),
    out="Explicit takes {explicit_low:.1f} to {explicit_high:.1f} times as long with 32 heads as with 1, fused "
    "{fused_low:.1f} to {fused_high:.1f} times.",
    minutes=1,
)
def more_heads_slower():
    ratios = {"explicit": [], "fused": []}
    for d_model, N in (512, 768), (1024, 768), (512, 1536):
        runs = {(path, h): run for h in (1, 32) for path, run in _layer(d_model, h, N).items()}
        for path in ratios:
            ratios[path].append(sum(_rounds(runs, (path, 32), (path, 1), rounds=2)) / 2)
    assert min(ratios["explicit"]) > 1.2
    assert all(fused < explicit for fused, explicit in zip(ratios["fused"], ratios["explicit"]))
    bounds = {"low": min, "high": max}
    return {f"{path}_{name}": bound(found) for path, found in ratios.items() for name, bound in bounds.items()}


@claim(
    "04.new-memory",
    cell="why-h-details",
    says="A large tensor gets its memory from the system in fresh pages, handed over one by one as they are first "
    "written to.",
    tried="Is it the memory? Only that changed: the same layers in a process whose C library (glibc) keeps all memory "
    "that it ever got, and in one as it is; explicit path, 1 and 32 heads, 1,024 tokens, d_model 512, two rounds.",
    attacks=("one thing", "seeds"),
    out="From 1 head to 32 the layer takes {fresh:.1f} times as long, and {kept:.1f} times where memory is kept: "
    "{share:.0%} of what heads added was fresh pages, and the rest is softmax and products.",
    minutes=1,
)
def new_memory():
    run = "from claims.lesson04 import _one_to_32; print(_one_to_32())"
    keep = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**30)}
    rounds = []
    for _ in range(2):
        for more in {}, keep:
            done = subprocess.run(
                [sys.executable, "-c", run], env=os.environ | more, cwd=ROOT, capture_output=True, text=True, check=True
            )
            rounds.append(float(done.stdout))
    fresh, kept = sum(rounds[::2]) / 2, sum(rounds[1::2]) / 2
    assert 1.2 < kept < fresh - 0.3
    return {"fresh": fresh, "kept": kept, "share": (fresh - kept) / (fresh - 1)}


def _one_to_32():
    """How many times as long the explicit path takes with 32 heads as with one."""
    with measure.single_thread(), torch.no_grad():
        return _rounds({h: _layer(512, h, 1024)["explicit"] for h in (1, 32)}, 32, 1, rounds=1)[0]


@claim(
    "04.narrow-heads",
    cell="when-free",
    says="while d_head is 16 or more, the time hardly depends on H where the projections rule (short texts), and at "
    "1,024 tokens the fused path takes less than twice as long with 32 heads as with one",
    tried="The fused kernel alone and the whole layer, from d_head 64 down to 4, at 128 and 1,024 tokens; and in "
    "bfloat16, where another threshold might hold.",
    attacks=("size", "one thing"),
    out="Whole layer, d_model 512: d_head 16 takes {layer_16:.1f} times as long as d_head 64, d_head 4 {layer_4:.1f} "
    "times. The kernel alone: {kernel_16:.1f} and {kernel_4:.1f} times; in bfloat16 {half_16:.1f} and {half_4:.1f}.",
    minutes=0.7,
)
def narrow_heads():
    found = {}
    runs = {K: _layer(512, 512 // K, 1024)["fused"] for K in (64, 16, 4)}
    kernel = {K: _kernel(K, torch.float32) for K in (64, 16, 4)}
    half = {K: _kernel(K, torch.bfloat16) for K in (64, 16, 4)}
    for name, candidates in {"layer": runs, "kernel": kernel, "half": half}.items():
        for K in 16, 4:
            found[f"{name}_{K}"] = sum(_rounds(candidates, K, 64, rounds=2)) / 2
    assert found["layer_16"] < 2 and found["layer_4"] > 1.5 * found["layer_16"]
    return found


def _kernel(K, dtype):
    q = torch.randn(1, 512 // K, 512, K).to(dtype)
    return partial(F.scaled_dot_product_attention, q, q, q)


@claim(
    "04.long-texts",
    cell="when-free",
    says="at 1,024 tokens the fused path takes less than twice as long with 32 heads as with one",
    tried="The lesson had said that its time grows little on long texts, and had measured 1,024 tokens. From 1 head to "
    "heads of 64 and of 16 numbers: 4,096 and 8,192 tokens at d_model 512, 4,096 at 256.",
    attacks=("size",),
    out="Heads of 16 numbers take {narrow_4096:.2f} times as long as one at 4,096 tokens, {narrow_8192:.2f} at 8,192, "
    "and {narrow_256:.2f} at d_model 256; heads of 64 at most {wide:.2f}.",
    minutes=1,
)
def long_texts():
    found, wide = {}, []
    for name, d_model, N in ("narrow_4096", 512, 4096), ("narrow_8192", 512, 8192), ("narrow_256", 256, 4096):
        runs = {K: _layer(d_model, d_model // K, N)["fused"] for K in (d_model, 64, 16)}
        with torch.no_grad():
            times = measure.compare(runs, repeats=3, budget=0.3)
        found[name] = times[16].ratio(times[d_model])
        wide.append(times[64].ratio(times[d_model]))
    assert 1.2 < min(found.values()) and max(found.values()) < 2.2 and max(wide) < 1.5
    return found | {"wide": max(wide)}


@claim(
    "04.short-texts",
    cell="when-free",
    says="the time hardly depends on H where the projections rule (short texts)",
    tried="Heads narrower than the lesson's 16 numbers on short texts: from 1 head to 32, 128 and 512 at 64 and 128 "
    "tokens, d_model 512, both paths.",
    attacks=("size",),
    out="32 heads take at most {few:.2f} times as long as one; 128 heads of 4 numbers {some:.1f} times at least, 512 "
    "of one number {many:.1f}: the condition on d_head, which was given for the fused path alone, holds for both.",
    minutes=0.3,
)
def short_texts():
    ratios = {32: [], 128: [], 512: []}
    for N in 64, 128:
        runs = {(path, h): run for h in (1, *ratios) for path, run in _layer(512, h, N).items()}
        with torch.no_grad():
            times = measure.compare(runs, repeats=7, budget=0.3)
        for h, found in ratios.items():
            found += [times[path, h].ratio(times[path, 1]) for path in ("explicit", "fused")]
    assert max(ratios[32]) < 1.5 and min(ratios[512]) > 2
    return {"few": max(ratios[32]), "some": min(ratios[128]), "many": min(ratios[512])}


@claim(
    "04.loop",
    cell="loop-why",
    says="The loop pays some microseconds of Python for each head, which shows when there are 64 tokens. At 1,024 it "
    "may even win",
    tried="Other widths and head counts than the lesson's, 48 and 1,280 tokens, three rounds; and the fused kernel in "
    "place of the explicit path.",
    attacks=("size", "opponent"),
    out="At 48 tokens the loop takes {short_low:.1f} to {short_high:.1f} times as long, at 1,280 {long_low:.2f} to "
    "{long_high:.2f}. One fused call takes {fused:.2f} of the loop's time at 1,280.",
    minutes=0.4,
)
def loop():
    short, long, fused = [], [], []
    for heads, K in (8, 64), (16, 32), (4, 64):
        for N, ratios in (48, short), (1280, long):
            q, k, v = torch.randn(3, 1, heads, N, K)
            ways = {
                "at once": partial(attention, q, k, v),
                "loop": lambda q=q, k=k, v=v: [attention(q[:, i], k[:, i], v[:, i]) for i in range(q.shape[1])],
                "fused": partial(F.scaled_dot_product_attention, q, k, v),
            }
            ratios += _rounds(ways, "loop", "at once", rounds=2)
            if N == 1280:
                fused += _rounds(ways, "fused", "loop", rounds=1)
    assert min(short) > 1.2 and min(long) < 1.1
    return {
        "short_low": min(short),
        "short_high": max(short),
        "long_low": min(long),
        "long_high": max(long),
        "fused": sum(fused) / len(fused),
    }


@claim(
    "04.fast-path",
    cell="fast-path-why",
    says="But inside it the scores are written out, all H·N² of them.",
    tried="The memory that a fresh process comes to hold, by the system's own account, with 4 and 16 heads on the "
    "fast path and the ordinary way (no tracker sees into a single operation); and time at 48 and 1,536 tokens.",
    attacks=("size", "one thing"),
    out="2,000 tokens: the fast path takes {fast_4:.0f} MiB with 4 heads and {fast_16:.0f} with 16 (scores are "
    "{scores_4:.0f} and {scores_16:.0f}), the ordinary way {ordinary_4:.0f} and {ordinary_16:.0f}. It takes "
    "{short:.2f} of the ordinary time at 48 tokens and {long:.1f} times as long at 1,536.",
    minutes=0.5,
)
def fast_path():
    found = {}
    for heads in 4, 16:
        found[f"scores_{heads}"] = heads * 2000**2 * 4 / 2**20
        for name, learning in ("fast", False), ("ordinary", True):
            found[f"{name}_{heads}"] = _resident(heads, learning)
        assert found[f"fast_{heads}"] > 0.9 * found[f"scores_{heads}"] > found[f"ordinary_{heads}"]
    theirs = nn.MultiheadAttention(256, 16, batch_first=True).eval()

    def run(x, learning):
        with torch.set_grad_enabled(learning):
            return theirs(x, x, x, need_weights=False)[0]

    for name, N in ("short", 48), ("long", 1536):
        x = torch.randn(1, N, 256)
        ways = {"fast": partial(run, x, False), "ordinary": partial(run, x, True)}
        times = measure.compare(ways, repeats=3, budget=0.4)
        found[name] = times["fast"].ratio(times["ordinary"])
    assert found["long"] > 1.1
    return found


def _resident(heads, learning):
    """MiB by which a process grows at most when PyTorch's layer reads 2,000 tokens, after it has read 8."""
    code = f"""
import resource, torch
torch.set_num_threads(1)
layer = torch.nn.MultiheadAttention(128, {heads}, batch_first=True).eval()
with torch.set_grad_enabled({learning}):
    for N in 8, 2000:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        x = torch.randn(1, N, 128)
        layer(x, x, x, need_weights=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024
