"""Each reward in deviations of its own group, then summed: MO-GRPO (arXiv:2509.22047).

Every reward then varies alike within a group, whatever its unit. The price: a reward that hardly varies in a group
counts there as much as one that does, and a completion's reward depends on the others that were drawn with it.
"""

from __future__ import annotations

import numpy as np

from matrix.alignment.aggregators.groups import Array, Groups, in_deviations


def mo_grpo(groups: Groups, weights: Array) -> Array:
    """By hand: raw rewards (1, 0), (0, 90), weights ½: (1, -1) and (-1, 1) cancel, advantages 0 and 0."""
    return np.asarray(in_deviations(groups.raw) @ weights)
