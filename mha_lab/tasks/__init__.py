"""Small tasks on which the right attention is known, so that a map can be scored and not only admired.

A task draws batches: the same generator state gives the same batch. Letters: B batch, N tokens, F features of a token,
R questions asked at a token.
"""

from mha_lab.tasks._base import IGNORE, Batch, Task
from mha_lab.tasks.head_counts import HeadCounts, recorded_head_counts
from mha_lab.tasks.lookups import induction, lookup, previous_and_match
from mha_lab.tasks.text import characters

__all__ = [
    "IGNORE",
    "Batch",
    "HeadCounts",
    "Task",
    "characters",
    "induction",
    "lookup",
    "previous_and_match",
    "recorded_head_counts",
]
