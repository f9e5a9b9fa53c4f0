"""received = accepted + duplicate + dead + pending, and the same rows whatever order, repetition or batching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from infra.database import Database
from infra.streams import Incoming
from ingest import arrivals, service
from ingest.agents import FeedbackReader, read_completions
from ingest.settings import IngestSettings
from ingest.steps import AgeLimits
from matrix.errors import DeadLetterLimitReached
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT, completion, record, thumb
from tests.fakes.privacy import PRIVACY

LIMITS = AgeLimits()
EVENTS, COMPLETIONS = 6, 4
TABLES = ("ingest.deliveries", "ingest.feedback", "ingest.completions", "ingest.dead_letters", "infra.outbox")


@dataclass(frozen=True)
class Sent:
    """One record on one of the two topics."""

    topic: str
    offset: int
    body: object

    def deliver(self, database: Database) -> None:
        incoming = record(self.topic, self.offset, self.body)
        if self.topic == COMPLETION_SERVED.name:
            receive_completions(database, incoming)
        else:
            receive(database, incoming)


def receive(database: Database, batch: Sequence[Incoming]) -> None:
    service.receive_feedback(database, [arrivals.feedback(one, AT, LIMITS, PRIVACY) for one in batch], AT)


def receive_completions(database: Database, batch: Sequence[Incoming]) -> None:
    service.receive_completions(database, [arrivals.completion(one, AT, LIMITS, PRIVACY) for one in batch], AT)


def feedback(number: int) -> dict[str, Any]:
    return thumb(f"e{number}", f"c{number % COMPLETIONS}", value=number % 2 == 0)


# Every event at least once, some twice, some that cannot be read; completions likewise.
feedback_bodies = st.lists(
    st.integers(0, EVENTS - 1).map(feedback) | st.just(b"{") | st.just(thumb(mood="x")), max_size=12
).map(lambda more: [*map(feedback, range(EVENTS)), *more])
completion_bodies = st.lists(st.integers(0, COMPLETIONS - 1), max_size=4).map(
    lambda more: [completion(f"c{number}") for number in [*range(COMPLETIONS - 1), *more]]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Sent]:
    """Records in any order, some of them delivered again."""
    said = [
        Sent(FEEDBACK_RECEIVED.name, n, body) for n, body in enumerate(draw(st.permutations(draw(feedback_bodies))))
    ]
    served = [Sent(COMPLETION_SERVED.name, n, body) for n, body in enumerate(draw(completion_bodies))]
    once = draw(st.permutations(said + served))
    again = draw(st.lists(st.sampled_from(once), max_size=8))
    return [*once, *again]


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.unit_of_work() as session:
        return [tuple(row) for row in session.connection().execute(text(query))]


def empty(database: Database) -> None:
    with database.unit_of_work() as session:
        session.connection().execute(text(f"TRUNCATE {', '.join(TABLES)}"))


@settings(max_examples=40)
@given(history=histories())
def test_any_interleaving_leaves_the_same_rows_and_counts_each_event_once(
    database: Database, history: list[Sent]
) -> None:
    empty(database)
    for sent in history:
        sent.deliver(database)
        counted = service.counts(database)
        assert counted["received"] == sum(counted[name] for name in ("accepted", "duplicate", "dead", "pending"))
    said = {sent.offset: sent.body for sent in history if sent.topic == FEEDBACK_RECEIVED.name}
    served = {sent.body["completion_id"] for sent in history if isinstance(sent.body, dict) and "prompt" in sent.body}
    expected = [
        (f"e{n}", f"c{n % COMPLETIONS}", "accepted" if f"c{n % COMPLETIONS}" in served else "pending")
        for n in range(EVENTS)
    ]
    assert rows(database, "SELECT event_id, completion_id, state FROM ingest.feedback ORDER BY 1") == expected
    dead = sum(isinstance(body, bytes) or "mood" in body for body in said.values())  # type: ignore[operator]
    assert counted["received"] == len(said)
    assert counted["dead"] == dead
    assert counted["duplicate"] == len(said) - dead - EVENTS
    published = Counter(row[0] for row in rows(database, "SELECT destination FROM infra.outbox"))
    accepted = sum(state == "accepted" for _, _, state in expected)
    told = {"feedback.accepted.v1": accepted, "feedback.dead.v1": dead, "completion.accepted.v1": len(served)}
    assert published == Counter(told) - Counter()


@settings(max_examples=20)
@given(bodies=feedback_bodies, cuts=st.sets(st.integers(1, 17)))
def test_batches_and_lists_of_any_size_leave_the_same_rows(
    database: Database, bodies: list[object], cuts: set[int]
) -> None:
    empty(database)
    readable = [body for body in bodies if isinstance(body, dict)]
    batches = [record(FEEDBACK_RECEIVED.name, offset, body)[0] for offset, body in enumerate(readable)]
    edges = [0, *sorted(cut for cut in cuts if cut < len(batches)), len(batches)]
    for start, end in pairwise(edges):
        receive(database, batches[start:end])
    one_by_one = service.counts(database)
    empty(database)
    receive(database, record(FEEDBACK_RECEIVED.name, 0, readable))
    assert service.counts(database) == one_by_one


def test_another_body_under_the_same_id_is_set_aside_and_the_first_stands(database: Database) -> None:
    receive(database, record(FEEDBACK_RECEIVED.name, 0, thumb()))
    receive(database, record(FEEDBACK_RECEIVED.name, 1, thumb(value=False)))
    assert service.counts(database)["by_reason"] == {"id_conflict": 1}
    (letter,) = service.dead_letters(database, reason="id_conflict", limit=10)
    assert (letter["offset"], letter["field"]) == (1, "event_id")


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2001, 1, 1, tzinfo=UTC), "too_old"),
        (datetime(2199, 12, 31, tzinfo=UTC), "in_the_future"),
        (AT - timedelta(days=30, seconds=1), "too_old"),
        (AT + timedelta(seconds=301), "in_the_future"),
        (AT - timedelta(days=30), None),
        (AT + timedelta(seconds=300), None),
    ],
)
def test_a_completion_from_a_time_that_nobody_believes_is_set_aside(
    database: Database, clock: FakeClock, at: datetime, reason: str | None
) -> None:
    batch = record(COMPLETION_SERVED.name, 0, completion(served_at=at.isoformat()))
    for _ in range(2):
        read_completions(database, clock, IngestSettings(), PRIVACY, batch)
    dead = int(reason is not None)
    assert service.counts(database)["completions"] == {"stored": 1 - dead, "dead": dead}
    assert [letter["reason"] for letter in service.dead_letters(database, reason=None, limit=9)] == [reason] * dead


def test_another_completion_under_the_same_id_is_set_aside_and_the_first_stands(database: Database) -> None:
    receive_completions(database, record(COMPLETION_SERVED.name, 0, completion()))
    again = record(COMPLETION_SERVED.name, 1, completion(completion="Take four."))
    receive_completions(database, again)
    receive_completions(database, again)
    assert service.counts(database)["completions"] == {"stored": 1, "dead": 1}
    assert rows(database, "SELECT body LIKE '%pharmacist%' FROM ingest.completions") == [(True,)]


def test_feedback_that_waited_too_long_is_set_aside_once_and_stays_so(database: Database, clock: FakeClock) -> None:
    receive(database, record(FEEDBACK_RECEIVED.name, 0, thumb()))
    ttl = timedelta(days=30)
    assert service.give_up_waiting(database, AT + ttl, ttl) == 0
    assert service.give_up_waiting(database, AT + ttl + timedelta(seconds=1), ttl) == 1
    assert service.give_up_waiting(database, AT + ttl + timedelta(days=9), ttl) == 0
    receive_completions(database, record(COMPLETION_SERVED.name, 0, completion()))
    counted = service.counts(database)
    assert (counted["received"], counted["dead"], counted["accepted"]) == (1, 1, 0)
    assert counted["by_reason"] == {"unknown_completion": 1}


def test_a_neighbour_in_the_same_list_survives_a_bad_event(database: Database) -> None:
    receive_completions(database, record(COMPLETION_SERVED.name, 0, completion()))
    receive(database, record(FEEDBACK_RECEIVED.name, 0, [thumb("a"), {"kind": "wink"}, 7, thumb("b")]))
    counted = service.counts(database)
    assert (counted["accepted"], counted["dead"]) == (2, 2)
    found = service.dead_letters(database, reason=None, limit=10)
    assert sorted((letter["offset"], letter["position"]) for letter in found) == [(0, 1), (0, 2)]


def test_too_many_undecodable_events_in_a_row_stop_the_stream_before_anything_is_written(
    database: Database, clock: FakeClock
) -> None:
    reader = FeedbackReader(database, clock, IngestSettings(dead_letter_run_limit=3), PRIVACY)
    reader(record(FEEDBACK_RECEIVED.name, 0, ["x", "y"]))
    with pytest.raises(DeadLetterLimitReached):
        reader(record(FEEDBACK_RECEIVED.name, 1, ["z", thumb()]))
    assert service.counts(database)["received"] == 2


def test_a_broker_made_anew_loses_no_event_although_its_offsets_start_again(database: Database) -> None:
    receive(database, record(FEEDBACK_RECEIVED.name, 0, thumb("before")))
    receive(database, record(FEEDBACK_RECEIVED.name, 0, thumb("after")))
    assert service.counts(database)["received"] == 2
