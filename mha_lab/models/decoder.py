"""A causal model whose attention layers are chosen one by one: which class makes them, and how far each one sees."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.masks import window_mask
from mha_lab.models.encoder import Encoder
from mha_lab.models.parts import check_known, check_numbers
from mha_lab.tasks import Task


class Decoder(Encoder):
    """A causal `Encoder` for a task, with attention layers of any class.

    attention  makes each layer, as `MultiHeadAttention` does, such as partial(GatedAttention, rotary=Rotary()); or a
               list, one for each layer
    pattern    what each layer sees, repeated to the last one: "G" all of the past, "L" the last `window` tokens

    From the same random state two models begin with the same weights wherever both have them.
    """

    def __init__(
        self,
        task: Task,
        *,
        attention: Callable | Sequence[Callable] = MultiHeadAttention,
        pattern: str = "G",
        window: int | None = None,
        d_model: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        positions: nn.Module | None = None,
        mlp: int = 0,
    ):
        sizes = {"d_model": d_model, "num_heads": num_heads, "num_layers": num_layers, "mlp": mlp}
        super().__init__(task.vocabularies, task.answers, positions=positions, causal=True, window=window, **sizes)
        if not isinstance(pattern, str) or not pattern or set(pattern) - set("GL"):
            raise ValueError(f"pattern={pattern!r}: it must be a word of G (sees everything) and L (sees a window).")
        if "L" in pattern and window is None:
            raise ValueError(f"pattern={pattern!r} has local layers: window must say how many tokens they see.")
        num_layers = len(self.blocks)
        makers = [attention] * num_layers if callable(attention) else _door.several("attention", attention, "classes")
        if len(makers) != num_layers:
            raise ValueError(f"attention is a list of {len(makers)} and there are {num_layers} layers: one for each.")
        self.kinds = (pattern * num_layers)[:num_layers]
        for block, make in zip(self.blocks, makers):
            theirs, layer = block.attention.state_dict(), make(d_model, num_heads, bias=False)
            own = layer.state_dict()
            fitting = {name: numbers for name, numbers in theirs.items() if numbers.shape == own[name].shape}
            layer.load_state_dict(fitting, strict=False)
            block.attention = layer

    def forward(
        self, inputs: Tensor, *, mask: Tensor | None = None, need_weights: bool = False
    ) -> list[Tensor] | tuple[list[Tensor], Tensor]:
        """As in `Encoder`. mask: boolean (N, N), True = may attend, which hides more in every layer."""
        check_numbers("inputs", inputs, f"(batch, tokens, {len(self.embed)})")
        check_known("feature", inputs, [embed.num_embeddings for embed in self.embed])
        x = self.positions(sum(embed(feature) for embed, feature in zip(self.embed, inputs.unbind(dim=-1))))
        mask = None if mask is None else mask[None]  # for each text alike: a batch may have as many texts as tokens
        near, maps = mask, []
        if "L" in self.kinds:
            near = window_mask(x.shape[1], self.window, device=x.device)[None]
            near = near if mask is None else near & mask
        for block, kind in zip(self.blocks, self.kinds):
            x, weights = block(x, causal=True, mask=near if kind == "L" else mask, need_weights=need_weights)
            maps.append(weights)
        x = self.norm(x)
        answers = [answer(x) for answer in self.answer]
        return (answers, torch.stack(maps, dim=1)) if need_weights else answers
