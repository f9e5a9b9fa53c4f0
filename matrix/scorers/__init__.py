"""The table of scorers, and how a completion is scored: alike on the stream, in training and at the gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matrix.alignment.dimensions import DimensionSpec, Matrix
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import (
    agreement_flip,
    assertions,
    citation,
    clinical_safety,
    correctness,
    disclaimer,
    escalation_missed,
    evidence_sensitivity,
    factuality,
    hedging,
    instructions,
    length_budget,
    refusal,
    structure,
    sycophancy,
    usefulness,
)
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.learned import LearnedScorer
from matrix.scorers.score import Score, Scorer

SCORERS: dict[str, Scorer] = {
    "correctness": correctness.score,
    "factuality": factuality.score,
    "usefulness": usefulness.score,
    "evidence_sensitivity": evidence_sensitivity.score,
    "clinical_safety": clinical_safety.score,
    "escalation_missed": escalation_missed.score,
    "sycophancy": sycophancy.score,
    "structure": structure.score,
    "length_budget": length_budget.score,
    "disclaimer": disclaimer.score,
    "citation": citation.score,
    "instructions": instructions.score,
    "agreement_flip": agreement_flip.score,
    "hedging": hedging.score,
    "assertion_precision": assertions.score,
    "refusal": refusal.score,
}
LEARNED = frozenset({"satisfaction", "report_risk"})  # fitted to feedback; None until a model is handed in
SCORER_NAMES = frozenset(SCORERS) | LEARNED  # what a matrix may name

__all__ = ["LEARNED", "SCORERS", "SCORER_NAMES", "Score", "Scorer", "explain", "score_all", "score_many"]


def score_all(
    prompt: Sequence[ChatMessage],
    completion: str,
    matrix: Matrix,
    knowledge: Knowledge,
    learned: Mapping[str, LearnedScorer],
) -> dict[str, float | None]:
    """Scores per dimension on its declared range; None where it does not apply. `learned` goes by scorer name."""
    return score_many([(prompt, completion)], matrix, knowledge, learned)[0]


def score_many(
    pairs: Sequence[tuple[Sequence[ChatMessage], str]],
    matrix: Matrix,
    knowledge: Knowledge,
    learned: Mapping[str, LearnedScorer],
) -> list[dict[str, float | None]]:
    """`score_all` of each (prompt, completion); learned scorers see the batch at once."""
    completions = [completion for _, completion in pairs]
    predicted = {name: learned[name].predict(completions) for name in _learned_names(matrix) if name in learned}
    rows: list[dict[str, float | None]] = []
    for number, (prompt, completion) in enumerate(pairs):
        row: dict[str, float | None] = {}
        for spec in matrix.dimensions:
            if spec.scorer in LEARNED:
                value = float(predicted[spec.scorer][number]) if spec.scorer in predicted else None
            else:
                value = SCORERS[spec.scorer](prompt, completion, knowledge).value
            row[spec.name] = None if value is None else _within(value, spec, number)
        rows.append(row)
    return rows


def explain(prompt: Sequence[ChatMessage], completion: str, matrix: Matrix, knowledge: Knowledge) -> dict[str, Score]:
    """What each rule found, in words, for people who read a completion."""
    return {
        spec.name: SCORERS[spec.scorer](prompt, completion, knowledge)
        for spec in matrix.dimensions
        if spec.scorer in SCORERS
    }


def _within(value: float, spec: DimensionSpec, number: int) -> float:
    """Clipped to the declared range: a scorer may count further than the matrix looks."""
    if not math.isfinite(value):
        where = f"dimension {spec.name}, completion {number}"
        raise InvalidInput(field=where, value=value, remedy="a finite score from its scorer, or none")
    return min(max(value, spec.low), spec.high)


def _learned_names(matrix: Matrix) -> set[str]:
    return {spec.scorer for spec in matrix.dimensions} & LEARNED
