"""Train the models of lesson 09 that look names up, on few messages and with several seeds: writes names.npz.

    .venv/bin/python data/sweep_names.py      (about 2 minutes of one core; prints the checksum)

Each training is kept in build/names/ as soon as it ends: after an interrupt, the same command goes on from there. What
is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives slightly
other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch

from mha_lab import _data, _whole, measure, models, train
from mha_lab.models.name_readers import name_reader
from mha_lab.tasks.names import few, names

TARGET = _data.FOLDER / "names.npz"
KEPT = Path(__file__).parents[1] / "build" / "names"
SHORT, LONG, BATCH = 300, 1200, 32
SEEDS = 0, 1, 2
TEST = 10_000  # the seed of the 1,000 messages on which all are tested


def cells():
    """Every training but for its seed: (model, messages, steps, d_model)."""
    yield from ((name, size, SHORT, 64) for size in (300, 2000) for name in ("relative, 4 heads", "BiLSTM"))
    yield "BiLSTM", 2000, LONG, 64
    yield from ((name, 2000, SHORT, 64) for name in ("relative, 1 head", "rotary, 4 heads"))


def run(name, size, steps, d_model, seed, lr=3e-3):
    """One training, with the recipe that is the same for all, and what is recorded of it."""
    task = names()
    draw = few(task, size, seed)
    model = name_reader(name, task, d_model=d_model, seed=seed)
    start = time.thread_time()  # what this thread computed, whatever else the machine does
    train.fit_whole(model, draw, steps=steps, batch_size=BATCH, lr=lr, seed=seed, progress=False)
    seconds = time.thread_time() - start
    test = task.draw(1000, torch.Generator().manual_seed(TEST))
    return {
        "accuracy": model.eval().accuracy(test).item(),
        "seen": model.accuracy(draw.everything).item(),
        "parameters": models.num_parameters(model),
        "seconds": seconds,
    }


def kept(cell, seed):
    path = KEPT / f"{' '.join(map(str, cell))} {seed}.json"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        record = run(*cell, seed)
        _whole.write(path, json.dumps(record))
        print(*cell, seed, *(f"{name} {value:.4g}" for name, value in record.items()), flush=True)
    return json.loads(path.read_text())


def main():
    with measure.single_thread():
        for seed in SEEDS:
            for cell in cells():
                kept(cell, seed)
        records = {cell: [kept(cell, seed) for seed in SEEDS] for cell in cells()}
    columns = zip(*records)
    arrays = dict(zip(("model", "size", "steps", "d_model"), map(np.array, columns)))
    for name in "accuracy", "seen", "seconds":
        arrays[name] = np.array([[record[name] for record in each] for each in records.values()], dtype=np.float32)
    arrays["parameters"] = np.array([each[0]["parameters"] for each in records.values()])
    with _whole.beside(TARGET) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    print(TARGET.name, TARGET.stat().st_size, "bytes", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
