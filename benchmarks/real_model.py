"""A real model, SmolLM2, in our modules and in transformers': the time to read a prompt, and tokens per second then.

    python benchmarks/real_model.py [--device cuda] [--only prompt decoding] [--contexts 64 512 2048] [--repeats 9]

Both read the same file, each with its own code, and first have to choose the same tokens. All ways of a row run in turn
within one run; one text, float32, greedy; on a CPU one thread, in thread time. Medians, with quartiles for ours; a
ratio above 1: that way is slower than ours.

ours          Llama with a KVCache that has room for the whole text from the start
eager, sdpa   LlamaForCausalLM with its DynamicCache and logits of the last token alone, which is what its generate()
              calls for every token; what generate() adds itself is not counted
no cache      ours, which reads the whole text again for every token
products      a token through the weight matrices and nothing else: what nobody who uses torch's products can go below
"""

import argparse
import os
import pydoc_data.topics
import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # claims/ belongs to the repository, not the package

from claims import reference
from mha_lab import measure
from mha_lab.pretrained import ModelMissing, SmolLM2

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched
try:
    from transformers import DynamicCache
except ImportError:
    DynamicCache = None

TOKENS = 8  # decoded in each sample, on top of what is in the cache
NO_CACHE_AT = 512  # tokens of context: one is enough, a step takes as long as reading them


# the ways to read and write -----------------------------------------------------------------------------------------
# Each has step(ids (1, N) that follow what it has read) → logits (1, 1, vocabulary), and back_to(length).


class Ours:
    def __init__(self, model, capacity):
        self.model, self.caches = model, model.new_caches(capacity)

    def step(self, ids):
        return last_logits(self.model, ids, self.caches)

    def back_to(self, length):
        for cache in self.caches:
            cache.truncate(length)


class NoCache:
    def __init__(self, model, device):
        self.model, self.ids = model, torch.empty(1, 0, dtype=torch.long, device=device)

    def step(self, ids):
        self.ids = torch.cat([self.ids, ids], dim=1)
        return last_logits(self.model, self.ids, [None] * len(self.model.blocks))

    def back_to(self, length):
        self.ids = self.ids[:, :length]


class Theirs:
    def __init__(self, model, implementation):
        self.model, self.implementation, self.cache = model, implementation, DynamicCache(config=model.config)

    def step(self, ids):
        self.model.config._attn_implementation = self.implementation
        return self.model(ids, cache=self.cache, logits_to_keep=1).logits

    def back_to(self, length):
        self.cache.crop(length - self.cache.get_seq_length())


def last_logits(model, ids, caches):
    """As Llama.generate: of a prompt's logits only the last token's are needed."""
    x = model.words(ids)
    for block, cache in zip(model.blocks, caches, strict=True):
        x, _ = block(x, cache)
    return model.logits(x[:, -1:])


def matrix_products(model, tokens):
    """The products of the weights with one token's numbers, as often as decoding `tokens` tokens takes them."""
    matrices = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)] + [model.words.weight]
    x = {width: torch.ones(1, 1, width, device=matrices[0].device) for width in {m.shape[1] for m in matrices}}
    for _ in range(tokens):
        for matrix in matrices:
            result = F.linear(x[matrix.shape[1]], matrix)
    return result


def ways(ours, theirs, capacity, device):
    """By name; ours first."""
    found = {"ours": Ours(ours, capacity)}
    if theirs:
        found |= {name: Theirs(theirs, name) for name in ("eager", "sdpa")}
    return found | {"no cache": NoCache(ours, device)}


# the tables ----------------------------------------------------------------------------------------------------------


def read(way, ids):
    way.back_to(0)
    return way.step(ids)


def write(way, context, first, tokens):
    """After `context` tokens, `first` (1, 1) and the likeliest `tokens` after it, (1, tokens + 1)."""
    way.back_to(context)
    found = [first]
    for _ in range(tokens):
        found.append(way.step(found[-1])[:, -1].argmax(dim=-1, keepdim=True))
    return torch.cat(found, dim=1)


def prompt_table(found, prompts, repeats, device):
    names = [name for name in found if name != "no cache"]
    print("\n### Reading a prompt, up to the logits of its last token\n")
    print(row("tokens", "ours, ms", "ours, tokens/s", *names[1:]))
    print("|--:|--:|--:|" + "--:|" * len(names[1:]))
    for ids in prompts:
        calls = {name: partial(read, found[name], ids) for name in names}
        times = measure.compare(calls, repeats=repeats, budget=20, device=device)
        t, N = times["ours"], ids.shape[1]
        shown = f"{t.median * 1e3:.3g} ({t.q1 * 1e3:.3g}–{t.q3 * 1e3:.3g})"
        ratios = (f"{times[name].ratio(t):.2f}" for name in names[1:])
        print(row(f"{N:,}", shown, f"{N / t.median:.0f}", *ratios), flush=True)


def decoding_table(found, prompts, repeats, device):
    print(f"\n### Decoding: {TOKENS} tokens, one after the other\n")
    peers = [name for name in (*found, "products") if name != "ours"]
    print(row("tokens in the cache", "ours, tokens/s", *peers))
    print("|--:|--:|" + "--:|" * len(peers))
    for ids in prompts:
        calls = decoding_calls(found, ids)
        calls["products"] = partial(matrix_products, found["ours"].model, TOKENS)
        times = measure.compare(calls, repeats=repeats, budget=10, device=device)
        t = times["ours"]
        speed = f"{TOKENS / t.median:.1f} ({TOKENS / t.q3:.1f}–{TOKENS / t.q1:.1f})"
        cells = {name: time.ratio(t) * (TOKENS if name == "no cache" else 1) for name, time in times.items()}
        print(row(f"{ids.shape[1]:,}", speed, *(f"{cells[n]:.2f}" if n in cells else "" for n in peers)), flush=True)


def decoding_calls(found, ids):
    """By name: decode TOKENS tokens after these (without a cache, one). Asserts that all choose the same."""
    context = ids.shape[1]
    names = [name for name in found if name != "no cache" or context == NO_CACHE_AT]
    calls = {}
    for name in names:
        first = read(found[name], ids)[:, -1].argmax(dim=-1, keepdim=True)
        calls[name] = partial(write, found[name], context, first, 1 if name == "no cache" else TOKENS)
    expected = calls["ours"]()
    for name, call in calls.items():
        written = call()
        same = torch.equal(written, expected[:, : written.shape[1]])
        assert same, f"after {context} tokens {name} goes on with {written.tolist()} and ours with {expected.tolist()}"
    return calls


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


TABLES = {"prompt": prompt_table, "decoding": decoding_table}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--contexts", nargs="+", type=int, default=[64, 512, 2048])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    try:
        ours = SmolLM2.load().to(options.device)
    except ModelMissing as missing:
        print(f"benchmarks/real_model.py is skipped: {missing}")
        return
    print(
        f"## A real model: SmolLM2-135M on {measure.processor(options.device)}, torch {torch.__version__}, one thread"
    )
    if not DynamicCache:
        print("\ntransformers is not installed (pip install -r requirements-reference.txt): its columns are left out.")
    theirs = reference.smollm2().to(options.device) if DynamicCache else None
    text = " ".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    ids = ours.ids(text[: 6 * max(options.contexts)])[0]  # a token has less than six letters on average
    with measure.single_thread():
        found = ways(ours, theirs, max(options.contexts) + TOKENS + 1, options.device)
        for name in options.only:
            TABLES[name](found, [ids[:, :n] for n in options.contexts], options.repeats, options.device)


if __name__ == "__main__":
    main()
