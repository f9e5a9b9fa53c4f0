"""The only queries of the scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel, col, select

from matrix.messages.feedback import FeedbackEvent
from scorer.risk import Cell, Counted
from scorer.tables import FeedbackRow, RiskCountRow, RiskPointRow, RiskStateRow, SampleRow, SnapshotRow

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


def add_events(session: Session, events: Sequence[FeedbackEvent]) -> None:
    """New events."""
    rows = [
        FeedbackRow.model_validate(
            {"event_id": one.event_id, "completion_id": one.completion_id, "body": one.to_payload().decode()}
        )
        for one in events
    ]
    _insert(session, FeedbackRow, rows)


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


def add_counts(session: Session, counts: Mapping[tuple[Cell, datetime], tuple[int, int]]) -> None:
    """Add whole numbers to cells."""
    rows = [
        {"dimension": cell[0], "slice": cell[1], "minute": minute, "exposures": exposures, "incidents": incidents}
        for (cell, minute), (exposures, incidents) in counts.items()
    ]
    for start in range(0, len(rows), CHUNK):
        statement = insert(RiskCountRow).values(rows[start : start + CHUNK])
        added = {
            "exposures": col(RiskCountRow.exposures) + statement.excluded.exposures,
            "incidents": col(RiskCountRow.incidents) + statement.excluded.incidents,
        }
        session.connection().execute(
            statement.on_conflict_do_update(index_elements=["dimension", "slice", "minute"], set_=added)
        )


def counts_since(session: Session, since: datetime) -> dict[Cell, list[Counted]]:
    """Counts by cell; what is older than `since` weighs nothing worth reading."""
    query = select(RiskCountRow).where(col(RiskCountRow.minute) >= since)
    found: dict[Cell, list[Counted]] = {}
    for row in session.exec(query.order_by(col(RiskCountRow.minute))):
        found.setdefault((row.dimension, row.slice), []).append(Counted(row.minute, row.exposures, row.incidents))
    return found


def latest_minute(session: Session) -> datetime | None:
    """The last minute in which anything was served."""
    return session.exec(select(func.max(RiskCountRow.minute))).one()


def risk_states(session: Session) -> dict[Cell, RiskStateRow]:
    """What is known to be escalated."""
    return {(row.dimension, row.slice): row for row in session.exec(select(RiskStateRow))}


def put_risk_state(session: Session, row: RiskStateRow) -> None:
    """Insert or replace."""
    session.merge(row)


def latest_points(session: Session) -> dict[Cell, RiskPointRow]:
    """The last recorded risk of each cell."""
    query = select(RiskPointRow).distinct(col(RiskPointRow.dimension), col(RiskPointRow.slice))
    ordered = query.order_by(col(RiskPointRow.dimension), col(RiskPointRow.slice), col(RiskPointRow.at).desc())
    return {(row.dimension, row.slice): row for row in session.exec(ordered)}


def put_point(session: Session, row: RiskPointRow) -> None:
    """Insert or replace."""
    session.merge(row)


def points(session: Session, limit: int) -> list[RiskPointRow]:
    """Recorded risks, the oldest of the last `limit` first."""
    query = select(RiskPointRow).order_by(col(RiskPointRow.at).desc(), col(RiskPointRow.dimension)).limit(limit)
    return list(reversed(session.exec(query).all()))


def sample_counts(session: Session, policy: str) -> tuple[int, int, datetime | None]:
    """(samples, labelled samples, when the first was served)."""
    columns = func.count(), func.count(col(SampleRow.satisfaction)), func.min(SampleRow.served_at)
    return tuple(session.connection().execute(select(*columns).where(SampleRow.policy == policy)).one())  # type: ignore[return-value]  # a Row is typed loosely


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
