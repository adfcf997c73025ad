"""A small encoder–decoder: one stack reads a sentence, another writes one and looks back at it by cross-attention."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab import _door
from mha_lab._shown import readable
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_parameters
from mha_lab.models.encoder import Block
from mha_lab.models.parts import Sinusoidal, check_numbers, how_many
from mha_lab.tasks import END, PAD, START


class EncoderDecoder(nn.Module):
    """Source tokens → encoder layers; target tokens so far → decoder layers → the next target token (Vaswani 2017).

    source_size, target_size  how many tokens each vocabulary has, `PAD`, `START` and `END` among them
    num_layers       of the encoder and of the decoder; encoder_layers, where given, of the encoder (0: embeddings only)
    max_tokens       the longest sentence it takes, on either side
    positions        a module from (B, N, D) to (B, N, D) made by positions(d_model), one for each side
    mlp, norm        as in `Encoder`

    A decoder layer is two `Block`s: one over its own past, one with the encoder's output as its context.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        d_model: int = 64,
        num_heads: int = 4,
        num_layers: int = 1,
        encoder_layers: int | None = None,
        max_tokens: int = 64,
        positions: Callable[[int], nn.Module] = Sinusoidal,
        mlp: int = 128,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
    ):
        super().__init__()
        num_layers = _door.layers("num_layers", num_layers)
        encoder_layers = num_layers if encoder_layers is None else _door.layers("encoder_layers", encoder_layers)
        source_size, target_size, d_model, self.max_tokens = _door.counts(
            source_size=source_size, target_size=target_size, d_model=d_model, max_tokens=max_tokens
        )
        mlp = _door.whole("mlp", mlp, 0)
        stacked = encoder_layers + 2 * num_layers
        require_parameters(d_model * (source_size + 2 * target_size), layers=stacked, d_model=d_model, mlp=mlp)
        self.embed_source, self.embed_target = nn.Embedding(source_size, d_model), nn.Embedding(target_size, d_model)
        self.source_positions, self.target_positions = positions(d_model), positions(d_model)
        self.encoder = nn.ModuleList(Block(d_model, num_heads, mlp=mlp, norm=norm) for _ in range(encoder_layers))
        self.encoder_norm = norm(d_model)
        self.own_past = nn.ModuleList(Block(d_model, num_heads, norm=norm) for _ in range(num_layers))
        self.cross = nn.ModuleList(Block(d_model, num_heads, mlp=mlp, norm=norm) for _ in range(num_layers))
        self.norm = norm(d_model)
        self.answer = nn.Linear(d_model, target_size)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """source (B, S) → what the decoder looks at, (B, S, D), and who may be looked at, (B, 1, S)."""
        self._check(source, self.embed_source, "source")
        mask = (source != PAD)[:, None]
        if readable(mask) and not mask.any(dim=-1).all():
            raise ValueError("a source sentence is empty: there is nothing to look at.")
        x = self.source_positions(self.embed_source(source))
        for block in self.encoder:
            x, _ = block(x, mask=mask)
        return self.encoder_norm(x), mask

    def decode(self, target: Tensor, memory: Tensor, mask: Tensor, *, need_weights: bool = False, caches=None):
        """target (B, N), from `START` on → logits (B, N, target_size) of the token after each; the cross-attention
        (B, L, H, N, S) or None. With caches, one for each layer, only the last token is new."""
        self._check(target, self.embed_target, "target")
        x = self.target_positions(self.embed_target(target))
        x = x if caches is None else x[:, -1:]
        maps = []
        for i, (own_past, cross) in enumerate(zip(self.own_past, self.cross)):
            x, _ = own_past(x, causal=True, cache=None if caches is None else caches[i])
            x, weights = cross(x, memory, mask=mask, need_weights=need_weights)
            maps.append(weights)
        return self.answer(self.norm(x)), torch.stack(maps, dim=1) if need_weights else None

    def forward(self, source: Tensor, target: Tensor, *, need_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """source (B, S), target (B, N) → logits (B, N, target_size): row n answers target[:, n], having read the
        source and the target before n (teacher forcing). With need_weights also (B, L, H, N, S): row n is where the
        decoder looked while it was about to write target[:, n]."""
        before = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], dim=1)
        logits, maps = self.decode(before, *self.encode(source), need_weights=need_weights)
        return (logits, maps) if need_weights else logits

    def losses(self, batch) -> Tensor:
        """(B,) mean cross-entropy of each example in nats, over the target's tokens with `END`, without `PAD`."""
        count = how_many(batch.target != PAD)
        logits = self(batch.source, batch.target)
        each = F.cross_entropy(logits.mT, batch.target, ignore_index=PAD, reduction="none")
        return each.sum(dim=1) / count

    @torch.no_grad()
    def write(self, source: Tensor) -> Tensor:
        """source (B, S) → target (B, N): at each step the most likely token, until every row has its `END`."""
        memory, mask = self.encode(source)
        written = torch.full((len(source), 1), START, device=source.device)
        caches = [KVCache() for _ in self.own_past]
        done = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        while not done.all() and written.shape[1] <= self.max_tokens:
            logits, _ = self.decode(written, memory, mask, caches=caches)
            token = logits[:, -1].argmax(dim=-1).masked_fill(done, PAD)
            written = torch.cat([written, token[:, None]], dim=1)
            done |= token == END
        return written[:, 1:]

    @torch.no_grad()
    def exact(self, batch) -> Tensor:
        """(B,) boolean: what it writes by itself is the whole target, token for token."""
        written = self.write(batch.source)
        width = max(written.shape[1], batch.target.shape[1])
        written, target = (F.pad(tokens, (0, width - tokens.shape[1]), value=PAD) for tokens in (written, batch.target))
        return (written == target).all(dim=1)

    def _check(self, tokens, embedding, side):
        check_numbers(side, tokens, "(batch, at least one token)")
        if tokens.shape[1] == 0:
            raise ValueError(f"{side} has shape {tuple(tokens.shape)}; this model takes (batch, at least one token).")
        if tokens.shape[1] > self.max_tokens:
            raise ValueError(
                f"a {side} sentence of {tokens.shape[1]} tokens is too long: this model takes up to {self.max_tokens}."
            )
        if readable(tokens) and tokens.numel() and (tokens.min() < 0 or tokens.max() >= embedding.num_embeddings):
            raise ValueError(
                f"{side} holds the tokens {int(tokens.min())} to {int(tokens.max())}; this model knows 0 to "
                f"{embedding.num_embeddings - 1}."
            )
