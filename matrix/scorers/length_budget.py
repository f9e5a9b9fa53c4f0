"""Length budget: words above the declared most, as a share of it; nothing is gained by being shorter."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.score import Score


def score(_prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """0 within the budget, down to -1 at twice the budget and beyond."""
    words, most = len(completion.split()), knowledge.layout.max_words
    return Score(-min(max(words - most, 0) / most, 1.0), f"{words} words of {most}")
