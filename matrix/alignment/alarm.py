"""Evidence that a rate is above its tolerance, valid whenever one looks: a betting e-process.

Somebody starts with 1 and bets, event after event, that incidents come oftener than the tolerance allows; while they do
not, no strategy is expected to gain (Ville's inequality: capital 20 is reached with probability 1/20 at most, however
often one looks). The strategy is a mixture of fixed bets, the likelihood ratios of some higher rates (Waudby-Smith and
Ramdas, arXiv:2010.09686), so the order of events does not matter: late ones and a replay give the same capital.
An observation may be a fraction, as where a classifier's hit counts by its precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]
ALARM = 20.0  # capital; false alarms, ever: at most one in twenty
BETS = 8  # rates in the mixture
NEAREST = 1.25  # times the tolerance: the lowest of them
FURTHEST = 0.9  # the highest


@dataclass(frozen=True)
class Evidence:
    """Of one cell against its tolerance."""

    log_capital: Array  # (BETS,)

    @staticmethod
    def none() -> Evidence:
        """Nothing was seen."""
        return Evidence(np.zeros(BETS))

    @property
    def e_value(self) -> float:
        """The mixture's capital."""
        return float(np.exp(logsumexp(self.log_capital) - np.log(BETS)))

    @property
    def alarms(self) -> bool:
        """Whether the rate is above the tolerance, with a false alarm in at most one cell of twenty, ever."""
        return self.e_value >= ALARM

    def after(self, observed: Sequence[float] | Array, tolerance: float) -> Evidence:
        """With more observations in [0, 1]: 1 an incident, 0 none. `tolerance` in (0, FURTHEST)."""
        seen = np.asarray(observed, dtype=np.float64)
        stakes = _stakes(tolerance)
        gains = np.log1p(stakes[:, None] * (seen[None, :] - tolerance)).sum(axis=1)
        return Evidence(self.log_capital + gains)


@lru_cache(maxsize=256)
def _stakes(tolerance: float) -> Array:
    """The bets under which an incident multiplies capital by rate / tolerance, and none by (1-rate) / (1-tolerance)."""
    rates = np.geomspace(min(NEAREST * tolerance, FURTHEST), FURTHEST, BETS)
    return np.asarray((rates - tolerance) / (tolerance * (1.0 - tolerance)), dtype=np.float64)
