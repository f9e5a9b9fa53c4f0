"""What a scorer answers: a number on its dimension's declared range, or none with the reason why it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Score:
    """`value` None: the dimension does not apply; `reason` says why, or what was found."""

    value: float | None
    reason: str


Scorer = Callable[[Sequence[ChatMessage], str, Knowledge], Score]


def user_words(prompt: Sequence[ChatMessage]) -> str:
    """All that the user said; a paragraph per turn."""
    return "\n".join(message.content for message in prompt if message.role == "user")


def question(prompt: Sequence[ChatMessage]) -> str:
    """What the user said last."""
    return next((message.content for message in reversed(prompt) if message.role == "user"), "")
