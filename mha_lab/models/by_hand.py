"""The look-up task solved by weights that nobody trained: sixty-four heads of width one can do it."""

import torch
from torch import nn

from mha_lab.models.encoder import Encoder
from mha_lab.tasks import Task

SURE = 40.0
"""By how much the right one leads, among scores and among answers: e⁴⁰ against 1."""

SMALL = 0.01
"""The unit of what heads write, beside the ones of the embeddings: the last norm hardly notices it."""


@torch.no_grad()
def lookup_by_hand(task: Task) -> Encoder:
    """An `Encoder` that answers `tasks.lookup(…)` without training: one attention layer, every head of width 1.

    N keys, V values and R pointers are one-hot; there are as many heads as columns, D = N + V + RN + 2R (64 for the
    default task), and RN + 1 of them are used:

    head (r, a)    asks "does pointer r name key a?". If so, its weight is on that key and it brings its value; if not,
                   all its scores are 0 and it brings the mean of all values.
    the last head  brings that mean, always. W^O adds the N heads of a pointer and takes N − 1 means away: what stays is
                   the value that the pointer names.

    Raises ValueError for a task that is no look-up."""
    N, V, R = task.num_tokens, task.answers[0], len(task.answers)
    if task.name != "lookup" or task.vocabularies != (N, V, *[N] * R):
        raise ValueError(f"the task is {task.name!r}; these weights are for a look-up, tasks.lookup(…).")
    D = N + V + R * N + 2 * R
    model = Encoder(task.vocabularies, task.answers, d_model=D, num_heads=D)
    columns = torch.arange(D)
    *features, found, mirror = columns.split([N, V, *[N] * R, R, R])
    for embed, own in zip(model.embed, features):
        embed.weight.zero_()[:, own] = torch.eye(len(own))
    for norm in model.blocks[0].norm, model.norm:
        _undo(norm, ones=len(features))

    value = torch.arange(V) - (V - 1) / 2  # as one number, around 0
    key_columns, value_columns, *pointers = features
    layer = model.blocks[0].attention
    for projection in layer.q_proj, layer.k_proj, layer.v_proj, layer.out_proj:
        projection.weight.zero_()
    layer.v_proj.weight[:, value_columns] = value
    for r, pointer in enumerate(pointers):
        for a in range(N):
            head = r * N + a
            layer.k_proj.weight[head, key_columns[a]] = 1.0
            layer.q_proj.weight[head, pointer[a]] = SURE
            layer.out_proj.weight[found[r], head] = SMALL
        layer.out_proj.weight[found[r], R * N] = -(N - 1) * SMALL
    layer.out_proj.weight[mirror] = -layer.out_proj.weight[found]  # so that the mean of all columns stays

    for answer, own in zip(model.answer, found):  # the nearest value: largest where −(found − value)² is
        answer.weight.zero_()[:, own] = SURE * 2 * value / SMALL
        answer.bias.copy_(-SURE * value**2)
    return model.eval()


def _undo(norm: nn.LayerNorm, ones: int) -> None:
    """Gives a norm the weights with which it changes nothing: all that it sees are so many ones among zeros."""
    share = ones / norm.normalized_shape[0]
    norm.bias.fill_(share)
    norm.weight.fill_((share - share**2 + norm.eps) ** 0.5)
