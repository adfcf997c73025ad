"""Exercises that answer: `checks.split_heads(your_function)` runs it beside ours and says what differs.

Every check returns a result that shows itself in a notebook, is true where the exercise is solved, and carries the hint
and the solution. `help(checks.split_heads)` tells the task.
"""

from mha_lab.checks.lesson01 import causal_mask, masked_attention, one_query, temperature
from mha_lab.checks.lesson02 import mended_pseudo_code, merge_heads, multi_head_scores, split_heads

__all__ = [
    "causal_mask",
    "masked_attention",
    "mended_pseudo_code",
    "merge_heads",
    "multi_head_scores",
    "one_query",
    "split_heads",
    "temperature",
]
