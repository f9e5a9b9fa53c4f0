"""The trainer's composition root: a policy server, and a worker that trains and evaluates."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from fastapi import FastAPI

from infra.base_model import base_digest
from infra.clock import SystemClock
from infra.database import Database
from infra.jobs import CelerySender, make_celery
from infra.objects import FolderObjectStore
from infra.outbox import OutboxRelay
from infra.publishing import KafkaPublisher
from matrix.scorers.learned import LearnedScorer
from trainer.base_model import load_base
from trainer.champions import KafkaRoutes
from trainer.declarations import base_folder, read_knowledge, read_matrix
from trainer.evaluation import EvaluationAsked, Evaluator
from trainer.microbatches import MicroBatcher
from trainer.policies import ServedPolicies, set_threads
from trainer.serve import make_server
from trainer.service import STAGE, Runs
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshot
from trainer.tasks import TaskWorker
from trainer.training import Ground, ReadRecipe, Trainer

WORKER = "trainer"  # the name of its ready marker
LearnedFor = Callable[[Snapshot], Mapping[str, LearnedScorer]]


def make_policy_server(settings: TrainerSettings) -> FastAPI:
    """The server of the base model that the settings name."""
    set_threads(settings.torch_threads)
    policies = _policies(settings)
    batcher = MicroBatcher(
        policies.generate, max_batch=settings.serve_max_batch, max_waiting=settings.serve_max_waiting
    )
    return make_server(policies, batcher, max_tokens=settings.serve_max_tokens)


@dataclass(frozen=True, slots=True)
class Work:
    """What the tasks set in motion; implements trainer.tasks.TrainerWork."""

    trainer: Trainer
    evaluator: Evaluator
    runs: Runs
    wake: Callable[[], None]

    def train(self, snapshot_uri: str, config_uri: str, author: str, should_stop: Callable[[], bool]) -> None:
        """One run, or what is left of it."""
        self.trainer.train(snapshot_uri, config_uri, author, should_stop)

    def evaluate(self, asked: EvaluationAsked) -> None:
        """One evaluation, made once and announced each time."""
        self.evaluator.evaluate(asked)
        self.wake()

    def resend_abandoned(self) -> int:
        """Runs that a worker left."""
        return self.runs.resend_abandoned()


def run_worker(settings: TrainerSettings, read_recipe: ReadRecipe, learned_for: LearnedFor) -> int:
    """Take tasks until SIGTERM; returns the exit code."""
    set_threads(settings.torch_threads)
    redis_url = settings.redis_url.get_secret_value()
    database = Database(settings.database_url.get_secret_value())
    with closing(database), closing(KafkaPublisher(settings.kafka)) as publisher:
        relay = OutboxRelay(database, publisher, CelerySender(redis_url), stage=STAGE)
        work = make_work(settings, database, read_recipe, learned_for, wake=relay.wake)
        relay.start()
        try:
            return TaskWorker(make_celery(redis_url), work, name=WORKER, sweep_s=settings.sweep_s).run()
        finally:
            relay.stop()


def make_work(
    settings: TrainerSettings,
    database: Database,
    read_recipe: ReadRecipe,
    learned_for: LearnedFor,
    *,
    wake: Callable[[], None],
) -> Work:
    """A trainer and an evaluator over one object store and one base model."""
    clock, objects = SystemClock(), FolderObjectStore(settings.objects_dir)
    digest, matrix, knowledge = base_digest(base_folder(settings)), read_matrix(settings), read_knowledge(settings)
    runs = Runs(database, clock, worker=_worker_name(), lease=settings.lease, wake=wake)
    trainer = Trainer(
        runs=runs,
        objects=objects,
        clock=clock,
        routes=KafkaRoutes(settings.kafka),
        ground=Ground(matrix=matrix.digest(), knowledge=knowledge.digest(), base=digest),
        read_recipe=read_recipe,
        runs_dir=settings.runs_dir,
        checkpoint_every=settings.checkpoint_every,
        max_attempts=settings.max_attempts,
    )
    evaluator = Evaluator(
        database=database,
        objects=objects,
        clock=clock,
        matrix=matrix,
        knowledge=knowledge,
        base_digest=digest,
        open_policies=lambda: _policies(settings),
        learned_for=learned_for,
        batch=settings.evaluation_batch,
        max_tokens=settings.evaluation_max_tokens,
    )
    return Work(trainer, evaluator, runs, wake)


def _policies(settings: TrainerSettings) -> ServedPolicies:
    folder = base_folder(settings)
    base = load_base(folder)
    return ServedPolicies(base.model, base.tokenizer, root=str(folder))


def _worker_name() -> str:
    """Unlike any other worker's, also after a restart under the same process id."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
