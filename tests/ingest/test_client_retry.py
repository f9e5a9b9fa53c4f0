"""What an answer means to the client, and when it tries again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.client.buffer import Buffer, first_batch
from ingest.client.retry import Halve, Settled, TryAgain, delay_s, judge, wished_s
from ingest.client.types import Entry, Options, Refusal

ONE, TWO = Entry("e1", "feedback", b"{}"), Entry("e2", "feedback", b"{}")
LOGGED = Entry("c1", "completion", b"{}")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TAKEN = {"feedback_id": "e1", "status": "accepted"}


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_drawn_below_a_bound_that_doubles_up_to_the_most(attempt: int, chance: float) -> None:
    options = Options(first_backoff_s=0.5, most_backoff_s=20)
    found = delay_s(attempt, options, lambda: chance)
    assert 0 <= found <= min(20, 0.5 * 2.0 ** min(attempt - 1, 99))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("Thu, 01 Jan 2026 00:00:05 GMT", 5.0),
        ("Thu, 01 Jan 2015 00:00:05 GMT", 0.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_a_wish_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert wished_s(header, NOW) == seconds


@given(header=st.text(max_size=40))
@example(header="¹")
def test_any_wish_is_read_or_left(header: str) -> None:
    assert (wished_s(header, NOW) or 0) >= 0


@pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 502, 503])
def test_what_is_no_fault_of_the_events_is_tried_again(status: int) -> None:
    assert isinstance(judge(status, None, [ONE, TWO], None), TryAgain)


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_what_is_refused_as_a_whole_is_halved_until_one_is_at_fault(status: int) -> None:
    told = {
        "title": "InvalidInput",
        "detail": "x",
        "errors": [{"field": "value", "rule": "a number", "value": "'ouch'"}],
    }
    assert judge(status, told, [ONE, TWO], None) == Halve()
    assert judge(status, told, [ONE], None) == Settled((Refusal("e1", "InvalidInput", "value", "a number"),))


@pytest.mark.parametrize("told", [None, [], {}, {"results": 3}, {"results": [TAKEN]}, "x"])
def test_an_answer_that_names_no_result_for_each_event_is_no_acknowledgement(told: Any) -> None:
    assert isinstance(judge(200, told, [ONE, TWO], None), TryAgain)


@pytest.mark.parametrize("status", ["accepted", "matched", "pending_match", "duplicate"])
def test_every_state_of_an_event_that_was_taken_is_an_acknowledgement(status: str) -> None:
    told = {
        "results": [TAKEN | {"status": status}, {"status": "refused", "errors": [{"field": "id", "rule": "taken"}]}]
    }
    assert judge(202, told, [ONE, TWO], None) == Settled((None, Refusal("e2", "Refused", "id", "taken")))


json_values = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(status=st.integers(100, 599), told=json_values, size=st.integers(1, 3))
def test_any_answer_has_a_meaning(status: int, told: Any, size: int) -> None:
    batch = [ONE, TWO, LOGGED][:size]
    verdict = judge(status, told, batch, None)
    assert not isinstance(verdict, Settled) or len(verdict.refusals) == size


@given(kinds=st.lists(st.sampled_from([ONE, TWO, LOGGED]), max_size=9), most=st.integers(1, 5), room=st.integers(0, 9))
def test_a_batch_is_the_begin_of_what_waits_and_carries_no_completion_beside_anything(
    kinds: list[Entry], most: int, room: int
) -> None:
    batch = first_batch(kinds, most=most, most_bytes=room)
    assert batch == kinds[: len(batch)]
    assert bool(batch) == bool(kinds)
    assert len(batch) <= most
    assert len(batch) == 1 or LOGGED not in batch


def test_what_is_in_flight_is_neither_moved_nor_lost() -> None:
    buffer, entries = Buffer(3), [Entry(f"e{n}", "feedback", b"{}") for n in range(4)]
    assert [buffer.put(entry) for entry in entries] == [True, True, True, False]
    taken = buffer.take(most=2, most_bytes=99)
    assert (taken, buffer.waiting()) == (entries[:2], entries[2:3])
    buffer.remove(buffer.waiting())
    buffer.settle(taken[:1])
    assert buffer.waiting() == entries[1:2]
