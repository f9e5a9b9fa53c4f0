"""Foreign payloads and CloudEvents all the way: through the real gateway, Kafka and worker, each event counted once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.clock import SystemClock
from infra.publishing import KafkaPublisher
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED
from tests.conftest import StackUnderTest
from tests.fakes.feedback import thumb
from tests.fakes.foreign import MAPPINGS, open_webui, zendesk
from tests.fakes.ingest_processes import gateway, rows, worker
from tests.fakes.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

COUNTED = ("received", "accepted", "duplicate", "dead", "pending")
KINDS = "SELECT kind, completion_id, state FROM ingest.feedback ORDER BY kind, completion_id"


def test_a_record_with_its_chat_becomes_completions_and_feedback_and_counts_once_however_often_it_is_sent(
    stack: StackUnderTest,
) -> None:
    now = SystemClock().now()
    record = open_webui() | {"created_at": int(now.timestamp()), "updated_at": int(now.timestamp())}
    for message in record["snapshot"]["chat"]["chat"]["history"]["messages"].values():
        message["timestamp"] = int(now.timestamp())
    declared = zendesk() | {"time": now.isoformat(), "detail": {"external_id": "a1", "requester_id": 7}}
    with gateway(stack, PLUMBLINE_WEBHOOKS_FILE=str(MAPPINGS)) as client, worker(stack):
        for _ in range(2):
            assert len(client.post("/v1/connect/open-webui", json=[record]).json()["accepted"]) == 5
            assert client.post("/v1/connect/zendesk", json=[declared, {}]).json()["accepted"] == ["2b24ef10"]
        until(lambda: client.get("/v1/counts").json()["accepted"] == 4, "four accepted events")
        until(lambda: client.get("/v1/counts").json()["received"] == 8, "eight deliveries")
        found = client.get("/v1/counts").json()
    assert [found[name] for name in COUNTED] == [8, 4, 4, 0, 0]
    assert found["completions"] == {"stored": 2, "dead": 0}
    expected = [("comment", "a1"), ("preference", "b1"), ("rating", "a1"), ("thumb", "a1")]
    assert rows(stack, KINDS) == [(kind, completion, "accepted") for kind, completion in expected]


def test_cloudevents_on_the_topic_are_opened_and_those_that_cannot_be_are_set_aside(stack: StackUnderTest) -> None:
    now = SystemClock().now().isoformat()

    def enveloped(event_id: str, **attributes: str) -> dict[str, Any]:
        said = thumb(event_id, occurred_at=now)
        made: dict[str, Any] = {
            "id": event_id,
            "source": "/chat",
            "specversion": "1.0",
            "type": FEEDBACK_RECEIVED.name,
            "data": said,
        }
        return made | attributes

    records = [enveloped("e1"), [enveloped("e2"), thumb("e1", occurred_at=now)], enveloped("e3", specversion="0.3")]
    publisher = KafkaPublisher(stack.servers.kafka)
    publisher.publish([OutgoingMessage(FEEDBACK_RECEIVED.name, "c1", json.dumps(one).encode()) for one in records])
    publisher.close()
    with gateway(stack) as client, worker(stack):
        until(lambda: client.get("/v1/counts").json()["received"] == 4, "four deliveries")
        found = client.get("/v1/counts").json()
    assert [found[name] for name in COUNTED] == [4, 0, 1, 1, 2]
    assert found["by_reason"] == {"unknown_envelope": 1}
