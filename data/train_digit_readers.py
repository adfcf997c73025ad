"""Train models that read the asked one of two digits, their patches kept apart or mixed: writes
mha_lab/data/digit_readers.safetensors, for lesson 08b.

    .venv/bin/python data/train_digit_readers.py              trains what the file lacks
    .venv/bin/python data/train_digit_readers.py --again      all of it again: about 8 minutes of one core

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import sys
import time

import torch
from safetensors.torch import load, save

from mha_lab import _data, _whole, heads, measure, models, tasks, train

SEEDS = 0, 1, 2, 3, 4
STEPS = 1000
EXAMPLES = 1000
FEW = 1, 2, 4, 8, 16, 32  # how many tokens are kept
BY_HEADS = {  # heads, steps, even: with patches apart; the same parameters, first weights and batches for any number
    "1 head": (1, 600, False),
    "4 heads": (4, 600, False),
    "8 heads": (8, 600, False),
    "1 even head": (1, 600, True),
}
HEADS_SEEDS = 0, 1, 2


def turned(batch):
    """The same questions, when every word may look at the other half only."""
    return batch._replace(allowed=~batch.right)


def trained(mixing, seed, *, forced):
    """A reader; forced, it learned to answer from the wrong half."""
    task = tasks.two_digits(noise=0.2)
    draw = (lambda B, generator: turned(task.draw(B, generator))) if forced else task.draw
    torch.manual_seed(seed)
    model = models.digit_reader(mixing)
    train.fit_whole(model, draw, steps=STEPS, batch_size=32, seed=seed, progress=False)
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


def own_half(batch):
    """The same questions, when every word may look at its own half only."""
    return batch._replace(allowed=batch.right)


def trained_with(num_heads, steps, even, seed):
    """A reader of patches kept apart. Even: its weights are set by hand, alike on all patches of the asked half (the
    query is 0, the other half is masked), and only what it makes of them is learned."""
    task = tasks.two_digits(noise=0.2)
    torch.manual_seed(seed)
    model = models.digit_reader(num_heads=num_heads)
    if even:
        model.look.attention.q_proj.weight.requires_grad_(False).zero_()
    draw = (lambda B, generator: own_half(task.draw(B, generator))) if even else task.draw
    train.fit_whole(model, draw, steps=steps, batch_size=32, seed=seed, progress=False)
    return model.eval()


def by_heads(num_heads, steps, even, seed, test):
    """Its accuracy, and how many patches it looks at: e to the entropy of the weights, averaged over the heads."""
    model, asked = trained_with(num_heads, steps, even, seed), own_half(test) if even else test
    with torch.no_grad():
        weights = model(asked.question, asked.context, allowed=asked.allowed, need_weights=True)[1]
    patches = heads.entropy(weights.mean(dim=1)).exp().mean()
    return torch.stack([model.right(asked).float().mean(), patches])


def main(path, again=False):
    test = tasks.two_digits("test").draw(EXAMPLES, torch.Generator().manual_seed(10_000))
    tensors = {} if again or not path.exists() else load(path.read_bytes())
    if "few_tokens" not in tensors:
        tensors |= kept_apart_and_mixed(test)
    for name, recipe in BY_HEADS.items():
        if f"by_heads {name}" not in tensors:
            tensors[f"by_heads {name}"] = torch.stack([by_heads(*recipe, seed, test) for seed in HEADS_SEEDS])
            print(name, tensors[f"by_heads {name}"], flush=True)
            _whole.write(path, save(tensors))
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


def kept_apart_and_mixed(test):
    """Five seeds each of "apart", "mixed" and "forced", and the weights of seed 0."""
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
    return tensors | {measured: torch.stack(values) for measured, values in rows.items()}


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "digit_readers.safetensors", again="--again" in sys.argv[1:])
