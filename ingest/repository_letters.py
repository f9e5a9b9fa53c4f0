"""The queries of dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from ingest.repository import DELIVERY_KEY, DeliveryKey, insert, run
from ingest.tables import DeadLetterRow, DeliveryRow, FeedbackRow

_RETURNED = 'RETURNING topic, "partition", "offset", "position", payload_sha256'


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; every part narrows it."""

    tenants: tuple[str, ...] | None = None  # None: of every tenant
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    ids: tuple[str, ...] | None = None
    limit: int = 100


def add(session: Session, rows: Sequence[DeadLetterRow]) -> set[DeliveryKey]:
    """Insert-or-ignore; returns the keys that were new."""
    return _keys(insert(session, DeadLetterRow, rows, f"DO NOTHING {_RETURNED}"))


def add_again(session: Session, rows: Sequence[DeadLetterRow]) -> set[DeliveryKey]:
    """The same, and a letter that was replayed is set aside anew."""
    named = [name for name in DeadLetterRow.model_fields if name not in DELIVERY_KEY]
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in named)
    key = ", ".join(f'"{name}"' for name in DELIVERY_KEY)
    then = f"({key}) DO UPDATE SET {changes} WHERE dead_letters.state = 'replayed' {_RETURNED}"
    return _keys(insert(session, DeadLetterRow, rows, then))


def selected(session: Session, wanted: Selection, *, waiting: bool = False) -> list[DeadLetterRow]:
    """The newest first; `waiting`: only those that nobody has handled, which are locked."""
    query = select(DeadLetterRow)
    if wanted.tenants is not None:
        query = query.where(col(DeadLetterRow.tenant).in_(wanted.tenants))
    if wanted.reason is not None:
        query = query.where(DeadLetterRow.reason == wanted.reason)
    if wanted.topic is not None:
        query = query.where(DeadLetterRow.topic == wanted.topic)
    if wanted.since is not None:
        query = query.where(col(DeadLetterRow.set_aside_at) >= wanted.since)
    if wanted.ids is not None:
        query = query.where(col(DeadLetterRow.letter_id).in_(wanted.ids))
    if waiting:
        query = query.where(DeadLetterRow.state == "waiting").with_for_update()
    newest = (col(DeadLetterRow.set_aside_at).desc(), col(DeadLetterRow.topic), col(DeadLetterRow.partition))
    ordered = query.order_by(*newest, col(DeadLetterRow.offset).desc(), col(DeadLetterRow.position).desc())
    return list(session.exec(ordered.limit(wanted.limit)))


def of_event(session: Session, tenant: str, event_id: str, topic: str) -> DeadLetterRow | None:
    """The newest letter of an event that still stands."""
    named = DeadLetterRow.tenant == tenant, DeadLetterRow.event_id == event_id, DeadLetterRow.topic == topic
    query = select(DeadLetterRow).where(*named, DeadLetterRow.state != "replayed")
    return session.exec(query.order_by(col(DeadLetterRow.set_aside_at).desc()).limit(1)).one_or_none()


def feedback_of(session: Session, letter: DeadLetterRow) -> FeedbackRow | None:
    """The event that a letter of the join speaks of."""
    return session.get(FeedbackRow, (letter.tenant, letter.event_id))


def delivery_of(session: Session, letter: DeadLetterRow) -> DeliveryRow | None:
    """Where the letter's event was counted."""
    return session.get(DeliveryRow, tuple(getattr(letter, name) for name in DELIVERY_KEY))


def put_feedback(session: Session, row: FeedbackRow) -> None:
    """A new event."""
    session.add(row)


def waiting_by_reason(session: Session) -> list[tuple[str, str, int]]:
    """Tenant, reason, and letters that nobody has handled."""
    query = "SELECT tenant, reason, count(*) FROM ingest.dead_letters WHERE state = 'waiting' GROUP BY 1, 2"
    return [(row[0], row[1], row[2]) for row in run(session, query, {})]


def _keys(rows: Sequence[Any]) -> set[DeliveryKey]:
    return {(row[0], row[1], row[2], row[3], row[4]) for row in rows}
