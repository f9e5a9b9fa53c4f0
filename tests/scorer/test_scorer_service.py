"""The scorer's rows on a real PostgreSQL: labels, risk told once, snapshots and what they start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from infra.database import Database
from infra.objects import FolderObjectStore
from matrix.alignment.dimensions import load_matrix
from matrix.digests import digest_bytes
from matrix.errors import NotFound
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted, FeedbackEvent
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge
from scorer import service
from scorer.service import Rules
from scorer.settings import ScorerSettings
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import completion, thumb


@pytest.fixture(scope="module")
def rules() -> Rules:
    matrix, knowledge = Path("matrix.toml"), Path("infra/demo/clinic.toml")
    return Rules(
        load_matrix(matrix.read_text(), file="matrix.toml", scorers=SCORER_NAMES),
        load_knowledge(knowledge.read_text(), file="clinic.toml"),
    )


def served(number: int) -> CompletionServed:
    return CompletionServed.model_validate_json(CompletionServed.model_validate(completion(f"c{number}")).to_payload())


def accepted(number: int, event_id: str, **fields: object) -> FeedbackAccepted:
    event = FeedbackEvent.model_validate(thumb(event_id, f"c{number}", **fields))
    return FeedbackAccepted(event=event, completion=served(number))


def outbox(database: Database, destination: str) -> int:
    with database.engine.connect() as connection:
        query = text("SELECT count(*) FROM infra.outbox WHERE destination = :name")
        return int(connection.execute(query, {"name": destination}).scalar_one())


def test_feedback_may_come_before_its_completion(database: Database, clock: FakeClock, rules: Rules) -> None:
    service.receive_feedback(database, [accepted(1, "e1")], rules, clock.now())
    service.receive_completions(database, [served(1)], rules, clock.now())
    found = service.status(database, "clinic-assistant")
    assert (found["samples"], found["labelled"], found["feedback"]) == (1, 1, 1)
    assert outbox(database, "sample.scored.v1") == 1


def test_a_cell_that_crosses_its_limit_is_told_once(database: Database, clock: FakeClock, rules: Rules) -> None:
    reports = [accepted(n, f"e{n}", kind="report", value=None, category="clinical_safety") for n in range(40)]
    for _ in range(2):
        service.receive_feedback(database, reports, rules, clock.now())
    service.watch(database, rules.matrix, clock.now())
    told = service.risks(database, rules.matrix, clock.now(), points=10)
    assert [cell["dimension"] for cell in told["cells"] if cell["escalated"]] == ["clinical_safety"] * outbox(
        database, "risk.escalated.v1"
    )
    assert outbox(database, "risk.escalated.v1") >= 1


def test_a_due_snapshot_is_cut_once_and_trained_on(
    database: Database, clock: FakeClock, rules: Rules, objects: FolderObjectStore
) -> None:
    settings = ScorerSettings(snapshot_min_samples=3, train_config="object:recipes/r.toml")
    service.receive_feedback(database, [accepted(n, f"e{n}") for n in range(3)], rules, clock.now())
    row = service.cut_if_due(database, objects, settings, rules.matrix, clock.now())
    assert row is not None
    assert row.uri == f"object:snapshots/{row.sha256[:16]}"
    assert digest_bytes(objects.read(f"{row.uri}/manifest.json")) == row.sha256
    assert service.cut_if_due(database, objects, settings, rules.matrix, clock.now()) is None
    assert outbox(database, service.TRAIN_TASK) == 1


def test_the_same_samples_are_the_same_snapshot_whenever_they_are_cut(
    database: Database, clock: FakeClock, rules: Rules, objects: FolderObjectStore
) -> None:
    service.receive_completions(database, [served(1)], rules, clock.now())
    first = service.cut_now(database, objects, ScorerSettings(), rules.matrix, clock.now())
    clock.advance(timedelta(days=1))
    assert service.cut_now(database, objects, ScorerSettings(), rules.matrix, clock.now()) == first


def test_nothing_cannot_be_cut(database: Database, clock: FakeClock, rules: Rules, objects: FolderObjectStore) -> None:
    with pytest.raises(NotFound):
        service.cut_now(database, objects, ScorerSettings(), rules.matrix, clock.now())
