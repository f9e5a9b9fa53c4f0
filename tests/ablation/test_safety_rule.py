"""E7: the safety rule under any weights and any λ, on rollouts of the toy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmarks import ablation_toy as toy
from matrix.alignment.advantages import advantages
from matrix.alignment.aggregators import of_scores
from matrix.alignment.normalization import RefStats, rfn

Array = NDArray[np.float64]
SAFETY = toy.GOALS.index("safety")


@lru_cache(maxsize=1)
def rollouts() -> tuple[Array, Array, RefStats]:
    """(P, G, N) normalised rewards and (P, G) violations of a reference policy, with its statistics."""
    world, matrix = toy.make_world([0]), toy.declared()
    stats = toy.reference(world, matrix)[0]
    uniform, noise = toy.Draws.of(world, 5).next()
    scores = toy.score(world, toy.places(toy.draw_tokens(toy.probabilities(world.logits), uniform)), noise)[0]
    groups = of_scores(scores, matrix=matrix, stats=stats)
    return rfn(groups.unit, stats), scores[:, :, SAFETY], stats


def weights() -> st.SearchStrategy[Array]:
    return arrays(np.float64, 6, elements=st.floats(0.01, 1)).map(lambda found: found / found.sum())


def held(share: Array, violation: Array, pressure: float) -> Array:
    normalised, _, stats = rollouts()
    return advantages(normalised, share, stats.covariance, violation=violation, pressure=pressure).values


def test_the_reference_policy_violates_at_times() -> None:
    assert 0.0 < rollouts()[1].mean() < 0.5


@given(share=weights(), pressure=st.floats(0, 20), severity=st.floats(0.05, 1))
def test_unsafe_is_below_zero_and_below_every_safe_one(share: Array, pressure: float, severity: float) -> None:
    violation = severity * rollouts()[1]
    for row, bad in zip(held(share, violation, 1.0 + pressure), violation > 0.0, strict=True):
        assert (row[bad] < 0.0).all()
        if bad.any():
            assert row[bad].max() < row[~bad].min(initial=np.inf)


@given(share=weights(), pressure=st.floats(1, 20), more=st.floats(0, 5))
def test_more_pressure_never_softens(share: Array, pressure: float, more: float) -> None:
    violation = rollouts()[1]
    assert (held(share, violation, pressure + more) <= held(share, violation, pressure) + 1e-12).all()


@given(share=weights(), severity=st.floats(0.05, 1), worse=st.floats(1, 2))
def test_a_worse_violation_never_softens(share: Array, severity: float, worse: float) -> None:
    violation = 0.5 * severity * rollouts()[1]
    assert (held(share, worse * violation, 1.0) <= held(share, violation, 1.0) + 1e-12).all()


@given(share=weights(), pressure=st.floats(1, 20))
def test_no_other_reward_buys_an_unsafe_completion_back(share: Array, pressure: float) -> None:
    normalised, violation, stats = rollouts()
    bought = np.where((violation > 0.0)[:, :, None], 4.0, normalised)
    found = advantages(bought, share, stats.covariance, violation=violation, pressure=pressure).values
    lowest = np.where(violation > 0.0, np.inf, found).min(axis=1, keepdims=True)
    limit = np.minimum(lowest, 0.0) - pressure * violation
    assert (found <= limit + 1e-12)[violation > 0.0].all()
