"""The published schemas and the code agree: what either refuses the other does not take, as far as a schema can say."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from infra.cli import root
from ingest import schema, steps
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import CARRIES, DeadFeedback, FeedbackEvent, FeedbackKind
from matrix.results import Ok
from tests.fakes.feedback import AT, completion, thumb

VALIDATORS = {name: Draft202012Validator(schema.of(name)) for name in schema.NAMES}

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
times = st.timedeltas(timedelta(days=-9000), timedelta(days=60000)).map(lambda ago: AT + ago)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(lambda at, zone: at.astimezone(zone).isoformat(), times, zones)
VALUES: dict[FeedbackKind, st.SearchStrategy[Any]] = {
    FeedbackKind.THUMB: st.booleans(),
    FeedbackKind.RATING: st.integers(1, 5) | st.floats(1, 5),
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(FeedbackKind))
    made: dict[str, Any] = {"event_id": draw(names), "completion_id": "c1", "kind": kind.value}
    made |= {
        "occurred_at": draw(moments),
        "tags": draw(st.dictionaries(names, st.text(max_size=3).filter(_plain), max_size=2)),
    }
    carried = {
        "value": VALUES.get(kind, st.none()),
        "text": texts,
        "category": st.just("unsafe"),
        "rejected_completion_id": st.just("c2"),
    }
    made |= {name: draw(carried[name]) for name, needed in CARRIES[kind]._asdict().items() if needed}
    if kind is FeedbackKind.REPORT and draw(st.booleans()):
        made["text"] = draw(texts)
    optional = {
        "user_id": names,
        "tenant": st.just("clinic-1"),
        "consent": st.booleans(),
        "schema_version": st.just(1),
        "text": st.none(),
    }
    return made | {name: draw(values) for name, values in optional.items() if name not in made and draw(st.booleans())}


def _plain(text: str) -> bool:
    return "\x00" not in text and text.isprintable()


def enveloped(data: object) -> dict[str, Any]:
    return {
        "id": "1",
        "source": "/chat",
        "specversion": "1.0",
        "type": "com.example.feedback.received.v1",
        "data": data,
    }


def valid(name: str, instance: object) -> bool:
    return bool(VALIDATORS[name].is_valid(instance))


@pytest.mark.parametrize("name", schema.NAMES)
def test_the_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schema.of(name))


@given(event=events())
def test_every_event_that_the_code_takes_fits_alone_in_a_list_and_in_an_envelope(event: dict[str, Any]) -> None:
    assert isinstance(steps.decode(event, FeedbackEvent), Ok)
    for record in (event, [event, event], enveloped(event), [enveloped(event), event]):
        assert valid("feedback", record)


@given(event=events())
def test_what_the_code_writes_fits(event: dict[str, Any]) -> None:
    assert valid("feedback", json.loads(FeedbackEvent.model_validate(event).to_payload()))


BENT = {
    "kind": st.sampled_from([*FeedbackKind, "wink"]),
    "value": st.sampled_from([None, True, 0, 1, 5, 5.5, 6, "5"]),
    "text": st.sampled_from([None, "", "so", "a\x00b", 1]),
    "category": st.sampled_from([None, "unsafe", "Unsafe", ""]),
    "rejected_completion_id": st.sampled_from([None, "c2", ""]),
    "user_id": st.sampled_from([None, "", "u" * 129, "a\nb"]),
    "occurred_at": st.sampled_from(["yesterday", "2026-01-01", "2026-01-01T00:00:00"])
    | st.sampled_from(["1999-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "2026-13-01T00:00:00Z"]),
    "tags": st.sampled_from([{"a": 1}, {"": "b"}, {"a\x01": "b"}, {"a": "b" * 257}, {str(n): "" for n in range(33)}]),
    "consent": st.sampled_from([0, "true", None]),
    "tenant": st.sampled_from(["Clinic", "", None]),
    "schema_version": st.sampled_from([2, "1"]),
    "mood": st.just("good"),
}  # fmt: skip


@given(event=events(), data=st.data())
def test_a_bent_event_is_refused_by_both_or_by_none(event: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(BENT)))
    bent = event | {name: data.draw(BENT[name])}
    assert valid("feedback", bent) == isinstance(steps.decode(bent, FeedbackEvent), Ok)
    assert valid("feedback", [event, bent]) == valid("feedback", enveloped(bent)) == valid("feedback", bent)


@pytest.mark.parametrize("field", ["event_id", "completion_id", "kind", "occurred_at", "value"])
def test_a_field_that_is_needed_is_asked_for(field: str) -> None:
    assert not valid("feedback", {name: value for name, value in thumb().items() if name != field})


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"type": "completion.served.v1"},
        {"type": "xfeedback.received.v1"},
        {"source": ""},
        {"datacontenttype": "text/xml"},
        {"data_base64": "e30="},
    ],
)
def test_an_envelope_that_is_none_is_refused(changes: dict[str, str]) -> None:
    assert valid("feedback", enveloped(thumb()) | {"datacontenttype": "application/json; charset=utf-8"})
    assert not valid("feedback", enveloped(thumb()) | changes)


@pytest.mark.parametrize("record", [[], [[thumb()]], None, "text", completion()])
def test_what_is_no_record_is_refused(record: object) -> None:
    assert not valid("feedback", record)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"audit_rate": 0.02, "audited": True},
        {"propensity": 0},
        {"prompt": []},
        {"adapter_digest": "short"},
        {"policy": "A"},
    ],
)
def test_completions_are_refused_by_both_or_by_none(changes: dict[str, Any]) -> None:
    record = completion(**changes)
    assert valid("completion", record) == isinstance(steps.decode(record, CompletionServed), Ok)


def test_a_dead_letter_is_described_as_it_is_written() -> None:
    where = {"topic": "feedback.received.v1", "partition": 0, "offset": 1, "position": 0}
    said = {"reason": "malformed", "detail": "no JSON", "step": "decode", "payload": "{", "set_aside_at": AT}
    letter = DeadFeedback.model_validate(said | where)
    assert valid("dead-letter", json.loads(letter.to_payload()))
    assert not valid("dead-letter", [json.loads(letter.to_payload())])


@pytest.mark.parametrize("name", schema.NAMES)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_prints_it(name: str, options: list[str]) -> None:
    result = CliRunner().invoke(root, ["ingest", "schema", "--of", name, *options])
    assert (result.exit_code, json.loads(result.stdout)) == (0, schema.of(name))
    assert (result.stdout.count("\n") == 1) is bool(options)
