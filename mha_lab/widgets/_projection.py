"""HeadExplorer's maps of heads that are cut live from one projection, and what may be changed of them."""

from collections.abc import Sequence

import numpy as np
import torch
from traitlets import TraitError

from mha_lab import _door
from mha_lab.attention import attention, split_heads
from mha_lab.masks import causal_mask, window_mask
from mha_lab.widgets._base import allowed_cells, numbers, plural, words

LIVE = {"causal": "masked", "window": "masked", "shuffle": "shuffled", "num_kv_heads": "shared"}
"""Traits that need the queries and keys themselves, and what they do to the maps."""


class Projection:
    """Heads cut from query and key (N, D) by any head count that divides D."""

    kind = "projection"
    moves = "num_heads", *LIVE

    def __init__(self, query, key, tokens: Sequence[str], mask=None, bias: bool = True):
        query, key = numbers("query", query, "(N, D)"), numbers("key", key, "(N, D)")
        if query.shape != key.shape:
            raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
        n, self.d_model = query.shape
        if self.d_model < 1:
            raise ValueError(f"query has shape {query.shape}: d_model must be at least 1.")
        self.query, self.key, self.tokens = query, key, words(tokens, n, "rows of query and key")
        self.mask = allowed_cells(mask, (n, n))
        self.head_counts = [h for h in range(1, self.d_model + 1) if self.d_model % h == 0]
        self.traits = {
            "_query": query.tobytes(),
            "_key": key.tobytes(),
            "_mask": b"" if self.mask is None else self.mask.astype(np.uint8).tobytes(),
            "tokens": self.tokens,
            "d_model": self.d_model,
            "bias": bias,
        }

    def check(self, name, value, state):
        if name == "num_heads" and value not in self.head_counts:
            divisors = ", ".join(map(str, self.head_counts))
            raise TraitError(
                f"d_model={self.d_model} cannot be split over num_heads={value}; what divides it: {divisors}."
            )
        if name == "num_kv_heads" and value and (value < 0 or state.num_heads % value):
            divisors = ", ".join(str(g) for g in range(1, state.num_heads + 1) if state.num_heads % g == 0)
            raise TraitError(
                f"num_kv_heads={value}: {plural(state.num_heads, 'head')} can share {divisors} heads of keys; "
                "0 leaves each its own."
            )
        if name == "window" and not 0 <= value < 2**53:  # what a page counts with exactly
            rule = "0 is no window, 1 leaves a query its own key, and it is below 2**53."
            raise TraitError(f"window={_door._short(value)}: {rule}")
        if name == "shuffle" and not 0 <= value < 2**32:
            raise TraitError(
                f"shuffle={_door._short(value)}: 0 leaves the columns in order; a seed is at most 2**32 - 1."
            )

    def sides(self, state):
        return self.tokens, self.tokens

    def keys(self):
        return [self.tokens]

    def allowed(self, state):
        n, masks = len(self.tokens), [] if self.mask is None else [self.mask]
        if state.causal:
            masks.append(causal_mask(n).numpy())
        if state.window:
            masks.append(window_mask(n, state.window).numpy())
        return np.logical_and.reduce(masks) if masks else None

    def weights(self, state):
        order = permutation(self.d_model, state.shuffle)
        query, key = (torch.tensor(data[:, order]).double()[None] for data in (self.query, self.key))
        query, key = split_heads(query, state.num_heads), split_heads(key, state.num_heads)
        if groups := state.num_kv_heads:
            means = key.unflatten(1, (groups, -1)).mean(dim=2)  # (1, G, N, K)
            key = means.repeat_interleave(state.num_heads // groups, dim=1)
        allowed = self.allowed(state)
        mask = None if allowed is None else torch.from_numpy(allowed)
        return attention(query, key, key, mask=mask)[1].numpy()


def permutation(width: int, seed: int) -> list[int]:
    """The order of `width` columns under this seed, 0 being as they are: a shuffle (Fisher and Yates) by a congruential
    generator (Numerical Recipes' constants) that the page computes in the same way, in whole numbers below 2⁵³."""
    order = list(range(width))
    if not seed:
        return order

    def step(state):
        return (1664525 * state + 1013904223) % 2**32

    state = step(seed)
    for i in range(width - 1, 0, -1):
        state = step(state)
        j = state * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order
