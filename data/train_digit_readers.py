"""Train models that read the asked one of two digits, their patches kept apart or mixed: writes
mha_lab/data/digit_readers.safetensors, for lesson 08.

    .venv/bin/python data/train_digit_readers.py      (about 10 minutes of one core; an interrupt keeps nothing)

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import time

import torch
from safetensors.torch import save

from mha_lab import _data, _whole, heads, measure, models, tasks, train

SEEDS = 0, 1, 2, 3, 4
STEPS = 1000
EXAMPLES = 1000
FEW = 1, 2, 4, 8, 16, 32  # how many tokens are kept


def turned(batch):
    """The same questions, when every word may look at the other half only."""
    return batch._replace(allowed=~batch.right)


def trained(mixing, seed, *, forced):
    """A reader; forced, it learned to answer from the wrong half."""
    task = tasks.two_digits(noise=0.2)
    draw = (lambda B, generator: turned(task.draw(B, generator))) if forced else task.draw
    torch.manual_seed(seed)
    model = models.digit_reader(mixing)
    train.fit(model, draw, steps=STEPS, batch_size=32, seed=seed, progress=False)
    return model.eval()


@torch.no_grad()
def judged(model, test):
    """What is recorded of a model that looked where it liked."""
    weights = model(test.question, test.context, need_weights=True)[1]
    mean = weights.mean(dim=1)  # (B, N, S): over the heads
    few = []
    for count in FEW:
        kept = torch.zeros_like(test.right).scatter(-1, mean.topk(count, dim=-1).indices, True)
        few.append(model.right(test._replace(allowed=kept)).float().mean())
    return {
        "accuracy": model.right(test).float().mean(),
        "mass": heads.mass(weights, test.right[:, None]).mean(dim=0),
        "few": torch.stack(few),
    }


def main(path):
    test = tasks.two_digits("test").draw(EXAMPLES, torch.Generator().manual_seed(10_000))
    rows, tensors = {}, {"few_tokens": torch.tensor(FEW)}
    for name, mixing, forced in (("apart", 0, False), ("mixed", 1, False), ("forced", 1, True)):
        for seed in SEEDS:
            start = time.perf_counter()
            model = trained(mixing, seed, forced=forced)
            row = {"accuracy": model.right(turned(test)).float().mean()} if forced else judged(model, test)
            for measured, value in row.items():
                rows.setdefault(f"{name} {measured}", []).append(value)
            if seed == SEEDS[0]:
                tensors |= {f"{name}.{key}": tensor.half() for key, tensor in model.state_dict().items()}
            line = "  ".join(f"{measured} {value.mean():.3f}" for measured, value in row.items())
            print(f"{name:6} seed {seed}: {line}   {time.perf_counter() - start:.0f} s", flush=True)
    _whole.write(path, save(tensors | {measured: torch.stack(values) for measured, values in rows.items()}))
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "digit_readers.safetensors")
