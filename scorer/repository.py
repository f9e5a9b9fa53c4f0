"""The only queries of the scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel, col, delete, select

from matrix.alignment.risk import DecayedCounts
from matrix.messages.base import qualified
from matrix.messages.feedback import FeedbackEvent
from scorer.risk import Cell
from scorer.tables import (
    DeadLetterRow,
    FeedbackRow,
    ProgressRow,
    RiskCountRow,
    RiskPointRow,
    RiskStateRow,
    SampleRow,
    SnapshotRow,
)

TURN = 0x73636F72  # this stage's number among PostgreSQL's advisory locks
CHUNK = 1000  # rows a statement; PostgreSQL takes 65,535 parameters


def take_turn(session: Session) -> None:
    """One writing transaction of the scorer at a time, in the whole deployment, until this one ends."""
    session.connection().execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": TURN})


def known_samples(session: Session, completion_ids: Sequence[str]) -> dict[str, SampleRow]:
    """Rows of these completions that are there."""
    query = select(SampleRow).where(col(SampleRow.completion_id).in_(completion_ids))
    return {row.completion_id: row for row in session.exec(query)}


def events_of(session: Session, completion_ids: Sequence[str]) -> dict[str, list[FeedbackEvent]]:
    """Stored events by completion, by event id."""
    query = select(FeedbackRow).where(col(FeedbackRow.completion_id).in_(completion_ids))
    found: dict[str, list[FeedbackEvent]] = {}
    for row in session.exec(query.order_by(col(FeedbackRow.event_id))):
        found.setdefault(row.completion_id, []).append(FeedbackEvent.model_validate_json(row.body))
    return found


def known_events(session: Session, event_ids: Sequence[str]) -> set[str]:
    """Which of these events are stored."""
    return set(session.exec(select(FeedbackRow.event_id).where(col(FeedbackRow.event_id).in_(event_ids))))


def add_samples(session: Session, rows: Sequence[SampleRow]) -> None:
    """New completions."""
    _insert(session, SampleRow, rows)


def add_events(session: Session, events: Mapping[str, FeedbackEvent]) -> None:
    """New events by their qualified ids."""
    rows = [
        {
            "event_id": name,
            "completion_id": qualified(one.tenant, one.completion_id),
            "body": one.to_payload().decode(),
        }
        for name, one in events.items()
    ]
    _insert(session, FeedbackRow, [FeedbackRow.model_validate(row) for row in rows])


def set_labels(session: Session, rows: Sequence[SampleRow]) -> None:
    """Labels of rows that are there."""
    query = """
        UPDATE scorer.samples AS s
        SET satisfaction = n.satisfaction, reported = n.reported, label_version = n.label_version
        FROM unnest(CAST(:completion_id AS text[]), CAST(:satisfaction AS double precision[]),
                    CAST(:reported AS boolean[]), CAST(:label_version AS integer[]))
             AS n(completion_id, satisfaction, reported, label_version)
        WHERE s.completion_id = n.completion_id
    """
    names = ("completion_id", "satisfaction", "reported", "label_version")
    session.connection().execute(text(query), {name: [getattr(row, name) for row in rows] for name in names})


def add_counts(session: Session, policy: str, counts: Mapping[tuple[Cell, datetime], tuple[int, int]]) -> None:
    """Add whole numbers to a policy's cells."""
    rows = [
        {
            "policy": policy,
            "dimension": cell[0],
            "slice": cell[1],
            "hour": hour,
            "exposures": exposures,
            "incidents": incidents,
        }
        for (cell, hour), (exposures, incidents) in counts.items()
    ]
    for start in range(0, len(rows), CHUNK):
        statement = insert(RiskCountRow).values(rows[start : start + CHUNK])
        added = {
            "exposures": col(RiskCountRow.exposures) + statement.excluded.exposures,
            "incidents": col(RiskCountRow.incidents) + statement.excluded.incidents,
        }
        session.connection().execute(
            statement.on_conflict_do_update(index_elements=["policy", "hour", "dimension", "slice"], set_=added)
        )


def decayed_counts(
    session: Session, policy: str, at: datetime, *, window: timedelta, half_life_hours: float
) -> dict[Cell, DecayedCounts]:
    """Counts by cell as they weigh at a moment; summed by hour, so that the same rows give the same bits."""
    query = """
        SELECT dimension, slice, sum(incidents * weight ORDER BY hour), sum(exposures * weight ORDER BY hour)
        FROM (SELECT *, power(CAST(0.5 AS float8),
                              CAST(extract(epoch FROM :at - hour) AS float8) / 3600 / :half_life) AS weight
              FROM scorer.risk_counts WHERE policy = :policy AND hour > :since AND hour <= :at) AS weighed
        GROUP BY dimension, slice
    """
    values = {"policy": policy, "at": at, "since": at - window, "half_life": half_life_hours}
    found = session.connection().execute(text(query), values)
    return {(row[0], row[1]): DecayedCounts(at, row[2], row[3]) for row in found}


def latest_hour(session: Session, policy: str, now: datetime) -> datetime | None:
    """The last hour that has begun and in which anything of this policy was served."""
    query = select(func.max(RiskCountRow.hour)).where(RiskCountRow.policy == policy, col(RiskCountRow.hour) <= now)
    return session.exec(query).one()


def risk_states(session: Session, policy: str) -> dict[Cell, RiskStateRow]:
    """What was last seen of each cell."""
    query = select(RiskStateRow).where(RiskStateRow.policy == policy)
    return {(row.dimension, row.slice): row for row in session.exec(query)}


def put_risk_state(session: Session, row: RiskStateRow) -> None:
    """Insert or replace."""
    session.merge(row)


def put_point(session: Session, row: RiskPointRow) -> None:
    """Insert or replace."""
    session.merge(row)


def points(session: Session, policy: str, limit: int) -> list[RiskPointRow]:
    """Recorded risks, the oldest of the last `limit` first."""
    query = select(RiskPointRow).where(RiskPointRow.policy == policy)
    ordered = query.order_by(col(RiskPointRow.at).desc(), col(RiskPointRow.dimension)).limit(limit)
    return list(reversed(session.exec(ordered).all()))


def drop_points(session: Session, before: datetime) -> None:
    """Forget risks that were recorded before then."""
    session.exec(delete(RiskPointRow).where(col(RiskPointRow.at) < before))


def progress(session: Session, policy: str) -> ProgressRow | None:
    """How much there is of a policy."""
    return session.get(ProgressRow, policy)


def add_progress(session: Session, policy: str, *, samples: int, labelled: int, first_served_at: datetime) -> None:
    """Count what this transaction added."""
    values = {"policy": policy, "samples": samples, "labelled": labelled, "first_served_at": first_served_at}
    statement = insert(ProgressRow).values(values | {"cut_labelled": 0})
    added = {
        "samples": col(ProgressRow.samples) + statement.excluded.samples,
        "labelled": col(ProgressRow.labelled) + statement.excluded.labelled,
        "first_served_at": func.least(col(ProgressRow.first_served_at), statement.excluded.first_served_at),
    }
    session.connection().execute(statement.on_conflict_do_update(index_elements=["policy"], set_=added))


def put_cut(session: Session, policy: str, now: datetime) -> None:
    """All that is labelled now has been looked at for a snapshot."""
    row = session.get(ProgressRow, policy)
    if row is not None:
        row.cut_labelled, row.cut_at = row.labelled, now


def add_dead_letters(session: Session, rows: Sequence[DeadLetterRow]) -> set[tuple[int, int, int]]:
    """Insert-or-ignore; returns partition, offset and position of those that were new."""
    if not rows:
        return set()
    statement = insert(DeadLetterRow).values([row.model_dump() for row in rows]).on_conflict_do_nothing()
    new = statement.returning(col(DeadLetterRow.partition), col(DeadLetterRow.offset), col(DeadLetterRow.position))
    return {(row[0], row[1], row[2]) for row in session.connection().execute(new)}


def event_count(session: Session) -> int:
    """Distinct events."""
    return session.exec(select(func.count()).select_from(FeedbackRow)).one()


def latest_samples(session: Session, policy: str, limit: int) -> list[SampleRow]:
    """The last served."""
    query = select(SampleRow).where(SampleRow.policy == policy)
    ordered = query.order_by(col(SampleRow.served_at).desc(), col(SampleRow.completion_id).desc())
    return list(session.exec(ordered.limit(limit)))


def snapshot(session: Session, identity: str) -> SnapshotRow | None:
    """The snapshot of this identity."""
    return session.get(SnapshotRow, identity)


def put_snapshot(session: Session, row: SnapshotRow) -> None:
    """Insert or replace."""
    session.merge(row)


def snapshots(session: Session) -> list[SnapshotRow]:
    """The newest first."""
    return list(session.exec(select(SnapshotRow).order_by(col(SnapshotRow.cut_at).desc(), col(SnapshotRow.identity))))


def _insert(session: Session, table: type[SQLModel], rows: Sequence[SQLModel]) -> None:
    for start in range(0, len(rows), CHUNK):
        values: list[dict[str, Any]] = [row.model_dump() for row in rows[start : start + CHUNK]]
        session.connection().execute(insert(table).values(values).on_conflict_do_nothing())
