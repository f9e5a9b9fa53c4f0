"""Laws of advantages and of the hard safety rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from matrix.alignment.advantages import advantages, hold_safety, mask_unmet, safety_pressure, violations
from matrix.alignment.dimensions import DimensionSpec, Matrix

LAW = settings(deadline=None)

Array = NDArray[np.float64]
P, G, N = 3, 4, 3
UNIFORM = np.full(N, 1 / N)


def numbers(low: float = -4.0, high: float = 4.0) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda x: round(x, 4))


Z = arrays(np.float64, (P, G, N), elements=numbers())
HOLES = arrays(np.bool_, (P, G, N))
WEIGHTS = arrays(np.float64, (N,), elements=numbers(0.05, 1.0)).map(lambda w: w / w.sum())
SEVERITY = arrays(np.float64, (P, G), elements=st.one_of(st.just(0.0), numbers(0.01, 1.0)))
PRESSURE = numbers(1.0, 3.0)
WIDE = np.eye(N) * 1e4  # reference spread so large that nothing is clipped


def test_advantages_of_the_case_worked_by_hand() -> None:
    z = np.array([[[1.0, 0], [0, 1], [-1, -1], [0, 0]]])
    found = advantages(z, np.array([0.5, 0.5]), np.eye(2), violation=np.array([[0, 0.5, 0, 0]]), pressure=1.0)
    assert found.values[0] == pytest.approx([0.707107, -1.914214, -1.414214, 0], abs=1e-6)


@LAW
@given(z=Z, holes=HOLES, weights=WEIGHTS)
def test_I_A_1_advantages_of_a_group_sum_to_zero(z: Array, holes: NDArray[np.bool_], weights: Array) -> None:
    found = advantages(np.where(holes, np.nan, z), weights, WIDE)
    assert found.values.sum(axis=1) == pytest.approx(np.zeros(P), abs=1e-9)


@LAW
@given(z=Z, weights=WEIGHTS, severity=SEVERITY, order=st.permutations(range(G)))
def test_I_A_2_permuting_completions_permutes_advantages(
    z: Array, weights: Array, severity: Array, order: list[int]
) -> None:
    before = advantages(z, weights, np.eye(N), violation=severity).values[:, order]
    after = advantages(z[:, order], weights, np.eye(N), violation=severity[:, order]).values
    assert after == pytest.approx(before, abs=1e-9)


@LAW
@given(z=Z, weights=WEIGHTS, share=numbers(0.05, 0.9))
def test_I_A_3_a_dimension_that_is_missing_everywhere_changes_nothing(z: Array, weights: Array, share: float) -> None:
    wider = np.concatenate([z, np.full((P, G, 1), np.nan)], axis=2)
    with_it = advantages(wider, np.append(weights * (1 - share), share), np.eye(N + 1)).values
    assert with_it == pytest.approx(advantages(z, weights, np.eye(N)).values, abs=1e-9)


@LAW
@given(z=Z, weights=WEIGHTS, shift=arrays(np.float64, (P, 1, N), elements=numbers(-5, 5)))
def test_I_A_4_a_constant_per_prompt_changes_nothing(z: Array, weights: Array, shift: Array) -> None:
    before = advantages(z, weights, np.eye(N)).values
    assert advantages(z + shift, weights, np.eye(N)).values == pytest.approx(before, abs=1e-8)


@LAW
@given(z=Z, weights=WEIGHTS)
def test_I_A_5_advantages_of_the_reference_have_variance_1_whatever_the_weights(z: Array, weights: Array) -> None:
    centred = (z - z.mean(axis=1, keepdims=True)).reshape(-1, N)
    covariance = centred.T @ centred / (P * (G - 1))
    spread = float(np.sqrt(weights @ covariance @ weights))
    assume(spread > 0.011)  # above the floor of the spread
    values = advantages(z, weights, covariance, limit=np.inf).values
    assert (values**2).sum() / (P * (G - 1)) == pytest.approx(1.0)


@LAW
@given(z=Z, holes=HOLES, weights=WEIGHTS, severity=SEVERITY, pressure=PRESSURE)
def test_I_S_1_and_2_unsafe_is_below_zero_and_below_every_safe_one(
    z: Array, holes: NDArray[np.bool_], weights: Array, severity: Array, pressure: float
) -> None:
    z = np.where(holes, np.nan, z)
    values = advantages(z, weights, np.eye(N), violation=severity, pressure=pressure).values
    unsafe = severity > 0
    assert (values[unsafe] < 0).all()
    for group, bad in zip(values, unsafe, strict=True):
        if bad.any() and not bad.all():
            assert group[~bad].min() > group[bad].max()


@LAW
@given(z=Z, severity=SEVERITY, more=numbers(0.0, 1.0), pressure=PRESSURE, harder=numbers(0.0, 2.0))
def test_I_S_3_unsafe_falls_with_severity_and_pressure(
    z: Array, severity: Array, more: float, pressure: float, harder: float
) -> None:
    values = advantages(z, UNIFORM, np.eye(N)).values
    unsafe = severity > 0
    worse = np.where(unsafe, np.minimum(severity + more, 1.0), 0.0)
    before, after = hold_safety(values, severity, pressure), hold_safety(values, worse, pressure + harder)
    assert (after <= before).all()
    assert np.array_equal(after[~unsafe], values[~unsafe])


@LAW
@given(z=Z, severity=SEVERITY, pressure=PRESSURE, praise=numbers(0.0, 100.0))
def test_I_S_4_no_reward_lifts_an_unsafe_completion(z: Array, severity: Array, pressure: float, praise: float) -> None:
    praised = z.copy()
    praised[severity > 0] += praise
    values = advantages(praised, UNIFORM, np.eye(N), violation=severity, pressure=pressure).values
    for group, bad, seen in zip(values, severity > 0, severity, strict=True):
        ground = min(group[~bad].min(initial=np.inf), 0.0)
        assert (group[bad] <= ground - pressure * seen[bad] + 1e-12).all()


def test_groups_without_signal_are_marked_unless_something_in_them_is_unsafe() -> None:
    same = np.zeros((2, 2, 1))
    found = advantages(same, np.ones(1), np.eye(1), violation=np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert found.zero_signal.tolist() == [True, False]
    assert found.all_unsafe.tolist() == [False, True]
    assert found.values.tolist() == [[0.0, 0.0], [-1.0, -1.0]]


def test_weights_are_shared_among_what_a_prompt_has_values_for() -> None:
    z = np.array([[[1.0, np.nan], [-1.0, np.nan]]])
    assert advantages(z, np.array([0.2, 0.8]), np.eye(2)).values[0].tolist() == [1.0, -1.0]


def row(name: str, **more: object) -> DimensionSpec:
    return DimensionSpec.model_validate({"name": name, "category": "expert", "scorer": name, "target": 0.0} | more)


def test_a_dimension_does_not_count_where_its_prerequisite_is_not_in_order() -> None:
    matrix = Matrix(dimensions=(row("safe", kind="hard", higher_is_better=False), row("liked", prerequisite="safe")))
    masked = mask_unmet(np.array([[[1.0, 0.7], [0.0, 0.9], [np.nan, 0.4]]]), matrix)
    assert np.array_equal(masked[0, :, 1], [0.7, np.nan, 0.4], equal_nan=True)


def test_violations_are_the_worst_hard_dimension_and_unknown_is_none() -> None:
    hard = {"kind": "hard", "higher_is_better": False}
    matrix = Matrix(dimensions=(row("liked"), row("one", **hard), row("two", **hard)))
    unit = np.array([[[0.0, 1.0, 1.0], [1.0, 0.0, np.nan], [1.0, np.nan, 1.0]]])
    assert violations(unit, matrix).tolist() == [[0.0, 1.0, 0.0]]
    assert violations(unit, Matrix(dimensions=(row("a"), row("b"), row("c")))).tolist() == [[0.0, 0.0, 0.0]]


def test_pressure_rises_with_the_highest_risk() -> None:
    assert [safety_pressure(risks) for risks in ([], [0.0], [0.2, 0.5], [1.0])] == [1.0, 1.0, 2.0, 3.0]
