"""Somebody's own grouped attention, a function, in the place of SmolLM2's attention while the model writes.

The function knows no mask: output = function(query, key, value), with query (B, H, N, K), key and value (B, G, S, K).
It is asked for one token after another, and the last token of a text may see everything."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from mha_lab import _data
from mha_lab.attention import MultiHeadAttention
from mha_lab.kv_cache import KVCache
from mha_lab.measure import single_thread
from mha_lab.pretrained._files import ModelMissing
from mha_lab.pretrained.llama import Llama, SmolLM2

RECORDED_STEP = _data.FOLDER / "smollm2_step.npz"
RECORDED_STEP_SHA256 = "3e6163810e4952d6ad572ce3a9a4ca6fe516b04192fa2af45f5d7203e3daf319"
STEP_PROMPT = "The tall tree by the river is old. The tall tree by the river is"
STEP_LAYER, STEP_HEAD = 18, 6  # the head looks at what followed the same token before
WRITTEN = 8  # tokens that the model writes


@dataclass(frozen=True, eq=False)
class InsideSmolLM2:
    """Work for somebody's function in a trained model that writes.

    call    its arguments for one step of one layer, twice: with the values of the layer (0), and with unit vectors as
            values (1), so that its output is the weights. query (2, 9, 1, 64), key and value (2, 3, N, 64)
    tokens  the N tokens that the step has before it; the last of them asks
    prompt  what the model is to continue"""

    call: tuple[Tensor, Tensor, Tensor] = field(repr=False)
    tokens: list[str]
    prompt: str = STEP_PROMPT

    @torch.no_grad()
    def written(self, function: Callable) -> tuple[str, str] | None:
        """What the model writes with the function as the attention of all its layers, and with its own. None where the
        model is not installed."""
        try:
            model = SmolLM2.load()
        except ModelMissing:
            return None
        with single_thread():
            expected = continued(model, self.prompt)
            for block in model.blocks:
                block.attention = _AsWritten(block.attention, function)
            return continued(model, self.prompt), expected


def inside_smollm2(prompt: str = STEP_PROMPT) -> InsideSmolLM2:
    """A place for your own grouped attention. In the recorded call, no weights of the model are needed.

    prompt  what is to be continued, where the model is installed: two tokens or more.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    with np.load(io.BytesIO(_data.read(RECORDED_STEP, RECORDED_STEP_SHA256)), allow_pickle=False) as file:
        query, key, value = (torch.from_numpy(file[name])[None] for name in ("query", "key", "value"))
        tokens = file["tokens"].tolist()
    unit = torch.eye(len(tokens), value.shape[-1]).expand_as(value)
    return InsideSmolLM2((query.repeat(2, 1, 1, 1), key.repeat(2, 1, 1, 1), torch.cat([value, unit])), tokens, prompt)


@torch.no_grad()
def continued(model: Llama, prompt: str, tokens: int = WRITTEN) -> str:
    """The likeliest continuation, of which every token is a step of its own: also the last one of the prompt."""
    ids, _ = model.ids(prompt)
    caches, new, found = model.new_caches(ids.shape[1] + tokens), ids[:, -1:], []
    if ids.shape[1] > 1:
        model(ids[:, :-1], caches=caches)
    for _ in range(tokens):
        new = model(new, caches=caches)[:, -1:].argmax(dim=-1)
        found.append(new.item())
    return model.tokenizer.decode(found)


@torch.no_grad()
def step_of(layer: MultiHeadAttention, x: Tensor, cache: KVCache) -> tuple[Tensor, Tensor, Tensor]:
    """x (B, 1, D), a new token → its query (B, H, 1, K), and keys and values (B, G, S, K) of all tokens so far."""
    query, key, value = layer.project(x, x)
    if layer.rotary is not None:
        query, key = layer.rotary(query, cache.seen), layer.rotary(key, cache.seen)
    return query, *cache.append(key, value)


class _AsWritten(nn.Module):
    """A trained layer: a prompt as ever, and each single token by somebody's function."""

    def __init__(self, layer, function):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x, *, causal, cache, need_weights=False):
        if x.shape[1] > 1:
            return self.layer(x, causal=causal, cache=cache, need_weights=need_weights)
        heads = self.function(*(part.clone() for part in step_of(self.layer, x, cache)))
        return self.layer.combine(heads.to(x.dtype), x)
