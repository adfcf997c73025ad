"""Train small models that remember differently, and indexers beside SmolLM2: writes memories.npz, for lesson 12b.

    .venv/bin/python data/sweep_memories.py              (about 20 minutes of one core; the indexers need `make models`)

Each training is kept in build/memories.jsonl as soon as it ends, and what an indexer chose in build/memories.npz: after
an interrupt the same command goes on from there. What is inside the file: data/README.md. Training amplifies rounding,
so another processor or version of torch gives slightly other numbers: the lesson asserts what must hold of them.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from mha_lab import _data, _whole, causal_mask, measure, models, tasks, train
from mha_lab.models.memories import SharingEncoder, memory_model
from mha_lab.tasks.recall import recall
from mha_lab.variants import Indexer, indexer_loss, top_keys

BUILD = Path(__file__).parents[1] / "build"
KEPT, CHOSEN = BUILD / "memories.jsonl", BUILD / "memories_chosen.npz"
SEEDS = 0, 1, 2
PAIRS = 4, 8, 16, 32, 64
FEW_PAIRS = 2, 4, 8, 16
EXAMPLES = 300


class Cell(NamedTuple):
    """One training. what: the experiment; layers: a letter each; size: d_head, or key/value heads in "sharing"."""

    what: str
    layers: str
    size: int
    seed: int
    steps: int
    lr: float


def cells():
    for seed in SEEDS:
        yield Cell("capacity", "G", 16, seed, 800, 1e-2)
        yield from (Cell("capacity", layers, 16, seed, 1500, 1e-2) for layers in "WDL")
        yield from (Cell("updates", layers, 16, seed, 3000, 1e-2) for layers in "DW")
        yield Cell("updates", "G", 16, seed, 1500, 1e-2)
        yield from (Cell("stacks", layers, 8, seed, 1000, 3e-3) for layers in ("SSSS", "SSSG", "GGGG"))
        yield from (Cell("sharing", layers, G, seed, 500, 3e-3) for layers, G in SHARING)
        yield from (Cell("capacity", "D", d_head, seed, 1500, 1e-2) for d_head in (8, 32))


SHARING = ("OOOO", 4), ("OOBB", 4), ("OBBB", 4), ("OOOO", 2), ("OOOO", 1)
"""O: own keys and values, B: borrowed; and how many key/value heads."""


def pairs_of(what):
    """How many pairs a batch has, and how often each key is written."""
    return (FEW_PAIRS, 3) if what == "updates" else (PAIRS, 1)


def trained_recall(what, layers, d_head, seed, steps, lr):
    pairs, writes = pairs_of(what)
    task = recall(pairs, writes=writes)
    torch.manual_seed(seed)
    model = memory_model(task, layers, d_head=d_head, places=what == "updates" and layers == "G")
    train.fit_whole(model, task.draw, steps=steps, batch_size=32, lr=lr, seed=seed, progress=False)
    return model.eval()


@torch.no_grad()
def recalled(model, what):
    """Share of right answers by number of pairs, on texts that no training saw."""
    pairs, writes = pairs_of(what)
    tests = (recall(n, writes=writes).draw(EXAMPLES, torch.Generator().manual_seed(10_000)) for n in pairs)
    return [model.accuracy(test).item() for test in tests]


def trained_sharing(layers, num_kv_heads, seed, steps, lr):
    task = tasks.characters()
    torch.manual_seed(seed)
    options = {"shared": layers.count("B"), "num_kv_heads": num_kv_heads, "num_layers": len(layers), "mlp": 128}
    places = models.Learned(task.num_tokens, 64)
    model = SharingEncoder(task.vocabularies, task.answers, positions=places, **options)
    train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=lr, seed=seed, progress=False)
    return model.eval()


@torch.no_grad()
def nats(model):
    """Mean loss on held-back text, in nats a character."""
    test = tasks.characters(part="validation").draw(500, torch.Generator().manual_seed(10_000))
    return model.losses(test).mean().item()


def run(cell):
    start = time.thread_time()
    if cell.what == "sharing":
        model = trained_sharing(*cell[1:])
        found = nats(model)
    else:
        model = trained_recall(*cell)
        found = recalled(model, cell.what)
    record = {"cell": cell, "found": found, "parameters": models.num_parameters(model)}
    if cell == IN_EXERCISE:
        record["weights"] = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    return record | {"seconds": round(time.thread_time() - start, 1)}


IN_EXERCISE = Cell("updates", "D", 16, 0, 3000, 1e-2)
"""The model in which exercise 12b.3 puts the learner's function."""


def trained_all():
    """{cell: record} of every training, from the file or new."""
    done = {}
    if KEPT.exists():
        for line in KEPT.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            done[Cell(*record["cell"])] = record
    BUILD.mkdir(exist_ok=True)
    for cell in cells():
        if cell not in done:
            done[cell] = run(cell)
            _whole.write(KEPT, "".join(json.dumps(record) + "\n" for record in done.values()))
            print(*cell, done[cell]["found"], f"{done[cell]['seconds']} s", flush=True)
    return done


# indexers beside SmolLM2 ---------------------------------------------------------------------------------------------

KEYS = 16, 32, 64, 128, 256
TEXTS, LENGTH, EPOCHS = 12, 384, 10
HEADS, WIDTH = 4, 32
START = 300  # the first token that is judged, as in lesson 10
EXAMPLE, EXAMPLE_LAYER = 96, 18


def help_pages(model):
    """Token ids of the beginnings of the longest help pages of this Python."""
    from pydoc_data.topics import topics

    pages = sorted((text.encode("ascii", "ignore").decode() for text in topics.values()), key=len)[-TEXTS:]
    return [torch.tensor([model.tokenizer.encode(page).ids[:LENGTH]]) for page in pages]


@torch.no_grad()
def looked(model, ids):
    """What each layer is given (B, N, D), and its weights (B, H, N, N)."""
    given = []
    hooks = [b.attention.register_forward_pre_hook(lambda _, args: given.append(args[0])) for b in model.blocks]
    try:
        _, maps = model(ids, need_weights=True)
    finally:
        for hook in hooks:
            hook.remove()
    return given, maps.unbind(dim=1)


def trained_indexers(model, readings, seed):
    """An indexer for each layer, trained on what the layers were given and where their heads looked."""
    torch.manual_seed(seed)
    rotary = model.blocks[0].attention.rotary
    indexers = [Indexer(576, num_heads=HEADS, width=WIDTH, rotary=rotary) for _ in model.blocks]
    optimiser = torch.optim.AdamW([p for indexer in indexers for p in indexer.parameters()], 3e-3, weight_decay=0.0)
    steps = EPOCHS * len(readings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    mask, order = causal_mask(LENGTH), torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for at in torch.randperm(len(readings), generator=order).tolist():
            pairs = zip(indexers, *readings[at])
            loss = sum(indexer_loss(indexer(x), weights[:, None], mask=mask) for indexer, x, weights in pairs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    print(f"indexers, seed {seed}: {loss.item() / len(indexers):.3f} nats a layer on the last text", flush=True)
    return indexers


HOW = "exact", "indexer", "first and last", "last", "random"
"""The ways of choosing that are recorded; `chooser` knows "half" too."""


def chooser(how, keys, indexers, seed=0):
    """choose(layer, x, weights) → (1, 1, N, N) boolean: what each token looks at. "exact" chooses by the weights that
    the layer would have, "random" always takes the token itself too; "half" takes the first and the last ones for half
    of the keys, and lets the indexer choose the others."""

    def choose(at, x, weights):
        N = x.shape[1]
        scores = torch.arange(N).float().expand(N, N).clone()  # the last ones
        if how == "first and last":
            scores[:, 0] = torch.inf
        elif how == "random":
            scores = torch.rand(N, N, generator=torch.Generator().manual_seed(1000 * seed + at)).fill_diagonal_(2.0)
        elif how == "exact":
            scores = weights.mean(dim=1)[0]
        elif how in ("indexer", "half"):
            scores = indexers[at](x)[0]
        if how == "half":
            near = torch.arange(N)[:, None] - torch.arange(N) < keys // 2 - 1
            scores = scores.masked_fill(near, torch.inf)
            scores[:, 0] = torch.inf
        return top_keys(scores, keys, mask=causal_mask(N))[None, None]

    return choose


@torch.no_grad()
def logits_with(model, ids, how, keys, indexers, seed=0):
    """(N − 1, vocabulary) what is said of each next token, where the tokens of every layer look at what is chosen
    alone."""
    x, choose = model.words(ids), chooser(how, keys, indexers, seed)
    for at, block in enumerate(model.blocks):
        seen = block.norm1(x)
        weights = block.attention(seen, causal=True, need_weights=True)[1] if how == "exact" else None
        x = x + block.attention(seen, mask=choose(at, seen, weights))
        y = block.norm2(x)
        x = x + block.narrow(F.silu(block.gate(y)) * block.widen(y))
    return model.logits(x)[0, :-1]


def losses_with(model, ids, how, keys, indexers, seed=0):
    """(N − 1,) loss of each token."""
    return F.cross_entropy(logits_with(model, ids, how, keys, indexers, seed), ids[0, 1:], reduction="none")


def read_with(model, ids, how, keys, indexers, seed=0, start=START):
    """Perplexity of the tokens from `start` on."""
    return losses_with(model, ids, how, keys, indexers, seed)[start - 1 :].mean().exp().item()


def copied_with(model, ids, how, keys, indexers, seed=0):
    """Nats a token where thirty random tokens come a second time, 350 tokens after the first."""
    return losses_with(model, ids, how, keys, indexers, seed)[-29:].mean().item()


def right_with(model, ids, how, keys, indexers, seed=0):
    """Share of right tokens there: the most probable one is the one that comes."""
    said = logits_with(model, ids, how, keys, indexers, seed)[-29:].argmax(dim=-1)
    return (said == ids[0, -29:]).double().mean().item()


def thirty_again(ids, seed=9):
    """A text's first token, thirty random ones, 349 more of the text, and the thirty again."""
    from mha_lab.pretrained import circuits

    thirty = circuits.repeated_tokens(1, 30, seed=seed)[:, :30]
    return torch.cat([ids[:, :1], thirty, ids[:, 1:350], thirty], dim=1)


@torch.no_grad()
def kept_weight(reading, how, keys, indexers, seed=0):
    """Share of the heads' weight on what is chosen: mean over heads, layers, and the tokens from START on."""
    choose = chooser(how, keys, indexers, seed)
    shares = []
    for at, (x, weights) in enumerate(zip(*reading)):
        shares.append((weights * choose(at, x, weights)).sum(dim=-1)[..., START:].mean())
    return torch.stack(shares).mean().item()


@torch.no_grad()
def example(model, indexers, ids):
    """One layer's call on the first tokens: what it attends with, and its indexer's scores."""
    given, _ = looked(model, ids[:, :EXAMPLE])
    layer, x = model.blocks[EXAMPLE_LAYER].attention, given[EXAMPLE_LAYER]
    query, key, value = layer.project(x, x)
    parts = {"query": layer.rotary(query, 0), "key": layer.rotary(key, 0), "value": value}
    parts = {name: part[0].half().numpy() for name, part in parts.items()} | {
        "scores": indexers[EXAMPLE_LAYER](x)[0].numpy()
    }
    pieces = [model.tokenizer.decode([token], skip_special_tokens=False) for token in ids[0, :EXAMPLE].tolist()]
    return parts | {"tokens": np.array(pieces)}


def indexers_of(model):
    """For each seed an indexer for each layer."""
    readings = [looked(model, page) for page in help_pages(model)]
    readings = [(given, [weights.mean(dim=1) for weights in maps]) for given, maps in readings]
    return [trained_indexers(model, readings, seed) for seed in SEEDS]


def chosen_all():
    """What SmolLM2 makes of a text where it looks at few keys, by way of choosing and by number; and of a copy."""
    found = dict(np.load(CHOSEN, allow_pickle=False)) if CHOSEN.exists() else {}
    if "copy everything" in found:
        return found
    from mha_lab.pretrained import SmolLM2, recorded_smollm2

    model, ids = SmolLM2.load(), recorded_smollm2().long
    trained, repeated = indexers_of(model), thirty_again(ids)
    runs = [(how, seed) for how in HOW for seed in (SEEDS if how in ("indexer", "random") else SEEDS[:1])]
    if "perplexity everything" not in found:
        reading = looked(model, ids)
        for how, seed in runs:
            found[f"weight {how} {seed}"] = [kept_weight(reading, how, keys, trained[seed], seed) for keys in KEYS]
            asked = KEYS if seed == 0 else KEYS[2:3]
            found[f"perplexity {how} {seed}"] = [read_with(model, ids, how, n, trained[seed], seed) for n in asked]
            print(
                how,
                seed,
                *(np.round(found[f"{what} {how} {seed}"], 3) for what in ("weight", "perplexity")),
                flush=True,
            )
        found["perplexity everything"] = [read_with(model, ids, "last", ids.shape[1], None)]
        found |= {"keys": np.array(KEYS)} | {f"example {k}": v for k, v in example(model, trained[0], ids).items()}
        keep(CHOSEN, found)
    for how, seed in runs:
        found[f"copy {how} {seed}"] = [copied_with(model, repeated, how, KEYS[2], trained[seed], seed)]
        print("copy", how, seed, np.round(found[f"copy {how} {seed}"], 3), flush=True)
    found["copy everything"] = [copied_with(model, repeated, "last", repeated.shape[1], None)]
    return keep(CHOSEN, found)


def keep(path, found):
    """Write what was found, numbers in 32 bits where they were not arrays yet; give the arrays."""
    arrays = {name: np.array(v, dtype=np.float32) if isinstance(v, list) else v for name, v in found.items()}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    return arrays


def main(path):
    done, arrays = trained_all(), {"pairs": np.array(PAIRS), "few_pairs": np.array(FEW_PAIRS)}
    for cell in dict.fromkeys(cell._replace(seed=0) for cell in cells()):
        runs = [done[cell._replace(seed=seed)] for seed in SEEDS]
        arrays[f"{cell.what} {cell.layers} {cell.size}"] = np.array([run["found"] for run in runs], dtype=np.float32)
        arrays[f"parameters {cell.what} {cell.layers} {cell.size}"] = np.array(runs[0]["parameters"])
    for name, tensor in done[IN_EXERCISE]["weights"].items():
        arrays[f"model {name}"] = np.array(tensor, dtype=np.float16)
    arrays |= {f"chosen {name}": array for name, array in chosen_all().items()}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "memories.npz")
