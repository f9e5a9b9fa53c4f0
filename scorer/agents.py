"""Faust's part of the scorer: batches in, one transaction each, and a timer that cuts snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import faust

from infra.database import Database
from infra.streams import Incoming, batched_agent, periodic
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted
from matrix.ports import Clock, ObjectStore
from matrix.topics import COMPLETION_SERVED, FEEDBACK_ACCEPTED
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
    database, clock = outside.database, outside.clock

    def completions(batch: list[Incoming]) -> None:
        read, refused = steps.decode(batch, CompletionServed)
        _tell(refused)
        service.receive_completions(database, read, rules, clock.now())
        written()

    def feedback(batch: list[Incoming]) -> None:
        read, refused = steps.decode(batch, FeedbackAccepted)
        _tell(refused)
        service.receive_feedback(database, read, rules, clock.now())
        written()

    def look() -> None:
        service.watch(database, rules.matrix, clock.now())
        row = service.cut_if_due(database, outside.objects, settings, rules.matrix, clock.now())
        if row is not None:
            log.info("snapshot cut", extra={"uri": row.uri, "rows": row.rows, "reason": row.reason})
        written()

    batched_agent(app, [COMPLETION_SERVED], completions, name="scorer")
    batched_agent(app, [FEEDBACK_ACCEPTED], feedback, name="scorer")
    periodic(app, look, every_s=settings.due_every_s)


def _tell(refused: list[Incoming]) -> None:
    """Ingest reads the same records and sets aside what cannot be read; here it is only told."""
    for one in refused:
        log.warning("record cannot be read", extra=one.position.model_dump())
