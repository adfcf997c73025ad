"""Train the encoder–decoders of lesson 08 with three seeds each, four heads or one: writes translators.safetensors.

    .venv/bin/python data/train_translators.py      (about 8 minutes of one core; goes on where it was interrupted)

What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save

from mha_lab import _data, _whole, heads, measure, models, tasks, train
from mha_lab.tasks import DATE_FIELDS, shortened
from mha_lab.tasks.translation import ARTICLES, NOUNS

SEEDS = 0, 1, 2
HEADS = 4, 1  # the same parameters, the same first weights, the same batches: only the number of heads differs
STEPS = {"dates": 800, "translation": 1200}
RUNS = Path(tempfile.gettempdir()) / "mha_lab_translators"


def trained(name, corpus, seed, num_heads):
    """A model with the recipe of its task; the training can be interrupted and goes on from its checkpoint."""
    RUNS.mkdir(exist_ok=True)
    model = models.translator(name, len(corpus.source), len(corpus.target), num_heads=num_heads, seed=seed)
    checkpoint = RUNS / f"{name}_{STEPS[name]}_{num_heads}_{seed}.safetensors"
    train.fit_whole(model, corpus.draw, steps=STEPS[name], seed=seed, checkpoint=checkpoint, progress=False)
    return model.eval()


@torch.no_grad()
def looked(model, pairs):
    """Cross-attention maps (B, L, H, N, S)."""
    return model(pairs.source, pairs.target, need_weights=True)[1]


def exact(model, pairs):
    return model.exact(pairs).float().mean()


def on(maps, rows, columns):
    """(L, H): the weight that the marked rows (B, N) lay on the marked columns (B, S)."""
    return heads.mass(maps, (rows[..., None] & columns[:, None])[:, None, None]).nanmean(dim=0)


@torch.no_grad()
def without_each(model, ask):
    """(L, H): what ask() gives while a cross-attention head is off, for each of them."""
    layers = heads.attention_layers(model)
    found = torch.zeros(len(model.cross), layers[0].num_heads)
    for i, block in enumerate(model.cross):
        for h in range(found.shape[1]):
            with heads.ablated(model, [(layers.index(block.attention), h)]):
                found[i, h] = ask()
    return found


def right_without(model, pairs, rows):
    """(L, H): share of the marked rows (B, N) that are still answered right without each cross-attention head, when the
    right words before are given."""
    return without_each(
        model,
        lambda: (model(pairs.source, pairs.target).argmax(dim=-1) == pairs.target)[rows].float().mean(),
    )


def judged_dates(model, test):
    """What is recorded of a model that writes dates."""
    maps = looked(model, test)[:, 0]  # (B, H, N, S)
    fields = DATE_FIELDS.values()
    spans = [heads.mass(maps[:, :, f], test.right[:, None, f]).mean(dim=0) for f in fields]  # (H,) each
    return {"exact": exact(model, test), "span": torch.stack(spans, dim=-1)}


def judged_translator(model, corpus):
    """What is recorded of a model that writes French."""
    parts = [shortened(corpus.parts[part], slice(0, 1500)) for part in ("test", "new pairs")]
    test, few = parts[0], shortened(parts[0], slice(0, 200))
    articles = corpus.target.among(test.target, ARTICLES) & test.right.any(dim=-1)
    ne, nouns, do = (
        vocabulary.among(tokens, words)
        for tokens, vocabulary, words in (
            (test.target, corpus.target, {"ne"}),
            (test.source, corpus.source, NOUNS),
            (test.source, corpus.source, {"do", "does"}),
        )
    )
    maps = looked(model, test)
    return {
        "exact": torch.stack([exact(model, part) for part in parts]),
        "gold": heads.mass(maps, test.right[:, None, None]).mean(dim=0),
        "nouns": on(maps, articles, nouns),
        "do": on(maps, ne, do),
        "articles": right_without(model, test, articles),
        "without": without_each(model, lambda: exact(model, few)),
    }


def main(path):
    tensors = {}
    dates, french = tasks.dates(), tasks.translation()
    recipes = (
        ("dates", dates, lambda model: judged_dates(model, dates.parts["test"])),
        ("translation", french, lambda model: judged_translator(model, french)),
    )
    for name, corpus, judge in recipes:
        for num_heads in HEADS:
            rows = {}
            for seed in SEEDS:
                model = trained(name, corpus, seed, num_heads)
                if num_heads == HEADS[0] and seed == SEEDS[0]:
                    tensors |= {f"{name}.model.{key}": value for key, value in model.state_dict().items()}
                for key, value in judge(model).items():
                    rows.setdefault(key, []).append(value)
                print(
                    f"{name}, {num_heads} heads, seed {seed}:", {key: row[-1] for key, row in rows.items()}, flush=True
                )
            start = name if num_heads == HEADS[0] else f"one_{name}"
            tensors |= {f"{start}_{key}": torch.stack(row) for key, row in rows.items()}
    unused = ("nouns", "do", "articles", "without")  # tables over heads say nothing of a single one
    tensors = {
        key: value.contiguous()
        for key, value in tensors.items()
        if not key.startswith("one_") or key.split("_")[-1] not in unused
    }
    _whole.write(path, save(tensors))
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "translators.safetensors")
