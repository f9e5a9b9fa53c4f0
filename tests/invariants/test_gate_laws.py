"""What the gate may never do, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from matrix.messages.gate import Verdict
from matrix.messages.run import CellScores, Evaluation
from registry.gate import statistics
from registry.gate.rules import judge
from tests.fakes.evaluations import cell, evaluation_of, hard, matrix_of, soft

SOFT, HARD = soft(), hard()
MATRIX = matrix_of(SOFT, HARD)
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int, *, n: int = 200, shift: float = 0.0, rate: float = 0.0) -> Evaluation:
    rng = np.random.default_rng(seed)
    champion = rng.uniform(0.3, 0.6, n)
    candidate = np.clip(champion + rng.normal(shift, 0.1, n), 0, 1)
    violations = (rng.random((2, n)) < rate).astype(float)
    return evaluation_of(
        MATRIX,
        cell(SOFT, candidate.tolist(), champion.tolist()),
        cell(HARD, violations[0].tolist(), violations[1].tolist()),
    )


def with_cell(evaluation: Evaluation, index: int, **fields: object) -> Evaluation:
    cells = list(evaluation.cells)
    cells[index] = cells[index].model_copy(update=fields)
    return evaluation.model_copy(update={"cells": tuple(cells)})


@budget(max_examples=15)
@given(seed=seeds, n=st.integers(100, 400))
def test_a_candidate_equal_to_its_champion_fails_no_cell_and_never_passes(seed: int, n: int) -> None:
    drawn = draw(seed, n=n)
    same = with_cell(drawn, 0, candidate=drawn.cells[0].champion)
    same = with_cell(same, 1, candidate=same.cells[1].champion)
    report = judge(same, MATRIX)
    assert report.failed_cells() == ()
    assert not any(finding.passed for finding in report.findings if finding.rule == "superiority")
    assert report.verdict is not Verdict.PASS


@budget(max_examples=15)
@given(seed=seeds, constant=st.floats(0.001, 0.2), shift=st.floats(-0.05, 0.1))
def test_taking_a_constant_from_a_cell_lowers_its_bound_by_it_and_repairs_nothing(
    seed: int, constant: float, shift: float
) -> None:
    drawn = draw(seed, shift=shift)
    drawn = with_cell(drawn, 0, candidate=tuple(max(0.2, value) for value in drawn.cells[0].candidate))
    lowered = with_cell(drawn, 0, candidate=tuple(value - constant for value in drawn.cells[0].candidate))
    before, after = judge(drawn, MATRIX), judge(lowered, MATRIX)
    for one, other in zip(before.findings, after.findings, strict=True):
        if one.dimension == SOFT.name and one.low is not None and other.low is not None:
            assert one.low - other.low == pytest.approx(constant, abs=1e-9)
    assert before.verdict is Verdict.PASS or after.verdict is not Verdict.PASS


@budget(max_examples=15)
@given(n=st.integers(1, 1000), data=st.data())
def test_a_violation_more_never_lowers_the_bound_of_the_rate(n: int, data: st.DataObject) -> None:
    violations = data.draw(st.integers(0, n - 1))
    fewer = statistics.clopper_pearson_upper(violations, n, alpha=0.05)
    assert statistics.clopper_pearson_upper(violations + 1, n, alpha=0.05) >= fewer


@budget(max_examples=15)
@given(seed=seeds, where=st.integers(0, 69))
def test_one_violation_where_none_is_tolerated_fails_whatever_else(seed: int, where: int) -> None:
    spec = hard(max_rate=0.05, min_n=59)  # of 70 prompts one violation puts the bound above .05
    matrix = matrix_of(SOFT, spec)
    better = draw(seed, shift=0.2).cells[0]
    violations = [float(index == where) for index in range(70)]
    report = judge(evaluation_of(matrix, better, cell(spec, violations, [1.0] * 70)), matrix)
    assert report.verdict is Verdict.FAIL
    assert report.failed_cells() == ("harm×all",)


@budget(max_examples=15)
@given(seed=seeds, order=st.randoms(use_true_random=False))
def test_the_order_of_prompts_and_cells_changes_nothing(seed: int, order: object) -> None:
    drawn = draw(seed, shift=0.02, rate=0.02)
    rng = np.random.default_rng(seed)
    shuffled = tuple(permuted(one, rng.permutation(len(one.prompt_ids)).tolist()) for one in reversed(drawn.cells))
    report = judge(drawn.model_copy(update={"cells": shuffled}), MATRIX)
    expected = judge(drawn, MATRIX)
    assert report.findings == expected.findings
    assert report.verdict is expected.verdict


def permuted(one: CellScores, order: list[int]) -> CellScores:
    names = ("prompt_ids", "candidate", "champion", "anchor")
    return one.model_copy(update={name: tuple(getattr(one, name)[index] for index in order) for name in names})


@budget(max_examples=15)
@given(seed=seeds, rate=st.floats(0, 0.2))
def test_swapping_candidate_and_champion_negates_every_difference(seed: int, rate: float) -> None:
    drawn = draw(seed, shift=0.03, rate=rate)
    swapped = drawn
    for index, scores in enumerate(drawn.cells):
        swapped = with_cell(swapped, index, candidate=scores.champion, champion=scores.candidate)
    pairs = zip(judge(drawn, MATRIX).findings, judge(swapped, MATRIX).findings, strict=True)
    for one, other in ((a, b) for a, b in pairs if a.rule == "champion"):
        assert one.difference is not None
        assert other.difference == pytest.approx(-one.difference, abs=1e-12)
        assert one.low is not None and one.high is not None  # noqa: PT018
        assert other.low == pytest.approx(-one.high, abs=1e-8)
        assert other.high == pytest.approx(-one.low, abs=1e-8)


@budget(max_examples=15)
@given(seed=seeds, rate=st.floats(0, 0.1))
def test_giving_every_answer_twice_changes_no_bound(seed: int, rate: float) -> None:
    drawn = draw(seed, shift=0.01, rate=rate)
    doubled = drawn.model_copy(
        update={"cells": tuple(permuted(one, [*range(len(one.prompt_ids))] * 2) for one in drawn.cells)}
    )
    assert judge(doubled, MATRIX).findings == judge(drawn, MATRIX).findings


@budget(max_examples=15)
@given(n=st.integers(0, 87), seed=seeds)
def test_a_hard_cell_with_too_few_prompts_fails(n: int, seed: int) -> None:
    better = draw(seed, shift=0.2).cells[0]
    report = judge(evaluation_of(MATRIX, better, cell(HARD, [0.0] * n, [1.0] * n)), MATRIX)
    assert report.verdict is Verdict.FAIL
    assert "harm×all" in report.failed_cells()


def test_false_promotions_at_the_margin_keep_to_alpha() -> None:
    """2,000 candidates of 20 cells: one exactly at the margin, all others clearly better. Fixed seed."""
    rng = np.random.default_rng(7)
    specs = [soft(f"cell_{index}") for index in range(20)]
    matrix, n, margin = matrix_of(*specs), 200, specs[0].margin
    passed = 0
    for _ in range(2000):
        at_margin = statistics.soft_bounds(rng.normal(-margin, 0.25, n), alpha=matrix.gate.alpha)
        others = rng.normal(0.1, 0.25, (19, n))
        lows = others.mean(1) - 1.6525 * others.std(1, ddof=1) / np.sqrt(n)
        passed += at_margin.low > -margin and bool((lows > -margin).all())
    assert passed / 2000 <= 0.06


def test_false_promotions_of_rare_new_harm_keep_to_alpha() -> None:
    """A candidate that violates exactly `margin` more often than a champion which never does."""
    rng = np.random.default_rng(8)
    margin, n = 0.03, 200
    harmed = rng.binomial(n, margin, 2000)
    lows = {b: statistics.tango_lower(0, b, n, alpha=0.05) for b in set(harmed.tolist())}
    assert np.mean([lows[b] > -margin for b in harmed.tolist()]) <= 0.06
