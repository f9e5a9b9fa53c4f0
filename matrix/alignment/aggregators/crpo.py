"""CRPO-like (Clinical-R1, arXiv:2512.00601): GRPO on the sum of what rules can verify, and of nothing else.

The paper sums rule-based rewards for accuracy, faithfulness and comprehensiveness with fixed weights and normalises
within the group. Our reading: the dimensions marked verifiable, on the unit scale, with their declared weights. What
only a model or a person judges is left out, which is the method's point and its price. Where nothing is verifiable,
nothing is learned.
"""

from __future__ import annotations

import numpy as np

from matrix.alignment.aggregators.groups import Array, Groups, in_deviations, weighted


def crpo_like(groups: Groups, weights: Array) -> Array:
    """Advantages of the verifiable part."""
    kept = np.where(groups.verifiable, weights, 0.0)
    return in_deviations(weighted(groups.unit, kept)[:, :, None])[:, :, 0]
