"""Lesson 09's two models at any width, for what their answers cost: time and memory. The numbers in them are random."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mha_lab.attention import MultiHeadAttention
from mha_lab.models.biases import RelativeBias
from mha_lab.models.sentences import AttentionClassifier, BiLSTM, Sentences
from mha_lab.rotary import Rotary
from mha_lab.tasks import INTENTS

VOCABULARY = 300
"""About as many characters as the Chinese sentences have; it changes no time."""


def of_width(d_model: int, num_heads: int, *, hidden: int | None = None) -> dict[str, Sentences]:
    """Two layers of attention of this width with an MLP of 2 · d_model, told places by a relative position bias or by
    rotary positions; and the BiLSTM that has as many parameters, unless its `hidden` width is given. In float32."""
    sizes = {"d_model": d_model, "num_heads": num_heads, "mlp": 2 * d_model}
    with torch.random.fork_rng(devices=[]):  # the weights come from the global random state: borrow it, give it back
        torch.manual_seed(0)
        bias = AttentionClassifier(VOCABULARY, len(INTENTS), bias=RelativeBias(num_heads), **sizes)
        layer = partial(MultiHeadAttention, rotary=Rotary())
        rotary = AttentionClassifier(VOCABULARY, len(INTENTS), attention=layer, **sizes)
        like = BiLSTM.like(bias) if hidden is None else BiLSTM(VOCABULARY, len(INTENTS), d_model=d_model, hidden=hidden)
    models = {"BiLSTM": like, "attention, bias": bias, "attention, rotary": rotary}
    return {name: model.float().eval() for name, model in models.items()}


def sentences(batch: int, num_tokens: int) -> Tensor:
    """(B, N, 1) random tokens, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(VOCABULARY, (batch, num_tokens, 1), generator=generator, device="cpu")


def answering(pair: dict[str, Sentences], batch: int, num_tokens: int) -> dict[str, Callable[[], Tensor]]:
    """What `measure.compare` times, by name: the sentences through each model, without gradients."""
    inputs = sentences(batch, num_tokens)
    return {name: partial(_answer, model, inputs) for name, model in pair.items()}


def training(
    pair: dict[str, Sentences], batch: int, num_tokens: int, *, unequal: bool = False
) -> dict[str, Callable[[], Tensor]]:
    """What `measure.compare` times, by name: the losses of the sentences and the gradients of all parameters.

    unequal  the lengths go from seven eighths of num_tokens to num_tokens, as in a batch of like length, and are told:
             the BiLSTM packs its sentences, attention masks."""
    inputs, lengths = sentences(batch, num_tokens), None
    if unequal:
        lengths = torch.linspace(num_tokens * 7 / 8, num_tokens, batch, device="cpu").round().long()
    return {name: partial(_learn, model, inputs, lengths) for name, model in pair.items()}


@torch.no_grad()
def _answer(model, inputs):
    return model(inputs)


def _learn(model, inputs, lengths):
    loss = model(inputs, lengths).logsumexp(dim=-1).mean()
    torch.autograd.grad(loss, [each for each in model.parameters() if each.requires_grad])
    return loss.detach()
