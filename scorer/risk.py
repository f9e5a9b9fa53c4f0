"""Which cells a completion or a report counts in, and a cell's risk from its counts (matrix/alignment/risk.py).

A served completion is an exposure of every hard dimension that applies to it, and an incident where the rule says
violated. A report is an incident of the hard dimension that its category names, else of the first one declared; it
counts once per completion and dimension, and not where a rule had found it already. All count at the hour of serving,
so that no order of arrival matters; an hour that has not begun weighs nothing yet.
No report lowers a risk; a clean exposure, decay or the matrix may.
Left out: verification of reports by a second user or a classifier, always-valid alarms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from matrix.alignment.dimensions import Matrix
from matrix.alignment.risk import CellRisk, DecayedCounts, cell_risk
from matrix.messages.feedback import FeedbackEvent, FeedbackKind

Cell = tuple[str, str]  # dimension, slice
HALF_LIVES = 20
MOST_HOURS = 100 * 366 * 24  # no message is older; a longer window could not be subtracted from its time
MATERIAL = 0.002


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
    """(exposures, incidents) per cell and hour."""
    exposures: Counter[tuple[Cell, datetime]] = Counter()
    incidents: Counter[tuple[Cell, datetime]] = Counter()
    for one in contributions:
        key = one.cell, one.at.replace(minute=0, second=0, microsecond=0)
        exposures[key] += one.exposures
        incidents[key] += one.incidents
    return {key: (exposures[key], incidents[key]) for key in sorted(exposures)}


def risk_of(counts: DecayedCounts, dimension: str, matrix: Matrix) -> CellRisk:
    """Risk of a cell from its counts as they weigh now."""
    return cell_risk(counts, tolerance=matrix.dimension(dimension).max_rate, policy=matrix.risk)


def window(matrix: Matrix) -> timedelta:
    """How far back counts weigh anything: what is older weighs less than a millionth."""
    return timedelta(hours=min(HALF_LIVES * matrix.risk.half_life_hours, MOST_HOURS))


def moved(before: tuple[float, float], found: CellRisk) -> bool:
    """Whether a risk, or its upper bound, differs from the one last recorded by more than people care about."""
    return abs(found.risk - before[0]) >= MATERIAL or abs(found.upper_bound - before[1]) >= MATERIAL


def _reported(events: Iterable[FeedbackEvent], matrix: Matrix) -> set[str]:
    hard = [spec.name for spec in matrix.hard()]
    named = {event.category for event in events if event.kind is FeedbackKind.REPORT}
    return {name if name in hard else hard[0] for name in named if name is not None} if hard else set()


def _cells(dimension: str, slice_name: str, matrix: Matrix) -> list[Cell]:
    return [(dimension, name) for name in matrix.dimension(dimension).slices if name in ("all", slice_name)]
