"""The gateway over real HTTP: what it takes, what it refuses and how; nothing is acknowledged unpublished."""

from __future__ import annotations

import asyncio
import itertools
import json
import string
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.access import AccessKeys, Scope
from infra.database import Database
from infra.direct_protocol import DirectProtocol
from ingest.app import assemble, background
from ingest.gateway import Gateway
from ingest.routes import RouteTable
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.messages.gate import RouteChanged
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT, completion
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served

LIMIT_BYTES = 700_000
ROUTE = RouteChanged(
    policy="clinic-assistant",
    alias="champion",
    version=3,
    served_name="clinic-assistant-abc",
    adapter_digest="a" * 64,
    at=AT,
)


class Door:
    """A gateway that is up, and what stands behind it."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.publisher, self.policy_server, self.routes = FakeAsyncPublisher(), FakeChatServer(), RouteTable()
        self.keys = AccessKeys(database, clock)
        numbers = itertools.count(1)
        transport = httpx.ASGITransport(app=self.policy_server.app, raise_app_exceptions=False)
        gateway = Gateway(
            publisher=self.publisher,
            database=database,
            clock=clock,
            policy_servers=httpx.AsyncClient(transport=transport),
            policy_server_urls=("http://policy",),
            random_bytes=lambda size: next(numbers).to_bytes(size),
            privacy=PRIVACY,
            routes=self.routes,
        )
        self.app = assemble(gateway, keys=self.keys, max_body_bytes=LIMIT_BYTES)

    def events(self) -> list[FeedbackEvent]:
        sent = [one for one in self.publisher.messages if one.topic == "feedback.received.v1"]
        return [FeedbackEvent.model_validate_json(one.payload) for one in sent]

    def completions(self) -> list[CompletionServed]:
        sent = [one for one in self.publisher.messages if one.topic == "completion.served.v1"]
        return [CompletionServed.model_validate_json(one.payload) for one in sent]


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Door:
    return Door(database, clock)


@pytest.fixture
def client(door: Door) -> Iterator[httpx.Client]:
    key = door.keys.create("service", [Scope.FEEDBACK, Scope.CHAT, Scope.VIEW])
    with (
        served(door.app, DirectProtocol) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client,
    ):
        yield client


def body(**fields: Any) -> dict[str, Any]:
    return {"metric_name": "thumbs", "inference_id": "c1", "value": True} | fields


KINDS = [
    (body(), "thumb", {"value": True}),
    (body(metric_name="rating", value=4.5), "rating", {"value": 4.5}),
    (body(metric_name="demonstration", value="Better so."), "edit", {"text": "Better so."}),
    (body(metric_name="comment", value="Thanks"), "comment", {"text": "Thanks"}),
    (body(metric_name="regenerate", value=None), "regenerate", {}),
    (body(metric_name="report", value="unsafe", text="why"), "report", {"category": "unsafe", "text": "why"}),
    (body(metric_name="report", value=None, category="unsafe"), "report", {"category": "unsafe"}),
]


@pytest.mark.parametrize(("sent", "kind", "fields"), KINDS)
def test_every_kind_becomes_an_event_keyed_by_its_completion(
    door: Door, client: httpx.Client, sent: dict[str, Any], kind: str, fields: dict[str, Any]
) -> None:
    answer = client.post("/v1/feedback", json=sent | {"tags": {"user_id": "u1"}})
    assert (answer.status_code, answer.json()["status"]) == (202, "pending_match")
    (event,) = door.events()
    assert event.event_id == answer.json()["feedback_id"]
    assert (event.kind, event.user_id, event.occurred_at) == (kind, PRIVACY.person("default", "u1"), AT)
    assert {name: getattr(event, name) for name in fields} == fields
    assert door.publisher.messages[0].key == "c1"


BAD = [
    ({"metric_name": "thumbs", "value": True}, "inference_id"),
    (body(metric_name="wink"), "metric_name"),
    (body(value=3), "value"),
    (body(metric_name="rating", value=6), "value"),
    (body(metric_name="rating", value="5"), "value"),
    (body(metric_name="rating", value=10**400), "value"),
    (body(metric_name="comment", value=""), "value"),
    (body(metric_name="comment", value="a\x00b"), "value"),
    (body(metric_name="comment", value="a", text="b"), "value"),
    (body(metric_name="report", value=None), "value"),
    (body(metric_name="regenerate", value=True), "value"),
    (body(mood="good"), "mood"),
    (body(**{"\ud800": 1}), "body"),
    (body(metric_name="\ud800"), "metric_name"),
    (body(tags={"a": 1}), "tags.a"),
    (body(occurred_at="yesterday"), "occurred_at"),
    (body(id=""), "id"),
    (body(episode_id="e"), "episode_id"),
    ([body()], "body"),
]


@pytest.mark.parametrize(("sent", "field"), BAD)
def test_a_bad_body_is_refused_naming_the_field(door: Door, client: httpx.Client, sent: object, field: str) -> None:
    raw = json.dumps(sent)  # in ASCII, which spells half a surrogate pair too
    answer = client.post("/v1/feedback", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {entry["field"] for entry in answer.json()["errors"]} >= {field}
    assert door.publisher.messages == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"value": 1' + b"0" * 5000 + b"}", b"[" * 20_000])
@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/completions/log", "/v1/chat/completions"])
def test_what_is_not_json_is_refused(client: httpx.Client, raw: bytes, path: str) -> None:
    answer = client.post(path, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/feedback", json=body(metric_name="comment", value="x" * LIMIT_BYTES))
    assert answer.status_code == 413
    assert str(LIMIT_BYTES) in answer.json()["detail"]


def test_dryrun_checks_and_publishes_nothing(door: Door, client: httpx.Client) -> None:
    answer = client.post("/feedback", json=body(dryrun=True))
    assert (answer.status_code, answer.json()["status"]) == (200, "valid")
    assert client.post("/feedback", json=body(dryrun=True, value=3)).status_code == 422
    assert door.publisher.messages == []


def test_the_idempotency_key_is_the_events_id(door: Door, client: httpx.Client) -> None:
    for _ in range(2):
        client.post("/v1/feedback", json=body(), headers={"Idempotency-Key": "click-7"})
    assert [event.event_id for event in door.events()] == ["click-7", "click-7"]
    refused = client.post("/v1/feedback", json=body(id="click-8"), headers={"Idempotency-Key": "click-7"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "id")


def test_a_broker_that_is_away_means_try_again_and_not_accepted(door: Door, client: httpx.Client) -> None:
    door.publisher.away = True
    door.routes.apply(ROUTE)
    chat = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}
    for path, sent in (("/v1/feedback", body()), ("/v1/completions/log", completion()), ("/v1/chat/completions", chat)):
        answer = client.post(path, json=sent)
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_a_retry_with_the_id_that_the_503_names_is_the_same_event(door: Door, client: httpx.Client) -> None:
    door.publisher.away = True
    told = client.post("/v1/feedback", json=body())
    assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
    door.publisher.away = False
    again = client.post("/v1/feedback", json=body(id=told.json()["feedback_id"]))
    assert [event.event_id for event in door.events()] == [told.json()["feedback_id"]] == [again.json()["feedback_id"]]


@pytest.mark.parametrize("scopes", [None, [], [Scope.TRAIN]])
def test_a_caller_without_the_scope_is_refused(door: Door, client: httpx.Client, scopes: list[Scope] | None) -> None:
    key = "made-up" if scopes is None else door.keys.create("other", scopes)
    headers = {"Authorization": f"Bearer {key}"}
    calls = [("POST", "/v1/feedback"), ("POST", "/v1/completions/log"), ("POST", "/v1/chat/completions")]
    for method, path in [*calls, ("GET", "/v1/counts"), ("GET", "/v1/models"), ("GET", "/v1/dead-letters")]:
        answer = client.request(method, path, json=body() if method == "POST" else None, headers=headers)
        assert answer.status_code == (401 if scopes is None else 403)


def test_a_completion_of_a_services_own_model_is_logged(door: Door, client: httpx.Client) -> None:
    answer = client.post("/v1/completions/log", json=completion("own-1"))
    assert (answer.status_code, answer.json()) == (202, {"completion_id": "own-1"})
    assert door.completions()[0].completion_id == "own-1"
    refused = client.post("/v1/completions/log", json=completion(adapter_digest="short"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "adapter_digest")


def test_a_chat_is_answered_by_the_routed_adapter_and_logged_first(door: Door, client: httpx.Client) -> None:
    door.routes.apply(ROUTE)
    sent = {
        "model": "clinic-assistant@champion",
        "messages": [{"role": "user", "content": "Hello"}],
        "user": "u1",
        "seed": 7,
    }
    answer = client.post("/v1/chat/completions", json=sent, headers={"X-Session-Id": "s1"})
    assert answer.status_code == 200
    assert answer.headers["X-Plumbline-Adapter"] == "a" * 64
    assert door.policy_server.asked == [{"model": "clinic-assistant-abc", "messages": sent["messages"], "seed": 7}]
    (logged,) = door.completions()
    assert (logged.completion_id, logged.adapter_digest) == (answer.json()["id"], "a" * 64)
    assert (logged.conversation_id, logged.user_id) == ("s1", PRIVACY.person("default", "u1"))
    assert logged.completion == answer.json()["choices"][0]["message"]["content"]


def test_the_digest_is_the_one_of_the_dispatch_although_the_alias_moves_meanwhile(
    door: Door, client: httpx.Client
) -> None:
    door.routes.apply(ROUTE)
    moved = ROUTE.model_copy(update={"served_name": "clinic-assistant-def", "adapter_digest": "d" * 64})
    door.policy_server.while_asked = lambda: door.routes.apply(moved)
    answer = client.post(
        "/v1/chat/completions", json={"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}
    )
    assert answer.headers["X-Plumbline-Adapter"] == door.completions()[0].adapter_digest == "a" * 64


def test_an_unknown_model_is_refused_naming_the_known_ones_and_no_route_at_all_means_later(
    door: Door, client: httpx.Client
) -> None:
    sent = {"model": "nobody", "messages": [{"role": "user", "content": "Hello"}]}
    assert client.post("/v1/chat/completions", json=sent).status_code == 503
    door.routes.apply(ROUTE)
    answer = client.post("/v1/chat/completions", json=sent)
    assert answer.status_code == 404
    assert "clinic-assistant@champion" in answer.json()["detail"]
    assert [card["id"] for card in client.get("/v1/models").json()["data"]] == ["clinic-assistant@champion"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"stream_options": {}}, "stream_options"),
        ({"n": 2}, "n"),
        ({"tools": []}, "tools"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_the_chat_does_not_do_is_said(
    door: Door, client: httpx.Client, fields: dict[str, object], field: str
) -> None:
    door.routes.apply(ROUTE)
    sent = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]} | fields
    answer = client.post("/v1/chat/completions", json=sent)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(("status", "expected"), [(400, 400), (404, 503), (500, 503), (200, 503)])
def test_a_policy_server_that_refuses_or_fails_is_told_apart(
    door: Door, client: httpx.Client, status: int, expected: int
) -> None:
    door.routes.apply(ROUTE)
    door.policy_server.fails_with = status
    sent = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}
    assert client.post("/v1/chat/completions", json=sent).status_code == expected
    assert door.completions() == []


@pytest.mark.parametrize("content", ["half \ud800", "a\x00b", "x" * 100_001])
def test_a_prompt_that_could_not_be_logged_is_refused_before_it_is_asked(
    door: Door, client: httpx.Client, content: str
) -> None:
    door.routes.apply(ROUTE)
    raw = json.dumps({"model": "clinic-assistant", "messages": [{"role": "user", "content": content}]})
    answer = client.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("messages")
    assert door.policy_server.asked == []


@pytest.mark.parametrize("said", ["a\x00b", "half \ud800", "x" * 100_001])
def test_an_answer_that_cannot_be_logged_is_the_servers_fault(door: Door, client: httpx.Client, said: str) -> None:
    door.routes.apply(ROUTE)
    door.policy_server.says = said
    sent = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}
    answer = client.post("/v1/chat/completions", json=sent)
    assert (answer.status_code, answer.json()["title"]) == (503, "SamplerUnavailable")
    assert door.completions() == []


def test_a_route_that_was_said_earlier_does_not_move_an_alias_back(door: Door) -> None:
    later = ROUTE.model_copy(update={"version": 4, "at": AT + timedelta(seconds=1)})
    for route in (ROUTE, later, ROUTE):
        door.routes.apply(route)
    assert door.routes.resolve("clinic-assistant") == later


def test_a_task_that_fails_ends_the_process_and_what_was_opened_is_still_closed() -> None:
    happened: list[str] = []

    async def breaks() -> None:
        raise ZeroDivisionError

    async def lives() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        async with AsyncExitStack() as opened:
            opened.callback(happened.append, "closed")
            for work in (breaks(), lives()):
                await opened.enter_async_context(background(work, lambda: happened.append("ended")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert happened == ["ended", "closed"]


texts = st.text(st.characters(codec=None) | st.sampled_from(string.printable), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["metric_name", "inference_id", "value", "tags", "dryrun", "id", "user_id", "occurred_at", "text", "category"]


@settings(max_examples=150)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS) | texts, json_values, max_size=4),
    path=st.sampled_from(["/v1/feedback", "/v1/completions/log", "/v1/chat/completions"]),
)
def test_no_json_makes_the_gateway_fail(
    door: Door, client: httpx.Client, changes: dict[str, object], path: str
) -> None:
    door.routes.apply(ROUTE)
    chat = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}
    raw = json.dumps({"/v1/feedback": body(), "/v1/completions/log": completion()}.get(path, chat) | changes)
    answer = client.post(path, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500
    assert answer.status_code in (200, 202) or answer.json()["title"]


CHAT = ["temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "stop", "logprobs", "n", "user", "model"]


@settings(max_examples=100)
@given(
    changes=st.dictionaries(st.sampled_from(CHAT), json_values, max_size=2),
    said=st.text(st.characters(codec=None), max_size=8),
)
def test_no_field_beside_valid_messages_makes_the_chat_fail(
    door: Door, client: httpx.Client, changes: dict[str, object], said: str
) -> None:
    door.routes.apply(ROUTE)
    asked = len(door.policy_server.asked)
    raw = json.dumps({"model": "clinic-assistant", "messages": [{"role": "user", "content": said}]} | changes)
    answer = client.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 404, 422)
    assert len(door.policy_server.asked) == asked + (answer.status_code == 200)
    assert answer.status_code == 200 or answer.json()["title"]
