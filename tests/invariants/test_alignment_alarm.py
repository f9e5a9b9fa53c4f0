"""Laws of the betting alarm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.alignment.alarm import ALARM, Evidence

LAW = settings(deadline=None)
EVENTS = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), max_size=40)
TOLERANCE = st.floats(0.005, 0.5)


@LAW
@given(events=EVENTS, tolerance=TOLERANCE, data=st.data())
def test_the_order_of_events_does_not_matter(events: list[float], tolerance: float, data: st.DataObject) -> None:
    turned = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    at_once = Evidence.none().after(events, tolerance)
    in_parts = Evidence.none().after(turned[:cut], tolerance).after(turned[cut:], tolerance)
    assert in_parts.log_capital == pytest.approx(at_once.log_capital, abs=1e-9)


@LAW
@given(tolerance=TOLERANCE)
def test_no_bet_is_expected_to_gain_at_the_tolerance(tolerance: float) -> None:
    hit, miss = (Evidence.none().after([x], tolerance).e_value for x in (1.0, 0.0))
    assert tolerance * hit + (1 - tolerance) * miss == pytest.approx(1.0, abs=1e-9)


@LAW
@given(events=EVENTS, tolerance=TOLERANCE)
def test_an_incident_never_lowers_the_evidence(events: list[float], tolerance: float) -> None:
    before = Evidence.none().after(events, tolerance)
    assert before.after([1.0], tolerance).e_value >= before.e_value


def test_at_the_tolerance_at_most_one_cell_of_twenty_ever_alarms() -> None:
    draw = np.random.default_rng(1)
    alarmed = 0
    for _ in range(400):
        evidence = Evidence.none()
        for _ in range(40):  # looked at every 25 events
            evidence = evidence.after((draw.random(25) < 0.05).astype(float), 0.05)
            if evidence.alarms:
                alarmed += 1
                break
    assert alarmed / 400 <= 1 / ALARM + 0.03  # three standard errors


def test_a_rate_of_three_times_the_tolerance_is_found() -> None:
    draw = np.random.default_rng(2)
    assert Evidence.none().after((draw.random(400) < 0.15).astype(float), 0.05).alarms
