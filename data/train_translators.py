"""Train the encoder–decoders of lesson 08 with three seeds each: writes translators.safetensors.

    .venv/bin/python data/train_translators.py      (about 4 minutes of one core; goes on where it was interrupted)

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
STEPS = {"dates": 800, "translation": 1200}
RUNS = Path(tempfile.gettempdir()) / "mha_lab_translators"


def trained(name, corpus, seed):
    """A model with the recipe of its task; the training can be interrupted and goes on from its checkpoint."""
    RUNS.mkdir(exist_ok=True)
    model = models.translator(name, len(corpus.source), len(corpus.target), seed=seed)
    checkpoint = RUNS / f"{name}_{STEPS[name]}_{seed}.safetensors"
    history = train.fit(model, corpus.draw, steps=STEPS[name], seed=seed, checkpoint=checkpoint)
    if history.interrupted:
        raise SystemExit(f"interrupted after {len(history.loss)} steps of {name}, seed {seed}: run again to go on.")
    return model.eval()


@torch.no_grad()
def looked(model, pairs):
    """Cross-attention maps (B, L, H, N, S)."""
    return model(pairs.source, pairs.target, need_weights=True)[1]


def exact(model, pairs):
    return model.exact(pairs).float().mean()


def is_one_of(tokens, vocabulary, words):
    return torch.isin(tokens, torch.tensor([i for i, word in enumerate(vocabulary.words) if word in words]))


def on(maps, rows, columns):
    """(L, H): the weight that the marked rows (B, N) lay on the marked columns (B, S)."""
    return heads.mass(maps, (rows[..., None] & columns[:, None])[:, None, None]).nanmean(dim=0)


@torch.no_grad()
def right_without(model, pairs, rows):
    """(L, H): share of the marked rows (B, N) that are still answered right without each cross-attention head, when the
    right words before are given."""
    layers = heads.attention_layers(model)
    shares = torch.zeros(len(model.cross), layers[0].num_heads)
    for i, block in enumerate(model.cross):
        for h in range(shares.shape[1]):
            with heads.ablated(model, [(layers.index(block.attention), h)]):
                guesses = model(pairs.source, pairs.target).argmax(dim=-1)
            shares[i, h] = (guesses == pairs.target)[rows].float().mean()
    return shares


def main(path):
    tensors = {}

    def keep(name, model, seed):
        if seed == SEEDS[0]:
            tensors.update({f"{name}.model.{key}": value for key, value in model.state_dict().items()})

    corpus, rows = tasks.dates(), {"exact": [], "span": []}
    test = corpus.parts["test"]
    for seed in SEEDS:
        model = trained("dates", corpus, seed)
        keep("dates", model, seed)
        maps = looked(model, test)[:, 0]  # (B, H, N, S)
        fields = DATE_FIELDS.values()
        spans = [heads.mass(maps[:, :, f], test.right[:, None, f]).mean(dim=0) for f in fields]  # (H,) each
        rows["exact"].append(exact(model, test))
        rows["span"].append(torch.stack(spans, dim=-1))
        print("dates", seed, rows["exact"][-1], rows["span"][-1].amax(dim=0), flush=True)
    tensors |= {f"dates_{name}": torch.stack(row) for name, row in rows.items()}

    corpus, rows = tasks.translation(), {"exact": [], "gold": [], "nouns": [], "articles": [], "do": []}
    parts = [shortened(corpus.parts[part], slice(0, 1500)) for part in ("test", "new pairs")]
    test = parts[0]
    articles = is_one_of(test.target, corpus.target, ARTICLES) & test.right.any(dim=-1)
    ne, nouns, do = (
        is_one_of(tokens, vocabulary, words)
        for tokens, vocabulary, words in (
            (test.target, corpus.target, {"ne"}),
            (test.source, corpus.source, NOUNS),
            (test.source, corpus.source, {"do", "does"}),
        )
    )
    for seed in SEEDS:
        model = trained("translation", corpus, seed)
        keep("translation", model, seed)
        rows["exact"].append(torch.stack([exact(model, part) for part in parts]))
        maps = looked(model, test)
        rows["gold"].append(heads.mass(maps, test.right[:, None, None]).mean(dim=0))
        rows["nouns"].append(on(maps, articles, nouns))
        rows["do"].append(on(maps, ne, do))
        rows["articles"].append(right_without(model, test, articles))
        print("translation", seed, *(row[-1] for row in rows.values()), flush=True)
    tensors |= {f"translation_{name}": torch.stack(row) for name, row in rows.items()}

    _whole.write(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        main(_data.FOLDER / "translators.safetensors")
