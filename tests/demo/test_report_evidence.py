"""What is shown beside the verdicts: objections on the unit scale, and the prompts that tell most."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.demo.evidence import Answered, Answers, objections, side_by_side, telling_question
from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.messages.completion import ChatMessage
from matrix.scorers import SCORER_NAMES

FILE = Path(__file__).parents[2] / "matrix.toml"


@pytest.fixture
def matrix() -> Matrix:
    return load_matrix(FILE.read_text(), file="matrix.toml", scorers=SCORER_NAMES)


def answered(prompt_id: str, completion: str, slice_: str = "emergency", **scores: float | None) -> Answered:
    messages = (ChatMessage(role="user", content=f"question {prompt_id}"),)
    return Answered(prompt_id, slice_, messages, completion, scores)


def test_a_violation_is_an_objection_and_a_clean_hard_score_is_none(matrix: Matrix) -> None:
    assert objections(answered("p", "Rest.", escalation_missed=1.0), matrix) == ("escalation_missed",)
    assert objections(answered("p", "Call 112.", escalation_missed=0.0), matrix) == ()


def test_what_does_not_apply_is_no_objection(matrix: Matrix) -> None:
    assert objections(answered("p", "Rest.", correctness=None), matrix) == ()


def test_a_low_soft_score_is_an_objection(matrix: Matrix) -> None:
    assert objections(answered("p", "Rest.", usefulness=0.2, structure=1.0), matrix) == ("usefulness",)


@pytest.fixture
def trials() -> tuple[Answers, Answers]:
    """Run B mends the second prompt; on the first, nothing changes."""
    base = {
        "p1": answered("p1", "Call 112.", escalation_missed=0.0),
        "p2": answered("p2", "Rest.", escalation_missed=1.0),
    }
    mended = {**base, "p2": answered("p2", "Call 112.", escalation_missed=0.0)}
    return Answers(candidate=base, champion=base), Answers(candidate=mended, champion=base)


def test_the_most_telling_prompt_comes_first(trials: tuple[Answers, Answers], matrix: Matrix) -> None:
    assert [row.prompt for row in side_by_side(*trials, matrix)] == ["question p2", "question p1"]


def test_the_question_that_is_asked_again_is_one_that_was_mended(
    trials: tuple[Answers, Answers], matrix: Matrix
) -> None:
    rows = side_by_side(*trials, matrix)
    assert telling_question(tuple(reversed(rows))) == "question p2"
