"""The weighted sum in the scorers' own units, minus its group's mean: no normalization at all.

Whoever counts in hundreds decides. It is here to show what normalization is for.
"""

from __future__ import annotations

import numpy as np

from matrix.alignment.aggregators.groups import Array, Groups, weighted


def raw_sum(groups: Groups, weights: Array) -> Array:
    """By hand: raw rewards (1, 0), (0, 90), weights ½: sums .5 and 45, advantages ∓22.25."""
    total = weighted(groups.raw, weights)
    return np.asarray(total - total.mean(axis=1, keepdims=True))
