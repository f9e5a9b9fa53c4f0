"""Laws of reference-frozen normalization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from matrix.alignment.advantages import advantages
from matrix.alignment.dimensions import DimensionSpec, Matrix
from matrix.alignment.normalization import CLIP, SD_FLOOR, centre, fit_ref, rfn, unit_rewards
from matrix.alignment.weights import initial_weights
from matrix.errors import InvalidInput

LAW = settings(deadline=None)

Array = NDArray[np.float64]
NAMES = ("a", "b", "c")


def rewards(prompts: int = 4, group: int = 3, dims: int = 3) -> st.SearchStrategy[Array]:
    shares = st.floats(0, 1, allow_subnormal=False).map(lambda x: round(x, 6))
    return arrays(np.float64, (prompts, group, dims), elements=shares)


def declared(low: float, high: float, *, up: bool = True) -> Matrix:
    rows = [
        DimensionSpec(name=name, category="online", scorer=name, target=0.5, low=0.0, high=1.0) for name in NAMES[1:]
    ]
    first = DimensionSpec(name="a", category="online", scorer="a", low=low, high=high, target=high, higher_is_better=up)
    return Matrix(dimensions=(first, *rows))


def as_scores(values: Array) -> list[list[dict[str, float | None]]]:
    return [[{n: float(v) for n, v in zip(NAMES, row, strict=True)} for row in group] for group in values]


def test_reference_statistics_of_the_case_worked_by_hand() -> None:
    unit = np.array([[[0, 0.1], [1, 0.3]], [[1, 0.5], [1, 0.7]]])
    stats = fit_ref(unit, ["a", "b"])
    assert stats.mean == pytest.approx([0.75, 0.40])
    assert stats.sd == pytest.approx([0.5, 0.141421], abs=1e-6)
    expected = [[-1.5, -2.12132], [0.5, -0.707107], [0.5, 0.707107], [0.5, 2.12132]]
    assert rfn(unit, stats).reshape(-1, 2) == pytest.approx(np.array(expected), abs=1e-5)


@LAW
@given(unit=rewards(), low=st.floats(-50, 50), width=st.floats(0.1, 1000))
def test_I_RFN_1_rescaling_a_reward_with_its_declared_range_changes_nothing(
    unit: Array, low: float, width: float
) -> None:
    scaled = unit.copy()
    scaled[:, :, 0] = low + width * unit[:, :, 0]
    results = []
    for values, matrix in ((unit, declared(0.0, 1.0)), (scaled, declared(low, low + width))):
        shares = unit_rewards(as_scores(values), matrix)
        stats = fit_ref(shares, NAMES)
        normalised = rfn(shares, stats)
        weights = initial_weights(matrix)
        results.append((normalised, weights, advantages(normalised, weights, stats.covariance).values))
    for one, other in zip(*results, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@LAW
@given(unit=rewards(), others=rewards())
def test_I_RFN_2_a_reward_does_not_depend_on_its_batch(unit: Array, others: Array) -> None:
    stats = fit_ref(others, NAMES)
    assert np.array_equal(rfn(unit[:1], stats), rfn(unit, stats)[:1])


@LAW
@given(unit=rewards(prompts=6, group=4))
def test_I_RFN_3_the_reference_has_mean_0_and_spread_1_within_prompts(unit: Array) -> None:
    stats = fit_ref(unit, NAMES)
    unclipped = (unit - stats.mean) / stats.sd
    assert unclipped.mean(axis=(0, 1)) == pytest.approx(np.zeros(3), abs=1e-6)
    pooled = np.sqrt((centre(unclipped) ** 2).sum(axis=(0, 1)) / (6 * 3))
    assert np.where(stats.sd > SD_FLOOR, pooled, 1.0) == pytest.approx(np.ones(3))


@LAW
@given(unit=rewards(), reference=rewards())
def test_I_RFN_4_order_within_a_dimension_is_kept(unit: Array, reference: Array) -> None:
    normalised = rfn(unit, fit_ref(reference, NAMES)).reshape(-1, 3)
    flat = unit.reshape(-1, 3)
    for dim in range(3):
        assert (np.diff(normalised[np.argsort(flat[:, dim], kind="stable"), dim]) >= 0).all()


@LAW
@given(unit=rewards(), level=st.floats(0, 1), noise=st.floats(-1e-4, 1e-4))
def test_I_RFN_5_a_constant_dimension_gives_no_signal_and_noise_little(unit: Array, level: float, noise: float) -> None:
    unit[:, :, 0] = level
    stats = fit_ref(unit, NAMES)
    normalised = rfn(unit, stats)
    assert np.isfinite(normalised).all()
    assert centre(normalised)[:, :, 0] == pytest.approx(np.zeros((4, 3)), abs=1e-9)
    unit[0, 0, 0] += noise
    assert np.abs(centre(rfn(unit, stats))[:, :, 0]).max() <= abs(noise) / SD_FLOOR + 1e-9


@LAW
@given(unit=rewards(), reference=rewards(), holes=arrays(np.bool_, (4, 3, 3)))
def test_I_RFN_6_a_missing_reward_is_missing_there_and_nowhere_else(
    unit: Array, reference: Array, holes: NDArray[np.bool_]
) -> None:
    stats = fit_ref(reference, NAMES)
    whole = rfn(unit, stats)
    normalised = rfn(np.where(holes, np.nan, unit), stats)
    assert np.array_equal(np.isnan(normalised), holes)
    assert np.array_equal(normalised[~holes], whole[~holes])


@LAW
@given(unit=rewards(prompts=6))
def test_I_RFN_6_missing_rewards_are_left_out_of_the_reference(unit: Array) -> None:
    unit[:2] = np.nan
    with_holes, without = fit_ref(unit, NAMES), fit_ref(unit[2:], NAMES)
    assert with_holes.mean == pytest.approx(without.mean)
    assert with_holes.sd == pytest.approx(without.sd)


def test_dimension_mostly_missing_in_the_reference_is_refused() -> None:
    unit = np.full((10, 2, 1), np.nan)
    unit[0, 0, 0] = 1.0
    with pytest.raises(InvalidInput, match="dimension a"):
        fit_ref(unit, ["a"])


def test_rewards_are_clipped() -> None:
    stats = fit_ref(np.full((2, 2, 1), 0.5), ["a"])
    assert rfn(np.array([[[0.0], [1.0]]]), stats).ravel().tolist() == [-CLIP, CLIP]


def test_scores_that_count_what_is_wrong_are_turned_round_and_none_becomes_nan() -> None:
    matrix = declared(0.0, 10.0, up=False)
    unit = unit_rewards([[{"a": 0.0, "b": 1.0, "c": None}]], matrix)
    assert unit[0, 0, :2].tolist() == [1.0, 1.0]
    assert np.isnan(unit[0, 0, 2])
