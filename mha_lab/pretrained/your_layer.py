"""Somebody's own multi-head attention, a function, in the place of MiniLM's attention layers.

The function knows no biases: output, weights = function(x, W_q, W_k, W_v, W_o, num_heads, mask), with x (B, N, D) and
matrices (D, D) on the right of x. MiniLM's layers have biases, so its words carry one more number, which is always 1:
what a matrix makes of that number is added to every word, as a bias is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mha_lab.attention import MultiHeadAttention
from mha_lab.measure import single_thread
from mha_lab.pretrained._files import ModelMissing
from mha_lab.pretrained.bert import Bert, MiniLM
from mha_lab.pretrained.recordings import Recording, recorded
from mha_lab.pretrained.word import recorded_heads

QUESTION = "an animal runs after another animal"


@dataclass(frozen=True, eq=False)
class InsideMiniLM:
    """Work for somebody's function in a trained model.

    call      its arguments (x, W_q, W_k, W_v, W_o, num_heads, mask) for one layer and the running sentence
    running   what the model's own heads looked at in that sentence
    question  what the recorded sentences are searched for"""

    call: tuple = field(repr=False)
    running: Recording
    question: str = QUESTION

    @torch.no_grad()
    def searched(self, function: Callable) -> tuple[str, str, float] | None:
        """The recorded sentence nearest in meaning to the question: as MiniLM finds it with the function as all of its
        attention layers, and with its own; and the largest difference of an attention weight from the recorded ones.
        None where the model is not installed."""
        try:
            model = MiniLM.load()
        except ModelMissing:
            return None
        readings = recorded()
        sentences = [each.sentence for each in readings]
        with single_thread():
            expected = nearest_sentence(model, self.question, sentences)
            for block in model.blocks:
                block.attention = _AsWritten(block.attention, function)
            found = nearest_sentence(model, self.question, sentences)
            farthest = max((model.read(each.sentence).weights - each.weights).abs().max().item() for each in readings)
        return found, expected, farthest


def inside_minilm(question: str = QUESTION) -> InsideMiniLM:
    """A place for your own multi-head attention. In the recorded call, a word carries its query, its key and its value,
    and each matrix hands every head its own 32 numbers of one of them; so no weights of the model are needed.

    question  what is searched for in the recorded sentences, where the model is installed."""
    query, key, value, _ = recorded_heads()
    running = recorded()[0]
    (N, D), H = query.shape, running.weights.shape[1]

    def selects(part):
        W = torch.zeros(3 * D, H, 3 * (D // H))
        columns = torch.arange(D)
        W[part * D + columns, columns // (D // H), columns % (D // H)] = 1
        return W.flatten(1)

    x = torch.cat([query, key, value], dim=-1)[None]
    matrices = 3**0.5 * selects(0), selects(1), selects(2), selects(0).T  # heads are three times as wide: see below
    return InsideMiniLM((x, *matrices, H, torch.ones(N, N, dtype=torch.bool)), running, question)


@torch.no_grad()
def nearest_sentence(model: Bert, question: str, sentences: list[str]) -> str:
    """The sentence whose words' mean vector has the largest cosine to the question's (Reimers 2019, 1908.10084)."""
    asked, *offered = (model(model.ids(text)[0])[0].mean(dim=1)[0] for text in (question, *sentences))
    return sentences[F.cosine_similarity(asked, torch.stack(offered), dim=-1).argmax()]


def without_biases(layer: MultiHeadAttention) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_q, W_k, W_v, W_o (D + H, D + H) that do without biases what the layer does, for words that `carry_one`.

    Each head is one number wider. Head 0's brings the 1, which W_o turns into its bias; the others' is 0."""
    D, H, K = layer.d_model, layer.num_heads, layer.d_head

    def widened(linear):
        W = torch.zeros(D + H, H, K + 1)
        W[:D, :, :K] = linear.weight.detach().T.view(D, H, K)
        W[D, :, :K] = linear.bias.detach().view(H, K)
        return W

    W_q, W_k, W_v = widened(layer.q_proj), widened(layer.k_proj), widened(layer.v_proj)
    W_q = W_q * ((K + 1) / K) ** 0.5  # the function divides by the root of a head's width, and that has grown
    W_v[D, 0, K] = 1
    W_o = torch.zeros(H, K + 1, D + H)
    W_o[:, :K, :D] = layer.out_proj.weight.detach().T.view(H, K, D)
    W_o[0, K, :D] = layer.out_proj.bias.detach()
    return *(W.flatten(1) for W in (W_q, W_k, W_v)), W_o.flatten(0, 1)


def carry_one(x: Tensor, num_heads: int) -> Tensor:
    """x (B, N, D) → (B, N, D + H): a 1 behind each word, and zeros, so that H heads still divide the width."""
    more = torch.zeros(*x.shape[:-1], num_heads)
    more[..., 0] = 1
    return torch.cat([x, more], dim=-1)


class _AsWritten(nn.Module):
    """A trained layer, computed by somebody's function."""

    def __init__(self, layer, function):
        super().__init__()
        self.matrices, self.num_heads, self.function = without_biases(layer), layer.num_heads, function

    def forward(self, x, *, mask=None, need_weights=True):
        N, D = x.shape[1:]
        everywhere = torch.ones(N, N, dtype=torch.bool) if mask is None else mask
        output, weights = self.function(carry_one(x, self.num_heads), *self.matrices, self.num_heads, everywhere)
        return output[..., :D].to(x.dtype), weights.to(x.dtype)
