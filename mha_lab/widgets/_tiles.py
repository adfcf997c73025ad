"""FlashAttention's tiles one by one: what each step computes, holds and moves, as `chunked_attention` does it."""

from typing import NamedTuple

import numpy as np

BYTES = 4  # of a number: tiles are computed in 32 bits


class Step(NamedTuple):
    """A tile of scores, or, where columns are none, the output of a block of queries that is written."""

    rows: range
    columns: range


def steps(n: int, query_rows: int, key_columns: int, causal: bool) -> list[Step]:
    """In the order of `chunked_attention`; tiles that lie in the future are left out."""
    found = []
    for first in range(0, n, query_rows):
        rows = range(first, min(first + query_rows, n))
        seen = rows.stop if causal else n
        found += [Step(rows, range(start, min(start + key_columns, n))) for start in range(0, seen, key_columns)]
        found.append(Step(rows, range(0)))
    return found


def traced(query, key, value, *, query_rows: int, key_columns: int, causal: bool) -> list[dict]:
    """query, key (N, K), value (N, width) → for each step its rows and columns, scores and weights exp(s − m) (rows,
    columns), and of each row the largest score m, shrink = exp(old m − m), total Σ exp(s − m) (rows,), summed
    Σ exp(s − m)·v (rows, width); the step that writes has the output (rows, width) too. `held` are the numbers in fast
    memory, `read` and `written` those that have been moved from slow memory and back."""
    n, width = query.shape
    found, read, written = [], 0, 0
    largest = total = summed = None
    for step in steps(n, query_rows, key_columns, causal):
        rows, columns = list(step.rows), list(step.columns)
        now = {"rows": step.rows, "columns": step.columns}
        if not columns:
            now["output"] = summed / total[:, None]
            written += summed.size
        else:
            if columns[0] == 0:
                read += len(rows) * width
                largest, total = np.full(len(rows), -np.inf), np.zeros(len(rows))
                summed = np.zeros((len(rows), value.shape[1]))
            read += len(columns) * (width + value.shape[1])
            scores = query[rows] @ key[columns].T / np.sqrt(width)
            if causal:
                scores = np.where(np.array(columns) <= np.array(rows)[:, None], scores, -np.inf)
            new = np.maximum(largest, scores.max(axis=1))
            shrink, weights = np.exp(largest - new), np.exp(scores - new[:, None])
            largest, total = new, total * shrink + weights.sum(axis=1)
            summed = summed * shrink[:, None] + weights @ value[columns]
            now |= {"scores": scores, "weights": weights, "shrink": shrink}
        held = numbers_held(len(rows), len(columns), width, value.shape[1])
        found.append(
            {**now, "largest": largest, "total": total, "summed": summed, "held": held, "read": read}
            | {"written": written}
        )
    return found


def numbers_held(rows: int, columns: int, width: int, value_width: int) -> int:
    """q, k, v, the tile of scores, and m, l and o of each row."""
    return rows * (width + value_width + 2) + columns * (width + value_width + rows)


def numbers_moved_in_full(n: int, width: int, value_width: int) -> int:
    """Where all scores lie in slow memory: written, read, written as weights and read again, beside Q, K, V and O."""
    return 4 * n * n + 2 * n * (width + value_width)
