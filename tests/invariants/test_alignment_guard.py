"""Laws of the covariance guard and of projections, against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmarks import matrix_twin
from matrix.alignment.guard import alignment, guard, shares
from matrix.alignment.projection import nearest_keeping, project

LAW = settings(deadline=None)
Array = NDArray[np.float64]
N = 4

WEIGHTS = arrays(np.float64, (N,), elements=st.floats(0.05, 1).map(lambda x: round(x, 4))).map(lambda w: w / w.sum())
ROOTS = arrays(np.float64, (N, N), elements=st.floats(-2, 2).map(lambda x: round(x, 3)))
COVARIANCE = ROOTS.map(lambda root: root @ root.T)
MUST = arrays(np.bool_, (N,))
EQUAL = np.ones(N)


def dykstra(weights: Array, covariance: Array, must: NDArray[np.bool_], rounds: int = 300) -> Array:
    """The same projection by alternating between the simplex and the half-spaces (Boyle and Dykstra, 1986)."""
    x, held = weights.copy(), np.flatnonzero(must)
    corrections = [np.zeros(len(x)) for _ in range(len(held) + 1)]
    for _ in range(rounds):
        y = x + corrections[0]
        x = project(y, np.zeros(len(x)), np.ones(len(x)))
        corrections[0] = y - x
        for k, i in enumerate(held, start=1):
            y, row = x + corrections[k], covariance[i]
            x = y - min(row @ y, 0.0) * row / max(row @ row, 1e-300)
            corrections[k] = y - x
    return project(x, np.zeros(len(x)), np.ones(len(x)))


def test_the_guard_of_the_case_worked_by_hand() -> None:
    found = guard(np.array([0.9, 0.1]), np.array([[1, -0.8], [-0.8, 1]]), np.array([False, True]), np.ones(2))
    assert found.values == pytest.approx([0.555556, 0.444444], abs=1e-6)
    assert found.given_up == ()


@LAW
@given(weights=arrays(np.float64, (N,), elements=st.floats(-3, 3)), low=st.floats(0, 0.25), high=st.floats(0.25, 1))
def test_projection_is_the_one_that_bisection_finds(weights: Array, low: float, high: float) -> None:
    lows, highs = np.full(N, low), np.full(N, high)
    assert project(weights, lows, highs) == pytest.approx(matrix_twin.project(weights, lows, highs), abs=1e-9)


@LAW
@given(weights=WEIGHTS, covariance=COVARIANCE, must=MUST)
def test_the_guard_keeps_its_promises_or_says_which_it_gave_up(
    weights: Array, covariance: Array, must: NDArray[np.bool_]
) -> None:
    found = guard(weights, covariance, must, EQUAL)
    held = must.copy()
    held[list(found.given_up)] = False
    scale = 1e-9 * max(1.0, float(np.abs(covariance).max()))
    assert (alignment(found.values, covariance)[held] >= -scale).all()
    assert found.values.sum() == pytest.approx(1.0, abs=1e-9)
    assert (found.values >= 0).all()


@LAW
@given(weights=WEIGHTS, covariance=COVARIANCE, must=MUST)
def test_the_guard_leaves_weights_that_keep_all_promises(
    weights: Array, covariance: Array, must: NDArray[np.bool_]
) -> None:
    assume((alignment(weights, covariance)[must] >= 0).all())
    assert guard(weights, covariance, must, EQUAL).values is weights


@settings(LAW, max_examples=40)
@given(weights=WEIGHTS, covariance=COVARIANCE, must=MUST)
def test_the_guard_finds_the_nearest_weights(weights: Array, covariance: Array, must: NDArray[np.bool_]) -> None:
    found = nearest_keeping(weights, covariance[must], 0.0)
    assume(found is not None)
    assert found is not None
    slow = dykstra(weights, covariance, must)
    size = max(1.0, float(np.abs(covariance).max()))
    if (covariance[must] @ slow >= -1e-7 * size).all():  # where alternating has come to its end
        assert np.linalg.norm(found - weights) <= np.linalg.norm(slow - weights) + 1e-6


@LAW
@given(weights=WEIGHTS, covariance=COVARIANCE, order=st.permutations(range(N)), must=MUST)
def test_the_order_of_dimensions_does_not_matter_to_the_guard(
    weights: Array, covariance: Array, order: list[int], must: NDArray[np.bool_]
) -> None:
    urgency = np.arange(N, 0, -1.0)
    before = guard(weights, covariance, must, urgency).values[order]
    after = guard(weights[order], covariance[np.ix_(order, order)], must[order], urgency[order]).values
    assert after == pytest.approx(before, abs=1e-6)


def test_where_promises_exclude_one_another_the_most_urgent_is_held() -> None:
    covariance = np.array([[1.0, -1.0], [-1.0, 1.0]]) * np.array([[1.0, 2.0], [2.0, 4.0]])
    found = guard(np.array([0.5, 0.5]), covariance, np.array([True, True]), np.array([3.0, 1.0]), least=0.01)
    assert found.given_up == (1,)
    assert alignment(found.values, covariance)[0] >= 0.01 - 1e-9


@LAW
@given(weights=WEIGHTS, covariance=COVARIANCE)
def test_shares_sum_to_one_where_anything_varies(weights: Array, covariance: Array) -> None:
    assume(weights @ covariance @ weights > 1e-9)
    assert shares(weights, covariance).sum() == pytest.approx(1.0, abs=1e-6)


def test_nothing_that_varies_has_no_shares() -> None:
    assert shares(np.full(3, 1 / 3), np.zeros((3, 3))).tolist() == [0.0, 0.0, 0.0]
