"""Laws of the ways to combine rewards: what all share, what each promises, and cases worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from matrix.alignment.aggregators import AGGREGATORS, Aggregator, Groups, of_scores
from matrix.alignment.dimensions import DimensionSpec, Matrix
from matrix.alignment.normalization import fit_ref

Array = NDArray[np.float64]
PROMPTS, GROUP = 3, 4
MATRIX = Matrix(
    dimensions=(
        DimensionSpec(name="right", category="fundamental", scorer="right", target=0.9),
        DimensionSpec(name="liked", category="online", scorer="liked", high=100.0, target=60.0),
        DimensionSpec(
            name="unsafe", category="expert", scorer="unsafe", kind="hard", higher_is_better=False, target=0.0
        ),
    )
)
SPANS = np.array([1.0, 100.0, 1.0])
STATS = fit_ref(np.random.default_rng(0).random((64, 4, 3)), MATRIX.names())
STATELESS = ["raw", "grpo", "gdpo", "mo_grpo", "crpo_like", "rpro_like"]
SCALE_FREE = [name for name in AGGREGATORS if name not in {"raw", "grpo", "raw_tri"}]


def groups_of(scores: Array, matrix: Matrix = MATRIX) -> Groups:
    return of_scores(
        scores,
        matrix=matrix,
        stats=STATS,
        verifiable=np.array([True, False, True]),
        domain=np.arange(len(scores)) % 2,
        violation=np.nan_to_num(scores[:, :, 2]),
    )


def two_batches(aggregator: Aggregator, groups: Groups) -> Array:
    first, following = aggregator(groups)
    return np.concatenate([first, following(groups)[0]])


def scores(*, known: bool = False) -> st.SearchStrategy[Array]:
    shape = (PROMPTS, GROUP, 3)
    share = arrays(np.float64, shape, elements=st.integers(0, 8).map(lambda part: part / 8))
    missing = arrays(np.bool_, shape, elements=st.just(value=False) if known else st.booleans())
    return st.tuples(share, missing).map(lambda pair: np.where(pair[1], np.nan, pair[0]) * SPANS)


@pytest.mark.parametrize("name", AGGREGATORS)
@given(found=scores())
def test_every_advantage_is_a_number(name: str, found: Array) -> None:
    advantages = two_batches(AGGREGATORS[name], groups_of(found))
    assert advantages.shape == (2 * PROMPTS, GROUP)
    assert np.isfinite(advantages).all()


@pytest.mark.parametrize("name", AGGREGATORS)
@given(row=arrays(np.float64, (PROMPTS, 1, 3), elements=st.floats(0, 1)))
def test_a_group_without_differences_teaches_nothing(name: str, row: Array) -> None:
    alike = np.repeat(row, GROUP, axis=1) * SPANS
    alike[:, :, 2] = 0.0
    assert two_batches(AGGREGATORS[name], groups_of(alike)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", AGGREGATORS)
@given(found=scores(), order=st.permutations(range(GROUP)))
def test_completions_in_another_order_get_their_own_advantages(name: str, found: Array, order: list[int]) -> None:
    before = two_batches(AGGREGATORS[name], groups_of(found))[:, order]
    assert two_batches(AGGREGATORS[name], groups_of(found[:, order])) == pytest.approx(before, abs=1e-7)


@pytest.mark.parametrize("name", SCALE_FREE)
@given(found=scores(known=True))
def test_another_unit_with_its_declared_range_changes_nothing(name: str, found: Array) -> None:
    rows = list(MATRIX.dimensions)
    rows[1] = rows[1].model_copy(update={"high": 1024.0 * rows[1].high, "target": 1024.0 * rows[1].target})
    told = groups_of(found * np.array([1.0, 1024.0, 1.0]), Matrix(dimensions=tuple(rows)))
    before = two_batches(AGGREGATORS[name], groups_of(found))
    assert two_batches(AGGREGATORS[name], told) == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("name", ["rfn_tri_stratified", "ours", "weakest_first"])
@given(found=scores())
def test_ours_ranks_every_unsafe_completion_below_every_safe_one(name: str, found: Array) -> None:
    groups = groups_of(found)
    assert groups.violation is not None
    for advantages, violation in zip(AGGREGATORS[name](groups)[0], groups.violation, strict=True):
        unsafe = violation > 0.0
        assert (advantages[unsafe] < 0.0).all()
        if unsafe.any() and (~unsafe).any():
            assert advantages[unsafe].max() < advantages[~unsafe].min()


def by_hand(*rows: tuple[float, float]) -> Groups:
    """Two dimensions in one group; the third never varies."""
    return groups_of(np.array([[(*row, 0.0) for row in rows]]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw", (-89.0 / 6.0, 89.0 / 6.0)),  # a third of 1 and of 90, around their mean
        ("grpo", (-1.0, 1.0)),
        ("mo_grpo", (0.0, 0.0)),  # each is better once
        ("gdpo", (0.0, 0.0)),
        ("crpo_like", (1.0, -1.0)),  # only the first is verifiable
        ("rpro_like", (1.0, -1.0)),  # 1.0 against .9 on the unit scale
    ],
)
def test_two_completions_by_hand(name: str, expected: tuple[float, float]) -> None:
    assert AGGREGATORS[name](by_hand((1.0, 0.0), (0.0, 90.0)))[0][0] == pytest.approx(expected)


def test_equal_sums_share_their_rank() -> None:
    ranked = AGGREGATORS["rpro_like"](by_hand((0.2, 0.0), (0.9, 0.0), (0.2, 0.0), (0.5, 0.0)))[0][0]
    assert ranked == pytest.approx([-2 / 3, 1.0, -2 / 3, 1 / 3])


def test_a_rare_domain_counts_more_than_a_frequent_one() -> None:
    once = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    groups = replace(groups_of(np.repeat(once, 5, axis=0)), domain=np.array([0, 0, 0, 0, 1]))
    advantages = AGGREGATORS["drpo_like"](groups)[0]
    assert advantages[4, 0] / advantages[0, 0] == pytest.approx(4.0)  # √(4/1), for the domain and for the bin


def test_a_policy_that_dominates_more_is_rewarded_more_the_first_time_only() -> None:
    above = groups_of(np.array([[[1.0, 100.0, 0.0], [0.8, 90.0, 0.0]]]))
    first, following = AGGREGATORS["hypervolume_like"](above)
    second, _ = following(above)
    assert second[0, 0] == pytest.approx(0.5)
    assert first[0, 0] > second[0, 0]


@pytest.mark.parametrize("name", STATELESS)
def test_one_without_memory_answers_with_itself(name: str) -> None:
    make: Callable[[Groups], tuple[Array, Aggregator]] = AGGREGATORS[name]
    assert make(by_hand((1.0, 0.0), (0.0, 90.0)))[1] is AGGREGATORS[name]
