"""What becomes of a command that cannot be carried out now, or ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from celery import Celery

from infra.jobs import make_celery
from matrix.errors import BrokerUnavailable, NotFound, PlumblineError
from trainer.evaluation import EvaluationAsked
from trainer.service import EVALUATE_TASK, TRAIN_TASK
from trainer.tasks import TaskWorker

OUTAGE = 25  # attempts: with growing pauses of up to a minute, about twenty minutes
NAMES = {
    TRAIN_TASK: {"snapshot_uri": "object:s", "config_uri": "object:c", "author": "ada"},
    EVALUATE_TASK: dict.fromkeys(EvaluationAsked.__dataclass_fields__, "x"),
}


@dataclass
class Failing:
    """Work that fails so often before it succeeds."""

    error: PlumblineError
    failures: int
    attempts: int = 0

    def train(self, snapshot_uri: str, config_uri: str, author: str, should_stop: Callable[[], bool]) -> None:
        self._attempt()

    def evaluate(self, asked: EvaluationAsked) -> None:
        self._attempt()

    def resend_abandoned(self) -> int:
        return 0

    def _attempt(self) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error


@pytest.fixture(scope="module")
def only_worker() -> tuple[Celery, Failing]:
    """Celery keeps the first callable of a name for the whole process."""
    celery = make_celery("redis://127.0.0.1:1/0")  # never connected to: tasks are applied in this process
    work = Failing(BrokerUnavailable("kafka"), failures=0)
    TaskWorker(celery, work, name="trainer", sweep_s=1)
    return celery, work


def applied(worker: tuple[Celery, Failing], task: str, error: PlumblineError) -> int:
    """Attempts at the task until it was done with."""
    celery, work = worker
    work.error, work.failures, work.attempts = error, OUTAGE, 0
    celery.tasks[task].apply(kwargs=NAMES[task])
    return work.attempts


@pytest.mark.parametrize("task", [TRAIN_TASK, EVALUATE_TASK])
def test_a_command_outlasts_an_outage(only_worker: tuple[Celery, Failing], task: str) -> None:
    assert applied(only_worker, task, BrokerUnavailable("kafka")) == OUTAGE + 1


@pytest.mark.parametrize("task", [TRAIN_TASK, EVALUATE_TASK])
def test_what_fails_for_good_is_not_tried_again(only_worker: tuple[Celery, Failing], task: str) -> None:
    assert applied(only_worker, task, NotFound(what="snapshot", name="x")) == 1
