"""A small encoder: attention layers over tokens that are sums of their features' embeddings."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab.attention import MultiHeadAttention
from mha_lab.masks import window_mask
from mha_lab.memory import require_parameters
from mha_lab.models.parts import check_known, check_numbers, how_many


class Encoder(nn.Module):
    """Features → sum of their embeddings → pre-norm attention layers → one answer for each question.

    vocabularies  how many values each of the F features has
    answers       how many values each of the R answers has
    positions     a module from (B, N, D) to (B, N, D) that tells tokens apart by place, such as `Learned(n, d_model)`;
                  without one, an encoder cannot know in which order its tokens stood
    causal        every token sees itself and the past only
    window        every token sees only those fewer than `window` places away; with causal, itself and window − 1 before
    mlp           width of the feed-forward layer after each attention; 0 leaves it out
    norm          nn.LayerNorm or nn.RMSNorm, before each layer and at the end
    fusion        what replaces W^O: a module from d_model to d_model made by fusion(d_model), such as `GatedFusion`

    The number of parameters does not depend on num_heads.
    """

    def __init__(
        self,
        vocabularies: Sequence[int],
        answers: Sequence[int],
        *,
        d_model: int = 64,
        num_heads: int = 4,
        num_layers: int = 1,
        positions: nn.Module | None = None,
        causal: bool = False,
        window: int | None = None,
        mlp: int = 0,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        fusion: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__()
        vocabularies, answers = _door.sizes("vocabularies", vocabularies), _door.sizes("answers", answers)
        d_model, num_layers = _door.whole("d_model", d_model), _door.layers("num_layers", num_layers)
        mlp, window = _door.whole("mlp", mlp, 0), None if window is None else _door.whole("window", window)
        require_parameters(d_model * sum(vocabularies + answers), layers=num_layers, d_model=d_model, mlp=mlp)
        self.embed = nn.ModuleList(nn.Embedding(size, d_model) for size in vocabularies)
        self.positions = nn.Identity() if positions is None else positions
        self.blocks = nn.ModuleList(
            Block(d_model, num_heads, mlp=mlp, norm=norm, fusion=fusion) for _ in range(num_layers)
        )
        self.norm = norm(d_model)
        self.answer = nn.ModuleList(nn.Linear(d_model, size) for size in answers)
        self.causal, self.window = causal, window

    def forward(self, inputs: Tensor, *, need_weights: bool = False) -> list[Tensor] | tuple[list[Tensor], Tensor]:
        """inputs (B, N, F) → R answers (B, N, size) as logits; with need_weights also (B, L, H, N, N)."""
        check_numbers("inputs", inputs, f"(batch, tokens, {len(self.embed)})")
        check_known("feature", inputs, [embed.num_embeddings for embed in self.embed])
        x = self.positions(sum(embed(feature) for embed, feature in zip(self.embed, inputs.unbind(dim=-1))))
        mask = None if self.window is None else window_mask(x.shape[1], self.window, device=x.device)
        maps = []
        for block in self.blocks:
            x, weights = block(x, causal=self.causal, mask=mask, need_weights=need_weights)
            maps.append(weights)
        x = self.norm(x)
        answers = [answer(x) for answer in self.answer]
        return (answers, torch.stack(maps, dim=1)) if need_weights else answers

    def losses(self, batch) -> Tensor:
        """(B,) mean cross-entropy of each example in nats, over everything that was asked."""
        answers = self(batch.inputs)
        pairs = zip(answers, self._targets(batch).unbind(dim=-1), strict=True)
        each = torch.stack([F.cross_entropy(a.mT, target, reduction="none") for a, target in pairs], dim=-1)
        return each.sum(dim=(1, 2)) / how_many(batch.targets >= 0)

    @torch.no_grad()
    def accuracy(self, batch) -> Tensor:
        """(R,) share of right answers to each question, where it was asked; NaN for one that never was."""
        guesses = torch.stack([answer.argmax(dim=-1) for answer in self(batch.inputs)], dim=-1)
        asked = self._targets(batch) >= 0
        return ((guesses == batch.targets) & asked).sum(dim=(0, 1)) / asked.sum(dim=(0, 1))

    def _targets(self, batch):
        expected = (*batch.inputs.shape[:2], len(self.answer))
        if batch.targets.shape != expected:
            raise ValueError(
                f"targets have shape {tuple(batch.targets.shape)} and must be {expected}: one for each of the model's "
                f"{len(self.answer)} answers at each token, IGNORE where nothing is asked."
            )
        return batch.targets


class Block(nn.Module):
    """x + attention(norm(x)), then, with an mlp, x + mlp(norm(x)). With a context, attention is over its tokens.

    attention  makes the layer, as `MultiHeadAttention` does; one with rotary positions or a gate, for example"""

    def __init__(self, d_model, num_heads, *, mlp=0, norm=nn.LayerNorm, fusion=None, attention=MultiHeadAttention):
        super().__init__()
        self.norm = norm(d_model)
        self.attention = attention(d_model, num_heads, bias=False)
        if fusion is not None:
            self.attention.out_proj = fusion(d_model)
        self.mlp = None
        if mlp:
            self.mlp = nn.Sequential(norm(d_model), nn.Linear(d_model, mlp), nn.GELU(), nn.Linear(mlp, d_model))

    def forward(
        self, x: Tensor, context: Tensor | None = None, *, need_weights: bool = False, **options
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, N, D) → (B, N, D), and the weights (B, H, N, S) where they are needed.

        context   (B, S, D), normalised by whoever made it; options are those of MultiHeadAttention: mask, causal …"""
        found = self.attention(self.norm(x), context, need_weights=need_weights, **options)
        heads, weights = found if need_weights else (found, None)
        x = x + heads
        return (x if self.mlp is None else x + self.mlp(x)), weights
