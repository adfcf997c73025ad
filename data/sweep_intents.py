"""Train the models of lesson 09 at three sizes and with several seeds: writes intents.npz and its checkpoints.

    .venv/bin/python data/sweep_intents.py      (about half an hour of one core)

Each training is kept in build/intents.jsonl as soon as it ends: after an interrupt, the same command goes on from
there. What is inside the files: data/README.md. Training amplifies rounding, so another processor or version of torch
gives slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from mha_lab import _data, _whole, measure, models, tasks, train
from mha_lab.models.intents import INTENT_MODELS, intent_model

DATA = _data.FOLDER
KEPT = Path(__file__).parents[1] / "build" / "intents.jsonl"
COMPARED = "BiLSTM", "learned", "relative"
SIZES = 300, 1500, 8000
SEEDS = 0, 1, 2
STEPS, BATCH = 500, 32
CHECKPOINTS = {(name, "zh", 8000, STEPS, 0): name for name in COMPARED} | {
    ("relative", "both", 16_000, 4 * STEPS, 0): "both languages"
}
KINDS = "plain", "compound", "negated", "ordinal", "other", "past", "none"
LENGTHS = 16, 64, 128, 256, 512, 1024


def cells():
    """Every training: (name, language, size, steps, seed)."""
    for seed in SEEDS:
        yield from ((name, "zh", size, STEPS, seed) for size in reversed(SIZES) for name in COMPARED)
        yield from ((name, "zh", 8000, STEPS, seed) for name in INTENT_MODELS if name not in COMPARED)
        yield from ((name, "en", 8000, STEPS, seed) for name in COMPARED)
        yield from ((name, "zh", 8000, 4 * STEPS, seed) for name in COMPARED)  # was it the budget?
    yield "relative", "both", 16_000, 4 * STEPS, 0


def run(name, language, size, steps, seed):
    """One training, with the recipe that is the same for all, and what is recorded of it."""
    languages = None if language == "both" else language
    corpus = tasks.intents("training", size=size, language=languages)
    model = intent_model(name, len(corpus.vocabulary), seed=seed)
    start = time.thread_time()  # what this thread computed, whatever else the machine does
    history = train.fit(model, models.of_like_length(corpus), steps=steps, batch_size=BATCH, seed=seed, progress=False)
    seconds = time.thread_time() - start
    if kept := CHECKPOINTS.get((name, language, size, steps, seed)):
        _whole.write(models.intent_checkpoint(kept), save(model.state_dict()))
    model.eval()
    test = tasks.intents("test", language=languages)
    right = models.all_right(model, test)
    kinds = {kind: test.of_kind(kind) for kind in KINDS}
    seen = tasks.intents("training", size=min(size, 1000), language=languages)
    return {
        "cell": [name, language, size, steps, seed],
        "test": right.double().mean().item(),
        **{kind: right[rows].double().mean().item() for kind, rows in kinds.items()},
        "longer": models.all_right(model, tasks.intents("longer", language=languages)).double().mean().item(),
        "seen": models.all_right(model, seen).double().mean().item(),
        "loss": float(np.mean(history.loss[-50:])),
        "seconds": seconds,
        "parameters": models.num_parameters(model),
    }


def sweep():
    """The records of all cells, those that are kept already included."""
    KEPT.parent.mkdir(exist_ok=True)
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    records = {tuple(record["cell"]): record for record in map(json.loads, lines)}
    for cell in cells():
        if cell not in records:
            records[cell] = run(*cell)
            _whole.write(KEPT, "".join(json.dumps(record) + "\n" for record in records.values()))
            print(*cell, *(f"{k} {v:.3f}" for k, v in records[cell].items() if isinstance(v, float)), flush=True)
    return [records[cell] for cell in cells()]


def latency():
    """Seconds of one sentence, as quartiles: (paths, LENGTHS, 3). The paths take turns: drift hits all alike."""
    corpus = tasks.intents("training", language="zh")
    attention, lstm = (intent_model(name, len(corpus.vocabulary)).eval() for name in ("relative", "BiLSTM"))
    found = []
    for length in LENGTHS:
        sentence = torch.randint(3, len(corpus.vocabulary), (1, length, 1), generator=torch.Generator().manual_seed(0))
        took = measure.compare(models.latency_paths(lstm, attention, sentence), repeats=25, budget=4.0)
        found.append([[each.q1, each.median, each.q3] for each in took.values()])
        print(length, *(f"{name}: {each}" for name, each in took.items()), flush=True)
    return list(took), np.array(found).transpose(1, 0, 2)


def main():
    with measure.single_thread():
        records = sweep()
        with torch.no_grad():
            paths, times = latency()
    write(records, paths, times)


def write(records, paths, times):
    """mha_lab/data/intents.npz, and the checksums of all files."""
    columns = list(zip(*(record["cell"] for record in records)))
    arrays = dict(zip(("name", "language", "size", "steps", "seed"), map(np.array, columns)))
    arrays |= {column: np.array([record[column] for record in records]) for column in ("parameters", "seconds", "loss")}
    kinds = ["test", *KINDS, "longer", "seen"]
    arrays["kinds"] = np.array(kinds)
    arrays["accuracy"] = np.array([[record[kind] for kind in kinds] for record in records])
    arrays |= {"usual_steps": np.array(STEPS), "lengths": np.array(LENGTHS), "paths": np.array(paths), "latency": times}
    arrays["machine"] = np.array(measure.processor())
    with _whole.beside(DATA / "intents.npz") as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    for path in sorted(DATA.glob("intents*")):
        print(path.name, path.stat().st_size, "bytes", hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
