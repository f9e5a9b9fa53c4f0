"""What the gateway knows of ids: asked in few queries, bounded in memory, and never a condition for taking an event."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from ingest.intake import Intake, Status
from ingest.known import Lookup, Recent
from ingest.offers import Offer
from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import DatabaseUnavailable, IdConflict
from matrix.messages.feedback import FeedbackEvent
from tests.fakes.feedback import thumb
from tests.fakes.publisher import FakeAsyncPublisher

NOTHING = Known({}, frozenset())


class Table:
    """A database of ids that can be away, or be held up."""

    def __init__(self, known: Known = NOTHING) -> None:
        self.known, self.away, self.broken = known, False, False
        self.asked: list[tuple[list[Key], list[Key]]] = []
        self.was_asked, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def __call__(self, events: list[Key], completions: list[Key]) -> Known:
        self.asked.append((events, completions))
        self.was_asked.set()
        self.goes_on.wait(20)
        if self.away:
            raise DatabaseUnavailable("the fake database is away")
        if self.broken:
            raise ZeroDivisionError
        return self.known


def offer(event_id: str = "e1", *, is_named: bool = True, **fields: object) -> Offer:
    event = FeedbackEvent.model_validate(thumb(event_id) | fields)
    return Offer(("default", event_id), ("default", event.completion_id), is_named, event.to_payload())


def intake(table: Table, recent: Recent | None = None) -> tuple[Intake, FakeAsyncPublisher]:
    publisher = FakeAsyncPublisher()
    return Intake(publisher, Lookup(table), recent or Recent()), publisher


async def test_many_requests_share_few_queries() -> None:
    table = Table()
    table.goes_on.clear()
    taker, publisher = intake(table)
    asking = [asyncio.create_task(taker.take([offer(f"e{n}")])) for n in range(100)]
    assert await asyncio.to_thread(table.was_asked.wait, 20)
    table.goes_on.set()
    results = await asyncio.gather(*asking)
    assert results == [[Status.PENDING_MATCH]] * 100
    assert len(publisher.messages) == 100
    assert len(table.asked) <= 3


async def test_a_database_that_is_away_costs_the_status_and_not_the_event() -> None:
    table = Table()
    table.away = True
    taker, publisher = intake(table)
    assert await taker.take([offer("e1")]) == [Status.ACCEPTED]
    assert await taker.take([offer("e2")]) == [Status.ACCEPTED]
    assert len(table.asked) == 1  # it is left alone for a while
    assert await taker.take([offer("e1")]) == [Status.DUPLICATE]  # memory knows
    assert len(publisher.messages) == 3


async def test_a_query_that_breaks_costs_the_status_and_leaves_nobody_waiting() -> None:
    table = Table()
    table.broken = True
    table.goes_on.clear()
    taker, publisher = intake(table)
    first = asyncio.create_task(taker.take([offer("e1")]))
    assert await asyncio.to_thread(table.was_asked.wait, 20)
    second = asyncio.create_task(taker.take([offer("e2")]))  # asks while the first is under way
    await asyncio.sleep(0)
    table.goes_on.set()
    results = await asyncio.wait_for(asyncio.gather(*[first, second]), 20)
    assert results == [[Status.ACCEPTED]] * 2
    table.broken = False
    assert await asyncio.wait_for(taker.take([offer("e3")]), 20) == [Status.PENDING_MATCH]
    assert len(publisher.messages) == 3


async def test_an_id_that_the_gateway_made_is_not_looked_up_and_a_known_completion_is_not_asked_for_again() -> None:
    table = Table(Known({}, frozenset({("default", "c1")})))
    taker, _ = intake(table)
    assert await taker.take([offer("e1", is_named=False)]) == [Status.MATCHED]
    assert await taker.take([offer("e2", is_named=False)]) == [Status.MATCHED]
    assert table.asked == [([], [("default", "c1")])]


async def test_within_one_call_the_first_body_of_an_id_stands() -> None:
    taker, publisher = intake(Table())
    found = await taker.take([offer("e1"), offer("e1"), offer("e1", value=False), offer("e2")])
    assert [type(one) if isinstance(one, IdConflict) else one for one in found] == [
        Status.PENDING_MATCH,
        Status.DUPLICATE,
        IdConflict,
        Status.PENDING_MATCH,
    ]
    assert len(publisher.messages) == 3


async def test_the_time_does_not_make_another_body() -> None:
    taker, _ = intake(Table())
    await taker.take([offer("e1")])
    assert await taker.take([offer("e1", occurred_at="2026-01-01T10:00:00Z")]) == [Status.DUPLICATE]


@given(sizes=st.lists(st.integers(1, 40), max_size=60), most=st.integers(1, 100))
def test_memory_holds_the_latest_and_no_more_than_it_may(sizes: list[int], most: int) -> None:
    recent = Recent(most_bytes=most)
    for number, size in enumerate(sizes):
        recent.remember(("t", str(number)), b"x" * size)
    held = [payload for number in range(len(sizes)) if (payload := recent.payload(("t", str(number)))) is not None]
    assert sum(map(len, held)) <= most
    fitting, room = 0, most
    for size in reversed(sizes):
        room -= size
        if room < 0:
            break
        fitting += 1
    assert len(held) == fitting
