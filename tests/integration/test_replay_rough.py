"""A recording on a rough way: shuffled, sent twice, damaged, the gateway and the worker killed; the account is exact.

The dialogues are made here in the format's shape; with the public recording at hand, the roughest way is gone with it
as well.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.clock import SystemClock
from ingest import service
from ingest.formats import FORMATS
from ingest.formats.rows import Source
from ingest.reconciliation import expected
from ingest.recording import load, moved
from ingest.stress import REASONS, Damage, Delivery, Stress, deliveries
from matrix.messages.feedback import FeedbackEvent
from tests.conftest import REPOSITORY, StackUnderTest
from tests.fakes.ingest_processes import answer, gateway_process, replay, rows, worker
from tests.fakes.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

DATA = Path(os.environ.get("PLUMBLINE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
PUBLIC = DATA / "convai2-wild" / "data_intermediate.json"
ROUGH = ("--shuffle", "--duplicate", "0.2", "--corrupt", "0.05", "--seed", "7")
STRESS = Stress(shuffle=True, duplicate=0.2, corrupt=0.05, seed=7)
DIALOGUES, TURNS = 60, 10
SENDING_S = 12  # of a replay that is to be killed half-way
STATES = "SELECT event_id, state FROM ingest.feedback ORDER BY 1"
COMPLETIONS = "SELECT completion_id, body FROM ingest.completions ORDER BY 1"


@dataclass(frozen=True)
class Rough:
    """A file, and what its rough replay sends."""

    file: Path
    planned: list[Delivery]

    def states(self) -> list[tuple[str, str]]:
        """Every event that is sent whole, accepted where its completion is, too."""
        whole = [one for one in self.planned if one.damage is None]
        served = {one.item.message.completion_id for one in whole if not one.is_event}
        said = [one.item.message for one in whole]
        found = {
            (event.event_id, "accepted" if event.completion_id in served else "pending")
            for event in said
            if isinstance(event, FeedbackEvent)
        }
        return sorted(found)

    def damaged(self, *, events: bool) -> Counter[Damage]:
        return Counter(one.damage for one in self.planned if one.damage is not None and one.is_event is events)

    def whole_events(self) -> int:
        return sum(one.is_event and one.damage is None for one in self.planned)


def dialogue(number: int, chance: random.Random) -> dict[str, Any]:
    said = [
        {"id": n, "sender": "x", "text": f"turn {n} of {number}", "sender_class": "Bot" if n % 2 else "Human"}
        | {"evaluation_score": chance.choice((0, 1, None)) if n % 2 else None}
        for n in range(TURNS)
    ]
    return {
        "dialog": said, "start_time": "2018-07-09 04:00:00", "end_time": "2018-07-09 05:00:00",
        "bot_profile": ["i like tea."], "user_profile": [], "eval_score": chance.randint(1, 5), "profile_match": "",
        "participant1_id": {"class": "User", "user_id": f"u{number}"},
        "participant2_id": {"class": "Bot", "user_id": "b"},
    }  # fmt: skip


@pytest.fixture
def rough(request: pytest.FixtureRequest, tmp_path: Path) -> Rough:
    file = PUBLIC
    if getattr(request, "param", "made") == "made":
        chance = random.Random(1)
        file = tmp_path / "dialogues.json"
        file.write_text(json.dumps([dialogue(number, chance) for number in range(DIALOGUES)]))
    elif not file.exists():
        pytest.skip(f"{file} is absent; set PLUMBLINE_TEST_DATA to the folder of public recordings")
    found = load(Source(str(file), file.read_text(), "replayed"), FORMATS["convai2"])
    return Rough(file, deliveries(found.items, STRESS))


def test_a_rough_replay_reconciles_and_a_second_one_changes_nothing_but_the_duplicate_count(
    stack: StackUnderTest, rough: Rough
) -> None:
    with gateway_process(stack) as gateway, worker(stack):
        first = answer(replay(stack, gateway.client, rough.file, *ROUGH, form="convai2"))
        before = (rows(stack, STATES), rows(stack, COMPLETIONS))
        second = answer(replay(stack, gateway.client, rough.file, *ROUGH, form="convai2"))
    assert before[0] == rough.states()
    assert (first["received"], first["dead"], first["retried"]) == (rough.whole_events(), 0, 0)
    assert first["duplicate"] == rough.whole_events() - len(rough.states())
    assert first["damaged"]["refused"] == rough.damaged(events=True) + rough.damaged(events=False)
    assert (second["received"], second["duplicate"]) == (rough.whole_events(), rough.whole_events())
    assert (rows(stack, STATES), rows(stack, COMPLETIONS)) == before


def test_straight_to_kafka_every_damaged_event_becomes_a_dead_letter_of_its_reason(
    stack: StackUnderTest, rough: Rough
) -> None:
    with gateway_process(stack) as gateway, worker(stack):
        found = answer(replay(stack, gateway.client, rough.file, *ROUGH, "--to", "kafka", form="convai2"))
    reasons: Counter[str] = Counter()
    for damage, count in rough.damaged(events=True).items():
        reasons[REASONS[damage]] += count
    assert found["by_reason"] == reasons
    assert found["dead"] == reasons.total()
    assert found["received"] == rough.whole_events() + reasons.total()
    assert found["completions_dead"] == rough.damaged(events=False).total()
    assert rows(stack, STATES) == rough.states()


@pytest.mark.parametrize("rough", ["made", "public"], indirect=True)
def test_a_gateway_and_a_worker_killed_half_way_lose_and_double_nothing(stack: StackUnderTest, rough: Rough) -> None:
    with gateway_process(stack) as gateway:
        with worker(stack) as killed:
            # A worker that is still starting would see its first event when all of them are sent.
            until((stack.home / "run" / "ingest.ready").exists, "the worker")
            rate = str(len(rough.planned) / SENDING_S)
            process = replay(stack, gateway.client, rough.file, *ROUGH, "--rate", rate, form="convai2")
            quarter = rough.whole_events() // 4
            until(lambda: service.counts(stack.database)["received"] > quarter, "a quarter of the events")
            gateway.kill()
            killed.kill()
            killed.wait()
        assert service.counts(stack.database)["received"] < rough.whole_events()
        gateway.start()
        with worker(stack):
            found = answer(process)
            counted, before = service.counts(stack.database), rows(stack, STATES)
            again = answer(replay(stack, gateway.client, rough.file, *ROUGH, form="convai2"))
    assert before == rows(stack, STATES) == rough.states()
    assert again["received"] == again["duplicate"] == rough.whole_events()
    assert (counted["accepted"] + counted["pending"], counted["dead"]) == (len(rough.states()), 0)
    assert 0 <= found["received"] - rough.whole_events() <= found["retried"]
    assert found["retried"] > 0
    (known,) = (line for line in found["account"] if "known by their id" in line["what"])
    assert known["found"] == len(rough.states())
    assert all(line["holds"] for line in found["account"])


@pytest.mark.parametrize("rough", ["made", "public"], indirect=True)
def test_a_recording_that_is_moved_keeps_the_plan(rough: Rough) -> None:
    found = load(Source(str(rough.file), rough.file.read_text(), "replayed"), FORMATS["convai2"])
    now = SystemClock().now()
    planned = deliveries(moved(found, now, now - found.items[0].at).items, STRESS)
    assert expected(planned) == expected(rough.planned)
