"""What a message accepts, every store and every record can hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from matrix.messages.base import MAX_RECORD_BYTES, unstorable
from matrix.messages.completion import MAX_CHARACTERS, CompletionServed
from matrix.messages.feedback import MAX_TEXT, FeedbackAccepted, FeedbackEvent

EVENT: dict[str, Any] = {
    "event_id": "e1",
    "completion_id": "c1",
    "kind": "comment",
    "text": "fine",
    "occurred_at": "2026-01-01T09:00:00+02:00",
}
COMPLETION: dict[str, Any] = {
    "completion_id": "c1",
    "policy": "clinic-assistant",
    "adapter_digest": "0" * 64,
    "prompt": [{"role": "user", "content": "hello"}],
    "completion": "hello",
    "served_at": "2026-01-01T09:00:00Z",
}


def test_times_come_out_in_utc() -> None:
    event = FeedbackEvent.model_validate(EVENT)
    assert event.occurred_at == datetime(2026, 1, 1, 7, tzinfo=UTC)
    assert event.occurred_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1999-01-01T00:00:00Z"])
def test_times_that_a_store_could_not_give_back_are_refused(moment: str) -> None:
    with pytest.raises(ValidationError, match="between the years"):
        CompletionServed.model_validate(COMPLETION | {"served_at": moment})


def test_the_largest_accepted_event_fits_a_record() -> None:
    # Control characters are spelled with six bytes each, the worst that JSON does.
    half = MAX_CHARACTERS // 2
    prompt = [{"role": "user", "content": "\x01" * half}]
    completion = COMPLETION | {"prompt": prompt, "completion": "\x01" * half}
    tags = {f"{number:02}" + "\x7e" * 126: "\x01" * 256 for number in range(32)}
    event = EVENT | {"text": "\x01" * MAX_TEXT, "tags": tags}
    accepted = FeedbackAccepted.model_validate({"event": event, "completion": completion})
    assert len(accepted.to_payload()) < MAX_RECORD_BYTES


def test_a_conversation_that_would_not_fit_is_refused() -> None:
    turns = [{"role": "user", "content": "x" * 90_000}] * 2
    with pytest.raises(ValidationError, match="characters"):
        CompletionServed.model_validate(COMPLETION | {"prompt": turns})


@given(text=st.text())
def test_text_is_storable_exactly_if_utf8_can_spell_it_without_nul(text: str) -> None:
    try:
        spelled = text.encode()
    except UnicodeEncodeError:
        spelled = b"\x00"
    assert (unstorable({"a": [text]}) is None) == (b"\x00" not in spelled)


@given(st.dictionaries(st.text(st.characters(codec=None)), st.just("\x00"), min_size=1))
def test_the_path_of_unstorable_text_can_be_told_whatever_the_names(value: dict[str, str]) -> None:
    where = unstorable(value)
    assert where is not None
    assert unstorable(where) is None


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_unstorable_text_is_refused_by_its_path(text: str) -> None:
    with pytest.raises(ValidationError, match="text: holds a NUL or half"):
        FeedbackEvent.model_validate(EVENT | {"text": text})
    with pytest.raises(ValidationError, match="tags"):
        FeedbackEvent.model_validate(EVENT | {"tags": {"a": text}})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "thumb", "value": True}, "text"),
        ({"kind": "thumb", "text": None, "value": 1}, "value"),
        ({"kind": "rating", "text": None, "value": 6}, "value"),
        ({"kind": "rating", "text": None, "value": True}, "value"),
        ({"kind": "edit", "text": None}, "text"),
        ({"kind": "report"}, "category"),
        ({"kind": "regenerate"}, "text"),
        ({"value": True}, "value"),
    ],
)
def test_a_kind_carries_what_its_row_says_and_nothing_else(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        FeedbackEvent.model_validate(EVENT | changes)
