"""Streams through the gateway over real HTTP: handed on piece by piece, and never whole without being logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.database import Database
from infra.event_stream import DONE, EventReader
from tests.fakes.chat_door import ChatDoor, chat_door
from tests.fakes.chat_server import USAGE
from tests.fakes.clock import FakeClock
from tests.fakes.waiting import until

ASKED = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
NO_CONSENT = {"X-Plumbline-Consent": "false"}


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Iterator[ChatDoor]:
    with chat_door(database, clock) as made:
        yield made


def events(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return EventReader().read(answer.content)


def text(sent: list[str]) -> str:
    choices = [choice for event in sent if event != DONE for choice in json.loads(event).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def stream(door: ChatDoor, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return door.client.post("/v1/chat/completions", json=ASKED | fields, headers=headers)


def chunk(content: str, reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason} | fields
    return b"data: " + json.dumps({"id": "theirs", "choices": [choice]}).encode() + b"\n\n"


def test_a_stream_is_the_policy_servers_under_our_names_and_is_logged(door: ChatDoor) -> None:
    answer = stream(door, {"X-Session-Id": "s1"}, user="u1")
    *chunks, done = events(answer)
    assert done == DONE
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["X-Plumbline-Adapter"] == "a" * 64
    assert text(chunks) == door.server.says
    (logged,) = door.completions()
    named = {(json.loads(event)["id"], json.loads(event)["model"]) for event in chunks}
    assert named == {(logged.completion_id, "clinic-assistant-abc")}
    assert (logged.completion, logged.interrupted, logged.conversation_id) == (door.server.says, False, "s1")
    assert door.server.asked == [{"model": "clinic-assistant-abc", "messages": ASKED["messages"], "stream": True}]


def test_a_piece_is_handed_on_before_the_next_is_written(door: ChatDoor) -> None:
    door.server.waits_before = 2
    with door.client.stream("POST", "/v1/chat/completions", json=ASKED) as answer:
        reader, read = EventReader(), list[str]()
        received = answer.iter_raw()
        while text(read) != "Ask":
            read += reader.read(next(received))
        assert door.completions() == []
        door.server.go_on.set()
        for part in received:
            read += reader.read(part)
    assert (text(read), read[-1]) == (door.server.says, DONE)


def test_a_stream_is_logged_before_its_last_chunk_is_sent(door: ChatDoor) -> None:
    stream(door)
    before = EventReader().read(door.sent_when_logged)
    assert text(before) == door.server.says
    assert [json.loads(event)["choices"][0]["finish_reason"] for event in before] == [None] * len(before)


def test_usage_is_handed_on_where_it_is_asked_for(door: ChatDoor) -> None:
    *_, last, done = events(stream(door, stream_options={"include_usage": True}))
    assert (json.loads(last)["usage"], json.loads(last)["choices"], done) == (USAGE, [], DONE)
    assert not any("usage" in event for event in events(stream(door)))


def test_a_stream_that_cannot_be_logged_ends_with_an_error_and_is_never_whole(door: ChatDoor) -> None:
    door.publisher.away = True
    *chunks, last = events(stream(door))
    assert json.loads(last)["error"]["type"] == "BrokerUnavailable"
    assert [json.loads(event)["choices"][0]["finish_reason"] for event in chunks] == [None] * len(chunks)


def test_what_was_served_before_the_policy_server_broke_is_logged_as_such(door: ChatDoor) -> None:
    door.server.breaks_before = 3
    *chunks, last = events(stream(door))
    assert json.loads(last)["error"]["type"] == "SamplerUnavailable"
    (logged,) = door.completions()
    assert (logged.completion, logged.interrupted) == (text(chunks), True) == ("Ask your", True)


def test_a_client_that_leaves_stops_the_policy_server_and_what_it_was_served_is_logged(door: ChatDoor) -> None:
    door.server.waits_before = 3
    with door.client.stream("POST", "/v1/chat/completions", json=ASKED) as answer:
        reader, read = EventReader(), list[str]()
        received = answer.iter_raw()
        while text(read) != "Ask your":
            read += reader.read(next(received))
    until(lambda: door.completions(), "the log of what was served")
    until(door.server.left.is_set, "the end of the policy server's stream")
    (logged,) = door.completions()
    assert (logged.completion, logged.interrupted) == ("Ask your", True)


BROKEN = [
    [chunk("a\x00b", "stop")],
    [chunk("half \ud800", "stop")],
    [chunk("x" * 100_001, "stop")],
    [b"data: {\n\n"],
    [b"data: 3\n\n"],
    [b"data: \xff\n\n"],
    [b'data: {"error": {"message": "out of memory"}}\n\n', b"data: [DONE]\n\n"],
    [b'data: {"choices": [{}]}\n\n'],
    [chunk("other", "stop", index=1)],
    [chunk("odd", "stop", odd=float("nan"))],
    [b"data: [DONE]\n\n"],
    [],
]


@pytest.mark.parametrize("sends", BROKEN)
def test_a_stream_that_is_none_is_the_policy_servers_fault(door: ChatDoor, sends: list[bytes]) -> None:
    door.server.sends = [chunk("Hello"), *sends]
    *chunks, last = events(stream(door))
    assert (text(chunks), json.loads(last)["error"]["type"]) == ("Hello", "SamplerUnavailable")
    (logged,) = door.completions()
    assert (logged.completion, logged.interrupted) == ("Hello", True)


@pytest.mark.parametrize("sends", [one for one in BROKEN if b"x" * 100_001 not in b"".join(one)])
def test_a_stream_that_is_none_from_its_first_chunk_is_refused_with_a_status(
    door: ChatDoor, sends: list[bytes]
) -> None:
    door.server.sends = sends
    answer = stream(door)
    assert (answer.status_code, answer.json()["title"]) == (503, "SamplerUnavailable")
    assert door.completions() == []


@pytest.mark.parametrize("after", [[], [b"data: {\n\n"], [chunk("", "stop")]])
def test_what_follows_the_last_chunk_cannot_undo_the_completion(door: ChatDoor, after: list[bytes]) -> None:
    door.server.sends = [chunk("Hel"), chunk("lo", "stop"), *after]
    read = events(stream(door))
    assert (text(read), read[-1]) == ("Hello", DONE)
    assert [one.completion for one in door.completions()] == ["Hello"]


@pytest.mark.parametrize("said", ["a\u2028b\x85c\u2029d", "Ñandú 🩺\r\nand 中文", " "])
def test_text_goes_through_a_stream_unchanged(door: ChatDoor, said: str) -> None:
    door.server.says = said
    answer = stream(door)
    assert text(events(answer)) == said
    # Readers that split at every Unicode line break are common.
    assert all(line.startswith("data: ") for line in answer.text.splitlines() if line)


@pytest.mark.parametrize(("status", "expected"), [(400, 400), (404, 503), (500, 503)])
def test_a_policy_server_that_refuses_a_stream_is_told_apart_from_one_that_fails(
    door: ChatDoor, status: int, expected: int
) -> None:
    door.server.fails_with = status
    answer = stream(door)
    assert (answer.status_code, answer.headers["content-type"]) == (expected, "application/problem+json")


def test_another_server_streams_where_the_first_fails_before_its_first_chunk(
    database: Database, clock: FakeClock
) -> None:
    with chat_door(database, clock, servers=2) as door:
        for broken, other in (door.servers, door.servers[::-1]):
            broken.breaks_before, other.breaks_before = 0, None
            assert events(stream(door, {"X-Session-Id": "s1"}))[-1] == DONE
    assert [one.interrupted for one in door.completions()] == [False, False]


def test_nothing_of_a_stream_without_consent_is_published(door: ChatDoor) -> None:
    door.publisher.away = True  # so that publishing would be seen
    assert events(stream(door, NO_CONSENT))[-1] == DONE
    door.publisher.away, door.server.breaks_before = False, 2
    assert "error" in json.loads(events(stream(door, NO_CONSENT))[-1])
    assert door.completions() == []


def test_a_policy_server_that_is_not_listened_to_any_more_is_told_so(door: ChatDoor) -> None:
    door.server.sends, door.server.waits_before = [chunk("Hello"), b"data: {\n\n", chunk("more")], 2
    assert "error" in json.loads(events(stream(door))[-1])
    until(door.server.left.is_set, "the end of the policy server's stream")
