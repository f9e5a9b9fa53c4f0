"""Hypervolume-guided rewards (arXiv:2509.11452): a policy that widens the Pareto front is rewarded more, in all.

The paper multiplies rewards by .5 + 1.5·tanh(Δ), where Δ is the volume that the newest policy adds to what earlier
ones dominate above the reference policy. Our reading: Δ from the batch's mean rewards on the unit scale, as a share of
the box from the reference policy's means up to 1; the factor after the group's normalization, which would cancel it;
the volume by counting a fixed set of POINTS spread evenly over the box, which stays cheap in many dimensions. There the
volume is next to nothing while one dimension stands at its reference level, and the factor stays near its lowest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.aggregators.groups import Aggregator, Array, Groups, in_deviations, weighted

POINTS = 4096
LEAST, SWING = 0.5, 1.5
LEAST_ROOM = 1e-9


@dataclass(frozen=True)
class HypervolumeGuided:
    """With the points that some policy so far dominates."""

    dominated: NDArray[np.bool_] | None = None  # (POINTS,)

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        before = np.zeros(POINTS, dtype=bool) if self.dominated is None else self.dominated
        here = _dominated(groups)
        added = float((here & ~before).sum()) / POINTS
        factor = LEAST + SWING * float(np.tanh(added))
        advantages = in_deviations(weighted(groups.unit, groups.prior)[:, :, None])[:, :, 0]
        return factor * advantages, HypervolumeGuided(before | here)


def _dominated(groups: Groups) -> NDArray[np.bool_]:
    """Points of the box below the batch's means; an unknown dimension stands at its reference."""
    known = ~np.isnan(groups.unit)
    total = np.where(known, groups.unit, 0.0).sum(axis=(0, 1))
    count = known.sum(axis=(0, 1))
    level = np.where(count > 0, total / np.maximum(count, 1), groups.stats.mean)
    risen = (level - groups.stats.mean) / np.maximum(1.0 - groups.stats.mean, LEAST_ROOM)
    return np.asarray((_points(len(level)) < risen).all(axis=1))


@lru_cache(maxsize=16)
def _points(n: int) -> Array:
    """(POINTS, n) in the unit box: multiples of one irrational per dimension, the additive recurrence of Kronecker."""
    root = 2.0
    for _ in range(60):  # root^(n+1) = root + 1
        root = (1.0 + root) ** (1.0 / (n + 1))
    steps = root ** -np.arange(1, n + 1)
    return np.asarray((0.5 + np.arange(POINTS)[:, None] * steps) % 1.0)
