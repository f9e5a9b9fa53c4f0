"""Which cells a completion or a report counts in, and a cell's risk from its counts (matrix/alignment/risk.py).

A served completion is an exposure of every hard dimension that applies to it, and an incident where the rule says
violated. A report is an incident of the hard dimension that its category names, else of the first one declared; it
counts once per completion and dimension, and not where a rule had found it already. All count at the time of serving,
so that no order of arrival matters. No report lowers a risk; a clean exposure, decay or the matrix may.
Left out: verification of reports by a second user or a classifier, always-valid alarms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from matrix.alignment.dimensions import Matrix
from matrix.alignment.risk import CellRisk, DecayedCounts, cell_risk
from matrix.messages.feedback import FeedbackEvent, FeedbackKind

Cell = tuple[str, str]  # dimension, slice


@dataclass(frozen=True, slots=True)
class Counted:
    """Whole numbers of one cell and one minute."""

    minute: datetime
    exposures: int
    incidents: int


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one completion adds to one cell."""

    cell: Cell
    at: datetime
    exposures: int
    incidents: int


def of_completion(
    scores: Mapping[str, float | None], slice_name: str, served_at: datetime, matrix: Matrix
) -> list[Contribution]:
    """Exposures, and incidents by rule."""
    return [
        Contribution(cell, served_at, 1, int(value >= 0.5))
        for spec in matrix.hard()
        if (value := scores.get(spec.name)) is not None
        for cell in _cells(spec.name, slice_name, matrix)
    ]


def of_reports(
    before: Iterable[FeedbackEvent],
    new: Iterable[FeedbackEvent],
    scores: Mapping[str, float | None],
    slice_name: str,
    served_at: datetime,
    matrix: Matrix,
) -> list[Contribution]:
    """Incidents that reports add to a completion that was counted, given the reports that had been counted."""
    added = sorted(_reported(new, matrix) - _reported(before, matrix))
    return [
        Contribution(cell, served_at, int(scores.get(name) is None), 1)
        for name in added
        if (scores.get(name) or 0.0) < 0.5
        for cell in _cells(name, slice_name, matrix)
    ]


def total(contributions: Iterable[Contribution]) -> dict[tuple[Cell, datetime], tuple[int, int]]:
    """(exposures, incidents) per cell and minute."""
    exposures: Counter[tuple[Cell, datetime]] = Counter()
    incidents: Counter[tuple[Cell, datetime]] = Counter()
    for one in contributions:
        key = one.cell, one.at.replace(second=0, microsecond=0)
        exposures[key] += one.exposures
        incidents[key] += one.incidents
    return {key: (exposures[key], incidents[key]) for key in sorted(exposures)}


def risk_at(counts: Iterable[Counted], dimension: str, at: datetime, matrix: Matrix) -> CellRisk:
    """Risk of a cell at a moment; what is dated later weighs as if it were of that moment."""
    weighed = [(one, 0.5 ** (_hours(one.minute, at) / matrix.risk.half_life_hours)) for one in counts]
    incidents = math.fsum(one.incidents * weight for one, weight in weighed)
    exposures = math.fsum(one.exposures * weight for one, weight in weighed)
    tolerance = matrix.dimension(dimension).max_rate
    return cell_risk(DecayedCounts(at, incidents, exposures), tolerance=tolerance, policy=matrix.risk)


def _hours(earlier: datetime, later: datetime) -> float:
    return max((later - earlier).total_seconds() / 3600.0, 0.0)


def _reported(events: Iterable[FeedbackEvent], matrix: Matrix) -> set[str]:
    hard = [spec.name for spec in matrix.hard()]
    named = {event.category for event in events if event.kind is FeedbackKind.REPORT}
    return {name if name in hard else hard[0] for name in named if name is not None} if hard else set()


def _cells(dimension: str, slice_name: str, matrix: Matrix) -> list[Cell]:
    return [(dimension, name) for name in matrix.dimension(dimension).slices if name in ("all", slice_name)]
