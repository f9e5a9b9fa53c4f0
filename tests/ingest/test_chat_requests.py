"""What the chat takes beside the bare minimum, what it does with it, and what it refuses by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.database import Database
from ingest.lots import is_audited, lot
from tests.fakes.chat_door import ChatDoor, chat_door
from tests.fakes.clock import FakeClock
from tests.fakes.privacy import PRIVACY

ASKED = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Iterator[ChatDoor]:
    with chat_door(database, clock) as made:
        yield made


def ask(door: ChatDoor, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    raw = json.dumps(ASKED | fields)  # in ASCII, which spells NaN and half a surrogate pair too
    sent = {"Content-Type": "application/json"} | (headers or {})
    return door.client.post("/v1/chat/completions", content=raw, headers=sent)


def handed_on(door: ChatDoor) -> dict[str, Any]:
    """What the policy server was asked beside the model and the messages."""
    return {name: value for name, value in door.server.asked[-1].items() if name not in ("model", "messages")}


HANDED_ON: dict[str, Any] = {
    "temperature": 0.5,
    "max_completion_tokens": 9,
    "top_p": 0.9,
    "frequency_penalty": -1.5,
    "presence_penalty": 2,
    "seed": 7,
    "stop": ["\n"],
    "logprobs": True,
    "top_logprobs": 3,
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
}


def test_what_policy_servers_understand_is_handed_on(door: ChatDoor) -> None:
    assert ask(door, **HANDED_ON).status_code == 200
    assert handed_on(door) == HANDED_ON


def test_what_is_the_gateways_or_the_clients_own_is_not_handed_on(door: ChatDoor) -> None:
    own: dict[str, Any] = {
        "metadata": {"ticket": "7"},
        "store": True,
        "user": "u1",
        "n": 1,
        "response_format": {"type": "text"},
    }
    assert ask(door, **own, tools=None, stream=False).status_code == 200
    assert handed_on(door) == {}


REFUSED = [
    ("n", 2),
    ("tools", [{"type": "function"}]),
    ("tool_choice", "none"),
    ("functions", []),
    ("modalities", ["audio"]),
    ("logit_bias", {}),
    ("stream_options", {"include_usage": True}),
    ("metadata", {"a": 1}),
    ("metadata", {str(number): "" for number in range(17)}),
    ("response_format", {"type": "yaml"}),
    ("response_format", {"type": "json_schema", "json_schema": {"default": float("nan")}}),
    ("response_format", {"type": "json_schema", "json_schema": {"title": "\ud800"}}),
    ("temperature", 3),
    ("top_logprobs", 21),
    ("presence_penalty", 2.5),
    ("user", ""),
    ("messages", [{"role": "tool", "content": "x"}]),
    ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
    ("messages", [{"role": "user", "content": None}]),
    ("messages", [{"role": "user", "content": "x", "name": "Ann"}]),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_a_field_that_is_not_served_is_refused_by_its_name(door: ChatDoor, field: str, value: Any) -> None:
    answer = ask(door, **{field: value})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    (found,) = answer.json()["errors"]
    assert found["field"].split(".")[0] == field
    assert found["rule"]
    assert door.server.asked == []


def test_a_schema_nested_without_end_is_refused(door: ChatDoor) -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    body = json.dumps(ASKED)[:-1] + ', "response_format": {"type": "json_schema", "json_schema": ' + deep + "}}"
    answer = door.client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_a_message_in_parts_is_the_parts_by_lines(door: ChatDoor) -> None:
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert ask(door, messages=[{"role": "user", "content": parts}]).status_code == 200
    assert door.server.asked[-1]["messages"] == [{"role": "user", "content": "One.\nTwo."}]
    assert door.completions()[0].prompt[0].content == "One.\nTwo."


def test_a_completions_message_may_be_sent_back_as_official_clients_do(door: ChatDoor) -> None:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "annotations": None,
        "tool_calls": [],
    }
    assert ask(door, messages=[*ASKED["messages"], said, {"role": "user", "content": "And?"}]).status_code == 200
    assert door.server.asked[-1]["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_what_is_logged_is_private_while_the_policy_is_asked_what_the_user_said(door: ChatDoor) -> None:
    said = "My address is ann.example@example.org"
    door.server.says = "I wrote to ann.example@example.org."
    answer = ask(door, messages=[{"role": "user", "content": said}], user="ann")
    assert door.server.asked[-1]["messages"][0]["content"] == said
    assert answer.json()["choices"][0]["message"]["content"] == door.server.says
    (logged,) = door.completions()
    assert "ann.example" not in door.publisher.messages[0].payload.decode()
    assert logged.user_id == PRIVACY.person("default", "ann")


def test_the_tenant_is_the_keys(database: Database, clock: FakeClock) -> None:
    with chat_door(database, clock, tenant="north") as door:
        ask(door, user="u1")
    (logged,) = door.completions()
    assert (logged.tenant, logged.user_id) == ("north", PRIVACY.person("north", "u1"))


WITHOUT = [
    ({"X-Plumbline-Consent": "false"}, {}),
    ({}, {"store": False}),
    ({"X-Plumbline-Consent": "true"}, {"store": False}),
]


@pytest.mark.parametrize(("headers", "fields"), WITHOUT)
def test_without_consent_the_completion_is_served_and_nothing_is_published(
    door: ChatDoor, headers: dict[str, str], fields: dict[str, Any]
) -> None:
    door.publisher.away = True  # so that publishing would be seen
    answer = ask(door, headers, **fields)
    assert answer.json()["choices"][0]["message"]["content"] == door.server.says
    assert (door.publisher.messages, handed_on(door)) == ([], {})


@pytest.mark.parametrize("said", ["never", "", "flase"])
def test_a_consent_that_cannot_be_read_is_refused_and_not_taken_for_one(door: ChatDoor, said: str) -> None:
    answer = ask(door, {"X-Plumbline-Consent": said})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "x-plumbline-consent")
    assert door.server.asked == []


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_is_drawn_is_asked_for_feedback_and_the_log_says_how_likely_that_was(
    database: Database, clock: FakeClock, stream: bool
) -> None:
    with chat_door(database, clock, audit_rate=0.1) as door:
        asked = ["X-Plumbline-Ask-Feedback" in ask(door, stream=stream).headers for _ in range(40)]
    logged = door.completions()
    assert [one.audited for one in logged] == asked
    assert [is_audited(one.completion_id, 0.1) for one in logged] == asked
    assert {one.audit_rate for one in logged} == {0.1}
    assert 0 < sum(asked) < 40


def test_nobody_is_asked_where_no_lot_is_drawn(database: Database, clock: FakeClock) -> None:
    with chat_door(database, clock) as door:
        ask(door)
    assert [(one.audited, one.audit_rate) for one in door.completions()] == [(False, None)]
    with chat_door(database, clock, audit_rate=0.1) as door:
        answers = [ask(door, {"X-Plumbline-Consent": "false"}) for _ in range(40)]
    assert not any("X-Plumbline-Ask-Feedback" in answer.headers for answer in answers)


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_lot_is_a_number_that_its_name_decides_and_a_higher_rate_draws_all_that_a_lower_does(
    purpose: str, name: str, one: float, other: float
) -> None:
    assert 0 <= lot("x" + repr(purpose), repr(name)) < 1
    low, high = sorted((one, other))
    assert is_audited(repr(name), low) <= is_audited(repr(name), high)
    assert not is_audited(repr(name), 0)
    assert is_audited(repr(name), 1)


def test_the_rate_of_audits_is_met_as_well_as_a_fair_lot_meets_it() -> None:
    drawn = sum(is_audited(f"chatcmpl-{number:032x}", 0.02) for number in range(10_000))
    assert abs(drawn - 200) < 4 * (10_000 * 0.02 * 0.98) ** 0.5
