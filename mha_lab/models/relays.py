"""A stack of causal attention layers that see differently far: windows, everything, or a mixture of both."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mha_lab.masks import window_mask
from mha_lab.models.encoder import Encoder
from mha_lab.models.parts import Sinusoidal, check_known, check_numbers
from mha_lab.tasks import Batch, Task, far_distance

KINDS = {
    "one layer, everything": ([None], 0),
    "four layers, everything": ([None] * 4, 0),
    "one window of 16": ([16], 0),
    "four windows of 16": ([16] * 4, 0),
    "four windows of 16, MLPs": ([16] * 4, 128),
    "a window, then everything": ([16, None], 0),
}
"""Windows, and the width of the MLPs, of the stacks that data/record_long_sequences.py trains, by name."""


class Stack(Encoder):
    """An `Encoder` for a task's documents whose layers have a window each; None sees everything before it.

    Two heads a layer, sinusoidal positions, d_model 64; mlp as in `Encoder`."""

    def __init__(self, task: Task, windows: Sequence[int | None], *, mlp: int = 0):
        sizes = {"d_model": 64, "num_heads": 2, "num_layers": len(windows), "mlp": mlp}
        super().__init__(task.vocabularies, task.answers, positions=Sinusoidal(64), causal=True, **sizes)
        self.windows = tuple(windows)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """inputs (B, N, F) → R answers (B, N, size) as logits."""
        check_numbers("inputs", inputs, f"(batch, tokens, {len(self.embed)})")
        check_known("feature", inputs, [embed.num_embeddings for embed in self.embed])
        x = self.positions(sum(embed(feature) for embed, feature in zip(self.embed, inputs.unbind(dim=-1))))
        for block, width in zip(self.blocks, self.windows):
            mask = None if width is None else window_mask(x.shape[1], width, device=x.device)
            x, _ = block(x, causal=True, mask=mask)
        return [answer(self.norm(x)) for answer in self.answer]

    @torch.no_grad()
    def right_beyond(self, batch: Batch, distance: int) -> float:
        """The share of right answers to the question about names of a `document`, where the name was defined more than
        `distance` tokens before it is mentioned."""
        found = self(batch.inputs)[-1].argmax(dim=-1) == batch.targets[..., -1]
        return found[far_distance(batch.right) > distance].double().mean().item()
