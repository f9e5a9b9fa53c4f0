"""Laws of the tri-factor weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matrix.alignment.projection import project
from matrix.alignment.weights import Standing, WeightConfig, redundancy_factor, update_weights
from matrix.errors import InvalidInput

LAW = settings(deadline=None)

Array = NDArray[np.float64]
N = 4
RAW = WeightConfig(floor=0.0)
OFF = WeightConfig(weakness_exponent=0, risk_exponent=0, redundancy_exponent=0, floor=0.0)


def worked_by_hand() -> Standing:
    correlation = np.eye(4)
    correlation[0, 1] = correlation[1, 0] = 0.9
    return Standing(
        prior=np.full(4, 0.25),
        level=np.array([0.2, 0.8, 0.95, 0.5]),
        target=np.array([0.8, 0.8, 0.99, 0.9]),
        reference=np.array([0.0, 0.4, 0.9, 0.1]),
        risk=np.array([0.0, 0.0, 0.5, 0.0]),
        severity=np.array([1.0, 1.0, 3.0, 1.0]),
        correlation=correlation,
        tier=np.ones(4, dtype=int),
        cap=np.ones(4),
        escalated=np.zeros(4, dtype=bool),
    )


@st.composite
def standings(draw: st.DrawFn, n: int = N, least_correlation: float = -1.0, most_correlation: float = 1.0) -> Standing:
    def vector(low: float, high: float) -> Array:
        return np.array(draw(st.lists(st.floats(low, high), min_size=n, max_size=n)))

    upper = draw(st.lists(st.floats(least_correlation, most_correlation), min_size=n * n, max_size=n * n))
    square = np.triu(np.array(upper).reshape(n, n), 1)
    return Standing(
        prior=vector(0.1, 3.0),
        level=vector(0, 1),
        target=vector(0, 1),
        reference=vector(0, 1),
        risk=vector(0, 1),
        severity=np.array(draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=n, max_size=n))),
        correlation=square + square.T + np.eye(n),
        tier=np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))),
        cap=np.full(n, 0.5),
        escalated=np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))),
    )


def uncapped(now: Standing) -> Standing:
    return replace(now, cap=np.ones(len(now.cap)))


def start(now: Standing) -> Array:
    return project(now.prior / now.prior.sum(), np.full(len(now.prior), 0.02), now.cap)


def test_factors_and_weights_of_the_case_worked_by_hand() -> None:
    raw = update_weights(worked_by_hand(), None, RAW)
    assert raw.weakness == pytest.approx([2.5, 1, 1.888889, 2], abs=1e-6)
    assert raw.risk == pytest.approx([1, 1, 5.5, 1])
    assert raw.redundancy == pytest.approx([0.576471, 0.576471, 1, 1], abs=1e-6)
    assert raw.values == pytest.approx([0.100036, 0.040015, 0.721123, 0.138826], abs=1e-6)
    bounded = update_weights(replace(worked_by_hand(), cap=np.full(4, 0.5)), None)
    assert bounded.values == pytest.approx([0.173744, 0.113722, 0.5, 0.212534], abs=1e-6)


def test_projection_of_the_case_worked_by_hand() -> None:
    found = project(np.array([0.7, 0.2, 0.05, 0.05]), np.full(4, 0.1), np.full(4, 0.5))
    assert found == pytest.approx([0.5, 0.266667, 0.116667, 0.116667], abs=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.5), (0.0, 0.2), (0.3, 0.25)])
def test_bounds_between_which_nothing_fits_are_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidInput):
        project(np.full(4, 0.25), np.full(4, low), np.full(4, high))


@LAW
@given(now=standings(), smoothing=st.floats(0, 1))
def test_I_W_1_weights_are_a_distribution_above_the_floor(now: Standing, smoothing: float) -> None:
    values = update_weights(now, start(now), WeightConfig(smoothing=smoothing)).values
    assert np.isfinite(values).all()
    assert values.sum() == pytest.approx(1.0, abs=1e-9)
    assert (values >= 0.02 - 1e-9).all()


@LAW
@given(now=standings(), cap=st.floats(0.05, 0.5))
def test_no_dimension_that_is_not_escalated_exceeds_its_own_cap(now: Standing, cap: float) -> None:
    now = replace(now, cap=np.array([cap, 0.5, 0.5, 0.5]), escalated=np.zeros(N, dtype=bool))
    assert update_weights(now, start(now)).values[0] <= cap + 1e-9


@LAW
@given(now=standings(), order=st.permutations(range(N)))
def test_I_W_2_the_order_of_dimensions_does_not_matter(now: Standing, order: list[int]) -> None:
    turned = Standing(
        **{
            name: getattr(now, name)[order]
            for name in ("prior", "level", "target", "reference", "risk", "severity", "tier", "cap", "escalated")
        },
        correlation=now.correlation[np.ix_(order, order)],
    )
    before = update_weights(now, start(now)).values[order]
    assert update_weights(turned, start(now)[order]).values == pytest.approx(before, abs=1e-9)


@LAW
@given(now=standings())
def test_I_W_3_without_factors_the_weights_are_the_prior(now: Standing) -> None:
    assert update_weights(uncapped(now), None, OFF).values == pytest.approx(now.prior / now.prior.sum(), abs=1e-9)


@LAW
@given(now=standings(most_correlation=0.3))
def test_I_W_4_a_clone_takes_half_of_the_original_and_nothing_of_the_others(now: Standing) -> None:
    now = uncapped(now)
    twice = [*range(N), 0]
    cloned = Standing(
        **{
            name: getattr(now, name)[twice]
            for name in ("prior", "level", "target", "reference", "risk", "severity", "tier", "cap", "escalated")
        },
        correlation=now.correlation[np.ix_(twice, twice)],
    )
    before, after = update_weights(now, None, RAW).values, update_weights(cloned, None, RAW).values
    assert after[[0, N]] == pytest.approx([before[0] / 2, before[0] / 2], abs=1e-9)
    assert after[1:N] == pytest.approx(before[1:], abs=1e-9)


@LAW
@given(now=standings(), dim=st.integers(0, N - 1), more=st.floats(0, 1))
def test_I_W_5_more_risk_never_lowers_a_weight_nor_raises_another(now: Standing, dim: int, more: float) -> None:
    now = uncapped(now)
    risk = now.risk.copy()
    risk[dim] = min(1.0, risk[dim] + more)
    before = update_weights(now, None, RAW).values
    gain = update_weights(replace(now, risk=risk), None, RAW).values - before
    assert gain[dim] >= -1e-12
    assert (np.delete(gain, dim) <= 1e-12).all()


@LAW
@given(now=standings(), dim=st.integers(0, N - 1), less=st.floats(0, 1))
def test_I_W_6_being_weaker_never_lowers_a_weight(now: Standing, dim: int, less: float) -> None:
    now = uncapped(now)
    level = now.level.copy()
    level[dim] -= less
    before = update_weights(now, None, RAW).values[dim]
    assert update_weights(replace(now, level=level), None, RAW).values[dim] >= before - 1e-12


@LAW
@given(now=standings(), previous=standings(), smoothing=st.floats(0, 1))
def test_I_W_7_an_escalated_dimension_keeps_its_weight(now: Standing, previous: Standing, smoothing: float) -> None:
    before = start(previous)
    after = update_weights(now, before, WeightConfig(smoothing=smoothing)).values
    assert (after[now.escalated] >= before[now.escalated] - 1e-9).all()


@LAW
@given(now=standings(), previous=standings(), smoothing=st.floats(0, 1))
def test_I_W_7_holds_within_caps_where_escalation_does_not_lift_them(
    now: Standing, previous: Standing, smoothing: float
) -> None:
    before = start(previous)
    config = WeightConfig(smoothing=smoothing, escalation_lifts_caps=False)
    after = update_weights(now, before, config).values
    assert (after[now.escalated] >= before[now.escalated] - 1e-9).all()
    assert (after <= now.cap + 1e-9).all()


@LAW
@given(now=standings())
def test_I_W_8_a_hard_dimension_is_discounted_for_hard_ones_only(now: Standing) -> None:
    alone = np.array([0, 1, 1, 1])
    assert redundancy_factor(now.correlation, alone, 0.3)[0] == 1.0
