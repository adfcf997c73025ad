"""What is left of MiniLM without some of its heads, as recorded in data/. No model is needed."""

import io
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

ABLATIONS = _data.FOLDER / "minilm_ablations.npz"
ABLATIONS_SHA256 = "6dae122eefe523ca9c146273c434e9266c06952d3316fabf4bd08a66dd239b9a"


@dataclass(frozen=True, eq=False)
class Ablations:
    """What is left of MiniLM, 6 layers of 12 heads, when some of them are off. Two measures.

    The vector of a whole sentence (the mean over its tokens), for the twelve sentences of `recorded()`, as cosine:
    similarity            (6, 12, 12) to itself with layer l's head h off, in sentence i
    similarity_none       (12,) to itself with all heads off
    similarity_others     (12, 12) between two sentences, all heads on
    similarity_after      (6, 12, 6, 12) to itself with layer l's head h off, as layer m leaves it
    others_after          (6, 12, 12) between two sentences as layer m leaves them, all heads on

    The vector of one word in sentences of its two senses. A margin says how much nearer it is, in mean cosine, to its
    own sense in the other sentences than to the other sense: above 0 the senses can be told apart.
    words, sentences      8 words; for each, two senses of four sentences. The word is always token 2
    vectors               (8, 2, 4, 384) all heads on; float16 on file
    margin_without        (6, 12, 8, 2, 4) with layer l's head h off
    margin_without_layer  (6, 8, 2, 4) with a whole layer's heads off
    margin_none           (8, 2, 4) with all heads off
    removed               the K numbers of heads that were taken away together
    margin_pruned         (8, K, 8, 2, 4) with so many off, in order of their importance in the sentences of word w
    margin_random         (20, K, 8, 2, 4) in twenty random orders; float16 on file
    """

    similarity: Tensor
    similarity_none: Tensor
    similarity_others: Tensor
    similarity_after: Tensor
    others_after: Tensor
    words: list[str]
    sentences: list[list[list[str]]]
    vectors: Tensor
    margin_without: Tensor
    margin_without_layer: Tensor
    margin_none: Tensor
    removed: list[int]
    margin_pruned: Tensor
    margin_random: Tensor


def recorded_ablations() -> Ablations:
    """The ablations in data/, verified; `data/ablate_minilm.py` makes them. Errors as in `recorded`."""
    file = np.load(io.BytesIO(_data.read(ABLATIONS, ABLATIONS_SHA256)), allow_pickle=False)
    lists = {name: file[name].tolist() for name in ("words", "sentences", "removed")}
    names = [each.name for each in fields(Ablations) if each.name not in lists]
    return Ablations(**lists, **{name: torch.from_numpy(file[name]).float() for name in names})
