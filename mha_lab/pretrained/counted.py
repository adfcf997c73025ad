"""What torch's counter sees in the attention layers of SmolLM2 while the model itself reads a text."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mha_lab import published
from mha_lab.measure import single_thread
from mha_lab.pretrained._files import ModelMissing
from mha_lab.pretrained.llama import SmolLM2
from mha_lab.pretrained.smollm2_records import recorded_smollm2

NAME = "SmolLM2-135M"


@dataclass(frozen=True)
class CountedLayers:
    """The attention layers of SmolLM2, by the sizes that are published, and a text (1, N) for it to read."""

    text: Tensor = field(repr=False)
    d_model: int
    num_heads: int
    num_kv_heads: int
    layers: int

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """B, N, S, d_model, num_heads, num_kv_heads."""
        N = self.text.shape[1]
        return 1, N, N, self.d_model, self.num_heads, self.num_kv_heads

    @cached_property
    @torch.no_grad()
    def flops(self) -> list[int] | None:
        """What torch's counter sees in each attention layer, on its explicit path, while the model reads the text; None
        where the model is not installed. It takes some seconds, once."""
        try:
            model = SmolLM2.load()
        except ModelMissing:
            return None
        with single_thread(), FlopCounterMode(display=False) as counter:
            model(self.text, need_weights=True)
        parts = counter.get_flop_counts()
        return [sum(parts[f"SmolLM2.blocks.{layer}.attention"].values()) for layer in range(self.layers)]


def counted_smollm2() -> CountedLayers:
    """SmolLM2's attention layers and 158 tokens of ordinary prose, ready to be counted."""
    (model,) = (m for m in published.MODELS if m.name == NAME)
    return CountedLayers(recorded_smollm2().choosing, model.d_model, model.num_heads, model.num_kv_heads, model.layers)
