"""The slice of a prompt, by declared words of the user: emergency before medication before general."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matrix.messages.completion import ChatMessage
from matrix.scorers.doses import named_drugs
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import mentions, present
from matrix.scorers.score import user_words


def slice_of(prompt: Sequence[ChatMessage], knowledge: Knowledge) -> Literal["emergency", "medication", "general"]:
    """The one slice that a prompt belongs to; cells named `all` take every prompt."""
    if red_flags(prompt, knowledge):
        return "emergency"
    said = user_words(prompt)
    about_medicine = named_drugs(said, knowledge) or mentions(knowledge.medication_words, said)
    return "medication" if about_medicine else "general"


def red_flags(prompt: Sequence[ChatMessage], knowledge: Knowledge) -> list[str]:
    """Kinds of declared red flags in the user's words that the user does not say to be without."""
    said = user_words(prompt)
    return [flag.name for flag in knowledge.red_flags if present(flag.phrases, said)]
