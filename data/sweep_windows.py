"""Train the same small model on long documents with windows of several widths: writes windows.npz, for lesson 08.

    .venv/bin/python data/sweep_windows.py      (about 4 minutes of one core; an interrupt keeps nothing)

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import time

import numpy as np
import torch

from mha_lab import _data, _whole, heads, measure, models, tasks, train

WINDOWS = 8, 32, 64, 128  # the last sees the whole document
SEEDS = 0, 1, 2
EXAMPLES = 200


def trained(task, window, seed):
    torch.manual_seed(seed)
    places = models.Sinusoidal(64)
    options = {"num_heads": 2, "positions": places, "causal": True, "window": window}
    model = models.Encoder(task.vocabularies, task.answers, **options)
    train.fit(model, task.draw, steps=400, batch_size=16, lr=1e-2, seed=seed, progress=False)
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


def main(path):
    task = tasks.document()
    test = task.draw(EXAMPLES, torch.Generator().manual_seed(10_000))
    rows = {}
    for window in WINDOWS:
        for seed in SEEDS:
            start = time.perf_counter()
            row = judged(trained(task, window, seed), test)
            near, far = row["accuracy"].tolist()
            seconds = time.perf_counter() - start
            print(f"window {window:3}, seed {seed}: near {near:.3f}  far {far:.3f}   {seconds:.0f} s", flush=True)
            for name, value in row.items():
                rows.setdefault(name, []).append(value.numpy())
    shape = len(WINDOWS), len(SEEDS)
    arrays = {name: np.stack(values).reshape(*shape, *values[0].shape) for name, values in rows.items()}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, windows=np.array(WINDOWS), **arrays)
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "windows.npz")
