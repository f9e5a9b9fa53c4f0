"""Single events that arrive in one turn of the loop are answered as if each had come alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.access import Scope
from infra.database import Database
from infra.direct import Headers, Reply
from infra.limits import RateLimits
from ingest import agents
from ingest.offers import Offers, event_of
from ingest.reading import read_one
from ingest.settings import IngestSettings
from tests.fakes.bodies import bodies, spelt
from tests.fakes.clock import FakeClock
from tests.fakes.door import FeedbackGateway
from tests.fakes.feedback import completion, record
from tests.fakes.privacy import PRIVACY
from tests.fakes.wire import answers

AT = "2026-01-01T00:00:00+00:00"
ID = "feedback_id"


class Side:
    """A gateway that is sent the same as the other, by one way."""

    def __init__(self, gateway: FeedbackGateway, key: str) -> None:
        self.gateway, self.key = gateway, key
        gateway.keys.authenticate(key)
        transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    async def together(self, sent: Sequence[bytes], *, idempotency_key: str | None = None) -> list[Reply]:
        return await answers(self.gateway.app, sent, self._headers(idempotency_key))

    async def alone(self, raw: bytes, *, idempotency_key: str | None = None) -> httpx.Response:
        return await self._client.post("/v1/feedback", content=raw, headers=self._headers(idempotency_key))

    def _headers(self, idempotency_key: str | None) -> Headers:
        headers = [(b"authorization", f"Bearer {self.key}".encode())]
        return headers if idempotency_key is None else [*headers, (b"idempotency-key", idempotency_key.encode())]


@pytest.fixture
def gateway(database: Database, clock: FakeClock) -> FeedbackGateway:
    return FeedbackGateway(database, clock)


@pytest.fixture
def side(gateway: FeedbackGateway) -> Side:
    return Side(gateway, gateway.key())


def body(event_id: str | None = None, completion_id: str = "c1", **fields: Any) -> bytes:
    named = {} if event_id is None else {"id": event_id}
    return spelt({"metric_name": "thumbs", "inference_id": completion_id, "value": True} | named | fields)


def statuses(replies: Sequence[Reply]) -> list[Any]:
    return [json.loads(one.body).get("status") for one in replies]


def codes(replies: Sequence[Reply]) -> list[int]:
    return [one.status for one in replies]


ODD = [  # that JSON readers may take differently
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"value":false}',
    b'{"metric_name":"rating","inference_id":"c1","value":NaN}',
    b'{"metric_name":"rating","inference_id":"c1","value":5.0e0}',
    b'{"metric_name":"rating","inference_id":"c1","value":-0}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"user_id":""}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"tags":null}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"tags":{"user_id":""}}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"dryrun":0}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":1}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"occurred_at":1767225600}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"occurred_at":"2026-01-01 09:00Z"}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"occurred_at":"2026-01-01T09:00:00"}',
    b'{"metric_name":"thumbs","inference_id":"c1","value":true,"consent":false}',
    b'{"metric_name":"copy","inference_id":"c1","text":null,"category":null,"episode_id":null,"dryrun":false}',
    b'{"metric_name":"copy","inference_id":"\\u00e9\\ud83d\\ude00 \\u00a0"}',
    b'{"metric_name":"copy","inference_id":"c1","tags":{"a":"x\\ny","anna@example.com":"x"}}',
    b'\xef\xbb\xbf{"metric_name":"copy","inference_id":"c1"}',
    b' {"metric_name":"copy","inference_id":"c1"}\n',
    b'[{"metric_name":"copy","inference_id":"c1"}]',
    b'{"metric_name":["copy"],"inference_id":"c1"}',
    b"",
]


DEEP = b"[" * 500  # how deep JSON may be nested depends on the stack of who reads it


@pytest.mark.parametrize("examples", [100, pytest.param(3_000, marks=pytest.mark.slow)])
def test_the_short_way_answers_and_publishes_as_the_long_way_does(
    database: Database, clock: FakeClock, examples: int
) -> None:
    short, long = FeedbackGateway(database, clock), FeedbackGateway(database, clock)
    key = short.key()
    with asyncio.Runner() as runner:
        sides = runner.run(_sides(short, long, key))

        @settings(max_examples=examples)
        @given(
            raw=bodies.filter(lambda raw: DEEP not in raw),
            header=st.none() | st.sampled_from(["e1", "e 2", "", "x" * 129, "\t"]),
        )
        def holds(raw: bytes, header: str | None) -> None:
            runner.run(_same(*sides, raw, header))

        holds()
        for raw in ODD:
            for header in (None, "e1"):
                runner.run(_same(*sides, raw, header))


async def _sides(short: FeedbackGateway, long: FeedbackGateway, key: str) -> tuple[Side, Side]:
    return Side(short, key), Side(long, key)


async def _same(short: Side, long: Side, raw: bytes, header: str | None) -> None:
    before = len(short.gateway.publisher.messages)
    (told,) = await short.together([raw], idempotency_key=header)
    expected = await long.alone(raw, idempotency_key=header)
    ours, theirs = json.loads(told.body), expected.json()
    if (made := theirs.get(ID, "")).count("-") == 4:  # an id of the gateway's own, from numbers that each counts itself
        ours[ID] = made
    assert (told.status, told.media_type, ours) == (expected.status_code, expected.headers["content-type"], theirs)
    events, others = (side.gateway.publisher.messages[before:] for side in (short, long))
    assert [one.key for one in events] == [one.key for one in others]
    for one, other in zip(events, others, strict=True):
        changes = {"event_id": event_of(other.payload).event_id} if made.count("-") == 4 else {}
        assert event_of(one.payload).model_copy(update=changes) == event_of(other.payload)


offers = Offers(PRIVACY)


@pytest.mark.parametrize("raw", [body(), body(user_id="u1"), body(occurred_at="2026-01-01T09:00:00+02:00")])
def test_what_is_common_is_written_out_from_json_as_from_a_checked_request(raw: bytes) -> None:
    quick = offers.quick(json.loads(raw), ("default", "e1"), AT)
    assert quick is not None
    assert quick == offers.quick(vars(read_one(raw)), ("default", "e1"), AT)


async def test_events_of_one_turn_are_published_in_the_order_in_which_they_came(side: Side) -> None:
    sent = [body(f"e{number}", f"c{number % 3}") for number in range(60)]
    assert codes(await side.together(sent)) == [202] * 60
    assert [event.event_id for event in side.gateway.events()] == [f"e{number}" for number in range(60)]


async def test_of_one_id_in_one_turn_the_first_body_stands(side: Side) -> None:
    replies = await side.together([body("e1"), body("e1"), body("e1", value=False), body("e2")])
    assert codes(replies) == [202, 202, 409, 202]
    assert statuses(replies)[:2] == ["pending_match", "duplicate"]
    assert [event.event_id for event in side.gateway.events()] == ["e1", "e1", "e2"]
    assert codes(await side.together([body("e1", value=False)])) == [409]


async def test_what_is_not_plain_costs_no_neighbour(side: Side) -> None:
    long_text = body("long", metric_name="comment", value="well " * 2_000)
    report = body("report", metric_name="report", value=None, category="unsafe")
    sent = [body("a"), b"{", body("b", value=3), long_text, report, body("c", dryrun=True), body("d")]
    assert codes(await side.together(sent)) == [202, 400, 422, 202, 202, 200, 202]
    assert {event.event_id for event in side.gateway.events()} == {"a", "long", "report", "d"}


async def test_what_the_worker_stored_is_known(side: Side, database: Database, clock: FakeClock) -> None:
    await side.together([body("e1")])
    agents.read_completions(database, clock, IngestSettings(), PRIVACY, record("completion.served.v1", 0, completion()))
    reader = agents.FeedbackReader(database, clock, IngestSettings(), PRIVACY)
    reader(record("feedback.received.v1", 0, side.gateway.publisher.messages[0].payload))
    other = Side(FeedbackGateway(database, clock), side.key)
    replies = await other.together([body("e1"), body("e1", value=False), body("e2"), body("e3", "c2")])
    assert codes(replies) == [202, 409, 202, 202]
    assert [statuses(replies)[place] for place in (0, 2, 3)] == ["duplicate", "matched", "pending_match"]


async def test_while_the_broker_is_away_each_is_told_the_id_to_send_again_under(side: Side) -> None:
    side.gateway.publisher.away = True
    replies = await side.together([body("e1"), body(), body("e2")])
    assert codes(replies) == [503] * 3
    assert all(one.headers is not None and one.headers["retry-after"] for one in replies)
    made = [json.loads(one.body)[ID] for one in replies]
    assert (made[0], made[2]) == ("e1", "e2")
    side.gateway.publisher.away = False
    again = await side.together([body("e1"), body(made[1]), body("e2")])
    assert statuses(again) == ["pending_match"] * 3


async def test_a_partition_that_is_away_costs_no_other(side: Side) -> None:
    side.gateway.publisher.refused = {"c2"}
    assert codes(await side.together([body("a"), body("b", "c2"), body("c")])) == [202, 503, 202]
    side.gateway.publisher.refused = set()
    assert statuses(await side.together([body("a"), body("b", "c2")])) == ["duplicate", "pending_match"]


async def test_what_there_is_no_room_for_is_told_to_come_later_and_the_rest_is_taken(side: Side) -> None:
    side.gateway.publisher.room = 2
    replies = await side.together([body(f"e{number}") for number in range(4)])
    assert codes(replies) == [202, 202, 429, 429]
    assert [event.event_id for event in side.gateway.events()] == ["e0", "e1"]


async def test_a_key_takes_no_more_in_one_turn_than_in_many(database: Database, clock: FakeClock) -> None:
    gateway = FeedbackGateway(database, clock, RateLimits(2.0, lambda: 0.0))
    side = Side(gateway, gateway.key())
    replies = await side.together([body(f"e{number}") for number in range(6)])
    assert sorted(codes(replies)) == [202] * 4 + [429] * 2
    assert len(gateway.events()) == 4


async def test_a_key_that_may_not_send_or_is_none_is_refused(gateway: FeedbackGateway) -> None:
    viewer = gateway.keys.create("viewer", [Scope.VIEW])
    assert codes(await Side(gateway, viewer).together([body(), body()])) == [403, 403]
    assert codes(await answers(gateway.app, [body()], [])) == [401]
    assert codes(await answers(gateway.app, [body()], [(b"authorization", b"Bearer plb_wrong")])) == [401]
    assert gateway.events() == []


async def test_a_key_that_is_revoked_is_refused_as_soon_as_by_the_long_way(side: Side, clock: FakeClock) -> None:
    keys = side.gateway.keys
    assert codes(await side.together([body("e1")])) == [202]
    (row,) = keys.listed()
    keys.revoke(str(row["key_id"]))
    assert codes(await side.together([body("e2"), body("e3")])) == [401, 401]


async def test_a_key_is_looked_up_again_when_it_is_no_longer_remembered(side: Side, clock: FakeClock) -> None:
    clock.advance(timedelta(minutes=1))
    assert codes(await side.together([body("e1"), body("e2")])) == [202, 202]


async def test_a_fault_of_ours_is_told_to_each_and_the_next_turn_goes_on(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(Offers, "quick", breaks)
        assert codes(await side.together([body("e1"), body("e2")])) == [500, 500]
    with monkeypatch.context() as broken:
        broken.setattr(side.gateway.publisher, "publish_soon", breaks)
        assert codes(await side.together([body("e1"), body("e2")])) == [500, 500]
    assert codes(await side.together([body("e1"), body("e2")])) == [202, 202]
