"""Train small models with and without what today's attention layers add: writes modern.npz, for lesson 12.

    .venv/bin/python data/sweep_modern.py      (about 20 minutes of one core)

Each training is kept in build/modern.jsonl as soon as it ends: after an interrupt, the same command goes on from there.
What is inside the file: data/README.md. Training amplifies rounding, so another processor or version of torch gives
slightly other numbers: the lesson asserts what must hold of them, not the numbers.
"""

import hashlib
import io
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mha_lab import MultiHeadAttention, _data, _whole, heads, measure, models, tasks, train, window_mask
from mha_lab.models.decoder import Decoder
from mha_lab.models.today import LAYERS, PLACES, back_copy_model
from mha_lab.rotary import Rotary
from mha_lab.tasks import modern_results as recorded
from mha_lab.tasks.back_copy import LETTERS, START, back_copy, followers
from mha_lab.variants import streaming_mask

BUILD = Path(__file__).parents[1] / "build"
KEPT = BUILD / "modern.jsonl"
NEW = 10_000  # the seed of what no training has seen


# learning rates ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def scores_of(model, inputs):
    """The largest score of all layers, without its sign, and the mean entropy of the weights in nats."""
    x, largest, entropies = model.positions(model.embed[0](inputs[..., 0])), [], []
    for block in model.blocks:
        read = block.norm(x)
        query, key, _ = block.attention.project(read, read)
        query, key = block.attention.rotary(query), block.attention.rotary(key)
        scores = query @ key.mT / block.attention.d_head**0.5
        largest.append(scores.tril().abs().max().item())
        x, weights = block(x, causal=True, need_weights=True)
        entropies.append(heads.entropy(weights).mean().item())
    return max(largest), sum(entropies) / len(entropies)


def rate(kind, lr, seed, *, steps=recorded.RATE_STEPS, d_model=64, num_layers=2):
    """Real text at one learning rate: loss on held-back text, and the scores on the way."""
    torch.manual_seed(seed)
    text, held_back = tasks.characters(), tasks.characters(part="validation")
    layer = partial(LAYERS[kind], rotary=Rotary())
    model = Decoder(text, attention=layer, mlp=2 * d_model, d_model=d_model, num_layers=num_layers)
    watched, looks = held_back.draw(8, torch.Generator().manual_seed(NEW)).inputs, []

    def draw(B, generator):
        if draw.step % recorded.EVERY == 0:
            looks.append(scores_of(model, watched))
        draw.step += 1
        return text.draw(B, generator)

    draw.step, finished = 0, True
    try:
        train.fit_whole(model, draw, steps=steps, batch_size=16, lr=lr, seed=seed, progress=False)
    except FloatingPointError:
        finished = False
    looks.append(scores_of(model, watched))
    return {"loss": nats(model), "looks": looks, "finished": finished}


@torch.no_grad()
def nats(model, examples=300):
    """Mean loss on held-back text, in nats a character."""
    batch = tasks.characters(part="validation").draw(examples, torch.Generator().manual_seed(NEW + 1))
    return model.losses(batch).mean().item()


# gates on real text ---------------------------------------------------------------------------------------------------


def text(kind, seed, *, steps=recorded.TEXT_STEPS):
    """Real text with a gate, without, and without it but with heads that are wider by as many parameters."""
    torch.manual_seed(seed)
    task = tasks.characters()
    own = {"wider": partial(MultiHeadAttention, d_head=20)}
    model = Decoder(task, attention=partial(own.get(kind) or LAYERS[kind], rotary=Rotary()), mlp=128)
    train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=1e-2, seed=seed, progress=False)
    return {"loss": nats(model), "parameters": models.num_parameters(model)}


# heads with nothing to do ---------------------------------------------------------------------------------------------


def idle(kind, seed, *, steps=recorded.IDLE_STEPS):
    """The back-copy task: what a head does where it has nothing to look for, and what a window then costs."""
    torch.manual_seed(seed)
    model, task = back_copy_model(kind), back_copy()
    train.fit_whole(model, task.draw, steps=steps, batch_size=32, lr=1e-2, seed=seed, progress=False)
    if seed == 0:
        BUILD.mkdir(exist_ok=True)
        with _whole.beside(BUILD / f"modern_{kind}.npz") as partial, partial.open("wb") as file:
            np.savez(file, **{name: value.half().numpy() for name, value in model.state_dict().items()})
    return judged(model)


@torch.no_grad()
def judged(model, examples=400):
    """Losses beyond the table's own, by what is seen; and where the weight of the letters' queries lies, by head."""
    task = back_copy()
    n, window = task.num_tokens, recorded.IDLE_WINDOW
    test = task.draw(examples, torch.Generator().manual_seed(NEW))
    token, follows = test.inputs[..., 0], test.targets[..., 0]
    late = torch.arange(n) >= window  # the first token lies beyond their window
    asked, letters = (token >= LETTERS) & (token < START) & late, (token < LETTERS) & late
    drawn = -followers()[token.clamp(max=LETTERS - 1)].gather(-1, follows.clamp(min=0)[..., None])[..., 0].log()
    found = {}
    views = {"all": None, "window": window_mask(n, window), "first and window": streaming_mask(n, window - 1, 1)}
    for name, mask in views.items():
        answers, weights = model(test.inputs, mask=mask, need_weights=True)
        loss = torch.nn.functional.cross_entropy(answers[0].mT, follows, reduction="none", ignore_index=tasks.IGNORE)
        found[name] = [(loss - drawn)[letters].mean().item(), loss[asked].mean().item()]
        if mask is None:
            rows = weights[:, 0].transpose(0, 1)  # (H, B, N, N)
            own = rows.diagonal(dim1=-2, dim2=-1)
            parts = {"first": rows[..., 0], "itself": own, "all": rows.sum(dim=-1)}
            found |= {f"on {name}": [part[letters].mean().item() for part in of] for name, of in parts.items()}
            found["on first, asked"] = [part[asked].mean().item() for part in rows[..., 0]]
    return found


# positions ------------------------------------------------------------------------------------------------------------


def reader(kind, seed, *, steps=recorded.PLACES_STEPS):
    """A model of documents of 64 tokens."""
    torch.manual_seed(seed)
    task = tasks.document(recorded.LENGTHS[0], 8)
    attention, positions = PLACES[kind]
    positions = None if positions is None else positions(64)
    model = Decoder(task, attention=attention, positions=positions, num_heads=2)
    train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=5e-3, seed=seed, progress=False)
    return model.eval()


def new_documents(num_tokens):
    """Sixty that no training saw."""
    return tasks.document(num_tokens, 8).draw(60, torch.Generator().manual_seed(NEW))


def places(kind, seed, **options):
    """Documents of 64 tokens; then read at 64, 128 and 256: near asks for an order, far for a content."""
    model = reader(kind, seed, **options)
    return {"right": [model.accuracy(new_documents(n)).tolist() for n in recorded.LENGTHS]}


# patterns -------------------------------------------------------------------------------------------------------------


def pattern(kind, seed, *, steps=recorded.PATTERN_STEPS):
    """Documents of 64 tokens read by twelve layers, of which some see a window of eight."""
    torch.manual_seed(seed)
    task = tasks.document(64, 6)
    layer = partial(MultiHeadAttention, rotary=Rotary())
    sizes = {"num_heads": 2, "num_layers": recorded.DEPTH, "window": recorded.PATTERN_WINDOW}
    model = Decoder(task, attention=layer, pattern=kind, **sizes)
    train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=3e-3, seed=seed, progress=False)
    test = task.draw(200, torch.Generator().manual_seed(NEW))
    far = model(test.inputs)[1].argmax(dim=-1) == test.targets[..., 1]
    beyond = tasks.far_distance(test.right) >= recorded.PATTERN_WINDOW
    return {"right": [*model.accuracy(test).tolist(), far[beyond].double().mean().item()]}


# all of it ------------------------------------------------------------------------------------------------------------

PARTS = {"rate": rate, "text": text, "idle": idle, "places": places, "pattern": pattern}


def cells():
    """Every training: its part and arguments."""
    for seed in recorded.SEEDS:
        yield from (("idle", kind, seed) for kind in recorded.IDLE_KINDS)
        if seed in recorded.FEW_SEEDS:
            yield from (("rate", kind, lr, seed) for lr in recorded.RATES for kind in recorded.RATE_KINDS)
            yield from (("places", kind, seed) for kind in PLACES)
            yield from (("pattern", kind, seed) for kind in recorded.PATTERNS)
            yield from (("text", kind, seed) for kind in recorded.TEXT_KINDS)


def sweep():
    """The records of all trainings by cell, those that are kept already included."""
    BUILD.mkdir(exist_ok=True)
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    records = {tuple(record["cell"]): record for record in map(json.loads, lines)}
    for cell in cells():
        if cell not in records:
            start = time.thread_time()
            records[cell] = {"cell": cell} | PARTS[cell[0]](*cell[1:])
            records[cell]["seconds"] = round(time.thread_time() - start, 1)
            _whole.write(KEPT, "".join(json.dumps(record) + "\n" for record in records.values()))
            shown = {name: value for name, value in records[cell].items() if name not in ("cell", "looks")}
            print(*cell, shown, flush=True)
    return records


def write(records, path):
    """The file, and its checksum."""

    def table(part, *axes, of):
        """One number or list for each cell, in an array whose first axes are those of the cell."""
        if not axes:
            return of(records[part])
        return [table((*part, each), *axes[1:], of=of) for each in axes[0]]

    def take(name):
        return lambda record: record[name]

    seeds, few = recorded.SEEDS, recorded.FEW_SEEDS
    rates = [
        [[records["rate", kind, lr, seed] for seed in few] for lr in recorded.RATES] for kind in recorded.RATE_KINDS
    ]
    arrays = {
        "rate_loss": [[[r["loss"] for r in row] for row in rows] for rows in rates],
        "rate_looks": [[[r["looks"] for r in row] for row in rows] for rows in rates],
        "text_loss": table(("text",), recorded.TEXT_KINDS, few, of=take("loss")),
        "text_parameters": [records["text", kind, 0]["parameters"] for kind in recorded.TEXT_KINDS],
        "places_right": table(("places",), tuple(PLACES), few, of=take("right")),
        "pattern_right": table(("pattern",), recorded.PATTERNS, few, of=take("right")),
    }
    for name in recorded.VIEWS:
        arrays[f"idle_loss {name}"] = table(("idle",), recorded.IDLE_KINDS, seeds, of=take(name))
    for name in recorded.SHARES:
        arrays[f"idle_share {name}"] = table(("idle",), recorded.IDLE_KINDS, seeds, of=take(f"on {name}"))
    arrays = {name: np.array(values, dtype=np.float32) for name, values in arrays.items()}
    for kind in recorded.IDLE_KINDS:
        held = np.load(io.BytesIO((BUILD / f"modern_{kind}.npz").read_bytes()), allow_pickle=False)
        arrays |= {f"{kind}.{name}": held[name] for name in held.files}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    with measure.single_thread():
        write(sweep(), _data.FOLDER / "modern.npz")
