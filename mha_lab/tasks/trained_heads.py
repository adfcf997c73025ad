"""The recorded small models of lesson 07: trained weights, ready to be looked into."""

import io

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

TRAINED_HEADS = _data.FOLDER / "trained_heads.npz"
TRAINED_HEADS_SHA256 = "da5f77ed1048961c5f279eb640510259ceb773c7dbd1a1deb2614fcb9dbd3999"


def recorded_heads() -> dict[tuple[str, int, int, int], dict[str, Tensor]]:
    """Trained weights for `models.Encoder`, by (task, layers, heads a layer, seed): state dicts in float32, rounded to
    float16 on file. The tasks are "previous and match", "lookup" and "induction", and "shy": previous and match again,
    by a model that was punished for being seen looking at the right tokens. All have d_model 64 and no MLP; all but
    "lookup" are causal and have `models.Learned` places.

    data/train_heads.py trains them again.
    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(TRAINED_HEADS, TRAINED_HEADS_SHA256)), allow_pickle=False)
    found = {}
    for name in file.files:
        task, num_layers, num_heads, seed, parameter = name.split("/")
        weights = found.setdefault((task, int(num_layers), int(num_heads), int(seed)), {})
        weights[parameter] = torch.from_numpy(file[name]).float()
    return found
