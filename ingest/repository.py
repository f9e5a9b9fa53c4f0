"""The queries of completions, feedback, deliveries and counts; dead letters and retention have their own.

Rows enter a batch at a time, as arrays, insert-or-ignore. Ids are looked up by tenant and id. `tenant=None` is for
those who run the deployment: every tenant together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, SQLModel

from ingest.steps import Key
from ingest.tables import CompletionRow, DeliveryRow, FeedbackRow
from matrix.messages.feedback import Position

TURN = 0x696E6765  # this stage's number among PostgreSQL's advisory locks

_ARRAYS = {
    "partition": "integer[]",
    "offset": "bigint[]",
    "position": "integer[]",
    "whole": "boolean[]",
    "served_at": "timestamptz[]",
    "received_at": "timestamptz[]",
    "handled_at": "timestamptz[]",
    "set_aside_at": "timestamptz[]",
}
_OF_TENANT = "(CAST(:tenant AS text) IS NULL OR tenant = :tenant)"
_WANTED = "unnest(CAST(:tenants AS text[]), CAST(:ids AS text[]))"
DeliveryKey = tuple[str, int, int, int, str]  # where an event lay, and the digest of what lay there


@dataclass(frozen=True, slots=True)
class Waiting:
    """Feedback that waited for a completion, or waited too long."""

    tenant: str
    event_id: str
    body: str
    position: Position
    digest: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of the ids that were asked for."""

    fingerprints: Mapping[Key, str]  # of events
    completions: frozenset[Key]


def take_turn(session: Session) -> None:
    """One writing transaction of ingest at a time, in the whole deployment, until this one ends.

    Without it, feedback and its completion arriving in two transactions at once would not see each other and the
    feedback would wait for ever; and two workers could both take an event for the first of its id.
    """
    run(session, "SELECT pg_advisory_xact_lock(:turn)", {"turn": TURN})


def delivered(session: Session, keys: Sequence[DeliveryKey]) -> set[DeliveryKey]:
    """Which deliveries have had their effect."""
    query = """
        SELECT topic, partition, "offset", position, payload_sha256 FROM ingest.deliveries
        JOIN unnest(CAST(:topic AS text[]), CAST(:partition AS integer[]), CAST(:offset AS bigint[]),
                    CAST(:position AS integer[]), CAST(:payload_sha256 AS text[]))
             AS wanted(topic, partition, "offset", position, payload_sha256)
        USING (topic, partition, "offset", position, payload_sha256)
    """
    columns = {name: [key[index] for key in keys] for index, name in enumerate(DELIVERY_KEY)}
    return {(row[0], row[1], row[2], row[3], row[4]) for row in run(session, query, columns)}


def known(session: Session, events: Sequence[Key], completions: Sequence[Key]) -> Known:
    """Fingerprints of these events that are stored, and which of these completions are."""
    query = f"""
        SELECT tenant, completion_id FROM ingest.completions
        JOIN {_WANTED} AS wanted(tenant, completion_id) USING (tenant, completion_id)
    """  # noqa: S608 - our own words
    found = run(session, query, _pairs(completions)) if completions else []
    return Known(feedback_fingerprints(session, events), frozenset((row[0], row[1]) for row in found))


def feedback_fingerprints(session: Session, events: Sequence[Key]) -> dict[Key, str]:
    """Stored events of these ids."""
    query = f"""
        SELECT tenant, event_id, fingerprint FROM ingest.feedback
        JOIN {_WANTED} AS wanted(tenant, event_id) USING (tenant, event_id)
    """  # noqa: S608
    found = run(session, query, _pairs(events)) if events else []
    return {(row[0], row[1]): row[2] for row in found}


def completion_fingerprints(session: Session, completions: Sequence[Key]) -> dict[Key, str]:
    """Stored completions of these ids."""
    return _of_completions(session, "fingerprint", completions)


def completion_bodies(session: Session, completions: Sequence[Key]) -> dict[Key, str]:
    """Bodies of the completions that are there."""
    return _of_completions(session, "body", completions)


def add_completions(session: Session, rows: Sequence[CompletionRow]) -> None:
    """Insert-or-ignore."""
    insert(session, CompletionRow, rows)


def add_feedback(session: Session, rows: Sequence[FeedbackRow]) -> None:
    """Insert-or-ignore."""
    insert(session, FeedbackRow, rows)


def add_deliveries(session: Session, rows: Sequence[DeliveryRow]) -> None:
    """Insert-or-ignore."""
    insert(session, DeliveryRow, rows)


def accept_waiting(session: Session, completions: Sequence[Key]) -> list[Waiting]:
    """Feedback that waited for these completions waits no more."""
    query = f"""
        UPDATE ingest.feedback AS f SET state = 'accepted' FROM {_WANTED} AS wanted(tenant, completion_id)
        WHERE f.state = 'pending' AND f.tenant = wanted.tenant AND f.completion_id = wanted.completion_id
        RETURNING {_WAITING}
    """  # noqa: S608
    return _waiting(run(session, query, _pairs(completions)))


def give_up_waiting(
    session: Session, received_before: datetime, reason: str, limit: int, *, tenant: str | None = None
) -> list[Waiting]:
    """Feedback that waits since before then is set aside, the oldest first."""
    query = f"""
        UPDATE ingest.feedback AS f SET state = 'dead', reason = :reason
        WHERE (tenant, event_id) IN (SELECT tenant, event_id FROM ingest.feedback
                                     WHERE state = 'pending' AND received_at < :before AND {_OF_TENANT}
                                     ORDER BY received_at, tenant, event_id LIMIT :limit)
        RETURNING {_WAITING}
    """  # noqa: S608
    values = {"reason": reason, "before": received_before, "limit": limit, "tenant": tenant}
    return _waiting(run(session, query, values))


def counts(session: Session, topic: str, tenant: str | None) -> dict[str, dict[str, int]]:
    """By tenant, figures by name, all of one instant: deliveries by outcome, events by state, letters by reason, and
    completions.

    Rows that are there, and those that retention has deleted. A letter that was replayed is none any more.
    """
    query = f"""
        SELECT tenant, name, sum(number) FROM (
            SELECT tenant, 'delivery.' || outcome AS name, count(*) AS number FROM ingest.deliveries
                WHERE topic = :topic AND {_OF_TENANT} GROUP BY tenant, outcome
            UNION ALL SELECT tenant, 'state.' || state, count(*) FROM ingest.feedback
                WHERE {_OF_TENANT} GROUP BY tenant, state
            UNION ALL SELECT tenant, 'reason.' || reason, count(*) FROM ingest.dead_letters
                WHERE topic = :topic AND state <> 'replayed' AND {_OF_TENANT} GROUP BY tenant, reason
            UNION ALL SELECT tenant, 'completions.stored', count(*) FROM ingest.completions
                WHERE {_OF_TENANT} GROUP BY tenant
            UNION ALL SELECT tenant, 'completions.dead', count(*) FROM ingest.dead_letters
                WHERE topic <> :topic AND state <> 'replayed' AND {_OF_TENANT} GROUP BY tenant
            UNION ALL SELECT tenant, name, number FROM ingest.pruned_counts WHERE {_OF_TENANT}
        ) AS figures GROUP BY tenant, name
    """  # noqa: S608
    found: dict[str, dict[str, int]] = {}
    for whose, name, number in run(session, query, {"topic": topic, "tenant": tenant}):
        found.setdefault(whose, {})[name] = int(number)
    return found


def oldest_waiting(session: Session, tenant: str | None) -> dict[str, datetime]:
    """Of each tenant with feedback that waits for its completion, since when the oldest does."""
    query = f"""
        SELECT tenant, min(received_at) FROM ingest.feedback WHERE state = 'pending' AND {_OF_TENANT} GROUP BY tenant
    """  # noqa: S608
    return {row[0]: row[1] for row in run(session, query, {"tenant": tenant})}


def event(session: Session, key: Key) -> dict[str, Any] | None:
    """A stored event without its words."""
    query = """
        SELECT event_id, completion_id, kind, state, reason, received_at FROM ingest.feedback
        WHERE tenant = :tenant AND event_id = :event_id
    """
    rows = run(session, query, {"tenant": key[0], "event_id": key[1]})
    return dict(rows[0]._mapping) if rows else None


def run(session: Session, query: str, values: Mapping[str, Any]) -> Sequence[Any]:
    """Rows of one statement."""
    result = session.connection().execute(text(query), dict(values))
    return result.all() if result.returns_rows else []


def insert(
    session: Session, table: type[SQLModel], rows: Sequence[SQLModel], then: str = "DO NOTHING"
) -> Sequence[Any]:
    """Rows as arrays; `then` is what follows ON CONFLICT."""
    if not rows:
        return []
    names = list(table.model_fields)
    listed = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(f"CAST(:{name} AS {_ARRAYS.get(name, 'text[]')})" for name in names)
    # Names are our own column names, never input.
    query = f"INSERT INTO ingest.{table.__tablename__} ({listed}) SELECT * FROM unnest({arrays})"  # noqa: S608
    told = [row.model_dump() for row in rows]
    return run(session, f"{query} ON CONFLICT {then}", {name: [row[name] for row in told] for name in names})


def _of_completions(session: Session, column: str, completions: Sequence[Key]) -> dict[Key, str]:
    query = f"""
        SELECT tenant, completion_id, {column} FROM ingest.completions
        JOIN {_WANTED} AS wanted(tenant, completion_id) USING (tenant, completion_id)
    """  # noqa: S608
    found = run(session, query, _pairs(completions)) if completions else []
    return {(row[0], row[1]): row[2] for row in found}


def _waiting(rows: Sequence[Any]) -> list[Waiting]:
    found = [
        Waiting(
            row[0], row[1], row[2], Position(topic=row[3], partition=row[4], offset=row[5], position=row[6]), *row[7:]
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.tenant, one.event_id))


def _pairs(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {"tenants": [key[0] for key in keys], "ids": [key[1] for key in keys]}


_WAITING = (
    'f.tenant, f.event_id, f.body, f.topic, f."partition", f."offset", f."position", f.payload_sha256, f.received_at'
)
DELIVERY_KEY = ("topic", "partition", "offset", "position", "payload_sha256")
