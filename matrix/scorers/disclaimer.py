"""Disclaimer: the answer says, in a declared way, that it does not replace a person who can examine the patient."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import affirmed
from matrix.scorers.score import Score


def score(_prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """1 with, 0 without."""
    said = affirmed(knowledge.disclaimers, completion)
    return Score(1.0, f"{said[0]!r}") if said else Score(0.0, "none of the declared disclaimers")
