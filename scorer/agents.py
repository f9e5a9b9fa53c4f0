"""Faust's part of the scorer: batches in, one transaction each, and a timer that cuts snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import faust

from infra.database import Database
from infra.streams import Incoming, batched_agent, periodic
from matrix.ports import Clock, ObjectStore
from matrix.topics import COMPLETION_ACCEPTED, FEEDBACK_ACCEPTED
from scorer import service, steps
from scorer.service import Rules
from scorer.settings import ScorerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the agents reach."""

    database: Database
    objects: ObjectStore
    clock: Clock


def register(
    app: faust.App,
    outside: Outside,
    settings: ScorerSettings,
    rules: Rules,
    written: Callable[[], None],
) -> None:
    """Register the agents and the timer; `written` is called after each commit."""

    def completions(batch: list[Incoming]) -> None:
        read_completions(outside, settings, rules, batch)
        written()

    def feedback(batch: list[Incoming]) -> None:
        read_feedback(outside, rules, batch)
        written()

    def look() -> None:
        row = service.look(outside.database, outside.objects, settings, rules.matrix, outside.clock.now())
        if row is not None:
            log.info("snapshot cut", extra={"uri": row.uri, "rows": row.rows, "reason": row.reason})
        written()

    batched_agent(app, [COMPLETION_ACCEPTED], completions, name="scorer")
    batched_agent(app, [FEEDBACK_ACCEPTED], feedback, name="scorer")
    periodic(app, look, every_s=settings.due_every_s)


def read_completions(outside: Outside, settings: ScorerSettings, rules: Rules, batch: list[Incoming]) -> None:
    """One durable transaction. What is refused here is told only: ingest has judged it before."""
    now = outside.clock.now()
    read, refused = steps.completions(batch, now, max_age=settings.max_age, max_skew=settings.max_skew)
    for one in refused:
        log.warning(
            "completion is not scored", extra=one.incoming.position.model_dump() | {"reason": one.letter.reason}
        )
    service.receive_completions(outside.database, read, rules, now)


def read_feedback(outside: Outside, rules: Rules, batch: list[Incoming]) -> None:
    """One durable transaction; nobody else reads this topic, so what is refused is set aside here."""
    read, refused = steps.feedback(batch)
    service.receive_feedback(outside.database, read, rules, outside.clock.now(), refused=refused)
