"""The hash chain of the audit log: each entry holds the hash of the one before, so that none can change unseen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from matrix.digests import digest_json
from matrix.messages.base import Value

FIRST = "0" * 64  # what the first entry follows


class Entry(Value):
    """Who did what to what, when; `detail` holds digests and figures, never text that users wrote."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


def chained(
    previous: Entry | None, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> Entry:
    """The entry that follows `previous`."""
    number, previous_hash = (previous.number + 1, previous.hash) if previous else (1, FIRST)
    entry = Entry(
        number=number,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
        previous_hash=previous_hash,
        hash="",
    )
    return entry.model_copy(update={"hash": hash_of(entry)})


def hash_of(entry: Entry) -> str:
    """Of everything but the hash itself; the time in microseconds, as a database keeps it."""
    content = entry.model_dump(exclude={"hash", "at"})
    return digest_json(content | {"at_us": round(entry.at.timestamp() * 1_000_000)})


def first_break(entries: Iterable[Entry]) -> int | None:
    """Number of the first entry that does not follow from the one before; None where the chain holds."""
    previous_hash = FIRST
    for number, entry in enumerate(entries, start=1):
        if (entry.number, entry.previous_hash, entry.hash) != (number, previous_hash, hash_of(entry)):
            return number
        previous_hash = entry.hash
    return None
