"""The only queries of ingest. Rows enter a batch at a time, as arrays, insert-or-ignore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from ingest.tables import CompletionRow, DeadLetterRow, DeliveryRow, FeedbackRow
from matrix.messages.feedback import Position

TURN = 0x696E6765  # this stage's number among PostgreSQL's advisory locks

_ARRAYS = {
    "partition": "integer[]",
    "offset": "bigint[]",
    "position": "integer[]",
    "served_at": "timestamptz[]",
    "received_at": "timestamptz[]",
    "set_aside_at": "timestamptz[]",
}
Key = tuple[str, int, int, int, str]  # where an event lay, and the digest of what lay there


@dataclass(frozen=True, slots=True)
class Waiting:
    """Feedback that waited for a completion, or waited too long."""

    event_id: str
    body: str
    position: Position


def take_turn(session: Session) -> None:
    """One writing transaction of ingest at a time, in the whole deployment, until this one ends.

    Without it, feedback and its completion arriving in two transactions at once would not see each other and the
    feedback would wait for ever; and two workers could both take an event for the first of its id.
    """
    _run(session, "SELECT pg_advisory_xact_lock(:turn)", {"turn": TURN})


def delivered(session: Session, keys: Sequence[Key]) -> set[Key]:
    """Which deliveries have had their effect."""
    query = """
        SELECT topic, partition, "offset", position, payload_sha256 FROM ingest.deliveries
        JOIN unnest(CAST(:topic AS text[]), CAST(:partition AS integer[]), CAST(:offset AS bigint[]),
                    CAST(:position AS integer[]), CAST(:payload_sha256 AS text[]))
             AS wanted(topic, partition, "offset", position, payload_sha256)
        USING (topic, partition, "offset", position, payload_sha256)
    """
    columns = {name: [key[index] for key in keys] for index, name in enumerate(_KEY)}
    return {(row[0], row[1], row[2], row[3], row[4]) for row in _run(session, query, columns)}


def feedback_fingerprints(session: Session, event_ids: Sequence[str]) -> dict[str, str]:
    """Stored events of these ids."""
    query = "SELECT event_id, fingerprint FROM ingest.feedback WHERE event_id = ANY(:ids)"
    return {row[0]: row[1] for row in _run(session, query, {"ids": list(event_ids)})}


def completion_fingerprints(session: Session, completion_ids: Sequence[str]) -> dict[str, str]:
    """Stored completions of these ids."""
    query = "SELECT completion_id, fingerprint FROM ingest.completions WHERE completion_id = ANY(:ids)"
    return {row[0]: row[1] for row in _run(session, query, {"ids": list(completion_ids)})}


def completion_bodies(session: Session, completion_ids: Sequence[str]) -> dict[str, str]:
    """Bodies of the completions that are there."""
    query = "SELECT completion_id, body FROM ingest.completions WHERE completion_id = ANY(:ids)"
    return {row[0]: row[1] for row in _run(session, query, {"ids": list(completion_ids)})}


def add_completions(session: Session, rows: Sequence[CompletionRow]) -> None:
    """Insert-or-ignore."""
    _insert(session, CompletionRow, rows)


def add_feedback(session: Session, rows: Sequence[FeedbackRow]) -> None:
    """Insert-or-ignore."""
    _insert(session, FeedbackRow, rows)


def add_deliveries(session: Session, rows: Sequence[DeliveryRow]) -> None:
    """Insert-or-ignore."""
    _insert(session, DeliveryRow, rows)


def add_dead_letters(session: Session, rows: Sequence[DeadLetterRow]) -> set[Key]:
    """Insert-or-ignore; returns the keys that were new."""
    returning = 'RETURNING topic, "partition", "offset", "position", payload_sha256'
    returned = _insert(session, DeadLetterRow, rows, returning)
    return {(row[0], row[1], row[2], row[3], row[4]) for row in returned}


def accept_waiting(session: Session, completion_ids: Sequence[str]) -> list[Waiting]:
    """Feedback that waited for these completions waits no more."""
    query = """
        UPDATE ingest.feedback SET state = 'accepted' WHERE state = 'pending' AND completion_id = ANY(:ids)
        RETURNING event_id, body, topic, "partition", "offset", "position"
    """
    return _waiting(_run(session, query, {"ids": list(completion_ids)}))


def give_up_waiting(session: Session, received_before: datetime, reason: str, limit: int) -> list[Waiting]:
    """Feedback that waits since before then is set aside, the oldest first."""
    query = """
        UPDATE ingest.feedback SET state = 'dead', reason = :reason
        WHERE event_id IN (SELECT event_id FROM ingest.feedback WHERE state = 'pending' AND received_at < :before
                           ORDER BY received_at, event_id LIMIT :limit)
        RETURNING event_id, body, topic, "partition", "offset", "position"
    """
    return _waiting(_run(session, query, {"reason": reason, "before": received_before, "limit": limit}))


def counts(session: Session, topic: str) -> dict[str, int]:
    """Figures by name, all of one instant: deliveries by outcome, events by state, letters by reason, completions."""
    query = """
        SELECT 'delivery.' || outcome, count(*) FROM ingest.deliveries WHERE topic = :topic GROUP BY outcome
        UNION ALL SELECT 'state.' || state, count(*) FROM ingest.feedback GROUP BY state
        UNION ALL SELECT 'reason.' || reason, count(*) FROM ingest.dead_letters WHERE topic = :topic GROUP BY reason
        UNION ALL SELECT 'completions.stored', count(*) FROM ingest.completions
        UNION ALL SELECT 'completions.dead', count(*) FROM ingest.dead_letters WHERE topic <> :topic
    """
    return {row[0]: row[1] for row in _run(session, query, {"topic": topic})}


def dead_letters(session: Session, *, reason: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    query = """
        SELECT reason, detail, step, field, topic, "partition", "offset", "position", payload, set_aside_at
        FROM ingest.dead_letters WHERE CAST(:reason AS text) IS NULL OR reason = :reason
        ORDER BY set_aside_at DESC, topic, "partition", "offset" DESC, "position" DESC LIMIT :limit
    """
    return [dict(row._mapping) for row in _run(session, query, {"reason": reason, "limit": limit})]


def _waiting(rows: Sequence[Any]) -> list[Waiting]:
    found = [
        Waiting(row[0], row[1], Position(topic=row[2], partition=row[3], offset=row[4], position=row[5]))
        for row in rows
    ]
    return sorted(found, key=lambda one: one.event_id)


def _insert(
    session: Session,
    table: type[CompletionRow] | type[FeedbackRow] | type[DeliveryRow] | type[DeadLetterRow],
    rows: Sequence[CompletionRow | FeedbackRow | DeliveryRow | DeadLetterRow],
    returning: str = "",
) -> Sequence[Any]:
    if not rows:
        return []
    names = list(table.model_fields)
    listed = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(f"CAST(:{name} AS {_ARRAYS.get(name, 'text[]')})" for name in names)
    # Names are our own column names, never input.
    query = f"INSERT INTO ingest.{table.__tablename__} ({listed}) SELECT * FROM unnest({arrays}) "  # noqa: S608
    return _run(session, f"{query} ON CONFLICT DO NOTHING {returning}", _columns([row.model_dump() for row in rows]))


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


_KEY = ("topic", "partition", "offset", "position", "payload_sha256")


def _run(session: Session, query: str, values: Mapping[str, Any]) -> Sequence[Any]:
    result = session.connection().execute(text(query), dict(values))
    return result.all() if result.returns_rows else []
