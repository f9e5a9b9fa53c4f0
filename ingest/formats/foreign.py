"""Exports of other services, read by the connectors that also take them over HTTP (ingest.connectors).

A file is one JSON value (a list, or an object that is or holds items) or JSON lines. Ids are keyed with the file's
digest here and with the deployment's secret at the gateway, so send an export one way or the other. What states no
time is put one second apart from EPOCH, by its row.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from ingest.connectors.items import Connector, Delivery, Outcome, Refused
from ingest.formats.rows import EPOCH, BadRow, Recorded, Source, lines
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent


def read(connector: Connector, source: Source) -> Iterator[Recorded | BadRow]:
    """One row an item."""
    for one in _rows(source):
        if isinstance(one, BadRow):
            yield one
            continue
        row, value = one
        for outcome in connector([value] if isinstance(value, list) else value, _delivery(source, row)):
            yield _recorded(row + outcome.index, outcome)


def _rows(source: Source) -> Iterator[tuple[int, Any] | BadRow]:
    try:
        value = json.loads(source.text)
    except (ValueError, RecursionError):
        yield from lines(source)
        return
    yield from enumerate(value if isinstance(value, list) else [value], 1)


def _delivery(source: Source, row: int) -> Delivery:
    keyed = partial(_keyed, source.short_digest.encode())
    return Delivery(now=EPOCH + timedelta(seconds=row), keyed=keyed, policy=source.policy)


def _keyed(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256")[:16].hex()


def _recorded(row: int, outcome: Outcome) -> Recorded | BadRow:
    if isinstance(outcome, Refused):
        return BadRow(row, f"{outcome.field}: {outcome.rule}")
    completions = tuple(one for one in outcome.messages if isinstance(one, CompletionServed))
    return Recorded(row, completions, tuple(one for one in outcome.messages if isinstance(one, FeedbackEvent)))
