"""Classifiers of sentences: attention and BiLSTM of the same size, from the same embeddings to the same pooling."""

from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mha_lab import _door
from mha_lab._shown import readable
from mha_lab.attention import MultiHeadAttention
from mha_lab.masks import padding_mask
from mha_lab.memory import require_parameters, shapes_only
from mha_lab.models.encoder import Block
from mha_lab.models.parts import check_numbers

MAX_TOKENS = 2048
"""No customer writes more, and a map of every word on every word grows with the square."""


class Sentences(nn.Module):
    """Tokens → embeddings → `mixed`, which a subclass says → a weighted mean of the tokens → a linear answer.

    The weights of the mean come from a learned query, as of a [CLS] token that looks once and is not looked at.
    Padding is never seen: a sentence gets the same answer alone and beside a longer one."""

    def __init__(self, vocabulary: int, answers: int, *, d_model: int, width: int):
        super().__init__()
        vocabulary, answers, d_model, width = _door.counts(
            vocabulary=vocabulary, answers=answers, d_model=d_model, width=width
        )
        require_parameters(vocabulary * d_model + answers * width)
        self.embed = nn.Embedding(vocabulary, d_model)
        self.query = nn.Linear(width, 1, bias=False)
        self.answer = nn.Linear(width, answers)

    def mixed(self, x: Tensor, lengths: Tensor | None, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        """x (B, N, D) → (B, N, width), each token with what it knows of the others; and maps, where there are any."""
        raise NotImplementedError

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, *, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor | None, Tensor]:
        """inputs (B, N, 1) whole numbers; the first lengths[b] of row b are its sentence, all N unless given.

        Returns logits (B, answers); with need_weights also the maps (B, L, H, N, N), None where there are none, and
        the weights of the mean (B, N). Raises ValueError for an empty sentence, an unknown token and a sentence beyond
        MAX_TOKENS."""
        self._check(inputs, lengths)
        x, maps = self.mixed(self.embed(inputs[..., 0]), lengths, need_weights)
        scores = self.query(x)[..., 0] * x.shape[-1] ** -0.5  # (B, N)
        if lengths is not None:
            scores = scores.masked_fill(~padding_mask(lengths, x.shape[1])[:, 0], -torch.inf)
        shares = scores.softmax(dim=-1)
        logits = self.answer((shares[:, None] @ x)[:, 0])
        return (logits, maps, shares) if need_weights else logits

    def losses(self, batch) -> Tensor:
        """(B,) cross-entropy of each sentence in nats, for a batch with inputs, lengths and targets (B,)."""
        check_numbers("targets", batch.targets, f"({len(batch.inputs)})")
        return F.cross_entropy(self(batch.inputs, batch.lengths), batch.targets, reduction="none")

    @torch.no_grad()
    def right(self, batch) -> Tensor:
        """(B,) boolean: the likeliest answer is the right one."""
        return self(batch.inputs, batch.lengths).argmax(dim=-1) == batch.targets

    def _check(self, inputs, lengths):
        check_numbers("inputs", inputs, "(batch, tokens, 1)")
        B, N, _ = inputs.shape
        if lengths is not None:
            check_numbers("lengths", lengths, f"({B})")
        known = self.embed.num_embeddings
        looked_at = readable(inputs) and inputs.numel() > 0
        if N == 0 or (lengths is not None and looked_at and int(lengths.min()) < 1):
            raise ValueError("an empty sentence asks nothing: give at least 1 token.")
        if lengths is not None and looked_at and int(lengths.max()) > N:
            raise ValueError(f"a sentence of {int(lengths.max())} tokens in inputs of {N}: it cannot be longer.")
        if N > MAX_TOKENS:
            raise ValueError(f"a sentence of {N:,} tokens is too long: this model takes at most {MAX_TOKENS:,}.")
        least, most = map(int, inputs.aminmax()) if looked_at else (0, 0)
        if least < 0 or most >= known:
            raise ValueError(
                f"token {most if most >= known else least} is unknown: the vocabulary has 0 to {known - 1}."
            )


class AttentionClassifier(Sentences):
    """Pre-norm attention layers between the embeddings and the pooling.

    positions  a module from (B, N, D) to (B, N, D), such as `Learned` or `Sinusoidal`
    bias       a module from N to (H, N, N) added to the scores of every layer, such as `ALiBi` or `RelativeBias`; an
               nn.ModuleList has one for each layer
    attention  what makes each layer, such as partial(MultiHeadAttention, rotary=Rotary()) or `GatedAttention`
    mlp, norm, fusion  as in `Encoder`

    With neither positions nor bias nor rotary positions it sees a bag of words."""

    def __init__(
        self,
        vocabulary: int,
        answers: int,
        *,
        d_model: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        mlp: int = 128,
        positions: nn.Module | None = None,
        bias: nn.Module | None = None,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        fusion: Callable[[int], nn.Module] | None = None,
        attention: Callable[..., MultiHeadAttention] = MultiHeadAttention,
    ):
        super().__init__(vocabulary, answers, d_model=d_model, width=d_model)
        d_model, mlp = int(d_model), _door.whole("mlp", mlp, 0)
        num_layers = _door.layers("num_layers", num_layers)
        require_parameters(0, layers=num_layers, d_model=d_model, mlp=mlp)
        self.positions = nn.Identity() if positions is None else positions
        self.bias = bias
        self.blocks = nn.ModuleList(
            Block(d_model, num_heads, mlp=mlp, norm=norm, fusion=fusion, attention=attention) for _ in range(num_layers)
        )
        self.norm = norm(d_model)

    def mixed(self, x, lengths, need_weights):
        x, N = self.positions(x), x.shape[1]
        mask = None if lengths is None else padding_mask(lengths, N)
        maps = []
        for block, bias in zip(self.blocks, self._biases(N), strict=True):
            x, weights = block(x, mask=mask, score_bias=bias, need_weights=need_weights)
            maps.append(weights)
        return self.norm(x), torch.stack(maps, dim=1) if need_weights else None

    def _biases(self, N):
        """One for each layer: (1, H, N, N), for the fused kernel takes 4 dimensions, or falls back; or None."""
        if isinstance(self.bias, nn.ModuleList):
            return [bias(N)[None] for bias in self.bias]
        return [None if self.bias is None else self.bias(N)[None]] * len(self.blocks)


class BiLSTM(Sentences):
    """A bidirectional LSTM (Hochreiter 1997, Schuster 1997) between the embeddings and the pooling. It has no maps."""

    def __init__(self, vocabulary: int, answers: int, *, d_model: int = 64, hidden: int = 64):
        d_model, hidden = _door.counts(d_model=d_model, hidden=hidden)
        require_parameters(8 * hidden * (d_model + hidden))
        super().__init__(vocabulary, answers, d_model=d_model, width=2 * hidden)
        self.lstm = nn.LSTM(d_model, hidden, batch_first=True, bidirectional=True)

    @classmethod
    def like(cls, model: Sentences) -> "BiLSTM":
        """Embeddings and answers as the model's, and the hidden width that brings it nearest in parameters."""
        vocabulary, d_model = model.embed.weight.shape
        answers = model.answer.out_features
        target = num_parameters(model)

        def surplus(hidden):
            with shapes_only():  # counting needs no numbers
                return num_parameters(cls(vocabulary, answers, d_model=d_model, hidden=hidden)) - target

        above = bisect_left(range(4 * d_model), 0, lo=2, key=surplus)  # the least hidden width with as many or more
        hidden = min(above - 1, above, key=lambda hidden: abs(surplus(hidden)))
        return cls(vocabulary, answers, d_model=d_model, hidden=hidden)

    def mixed(self, x, lengths, need_weights):
        if lengths is None:
            return self.lstm(x)[0], None
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0], None


def num_parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
