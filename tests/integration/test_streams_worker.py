"""The loop around Faust loses nothing: Transient is retried, a failing handler ends the worker before anything is
acknowledged, and a worker killed in the middle leaves the same effects as one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from infra.outbox import CANNOT_GO_ON
from infra.publishing import KafkaPublisher
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED
from tests.conftest import StackUnderTest
from tests.fakes.waiting import until

EVENTS = 400
WORKER = "tests.fakes.stream_worker"

pytestmark = pytest.mark.stack


def start(stack: StackUnderTest, behaviour: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", WORKER, behaviour], env=stack.environment)


def publish(stack: StackUnderTest, *, lists_of: int) -> None:
    publisher = KafkaPublisher(stack.servers.kafka)
    numbers = [{"number": number} for number in range(EVENTS)]
    records = [numbers[start : start + lists_of] for start in range(0, EVENTS, lists_of)]
    messages = [
        OutgoingMessage(FEEDBACK_RECEIVED.name, str(index), json.dumps(record).encode())
        for index, record in enumerate(records)
    ]
    publisher.publish(messages)
    publisher.close()


def prepare(stack: StackUnderTest) -> None:
    with stack.database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE public.seen (number int, attempt int)"))


def seen(stack: StackUnderTest) -> set[int]:
    with stack.database.engine.begin() as connection:
        return set(connection.execute(text("SELECT DISTINCT number FROM public.seen")).scalars())


def test_every_event_arrives_although_the_worker_is_killed_in_the_middle(stack: StackUnderTest) -> None:
    prepare(stack)
    publish(stack, lists_of=3)
    worker = start(stack, "slow")
    until(lambda: seen(stack), "the first batch")
    worker.kill()
    worker.wait()
    assert len(seen(stack)) < EVENTS
    worker = start(stack, "fast")
    until(lambda: len(seen(stack)) == EVENTS, "all events")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_a_handler_that_fails_ends_the_worker_and_acknowledges_nothing(stack: StackUnderTest) -> None:
    prepare(stack)
    publish(stack, lists_of=1)
    assert start(stack, "raises").wait(60) == CANNOT_GO_ON
    worker = start(stack, "fast")
    until(lambda: len(seen(stack)) == EVENTS, "all events")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_what_is_transient_is_tried_again(stack: StackUnderTest) -> None:
    prepare(stack)
    publish(stack, lists_of=50)
    worker = start(stack, "transient")
    until(lambda: len(seen(stack)) == EVENTS, "all events")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
