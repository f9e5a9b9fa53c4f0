"""Laws of levels, correlations and of the guard against chasing what cannot be learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import linregress, t

from matrix.alignment.levels import correlation, followed_level, group_covariance
from matrix.alignment.stall import CONFIDENCE, UPDATES, Patience, is_stalled

LAW = settings(deadline=None)
Array = NDArray[np.float64]
UNIT = arrays(np.float64, (4, 3, 3), elements=st.floats(0, 1).map(lambda x: round(x, 4)))
LEVEL = arrays(np.float64, (3,), elements=st.floats(0, 1))
CAP = np.array([0.5])


@LAW
@given(level=LEVEL, unit=UNIT)
def test_a_level_lies_between_what_was_believed_and_what_was_seen(level: Array, unit: Array) -> None:
    seen, after = unit.mean(axis=(0, 1)), followed_level(level, unit)
    assert (after >= np.minimum(level, seen) - 1e-12).all()
    assert (after <= np.maximum(level, seen) + 1e-12).all()


@LAW
@given(level=LEVEL, unit=UNIT, dim=st.integers(0, 2))
def test_a_level_without_a_value_stays(level: Array, unit: Array, dim: int) -> None:
    unit[..., dim] = np.nan
    assert followed_level(level, unit)[dim] == pytest.approx(level[dim])


def test_few_values_move_a_level_less_than_many() -> None:
    few, many = np.ones((1, 2, 1)), np.ones((100, 2, 1))
    zero = np.zeros(1)
    assert followed_level(zero, few)[0] == pytest.approx(0.1 * 2 / 52)
    assert followed_level(zero, few)[0] < followed_level(zero, many)[0] < 0.1


@LAW
@given(unit=UNIT, shift=arrays(np.float64, (4, 1, 3), elements=st.floats(-5, 5)))
def test_what_differs_between_prompts_does_not_enter_covariances(unit: Array, shift: Array) -> None:
    assert group_covariance(unit + shift) == pytest.approx(group_covariance(unit), abs=1e-9)


@LAW
@given(unit=UNIT)
def test_correlations_are_within_bounds_and_one_with_oneself(unit: Array) -> None:
    found = correlation(group_covariance(unit))
    assert np.isfinite(found).all()
    assert np.diag(found).tolist() == [1.0, 1.0, 1.0]
    assert np.abs(found).max() <= 1.0
    assert found == pytest.approx(found.T)


@LAW
@given(levels=st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=UPDATES, max_size=UPDATES))
def test_stalled_is_what_a_regression_of_the_levels_says(levels: list[float]) -> None:
    slow = linregress(range(UPDATES), levels)
    width = t.ppf((1 + CONFIDENCE) / 2, UPDATES - 2) * slow.stderr
    within = slow.slope - width <= 1e-12 and slow.slope + width >= -1e-12
    if abs(slow.slope - width) > 1e-9 and abs(slow.slope + width) > 1e-9:  # away from the rounding of the limit
        assert bool(is_stalled(np.array(levels)[:, None])[0]) is bool(within)


def followed(levels: list[float], weight: float = 0.5) -> Patience:
    patience = Patience.full(1)
    for level in levels:
        patience = patience.after(np.array([level]), np.array([weight]), CAP)
    return patience


def test_a_dimension_that_stays_at_its_cap_and_does_not_improve_lets_go() -> None:
    assert followed([0.2] * (UPDATES - 1)).left.tolist() == [1.0]
    assert followed([0.2] * UPDATES).left.tolist() == [0.5]
    assert followed([0.2] * (UPDATES + 1)).left.tolist() == [0.25]
    assert followed([0.2] * UPDATES).stalled().tolist() == [True]


@pytest.mark.parametrize("levels", [[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]])
def test_one_that_rises_or_is_pushed_down_keeps_its_weakness(levels: list[float]) -> None:
    assert followed(levels).left.tolist() == [1.0]


def test_one_below_its_cap_is_not_looked_at_and_one_that_leaves_it_counts_again() -> None:
    assert followed([0.2] * 9, weight=0.4).left.tolist() == [1.0]
    stalled = followed([0.2] * 8)
    assert stalled.after(np.array([0.2]), np.array([0.4]), CAP).left.tolist() == [1.0]
