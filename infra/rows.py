"""Rows of a file that a command works on: JSON lines, one JSON list, or CSV; `-` is standard input.

A row that cannot be read costs itself alone and is told with its line. No reason repeats what a row says, since rows
hold people's words. Left out: Parquet, whose reader (pyarrow) would be one more dependency; it is refused by name.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from infra.console import people
from matrix.errors import InvalidInput

PARQUET = b"PAR1"  # its first bytes
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is none of what the command works on."""

    line: int
    reason: str


def read_rows(file: str, read: Callable[[int, Any], Row]) -> Iterator[Row | BadRow]:
    """What `read` makes of each (line, value), in order; its InvalidInput makes a row a bad one.

    InvalidInput where the file cannot be read or is of no form that is.
    """
    text = _text_of(file)
    for line, value in _values(file, text):
        if isinstance(value, BadRow):
            yield value
            continue
        try:
            yield read(line, value)
        except InvalidInput as error:
            yield BadRow(line, f"{error.field}: {error.remedy}")


def readable(rows: Iterable[Row | BadRow], *, strict: bool) -> Iterator[Row]:
    """The good ones; people are told of the bad ones. InvalidInput at the first bad one where `strict`, else where
    none is good."""
    good = bad = 0
    for row in rows:
        if not isinstance(row, BadRow):
            good += 1
            yield row
            continue
        bad += 1
        report(row, strict=strict)
    if bad and not good:
        raise InvalidInput(field="FILE", value=f"{bad} rows", remedy="none of them can be read")


def report(row: BadRow, *, strict: bool) -> None:
    """Tell people of a bad row; InvalidInput where `strict`."""
    if strict:
        raise InvalidInput(field=f"line {row.line}", value="(not shown)", remedy=row.reason)
    people().print(f"line {row.line}: {row.reason}", markup=False)


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
