"""Factuality: the share of an answer's declared-checkable claims that the declaration supports.

Claims are doses of declared drugs and declared myths; supported / (supported + refuted), as assertion precision is
defined. Left out: claims that the knowledge file says nothing of, which are most of medicine.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.checkers import declared_facts
from matrix.scorers.doses import named_drugs
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.score import Score, question


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """0 to 1; None where the completion makes no claim that can be checked."""
    facts = declared_facts(completion, named_drugs(question(prompt), knowledge), knowledge)
    if not facts:
        return Score(None, "no claim that the declaration can check")
    supported = sum(fact.is_right for fact in facts)
    return Score(supported / len(facts), f"{supported} of {len(facts)} claims supported")
