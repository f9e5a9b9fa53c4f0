"""A guard against chasing what cannot be learned: a dimension that stays at its cap and does not improve lets go.

Weakness raises weights, so a target out of reach, or a reward that says something else than it should, would hold its
cap for ever and starve the others. After some updates at the cap without a rise that a test would tell from none, its
weakness factor fades towards 1, and a person is told. As soon as it is off its cap, or rises, it counts again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
UPDATES = 5  # at the cap in a row before it is looked at
CONFIDENCE = 0.90  # two-sided, of the interval of the slope
FADING = 0.5  # of what is left of the factor, per update
AT_CAP = 1e-6
EXACT = 1e-12  # of a level: what moves less does not move
_CENTRED = np.arange(UPDATES) - (UPDATES - 1) / 2.0
_QUANTILE = float(stdtrit(UPDATES - 2, (1.0 + CONFIDENCE) / 2.0))  # of Student's t


@dataclass(frozen=True)
class Patience:
    """How much of each dimension's weakness still counts, and the levels that decide it."""

    left: Array  # (N,) 1: all of it, towards 0: none
    levels: Array  # (UPDATES, N) of the last updates, the newest last; NaN where it was not at its cap

    @staticmethod
    def full(n: int) -> Patience:
        """Nothing is known against anybody."""
        return Patience(np.ones(n), np.full((UPDATES, n), np.nan))

    def after(self, level: Array, weights: Array, cap: Array) -> Patience:
        """After an update that gave these weights at these levels."""
        seen = np.where(weights >= cap - AT_CAP, level, np.nan)
        levels = np.concatenate([self.levels[1:], seen[None]])
        fading = is_stalled(levels)
        return Patience(np.where(fading, self.left * FADING, 1.0), levels)

    def stalled(self) -> NDArray[np.bool_]:
        """(N,) dimensions to tell a person of."""
        return np.asarray(self.left < 1.0)


def is_stalled(levels: Array) -> NDArray[np.bool_]:
    """(N,) from (UPDATES, N) levels: at the cap all the time, with a slope whose interval holds 0.

    Ordinary least squares with Student's t. One that falls is not unlearnable: it is worked against, or forgotten.
    """
    slope = _CENTRED @ levels / (_CENTRED @ _CENTRED)
    residuals = levels - levels.mean(axis=0) - _CENTRED[:, None] * slope
    variance = (residuals**2).sum(axis=0) / (UPDATES - 2) / (_CENTRED @ _CENTRED)
    width = _QUANTILE * np.sqrt(variance)
    return np.asarray((slope - width <= EXACT) & (slope + width >= -EXACT))  # NaN is neither
