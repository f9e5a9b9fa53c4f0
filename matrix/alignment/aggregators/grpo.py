"""Sum, then normalise: GRPO (arXiv:2402.03300) on the weighted sum of rewards in the scorers' own units.

The group's deviation undoes the scale of the sum, not that of its parts: the reward that varies most decides, and
different rewards with the same sum get the same advantage. A constant group gets 0 where the paper adds an epsilon.
"""

from __future__ import annotations

from matrix.alignment.aggregators.groups import Array, Groups, in_deviations, weighted


def grpo(groups: Groups, weights: Array) -> Array:
    """By hand: raw rewards (1, 0), (0, 90), weights ½: advantages -1 and 1."""
    return in_deviations(weighted(groups.raw, weights)[:, :, None])[:, :, 0]
