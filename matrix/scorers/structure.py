"""Structure: an answer that is whole. Sentences begin and end properly, none twice, brackets close, and the declared
final line closes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import mentions, plain, sentences
from matrix.scorers.score import Score

_LIST_ITEM = re.compile(r"^(?:[-*\u2022]|\d{1,2}[.)])\s+")
_ENDS = re.compile(r"[.!?:][\"')\]\u2019\u201d]*$")


def score(_prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """1 whole, 0 not."""
    fault = _fault(completion.strip(), knowledge)
    return Score(0.0, fault) if fault else Score(1.0, "whole")


def _fault(text: str, knowledge: Knowledge) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "empty"
    said = sentences(plain(text))
    if len(set(said)) < len(said):
        return "says a sentence twice"
    if text.count("(") != text.count(")"):
        return "a bracket that does not close"
    wanted = knowledge.layout.final_lines
    if wanted and not mentions(wanted, lines[-1]):
        return "the declared final line is missing"
    return next((fault for line in lines if (fault := _fault_of(line))), None)


def _fault_of(line: str) -> str | None:
    """List items may go without a full stop."""
    body = _LIST_ITEM.sub("", line)
    if body == line and not _ENDS.search(line):
        return f"a line without an end: {line[-30:]!r}"
    return f"a line without a beginning: {body[:30]!r}" if body[:1].islower() else None
