"""Faust's part of ingest: batches in, one transaction each, and a timer for feedback that waits too long."""

from __future__ import annotations

import threading
from collections.abc import Callable

import faust

from infra.database import Database
from infra.streams import Incoming, batched_agent, periodic
from ingest import arrivals as made
from ingest import service, steps, tenants
from ingest.arrivals import Privacy
from ingest.settings import IngestSettings
from matrix.errors import DeadLetterLimitReached
from matrix.ports import Clock
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED


class FeedbackReader:
    """Handles batches of feedback and keeps the length of the present run of undecodable events.

    The run is judged before anything of the batch is written: a stream fed by a broken deploy stops with its
    offsets unmoved, and stops again when it is restarted, until a person raises PLUMBLINE_DEAD_LETTER_RUN_LIMIT (to
    set the run aside) or mends the sender. A run counts from the start of the process.
    """

    def __init__(self, database: Database, clock: Clock, settings: IngestSettings, privacy: Privacy) -> None:
        self._database, self._clock, self._settings, self._privacy = database, clock, settings, privacy
        self._limits = steps.AgeLimits(settings.max_age, settings.max_skew)
        self._run, self._lock = 0, threading.Lock()

    def __call__(self, batch: list[Incoming]) -> None:
        """One durable transaction; DeadLetterLimitReached where too much in a row cannot be decoded."""
        now = self._clock.now()
        arrivals = [made.feedback(one, now, self._limits, self._privacy) for one in batch]
        limit = self._settings.dead_letter_run_limit
        with self._lock:
            run, reached = steps.undecodable_run([arrival.judged for arrival in arrivals], self._run, limit)
        if reached:
            raise DeadLetterLimitReached(topic=FEEDBACK_RECEIVED.name, run_length=run)
        service.receive_feedback(self._database, arrivals, now)
        with self._lock:
            self._run = run


def read_completions(
    database: Database, clock: Clock, settings: IngestSettings, privacy: Privacy, batch: list[Incoming]
) -> None:
    """One durable transaction."""
    now, limits = clock.now(), steps.AgeLimits(settings.max_age, settings.max_skew)
    arrivals = [made.completion(one, now, limits, privacy) for one in batch]
    service.receive_completions(database, arrivals, now)


def sweep(database: Database, clock: Clock, settings: IngestSettings) -> int:
    """Give up on what waits too long and delete what is kept too long; returns how many rows."""
    now = clock.now()
    given_up = service.sweep_waiting(database, now, settings.pending_ttl)
    return given_up + tenants.sweep(database, now)


def register(
    app: faust.App,
    database: Database,
    clock: Clock,
    settings: IngestSettings,
    privacy: Privacy,
    written: Callable[[], None],
) -> None:
    """Register the agents; `written` is called after each commit."""
    read_feedback = FeedbackReader(database, clock, settings, privacy)

    def feedback(batch: list[Incoming]) -> None:
        read_feedback(batch)
        written()

    def completions(batch: list[Incoming]) -> None:
        read_completions(database, clock, settings, privacy, batch)
        written()

    def sweep_and_tell() -> None:
        if sweep(database, clock, settings):
            written()

    batched_agent(app, [FEEDBACK_RECEIVED], feedback, name="ingest")
    batched_agent(app, [COMPLETION_SERVED], completions, name="ingest")
    periodic(app, sweep_and_tell, every_s=settings.sweep_every_s)
