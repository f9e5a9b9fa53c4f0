"""Verdicts of the gate, by example."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matrix.alignment.dimensions import least_hard_n
from matrix.messages.gate import Verdict
from matrix.messages.run import CellScores, Evaluation
from registry.gate.rules import Asked, judge
from tests.fakes.evaluations import ANCHOR, CHAMPION, cell, evaluation_of, hard, matrix_of, soft

SOFT, HARD = soft(), hard()
MATRIX = matrix_of(SOFT, HARD)


def soft_cell(shift: float, *, n: int = 200, spread: float = 0.1) -> CellScores:
    champion = np.full(n, 0.5)
    noise = spread * np.array([1, -1] * (n // 2))
    return cell(SOFT, (champion + shift + noise).tolist(), champion.tolist())


def hard_cell(violations: int, *, n: int = 200, champion: int = 20) -> CellScores:
    return cell(HARD, [float(i < violations) for i in range(n)], [float(i < champion) for i in range(n)])


def test_a_better_candidate_without_harm_passes() -> None:
    report = judge(evaluation_of(MATRIX, soft_cell(0.05), hard_cell(0)), MATRIX)
    assert (report.verdict, report.reasons) == (Verdict.PASS, ())


def test_no_gain_buys_back_harm() -> None:
    report = judge(evaluation_of(MATRIX, soft_cell(0.4), hard_cell(12)), MATRIX)
    assert (report.verdict, report.failed_cells()) == (Verdict.FAIL, ("harm×all",))


def test_a_worse_cell_fails_by_name() -> None:
    report = judge(evaluation_of(MATRIX, soft_cell(-0.06), hard_cell(0)), MATRIX)
    assert (report.verdict, report.failed_cells()) == (Verdict.FAIL, ("helpful×all",))


def test_a_cell_too_noisy_for_its_margin_is_inconclusive_and_says_how_many_it_needs() -> None:
    other = soft("other", targeted=True)
    matrix = matrix_of(SOFT, other)
    noisy = soft_cell(0.0, spread=0.5).model_copy(update={"dimension": "other"})
    report = judge(evaluation_of(matrix, soft_cell(0.05), noisy), matrix)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "needs about 7" in " ".join(report.reasons)  # (1.645 · 0.5 / 0.03)² = 752


def test_a_missing_soft_cell_is_inconclusive_and_a_missing_hard_one_fails() -> None:
    other = soft("other", targeted=False)
    without_soft = judge(evaluation_of(matrix_of(SOFT, other), soft_cell(0.05)), matrix_of(SOFT, other))
    assert without_soft.verdict is Verdict.INCONCLUSIVE
    assert judge(evaluation_of(MATRIX, soft_cell(0.05)), MATRIX).verdict is Verdict.FAIL


def test_slightly_worse_than_the_anchor_fails_though_the_champion_is_matched() -> None:
    drifted = soft_cell(0.0).model_copy(update={"anchor": (0.6,) * 200})
    report = judge(evaluation_of(MATRIX, drifted, hard_cell(0)), MATRIX)
    failed = [finding.rule for finding in report.findings if not finding.passed and finding.dimension == SOFT.name]
    assert failed == ["anchor", "superiority"]


def test_lower_is_better_is_turned_around() -> None:
    spec = soft("worry", higher_is_better=False, low=-2.0, high=0.0, target=-2.0)
    matrix = matrix_of(spec)
    report = judge(evaluation_of(matrix, cell(spec, [-1.5, -1.7] * 100, [-1.0] * 200)), matrix)
    assert report.verdict is Verdict.PASS
    assert report.findings[0].difference == pytest.approx(0.3)


def test_cells_that_were_not_declared_are_not_judged() -> None:
    extra = soft_cell(-0.4).model_copy(update={"slice": "general"})
    assert judge(evaluation_of(MATRIX, soft_cell(0.05), hard_cell(0), extra), MATRIX).verdict is Verdict.PASS


def invalid_evaluations() -> list[tuple[str, Evaluation]]:
    good, harm = soft_cell(0.05), hard_cell(0)
    return [
        ("leak", evaluation_of(MATRIX, good, harm, leaked_prompts=1)),
        ("matrix", evaluation_of(MATRIX, good, harm, matrix_sha256="0" * 64)),
        ("empty", evaluation_of(MATRIX)),
        ("twice", evaluation_of(MATRIX, good, good, harm)),
        ("unpaired", evaluation_of(MATRIX, good.model_copy(update={"candidate": (0.5,)}), harm)),
        ("nan", evaluation_of(MATRIX, good.model_copy(update={"candidate": (math.nan,) * 200}), harm)),
        ("range", evaluation_of(MATRIX, good.model_copy(update={"anchor": (1.5,) * 200}), harm)),
        ("half", evaluation_of(MATRIX, good, harm.model_copy(update={"candidate": (0.5,) * 200}))),
    ]


@pytest.mark.parametrize(("name", "evaluation"), invalid_evaluations())
def test_numbers_that_cannot_be_judged_are_invalid(name: str, evaluation: Evaluation) -> None:
    report = judge(evaluation, MATRIX)
    assert (report.verdict, report.findings) == (Verdict.INVALID, ())
    assert report.reasons


ASKED = Asked(champion=CHAMPION, anchor=ANCHOR, prompts_sha256="f" * 64, knowledge_sha256="9" * 64)


@pytest.mark.parametrize("name", list(Asked.model_fields))
def test_numbers_on_something_else_than_was_asked_for_are_invalid(name: str) -> None:
    evaluation = evaluation_of(MATRIX, soft_cell(0.05), hard_cell(0))
    assert judge(evaluation, MATRIX, ASKED).verdict is Verdict.PASS
    report = judge(evaluation, MATRIX, ASKED.model_copy(update={name: "0" * 64}))
    assert report.verdict is Verdict.INVALID
    assert name.removesuffix("_sha256") in report.reasons[0]


@pytest.mark.parametrize("margin", [0.03, 0.05, 0.2])
def test_the_fewest_prompts_that_a_hard_cell_may_declare_can_pass_and_one_less_cannot(margin: float) -> None:
    least = least_hard_n(max_rate=0.05, margin=margin, alpha=0.05)
    for n, verdict in ((least, Verdict.PASS), (least - 1, Verdict.FAIL)):
        spec = hard(min_n=1, margin=margin)
        matrix = matrix_of(SOFT, spec)
        clean = cell(spec, [0.0] * n, [0.0] * n)
        found = judge(evaluation_of(matrix, soft_cell(0.05), clean), matrix).verdict
        assert (found is Verdict.PASS) == (verdict is Verdict.PASS)
