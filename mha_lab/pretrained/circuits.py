"""How heads of a language model work together: what they do with text that repeats, and what breaks without each.

Random tokens, said twice, are the test of Olsson 2022 (arXiv:2209.11895): the first time nothing can be guessed, the
second time everything can be copied from the first."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from mha_lab import heads
from mha_lab.pretrained.llama import Llama


def repeated_tokens(num_texts: int = 4, length: int = 50, *, vocabulary: int = 49_152, seed: int = 0) -> Tensor:
    """(num_texts, 2 · length): random tokens, and the same again."""
    generator = torch.Generator().manual_seed(seed)
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
