"""How heads of a language model work together: what they do with text that repeats, what breaks without each, and where
their weight rests when they find nothing.

Random tokens, said twice, are the test of Olsson 2022 (arXiv:2209.11895): the first time nothing can be guessed, the
second time everything can be copied from the first. The place to rest is the attention sink of Xiao 2023
(arXiv:2309.17453)."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from mha_lab import _door, heads
from mha_lab.kv_cache import KVCache
from mha_lab.memory import require_if_large
from mha_lab.pretrained.llama import Llama


def repeated_tokens(num_texts: int = 4, length: int = 50, *, vocabulary: int = 49_152, seed: int = 0) -> Tensor:
    """(num_texts, 2 · length): random tokens, and the same again."""
    num_texts, length = _door.counts(num_texts=num_texts, length=length)
    vocabulary = _door.whole("vocabulary", vocabulary, at_least=101)
    require_if_large(3 * 8 * num_texts * length)
    generator = torch.Generator().manual_seed(_door.seed("seed", seed))
    # The first ids are signs such as <|im_start|>, which the model treats as no text would.
    return torch.randint(100, vocabulary, (num_texts, length), generator=generator).repeat(1, 2)


@torch.no_grad()
def copying_scores(model: Llama, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Two scores (layers, H) of every head on `repeated_tokens`, means over the tokens of the second copy:

    previous   the share of its weight on the token before
    induction  the share on the token that followed the same token the first time: what comes next"""
    length = ids.shape[1] // 2
    _, weights = model(ids, need_weights=True)
    weights = weights.mean(dim=0)[..., length:, :]
    previous, following = (heads.offset(2 * length, steps)[length:] for steps in (-1, 1 - length))
    return heads.mass(weights, previous), heads.mass(weights, following)


@torch.no_grad()
def token_losses(model: Llama, ids: Tensor) -> Tensor:
    """(B, N − 1): how surprised the model is by each token after the first, in nats."""
    return _losses(model(ids), ids)


@torch.no_grad()
def losses_seeing(model: Llama, ids: Tensor, seen: Tensor) -> Tensor:
    """`token_losses` where in every layer query i sees the keys j that `seen[i, j]` marks (N, N), and no others."""
    return _losses(model(ids, caches=[_Seeing(seen) for _ in model.blocks]), ids)


class _Seeing(KVCache):
    """A cache for one reading of a text, in which a mask says what each token sees."""

    def __init__(self, seen):
        super().__init__(window=len(seen))
        self.seen_by_each = seen

    def mask(self, new, *, device=None):
        return self.seen_by_each


@torch.no_grad()
def weight_on_first(model: Llama, ids: Tensor, start: int = 1) -> Tensor:
    """(layers, H): the share of its weight that each head lays on the first token of a text, mean over the queries from
    `start` on. One layer's maps are held at a time."""
    x, shares = model.words(ids), []
    for block in model.blocks:
        x, weights = block(x, need_weights=True)
        shares.append(weights[..., start:, 0].mean(dim=(0, 2)))
    return torch.stack(shares)


@torch.no_grad()
def value_of_first(model: Llama, ids: Tensor) -> Tensor:
    """(layers, G): how long the first token's value vector is, beside the median length of all the others'."""
    x, ratios = model.words(ids), []
    for block in model.blocks:
        values = block.attention.v_proj(block.norm1(x)).unflatten(-1, (block.attention.num_kv_heads, -1))
        length = values.norm(dim=-1)  # (B, N, G)
        ratios.append((length[:, 0] / length[:, 1:].median(dim=1).values).mean(dim=0))
        x, _ = block(x)
    return torch.stack(ratios)


@torch.no_grad()
def without_each_head(model: Llama, ids: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """For each head in turn: its layer, its number, and `token_losses` without it. The layers below are kept."""
    x = model.words(ids)
    for layer, block in enumerate(model.blocks):
        for head in range(block.attention.num_heads):
            y = x
            with heads.ablated(model, [(layer, head)]):
                for later in model.blocks[layer:]:
                    y, _ = later(y)
            yield layer, head, _losses(model.logits(y), ids)
        x, _ = block(x)


def _losses(logits, ids):
    return F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="none")
