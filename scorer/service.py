"""One use case a function, one transaction each. Every effect is keyed, so any batch may come again.

Ids are unique within a tenant, so rows are kept under `tenant/id`. A completion counts when its row is new, an event
when its id is new; labels are recomputed from all stored events of a completion. So samples, feedback and risk counts
are the same after any order, repetition or batching of the streams, but for a completion id sent with two bodies, of
which the first to arrive stands. What was announced (escalations, recorded risks) is history and depends on when it
was looked at.
Risk is the deployment's policy's own, read at the stream's own time: the last hour served, never later than the clock.
Feedback that cannot be read leaves as a dead letter, like ingest's.
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
from matrix.alignment.risk import CellRisk, DecayedCounts, Escalation
from matrix.digests import digest_bytes
from matrix.errors import NotFound
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import DeadFeedback, FeedbackAccepted, FeedbackEvent
from matrix.messages.sample import RiskEscalated
from matrix.ports import ObjectStore
from matrix.scorers.knowledge import Knowledge
from matrix.topics import FEEDBACK_DEAD, RISK_ESCALATED, SAMPLE_SCORED
from scorer import batching, repository, risk, snapshot, steps
from scorer.batching import DuePolicy, Since
from scorer.risk import Cell, Contribution
from scorer.settings import ScorerSettings
from scorer.tables import DeadLetterRow, RiskPointRow, RiskStateRow, SampleRow, SnapshotRow

STAGE = "scorer"
TRAIN_TASK = "trainer.train_adapter"
AUTHOR = "system:scorer"
BY_A_PERSON = "asked for by a person"
CALM_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Rules:
    """What scoring needs besides the rows."""

    policy: str  # whose risk is watched
    matrix: Matrix
    knowledge: Knowledge


def receive_completions(
    database: Database, completions: Sequence[CompletionServed], rules: Rules, now: datetime
) -> None:
    """Score and count completions that are new."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        _add_new(session, completions, rules)
        _watch(session, rules.policy, _risks(session, rules.policy, rules.matrix, now), rules.matrix, now)


def receive_feedback(
    database: Database,
    accepted: Sequence[FeedbackAccepted],
    rules: Rules,
    now: datetime,
    *,
    refused: Sequence[steps.Refused] = (),
) -> None:
    """Store events that are new and label their completions anew; a completion that was not seen yet is in them."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        events = steps.first_events(accepted)
        known = repository.known_events(session, sorted(events))
        new = {event_id: event for event_id, event in sorted(events.items()) if event_id not in known}
        touched = {steps.event_completion(event) for event in new.values()}
        bodies = [one.completion for one in accepted if steps.sample_id(one.completion) in touched]
        _add_new(session, bodies, rules, announce=False)
        _relabel(session, new, rules.matrix)
        _set_aside(session, refused, now)
        _watch(session, rules.policy, _risks(session, rules.policy, rules.matrix, now), rules.matrix, now)


def look(
    database: Database, objects: ObjectStore, settings: ScorerSettings, matrix: Matrix, now: datetime
) -> SnapshotRow | None:
    """Look at every cell again (what was escalated may have calmed down) and cut a snapshot if one is due."""
    policy = DuePolicy(
        settings.snapshot_min_samples,
        settings.snapshot_max_age,
        settings.snapshot_risk,
        settings.snapshot_risk_min_samples,
    )
    with database.unit_of_work() as session:
        repository.take_turn(session)
        risks_now = _risks(session, settings.policy, matrix, now)
        _watch(session, settings.policy, risks_now, matrix, now)
        repository.drop_points(session, now - settings.risk_points_keep)
        reason = batching.due(_since(session, settings.policy), _named(risks_now), now, policy)
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


def risks(database: Database, policy: str, matrix: Matrix, now: datetime, *, points: int) -> dict[str, Any]:
    """Every hard cell of a policy as it is, the worst first, and as it was."""
    with database.unit_of_work() as session:
        states = repository.risk_states(session, policy)
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
            for cell, found in _risks(session, policy, matrix, now).items()
        ]
        history = [row.model_dump(mode="json") for row in repository.points(session, policy, points)]
    return {
        "cells": sorted(cells, key=lambda cell: (-cell["risk"], cell["dimension"], cell["slice"])),
        "history": history,
    }


def status(database: Database, policy: str) -> dict[str, Any]:
    """How much there is, and the last snapshot."""
    with database.unit_of_work() as session:
        progress = repository.progress(session, policy)
        cut = repository.snapshots(session)
        since = _since(session, policy)
        return {
            "samples": progress.samples if progress else 0,
            "labelled": progress.labelled if progress else 0,
            "feedback": repository.event_count(session),
            "labelled_since_snapshot": since.new_labels,
            "snapshot": _told(cut[0]) if cut else None,
        }


def _add_new(session: Session, completions: Iterable[CompletionServed], rules: Rules, *, announce: bool = True) -> None:
    bodies = steps.first_of_each(completions)
    known = repository.known_samples(session, sorted(bodies))
    new = steps.scored([bodies[name] for name in sorted(bodies) if name not in known], rules.matrix, rules.knowledge)
    repository.add_samples(session, new)
    parts = [(row, risk.of_completion(row.scores, row.slice, row.served_at, rules.matrix)) for row in new]
    _count(session, parts)
    for policy, rows in _by_policy(new).items():
        first = min(row.served_at for row in rows)
        repository.add_progress(session, policy, samples=len(rows), labelled=0, first_served_at=first)
    if announce:
        _announce(session, new)


def _relabel(session: Session, new: Mapping[str, FeedbackEvent], matrix: Matrix) -> None:
    ids = sorted({steps.event_completion(event) for event in new.values()})
    before = repository.events_of(session, ids)
    repository.add_events(session, new)
    rows = repository.known_samples(session, ids)
    by_completion: dict[str, list[FeedbackEvent]] = {name: [] for name in ids}
    for event in new.values():
        by_completion[steps.event_completion(event)].append(event)
    parts: list[tuple[SampleRow, list[Contribution]]] = []
    labelled: list[SampleRow] = []
    for name, events in by_completion.items():
        row, earlier = rows[name], before.get(name, [])
        labelled.append(steps.relabelled(row, [*earlier, *events]))
        parts.append((row, risk.of_reports(earlier, events, row.scores, row.slice, row.served_at, matrix)))
    newly = [row for row in labelled if row.satisfaction is not None and rows[row.completion_id].satisfaction is None]
    for policy, ones in _by_policy(newly).items():
        first = min(row.served_at for row in ones)
        repository.add_progress(session, policy, samples=0, labelled=len(ones), first_served_at=first)
    repository.set_labels(session, labelled)
    _count(session, parts)
    _announce(session, labelled)


def _by_policy(rows: Iterable[SampleRow]) -> dict[str, list[SampleRow]]:
    found: dict[str, list[SampleRow]] = {}
    for row in rows:
        found.setdefault(row.policy, []).append(row)
    return found


def _count(session: Session, parts: Iterable[tuple[SampleRow, list[Contribution]]]) -> None:
    found: dict[str, list[Contribution]] = {}
    for row, contributions in parts:
        found.setdefault(row.policy, []).extend(contributions)
    for policy, contributions in found.items():
        repository.add_counts(session, policy, risk.total(contributions))


def _set_aside(session: Session, refused: Sequence[steps.Refused], now: datetime) -> None:
    """Each once, however often it is read."""
    by_key = {(one.incoming.position, digest_bytes(one.incoming.raw)): one for one in refused}
    rows = [
        DeadLetterRow.model_validate(
            where.model_dump() | {"payload_sha256": digest, "reason": one.letter.reason, "set_aside_at": now}
        )
        for (where, digest), one in by_key.items()
    ]
    new = repository.add_dead_letters(session, rows)
    for (where, _), one in by_key.items():
        if (where.partition, where.offset, where.position) in new:
            said: dict[str, Any] = {"reason": one.letter.reason, "detail": one.letter.detail, "step": one.letter.step}
            said |= {"tenant": steps.tenant_of(one.incoming.value)}
            said |= {"field": one.letter.field, "payload": steps.shown(one.incoming.raw), "set_aside_at": now}
            letter = DeadFeedback.model_validate(said | where.model_dump())
            add_message(session, STAGE, FEEDBACK_DEAD, letter.reason, letter)


def _announce(session: Session, rows: Iterable[SampleRow]) -> None:
    for row in rows:
        add_message(session, STAGE, SAMPLE_SCORED, row.completion_id, steps.to_sample(row))


def _risks(session: Session, policy: str, matrix: Matrix, now: datetime) -> dict[Cell, CellRisk]:
    at = repository.latest_hour(session, policy, now) or now
    counts = repository.decayed_counts(
        session, policy, at, window=risk.window(matrix), half_life_hours=matrix.risk.half_life_hours
    )
    cells = [(spec.name, name) for spec in matrix.hard() for name in spec.slices]
    return {cell: risk.risk_of(counts.get(cell, DecayedCounts(at)), cell[0], matrix) for cell in cells}


def _named(found: Mapping[Cell, CellRisk]) -> dict[str, float]:
    return {f"{dimension}×{slice_name}": one.risk for (dimension, slice_name), one in found.items()}


def _watch(session: Session, policy: str, risks_now: Mapping[Cell, CellRisk], matrix: Matrix, now: datetime) -> None:
    """Record risks that moved and announce crossings, once each."""
    states = repository.risk_states(session, policy)
    for cell, found in risks_now.items():
        row = states.get(cell)
        state = _escalation(row, found, matrix, now)
        if state["escalated"] and not (row and row.escalated):
            add_message(session, STAGE, RISK_ESCALATED, cell[0], _escalated(cell, found, now))
        named = {"policy": policy, "dimension": cell[0], "slice": cell[1]}
        if row is None or risk.moved((row.risk, row.upper_bound), found):
            state |= {"risk": found.risk, "upper_bound": found.upper_bound}
            # One point a second and cell: a burst of batches is one look.
            seen = {name: getattr(found, name) for name in ("risk", "upper_bound", "incidents", "exposures")}
            repository.put_point(
                session, RiskPointRow.model_validate(named | seen | {"at": now.replace(microsecond=0)})
            )
        told = (row.model_dump() if row else {}) | named | state
        if row is None or told != row.model_dump():
            repository.put_risk_state(session, RiskStateRow.model_validate(told))


def _escalation(row: RiskStateRow | None, found: CellRisk, matrix: Matrix, now: datetime) -> dict[str, Any]:
    before = Escalation(row.escalated, row.calm_windows) if row else Escalation()
    after = before.after(found.risk, matrix.risk)
    # However often a cell is looked at, a window counts as calm once; what is not calm counts at once.
    if row is not None and (after == before or (after.calm_windows and now - row.window_at < CALM_WINDOW)):
        return {"escalated": row.escalated, "calm_windows": row.calm_windows, "window_at": row.window_at}
    return {"escalated": after.escalated, "calm_windows": after.calm_windows, "window_at": now}


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
    found = repository.progress(session, policy)
    if found is None:
        return Since(0, None)
    return Since(found.labelled - found.cut_labelled, found.cut_at or found.first_served_at)


def _cut(
    session: Session, objects: ObjectStore, settings: ScorerSettings, matrix: Matrix, now: datetime, reason: str
) -> SnapshotRow:
    rows = repository.latest_samples(session, settings.policy, settings.snapshot_max_samples)
    if not rows:
        raise NotFound(what="sample of policy", name=settings.policy)
    entered = batching.enter([steps.to_sample(row) for row in rows], user_cap=settings.snapshot_user_cap)
    frozen = snapshot.freeze(entered, policy=settings.policy, matrix_sha256=matrix.digest())
    # Also where they are the same samples again: they were looked at, and are not due until something new comes.
    repository.put_cut(session, settings.policy, now)
    present = repository.snapshot(session, frozen.identity)
    if present is not None:
        return present
    named = _named(_risks(session, settings.policy, matrix, now))
    written = snapshot.write(objects, frozen, reason=reason, risks=named, cut_at=now)
    progress = repository.progress(session, settings.policy)
    row = SnapshotRow.model_validate(
        {
            "identity": frozen.identity,
            "uri": written.uri,
            "sha256": written.sha256,
            "policy": settings.policy,
            "rows": frozen.rows,
            "labelled": progress.labelled if progress else 0,
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
