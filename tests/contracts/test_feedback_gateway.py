"""What the client relies on, held of the fake gateway of its tests and of the gateway itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from infra.database import Database
from ingest.client import Options, Plumbline, Refusal
from tests.fakes.feedback_door import FeedbackDoor, feedback_door
from tests.fakes.feedback_gateway import FakeFeedbackGateway
from tests.fakes.serving import served
from tests.fakes.waiting import until

LIMIT_S = 60.0  # only ends a test that is broken
DIGEST = "0" * 64


@dataclass(frozen=True)
class Side:
    """A gateway to hold to the contract, and what it has taken."""

    url: str
    key: str
    event_ids: Callable[[], list[str]]
    completion_ids: Callable[[], list[str]]
    refuse: Callable[[str], None]  # another event of this id is not taken


@contextmanager
def fake_side() -> Iterator[Side]:
    fake = FakeFeedbackGateway()
    with served(fake.app) as url:
        yield Side(url, "k", fake.ids, lambda: [one["completion_id"] for one in fake.completions], fake.refused.add)


@contextmanager
def real_side(database: Database) -> Iterator[Side]:
    with feedback_door(database) as door:
        yield Side(
            door.url,
            door.key,
            lambda: list(dict.fromkeys(event.event_id for event in door.events())),
            lambda: [one.completion_id for one in door.completions()],
            lambda event_id: take(door, event_id),
        )


def take(door: FeedbackDoor, event_id: str) -> None:
    """Another body under this id: the gateway refuses a second one."""
    with Plumbline(door.url, door.key) as client:
        client.rating("taken", 1, event_id=event_id)
        assert client.flush(LIMIT_S)
    door.publisher.messages.clear()


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    made = fake_side() if request.param == "fake" else real_side(request.getfixturevalue("database"))
    with made as side:
        yield side


def test_a_batch_of_a_thousand_is_taken_in_order(side: Side) -> None:
    with Plumbline(side.url, side.key, options=Options(batch_events=1000, linger_s=LIMIT_S)) as client:
        ids = [client.thumb(f"c{n}", n % 2 == 0) for n in range(1000)]
        assert client.flush(LIMIT_S)
        assert client.counts().acknowledged == 1000
    assert side.event_ids() == ids


def test_one_that_is_refused_is_named_and_costs_no_other(side: Side) -> None:
    told: list[Refusal] = []
    side.refuse("taken")
    with Plumbline(side.url, side.key, on_refused=told.append) as client:
        ids = [client.thumb("c1", True), client.thumb("c1", True, event_id="taken"), client.thumb("c2", False)]
        assert client.flush(LIMIT_S)
    assert [refusal.event_id for refusal in told] == ["taken"]
    assert told[0].error
    assert told[0].rule
    assert side.event_ids() == [ids[0], ids[2]]


def test_an_event_that_is_sent_twice_is_no_refusal(side: Side) -> None:
    for _ in range(2):
        with Plumbline(side.url, side.key, on_refused=_fail) as client:
            client.thumb("c1", True, event_id="click-1")
            assert client.flush(LIMIT_S)
    assert side.event_ids() == ["click-1"]


def test_a_completion_is_taken(side: Side) -> None:
    said = [{"role": "user", "content": "May I?"}]
    with Plumbline(side.url, side.key, on_refused=_fail) as client:
        client.log_completion("c1", policy="assistant", adapter_digest=DIGEST, prompt=said, completion="You may.")
        assert client.flush(LIMIT_S)
    assert side.completion_ids() == ["c1"]


def test_a_key_that_is_refused_keeps_the_events(database: Database) -> None:
    with real_side(database) as side:
        client = Plumbline(side.url, "plb_wrong")
        client.thumb("c1", True)
        until(lambda: client.counts().trouble, "the trouble")
        assert (client.counts().trouble, client.counts().waiting) == ("status 401", 1)
        client.close(0.0)
        assert side.event_ids() == []


def _fail(refusal: Refusal) -> None:
    pytest.fail(str(refusal))
