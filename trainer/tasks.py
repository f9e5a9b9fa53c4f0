"""Celery tasks by name, and the worker that takes them one at a time.

A task takes names; only Transient is tried again, with growing pauses, for as long as it takes: an outage ends, and
nobody would notice what was given up. What is Permanent was recorded where people look (the run's row) and is logged in
one line. The broker may deliver twice: the claim on the row decides.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from celery import Celery, signals

from infra.telemetry import mark_ready, mark_starting
from matrix.errors import Permanent, Transient
from trainer.evaluation import EvaluationAsked
from trainer.service import EVALUATE_TASK, TRAIN_TASK

log = logging.getLogger(__name__)

RETRIES = {"autoretry_for": (Transient,), "retry_backoff": 2, "retry_backoff_max": 60, "max_retries": None}


class TrainerWork(Protocol):
    """What the tasks set in motion."""

    def train(self, snapshot_uri: str, config_uri: str, author: str, should_stop: Callable[[], bool]) -> None:
        """Train the run of this snapshot and recipe, or go on with it."""
        ...

    def evaluate(self, asked: EvaluationAsked) -> None:
        """Answer and score the gate's prompts."""
        ...

    def resend_abandoned(self) -> int:
        """Send the commands of runs that a worker left."""
        ...


class TaskWorker:
    """One process that trains: tasks one at a time, and between them a look for runs that a dead worker left."""

    def __init__(self, celery: Celery, work: TrainerWork, *, name: str, sweep_s: float) -> None:
        self._celery, self._work, self._name, self._sweep_s = celery, work, name, sweep_s
        self._stopping, self._busy = threading.Event(), threading.Lock()
        self._sweeper = threading.Thread(target=self._sweep, name="abandoned-runs", daemon=True)
        add_tasks(celery, self)

    def train(self, snapshot_uri: str, config_uri: str, author: str) -> None:
        """One delivery of trainer.train_adapter."""
        with self._busy:
            self._work.train(snapshot_uri, config_uri, author, self._stopping.is_set)

    def evaluate(self, asked: EvaluationAsked) -> None:
        """One delivery of trainer.evaluate_adapter."""
        with self._busy:
            self._work.evaluate(asked)

    def run(self) -> int:
        """Take tasks until SIGTERM, which ends a run after the step at hand; returns the exit code."""
        mark_starting(self._name)
        # Celery sends signals to functions that it holds weakly: the names keep them alive while it runs.
        ready, stopping, logging_setup = self._on_ready, self._on_stopping, _keep_logging
        signals.worker_ready.connect(ready)
        signals.worker_shutting_down.connect(stopping)
        signals.setup_logging.connect(logging_setup)
        worker = self._celery.Worker(
            pool="solo",
            queues=["trainer"],
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            redirect_stdouts=False,
        )
        worker.start()
        self._stopping.set()
        return int(worker.exitcode or 0)

    def _on_ready(self, **_: Any) -> None:
        self._sweeper.start()
        mark_ready(self._name)

    def _on_stopping(self, **_: Any) -> None:
        self._stopping.set()

    def _sweep(self) -> None:
        while True:
            # A worker that is training leaves it to idle ones: it could not take what it sends.
            if self._busy.acquire(blocking=False):
                try:
                    self._work.resend_abandoned()
                except Transient as error:
                    log.warning("abandoned runs were not looked for", extra={"reason": str(error)})
                finally:
                    self._busy.release()
            if self._stopping.wait(self._sweep_s):
                return


def add_tasks(celery: Celery, worker: TaskWorker) -> None:
    """Register the tasks under the names that other stages send."""

    @celery.task(name=TRAIN_TASK, **RETRIES)  # type: ignore[untyped-decorator]  # celery has no annotations
    def train_adapter(snapshot_uri: str, config_uri: str, author: str) -> None:
        _report_permanent(lambda: worker.train(snapshot_uri, config_uri, author), task=TRAIN_TASK)

    @celery.task(name=EVALUATE_TASK, **RETRIES)  # type: ignore[untyped-decorator]  # celery has no annotations
    def evaluate_adapter(**names: str) -> None:
        _report_permanent(lambda: worker.evaluate(EvaluationAsked(**names)), task=EVALUATE_TASK)


def _report_permanent(act: Callable[[], None], *, task: str) -> None:
    try:
        act()
    except Permanent as error:
        log.error("task failed for good", extra={"task": task, "reason": str(error), "error": type(error).__name__})  # noqa: TRY400


def _keep_logging(**_: Any) -> None:
    """Connected so that Celery leaves the process's log format alone."""
