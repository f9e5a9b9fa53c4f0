"""Composition root of the scorer."""

from __future__ import annotations

from pathlib import Path

from infra.clock import SystemClock
from infra.database import Database
from infra.jobs import CelerySender
from infra.objects import FolderObjectStore
from infra.outbox import OutboxRelay
from infra.publishing import KafkaPublisher
from infra.streams import make_app, run_worker
from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.errors import InvalidInput
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge
from scorer import agents, service
from scorer.service import Rules
from scorer.settings import ScorerSettings


def run(settings: ScorerSettings) -> None:
    """Run the worker until it is told to end."""
    rules = load_rules(settings)
    database = open_database(settings)
    commands = CelerySender(settings.redis_url.get_secret_value())
    relay = OutboxRelay(database, KafkaPublisher(settings.kafka), commands, stage=service.STAGE)
    app = make_app(service.STAGE, settings)
    outside = agents.Outside(database, FolderObjectStore(settings.objects_dir), SystemClock())
    agents.register(app, outside, settings, rules, relay.wake)
    run_worker(app, name=service.STAGE, start=relay.start, stop=relay.stop)


def open_database(settings: ScorerSettings) -> Database:
    """The deployment's PostgreSQL."""
    return Database(settings.database_url.get_secret_value())


def matrix_of(settings: ScorerSettings) -> Matrix:
    """The declared matrix."""
    return load_matrix(_text(settings.matrix_file), file=str(settings.matrix_file), scorers=SCORER_NAMES)


def load_rules(settings: ScorerSettings) -> Rules:
    """The declared matrix and knowledge."""
    file = settings.knowledge_file
    return Rules(settings.policy, matrix_of(settings), load_knowledge(_text(file), file=str(file)))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(field="file", value=str(file), remedy=f"cannot be read: {error}") from error
