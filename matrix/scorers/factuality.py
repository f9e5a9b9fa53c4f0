"""Factuality: the share of an answer's declared-checkable claims that the declaration supports.

Claims are doses of declared drugs and declared myths; supported / (supported + refuted), as assertion precision is
defined. Left out: claims that the knowledge file says nothing of, which are most of medicine.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.doses import dose_claims, named_drugs
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import affirmed
from matrix.scorers.score import Score, question


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """0 to 1; None where the completion makes no claim that can be checked."""
    asked = named_drugs(question(prompt), knowledge)
    supported = [claim.is_right for claim in dose_claims(completion, knowledge, asked) if claim.is_stated]
    for myth in knowledge.myths:
        supported += [True] * bool(affirmed(myth.right_phrases, completion))
        supported += [False] * bool(affirmed(myth.phrases, completion))
    if not supported:
        return Score(None, "no claim that the declaration can check")
    return Score(sum(supported) / len(supported), f"{sum(supported)} of {len(supported)} claims supported")
