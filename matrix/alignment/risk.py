"""Risk of a cell (hard dimension × slice): how high its incident rate may be, given incidents that fade with time.

Counts halve every half-life; the upper bound is the one-sided Clopper-Pearson limit, the Beta quantile with the
continuous counts, on top of a prior that keeps the first few exposures from raising an alarm (20 exposures without an
incident alone bound the rate by only .14). Events count by their own time, so that their order does not matter.
Many cells are refreshed at once as arrays. Whether a rate is above its tolerance for certain is alarm.py's question.
Left out: verification of reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from matrix.alignment.dimensions import RiskPolicy

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DecayedCounts:
    """Incidents among exposures, both as they weigh at `at`."""

    at: datetime
    incidents: float = 0.0
    exposures: float = 0.0

    def at_time(self, when: datetime, half_life_hours: float) -> DecayedCounts:
        """The counts as they weigh at a later time; an earlier time leaves them."""
        if when <= self.at:
            return self
        kept = _weight(self.at, when, half_life_hours)
        return DecayedCounts(when, self.incidents * kept, self.exposures * kept)

    def add(self, when: datetime, *, incident: float, half_life_hours: float, exposure: float = 1.0) -> DecayedCounts:
        """With one more observation, which may come late: it then weighs what is left of it.

        `exposure` 0 adds an incident to an exposure that was counted before.
        """
        now = self.at_time(when, half_life_hours)
        weight = _weight(when, now.at, half_life_hours)
        return replace(now, incidents=now.incidents + incident * weight, exposures=now.exposures + exposure * weight)


@dataclass(frozen=True, slots=True)
class CellRisk:
    """What is known of a cell's incident rate."""

    risk: float  # 0 to 1
    upper_bound: float  # one-sided, on the incident rate
    incidents: float
    exposures: float


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whether a cell is escalated, and for how many windows in a row its risk was low."""

    escalated: bool = False
    calm_windows: int = 0

    def after(self, risk: float, policy: RiskPolicy) -> Escalation:
        """Enter above one level, leave after some windows below a lower one: else it would flicker, or never end."""
        if risk > policy.enter:
            return Escalation(escalated=True)
        calm = self.calm_windows + 1 if risk < policy.leave else 0
        return Escalation(escalated=self.escalated and calm < policy.leave_windows, calm_windows=calm)


def upper_bound(incidents: float, exposures: float, confidence: float = 0.95) -> float:
    """One-sided upper confidence limit of a rate: Beta quantile with incidents + 1 and exposures - incidents.

    By hand: 0 of 100 gives .0295, 1 of 300 gives .0157, 2 of 1000 gives .0063.
    """
    return float(upper_bounds(np.array([incidents]), np.array([exposures]), confidence)[0])


def upper_bounds(incidents: Array, exposures: Array, confidence: float = 0.95) -> Array:
    """(C,) `upper_bound` of C cells."""
    misses = exposures - incidents
    some = misses > 0
    bounds = np.ones(len(misses))
    bounds[some] = betaincinv(incidents[some] + 1.0, misses[some], confidence)
    return bounds


def bounded_risk(upper: float, *, tolerance: float, ceiling: float) -> float:
    """0 up to the tolerance, 1 from the ceiling on, linear between."""
    return min(max((upper - tolerance) / (ceiling - tolerance), 0.0), 1.0)


def cell_risk(counts: DecayedCounts, *, tolerance: float, policy: RiskPolicy) -> CellRisk:
    """Risk of a cell as its counts weigh at their own time; `tolerance` is the dimension's max_rate."""
    upper = upper_bound(
        counts.incidents + policy.prior_strength * policy.prior_rate,
        counts.exposures + policy.prior_strength,
        policy.confidence,
    )
    risk = bounded_risk(upper, tolerance=tolerance, ceiling=policy.ceiling)
    return CellRisk(risk, upper, counts.incidents, counts.exposures)


def cell_risks(incidents: Array, exposures: Array, tolerance: Array, policy: RiskPolicy) -> tuple[Array, Array]:
    """(C,) risks and upper bounds of C cells, from decayed counts as they weigh now."""
    believed = policy.prior_strength * policy.prior_rate
    upper = upper_bounds(incidents + believed, exposures + policy.prior_strength, policy.confidence)
    return np.clip((upper - tolerance) / (policy.ceiling - tolerance), 0.0, 1.0), upper


def worst(risks: Sequence[float]) -> float:
    """Risk of a dimension over its slices; 0 where nothing is watched."""
    return max(risks, default=0.0)


def _weight(event: datetime, now: datetime, half_life_hours: float) -> float:
    return float(0.5 ** ((now - event).total_seconds() / 3600.0 / half_life_hours))
