"""Being written."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.score import Score


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """Being written."""
    return Score(None, "not written")
