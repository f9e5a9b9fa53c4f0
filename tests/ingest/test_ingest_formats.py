"""Recordings as messages: rows, bad rows with their numbers, ids from the content; and real files, where they are."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from infra.cli import root
from ingest import recording, replay
from ingest.formats import FORMATS
from ingest.formats.rows import Source
from ingest.reconciliation import expected
from ingest.recording import Recording
from ingest.stress import Stress, deliveries
from ingest.tensorzero import FeedbackRequest, to_body, to_event
from matrix.errors import InvalidInput, PlumblineError
from matrix.messages.feedback import FeedbackKind
from tests.fakes.feedback import AT, completion, thumb

DATA = Path(os.environ.get("PLUMBLINE_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def load(form: str, text: str) -> Recording:
    return recording.load(Source("made.json", text, "replayed"), FORMATS[form])


def orphans(found: Recording) -> int:
    return expected(deliveries(found.items, Stress())).orphans


def dialogue(*messages: tuple[str, int | None], rating: int | None = None) -> dict[str, Any]:
    said = [
        {"id": n, "sender": "x", "text": f"text {n}", "evaluation_score": score, "sender_class": who}
        for n, (who, score) in enumerate(messages)
    ]
    return {
        "dialog": said, "start_time": "2018-07-09 04:00:00", "end_time": "2018-07-09 05:00:00",
        "bot_profile": ["i like tea."], "user_profile": [], "eval_score": rating, "profile_match": "",
        "participant1_id": {"class": "User", "user_id": "u"}, "participant2_id": {"class": "Bot", "user_id": "b"},
    }  # fmt: skip


def test_a_dialogue_gives_a_completion_for_each_message_of_the_bot_thumbs_and_a_rating() -> None:
    row = dialogue(("Bot", 1), ("Human", None), ("Bot", None), ("Bot", 0), rating=4)
    found = load("convai2", json.dumps([row]))
    assert [(event.kind, event.value) for event in found.events()] == [("thumb", True), ("thumb", False), ("rating", 4)]
    assert len(found.items) - len(found.events()) == 3
    assert (found.bad_rows, orphans(found)) == ((), 0)


def test_what_is_no_feedback_in_a_dialogue_is_named_and_costs_nothing_else() -> None:
    rows = [dialogue(("Human", 1), ("Bot", 1)), dialogue(("Human", None), rating=3), {}, dialogue(("Bot", 1), rating=9)]
    found = load("convai2", json.dumps(rows))
    assert len(found.events()) == 1
    assert [bad.line for bad in found.bad_rows] == [1, 2, 3, 4]
    assert (found.rows, found.bad_rows[2].reason) == (4, "dialog: missing")


def test_grades_become_ratings() -> None:
    row = {
        "feedback": "Partially Correct",
        "workerId": "w",
        "context": "c",
        "question": "q",
        "pred": "p",
        "log_prob": -1,
    }
    text = "\n".join([json.dumps(row), "{", json.dumps(row | {"feedback": "Maybe"})])
    found = load("qa-from-hf", text)
    assert [event.value for event in found.events()] == [3]
    assert [bad.line for bad in found.bad_rows] == [2, 3]


def test_each_rater_gives_a_rating_and_a_comment() -> None:
    passage = {"source": "WHO", "reference": {"section_content": "Wash your hands."}}
    row = {"question": "How?", "passage": passage, "rating": ["Bad", "Excellent"], "feedback": ["too short", " "]}
    found = load("feedbackqa", json.dumps([row, row | {"rating": ["Bad"]}]))
    assert Counter(event.kind for event in found.events()) == {FeedbackKind.RATING: 2, FeedbackKind.COMMENT: 1}
    assert [bad.line for bad in found.bad_rows] == [2]


def test_own_lines_are_read_as_they_are() -> None:
    found = load("jsonl", "\n".join(json.dumps(one) for one in (thumb(), completion(), thumb(kind="wink"))))
    assert ([item.line for item in found.items], [bad.line for bad in found.bad_rows]) == ([1, 2], [3])


@given(text=st.text(max_size=40), form=st.sampled_from(sorted(FORMATS)))
def test_any_text_is_read_or_refused_in_one_line(text: str, form: str) -> None:
    assert "\n" not in refusal(form, text)


def refusal(form: str, text: str) -> str:
    try:
        load(form, text)
    except InvalidInput as error:
        return str(error)
    return ""


@given(value=st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_row_of_any_other_shape_is_a_bad_row(form: str, value: object) -> None:
    text = json.dumps(value) if form in ("jsonl", "qa-from-hf") else json.dumps([value])
    found = load(form, text)
    assert found.items == ()
    assert len(found.bad_rows) == 1


def test_moving_a_recording_keeps_its_order_and_its_ids_and_ends_now_within_the_limit() -> None:
    found = load("convai2", json.dumps([dialogue(("Bot", 1), ("Bot", 0), rating=2)]))
    moved = recording.moved(found, AT, timedelta(minutes=6))
    assert [event.occurred_at for event in moved.events()] == [AT - timedelta(minutes=m) for m in (6, 3, 0)]
    assert [event.event_id for event in moved.events()] == [event.event_id for event in found.events()]
    assert [item.at for item in moved.items] == [item.at for item in found.items]


def test_messages_are_due_at_a_rate_or_as_recorded() -> None:
    found = load("convai2", json.dumps([dialogue(("Bot", 1), ("Human", None), ("Bot", None), ("Human", None))]))
    planned = deliveries(found.items, Stress())
    assert [after for after, _ in replay.due_times(planned, rate=2, speed=None)] == [0, 0.5, 1]
    assert [round(after) for after, _ in replay.due_times(planned, rate=None, speed=60)] == [0, 0, 30]


@pytest.mark.parametrize("event", load("jsonl", "\n".join(map(json.dumps, [
    thumb(), thumb(kind="rating", value=3), thumb(kind="comment", value=None, text="so"),
    thumb(kind="edit", value=None, text="so"), thumb(kind="regenerate", value=None, user_id="u"),
    thumb(kind="report", value=None, category="unsafe", text="why", tags={"a": "b"}),
]))).events())  # fmt: skip
def test_an_event_survives_the_way_through_the_request_body(event: Any) -> None:
    body = FeedbackRequest.model_validate(json.loads(json.dumps(to_body(event))))
    assert to_event(body, body.id or "", AT) == event


@pytest.mark.parametrize(
    ("content", "form", "code"),
    [
        (b"not json", "jsonl", 2),
        (b"{}", "convai2", 2),
        (b"\xff", "jsonl", 2),
        (b"\x1f\x8bcut", "jsonl", 2),
        (gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 12, "jsonl", 2),
        (b"", "x", 2),
    ],
)
def test_a_file_that_is_no_recording_is_one_line(tmp_path: Path, content: bytes, form: str, code: int) -> None:
    file = tmp_path / "recording"
    file.write_bytes(content)
    result = CliRunner().invoke(root, ["ingest", "replay", str(file), "--format", form])
    assert isinstance(result.exception, PlumblineError) or (result.exit_code == code and form == "x")
    assert "\n" not in str(result.exception)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["ingest", "replay", str(tmp_path / "none"), "--format", "jsonl"])
    assert isinstance(result.exception, InvalidInput)


REAL = [
    ("convai2-wild/data_intermediate.json", "convai2", 2191, 439 + 120, 78),
    *((f"qa-from-hf/long_term/train-data-round{n}.jsonl.gz", "qa-from-hf", rows, rows, 0)
      for n, rows in enumerate((217, 206, 185, 205, 201), 1)),
    ("feedbackqa/WHO/feedback_valid.json", "feedbackqa", 129, 516, 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form", "completions", "events", "bad"), REAL)
def test_real_recordings_are_read_whole(name: str, form: str, completions: int, events: int, bad: int) -> None:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"{file} is absent; set PLUMBLINE_TEST_DATA to the folder of public recordings")
    raw = file.read_bytes()
    found = load(form, (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode())
    assert len({item.message.completion_id for item in found.items}) == completions
    assert len({event.event_id for event in found.events()}) == len(found.events()) == events
    assert (len(found.bad_rows), orphans(found)) == (bad, 0)
