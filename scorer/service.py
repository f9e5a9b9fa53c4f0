"""One use case a function, one transaction each. Every effect is keyed, so any batch may come again.

A completion counts when its row is new, an event when its id is new; labels are recomputed from all stored events of a
completion. So samples, feedback and risk counts are the same after any order, repetition or batching of the streams,
but for a completion id sent with two bodies, of which the first to arrive stands. What was announced (escalations,
recorded risks) is history and depends on when it was looked at.
Risk is read at the stream's own time: the last minute served, never later than the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from infra.database import Database
from infra.outbox import add_command, add_message
from matrix.alignment.dimensions import Matrix
from matrix.alignment.risk import CellRisk, Escalation
from matrix.errors import NotFound
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted, FeedbackEvent
from matrix.messages.sample import RiskEscalated
from matrix.ports import ObjectStore
from matrix.scorers.knowledge import Knowledge
from matrix.topics import RISK_ESCALATED, SAMPLE_SCORED
from scorer import batching, repository, risk, snapshot, steps
from scorer.batching import DuePolicy, Since
from scorer.risk import Cell, Contribution
from scorer.settings import ScorerSettings
from scorer.tables import RiskPointRow, RiskStateRow, SampleRow, SnapshotRow

STAGE = "scorer"
TRAIN_TASK = "trainer.train_adapter"
AUTHOR = "system:scorer"
BY_A_PERSON = "asked for by a person"
CALM_WINDOW = timedelta(minutes=10)
HALF_LIVES = 20  # what is older weighs less than a millionth


@dataclass(frozen=True, slots=True)
class Rules:
    """What scoring needs besides the rows."""

    matrix: Matrix
    knowledge: Knowledge


def receive_completions(
    database: Database, completions: Sequence[CompletionServed], rules: Rules, now: datetime
) -> None:
    """Score and count completions that are new."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        _add_new(session, completions, rules)
        _watch(session, rules.matrix, now)


def receive_feedback(database: Database, accepted: Sequence[FeedbackAccepted], rules: Rules, now: datetime) -> None:
    """Store events that are new and label their completions anew; a completion that was not seen yet is in them."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        events = steps.first_events(accepted)
        known = repository.known_events(session, sorted(events))
        new = [event for event_id, event in sorted(events.items()) if event_id not in known]
        touched = {event.completion_id for event in new}
        bodies = [one.completion for one in accepted if one.completion.completion_id in touched]
        _add_new(session, bodies, rules, announce=False)
        _relabel(session, new, rules.matrix)
        _watch(session, rules.matrix, now)


def watch(database: Database, matrix: Matrix, now: datetime) -> None:
    """Look at every cell again: what was escalated may have calmed down."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        _watch(session, matrix, now)


def cut_if_due(
    database: Database, objects: ObjectStore, settings: ScorerSettings, matrix: Matrix, now: datetime
) -> SnapshotRow | None:
    """Cut a snapshot if one is due."""
    policy = DuePolicy(
        settings.snapshot_min_samples,
        settings.snapshot_max_age,
        settings.snapshot_risk,
        settings.snapshot_risk_min_samples,
    )
    with database.unit_of_work() as session:
        repository.take_turn(session)
        reason = batching.due(_since(session, settings.policy), _named(_risks(session, matrix, now)), now, policy)
        return None if reason is None else _cut(session, objects, settings, matrix, now, reason)


def cut_now(
    database: Database, objects: ObjectStore, settings: ScorerSettings, matrix: Matrix, now: datetime
) -> dict[str, Any]:
    """Cut a snapshot because a person asks; NotFound where there is no sample."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        return _told(_cut(session, objects, settings, matrix, now, BY_A_PERSON))


def list_snapshots(database: Database) -> list[dict[str, Any]]:
    """The newest first."""
    with database.unit_of_work() as session:
        return [_told(row) for row in repository.snapshots(session)]


def risks(database: Database, matrix: Matrix, now: datetime, *, points: int) -> dict[str, Any]:
    """Every hard cell as it is, the worst first, and as it was."""
    with database.unit_of_work() as session:
        states = repository.risk_states(session)
        cells = [
            {
                "dimension": cell[0],
                "slice": cell[1],
                "risk": found.risk,
                "upper_bound": found.upper_bound,
                "incidents": found.incidents,
                "exposures": found.exposures,
                "escalated": cell in states and states[cell].escalated,
            }
            for cell, found in _risks(session, matrix, now).items()
        ]
        history = [row.model_dump(mode="json") for row in repository.points(session, points)]
    return {
        "cells": sorted(cells, key=lambda cell: (-cell["risk"], cell["dimension"], cell["slice"])),
        "history": history,
    }


def status(database: Database, policy: str) -> dict[str, Any]:
    """How much there is, and the last snapshot."""
    with database.unit_of_work() as session:
        samples, labelled, _ = repository.sample_counts(session, policy)
        cut = repository.snapshots(session)
        since = _since(session, policy)
        return {
            "samples": samples,
            "labelled": labelled,
            "feedback": repository.event_count(session),
            "labelled_since_snapshot": since.new_labels,
            "snapshot": _told(cut[0]) if cut else None,
        }


def _add_new(session: Session, completions: Iterable[CompletionServed], rules: Rules, *, announce: bool = True) -> None:
    bodies = steps.first_of_each(completions)
    known = repository.known_samples(session, sorted(bodies))
    new = steps.scored([bodies[name] for name in sorted(bodies) if name not in known], rules.matrix, rules.knowledge)
    repository.add_samples(session, new)
    repository.add_counts(
        session,
        risk.total(
            part for row in new for part in risk.of_completion(row.scores, row.slice, row.served_at, rules.matrix)
        ),
    )
    if announce:
        _announce(session, new)


def _relabel(session: Session, new: Sequence[FeedbackEvent], matrix: Matrix) -> None:
    ids = sorted({event.completion_id for event in new})
    before = repository.events_of(session, ids)
    repository.add_events(session, new)
    rows = repository.known_samples(session, ids)
    by_completion: dict[str, list[FeedbackEvent]] = {name: [] for name in ids}
    for event in new:
        by_completion[event.completion_id].append(event)
    parts: list[Contribution] = []
    labelled: list[SampleRow] = []
    for name, events in by_completion.items():
        row, earlier = rows[name], before.get(name, [])
        labelled.append(steps.relabelled(row, [*earlier, *events]))
        parts += risk.of_reports(earlier, events, row.scores, row.slice, row.served_at, matrix)
    repository.set_labels(session, labelled)
    repository.add_counts(session, risk.total(parts))
    _announce(session, labelled)


def _announce(session: Session, rows: Iterable[SampleRow]) -> None:
    for row in rows:
        add_message(session, STAGE, SAMPLE_SCORED, row.completion_id, steps.to_sample(row))


def _risks(session: Session, matrix: Matrix, now: datetime) -> dict[Cell, CellRisk]:
    at = min(repository.latest_minute(session) or now, now)
    counts = repository.counts_since(session, at - timedelta(hours=HALF_LIVES * matrix.risk.half_life_hours))
    cells = [(spec.name, name) for spec in matrix.hard() for name in spec.slices]
    return {cell: risk.risk_at(counts.get(cell, []), cell[0], at, matrix) for cell in cells}


def _named(found: Mapping[Cell, CellRisk]) -> dict[str, float]:
    return {f"{dimension}×{slice_name}": one.risk for (dimension, slice_name), one in found.items()}


def _watch(session: Session, matrix: Matrix, now: datetime) -> None:
    """Record risks that moved and announce crossings, once each."""
    states, last = repository.risk_states(session), repository.latest_points(session)
    for cell, found in _risks(session, matrix, now).items():
        told = last.get(cell)
        if told is None or (told.risk, told.upper_bound) != (found.risk, found.upper_bound):
            repository.put_point(session, _point(cell, found, now))
        before = states.get(cell)
        _escalate(session, cell, found, before, matrix, now)


def _point(cell: Cell, found: CellRisk, now: datetime) -> RiskPointRow:
    seen = {name: getattr(found, name) for name in ("risk", "upper_bound", "incidents", "exposures")}
    # One point a second and cell: a burst of batches is one look.
    where = {"dimension": cell[0], "slice": cell[1], "at": now.replace(microsecond=0)}
    return RiskPointRow.model_validate(where | seen)


def _escalate(
    session: Session, cell: Cell, found: CellRisk, row: RiskStateRow | None, matrix: Matrix, now: datetime
) -> None:
    before = Escalation(row.escalated, row.calm_windows) if row else Escalation()
    after = before.after(found.risk, matrix.risk)
    # However often a cell is looked at, a window counts as calm once; what is not calm counts at once.
    window_over = row is None or now - row.window_at >= CALM_WINDOW
    if after == before or (after.calm_windows and not window_over):
        return
    if after.escalated and not before.escalated:
        add_message(session, STAGE, RISK_ESCALATED, cell[0], _escalated(cell, found, now))
    state = {
        "dimension": cell[0],
        "slice": cell[1],
        "escalated": after.escalated,
        "calm_windows": after.calm_windows,
        "window_at": now,
    }
    repository.put_risk_state(session, RiskStateRow.model_validate(state))


def _escalated(cell: Cell, found: CellRisk, now: datetime) -> RiskEscalated:
    return RiskEscalated(
        dimension=cell[0],
        slice=cell[1],
        risk=found.risk,
        upper_bound=found.upper_bound,
        exposures=found.exposures,
        incidents=found.incidents,
        at=now,
    )


def _since(session: Session, policy: str) -> Since:
    _, labelled, first = repository.sample_counts(session, policy)
    cut = [row for row in repository.snapshots(session) if row.policy == policy]
    return Since(labelled - cut[0].labelled, cut[0].cut_at) if cut else Since(labelled, first)


def _cut(
    session: Session, objects: ObjectStore, settings: ScorerSettings, matrix: Matrix, now: datetime, reason: str
) -> SnapshotRow:
    _, labelled, _ = repository.sample_counts(session, settings.policy)
    rows = repository.latest_samples(session, settings.policy, settings.snapshot_max_samples)
    if not rows:
        raise NotFound(what="sample of policy", name=settings.policy)
    entered = batching.enter([steps.to_sample(row) for row in rows], user_cap=settings.snapshot_user_cap)
    frozen = snapshot.freeze(entered, policy=settings.policy, matrix_sha256=matrix.digest())
    present = repository.snapshot(session, frozen.identity)
    if present is not None:
        # The same samples again: remember that they were looked at, so that it is not due for ever.
        seen = SnapshotRow.model_validate(present.model_dump() | {"labelled": labelled})
        repository.put_snapshot(session, seen)
        return seen
    named = _named(_risks(session, matrix, now))
    written = snapshot.write(objects, frozen, reason=reason, risks=named, cut_at=now)
    row = SnapshotRow.model_validate(
        {
            "identity": frozen.identity,
            "uri": written.uri,
            "sha256": written.sha256,
            "policy": settings.policy,
            "rows": frozen.rows,
            "labelled": labelled,
            "reason": reason,
            "cut_at": now,
        }
    )
    repository.put_snapshot(session, row)
    if settings.train_config is not None:
        arguments = {"snapshot_uri": written.uri, "config_uri": settings.train_config, "author": AUTHOR}
        add_command(session, STAGE, TRAIN_TASK, arguments)
    return row


def _told(row: SnapshotRow) -> dict[str, Any]:
    return row.model_dump(mode="json")
