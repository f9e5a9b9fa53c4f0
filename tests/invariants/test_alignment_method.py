"""Laws of the whole step: a defined answer for whatever rewards come, the same however it is carried over a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from matrix.alignment.dimensions import DimensionSpec, Matrix
from matrix.alignment.method import Memory, Method, MethodConfig, Peril, told_of
from matrix.alignment.normalization import fit_ref, unit_rewards
from matrix.alignment.weights import WeightConfig
from matrix.errors import InvalidInput

LAW = settings(deadline=None)
Array = NDArray[np.float64]
P, G, N = 3, 4, 3
SHARES = st.floats(0, 1).map(lambda x: round(x, 3))
UNIT = arrays(np.float64, (P, G, N), elements=SHARES)
HOLES = arrays(np.bool_, (P, G, N))
SEVERITY = arrays(np.float64, (P, G), elements=st.one_of(st.just(0.0), SHARES))
RISK = arrays(np.float64, (N,), elements=SHARES)


def row(name: str, **more: Any) -> DimensionSpec:
    told = {"name": name, "category": "expert", "scorer": name, "target": 0.9}
    return DimensionSpec.model_validate(told | more)


MATRIX = Matrix(
    dimensions=(
        row("safe", kind="hard", higher_is_better=False, target=0.0, severity=3),
        row("right"),
        row("liked", prerequisite="safe", weight_cap=0.4),
    )
)


def method(reference: Array, **switched: Any) -> Method:
    return Method(MATRIX, fit_ref(reference, MATRIX.names()), MethodConfig(**switched))


def after(one: Method, units: list[Array], peril: Peril) -> Memory:
    memory = one.begin()
    for number, unit in enumerate(units):
        memory = one.reweighed(one.observed(memory, unit), peril, first=number == 0)
    return memory


@LAW
@given(reference=UNIT, unit=UNIT, holes=HOLES, severity=SEVERITY, risk=RISK)
def test_whatever_the_rewards_weights_and_advantages_are_numbers(
    reference: Array, unit: Array, holes: NDArray[np.bool_], severity: Array, risk: Array
) -> None:
    one = method(reference)
    holed = np.where(holes, np.nan, unit)
    memory = after(one, [holed, holed], Peril(risk, risk > 0.1))
    judged = one.judged(memory, holed, violation=severity)
    for values in (memory.weights, memory.guarded.values, memory.level, judged.advantages.values, judged.shares):
        assert np.isfinite(values).all()
    assert memory.weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert memory.guarded.values.sum() == pytest.approx(1.0, abs=1e-9)
    assert (judged.advantages.values[severity > 0] < 0).all()


@LAW
@given(reference=UNIT, first=UNIT, second=UNIT, risk=RISK)
def test_a_memory_that_was_written_down_goes_on_as_the_one_that_was_not(
    reference: Array, first: Array, second: Array, risk: Array
) -> None:
    one, peril = method(reference), Peril(risk, risk > 0.1)
    kept = after(one, [first], peril)
    read = Memory.of_json(json.loads(json.dumps(kept.as_json())))
    gone_on = [one.reweighed(one.observed(memory, second), peril) for memory in (kept, read)]
    assert gone_on[0].as_json() == gone_on[1].as_json()
    assert replace(kept, factors=None).as_json() == read.as_json()


@LAW
@given(reference=UNIT, units=st.lists(UNIT, min_size=2, max_size=4), risk=RISK)
def test_I_W_7_through_updates_an_escalated_dimension_never_loses_weight(
    reference: Array, units: list[Array], risk: Array
) -> None:
    one, peril = method(reference), Peril(risk, risk > 0.1)
    memory = after(one, units[:1], peril)
    for unit in units[1:]:
        following = one.reweighed(one.observed(memory, unit), peril)
        assert (following.weights[peril.escalated] >= memory.weights[peril.escalated] - 1e-9).all()
        memory = following


def test_what_is_told_names_the_rows_of_the_covariance_whatever_the_order_of_keys() -> None:
    unit = np.random.default_rng(6).random((P, G, N))
    one = method(unit)
    told = json.loads(json.dumps(told_of(after(one, [unit], Peril.none(N)), MATRIX.names()), sort_keys=True))
    assert told["dimensions"] == list(MATRIX.names())
    assert len(told["covariance"]) == N


def test_with_everything_switched_off_the_declared_priors_stand() -> None:
    unit = np.random.default_rng(3).random((P, G, N))
    one = method(unit, follows=False)
    assert after(one, [unit, unit], Peril.none(N)).guarded.values == pytest.approx([1 / 3] * 3)


def test_one_prompt_with_one_completion_and_one_dimension_teaches_nothing() -> None:
    matrix = Matrix(dimensions=(row("right", weight_cap=1.0),))
    unit = np.full((1, 1, 1), 0.7)
    one = Method(matrix, fit_ref(unit, matrix.names()), MethodConfig(weights=WeightConfig(floor=0.0)))
    memory = one.reweighed(one.observed(one.begin(), unit), Peril.none(1), first=True)
    judged = one.judged(memory, unit)
    assert memory.weights.tolist() == [1.0]
    assert judged.advantages.values.tolist() == [[0.0]]
    assert judged.advantages.zero_signal.tolist() == [True]


def test_a_group_that_is_all_unsafe_is_pushed_down_and_told() -> None:
    unit = np.random.default_rng(4).random((P, G, N))
    one = method(unit)
    judged = one.judged(one.begin(), unit, violation=np.ones((P, G)))
    assert (judged.advantages.values < 0).all()
    assert judged.advantages.all_unsafe.all()


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("inf"), float("-inf")])
def test_a_reward_outside_of_its_range_is_refused_with_its_dimension_and_sample(wrong: float) -> None:
    scores: list[list[dict[str, float | None]]] = [[dict.fromkeys(MATRIX.names(), 0.5) for _ in range(2)]]
    scores[0][1]["right"] = wrong
    with pytest.raises(InvalidInput, match="dimension right, prompt 0, completion 1"):
        unit_rewards(scores, MATRIX)
