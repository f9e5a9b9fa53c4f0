"""A record carries one event or a list; what is not JSON is an event too, to be set aside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.streams import MALFORMED, split
from matrix.messages.feedback import Position

AT = Position(topic="t", partition=1, offset=7, position=0)
events = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3)


@given(many=st.lists(events, max_size=5))
def test_a_list_is_split_into_its_elements_with_their_positions(many: list[dict[str, object]]) -> None:
    arrived = list(split(json.dumps(many).encode(), AT))
    assert [one.value for one in arrived] == many
    assert [one.position.position for one in arrived] == list(range(len(many)))
    assert all((one.position.topic, one.position.offset) == ("t", 7) for one in arrived)


@given(one=events)
def test_a_single_event_keeps_its_bytes(one: dict[str, object]) -> None:
    raw = json.dumps(one, indent=1).encode()
    (arrived,) = split(raw, AT)
    assert (arrived.raw, arrived.value) == (raw, one)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"value": NaN}', b"[" * 100_000])
def test_what_is_not_json_is_malformed_and_kept_as_it_came(raw: bytes) -> None:
    (arrived,) = split(raw, AT)
    assert (arrived.raw, arrived.value) == (raw, MALFORMED)


@given(raw=st.binary(max_size=50))
def test_no_bytes_escape_as_an_exception(raw: bytes) -> None:
    assert list(split(raw, AT)) or raw.strip() == b"[]"
