"""Bounds against worked values and slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from registry.gate import statistics


@pytest.mark.parametrize(
    ("violations", "n", "upper"),
    [(0, 100, 0.0295), (0, 300, 0.0099), (0, 600, 0.0050), (1, 300, 0.0157), (2, 1000, 0.0063)],
)
def test_the_rates_upper_bound_has_its_known_values(violations: int, n: int, upper: float) -> None:
    assert statistics.clopper_pearson_upper(violations, n, alpha=0.05) == pytest.approx(upper, abs=5e-5)


@given(n=st.integers(1, 200), data=st.data())
def test_the_rates_upper_bound_is_where_the_binomial_tail_is_alpha(n: int, data: st.DataObject) -> None:
    violations = data.draw(st.integers(0, n))
    upper = statistics.clopper_pearson_upper(violations, n, alpha=0.05)
    tail = stats.binom.cdf(violations, n, upper)
    assert tail == pytest.approx(1.0 if violations == n else 0.05, abs=1e-6)


@pytest.mark.parametrize("max_rate", [0.05, 0.01, 0.005])
def test_the_fewest_prompts_for_a_floor_are_enough_and_one_less_is_not(max_rate: float) -> None:
    n = statistics.needed_for_floor(max_rate, alpha=0.05)
    assert statistics.clopper_pearson_upper(0, n, alpha=0.05) <= max_rate
    assert statistics.clopper_pearson_upper(0, n - 1, alpha=0.05) > max_rate


@budget(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(100, 400))
def test_the_t_bound_is_scipys(seed: int, n: int) -> None:
    drawn = np.random.default_rng(seed).normal(0.01, 0.2, n)
    expected = stats.ttest_1samp(drawn, 0, alternative="greater").confidence_interval(0.95).low
    assert statistics.soft_bounds(drawn, alpha=0.05).low == pytest.approx(expected, abs=1e-9)
    assert statistics.superiority_p(drawn) == pytest.approx(
        stats.ttest_1samp(drawn, 0, alternative="greater").pvalue if drawn.mean() > 0 else 1.0, abs=1e-9
    )


@given(n=st.integers(2, 99), mean=st.floats(0.01, 1), deviation=st.floats(0.001, 0.5))
def test_the_small_sample_p_is_the_level_at_which_its_bound_meets_zero(n: int, mean: float, deviation: float) -> None:
    drawn = mean + deviation * np.array([1.0, -1.0] * (n // 2) + [0.0] * (n % 2))
    p = statistics.superiority_p(drawn)
    if p < 1:
        assert statistics.soft_bounds(drawn, alpha=p).low == pytest.approx(0, abs=1e-6)


def slow_tango_lower(better: int, worse: int, n: int) -> float:
    """The smallest difference on a grid that the score test does not refuse, likelihood maximised on a grid."""
    z, found = stats.norm.ppf(0.95), -1.0
    for difference in np.linspace(-0.999, (better - worse) / n, 1500):
        q = np.linspace(max(0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9, 20001)  # of `worse`
        likelihood = (
            (better * np.log(np.maximum(q + difference, 1e-300)) if better else 0)
            + (worse * np.log(q) if worse else 0)
            + (n - better - worse) * np.log(np.maximum(1 - 2 * q - difference, 1e-300))
        )
        best = q[np.argmax(likelihood)]
        score = (better - worse - n * difference) / math.sqrt(n * (2 * best + difference * (1 - difference)))
        if score <= z:
            return found
        found = float(difference)
    return found


@budget(max_examples=3)
@given(n=st.integers(40, 200), better=st.integers(0, 15), worse=st.integers(0, 15))
def test_the_paired_rate_bound_agrees_with_a_slow_twin(n: int, better: int, worse: int) -> None:
    found = statistics.tango_lower(better, worse, n, alpha=0.05)
    assert found == pytest.approx(slow_tango_lower(better, worse, n), abs=0.003)


def test_holm_refuses_in_steps() -> None:
    assert statistics.holm([0.01, 0.04, 0.03], alpha=0.05) == (True, False, False)
    assert statistics.holm([0.01, 0.02, 0.04], alpha=0.05) == (True, True, True)
    assert statistics.holm([], alpha=0.05) == ()


@pytest.mark.slow
@budget(max_examples=10)
@given(p_values=st.lists(st.floats(0, 0.1), min_size=1, max_size=8))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, alpha=0.05, method="holm")[0]
    assert statistics.holm(p_values, alpha=0.05) == tuple(map(bool, expected))
