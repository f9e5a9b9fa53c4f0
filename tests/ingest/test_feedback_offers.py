"""The quick way and the long way to a payload never differ, and the quick one is certain or silent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.offers import Offers, event_of, written
from ingest.reading import Unreadable, read_one
from ingest.tensorzero import METRICS
from matrix.errors import InvalidInput
from tests.fakes.privacy import PRIVACY

AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
KEY = ("north", "e1")
OFFERS = Offers(PRIVACY)

words = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(  # codec=None: with halves of surrogate pairs
    ["", "x" * 300, "call 020 7946 0958", "anna@example.com", "a\x00b", "é\n", "half \ud83d", "\udc8a half"]
)
names = st.sampled_from(["user_id", "surface", "a" * 129, "", "x\ty", "anna@example.com", "\x7f", "\ud83d"]) | st.text(
    st.characters(codec=None), max_size=8
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 7), st.floats(), words, st.sampled_from([1.0, 5, 1e22, 10**30, 4.25])
)
times = st.sampled_from(
    ["2026-01-01T09:00:00Z", "2026-01-01T09:00:00.123456+05:30", "2200-01-01T00:00:00Z", "2199-12-31T23:59:00-11:00"]
)
requests = st.fixed_dictionaries(
    {"metric_name": st.sampled_from([*METRICS, "wink"]), "inference_id": st.just("c1") | words, "value": values},
    optional={
        "tags": st.dictionaries(names, words, max_size=3) | st.just({str(n): "x" for n in range(33)}),
        "user_id": words,
        "occurred_at": times,
        "text": st.none() | words,
        "category": st.none() | st.just("unsafe"),
        "consent": st.booleans(),
    },
)


@pytest.mark.slow
@settings(max_examples=600)
@given(said=requests)
def test_where_the_quick_way_speaks_it_says_what_the_long_way_says(said: dict[str, Any]) -> None:
    try:
        request = read_one(json.dumps(said).encode())
    except Unreadable:
        return
    quick = OFFERS.quick(vars(request), KEY, written(AT))
    try:
        slow = OFFERS.slow(request, KEY, AT)
    except InvalidInput:
        assert quick is None
        return
    assert quick is None or event_of(quick) == event_of(slow)


COMMON = [
    {"metric_name": "thumbs", "value": True},
    {"metric_name": "rating", "value": 4.5},
    {"metric_name": "regenerate"},
    {"metric_name": "copy"},
    {"metric_name": "comment", "value": "Clear, but too long; write to anna@example.com."},
    {"metric_name": "thumbs", "value": False, "occurred_at": "2026-01-01T09:00:00.5+02:00", "user_id": "Anna"},
]


@pytest.mark.parametrize("said", COMMON)
def test_what_is_common_takes_the_quick_way(said: dict[str, Any]) -> None:
    request = read_one(json.dumps(said | {"inference_id": "c1", "tags": {"user_id": "u1", "surface": "web"}}).encode())
    quick = OFFERS.quick(vars(request), KEY, written(AT))
    assert quick is not None
    assert event_of(quick) == event_of(OFFERS.slow(request, KEY, AT))


def test_a_payload_is_what_the_worker_reads() -> None:
    request = read_one(b'{"metric_name":"thumbs","inference_id":"c1","value":true}')
    offer = OFFERS.make(request, KEY, AT, is_named=True)
    event = event_of(offer.payload)
    assert (event.tenant, event.event_id, event.completion_id) == (*offer.key, offer.completion_key[1])
    with pytest.raises(ValidationError):
        event_of(offer.payload[:-1])
