"""Our attention beside every other way to have it: a layer forward and backward, a step of decoding, peak memory.

    python benchmarks/attention.py [--device cuda] [--only layer decoding memory]

All candidates of a row run in turn within one run, so that ratios hold whatever else the machine does. Times are
medians, with quartiles for ours; float32; on a CPU one thread, in thread time. A ratio above 1: that peer is slower.
Where transformers is installed, its Llama attention and its cache are among the peers.
"""

import argparse
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import KVCache, MultiHeadAttention, attention, cost, measure, memory, merge_heads, split_heads
from mha_lab.attention import fused_attention
from mha_lab.variants import chunked_attention, windowed_attention

try:
    from transformers import DynamicCache, LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaAttention
except ImportError:
    DynamicCache = None

D_MODEL, HEADS = 512, 8
LENGTHS, LONG = (64, 256, 1024, 4096), 16_384
MODES = {
    "heads' weights": "every head's weights",
    "mean weights": "their mean over the heads",
    "output": "the output alone",
}


# a layer ------------------------------------------------------------------------------------------------------------


def layers(device: str) -> dict[str, dict[str, Callable[[Tensor], Tensor]]]:
    """By mode, and by name: the same layer, with the same weights, as others would write it. x (B, N, D) → a result."""
    theirs = nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True).eval().to(device)
    ours = MultiHeadAttention.from_torch(theirs)

    def heads(x):
        return (split_heads(project(x), HEADS) for project in (ours.q_proj, ours.k_proj, ours.v_proj))

    def explicit(x):
        query, key, value = heads(x)
        weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(dim=-1)
        return ours.out_proj(merge_heads(weights @ value)), weights

    def einsum(x):
        query, key, value = heads(x)
        scores = torch.einsum("bhnk,bhsk->bhns", query, key) / math.sqrt(query.shape[-1])
        weights = scores.softmax(dim=-1)
        return ours.out_proj(merge_heads(torch.einsum("bhns,bhsk->bhnk", weights, value))), weights

    def loop(x):
        found = []
        for query, key, value in zip(*(projected.unbind(dim=1) for projected in heads(x)), strict=True):
            weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(dim=-1)
            found.append((weights @ value, weights))
        outputs, maps = zip(*found, strict=True)
        return ours.out_proj(torch.cat(outputs, dim=-1)), torch.stack(maps, dim=1)

    def fused(x):
        return ours.out_proj(merge_heads(F.scaled_dot_product_attention(*heads(x))))

    def mean(run):
        def averaged(x):
            output, weights = run(x)
            return output, weights.mean(dim=1)

        return averaged

    stored = {"explicit": explicit, "einsum": einsum, "loop over heads": loop}
    return {
        "heads' weights": {
            "ours": partial(ours, need_weights=True),
            "nn.MultiheadAttention": lambda x: theirs(x, x, x, average_attn_weights=False),
            **stored,
        },
        "mean weights": {
            "ours": mean(partial(ours, need_weights=True)),
            "nn.MultiheadAttention": lambda x: theirs(x, x, x),
            **{name: mean(run) for name, run in stored.items()},
        },
        "output": {
            "ours": ours,
            "nn.MultiheadAttention": lambda x: theirs(x, x, x, need_weights=False)[0],
            "scaled_dot_product_attention": fused,
            **{name: lambda x, run=run: run(x)[0] for name, run in stored.items()},
        },
    }


def grouped_layers(device):
    """The output of a causal layer with 4 key/value heads, ours and transformers', both with rotary positions."""
    from mha_lab.rotary import rotate

    config = LlamaConfig(
        hidden_size=D_MODEL, num_attention_heads=HEADS, num_key_value_heads=4, attn_implementation="sdpa"
    )
    theirs = LlamaAttention(config, layer_idx=0).eval().to(device)
    ours = MultiHeadAttention(D_MODEL, HEADS, 4, bias=False, rotary=rotate).to(device)
    for projection in ("q_proj", "k_proj", "v_proj"):
        getattr(ours, projection).weight = getattr(theirs, projection).weight
    ours.out_proj.weight = theirs.o_proj.weight
    rates = 10_000 ** (-torch.arange(0, 64, 2, device=device) / 64)

    def llama(x, implementation):
        config._attn_implementation = implementation
        angle = (torch.arange(x.shape[1], device=device)[:, None] * rates).repeat(1, 2)[None]
        mask = None
        if implementation == "eager":
            mask = torch.full((x.shape[1],) * 2, -torch.inf, device=device).triu(1)[None, None]
        return theirs(x, position_embeddings=(angle.cos(), angle.sin()), attention_mask=mask)[0]

    x = torch.randn(2, 16, D_MODEL, device=device)
    torch.testing.assert_close(ours(x, causal=True), llama(x, "sdpa"), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours(x, causal=True), llama(x, "eager"), atol=1e-5, rtol=0)
    return {
        "ours": partial(ours, causal=True),
        "Llama, eager": partial(llama, implementation="eager"),
        "Llama, sdpa": partial(llama, implementation="sdpa"),
    }


def forward_and_backward(run, x):
    result = run(x)
    (result if isinstance(result, Tensor) else result[0]).sum().backward()
    return x


def layer_table(device):
    modes = layers(device)
    if DynamicCache:
        modes["4 key/value heads, causal"] = grouped_layers(device)
    for mode, candidates in modes.items():
        print(f"\n### A layer, {MODES.get(mode, mode)}: d_model {D_MODEL}, {HEADS} heads\n")
        print(row("batch", "tokens", "", "ours, ms", *(name for name in candidates if name != "ours")))
        print("|--:|--:|---|--:|" + "--:|" * (len(candidates) - 1))
        for B in 1, 8:
            for N in LENGTHS:
                for backward in False, True:
                    # The explicit peers hold three tensors of scores, and in training their gradients beside them.
                    needed = (6 if backward else 3) * cost.stored_scores(B, N, HEADS) * 4
                    if needed > 0.5 * memory.free_memory(device) or B * N > 8192:
                        continue
                    x = torch.randn(B, N, D_MODEL, device=device)
                    calls = {name: partial(forward_and_backward, run, x) for name, run in candidates.items()}
                    if not backward:
                        calls = {name: partial(run, x) for name, run in candidates.items()}
                    with torch.set_grad_enabled(backward):
                        times = measure.compare(calls, repeats=9, budget=0.6, device=device)
                    print(row(B, N, "with backward" if backward else "", *compared(times)), flush=True)


# a step of decoding -------------------------------------------------------------------------------------------------


def decoding_table(device, num_heads=16, d_head=64):
    stream = measure.calibrate(device=device).bytes_per_second
    print(f"\n### A step of decoding: {num_heads} query heads of {d_head} numbers\n")
    size = f"{measure.STREAM / 2**20:.0f} MiB, more than the processor's caches hold,"
    print(f"The stream: a sum reads {size} at {stream / 1e9:.0f} GB/s here.")
    print("Keys and values that those caches do hold can be read faster: shares above 100%.\n")
    names = ("repeat_interleave", "enable_gqa", *(["transformers' cache, sdpa"] if DynamicCache else []))
    print(row("batch", "context", "K/V heads", "ours, ms", *names, "ours, share of the stream"))
    print("|--:|--:|--:|--:|" + "--:|" * (len(names) + 1))
    for B in 1, 8:
        for S in 1024, 4096, LONG:
            for G in 16, 4, 2, 1:
                size = cost.kv_cache_bytes(B, S, G, d_head, bytes_per_number=4)
                if 12 * size * num_heads / G > memory.free_memory(device):  # peers that repeat it, and copy it
                    continue
                steps = decoding_steps(device, B, S, num_heads, G, d_head)
                times = measure.compare(steps, repeats=9, budget=0.4, device=device)
                share = size / stream / times["ours"].median
                print(row(B, f"{S:,}", G, *compared(times), f"{share:.0%}"), flush=True)


def decoding_steps(device, B, S, num_heads, G, d_head):
    """By name: a new token's key and value go into the cache of S tokens, and its queries look at all of them."""
    query = torch.randn(B, num_heads, 1, d_head, device=device)
    new = torch.randn(2, B, G, 1, d_head, device=device)
    past = torch.randn(2, B, G, S, d_head, device=device)
    cache = KVCache(capacity=S + 1)
    cache.append(*past)

    def ours():
        cache.truncate(S)
        return fused_attention(query, *cache.append(*new))

    def appended():  # as a cache of fixed size does: ours, so that only the attention differs
        cache.truncate(S)
        return cache.append(*new)

    def repeat_interleave():
        key, value = (x.repeat_interleave(num_heads // G, dim=1) for x in appended())
        return F.scaled_dot_product_attention(query, key, value)

    def enable_gqa():
        return F.scaled_dot_product_attention(query, *appended(), enable_gqa=True)

    def transformers_cache():
        theirs = DynamicCache()
        theirs.update(*past, 0)
        key, value = theirs.update(*new, 0)
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=True)

    steps = {"ours": ours, "repeat_interleave": repeat_interleave, "enable_gqa": enable_gqa}
    if DynamicCache:
        steps["transformers' cache, sdpa"] = transformers_cache
    expected = ours()
    for step in steps.values():
        torch.testing.assert_close(step(), expected, atol=1e-4, rtol=0)
    return steps


# memory -------------------------------------------------------------------------------------------------------------


def memory_table(device, num_heads=8, d_head=64, width=128):
    print(f"\n### Peak memory beside query, key and value, MiB: {num_heads} heads of {d_head} numbers\n")
    ways = {
        "all scores": lambda *qkv: attention(*qkv)[0],
        "chunked": chunked_attention,
        f"window of {width}": partial(windowed_attention, width=width),
        "scaled_dot_product_attention": F.scaled_dot_product_attention,
    }
    print(row("tokens", *ways))
    print("|--:|" + "--:|" * len(ways))
    for N in (*LENGTHS, LONG):
        qkv = torch.randn(3, 1, num_heads, N, d_head, device=device)
        cells = []
        for name, way in ways.items():
            too_much = name == "all scores" and 8 * cost.stored_scores(1, N, num_heads) > memory.free_memory(device)
            peak = math.nan if too_much else measure.peak_memory(partial(way, *qkv), device=device)
            cells.append("does not fit" if too_much else f"{peak / 2**20:,.0f}")
        print(row(f"{N:,}", *cells), flush=True)


# ----------------------------------------------------------------------------------------------------------------------


def compared(times):
    """Our median with its quartiles in milliseconds, and how many times as long each peer takes."""
    ours = times["ours"]
    peers = [f"{t.ratio(ours):.2f}" for name, t in times.items() if name != "ours"]
    return [f"{ours.median * 1e3:.3g} ({ours.q1 * 1e3:.3g}–{ours.q3 * 1e3:.3g})", *peers]


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


TABLES = {"layer": layer_table, "decoding": decoding_table, "memory": memory_table}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"## Attention, {measure.processor(options.device)}, torch {torch.__version__}, one thread")
    if not DynamicCache:
        print("\ntransformers is not installed (pip install -r requirements-reference.txt): its columns are left out.")
    with measure.single_thread():
        for name in options.only:
            with torch.set_grad_enabled(name == "layer"):
                TABLES[name](options.device)


if __name__ == "__main__":
    main()
