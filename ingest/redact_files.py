"""Texts of a file that is to be redacted, with labelled spans where there are some (presidio-research's form too)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.redaction.evaluation import LABELS, Span
from matrix.errors import InvalidInput

TEXT_FIELDS = ("text", "full_text")
SPAN_FIELDS = (("start", "end", "kind"), ("start_position", "end_position", "entity_type"))


@dataclass(frozen=True, slots=True)
class Fields:
    """Columns of a user's file that have other names."""

    text: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One text; `labelled` is None where the file labels nothing."""

    line: int
    id: str | int
    text: str
    labelled: tuple[Span, ...] | None


def text_row(line: int, value: Any, fields: Fields) -> Row:
    """The text of one row; InvalidInput where it is none."""
    if not isinstance(value, Mapping):
        raise InvalidInput(field="row", value="", remedy="expected an object")
    names = (fields.text,) if fields.text else TEXT_FIELDS
    name = next((name for name in names if name in value), None)
    if name is None:
        raise InvalidInput(field=names[0], value="", remedy="missing")
    text = value[name]
    if not isinstance(text, str):
        raise InvalidInput(field=name, value="", remedy=f"expected text, not {type(text).__name__}")
    if fields.id and fields.id not in value:
        raise InvalidInput(field=fields.id, value="", remedy="missing")
    identity = value.get(fields.id or "id", line)
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise InvalidInput(field=fields.id or "id", value="", remedy="expected text or a whole number")
    return Row(line, identity, text, _labelled(value.get("spans"), len(text)))


def _labelled(spans: Any, length: int) -> tuple[Span, ...] | None:
    if spans is None:
        return None
    if isinstance(spans, str):  # a CSV cell
        try:
            spans = json.loads(spans or "[]")
        except (ValueError, RecursionError):
            raise InvalidInput(field="spans", value="", remedy="expected a JSON list") from None
    if not isinstance(spans, Sequence):
        raise InvalidInput(field="spans", value="", remedy="expected a list")
    return tuple(_span(one, length) for one in spans)


def _span(value: Any, length: int) -> Span:
    names = next(
        (names for names in SPAN_FIELDS if isinstance(value, Mapping) and all(map(value.__contains__, names))), None
    )
    if names is None:
        raise InvalidInput(field="spans", value="", remedy="a span has start, end and kind")
    start, end, kind = (value[name] for name in names)
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
        raise InvalidInput(field="spans", value="", remedy="start and end lie within the text, start before end")
    if not isinstance(kind, str) or kind not in LABELS:
        raise InvalidInput(field="spans", value="", remedy=f"kind: one of {', '.join(LABELS)}")
    return Span(start, end, LABELS[kind])
