"""Exercises that answer: `checks.split_heads(your_function)` runs it beside ours and says what differs.

Every check returns a result that shows itself in a notebook, is true where the exercise is solved, and carries the hint
and the solution. `checks.split_heads` alone, or `checks.split_heads?`, tells the task. `checks.progress()` shows how
far you have come; `checks.reset()` tells how to forget it. `checks.class_mode()` withholds solutions for a class.
"""

from mha_lab.checks import course
from mha_lab.checks.card import Task
from mha_lab.checks.classroom import class_mode as class_mode
from mha_lab.checks.lesson00 import next_token_head, previous_token_head, where_it_looks
from mha_lab.checks.lesson01 import causal_mask, head_weights, masked_attention, one_query, temperature
from mha_lab.checks.lesson02 import layer_on_paper, mended_pseudo_code, multi_head_scores, split_heads
from mha_lab.checks.lesson03 import multi_head_attention, output_as_a_sum, repaired_mask
from mha_lab.checks.lesson04 import count_flops, count_parameters, peak_scores
from mha_lab.checks.lesson04_paper import cost_on_paper
from mha_lab.checks.lesson05 import cache_bytes, decode_step, grouped_attention
from mha_lab.checks.lesson06 import error_bars, most_heads, paired_interval, served, turned
from mha_lab.checks.lesson07 import choose_and_report, head_importance, name_heads, without_head
from mha_lab.checks.lesson08 import cross_attention, share_by_place, uniform_share
from mha_lab.checks.lesson08b import asked_half, paired_gap, within_reach
from mha_lab.checks.lesson09 import distance_bias, gated_fusion, relative_bias, rms_norm, rotate_by_position
from mha_lab.checks.lesson09_judging import in_standard_errors, one_thing_changed, two_baselines
from mha_lab.checks.lesson10 import add_block, slide, window_scores
from mha_lab.checks.lesson10_judging import percentages, with_a_pencil
from mha_lab.checks.lesson11 import by_chance, induction_score, pool_heads, to_halves
from mha_lab.checks.lesson12 import gated_terms, normed_weights, pattern_for_a_cache, rotate_a_share, sink_weights
from mha_lab.checks.lesson12b import best_keys, delta_step, latent_scores, state_or_cache
from mha_lab.checks.lesson13 import kv_heads_held, merge, rank_share
from mha_lab.checks.lesson13_paper import all_reduce_on_paper, which_axis
from mha_lab.checks.lesson14 import heads_that_go, long_reader, support_desk, ten_thousand_users

# The exercises. `progress` and `reset` below are about all of them.
__all__ = [
    "add_block",
    "all_reduce_on_paper",
    "asked_half",
    "best_keys",
    "within_reach",
    "by_chance",
    "cache_bytes",
    "causal_mask",
    "choose_and_report",
    "cost_on_paper",
    "count_flops",
    "count_parameters",
    "cross_attention",
    "decode_step",
    "delta_step",
    "distance_bias",
    "error_bars",
    "gated_fusion",
    "gated_terms",
    "grouped_attention",
    "head_importance",
    "head_weights",
    "in_standard_errors",
    "induction_score",
    "kv_heads_held",
    "heads_that_go",
    "latent_scores",
    "layer_on_paper",
    "long_reader",
    "masked_attention",
    "mended_pseudo_code",
    "merge",
    "most_heads",
    "multi_head_attention",
    "multi_head_scores",
    "name_heads",
    "next_token_head",
    "normed_weights",
    "one_query",
    "one_thing_changed",
    "output_as_a_sum",
    "paired_gap",
    "paired_interval",
    "pattern_for_a_cache",
    "peak_scores",
    "percentages",
    "pool_heads",
    "previous_token_head",
    "rank_share",
    "repaired_mask",
    "relative_bias",
    "rms_norm",
    "rotate_a_share",
    "rotate_by_position",
    "served",
    "share_by_place",
    "sink_weights",
    "slide",
    "split_heads",
    "state_or_cache",
    "support_desk",
    "temperature",
    "ten_thousand_users",
    "to_halves",
    "two_baselines",
    "turned",
    "uniform_share",
    "where_it_looks",
    "which_axis",
    "with_a_pencil",
    "without_head",
    "window_scores",
]

_TASKS = [thing for thing in list(vars().values()) if isinstance(thing, Task)]


def progress() -> course.Course:
    """The course as a map: what you have passed and guessed so far, and what comes next."""
    return course.so_far(_TASKS)


def reset(what: str | None = None) -> None:
    """Forget what you have passed and guessed: "everything", or one lesson's, such as "02".

    Without an argument nothing is forgotten, and you are told what would be. Raises ValueError for anything else."""
    course.reset(_TASKS, what)
