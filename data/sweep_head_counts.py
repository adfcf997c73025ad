"""Train the same small models with every head count and several seeds: writes head_counts.npz, for lesson 06.

    .venv/bin/python data/sweep_head_counts.py      (about 45 minutes of one core)

Each training is kept in build/head_counts.jsonl as soon as it ends: after an interrupt, the same command goes on from
there. What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch
gives slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import json
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mha_lab import MultiHeadAttention, _data, _whole, measure, models, tasks, train

KEPT = Path(__file__).parents[1] / "build" / "head_counts.jsonl"
HEADS = 1, 2, 4, 8, 16, 32, 64
LONG_HEADS = 16, 32, 64
SEEDS = 0, 1, 2, 3, 4
FEW_SEEDS = 0, 1
EXAMPLES = 1000
D_MODEL = 64
RATES = {"lookup": 3e-3, "characters": 1e-2}
FASTER = 1e-2  # a learning rate for 64 heads that look up
SHARED = (8, 4, 8), (8, 2, 8), (8, 1, 8), (8, 1, 14), (16, 4, 4)  # query heads, key/value heads, d_head
SHARED_LONG = (8, 1, 8), (8, 1, 14)


class Cell(NamedTuple):
    """One training. shape: query heads, key/value heads, width of a head; lr: the highest learning rate."""

    task: str
    shape: tuple[int, int, int]
    steps: int
    seed: int
    lr: float


def of_heads(num_heads):
    """The shape of multi-head attention as lesson 02 has it: nothing is shared, and d_head = d_model / h."""
    return num_heads, num_heads, D_MODEL // num_heads


def usual(task, shape, steps, seed):
    """A training at the learning rate that is the same for every shape."""
    return Cell(task, shape, steps, seed, RATES[task])


def cells():
    """Every training; the curves over the head counts come first."""
    for seed in SEEDS:
        yield from (usual("lookup", of_heads(h), 800, seed) for h in HEADS)
        yield from (usual("lookup", of_heads(h), 3000, seed) for h in LONG_HEADS)
        yield from (usual("characters", of_heads(h), 1000, seed) for h in HEADS)
    for seed in FEW_SEEDS:
        yield from (usual("characters", of_heads(h), 3000, seed) for h in HEADS)
    for seed in FEW_SEEDS:
        yield Cell("lookup", of_heads(64), 3000, seed, FASTER)
        yield from (usual("characters", shape, 1000, seed) for shape in SHARED)
    yield from (usual("characters", shape, 3000, seed) for shape in SHARED_LONG for seed in FEW_SEEDS)


def built(task, shape, *, d_model=D_MODEL, positions=None):
    """An untrained model with one attention layer of this shape and no MLP."""
    num_heads, num_kv_heads, d_head = shape
    options = {"d_model": d_model, "num_heads": num_heads, "causal": task.causal, "positions": positions}
    model = models.Encoder(task.vocabularies, task.answers, **options)
    if shape != (num_heads, num_heads, d_model // num_heads):  # all other weights begin as they do without sharing
        shared = MultiHeadAttention(d_model, num_heads, num_kv_heads, d_head=d_head, bias=False)
        model.blocks[0].attention = shared
    return model


def trained_lookup(shape, steps, seed, lr=RATES["lookup"], *, d_model=D_MODEL):
    """A model trained on the look-up task with a recipe that is the same for every shape."""
    task = tasks.lookup()
    torch.manual_seed(seed)
    model = built(task, shape, d_model=d_model)
    train.fit_whole(model, task.draw, steps=steps, lr=lr, seed=seed, progress=False)
    return model.eval()


def trained_characters(shape, steps, seed, lr=RATES["characters"], *, d_model=D_MODEL):
    """The same for the text of Python's help."""
    task = tasks.characters()
    torch.manual_seed(seed)
    model = built(task, shape, d_model=d_model, positions=models.Learned(task.num_tokens, d_model))
    train.fit_whole(model, task.draw, steps=steps, batch_size=32, lr=lr, seed=seed, progress=False)
    return model.eval()


@cache
def held_back():
    """What no training saw, by task: look-ups and pieces of text."""
    generator = torch.Generator().manual_seed(10_000)
    lookup = tasks.lookup().draw(EXAMPLES, generator)
    return {"lookup": lookup, "characters": tasks.characters(part="validation").draw(EXAMPLES, generator)}


@torch.no_grad()
def nats(model):
    """Its mean loss on the held-back text, in nats a character."""
    return model.losses(held_back()["characters"]).mean().item()


def accuracy(model):
    """Its share of right answers on the held-back look-ups."""
    return model.accuracy(held_back()["lookup"]).mean().item()


def run(cell):
    """One training, and what is recorded of it; of seed 0's look-ups also where the heads look in one example."""
    start = time.thread_time()  # what this thread computed, whatever else the machine does
    make, quality = {"lookup": (trained_lookup, accuracy), "characters": (trained_characters, nats)}[cell.task]
    model = make(*cell[1:])
    record = {"cell": cell, "quality": quality(model), "parameters": models.num_parameters(model)}
    if cell.task == "lookup" and cell.seed == 0 and cell.lr == RATES["lookup"]:
        _, weights = model(held_back()["lookup"].inputs[:1], need_weights=True)
        record["maps"] = weights[0, 0].detach().half().tolist()
    return record | {"seconds": round(time.thread_time() - start, 1)}


def sweep():
    """The records of all cells by cell, those that are kept already included."""
    KEPT.parent.mkdir(exist_ok=True)
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    records = {}
    for record in map(json.loads, lines):
        task, shape, *recipe = record["cell"]
        records[Cell(task, tuple(shape), *recipe)] = record
    for cell in cells():
        if cell not in records:
            records[cell] = run(cell)
            _whole.write(KEPT, "".join(json.dumps(record) + "\n" for record in records.values()))
            print(*cell, f"{records[cell]['quality']:.3f}", f"{records[cell]['seconds']} s", flush=True)
    return records


def write(records, path):
    """The file, and its checksum."""

    def table(task, shapes, steps, seeds, lr=None):
        lr = lr or RATES[task]
        rows = [[records[Cell(task, shape, steps, seed, lr)]["quality"] for seed in seeds] for shape in shapes]
        return np.array(rows, dtype=np.float32)

    all_heads, long_heads = ([of_heads(h) for h in heads] for heads in (HEADS, LONG_HEADS))
    arrays = {
        "heads": np.array(HEADS),
        "lookup": table("lookup", all_heads, 800, SEEDS),
        "long_heads": np.array(LONG_HEADS),
        "lookup_long": table("lookup", long_heads, 3000, SEEDS),
        "lookup_faster": table("lookup", [of_heads(64)], 3000, FEW_SEEDS, FASTER)[0],
        "characters": table("characters", all_heads, 1000, SEEDS),
        "characters_long": table("characters", all_heads, 3000, FEW_SEEDS),
        "shapes": np.array(SHARED),
        "shared": table("characters", SHARED, 1000, FEW_SEEDS),
        "long_shapes": np.array(SHARED_LONG),
        "shared_long": table("characters", SHARED_LONG, 3000, FEW_SEEDS),
        "example": held_back()["lookup"].inputs[0].numpy(),
    }
    for cell, record in records.items():
        if "maps" in record:
            arrays[f"maps_{cell.shape[0]}_{cell.steps}"] = np.array(record["maps"], dtype=np.float16)
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        write(sweep(), _data.FOLDER / "head_counts.npz")
