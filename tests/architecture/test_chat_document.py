"""docs/chat.md does what it says: every request is sent, every field, header and name is the code's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.database import Database
from infra.event_stream import DONE, EventReader
from ingest.chat_request import HERE, NOT_SERVED, ChatRequest
from ingest.exchange import ADAPTER_HEADER, ASK_HEADER
from ingest.settings import IngestSettings
from tests.fakes.chat_door import ChatDoor, chat_door
from tests.fakes.clock import FakeClock

DOCUMENT = (Path(__file__).parents[2] / "docs" / "chat.md").read_text()
BLOCKS = re.findall(r"```json request\n(.*?)```(?:\n+```json refused\n(.*?)```)?", DOCUMENT, re.DOTALL)
REQUESTS = [(json.loads(sent), json.loads(refused) if refused else None) for sent, refused in BLOCKS]
(SNIPPET,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def table(heading: str) -> list[tuple[list[str], str]]:
    """Rows of the first table after a line that begins so: the names in its first cell, and its second."""
    rows = DOCUMENT.split(heading, 1)[1].split("\n\n")[0].splitlines()[2:]
    cells = [row.strip("|").split(" | ") for row in rows]
    return [(re.findall(r"`([^`]+)`", first), second) for first, second, *_ in cells]


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Iterator[ChatDoor]:
    with chat_door(database, clock) as made:
        yield made


@pytest.mark.parametrize(("sent", "refused"), REQUESTS)
def test_every_request_shown_is_answered_as_it_says(
    door: ChatDoor, sent: dict[str, Any], refused: dict[str, Any] | None
) -> None:
    answer = door.client.post("/v1/chat/completions", json=sent, headers={"X-Session-Id": "visit-17"})
    if refused is not None:
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (refused["status"], refused["field"])
        return
    assert answer.status_code == 200
    assert answer.headers[ADAPTER_HEADER] == "a" * 64
    if sent.get("stream"):
        assert EventReader().read(answer.content)[-1] == DONE
    assert door.completions()[0].conversation_id == "visit-17"


def test_every_name_of_a_model_leads_somewhere(door: ChatDoor) -> None:
    for (name, *_), _ in table("| `model` | asks |"):
        sent = {"model": name, "messages": [{"role": "user", "content": "Hello"}]}
        assert door.client.post("/v1/chat/completions", json=sent).status_code == 200, name


def test_the_table_of_fields_is_the_codes() -> None:
    rows = table("| field | what happens to it |")
    assert sorted(name for names, _ in rows for name in names) == sorted(ChatRequest.model_fields)
    handed_on = {name for names, told in rows if told.startswith("handed on") for name in names}
    refused = {name for names, told in rows if told.startswith("refused") for name in names}
    assert handed_on - {"stream"} == set(ChatRequest.model_fields) - HERE - refused
    for name in refused:
        with pytest.raises(ValueError, match=NOT_SERVED):
            ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": ""}], name: "x"})


def test_headers_and_settings_are_the_codes() -> None:
    assert [names[0] for names, _ in table("| header | says |")] == [ADAPTER_HEADER, ASK_HEADER]
    field = IngestSettings.model_fields["audit_rate"]
    assert f"`PLUMBLINE_AUDIT_RATE`, {field.default} unless set" in DOCUMENT.replace("\n", " ")


def test_the_official_client_streams_as_shown(door: ChatDoor, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai", reason="the official client is no dependency; install openai to try it")
    names = {"gateway_url": str(door.client.base_url).rstrip("/"), "key": door.key}
    exec(SNIPPET, names)
    assert capsys.readouterr().out == door.server.says


def test_the_official_client_raises_what_ends_a_stream_early(door: ChatDoor) -> None:
    openai = pytest.importorskip("openai", reason="the official client is no dependency; install openai to try it")
    door.publisher.away = True
    names = {"gateway_url": str(door.client.base_url).rstrip("/"), "key": door.key}
    with pytest.raises(openai.APIError, match="away"):
        exec(SNIPPET, names)


def test_the_snippets_request_is_served_without_the_official_client_too(door: ChatDoor) -> None:
    compile(SNIPPET, "docs/chat.md", "exec")
    sent = {"model": "clinic-assistant", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    headers = {"Authorization": f"Bearer {door.key}"}
    with httpx.stream(
        "POST", str(door.client.base_url.join("/v1/chat/completions")), json=sent, headers=headers
    ) as answer:
        lines = [line for line in answer.iter_lines() if line]
    said = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content") for line in lines[:-1]]
    assert ("".join(part or "" for part in said), lines[-1]) == (door.server.says, f"data: {DONE}")
