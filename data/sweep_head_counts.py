"""Train the same small models with every head count and several seeds: writes head_counts.npz, for lesson 06.

    .venv/bin/python data/sweep_head_counts.py      (about 15 minutes of one core; an interrupt keeps nothing)

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import time

import numpy as np
import torch

from mha_lab import _data, _whole, measure, models, tasks, train

HEADS = 1, 2, 4, 8, 16, 32, 64
SEEDS = 0, 1, 2, 3, 4
EXAMPLES = 1000
D_MODEL = 64


def trained_lookup(num_heads, seed, steps):
    """A model trained on the look-up task with a recipe that is the same for every head count."""
    task = tasks.lookup()
    torch.manual_seed(seed)
    model = models.Encoder(task.vocabularies, task.answers, d_model=D_MODEL, num_heads=num_heads)
    train.fit(model, task.draw, steps=steps, seed=seed, progress=False)
    return model.eval()


def trained_characters(num_heads, seed, steps):
    """The same for the text of Python's help."""
    task = tasks.characters()
    torch.manual_seed(seed)
    places = models.Learned(task.num_tokens, D_MODEL)
    sizes = {"d_model": D_MODEL, "num_heads": num_heads, "positions": places, "causal": True}
    model = models.Encoder(task.vocabularies, task.answers, **sizes)
    train.fit(model, task.draw, steps=steps, batch_size=32, lr=1e-2, seed=seed, progress=False)
    return model.eval()


def sweep(name, heads, quality):
    """quality(num_heads, seed) for all of them, (len(heads), seeds), with a line for each head count."""
    rows = []
    for num_heads in heads:
        start = time.perf_counter()
        rows.append([quality(num_heads, seed) for seed in SEEDS])
        values = " ".join(f"{value:.3f}" for value in rows[-1])
        print(f"{name:12} h {num_heads:2}: {values}   {time.perf_counter() - start:.0f} s", flush=True)
    return np.array(rows, dtype=np.float32)


def main(path):
    held_back = torch.Generator().manual_seed(10_000)
    lookup = tasks.lookup().draw(EXAMPLES, held_back)
    text = tasks.characters(part="validation").draw(EXAMPLES, held_back)
    arrays = {"heads": np.array(HEADS), "long_heads": np.array(HEADS[-3:]), "example": lookup.inputs[0].numpy()}

    def accuracy(num_heads, seed, steps):
        model = trained_lookup(num_heads, seed, steps)
        if seed == 0:
            weights = model(lookup.inputs[:1], need_weights=True)[1][0, 0]
            arrays[f"maps_{num_heads}_{steps}"] = weights.detach().numpy().astype(np.float16)
        return model.accuracy(lookup).mean().item()

    def nats(num_heads, seed):
        model = trained_characters(num_heads, seed, 1000)
        with torch.no_grad():
            return model.losses(text).mean().item()

    with measure.single_thread():
        arrays["lookup"] = sweep("lookup", HEADS, lambda h, seed: accuracy(h, seed, 800))
        arrays["lookup_long"] = sweep("3,000 steps", HEADS[-3:], lambda h, seed: accuracy(h, seed, 3000))
        arrays["characters"] = sweep("characters", HEADS, nats)
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(_data.FOLDER / "head_counts.npz")
