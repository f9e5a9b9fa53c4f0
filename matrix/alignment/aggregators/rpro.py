"""RPRO-like (arXiv:2509.00974): the completions of a group ranked, and rewards linear in the rank.

The paper ranks reasoning chains by their overall quality and fits a groupwise Bradley-Terry model to linear rewards.
At the policy that drew them that model's gradient is linear in the rank as well, so our reading is the advantage
(ranked below - ranked above) / (G - 1), from -1 to 1, on the weighted sum of unit rewards; ties share. Only the order
counts: neither units nor distances do. The paper's rewriting of bad chains and its templates are left out.
"""

from __future__ import annotations

import numpy as np

from matrix.alignment.aggregators.groups import ROUNDING, Array, Groups, weighted


def rpro_like(groups: Groups, weights: Array) -> Array:
    """By hand: sums .2, .9, .2, .5: advantages -⅔, 1, -⅔, ⅓."""
    total = weighted(groups.unit, weights)
    apart = total[:, :, None] - total[:, None, :]
    above = np.where(np.abs(apart) > ROUNDING, np.sign(apart), 0.0)
    return np.asarray(above.sum(axis=2) / max(total.shape[1] - 1, 1))
