"""The trainer's only queries. A claim is one conditional update: of two workers that ask at once, one gets the run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, func, literal, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from matrix.messages.run import RunStatus
from trainer.tables import EvaluationRow, RunRow

_OPEN = (RunStatus.QUEUED.value, RunStatus.RUNNING.value)


def insert_run(session: Session, row: RunRow) -> bool:
    """Whether the run is new."""
    return _insert_or_ignore(session, RunRow, row.model_dump())


def run(session: Session, run_id: str) -> RunRow | None:
    """The run, if there is one."""
    return session.get(RunRow, run_id)


def runs(session: Session, limit: int) -> list[RunRow]:
    """The newest runs first."""
    return list(session.exec(select(RunRow).order_by(col(RunRow.created_at).desc()).limit(limit)).all())


def claim_run(session: Session, run_id: str, *, worker: str, now: datetime, until: datetime) -> RunRow | None:
    """The run if it is open and nobody holds it, else None; its `attempt` is one higher."""
    free = or_(col(RunRow.claimed_by).is_(None), col(RunRow.lease_until) < now)
    changes = {
        "status": RunStatus.RUNNING.value,
        "claimed_by": worker,
        "lease_until": until,
        "attempt": col(RunRow.attempt) + 1,
        "started_at": now,
    }
    statement = update(RunRow).where(col(RunRow.run_id) == run_id, col(RunRow.status).in_(_OPEN), free)
    if _changed(session, statement.values(changes)) == 0:
        return None
    return session.get(RunRow, run_id, populate_existing=True)


def update_held(session: Session, run_id: str, worker: str, changes: Mapping[str, object]) -> bool:
    """Change a run that this worker still holds; False where it was taken over or has ended."""
    held = (col(RunRow.run_id) == run_id, col(RunRow.claimed_by) == worker, col(RunRow.status).in_(_OPEN))
    return _changed(session, update(RunRow).where(*held).values(dict(changes))) == 1


def release(session: Session, run_id: str, worker: str, *, now: datetime) -> bool:
    """Give the run back, with the attempt that the claim counted; False where this worker does not hold it."""
    changes = {"claimed_by": None, "lease_until": now, "attempt": col(RunRow.attempt) - 1}
    return update_held(session, run_id, worker, changes)


def fail_unreadable(session: Session, snapshot_uri: str, recipe_uri: str, *, error: str, now: datetime) -> int:
    """Fail the open runs of these names that nobody holds; returns how many there were."""
    free = or_(col(RunRow.claimed_by).is_(None), col(RunRow.lease_until) < now)
    named = (col(RunRow.snapshot_uri) == snapshot_uri, col(RunRow.recipe_uri) == recipe_uri)
    changes = {"status": RunStatus.FAILED.value, "error": error, "ended_at": now}
    return _changed(session, update(RunRow).where(*named, col(RunRow.status).in_(_OPEN), free).values(changes))


def release_abandoned(session: Session, *, now: datetime, until: datetime) -> list[RunRow]:
    """Open runs whose lease ran out, now free to be claimed; not found again before `until`.

    Queued ones too: the broker may have lost their command, and where it has not, a second delivery does no harm.
    """
    abandoned = (col(RunRow.status).in_(_OPEN), col(RunRow.lease_until) < now)
    statement = update(RunRow).where(*abandoned).values(claimed_by=None, lease_until=until).returning(RunRow)
    return list(session.scalars(statement.execution_options(populate_existing=True)).all())


def insert_evaluation(session: Session, row: EvaluationRow) -> bool:
    """Whether the evaluation is new."""
    return _insert_or_ignore(session, EvaluationRow, row.model_dump())


def note_on_trained(session: Session, adapter_digest: str, note: str | None) -> None:
    """Say on the trained run of this adapter what became of it since; None takes the note back."""
    made = (col(RunRow.adapter_digest) == adapter_digest, col(RunRow.status) == RunStatus.TRAINED.value)
    _changed(session, update(RunRow).where(*made, col(RunRow.error).is_distinct_from(note)).values(error=note))


def evaluation(session: Session, evaluation_id: str) -> EvaluationRow | None:
    """The evaluation, if it was made."""
    return session.get(EvaluationRow, evaluation_id)


def try_hold_evaluation(session: Session, evaluation_id: str) -> bool:
    """Whether this transaction now holds the evaluation; it does until it ends, or its process does."""
    key = func.hashtextextended(f"evaluation-{evaluation_id}", 0)
    return bool(session.exec(select(func.pg_try_advisory_xact_lock(key))).one())


def _insert_or_ignore(session: Session, table: type[RunRow | EvaluationRow], values: dict[str, Any]) -> bool:
    statement = insert(table).values(values).on_conflict_do_nothing().returning(literal(1))
    return session.connection().execute(statement).first() is not None


def _changed(session: Session, statement: Any) -> int:
    result = session.connection().execute(statement)
    return result.rowcount if isinstance(result, CursorResult) else 0
