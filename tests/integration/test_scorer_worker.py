"""A scorer killed in the middle of a stream and started again leaves the rows of an undisturbed run."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from infra.clock import SystemClock
from infra.database import Database
from infra.publishing import KafkaPublisher
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted, FeedbackEvent
from matrix.ports import OutgoingMessage
from matrix.topics import COMPLETION_ACCEPTED, FEEDBACK_ACCEPTED
from tests.conftest import StackUnderTest
from tests.fakes.feedback import completion, thumb
from tests.fakes.waiting import until

COMPLETIONS = 3000
HALF = COMPLETIONS // 2
NO_SNAPSHOT = {
    "PLUMBLINE_SNAPSHOT_MIN_SAMPLES": "1000000",
    "PLUMBLINE_SNAPSHOT_RISK_MIN_SAMPLES": "1000000",
    "PLUMBLINE_SNAPSHOT_MAX_AGE_S": "100000000",
}
TABLES = {
    "progress": "policy",
    "samples": "completion_id",
    "feedback": "event_id",
    "risk_counts": "policy, dimension, slice, hour",
}
SAID: list[dict[str, Any]] = [
    {"value": True},
    {"value": False},
    {"kind": "rating", "value": 4},
    {"kind": "report", "value": None, "category": "clinical_safety"},
]

pytestmark = pytest.mark.stack


def served(number: int, now: datetime) -> CompletionServed:
    at = (now - timedelta(seconds=COMPLETIONS - number)).isoformat()
    return CompletionServed.model_validate(completion(f"c{number}", served_at=at, user_id=f"u{number % 7}"))


def publish(stack: StackUnderTest, numbers: range, now: datetime) -> None:
    messages = []
    for number in numbers:
        one = served(number, now)
        messages.append(OutgoingMessage(COMPLETION_ACCEPTED.name, one.completion_id, one.to_payload()))
        event = FeedbackEvent.model_validate(thumb(f"e{number}", one.completion_id, **SAID[number % len(SAID)]))
        payload = FeedbackAccepted(event=event, completion=one).to_payload()
        messages += [OutgoingMessage(FEEDBACK_ACCEPTED.name, one.completion_id, payload)] * (1 + number % 2)
    publisher = KafkaPublisher(stack.servers.kafka)
    publisher.publish(messages)
    publisher.close()


def start(stack: StackUnderTest) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "infra.cli", "scorer", "run"], env=stack.environment | NO_SNAPSHOT)


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
    now = SystemClock().now()
    publish(stack, range(HALF), now)
    worker = start(stack)
    until(lambda: count(stack.database, "samples") > 0, "the first batch")
    # Halted wherever it is, so that it has work left when it is killed, however fast the machine is.
    worker.send_signal(signal.SIGSTOP)
    publish(stack, range(HALF, COMPLETIONS), now)
    worker.kill()
    worker.wait()
    assert count(stack.database, "feedback") < COMPLETIONS
    disturbed = finish(stack, start(stack))
    with stack.database.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(f'scorer.{name}' for name in TABLES)}"))
    publish(stack, range(COMPLETIONS), now)
    assert finish(stack, start(stack)) == disturbed
    assert disturbed["risk_counts"]
