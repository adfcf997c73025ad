"""Train the same small model on long documents with windows of several widths: writes windows.npz, for lesson 08b.

    .venv/bin/python data/sweep_windows.py              trains what the file lacks
    .venv/bin/python data/sweep_windows.py --again      all of it again: about 4 minutes of one core

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import sys
import time

import numpy as np
import torch

from mha_lab import _data, _whole, heads, measure, models, tasks, train

WINDOWS = 8, 32, 64, 128  # the last sees the whole document
SEEDS = 0, 1, 2
EXAMPLES = 200
STEPS = 400


def trained(task, window, seed, *, num_heads=2, steps=STEPS):
    """The same parameters, first weights and batches for any number of heads."""
    torch.manual_seed(seed)
    places = models.Sinusoidal(64)
    options = {"num_heads": num_heads, "positions": places, "causal": True, "window": window}
    model = models.Encoder(task.vocabularies, task.answers, **options)
    train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=1e-2, seed=seed, progress=False)
    return model.eval()


@torch.no_grad()
def judged(model, test):
    answers, weights = model(test.inputs, need_weights=True)
    weights = weights[:, 0]  # (B, H, N, N)
    far = answers[1].argmax(dim=-1) == test.targets[..., 1]  # (B, N)
    away = tasks.far_distance(test.right)
    by_distance = [far[away == d].float().mean() for d in range(1, test.inputs.shape[1])]
    return {
        "accuracy": model.accuracy(test),
        "by_distance": torch.stack(by_distance),
        "mass": heads.mass(weights[:, None], test.right[:, :, None]).mean(dim=0),
        "distance": heads.distance(weights).mean(dim=0),
    }


def table(rows, *shape):
    """What `judged` gave of each training, stacked by its names."""
    return {
        name: np.stack([row[name].numpy() for row in rows]).reshape(*shape, *rows[0][name].shape) for name in rows[0]
    }


def all_windows(task, test):
    """By window and seed, two heads."""
    rows = []
    for window in WINDOWS:
        for seed in SEEDS:
            start = time.perf_counter()
            rows.append(judged(trained(task, window, seed), test))
            near, far = rows[-1]["accuracy"].tolist()
            seconds = time.perf_counter() - start
            print(f"window {window:3}, seed {seed}: near {near:.3f}  far {far:.3f}   {seconds:.0f} s", flush=True)
    return {"windows": np.array(WINDOWS)} | table(rows, len(WINDOWS), len(SEEDS))


def one_head(task, test):
    """By seed: the same model with one head that sees the whole document."""
    rows = [judged(trained(task, None, seed, num_heads=1), test) for seed in SEEDS]
    found = table(rows, len(SEEDS))
    print("one head, near and far:", found["accuracy"].round(3).tolist(), flush=True)
    return {f"one_{name}": found[name] for name in ("accuracy", "mass")}


def main(path, again=False):
    task = tasks.document()
    test = task.draw(EXAMPLES, torch.Generator().manual_seed(10_000))
    arrays = {} if again or not path.exists() else dict(np.load(path, allow_pickle=False))
    for first, make in ("windows", all_windows), ("one_accuracy", one_head):
        if first not in arrays:
            arrays |= make(task, test)
            with _whole.beside(path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, **arrays)
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "windows.npz", again="--again" in sys.argv[1:])
