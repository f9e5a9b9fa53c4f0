"""Names that no client of ours sends, in paths, queries and filters: refused, and never a fault of the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.access import Scope
from infra.database import Database
from ingest import agents
from ingest.settings import IngestSettings
from tests.fakes.clock import FakeClock
from tests.fakes.door import FeedbackGateway
from tests.fakes.feedback import record, thumb
from tests.fakes.privacy import PRIVACY

ODD = ("%00", "a%00b", "%ED%A0%80", "%F0%9F%92%8A", "x" * 300, "%0A", "a%20b", "..%2F..")
UNSTORABLE = ("\x00", "a\x00b", "\ud800", "half \udc8a")


@pytest.fixture
def client(database: Database, clock: FakeClock) -> Iterator[httpx.Client]:
    gateway = FeedbackGateway(database, clock)
    everyone = {"Authorization": f"Bearer {gateway.keys.create('everyone', list(Scope))}"}
    with gateway.client() as client:
        client.headers.update(everyone)
        yield client


@pytest.mark.parametrize("odd", ODD, ids=lambda one: one[:12])
def test_odd_names_in_paths_and_queries_are_refused(client: httpx.Client, odd: str) -> None:
    paths = [
        f"/v1/feedback/{odd}",
        f"/v1/dead-letters/{odd}",
        f"/v1/dead-letters?topic={odd}",
        f"/v1/dead-letters?reason={odd}",
        f"/v1/dead-letters?since={odd}",
    ]
    assert [client.get(path).status_code in (404, 422) for path in paths] == [True] * len(paths)
    assert client.post(f"/v1/connect/{odd}", json={}).status_code == 404
    assert client.post(f"/v1/connect/langfuse?policy={odd}", json={}).status_code == 422


@pytest.mark.parametrize("odd", UNSTORABLE, ids=ascii)
@pytest.mark.parametrize("verb", ["replay", "drop"])
def test_odd_names_in_filters_are_refused(client: httpx.Client, verb: str, odd: str) -> None:
    for said in ({"topic": odd}, {"reason": odd}, {"ids": [odd]}, {"since": odd}, {odd: 1}):
        answer = client.post(f"/v1/dead-letters/{verb}", content=json.dumps(said).encode())
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("odd", UNSTORABLE, ids=ascii)
def test_odd_words_in_a_fix_mend_nothing_and_break_nothing(
    client: httpx.Client, database: Database, clock: FakeClock, odd: str
) -> None:
    reader = agents.FeedbackReader(database, clock, IngestSettings(), PRIVACY)
    reader(record("feedback.received.v1", 0, thumb(kind="wink")))
    mended: dict[str, Any] = {"kind": "comment", "value": None}
    for fixes in ({"text": odd}, {odd: 1}, {"text": "x", "tags": {odd: odd}}, {"text": "x", "completion_id": odd}):
        said = json.dumps({"topic": "feedback.received.v1", "set": mended | fixes}).encode()
        answer = client.post("/v1/dead-letters/replay", content=said)
        assert answer.status_code == 422 or answer.json()["still_dead"] == 1
