"""Feedback at the door: what is answered, what is published, what is not repeated; by both ways through the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from infra.database import Database
from infra.limits import RateLimits
from ingest import agents
from ingest.settings import IngestSettings
from tests.fakes.clock import FakeClock
from tests.fakes.door import FeedbackGateway
from tests.fakes.feedback import completion, record
from tests.fakes.privacy import PRIVACY
from tests.fakes.waiting import until

SECRETS = ("anna.smith@example.com", "4111 1111 1111 1111")


@pytest.fixture
def gateway(database: Database, clock: FakeClock) -> FeedbackGateway:
    return FeedbackGateway(database, clock)


@pytest.fixture(params=["direct", "asgi"])
def client(gateway: FeedbackGateway, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with gateway.client(direct=request.param == "direct") as client:
        yield client


def body(event_id: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {} if event_id is None else {"id": event_id}
    return {"metric_name": "thumbs", "inference_id": "c1", "value": True} | named | fields


def read_by_worker(gateway: FeedbackGateway, database: Database, clock: FakeClock) -> None:
    """What the worker does with all that was published."""
    reader = agents.FeedbackReader(database, clock, IngestSettings(), PRIVACY)
    for offset, message in enumerate(gateway.publisher.messages):
        reader(record("feedback.received.v1", offset, message.payload))


def statuses(answer: httpx.Response) -> list[str]:
    return [row["status"] for row in answer.json()["results"]]


def test_feedback_is_taken_by_both_names_and_answered_with_its_id(
    gateway: FeedbackGateway, client: httpx.Client
) -> None:
    for path in ("/v1/feedback", "/feedback"):
        answer = client.post(path, json=body(f"at{path}"))
        assert (answer.status_code, answer.json()) == (202, {"feedback_id": f"at{path}", "status": "pending_match"})
    assert [event.event_id for event in gateway.events()] == ["at/v1/feedback", "at/feedback"]


def test_a_repeated_send_is_a_duplicate_and_is_published_to_be_counted(
    gateway: FeedbackGateway, client: httpx.Client
) -> None:
    first, again = (client.post("/v1/feedback", json=body("e1")) for _ in range(2))
    assert (first.json()["status"], again.json()["status"]) == ("pending_match", "duplicate")
    assert len(gateway.events()) == 2


def test_the_same_id_with_another_body_is_refused_and_not_published(
    gateway: FeedbackGateway, client: httpx.Client
) -> None:
    client.post("/v1/feedback", json=body("e1"))
    answer = client.post("/v1/feedback", json=body("e1", value=False))
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == "id"
    assert len(gateway.events()) == 1


def test_what_the_worker_stored_is_known_to_a_gateway_without_memory(
    gateway: FeedbackGateway, client: httpx.Client, database: Database, clock: FakeClock
) -> None:
    client.post("/v1/feedback", json=body("e1"))
    agents.read_completions(database, clock, IngestSettings(), PRIVACY, record("completion.served.v1", 0, completion()))
    read_by_worker(gateway, database, clock)
    with FeedbackGateway(database, clock).client() as other:
        assert other.post("/v1/feedback", json=body("e1")).json()["status"] == "duplicate"
        assert other.post("/v1/feedback", json=body("e1", value=False)).status_code == 409
        assert other.post("/v1/feedback", json=body("e2")).json()["status"] == "matched"
        assert other.post("/v1/feedback", json=body("e3", inference_id="c2")).json()["status"] == "pending_match"


def test_ids_and_completions_of_another_tenant_do_not_exist(
    gateway: FeedbackGateway, client: httpx.Client, database: Database, clock: FakeClock
) -> None:
    client.post("/v1/feedback", json=body("e1"))
    agents.read_completions(database, clock, IngestSettings(), PRIVACY, record("completion.served.v1", 0, completion()))
    read_by_worker(gateway, database, clock)
    with gateway.client(tenant="other") as other:
        answer = other.post("/v1/feedback", json=body("e1", value=False))
        assert (answer.status_code, answer.json()["status"]) == (202, "pending_match")
        assert other.get("/v1/feedback/e9").status_code == 404
    assert [event.tenant for event in gateway.events()] == ["default", "other"]


def test_nothing_that_names_the_person_leaves_the_gateway(gateway: FeedbackGateway, client: httpx.Client) -> None:
    said = body(metric_name="comment", value=f"Write to {SECRETS[0]} or charge {SECRETS[1]}.", user_id="Anna Smith")
    client.post("/v1/feedback", json=said)
    (event,) = gateway.events()
    sent = gateway.publisher.messages[0].payload.decode()
    assert not any(secret in sent for secret in (*SECRETS, "Anna Smith"))
    assert event.user_id == PRIVACY.person("default", "Anna Smith")


def test_without_consent_no_word_leaves_the_gateway(gateway: FeedbackGateway, client: httpx.Client) -> None:
    said = body("e1", metric_name="comment", value="only for you", consent=False, tags={"mood": "sad"})
    assert client.post("/v1/feedback", json=said).status_code == 202
    (event,) = gateway.events()
    assert (event.event_id, event.consent, event.tags, event.user_id) == ("e1", False, {}, None)
    assert "only for you" not in gateway.publisher.messages[0].payload.decode()


@pytest.mark.parametrize(
    "said",
    [
        {"metric_name": "comment", "value": SECRETS[0], "text": SECRETS[0]},
        {"metric_name": "comment", "value": SECRETS[0] * 2000},
        {"metric_name": "thumbs", "value": SECRETS[0]},
        {"metric_name": SECRETS[0]},
        {"tags": {SECRETS[0]: 1}},
        {SECRETS[0]: SECRETS[1]},
        {"category": SECRETS[0]},
        {"occurred_at": SECRETS[1]},
        {"episode_id": SECRETS[0]},
        {"inference_id": "c1", "dryrun": SECRETS[0]},
    ],
)
def test_a_refusal_does_not_repeat_what_names_people(
    client: httpx.Client, said: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    single = client.post("/v1/feedback", json=body() | said)
    batch = client.post("/v1/feedback/batch", json=[body() | said])
    assert (single.status_code, batch.json()["results"][0]["status"]) == (422, "refused")
    told = single.text + batch.text + caplog.text
    assert not any(secret in told for secret in SECRETS)
    assert single.json()["errors"][0]["rule"]


def test_a_bad_event_of_a_batch_costs_no_other(gateway: FeedbackGateway, client: httpx.Client) -> None:
    sent = [body("a"), {"metric_name": "thumbs"}, body("b", value=3), 7, body("c"), body("a"), body("a", value=False)]
    answer = client.post("/v1/feedback/batch", json=sent)
    assert answer.status_code == 200
    expected = ["pending_match", "refused", "refused", "refused", "pending_match", "duplicate", "refused"]
    assert statuses(answer) == expected
    refused = [row for row in answer.json()["results"] if row["status"] == "refused"]
    assert [(row["code"], row["errors"][0]["field"]) for row in refused] == [
        (422, "inference_id"),
        (422, "value"),
        (422, "body"),
        (409, "id"),
    ]
    assert [event.event_id for event in gateway.events()] == ["a", "c", "a"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_batch_is_a_list_or_an_object_of_events_and_both_may_be_dryruns(
    gateway: FeedbackGateway, client: httpx.Client, wrapped: bool
) -> None:
    sent = [body("a", dryrun=True), body("b")]
    answer = client.post("/v1/feedback/batch", json={"events": sent} if wrapped else sent)
    assert statuses(answer) == ["valid", "pending_match"]
    assert [event.event_id for event in gateway.events()] == ["b"]


@pytest.mark.parametrize("sent", [{}, {"events": 1}, {"events": [], "more": 1}, "x", [body()] * 1001])
def test_what_is_no_list_of_events_or_too_long_is_refused_whole(
    gateway: FeedbackGateway, client: httpx.Client, sent: object
) -> None:
    answer = client.post("/v1/feedback/batch", json=sent)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "events")
    assert gateway.events() == []


def test_an_event_of_a_batch_that_is_not_acknowledged_has_the_batch_sent_again(
    gateway: FeedbackGateway, client: httpx.Client
) -> None:
    gateway.publisher.refused = {"c2"}
    sent = [body("a"), body("b", inference_id="c2")]
    answer = client.post("/v1/feedback/batch", json=sent)
    assert (answer.status_code, statuses(answer)) == (503, ["pending_match", "try_again"])
    gateway.publisher.refused = set()
    assert statuses(client.post("/v1/feedback/batch", json=sent)) == ["duplicate", "pending_match"]


@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/feedback/batch"])
def test_what_is_no_json_is_400_and_names_the_body(client: httpx.Client, path: str) -> None:
    answer = client.post(path, content=b'{"metric_name": ')
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "body")


HALF = "half a pair \ud83d"  # a client that cut a text between the two halves of an emoji


@pytest.mark.parametrize(
    "bad", [{"metric_name": "comment", "value": HALF}, {"tags": {HALF: "x"}}, {"tags": {"x": HALF}}]
)
def test_half_a_surrogate_pair_is_refused_and_costs_no_neighbour(
    gateway: FeedbackGateway, client: httpx.Client, bad: dict[str, Any]
) -> None:
    def post(path: str, sent: object) -> httpx.Response:
        return client.post(path, content=json.dumps(sent).encode())

    assert post("/v1/feedback", body("bad") | bad).status_code == 422
    for _ in range(2):  # once more: what was taken before is compared with
        answer = post("/v1/feedback/batch", [body("good"), body("bad") | bad])
        assert statuses(answer)[1] == "refused"
    assert [event.event_id for event in gateway.events()] == ["good", "good"]


def test_a_key_that_sends_too_fast_is_told_when_to_come_back(database: Database, clock: FakeClock) -> None:
    time_s = iter(range(1000))
    limits = RateLimits(0.5, lambda: float(next(time_s)) / 100)
    gateway = FeedbackGateway(database, clock, limits)
    with gateway.client() as client:
        assert client.post("/v1/feedback", json=body()).status_code == 202
        answer = client.post("/v1/feedback", json=body())
        assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, 2)
        assert client.post("/v1/feedback/batch", json=[body()]).status_code == 429
        assert client.post("/v1/completions/log", json=completion()).status_code == 429
    assert len(gateway.events()) == 1


@pytest.mark.parametrize(("sent", "status"), [(b"{", 400), (b"[]", 200), (b"[{}, {}]", 200), (b"{}", 422)])
def test_a_batch_that_holds_no_event_is_limited_as_one_that_does(
    database: Database, clock: FakeClock, sent: bytes, status: int
) -> None:
    gateway = FeedbackGateway(database, clock, RateLimits(1.0, lambda: 0.0))
    with gateway.client() as client:
        answers = [client.post("/v1/feedback/batch", content=sent).status_code for _ in range(4)]
    assert answers == ([status, status, 429, 429] if len(sent) < 5 else [status, 429, 429, 429])


def test_a_batch_larger_than_the_burst_passes_and_what_follows_waits(database: Database, clock: FakeClock) -> None:
    gateway = FeedbackGateway(database, clock, RateLimits(1.0, lambda: 0.0))
    with gateway.client() as client:
        assert client.post("/v1/feedback/batch", json=[body()] * 50).status_code == 200
        answer = client.post("/v1/feedback", json=body())
        assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, 49)
    assert len(gateway.events()) == 50


def test_an_event_can_be_followed_from_the_door_to_the_worker(
    gateway: FeedbackGateway, client: httpx.Client, database: Database, clock: FakeClock
) -> None:
    client.post("/v1/feedback", json=body("a/1"))
    assert client.get("/v1/feedback/a/1").json()["status"] == "received"
    read_by_worker(gateway, database, clock)
    assert client.get("/v1/feedback/a/1").json()["status"] == "pending"
    assert client.get("/v1/feedback/nobody").status_code == 404


def test_the_two_ways_answer_alike_on_one_connection(gateway: FeedbackGateway) -> None:
    with gateway.client() as client:
        direct = client.post("/v1/feedback", json=body("e1"))
        chunked = client.post(
            "/v1/feedback",
            content=iter([b'{"metric_name": "thumbs", "inference_id": "c1",', b'"value": true, "id": "e1"}']),
        )
        slow = client.post("/v1/feedback?x=1", json=body("e1"))
    assert [answer.json()["status"] for answer in (direct, chunked, slow)] == [
        "pending_match",
        "duplicate",
        "duplicate",
    ]
    assert direct.headers["content-type"] == chunked.headers["content-type"] == "application/json"


def test_feedback_of_a_connector_is_taken_as_any_other(gateway: FeedbackGateway, client: httpx.Client) -> None:
    sent = [body("e1"), body("e2")]
    assert client.post("/v1/connect/tensorzero", json=sent).json() == {"accepted": ["e1", "e2"], "refused": []}
    assert client.get("/v1/feedback/e2").json()["status"] == "received"
    assert client.post("/v1/feedback", json=body("e1")).json()["status"] == "duplicate"
    answer = client.post("/v1/connect/tensorzero", json=[body("e3"), body("e1", value=False), body("e2")])
    assert answer.json()["accepted"] == ["e3", "e2"]
    assert answer.json()["refused"] == [{"index": 1, "field": "id", "rule": "not taken by another body"}]
    refused = client.post("/v1/connect/tensorzero", json=body("e2", value=False))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "0.id")
    gateway.publisher.refused = {"c1"}
    assert client.post("/v1/connect/tensorzero", json=[body("e4"), body("e5", inference_id="c2")]).status_code == 503
    assert [event.event_id for event in gateway.events()] == ["e1", "e2", "e1", "e3", "e2", "e5"]


def test_a_gateway_that_ends_leaves_no_connection_behind(database: Database, clock: FakeClock) -> None:
    def connected() -> int:
        """Connections that last looked up ids, whoever opened them."""
        asked = text(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%json_array_elements%' AND pid <> pg_backend_pid()"
        )
        with database.engine.connect() as connection:
            return int(connection.execute(asked).scalar_one())

    before = connected()
    with FeedbackGateway(database, clock).client() as client:
        assert client.post("/v1/feedback", json=body("e1")).status_code == 202
        assert connected() == before + 1
    until(lambda: connected() == before, "the end of its connection")
