"""Our own messages as JSON lines: a line with `prompt` is a CompletionServed, any other a FeedbackEvent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest import steps
from ingest.formats.rows import BadRow, Recorded, Source, each, lines
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.results import DeadLetter


def read(source: Source) -> Iterator[Recorded | BadRow]:
    """One row a line."""
    return each(lines(source), _line)


def _line(number: int, row: Any) -> Iterator[Recorded | BadRow]:
    if isinstance(row, dict) and "prompt" in row:
        match steps.decode(row, CompletionServed):
            case DeadLetter(detail=detail):
                yield BadRow(number, detail)
            case completion:
                yield Recorded(number, (completion.value,), ())
        return
    match steps.decode(row, FeedbackEvent):
        case DeadLetter(detail=detail):
            yield BadRow(number, detail)
        case event:
            yield Recorded(number, (), (event.value,))
