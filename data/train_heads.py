"""Train the small models whose heads lesson 07 names, switches off and prunes: writes trained_heads.npz.

    .venv/bin/python data/train_heads.py              trains what the file lacks; an interrupt keeps what has ended
    .venv/bin/python data/train_heads.py --again      trains all of it again: about 6 minutes of one core

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other weights: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import sys
import time

import numpy as np
import torch

from mha_lab import _data, _whole, measure, models, tasks, train

HELD_BACK = 10_000  # the seed of the examples on which they are tested
TASKS = {"lookup": tasks.lookup(), "previous and match": tasks.previous_and_match(), "induction": tasks.induction()}
TRAININGS = [  # task, layers, heads a layer, steps, seeds
    ("previous and match", 1, 2, 1500, range(3)),
    ("previous and match", 1, 4, 1500, range(5)),
    ("previous and match", 2, 8, 1500, range(3)),
    ("lookup", 1, 4, 800, range(5)),
    ("induction", 1, 2, 600, range(3)),
    ("induction", 2, 1, 600, range(3)),
]


def new_model(task, num_layers, num_heads, seed, kind=models.Encoder):
    """Width 64, no MLP; it knows places where order matters."""
    torch.manual_seed(seed)
    places = models.Learned(task.num_tokens, 64) if task.causal else None
    sizes = {"d_model": 64, "num_heads": num_heads, "num_layers": num_layers}
    return kind(task.vocabularies, task.answers, **sizes, positions=places, causal=task.causal)


class Shy(models.Encoder):
    """An encoder that is punished for being seen looking at a right token."""

    def losses(self, batch):
        """The cross-entropy, and −ln(1 − what a head's query lays on right tokens), mean over heads and queries."""
        _, maps = self(batch.inputs, need_weights=True)
        seen = (maps[:, 0] * batch.right.any(dim=1)[:, None]).sum(dim=-1)  # (B, H, N)
        return super().losses(batch) - (1 - seen.clamp(max=0.999)).log().mean(dim=(1, 2))


def train_shy(honest, seed=1):
    """Previous and match by two heads, from the weights of a model that can do it: now it learns not to be seen."""
    task = TASKS["previous and match"]
    shy = new_model(task, 1, 2, 0, kind=Shy)
    shy.load_state_dict(honest)
    train.fit_whole(shy, task.draw, steps=4000, weight_decay=0, seed=seed, progress=False)
    return shy


def main(path, again=False):
    arrays = {} if again or not path.exists() else dict(np.load(path, allow_pickle=False))

    def missing(name):
        return not any(array.startswith(f"{name}/") for array in arrays)

    def keep(name, model, task, start):
        for parameter, tensor in model.state_dict().items():
            arrays[f"{name}/{parameter}"] = tensor.numpy().astype(np.float16)
        with _whole.beside(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
        right = model.accuracy(task.draw(1000, torch.Generator().manual_seed(HELD_BACK)))
        print(f"{name:45} {right.numpy().round(3)}   {time.perf_counter() - start:.0f} s", flush=True)

    with measure.single_thread():
        for task, num_layers, num_heads, steps, seeds in TRAININGS:
            for name, seed in ((f"{task}/{num_layers}/{num_heads}/{seed}", seed) for seed in seeds):
                if missing(name):
                    start, model = time.perf_counter(), new_model(TASKS[task], num_layers, num_heads, seed)
                    train.fit_whole(model, TASKS[task].draw, steps=steps, seed=seed, progress=False)
                    keep(name, model, TASKS[task], start)
        if missing("shy/1/2/0"):
            start, honest = time.perf_counter(), "previous and match/1/2/0/"
            weights = {
                n.removeprefix(honest): torch.tensor(a).float() for n, a in arrays.items() if n.startswith(honest)
            }
            keep("shy/1/2/0", train_shy(weights), TASKS["previous and match"], start)
    print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(_data.FOLDER / "trained_heads.npz", again="--again" in sys.argv[1:])
