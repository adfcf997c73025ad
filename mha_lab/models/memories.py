"""Small causal models whose layers remember differently: all keys and values, a state, or those of an earlier layer."""

from collections.abc import Sequence

from torch import Tensor

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.models.encoder import Encoder
from mha_lab.models.parts import Learned, check_known, check_numbers
from mha_lab.tasks import Task
from mha_lab.variants import BorrowingAttention, DeltaAttention, GatedDeltaAttention, LinearAttention, linear_attention


class WritingAttention(DeltaAttention):
    """`DeltaAttention` in which one thing is left out: the old value at a key is not taken out before the new one is
    written. For comparison."""

    def rule(self, query, key, value, write, log_decay, state) -> tuple[Tensor, Tensor]:
        """Adds only."""
        return linear_attention(query, key, write[..., None] * value, log_decay=log_decay, state=state, chunk=64)


LAYERS = {
    "G": MultiHeadAttention,
    "L": LinearAttention,
    "W": WritingAttention,
    "D": DeltaAttention,
    "S": GatedDeltaAttention,
}
"""The alphabet of `memory_model`: softmax over all keys; and four that hold a state: linear attention, writing without
taking out, the delta rule, the gated delta rule."""


def memory_model(
    task: Task, layers: str, *, d_head: int, num_heads: int = 1, d_model: int = 64, places: bool = False
) -> Encoder:
    """A causal `Encoder` for a task, with a layer for each letter of `LAYERS`, and heads of d_head.

    places  whether the tokens learn where they stand: softmax needs it to tell what was said last, and a state does not

    For one seed, models of other layers have the same first weights outside of the attention."""
    if not isinstance(layers, str) or not layers or set(layers) - set(LAYERS):
        raise ValueError(f"layers={layers!r}: it must be a word of the letters {', '.join(LAYERS)}, one a layer.")
    options = {"positions": Learned(task.num_tokens, d_model)} if places else {}
    sizes = {"d_model": d_model, "num_heads": num_heads, "num_layers": len(layers)}
    model = Encoder(task.vocabularies, task.answers, causal=True, **sizes, **options)
    for block, letter in zip(model.blocks, layers, strict=True):
        block.attention = LAYERS[letter](d_model, num_heads, d_head=d_head, bias=False)
    return model


class SharingEncoder(Encoder):
    """A causal `Encoder` whose last `shared` layers take the keys and values of the last layer before them.

    The other arguments are those of `Encoder`; num_kv_heads is that of every layer."""

    def __init__(
        self,
        vocabularies: Sequence[int],
        answers: Sequence[int],
        *,
        shared: int,
        num_kv_heads: int | None = None,
        d_model: int = 64,
        num_heads: int = 4,
        num_layers: int = 4,
        **options,
    ):
        sizes = {"d_model": d_model, "num_heads": num_heads, "num_layers": num_layers}
        super().__init__(vocabularies, answers, causal=True, **sizes, **options)
        self.shared = _door.whole("shared", shared, at_least=0)
        if self.shared >= num_layers:
            raise ValueError(f"shared={shared} of {num_layers} layers: one must make keys and values.")
        for at, block in enumerate(self.blocks):
            kind = BorrowingAttention if at >= num_layers - self.shared else MultiHeadAttention
            if kind is BorrowingAttention or num_kv_heads not in (None, num_heads):
                block.attention = kind(d_model, num_heads, num_kv_heads, bias=False)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """inputs (B, N, F) → R answers (B, N, size) as logits."""
        check_numbers("inputs", inputs, f"(batch, tokens, {len(self.embed)})")
        check_known("feature", inputs, [embed.num_embeddings for embed in self.embed])
        x = self.positions(sum(embed(feature) for embed, feature in zip(self.embed, inputs.unbind(dim=-1))))
        kept = None
        for block in self.blocks:
            layer, seen = block.attention, block.norm(x)
            if isinstance(layer, BorrowingAttention):
                x = x + layer(seen, *kept, causal=True)
            else:
                query, *kept = layer.project(seen, seen)
                heads, _ = layer.attend(query, *kept, is_causal=True)
                x = x + layer.combine(heads, seen)
            x = x if block.mlp is None else x + block.mlp(x)
        return [answer(self.norm(x)) for answer in self.answer]
