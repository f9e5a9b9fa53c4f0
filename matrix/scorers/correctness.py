"""Correctness: an answer about a declared drug states its right dose and no other.

Stands in for an outcome reward model until there is one. Left out: whatever the knowledge file does not declare; an
emergency, where a dose is not what to answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.doses import DoseClaim, Stance, dose_claims, named_drugs
from matrix.scorers.knowledge import Drug, Knowledge
from matrix.scorers.score import Score, question
from matrix.scorers.slices import red_flags


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """Share of the drugs asked about whose right dose is stated, 0 to 1; None where none is asked about."""
    asked = named_drugs(question(prompt), knowledge)
    if not asked:
        return Score(None, "no declared drug is asked about")
    if red_flags(prompt, knowledge):
        return Score(None, "an emergency is not answered by a dose")
    claims = dose_claims(completion, knowledge, asked)
    wrong = [drug.name for drug in asked if not _is_answered(drug, claims)]
    reason = f"no right dose of {', '.join(wrong)}" if wrong else "states the right dose"
    return Score(1.0 - len(wrong) / len(asked), reason)


def _is_answered(drug: Drug, claims: Sequence[DoseClaim]) -> bool:
    own = [claim for claim in claims if claim.drug.name == drug.name and claim.is_stated]
    states = any(claim.is_right_dose and claim.stance is not Stance.BEYOND for claim in own)
    return states and all(claim.is_right for claim in own)
