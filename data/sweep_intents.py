"""Train the models of lesson 09 with two budgets and several seeds: writes intents.npz and its checkpoints.

    .venv/bin/python data/sweep_intents.py      (about an hour and a half of one core)

Each training is kept in build/intents/ as soon as it ends: after an interrupt, the same command goes on from
there. What is inside the files: data/README.md. Training amplifies rounding, so another processor or version of torch
gives slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save

from mha_lab import _data, _whole, heads, measure, models, tasks, train
from mha_lab.models.intents import intent_model

DATA = _data.FOLDER
KEPT = Path(__file__).parents[1] / "build" / "intents"
SHORT, STEPS, BATCH = 500, 2000, 32
SEEDS = 0, 1, 2
PARTS = "validation", "test", "longer", "double test"
STARTS = "relative", "gentle", "symmetric", "from zero"
CHECKPOINTS = {(name, "zh", 8000, STEPS, 0): name for name in ("BiLSTM", "learned", "relative", "8 heads")} | {
    ("relative", "both", 16_000, STEPS, 0): "both languages"
}
KINDS = "plain", "compound", "negated", "other", "past", "mixed", "none"
NEIGHBOURS = {"prepay", "prepayment_penalty", "late_fee"}
COLUMNS = ("main", "ordinal", "composite", *KINDS, "validation", "longer", "all longer", "double test", "seen")
LOOKED_FOR = "negation", "term", "number", "order"
UNKNOWN = 255


def cells():
    """Every training: (name, language, size, steps, seed), those first on which most of the lesson stands."""

    def chinese(names, seeds=SEEDS, steps=STEPS, size=8000):
        return [(name, "zh", size, steps, seed) for seed in seeds for name in names]

    heads, parts = ("1 head, back then ahead", "8 heads"), ("gated attention", "GLU", "RMSNorm")
    yield from chinese(("BiLSTM", "relative", "rotary", heads[0]), [0])
    yield from chinese((*STARTS, "rotary"), [0], SHORT)  # where the table begins is chosen on the validation part
    yield from chinese((heads[1], "from zero", *parts), [0])
    for seed in SEEDS[1:]:
        yield from chinese(("rotary", *heads), [seed])
    yield from chinese(("learned",), [0])
    yield from chinese(("relative",), [1, 2])
    yield from chinese((*parts, "from zero"), [1, 2])
    yield from chinese(("BiLSTM", "learned"), [1, 2])
    yield from chinese(("BiLSTM", "relative", "rotary", "learned"), steps=SHORT)
    yield from chinese(("no places",), steps=SHORT)
    yield "relative", "both", 16_000, STEPS, 0
    for steps in STEPS, SHORT:
        yield from chinese(("BiLSTM", "relative"), steps=steps, size=1500)
    for steps, names in (STEPS, ("BiLSTM", "relative")), (SHORT, ("BiLSTM", "relative", "learned")):
        yield from ((name, "en", 8000, steps, seed) for seed in SEEDS for name in names)


def run(name, language, size, steps, seed):
    """One training, with the recipe that is the same for all, and what is recorded of it."""
    languages = None if language == "both" else language
    corpus = tasks.intents("training", size=size, language=languages)
    model = intent_model(name, len(corpus.vocabulary), seed=seed)
    start = time.thread_time()  # what this thread computed, whatever else the machine does
    history = train.fit_whole(
        model, models.of_like_length(corpus), steps=steps, batch_size=BATCH, seed=seed, progress=False
    )
    seconds = time.thread_time() - start
    weights = save(model.state_dict())
    _whole.write(KEPT / f"{name} {language} {size} {steps} {seed}.safetensors", weights)
    model.eval()
    seen = tasks.intents("training", size=min(size, 1000), language=languages)
    return {
        "cell": [name, language, size, steps, seed],
        "answers": {part: models.answers(model, tasks.intents(part, language=languages)).tolist() for part in PARTS},
        "seen": models.all_right(model, seen).double().mean().item(),
        "loss": float(np.mean(history.loss[-50:])),
        "seconds": seconds,
        "parameters": models.num_parameters(model),
    }


def sweep():
    """The records of all cells, those that are kept already included."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for cell in dict.fromkeys(cells()):
        path = KEPT / f"{' '.join(map(str, cell))}.json"
        if not path.exists():
            record = run(*cell)
            _whole.write(path, json.dumps(record))
            print(*cell, *(f"{key} {record[key]:.3f}" for key in ("seen", "loss", "seconds")), flush=True)
    return [json.loads((KEPT / f"{' '.join(map(str, cell))}.json").read_text()) for cell in dict.fromkeys(cells())]


def trained(name, seed):
    """A model of the sweep, 8,000 Chinese sentences and `STEPS` steps, with the weights that were kept."""
    model = intent_model(name, len(tasks.intents("training", language="zh").vocabulary), seed=seed)
    model.load_state_dict(load((KEPT / f"{name} zh 8000 {STEPS} {seed}.safetensors").read_bytes()))
    return model.eval()


def once(name, make):
    """make(), or what it gave before an interrupt."""
    path = KEPT / f"{name}.json"
    if not path.exists():
        _whole.write(path, json.dumps(make()))
    return json.loads(path.read_text())


@torch.no_grad()
def looked_at(seed, name="8 heads", draws=20):
    """Where the heads look, and what is lost without each, on test sentences that are no ordinals."""
    test, model = tasks.intents("test", language="zh"), trained(name, seed)
    rows = torch.nonzero(~test.of_kind("ordinal")).flatten()[:400]
    batch, generator = test.batch(rows), torch.Generator().manual_seed(seed)
    maps = model(batch.inputs, batch.lengths, need_weights=True)[1]
    found = {}
    for mark in LOOKED_FOR:
        moved = [models.elsewhere(batch, batch.marks[mark], generator) for _ in range(draws)]
        found[mark] = {
            "share": models.clause_share(maps, batch, batch.marks[mark]).tolist(),
            "chance": [models.clause_share(maps, batch, other).max().item() for other in moved],
        }
    return found | {"fall": falls(model)}


def falls(model, size=600):
    """(L, H, kinds) how much of each kind is lost without each head."""
    small = tasks.intents("test", language="zh", size=size)
    kinds = [small.of_kind(kind) for kind in KINDS]

    def by_kind():
        right = models.all_right(model, small).double()
        return torch.stack([right[rows].mean() for rows in kinds])

    whole, lost = by_kind(), []
    for layer, block in enumerate(model.blocks):
        for head in range(block.attention.num_heads):
            with heads.ablated(model, [(layer, head)]):
                lost.append(whole - by_kind())
    return torch.stack(lost).view(len(model.blocks), -1, len(KINDS)).tolist()


def mended(seed):
    """What 300 more steps give, with and without sentences that are denied twice: answers by part."""
    old, new = (tasks.intents(part, language="zh") for part in ("training", "double training"))
    found = {}
    for what, every in ("300 more steps", 0), ("with double negation", 5):
        model, draw = trained("relative", seed), models.with_every(every, new, old)
        train.fit_whole(model, draw, steps=300, batch_size=BATCH, lr=2e-3, seed=seed, progress=False)
        model.eval()
        found[what] = {part: models.answers(model, tasks.intents(part, language="zh")).tolist() for part in PARTS}
    return found


def main():
    with measure.single_thread():
        records = sweep()
        looks = [once(f"heads {seed}", lambda seed=seed: looked_at(seed)) for seed in SEEDS]
        mends = [once(f"mend {seed}", lambda seed=seed: mended(seed)) for seed in SEEDS]
    for cell, name in CHECKPOINTS.items():
        weights = (KEPT / f"{' '.join(map(str, cell))}.safetensors").read_bytes()
        _whole.write(models.intent_checkpoint(name), weights)
    write(records, looks, mends)


def shares(right, part):
    """The share of right answers by column, of (E,) right answers to a part; without ordinals but for one column."""
    kinds = {kind: part.of_kind(kind).numpy() for kind in (*KINDS, "ordinal", "double")}
    apart = ~kinds["ordinal"]
    if part.part == "test":
        neighbours = np.array([len(example.named & NEIGHBOURS) > 1 for example in part.examples])
        keys = np.array([tasks.INTENTS[example.label].key for example in part.examples])
        columns = {"main": apart, "ordinal": ~apart, "composite": neighbours & apart & np.isin(keys, list(NEIGHBOURS))}
        columns |= {kind: kinds[kind] for kind in KINDS}
    else:
        columns = {part.part: apart} | ({"all longer": apart | True} if part.part == "longer" else {})
    return {column: right[rows].mean().item() for column, rows in columns.items()}


def of_record(record):
    """The shares of right answers of one training, by column."""
    language = {"both": None}.get(record["cell"][1], record["cell"][1])
    found = {"seen": record["seen"]}
    for name, answers in record["answers"].items():
        part = tasks.intents(name, language=language)
        found |= shares(np.array(answers) == part.labels.numpy(), part)
    return found


def of_mend(answers):
    """The same of one mended model's answers."""
    return of_record({"cell": [None, "zh"], "seen": np.nan, "answers": answers})


def table(found):
    return np.array([[each.get(column, np.nan) for column in COLUMNS] for each in found])


def write(records, looks, mends):
    """mha_lab/data/intents.npz, and the checksums of all files."""
    named = list(zip(*(record["cell"] for record in records)))
    arrays = dict(zip(("name", "language", "size", "steps", "seed"), map(np.array, named)))
    arrays |= {column: np.array([record[column] for record in records]) for column in ("parameters", "seconds", "loss")}
    arrays |= {"columns": np.array(COLUMNS), "shares": table(map(of_record, records)), "kinds": np.array(KINDS)}
    not_chinese = [UNKNOWN] * len(tasks.intents("test", language="zh").examples)
    told = [record["answers"]["test"] if record["cell"][1] == "zh" else not_chinese for record in records]
    arrays["answers"] = np.array(told, dtype=np.uint8)
    arrays["mends"] = np.array(list(mends[0]))
    arrays["mended"] = np.stack([table(map(of_mend, mend.values())) for mend in mends])
    arrays["marks"] = np.array(LOOKED_FOR)
    for what in ("share", "chance"):
        arrays[f"head_{what}"] = np.array([[look[mark][what] for mark in LOOKED_FOR] for look in looks])
    arrays["head_fall"] = np.array([look["fall"] for look in looks])
    with _whole.beside(DATA / "intents.npz") as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    for path in sorted(DATA.glob("intents*")):
        print(path.name, path.stat().st_size, "bytes", hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
