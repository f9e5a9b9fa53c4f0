"""Gateway, Kafka, Faust worker and PostgreSQL together: every event counted once, also when the worker is killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from infra.clock import SystemClock
from infra.publishing import KafkaPublisher
from ingest import service
from matrix.messages.gate import RouteChanged
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED, ROUTE_CHANGED
from tests.conftest import REPOSITORY, StackUnderTest
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.feedback import completion, thumb
from tests.fakes.ingest_processes import answer, gateway, replay, rows, worker
from tests.fakes.serving import served
from tests.fakes.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

DATA = Path(os.environ.get("PLUMBLINE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
EVENTS, COMPLETIONS, DUPLICATES = 600, 150, 60
ROWS = "SELECT event_id, completion_id, kind, state, reason FROM ingest.feedback ORDER BY event_id"
COMPLETION_ROWS = "SELECT completion_id, body FROM ingest.completions ORDER BY completion_id"


def recording(folder: Path) -> Path:
    """Our own messages: feedback before and after its completion, duplicates, one bad line, one event without home."""
    now = SystemClock().now().isoformat()
    said = [thumb(f"e{n}", f"c{n % COMPLETIONS}", occurred_at=now, value=n % 3 == 0) for n in range(EVENTS)]
    had = [completion(f"c{n}", served_at=now) for n in range(COMPLETIONS)]
    lines = [json.dumps(line) for line in (*said[: EVENTS // 2], *had, *said[EVENTS // 2 :], *said[:DUPLICATES])]
    file = folder / "recording.jsonl"
    file.write_text(
        "\n".join([*lines, json.dumps(thumb(mood="good")), json.dumps(thumb("orphan", "nowhere", occurred_at=now))])
    )
    return file


def test_a_replay_reconciles_and_a_second_one_changes_nothing_but_the_duplicate_count(
    stack: StackUnderTest, tmp_path: Path
) -> None:
    file = recording(tmp_path)
    sent = EVENTS + DUPLICATES + 1
    with gateway(stack) as client, worker(stack):
        first = answer(replay(stack, client, file))
        assert first["bad_rows"] == [{"line": sent + COMPLETIONS, "reason": "mood: Extra inputs are not permitted"}]
        assert {name: first[name] for name in ("received", "accepted", "duplicate", "dead", "pending")} == {
            "received": sent, "accepted": EVENTS, "duplicate": DUPLICATES, "dead": 0, "pending": 1,
        }  # fmt: skip
        before = (rows(stack, ROWS), rows(stack, COMPLETION_ROWS))
        second = answer(replay(stack, client, file, "--to", "kafka"))
        assert (second["received"], second["duplicate"]) == (sent, sent)
        assert (rows(stack, ROWS), rows(stack, COMPLETION_ROWS)) == before
        assert client.get("/v1/counts").json()["received"] == 2 * sent


def test_a_worker_killed_in_the_middle_leaves_the_same_rows_as_an_undisturbed_one(
    stack: StackUnderTest, tmp_path: Path
) -> None:
    file = recording(tmp_path)
    with gateway(stack) as client:
        process = replay(stack, client, file, "--keep-times", "--rate", "300")
        with worker(stack) as killed:
            until(lambda: service.counts(stack.database)["received"] > EVENTS // 4, "a quarter of the events")
            killed.kill()
            killed.wait()
        assert service.counts(stack.database)["received"] < EVENTS
        with worker(stack):
            counted = answer(process)
    assert (counted["received"], counted["accepted"], counted["duplicate"]) == (
        EVENTS + DUPLICATES + 1,
        EVENTS,
        DUPLICATES,
    )
    expected = sorted((f"e{n}", f"c{n % COMPLETIONS}", "thumb", "accepted", None) for n in range(EVENTS))
    assert rows(stack, ROWS) == [*expected, ("orphan", "nowhere", "thumb", "pending", None)]


def test_bad_events_on_kafka_become_dead_letters_and_no_neighbour_is_lost(stack: StackUnderTest) -> None:
    now = SystemClock().now().isoformat()
    listed = json.dumps([thumb("a", occurred_at=now), {"kind": "wink"}, thumb("b", occurred_at=now)]).encode()
    publisher = KafkaPublisher(stack.servers.kafka)
    publisher.publish([OutgoingMessage(FEEDBACK_RECEIVED.name, "c1", raw) for raw in (b"{not json", listed, b"\xff")])
    publisher.close()
    # Feedback without its completion is given up by the timer, which leaves nothing pending.
    with worker(stack, PLUMBLINE_PENDING_TTL_S="0.5", PLUMBLINE_SWEEP_EVERY_S="0.2"):
        until(lambda: service.counts(stack.database)["dead"] == 5, "five dead letters")
    counted = service.counts(stack.database)
    assert counted["by_reason"] == {"malformed": 2, "missing_field": 1, "unknown_completion": 2}
    assert (counted["received"], counted["pending"]) == (5, 0)
    until(lambda: not rows(stack, "SELECT 1 FROM infra.outbox"), "an empty outbox")


def test_a_chat_through_the_gateway_can_be_rated_and_the_feedback_names_the_adapter(stack: StackUnderTest) -> None:
    at = SystemClock().now()
    digest = "b" * 64
    route = RouteChanged(
        policy="clinic-assistant", alias="champion", version=0, served_name="base", adapter_digest=digest, at=at
    )
    publisher = KafkaPublisher(stack.servers.kafka)
    publisher.publish([OutgoingMessage(ROUTE_CHANGED.name, "clinic-assistant@champion", route.to_payload())])
    publisher.close()
    chat = {"model": "clinic-assistant@champion", "messages": [{"role": "user", "content": "Is this dose right?"}]}
    with (
        served(FakeChatServer().app) as url,
        gateway(stack, PLUMBLINE_POLICY_SERVER_URLS=url) as client,
        worker(stack),
    ):
        until(lambda: client.get("/v1/models").json()["data"], "the route")
        told = client.post("/v1/chat/completions", json=chat)
        assert told.headers["X-Plumbline-Adapter"] == digest
        rated = {"metric_name": "thumbs", "inference_id": told.json()["id"], "value": True}
        assert client.post("/v1/feedback", json=rated).status_code == 202
        until(lambda: client.get("/v1/counts").json()["accepted"] == 1, "the accepted thumb")
    assert rows(stack, "SELECT adapter_digest FROM ingest.completions") == [(digest,)]


def test_real_recordings_reconcile_and_a_second_replay_only_adds_duplicates(stack: StackUnderTest) -> None:
    files = [(DATA / "convai2-wild" / "data_intermediate.json", "convai2")]
    files += [(DATA / "qa-from-hf" / "long_term" / "train-data-round1.jsonl.gz", "qa-from-hf")]
    if not all(file.exists() for file, _ in files):
        pytest.skip(f"recordings are absent from {DATA}; set PLUMBLINE_TEST_DATA to the folder of public recordings")
    with gateway(stack) as client, worker(stack):
        for file, form in files:
            first, second = (answer(replay(stack, client, file, form=form)) for _ in range(2))
            events = first["sent"]["events"]
            assert (first["received"], first["accepted"]) == (events, events)
            assert (second["received"], second["duplicate"], second["accepted"]) == (events, events, 0)
