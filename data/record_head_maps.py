"""Where the heads of lesson 06's text models look, for every head count: writes head_maps.npz.

    .venv/bin/python data/record_head_maps.py       (about ten minutes of one core)

Trains seed 0 of data/sweep_head_counts.py's text models again, reads one line with each, and keeps what it finds in
build/head_maps.jsonl: after an interrupt, the same command goes on from there. A model whose loss is not the recorded
one would have other heads than the curves tell of: that ends it. What is inside the file: data/README.md.
"""

import hashlib
import json

import numpy as np
import sweep_head_counts as sweep
import torch

from mha_lab import _whole, measure, tasks
from mha_lab.tasks import head_counts

KEPT = sweep.KEPT.with_name("head_maps.jsonl")
LINE = "the list is the name of the list"  # 32 characters that all occur in the texts
BUDGETS = 1000, 3000
SEED = 0
NEAR = 0.002  # nats: another processor rounds otherwise, and training amplifies it


def spelt(line):
    """The line as the models read it, (1, N, 1)."""
    letters, _ = tasks.text._python_help()
    return torch.tensor([letters.index(letter) for letter in line.encode()])[None, :, None]


def read(num_heads, steps):
    """The maps (H, N, N) of one training on the line, a byte a weight as explorers send them, and its loss."""
    model = sweep.trained_characters(sweep.of_heads(num_heads), steps, SEED)
    with torch.no_grad():
        _, weights = model(spelt(LINE), need_weights=True)
    maps = (weights[0, 0].sqrt() * 255).round().byte()
    return {"heads": num_heads, "steps": steps, "nats": sweep.nats(model), "maps": maps.tolist()}


def recorded(num_heads, steps):
    """The loss that the sweep found for this training."""
    found = tasks.recorded_head_counts()
    table = {1000: found.characters, 3000: found.characters_long}[steps]
    return table[found.heads.index(num_heads), SEED].item()


def records():
    KEPT.parent.mkdir(exist_ok=True)
    kept = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    done = {(record["heads"], record["steps"]) for record in kept}
    for steps in BUDGETS:
        for num_heads in sweep.HEADS:
            if (num_heads, steps) in done:
                continue
            record = read(num_heads, steps)
            expected = recorded(num_heads, steps)
            if abs(record["nats"] - expected) > NEAR:
                raise SystemExit(
                    f"{num_heads} heads, {steps} steps: {record['nats']:.4f} nats here and {expected:.4f} in the "
                    "sweep: run data/sweep_head_counts.py on this machine first."
                )
            kept.append(record)
            _whole.write(KEPT, "".join(json.dumps(record) + "\n" for record in kept))
            print(f"{num_heads} heads, {steps} steps: {record['nats']:.4f} nats", flush=True)
    return kept


def main():
    arrays = {"line": np.array(LINE), "seed": np.array(SEED)}
    for record in records():
        arrays[f"maps_{record['heads']}_{record['steps']}"] = np.array(record["maps"], dtype=np.uint8)
    path = head_counts.HEAD_MAPS
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    content = path.read_bytes()
    print(f"{path}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    with measure.single_thread():
        main()
