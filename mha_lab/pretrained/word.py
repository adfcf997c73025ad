"""What one layer of a trained encoder does to the vector of a word: before it, from each head, behind it.

Layer 0 of MiniLM reads "bark" in two sentences. The vector before tells nobody which bark is meant."""

import io
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mha_lab import _data
from mha_lab.attention import split_heads
from mha_lab.pretrained.bert import Bert
from mha_lab.pretrained.recordings import recorded_projection

RECORDED = _data.FOLDER / "minilm_layer.npz"
RECORDED_SHA256 = "3f730827aec660bf15fbf9412618a8469f385a73df1747cdb45479a8d129ab95"
WORD = "bark"


@dataclass(frozen=True, eq=False)
class WordInALayer:
    """A word's vector before a layer, and what the layer adds to it. D 384, H 12.

    before   (D,) what the layer reads
    weights  (H, N) where each head looks from the word
    shares   (H, D) what each head adds: its result through its own rows of W^O
    bias     (D,) what the layer adds besides: b^O, and the heads' b^V through W^O
    gain, shift  (D,) of the LayerNorm after the sum, with `eps`"""

    sentence: str
    tokens: list[str] = field(repr=False)
    before: Tensor = field(repr=False)
    weights: Tensor = field(repr=False)
    shares: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)
    gain: Tensor = field(repr=False)
    shift: Tensor = field(repr=False)
    eps: float = 1e-12

    def normed(self, x: Tensor) -> Tensor:
        """The LayerNorm that MiniLM has after the sum."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.shift, self.eps)

    @property
    def after(self) -> Tensor:
        """(D,) the word's vector behind the layer: the sum, normed."""
        return self.normed(self.before + self.shares.sum(dim=0) + self.bias)


def recorded_word() -> tuple[list[WordInALayer], list[str], Tensor]:
    """ "bark" in two sentences, and words near it with their vectors (words, D) float32: among these, the 12 nearest of
    each vector are the 12 nearest in the whole vocabulary of common words.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    with _open() as file:
        shared = {name: torch.from_numpy(file[name]) for name in ("bias", "gain", "shift")}
        found = [
            WordInALayer(
                sentence,
                file[f"tokens_{i}"].tolist(),
                **{name: torch.from_numpy(file[f"{name}_{i}"]) for name in ("before", "weights", "shares")},
                **shared,
            )
            for i, sentence in enumerate(file["sentences"].tolist())
        ]
        return found, file["words"].tolist(), torch.from_numpy(file["vectors"])


def recorded_heads() -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Queries, keys and values (N, 384) of layer `PROJECTION_LAYER` for the running sentence, and its tokens."""
    query, key, tokens = recorded_projection()
    with _open() as file:
        return query, key, torch.from_numpy(file["value"]), tokens


@torch.no_grad()
def stage(model: Bert, sentence: str, word: str, layer: int = 0) -> WordInALayer:
    """The same of any word in any sentence, with a model at hand."""
    ids, tokens = model.ids(sentence)
    x, at = model.embed(ids), tokens.index(word)
    for block in model.blocks[:layer]:
        x, _ = block(x)
    attention, norm = model.blocks[layer].attention, model.blocks[layer].norm1
    rows = attention.out_proj.weight.T.unflatten(0, (attention.num_heads, attention.d_head))  # (H, K, D)
    values = split_heads(x @ attention.v_proj.weight.T, attention.num_heads)  # without b^V, which every row brings
    _, weights = attention(x, need_weights=True)
    return WordInALayer(
        sentence,
        tokens,
        before=x[0, at],
        weights=weights[0, :, at],
        shares=((weights @ values)[0, :, at, None] @ rows)[:, 0],
        bias=attention.out_proj.bias + attention.v_proj.bias @ attention.out_proj.weight.T,
        gain=norm.weight,
        shift=norm.bias,
        eps=norm.eps,
    )


def common_words(model: Bert) -> tuple[list[str], Tensor]:
    """The common whole words of the model's vocabulary, of three letters or more, and their vectors (words, D)."""
    ids = {i: token for token, i in model.tokenizer.get_vocab().items()}
    common = [i for i in range(*COMMON) if ids[i].isascii() and ids[i].isalpha() and len(ids[i]) > 2]
    return [ids[i] for i in common], model.words.weight.detach()[common]


COMMON = 1996, 12000
"""Numbers in the vocabulary, where common words come first; before them stand signs, letters and pieces."""


def nearest(vector: Tensor, vectors: Tensor, count: int) -> list[int]:
    """The vectors (words, D) with the largest cosine to this one (D,), nearest first."""
    return F.cosine_similarity(vector, vectors, dim=-1).argsort(descending=True)[:count].tolist()


def _open():
    return np.load(io.BytesIO(_data.read(RECORDED, RECORDED_SHA256)), allow_pickle=False)
