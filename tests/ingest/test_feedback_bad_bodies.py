"""Ten thousand bad bodies: none makes the gateway fail, none costs a neighbour, and every refusal names a field.

Straight at the application, without a socket: what a server adds is tested elsewhere, and these are many requests.
The ten thousand are marked slow; a few hundred of them run each time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.database import Database
from ingest.offers import event_of
from tests.fakes.bodies import GOOD, bodies, shapes, spelt
from tests.fakes.clock import FakeClock
from tests.fakes.door import FeedbackGateway

EXAMPLES = pytest.mark.parametrize("examples", [100, pytest.param(5_000, marks=pytest.mark.slow)])
TAKEN = ("pending_match", "duplicate", "valid")


class Caller:
    """Posts bytes to the application in this thread, on one loop."""

    def __init__(self, gateway: FeedbackGateway, runner: asyncio.Runner) -> None:
        self.published = gateway.publisher.messages
        self._runner = runner
        transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {gateway.key()}"}
        self._client = httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)

    def __call__(self, path: str, raw: bytes) -> httpx.Response:
        return self._runner.run(self._client.post(path, content=raw))


@pytest.fixture
def post(database: Database, clock: FakeClock) -> Iterator[Caller]:
    with asyncio.Runner() as runner:
        yield Caller(FeedbackGateway(database, clock), runner)


def is_told_well(problem: dict[str, Any]) -> bool:
    """What is refused, where, and by which rule."""
    return bool(problem["title"] and problem["errors"]) and all(
        row["field"] and row["rule"] for row in problem["errors"]
    )


@EXAMPLES
def test_no_body_makes_the_gateway_fail_or_is_refused_without_a_reason(post: Caller, examples: int) -> None:
    @settings(max_examples=examples)
    @given(raw=bodies)
    def holds(raw: bytes) -> None:
        before = len(post.published)
        answer = post("/v1/feedback", raw)
        assert answer.status_code in (200, 202, 400, 409, 422), answer.text
        assert answer.status_code < 400 or is_told_well(answer.json())
        assert len(post.published) == before + (answer.status_code == 202)
        assert all(event_of(one.payload) for one in post.published[before:])

    holds()


@EXAMPLES
def test_no_event_of_a_batch_costs_another(post: Caller, examples: int) -> None:
    numbers = itertools.count()

    @settings(max_examples=examples // 4)  # of four bad bodies each, more or less
    @given(bad=st.lists(shapes, min_size=1, max_size=7), wrapped=st.booleans())
    def holds(bad: list[Any], wrapped: bool) -> None:
        good = [GOOD | {"id": f"good-{next(numbers)}"} for _ in range(len(bad) + 1)]
        before = len(post.published)
        sent = [event for pair in zip(good, [*bad, None], strict=True) for event in pair][:-1]
        answer = post("/v1/feedback/batch", spelt({"events": sent} if wrapped else sent))
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert [row["feedback_id"] for row in results[::2]] == [event["id"] for event in good]
        assert {row["status"] for row in results[::2]} == {"pending_match"}
        assert all(row["status"] in TAKEN or is_told_well(row) for row in results)
        published = [event_of(one.payload).event_id for one in post.published[before:]]
        assert [one for one in published if one.startswith("good-")] == [event["id"] for event in good]

    holds()


@EXAMPLES
def test_no_batch_that_is_none_makes_the_gateway_fail(post: Caller, examples: int) -> None:
    @settings(max_examples=examples // 4)
    @given(raw=bodies)
    def holds(raw: bytes) -> None:
        answer = post("/v1/feedback/batch", raw)
        assert answer.status_code in (200, 400, 422), answer.text
        assert answer.status_code == 200 or is_told_well(answer.json())

    holds()
