"""A scorer killed in the middle of a stream and started again leaves the rows of an undisturbed run."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from infra.database import Database
from infra.publishing import KafkaPublisher
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted, FeedbackEvent
from matrix.ports import OutgoingMessage
from matrix.topics import COMPLETION_SERVED, FEEDBACK_ACCEPTED
from tests.conftest import StackUnderTest
from tests.fakes.feedback import AT, completion, thumb
from tests.fakes.waiting import until

COMPLETIONS = 5000
TABLES = {
    "samples": "completion_id",
    "feedback": "event_id",
    "risk_counts": "dimension, slice, minute",
}
SAID: list[dict[str, Any]] = [
    {"value": True},
    {"value": False},
    {"kind": "rating", "value": 4},
    {"kind": "report", "value": None, "category": "clinical_safety"},
]

pytestmark = pytest.mark.stack


def served(number: int) -> CompletionServed:
    at = (AT + timedelta(seconds=number)).isoformat()
    return CompletionServed.model_validate(completion(f"c{number}", served_at=at, user_id=f"u{number % 7}"))


def publish(stack: StackUnderTest) -> None:
    messages = []
    for number in range(COMPLETIONS):
        one = served(number)
        messages.append(OutgoingMessage(COMPLETION_SERVED.name, one.completion_id, one.to_payload()))
        event = FeedbackEvent.model_validate(thumb(f"e{number}", one.completion_id, **SAID[number % len(SAID)]))
        payload = FeedbackAccepted(event=event, completion=one).to_payload()
        messages += [OutgoingMessage(FEEDBACK_ACCEPTED.name, one.completion_id, payload)] * (1 + number % 2)
    publisher = KafkaPublisher(stack.servers.kafka)
    publisher.publish(messages)
    publisher.close()


def start(stack: StackUnderTest) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "infra.cli", "scorer", "run"], env=stack.environment)


def count(database: Database, table: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM scorer.{table}")).scalar_one())


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.engine.connect() as connection:
        return {
            name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM scorer.{name} ORDER BY {key}"))]
            for name, key in TABLES.items()
        }


def finish(stack: StackUnderTest, worker: subprocess.Popen[bytes]) -> dict[str, list[tuple[Any, ...]]]:
    until(lambda: count(stack.database, "feedback") == count(stack.database, "samples") == COMPLETIONS, "all rows")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    return rows(stack.database)


def test_a_killed_scorer_leaves_the_rows_of_an_undisturbed_run(stack: StackUnderTest) -> None:
    publish(stack)
    worker = start(stack)
    until(lambda: count(stack.database, "samples") > 0, "the first batch")
    worker.kill()
    worker.wait()
    assert count(stack.database, "feedback") + count(stack.database, "samples") < 2 * COMPLETIONS
    disturbed = finish(stack, start(stack))
    with stack.database.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(f'scorer.{name}' for name in TABLES)}"))
    publish(stack)
    assert finish(stack, start(stack)) == disturbed
    assert disturbed["risk_counts"]
