"""Rows of a file that is to be redacted: JSON lines, CSV, or one JSON list (presidio-research's form too).

A row that cannot be read costs itself alone. No reason repeats what a row says. Left out: Parquet, whose reader
(pyarrow) would be one more dependency for one command; it is refused by name.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.redaction.evaluation import LABELS, Span
from matrix.errors import InvalidInput

PARQUET = b"PAR1"  # its first bytes
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


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no text."""

    line: int
    reason: str


def read_rows(file: str, fields: Fields) -> Iterator[Row | BadRow]:
    """In order. InvalidInput where the file cannot be read or is of no form that is."""
    text = _text_of(file)
    for line, value in _values(file, text):
        if isinstance(value, BadRow):
            yield value
            continue
        try:
            yield _row(line, value, fields)
        except InvalidInput as error:
            yield BadRow(line, f"{error.field}: {error.remedy}")


def _text_of(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(field="FILE", value=file, remedy=f"cannot be read: {reason}") from None
    if raw.startswith(PARQUET) or file.lower().endswith(".parquet"):
        remedy = "Parquet is not read; convert it to JSON lines or CSV, e.g. with pandas or DuckDB"
        raise InvalidInput(field="FILE", value=file, remedy=remedy)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        remedy = f"expected UTF-8 JSON lines, a JSON list or CSV; byte {error.start}: {error.reason}"
        raise InvalidInput(field="FILE", value=file, remedy=remedy) from None


def _values(file: str, text: str) -> Iterator[tuple[int, Any]]:
    begin = text.lstrip()[:1]
    if begin == "[":
        return _listed(file, text)
    if begin == "{" and not file.lower().endswith(".csv"):
        return _json_lines(text)
    if not begin:
        return iter(())
    return _comma_separated(file, text)


def _listed(file: str, text: str) -> Iterator[tuple[int, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "the whole"
        raise InvalidInput(field=file, value=where, remedy="expected a JSON list of rows") from None
    yield from enumerate(rows, 1)


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for line, one in enumerate(text.split("\n"), 1):
        if not one.strip():
            continue
        try:
            yield line, json.loads(one)
        except (ValueError, RecursionError):
            yield line, BadRow(line, "not JSON")


def _comma_separated(file: str, text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if len(reader.fieldnames or ()) < 1 or "\x00" in text:
        raise InvalidInput(field="FILE", value=file, remedy="expected JSON lines, a JSON list, or CSV with a header")
    rows = iter(reader)
    while True:
        try:
            yield reader.line_num + 1, next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, BadRow(reader.line_num, f"not CSV: {error}")


def _row(line: int, value: Any, fields: Fields) -> Row:
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
