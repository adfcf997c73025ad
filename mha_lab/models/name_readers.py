"""The models that read `tasks.names`, by name: attention with two ways to tell places apart, and BiLSTMs. All of them
have as many parameters as the first (at d_model 64 to 3%)."""

from bisect import bisect_left

import torch
from torch import Tensor, nn

from mha_lab.attention import MultiHeadAttention
from mha_lab.memory import shapes_only
from mha_lab.models.biases import RelativeBias
from mha_lab.models.encoder import Encoder
from mha_lab.models.sentences import num_parameters
from mha_lab.rotary import Rotary
from mha_lab.tasks import Task

NAME_READERS = {
    "relative, 4 heads": ("relative", 4),
    "relative, 1 head": ("relative", 1),
    "rotary, 4 heads": ("rotary", 4),
    "BiLSTM": ("BiLSTM", 1),
    "BiLSTM, 2 layers": ("BiLSTM", 2),
}
"""What mixes the tokens, and its number of heads or, of a BiLSTM, of layers. Attention has two layers and no MLP."""


def name_reader(name: str, task: Task, *, d_model: int = 64, seed: int = 0) -> Encoder:
    """A new model of this name for a task, with the first weights of this seed. Raises ValueError for another name."""
    if name not in NAME_READERS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(NAME_READERS)}.")
    kind, number = NAME_READERS[name]
    with torch.random.fork_rng(devices=[]):  # the weights come from the global random state: borrow it, give it back
        torch.manual_seed(seed)
        if kind == "BiLSTM":
            with shapes_only():  # counting needs no numbers
                target = num_parameters(_attention("relative", 4, task, d_model))

                def counted(hidden):
                    return num_parameters(_recurrent(task, d_model, number, hidden))

                above = bisect_left(range(4 * d_model), target, lo=2, key=counted)
                hidden = min(above - 1, above, key=lambda hidden: abs(counted(hidden) - target))
            return _recurrent(task, d_model, number, hidden)
        return _attention(kind, number, task, d_model)


def _attention(kind, num_heads, task, d_model):
    model = Encoder(task.vocabularies, task.answers, d_model=d_model, num_heads=num_heads, num_layers=2)
    for block in model.blocks:
        if kind == "rotary":
            block.attention.rotary = Rotary()
        else:
            block.attention = WithDistances(d_model, num_heads)
    return model


def _recurrent(task, d_model, num_layers, hidden):
    mixed = Recurrent(d_model, hidden, num_layers)
    return Encoder(task.vocabularies, task.answers, d_model=d_model, num_layers=0, positions=mixed)


class WithDistances(MultiHeadAttention):
    """Self-attention with a `RelativeBias` of its own on its scores."""

    def __init__(self, d_model: int, num_heads: int):
        super().__init__(d_model, num_heads, bias=False)
        self.distances = RelativeBias(num_heads)

    def forward(self, x: Tensor, context: Tensor | None = None, **options):
        return super().forward(x, context, score_bias=self.distances(x.shape[1])[None], **options)


class Recurrent(nn.Module):
    """x + W · BiLSTM(x), in the place of the attention layers."""

    def __init__(self, d_model: int, hidden: int, num_layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(d_model, hidden, num_layers, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.lstm(x)[0])
