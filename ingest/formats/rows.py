"""What the readers of recordings share: rows, bad rows, and how a wrong value in a row is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from matrix.digests import digest_bytes, digest_json
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.validation import first_finding

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)  # where recordings without times begin
ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Source:
    """A recording: its name, its text, and the policy that its completions are credited to."""

    name: str
    text: str
    policy: str

    @property
    def short_digest(self) -> str:
        """Begin of the ids made for this file."""
        return digest_bytes(self.text.encode("utf-8", "surrogatepass"))[:ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row: completions, then what people said about them."""

    line: int  # number of the row or line, from 1
    completions: tuple[CompletionServed, ...]
    events: tuple[FeedbackEvent, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or a part of one, that is no feedback; the rest of the file is read all the same."""

    line: int
    reason: str


def whole_file(source: Source) -> list[Any]:
    """The rows of a file that is one JSON list; InvalidInput where it is not."""
    try:
        rows = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(field=source.name, value=source.text[:40], remedy=f"expected JSON ({error})") from None
    if not isinstance(rows, list):
        raise InvalidInput(field=source.name, value=type(rows).__name__, remedy="expected a JSON list of rows")
    return rows


def lines(source: Source) -> Iterator[tuple[int, Any] | BadRow]:
    """Number and value of each JSON line; InvalidInput where not even the first is JSON."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == 1:
                remedy = f"expected JSON lines ({error})"
                raise InvalidInput(field=f"{source.name}, line 1", value=line[:40], remedy=remedy) from None
            yield BadRow(number, f"not JSON: {error}")


def each(
    numbered: Iterator[tuple[int, Any] | BadRow], read_row: Callable[[int, Any], Iterator[Recorded | BadRow]]
) -> Iterator[Recorded | BadRow]:
    """Read row after row; what is missing or wrong in one is named and costs that row alone."""
    for one in numbered:
        if isinstance(one, BadRow):
            yield one
            continue
        number, value = one
        try:
            yield from list(read_row(number, value))
        except ValidationError as error:
            first = first_finding(error)
            where = ".".join(map(str, first.place))
            yield BadRow(number, f"{where}: {first.rule}" if where else first.rule)
        except KeyError as error:
            yield BadRow(number, f"{error.args[0]}: missing")
        except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            yield BadRow(number, f"not the shape of this format: {error}")


def model_digest(*names: str) -> str:
    """A stand-in for the adapter's digest: recordings know their models by name alone."""
    return digest_json(["recorded", *names])


def recorded_at(text: str) -> datetime:
    """Times without a zone are taken as UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
