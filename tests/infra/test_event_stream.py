"""Server-sent events are read by the specification's rules however the bytes arrive."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.event_stream import MAX_EVENT_BYTES, EventReader, EventTooLarge, written

texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\u2028\u2029\x85\x0b\x1c:"))


@given(st.lists(texts, max_size=5), st.lists(st.integers(0, 300), max_size=8))
def test_what_is_written_is_read_whatever_it_is_cut_into(said: list[str], cuts: list[int]) -> None:
    sent = b"".join(written({"text": text}) for text in said)
    edges = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    reader = EventReader()
    events = [event for start, end in pairwise(edges) for event in reader.read(sent[start:end])]
    assert [json.loads(event)["text"] for event in events] == said


@given(texts)
def test_what_is_written_has_no_line_break_but_those_of_the_event(said: str) -> None:
    (line, blank) = written({"text": said}).decode().splitlines()
    assert (line.startswith("data: "), blank) == (True, "")


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_end_of_line_is_one_and_comments_and_other_fields_are_passed_over(end: bytes) -> None:
    lines = [b": still here", b"event: x", b"id: 1", b"data: a", b"data:b", b"", b"data", b"", b"data: c", b"", b""]
    assert EventReader().read(end.join(lines) + b": z") == ["a\nb", "c"]


def test_an_event_that_never_ends_is_given_up() -> None:
    endless = b"data: x\n" * (MAX_EVENT_BYTES + 1)
    with pytest.raises(EventTooLarge):
        EventReader().read(endless)
