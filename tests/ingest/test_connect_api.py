"""Foreign payloads over real HTTP: acknowledged when Kafka has them, refused by name, owned by the key's tenant."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from infra.access import AccessKeys, Scope
from infra.database import Database
from infra.limits import RateLimits
from ingest.app import assemble, build_gateway
from ingest.connectors import CONNECTORS
from ingest.gateway import Gateway
from ingest.settings import IngestSettings
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from tests.fakes.clock import FakeClock
from tests.fakes.foreign import ALL, MAPPINGS, RECORDED, Recorded, adaptive, langfuse_score, librechat, openai_stored
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served


class Door:
    """A gateway's connect route that is up, and what stands behind it."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.publisher, self.keys = FakeAsyncPublisher(), AccessKeys(database, clock)
        self.seconds = 0.0
        numbers = itertools.count(1)
        gateway = Gateway(
            publisher=self.publisher,
            database=database,
            clock=clock,
            policy_servers=httpx.AsyncClient(),
            policy_server_urls=(),
            random_bytes=lambda size: next(numbers).to_bytes(size),
            privacy=PRIVACY,
        )
        limits = RateLimits(1000.0, lambda: self.seconds)
        self.app = assemble(gateway, keys=self.keys, max_body_bytes=700_000, limits=limits, connectors=ALL)

    def key(self, tenant: str = "default", *scopes: Scope) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.create('service', scopes or [Scope.FEEDBACK], tenant=tenant)}"}

    def sent(self) -> list[FeedbackEvent | CompletionServed]:
        return [
            FeedbackEvent.model_validate_json(one.payload)
            if one.topic == "feedback.received.v1"
            else CompletionServed.model_validate_json(one.payload)
            for one in self.publisher.messages
        ]


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Door:
    return Door(database, clock)


@pytest.fixture
def client(door: Door) -> Iterator[httpx.Client]:
    with served(door.app) as url, httpx.Client(base_url=url, headers=door.key()) as client:
        yield client


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.connector}-{one.payload.__name__}")
def test_a_payload_is_published_and_its_ids_are_told(door: Door, client: httpx.Client, one: Recorded) -> None:
    answer = client.post(f"/v1/connect/{one.connector}", json=one.payload())
    assert answer.status_code == 202
    names = [m.event_id if isinstance(m, FeedbackEvent) else m.completion_id for m in door.sent()]
    assert answer.json() == {"accepted": names, "refused": []}
    assert len(names) == len(one.gives)
    assert [record.key for record in door.publisher.messages] == [message.completion_id for message in door.sent()]


def test_a_bad_item_is_named_and_costs_no_neighbour(door: Door, client: httpx.Client) -> None:
    bad = langfuse_score() | {"name": "hallucination"}
    answer = client.post("/v1/connect/langfuse", json=[bad, langfuse_score(), 3])
    assert answer.status_code == 202
    assert [(one["index"], one["field"]) for one in answer.json()["refused"]] == [(0, "name"), (2, "body")]
    assert all(one["rule"] for one in answer.json()["refused"])
    assert len(door.sent()) == len(answer.json()["accepted"]) == 2


def test_where_nothing_could_be_taken_the_answer_is_a_refusal(door: Door, client: httpx.Client) -> None:
    answer = client.post("/v1/connect/adaptive", json=[{}, adaptive() | {"tied": "good"}])
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [one["field"] for one in answer.json()["errors"]] == ["0.preferred_completion", "1.tied"]
    assert (answer.json()["accepted"], len(answer.json()["refused"])) == ([], 2)
    assert door.publisher.messages == []


def test_a_payload_that_comes_again_has_the_same_ids(client: httpx.Client, clock: FakeClock) -> None:
    first, again = (client.post("/v1/connect/librechat", json=librechat()).json() for _ in range(2))
    assert first == again


def test_whose_it_is_comes_from_the_key_and_ids_tell_no_tenant_of_another(door: Door, client: httpx.Client) -> None:
    for tenant in ("clinic-a", "clinic-b"):
        client.post("/v1/connect/adaptive", json=adaptive() | {"tenant": "default"}, headers=door.key(tenant))
    ours, theirs = door.sent()
    assert (ours.tenant, theirs.tenant) == ("clinic-a", "clinic-b")
    assert ours.user_id != theirs.user_id
    assert isinstance(ours, FeedbackEvent)
    assert isinstance(theirs, FeedbackEvent)
    assert ours.event_id != theirs.event_id


def test_nothing_of_a_person_leaves_the_gateway(door: Door, client: httpx.Client) -> None:
    secret = "ann@example.org"
    log = openai_stored()
    log["messages"][1]["content"] = f"I am {secret}"
    client.post("/v1/connect/openai", json=log)
    client.post("/v1/connect/langfuse", json=langfuse_score() | {"comment": secret, "metadata": {"userId": secret}})
    told = client.post("/v1/connect/open-webui", json={"type": "rating", "id": secret, "data": {"rating": secret}})
    assert len(door.sent()) == 4
    assert not any(secret.encode() in record.payload for record in door.publisher.messages)
    assert secret not in told.text


def test_without_consent_only_that_it_came_leaves_the_gateway(door: Door, client: httpx.Client) -> None:
    body = {"metric_name": "comment", "inference_id": "c1", "value": "words", "consent": False, "tags": {"a": "b"}}
    assert client.post("/v1/connect/tensorzero", json=body).status_code == 202
    (event,) = door.sent()
    assert (event.consent, event.user_id) == (False, None)
    assert b"words" not in door.publisher.messages[0].payload


def test_the_policy_can_be_named(door: Door, client: httpx.Client) -> None:
    client.post("/v1/connect/openai?policy=clinic-assistant", json=openai_stored())
    assert {one.policy for one in door.sent() if isinstance(one, CompletionServed)} == {"clinic-assistant"}
    assert client.post("/v1/connect/openai?policy=Not+One", json=openai_stored()).status_code == 422


def test_a_broker_that_is_away_means_try_again_and_not_accepted(door: Door, client: httpx.Client) -> None:
    door.publisher.away = True
    answer = client.post("/v1/connect/adaptive", json=adaptive())
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert "accepted" not in answer.json()


def test_every_event_of_a_list_counts_towards_the_keys_rate(door: Door, client: httpx.Client) -> None:
    many = [adaptive() | {"preferred_completion": f"c{n}", "other_completion": "x"} for n in range(1000)]
    assert [client.post("/v1/connect/adaptive", json=many).status_code for _ in range(3)] == [202, 202, 429]
    assert len(door.sent()) == 2000


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("adaptive", b"{", 400),
        ("adaptive", b"\xff", 400),
        ("adaptive", b"[" * 20_000, 400),
        ("adaptive", b"", 422),
        ("adaptive", b"[]", 422),
        ("adaptive", b"null", 422),
        ("adaptive", json.dumps([adaptive()] * 1001).encode(), 422),
        *(
            (name, json.dumps({within: [row() for _ in range(1001)]}).encode(), 422)
            for name, within, row in (
                ("langfuse", "batch", dict),
                ("langfuse", "data", dict),
                ("openai", "data", dict),
                ("librechat", "messages", librechat),
                ("open-webui", "items", dict),
                ("survey", "answers", dict),
            )
        ),
        ("nobody", b"{}", 404),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    door: Door, client: httpx.Client, path: str, content: bytes, status: int
) -> None:
    answer = client.post(f"/v1/connect/{path}", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "refused" not in answer.json() or len(answer.json()["refused"]) == 1
    assert door.publisher.messages == []


def test_a_key_without_the_scope_is_refused(door: Door, client: httpx.Client) -> None:
    answer = client.post("/v1/connect/adaptive", json=adaptive(), headers=door.key("default", Scope.VIEW))
    assert answer.status_code == 403
    assert client.post("/v1/connect/adaptive", json=adaptive(), headers={"Authorization": ""}).status_code == 401


def nested(depth: int) -> object:
    return json.loads("[" * depth + "]" * depth)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=6)
    | st.sampled_from([300, 600, 900]).map(nested),  # deeper than readers in Python may go, not than JSON may
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(ALL)), data=st.data())
def test_no_json_makes_the_route_fail(door: Door, client: httpx.Client, name: str, data: st.DataObject) -> None:
    (one, *_) = [row for row in RECORDED if row.connector == name] or RECORDED
    bent = one.payload() | data.draw(st.dictionaries(st.sampled_from(sorted(one.payload())), junk, max_size=2))
    raw = json.dumps([bent, data.draw(junk)])
    door.seconds += 60
    answer = client.post(f"/v1/connect/{name}", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (202, 422)
    assert answer.json()["refused"]


DEEP = ["value", "occurred_at", "timestamp", "tags", "metadata", "name", "comment", "text", "messages", "snapshot"]


@pytest.mark.parametrize("depth", [450, 600, 900])
@pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.connector}-{one.payload.__name__}")
def test_an_item_that_is_nested_deep_costs_no_neighbour(
    door: Door, client: httpx.Client, one: Recorded, depth: int
) -> None:
    for field in {*DEEP, *one.payload()}:
        items = [one.payload(), one.payload() | {field: nested(depth)}, one.payload()]
        door.seconds += 60
        answer = client.post(f"/v1/connect/{one.connector}", json=items)
        assert answer.status_code == 202, field
        assert len(answer.json()["accepted"]) >= 2 * len(one.gives)
        assert {refusal["index"] for refusal in answer.json()["refused"]} <= {1}


def test_the_page_names_the_connectors(door: Door) -> None:
    (operation,) = door.app.openapi()["paths"]["/v1/connect/{connector}"].values()
    assert all(name in operation["description"] for name in CONNECTORS)


def test_the_gateway_starts_with_the_declared_connectors_or_names_what_is_wrong(tmp_path: Path) -> None:
    secret = SecretStr("pseudonyms of tests, always the same")
    built = build_gateway(IngestSettings(pseudonym_secret=secret, webhooks_file=MAPPINGS))
    (operation,) = built.openapi()["paths"]["/v1/connect/{connector}"].values()
    assert all(name in operation["description"] for name in ALL)
    bad = tmp_path / "webhooks.toml"
    bad.write_text("[langfuse]\nfields = {}")
    with pytest.raises(InvalidInput, match=r"webhooks.toml: langfuse: .* no connector has yet"):
        build_gateway(IngestSettings(pseudonym_secret=secret, webhooks_file=bad))
