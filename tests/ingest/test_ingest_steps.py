"""What is set aside, under which reason, and naming which field."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.streams import split
from ingest import arrivals, steps
from ingest.steps import AgeLimits, Arrival, Duplicate, First, Kept, Reason, State
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, Position
from matrix.results import DeadLetter, Ok
from tests.fakes.feedback import AT, completion, thumb
from tests.fakes.privacy import PRIVACY

LIMITS = AgeLimits()

deep: list[Any] = []
for _ in range(900):
    deep = [deep]

BAD: list[tuple[str, object, Reason, str | None]] = [
    ("not an object", [1], Reason.MALFORMED, None),
    ("a number", 7, Reason.MALFORMED, None),
    ("nested too deep", thumb(tags={"a": deep}), Reason.MALFORMED, None),
    ("unknown field", thumb(mood="good"), Reason.UNKNOWN_FIELD, "mood"),
    ("missing field", {"event_id": "e1"}, Reason.MISSING_FIELD, "completion_id"),
    ("wrong type", thumb() | {"event_id": 7}, Reason.WRONG_TYPE, "event_id"),
    ("no zone", thumb(occurred_at="2026-01-01T00:00:00"), Reason.WRONG_TYPE, "occurred_at"),
    ("no time", thumb(occurred_at="yesterday"), Reason.WRONG_TYPE, "occurred_at"),
    ("tag of a wrong type", thumb(tags={"a": 1}), Reason.WRONG_TYPE, "tags.a"),
    ("empty id", thumb(event_id=""), Reason.OUT_OF_RANGE, "event_id"),
    ("id with a line break", thumb(event_id="a\nb"), Reason.OUT_OF_RANGE, "event_id"),
    ("thumb with a number", thumb(value=1), Reason.OUT_OF_RANGE, "value"),
    ("rating of six", thumb(kind="rating", value=6), Reason.OUT_OF_RANGE, "value"),
    ("rating too long for a float", thumb(kind="rating", value=10**400), Reason.OUT_OF_RANGE, "value"),
    ("comment without text", thumb(kind="comment", value=None), Reason.OUT_OF_RANGE, "text"),
    ("too long a comment", thumb(kind="comment", value=None, text="x" * 20_001), Reason.OUT_OF_RANGE, "text"),
    ("NUL", thumb(kind="comment", value=None, text="a\x00b"), Reason.OUT_OF_RANGE, "text"),
    ("half a surrogate pair", thumb(kind="comment", value=None, text="\ud800"), Reason.OUT_OF_RANGE, "text"),
    ("unknown kind", thumb(kind="wink"), Reason.UNKNOWN_KIND, "kind"),
    ("schema of tomorrow", thumb(schema_version=2), Reason.OUT_OF_RANGE, "schema_version"),
    ("too old", thumb(occurred_at=(AT - timedelta(days=30, seconds=1)).isoformat()), Reason.TOO_OLD, "occurred_at"),
    ("future", thumb(occurred_at=(AT + timedelta(seconds=301)).isoformat()), Reason.IN_THE_FUTURE, "occurred_at"),
]


@pytest.mark.parametrize(("value", "reason", "field"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_event_is_a_dead_letter_that_names_reason_and_field(value: object, reason: Reason, field: str) -> None:
    judged = steps.judge(value, AT, LIMITS)
    assert isinstance(judged, DeadLetter)
    assert (judged.reason, judged.field) == (reason, field)


@pytest.mark.parametrize("at", [AT - LIMITS.max_age, AT + LIMITS.max_skew])
def test_an_event_at_an_age_limit_is_kept(at: Any) -> None:
    assert isinstance(steps.judge(thumb(occurred_at=at.isoformat()), AT, LIMITS), Ok)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from([*thumb(), "tags", "text", "user_id"]) | st.text(), json_values))
def test_nothing_that_json_can_say_escapes_as_an_exception(changes: dict[str, object]) -> None:
    judged = steps.judge(thumb() | changes, AT, LIMITS)
    if isinstance(judged, DeadLetter):
        (judged.detail + (judged.field or "")).encode()
        assert "\x00" not in judged.detail + (judged.field or "")


def test_a_retry_stamped_later_is_the_same_event() -> None:
    first, second = (FeedbackEvent.model_validate(thumb(occurred_at=at)) for at in (AT, AT + timedelta(seconds=9)))
    assert steps.fingerprint(first) == steps.fingerprint(second)


def test_another_text_under_the_same_completion_id_is_another_body() -> None:
    first, second = (CompletionServed.model_validate(completion(completion=text)) for text in ("a", "b"))
    assert steps.fingerprint(first) != steps.fingerprint(second)


def arrival(number: int, **fields: Any) -> Arrival[FeedbackEvent]:
    judged = steps.judge(thumb(**fields), AT, LIMITS)
    position = Position(topic="t", partition=0, offset=number, position=0)
    return Arrival(position, "", fields.get("tenant", "default"), judged, Kept(""))


def test_the_first_body_of_an_id_stands_within_a_batch() -> None:
    arrived = [arrival(0), arrival(1), arrival(2, value=False), arrival(3, event_id="e2", completion_id="c2")]
    outcomes = [placed.outcome for placed in steps.place(arrived, {}, frozenset({("default", "c1")}))]
    assert isinstance(outcomes[0], First)
    assert outcomes[0].state is State.ACCEPTED
    assert outcomes[1] == Duplicate("e1")
    assert isinstance(outcomes[2], DeadLetter)
    assert outcomes[2].reason == Reason.ID_CONFLICT
    assert isinstance(outcomes[3], First)
    assert outcomes[3].state is State.PENDING


GOOD, OLD = arrival(0).judged, steps.judge(thumb(occurred_at="2001-01-01T00:00:00Z"), AT, LIMITS)
GARBLED = steps.judge(None, AT, LIMITS)


@pytest.mark.parametrize(
    ("judged", "before", "expected"),
    [
        ([GARBLED, GARBLED], 0, (2, False)),
        ([GARBLED, GARBLED], 1, (3, True)),
        ([GARBLED, GOOD, GARBLED], 2, (3, True)),
        ([GOOD, GARBLED, GARBLED], 2, (2, False)),
        ([OLD, OLD, OLD], 2, (0, False)),
    ],
)
def test_only_a_run_of_undecodable_events_reaches_the_limit(
    judged: list[Ok[FeedbackEvent] | DeadLetter], before: int, expected: tuple[int, bool]
) -> None:
    assert steps.undecodable_run(judged, before, 3) == expected


def test_ids_are_another_tenants_own() -> None:
    arrived = [arrival(0), arrival(1, tenant="north", value=False)]
    outcomes = [placed.outcome for placed in steps.place(arrived, {}, frozenset({("north", "c1")}))]
    assert [one.state for one in outcomes if isinstance(one, First)] == [State.PENDING, State.ACCEPTED]


def test_what_is_sent_without_consent_is_set_aside_before_its_age_is_looked_at() -> None:
    old = (AT - timedelta(days=99)).isoformat()
    for judged in (
        steps.judge(thumb(consent=False, occurred_at=old), AT, LIMITS),
        steps.judge_completion(completion(consent=False, served_at=old), AT, LIMITS),
    ):
        assert isinstance(judged, DeadLetter)
        assert (judged.reason, judged.field) == (Reason.NO_CONSENT, "consent")


def test_a_fingerprint_is_that_of_the_messages_fields_in_jsons_terms() -> None:
    event = FeedbackEvent.model_validate(thumb(tags={"b": "1", "a": "2"}))
    on_the_wire = json.loads(event.to_payload())
    assert steps.fingerprint_of(on_the_wire | {"text": None}) == steps.fingerprint(event)


@given(raw=st.binary(max_size=60))
def test_any_payload_can_be_kept_and_stored(raw: bytes) -> None:
    (one,) = split(raw, Position(topic="t", partition=0, offset=0, position=0)) if raw[:1] != b"[" else [None]
    if one is not None:
        kept = arrivals.feedback(one, AT, LIMITS, PRIVACY).kept.text
        assert "\x00" not in kept
        kept.encode("utf-8")
