"""Exercises of lesson 00: find a head by what it does, in recorded maps of a trained encoder."""

from collections.abc import Sequence

import numpy as np

from mha_lab.checks import pictures
from mha_lab.checks.compare import a_thing
from mha_lab.checks.engine import answer_exercise

THE_SENTENCE = "the trophy did not fit in the suitcase because it was too big"


def previous_token(weights: np.ndarray) -> float:
    """Mean weight that each token but the first gives to the token before it. weights (N, N)."""
    return float(np.diagonal(weights, -1).mean())


def next_token(weights: np.ndarray) -> float:
    """Mean weight that each token but the last gives to the token after it. weights (N, N)."""
    return float(np.diagonal(weights, 1).mean())
