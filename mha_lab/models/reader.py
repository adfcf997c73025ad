"""A question looks at a context: cross-attention, with the context's tokens kept apart or mixed first."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab.memory import require_parameters
from mha_lab.models.encoder import Block
from mha_lab.models.parts import Learned, check_known, check_numbers


class Reader(nn.Module):
    """The context's tokens → `embed` → layers; then each word of the question looks at them once and is answered.

    embed      a module from the context's features (B, S, F) to (B, S, D): `nn.Linear(F, d_model)` for pixels,
               `Features(vocabularies, d_model)` for whole numbers
    positions  as in `Encoder`, for the context. The question has none: its words do not hear of each other.
    mixing     how many layers of self-attention the context goes through first. With 0, each of its tokens goes through
               an MLP alone, so that a token holds what stood at its place and nothing else. That MLP is wider, so that
               it has as many parameters as one layer of mixing.
    """

    def __init__(
        self,
        words: int,
        answers: int,
        embed: nn.Module,
        *,
        d_model: int = 64,
        num_heads: int = 4,
        mlp: int = 128,
        positions: nn.Module | None = None,
        mixing: int = 0,
    ):
        super().__init__()
        words, answers, d_model = _door.counts(words=words, answers=answers, d_model=d_model)
        mlp, mixing = _door.whole("mlp", mlp, 0), _door.layers("mixing", mixing)
        require_parameters(d_model * (words + answers), layers=mixing + 2, d_model=d_model, mlp=mlp)
        self.words = nn.Embedding(words, d_model)
        self.embed = embed
        self.positions = nn.Identity() if positions is None else positions
        self.alone = None if mixing else _mlp(d_model, mlp + 2 * d_model)  # 2·d more: the 4·d² of attention
        self.mixing = nn.ModuleList(Block(d_model, num_heads, mlp=mlp) for _ in range(mixing))
        self.norm = nn.LayerNorm(d_model)
        self.look = Block(d_model, num_heads, mlp=mlp)
        self.answer = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, answers))

    def read(self, context: Tensor) -> Tensor:
        """context (B, S, F) → the tokens that the question looks at, (B, S, D)."""
        if context.is_floating_point():
            context = context.to(self.words.weight.dtype)  # pixels are float32, and the model may be of another type
        x = self.positions(self.embed(context))
        if self.alone is not None:
            x = x + self.alone(x)
        for block in self.mixing:
            x, _ = block(x)
        return self.norm(x)

    def forward(
        self, question: Tensor, context: Tensor, *, allowed: Tensor | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """question (B, N) whole numbers, context (B, S, F) → logits (B, N, answers); with need_weights also the weights
        (B, H, N, S) with which the question looks at the context.

        allowed   (B, N, S) boolean: the tokens that each word may look at (all)."""
        for name, given in ("question", question), ("context", context):
            _door.instance(name, given, Tensor, "a tensor")
        if question.dim() != 2 or context.dim() != 3 or len(context) != len(question):
            raise ValueError(
                f"question has shape {tuple(question.shape)} and context {tuple(context.shape)}; this model takes "
                "(batch, words) and (batch, tokens, features)."
            )
        check_numbers("question", question, "(batch, words)")
        check_known("question", question[..., None], [self.words.num_embeddings])
        x, weights = self.look(self.words(question), self.read(context), mask=allowed, need_weights=need_weights)
        return (self.answer(x), weights) if need_weights else self.answer(x)

    def losses(self, batch) -> Tensor:
        """(B,) mean cross-entropy of each example in nats, for a `tasks.ReadingBatch`."""
        logits = self(batch.question, batch.context, allowed=batch.allowed)
        if batch.targets.shape != batch.question.shape or batch.targets.shape[1] == 0:
            shapes = f"question has shape {tuple(batch.question.shape)} and targets {tuple(batch.targets.shape)}"
            raise ValueError(f"{shapes}: every word needs one answer, and a batch at least one word.")
        return F.cross_entropy(logits.mT, batch.targets, reduction="none").mean(dim=-1)

    @torch.no_grad()
    def right(self, batch) -> Tensor:
        """(B, N) boolean: the likeliest answer is the right one."""
        return self(batch.question, batch.context, allowed=batch.allowed).argmax(dim=-1) == batch.targets


def digit_reader(mixing: int = 0, *, num_heads: int = 4) -> Reader:
    """The reader of `tasks.two_digits` in lesson 08b: linear patches, learned places, its heads on 64 columns."""
    return Reader(2, 10, nn.Linear(4, 64), positions=Learned(32, 64), mixing=mixing, num_heads=num_heads)


class Features(nn.Module):
    """Features (B, S, F) of whole numbers → the sum of their embeddings (B, S, D)."""

    def __init__(self, vocabularies: Sequence[int], d_model: int):
        super().__init__()
        vocabularies, d_model = _door.sizes("vocabularies", vocabularies), _door.whole("d_model", d_model)
        require_parameters(d_model * sum(vocabularies))
        self.embed = nn.ModuleList(nn.Embedding(size, d_model) for size in vocabularies)

    def forward(self, features: Tensor) -> Tensor:
        check_numbers("features", features, f"(batch, tokens, {len(self.embed)})")
        check_known("feature", features, [embed.num_embeddings for embed in self.embed])
        return sum(embed(feature) for embed, feature in zip(self.embed, features.unbind(dim=-1), strict=True))


def _mlp(d_model, width):
    return nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, width), nn.GELU(), nn.Linear(width, d_model))
