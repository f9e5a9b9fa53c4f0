"""What patients send: planned from the seed alone, and untidy in known numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.demo.counting import expected_received, must_add_up
from infra.demo.facts import Counts
from infra.demo.traffic import (
    Remark,
    Tally,
    logged,
    plan_feedback,
    plan_visits,
    refusable_bodies,
    stranger_bodies,
    stray_events,
)
from infra.demo.trials import StoryDiffers
from matrix.messages.completion import ChatMessage, CompletionServed
from matrix.messages.feedback import FeedbackEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROMPTS = [(ChatMessage(role="user", content=f"question {n}"),) for n in range(400)]
REMARKS = (Remark("thumbs", value=True), Remark("comment", value="thank you"))


@given(seed=st.integers(0, 2**31), patients=st.integers(1, 500))
def test_the_same_seed_gives_the_same_visits(seed: int, patients: int) -> None:
    assert plan_visits(PROMPTS[:20], patients=patients, seed=seed) == plan_visits(
        PROMPTS[:20], patients=patients, seed=seed
    )


def test_another_seed_gives_other_visits() -> None:
    assert plan_visits(PROMPTS, patients=50, seed=1) != plan_visits(PROMPTS, patients=50, seed=2)


def test_some_visits_are_served_by_the_triage_desk_and_most_are_not() -> None:
    at_the_desk = sum(visit.at_the_desk for visit in plan_visits(PROMPTS, patients=50, seed=1))
    assert 0 < at_the_desk < len(PROMPTS) / 2


def test_sending_a_remark_again_is_the_same_event() -> None:
    visit = plan_visits(PROMPTS, patients=50, seed=1)[0]
    first, second = (plan_feedback(visit, "c-1", REMARKS, NOW) for _ in range(2))
    assert first == second
    assert len({sending.body["id"] for sending in first}) == len(REMARKS)


def test_some_feedback_is_late_and_some_is_sent_twice() -> None:
    visits = plan_visits(PROMPTS, patients=50, seed=1)
    sendings = [sending for visit in visits for sending in plan_feedback(visit, "c", REMARKS, NOW)]
    for untidy in ("late", "twice"):
        assert 0 < sum(getattr(sending, untidy) for sending in sendings) < len(sendings) / 4


def test_what_the_desk_logs_is_a_served_completion() -> None:
    visit = plan_visits(PROMPTS, patients=50, seed=1)[0]
    body = logged(visit, "desk-1", "Rest and drink.", "0" * 64, "clinic-assistant")
    assert CompletionServed.model_validate(body).user_id == visit.patient


def test_strangers_speak_of_completions_of_their_own() -> None:
    assert not {body["inference_id"] for body in stranger_bodies(1)} & {
        body["inference_id"] for body in stranger_bodies(2)
    }


def test_stray_records_hold_as_many_bad_events_as_they_say() -> None:
    for payload, malformed, neighbours in stray_events("c-1"):
        events = _events(payload)
        good = sum(_is_valid(event) for event in events)
        assert (len(events) - good, good) == (malformed, neighbours)


def test_refusable_bodies_differ_from_one_another() -> None:
    bodies = [json.dumps(body) for body in refusable_bodies("c-1")]
    assert len(set(bodies)) == len(bodies)


TALLY = Tally(twice=3, malformed=7, neighbours=1, strangers=5)
TALLY.kinds.update(thumbs=80, rating=20)


def test_received_is_all_that_was_acknowledged_or_put_on_the_topic() -> None:
    assert expected_received(TALLY) == 80 + 20 + 1 + 7 + 5 + 3


def test_counts_that_are_what_was_sent_add_up() -> None:
    must_add_up(Counts(received=116, accepted=101, duplicate=3, dead=12, pending=0), TALLY)


@pytest.mark.parametrize(("accepted", "duplicate", "dead"), [(100, 3, 12), (101, 4, 12), (101, 3, 11)])
def test_one_event_too_few_or_too_many_ends_the_story(accepted: int, duplicate: int, dead: int) -> None:
    counts = Counts(accepted + duplicate + dead, accepted, duplicate, dead, pending=0)
    with pytest.raises(StoryDiffers):
        must_add_up(counts, TALLY)


def _events(payload: bytes) -> list[object]:
    try:
        value = json.loads(payload)
    except ValueError:
        return [None]
    return value if isinstance(value, list) else [value]


def _is_valid(event: object) -> bool:
    try:
        FeedbackEvent.model_validate(event)
    except ValidationError:
        return False
    return True
