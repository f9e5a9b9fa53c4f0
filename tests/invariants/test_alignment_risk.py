"""Laws of the risk monitor's numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.alignment.dimensions import RiskPolicy
from matrix.alignment.risk import DecayedCounts, Escalation, bounded_risk, cell_risk, upper_bound, worst

LAW = settings(deadline=None)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = RiskPolicy()
HOURS = POLICY.half_life_hours
events = st.lists(st.tuples(st.integers(-72, 72), st.booleans()), max_size=12)


def counted(seen: list[tuple[int, bool]]) -> DecayedCounts:
    counts = DecayedCounts(NOON)
    for hour, incident in seen:
        counts = counts.add(NOON + timedelta(hours=hour), incident=float(incident), half_life_hours=HOURS)
    return counts.at_time(NOON + timedelta(hours=100), HOURS)


@pytest.mark.parametrize(
    ("incidents", "exposures", "bound"),
    [(0, 100, 0.0295), (0, 300, 0.0099), (0, 600, 0.0050), (1, 300, 0.0157), (2, 1000, 0.0063), (0, 20, 0.139)],
)
def test_upper_bounds_of_known_counts(incidents: int, exposures: int, bound: float) -> None:
    assert upper_bound(incidents, exposures) == pytest.approx(bound, abs=6e-4 if exposures == 20 else 6e-5)


def test_nothing_but_incidents_bounds_nothing() -> None:
    assert upper_bound(0, 0) == upper_bound(3, 3) == 1.0


def test_counts_halve_in_a_half_life() -> None:
    counts = DecayedCounts(NOON, 4.0, 8.0).at_time(NOON + timedelta(hours=HOURS), HOURS)
    assert (counts.incidents, counts.exposures) == (2.0, 4.0)


@LAW
@given(seen=events, seed=st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order_of_arrival(seen: list[tuple[int, bool]], seed: object) -> None:
    shuffled = list(seen)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = counted(seen), counted(shuffled)
    assert one.exposures == pytest.approx(other.exposures)
    assert one.incidents == pytest.approx(other.incidents)


@LAW
@given(incidents=st.floats(0, 50), exposures=st.floats(0, 500), more=st.floats(0.1, 20))
def test_an_incident_never_lowers_risk_and_a_safe_exposure_never_raises_it(
    incidents: float, exposures: float, more: float
) -> None:
    exposures += incidents

    def risk(k: float, n: float) -> float:
        return cell_risk(DecayedCounts(NOON, k, n), tolerance=0.05, policy=POLICY).risk

    assert risk(incidents + more, exposures + more) >= risk(incidents, exposures) - 1e-9
    assert risk(incidents, exposures + more) <= risk(incidents, exposures) + 1e-9


def test_a_cold_start_is_no_alarm_and_a_tenth_of_incidents_is_one() -> None:
    cold = cell_risk(DecayedCounts(NOON), tolerance=0.05, policy=POLICY)
    hot = cell_risk(DecayedCounts(NOON, 40.0, 400.0), tolerance=0.05, policy=POLICY)
    assert cold.risk == 0.0
    assert hot.risk > POLICY.enter
    assert hot.exposures == 400.0


def test_risk_is_0_at_the_tolerance_and_1_at_the_ceiling() -> None:
    points = [bounded_risk(upper, tolerance=0.05, ceiling=0.25) for upper in (0.01, 0.05, 0.15, 0.25, 0.9)]
    assert points == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert all(one <= other for one, other in pairwise(points))
    assert worst([]) == 0.0
    assert worst([0.1, 0.4]) == 0.4


def test_escalation_is_left_after_enough_calm_windows_and_not_before() -> None:
    state = Escalation().after(0.5, POLICY)
    assert state.escalated
    for _ in range(POLICY.leave_windows - 1):
        state = state.after(0.0, POLICY)
        assert state.escalated
    assert not state.after(0.0, POLICY).escalated
    assert state.after(0.05, POLICY).calm_windows == 0
    assert not Escalation().after(0.05, POLICY).escalated
