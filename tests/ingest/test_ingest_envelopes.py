"""CloudEvents are opened, everything else is left as it is, and what cannot be opened says why."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingest import arrivals, schema
from ingest.envelopes import Unopened, opened
from ingest.steps import UNDECODABLE, AgeLimits, Reason
from matrix.results import DeadLetter
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.feedback import AT, completion, record, thumb
from tests.fakes.privacy import PRIVACY

LIMITS = AgeLimits(timedelta(days=30), timedelta(minutes=5))
FITS = Draft202012Validator(schema.of("feedback"))


def event(**attributes: Any) -> dict[str, Any]:
    required = {"id": "1", "source": "/chat", "specversion": "1.0", "type": "feedback.received.v1"}
    return required | attributes


def packed(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "envelope",
    [
        event(data=thumb()),
        event(
            data=thumb(),
            datacontenttype="application/json; charset=utf-8",
            time="2026-01-01T00:00:00Z",
            traceparent="00",
        ),
        event(data=thumb(), datacontenttype="application/vnd.chat+json", type="com.example.feedback.received.v1"),
        event(data_base64=packed(thumb())),
        event(data=None, data_base64=packed(thumb())),
    ],
)
def test_an_envelope_gives_what_it_holds(envelope: dict[str, Any]) -> None:
    assert opened(envelope, FEEDBACK_RECEIVED) == thumb()


def test_a_completion_comes_in_an_envelope_of_its_own_topic() -> None:
    envelope = event(type="completion.served.v1", data=completion())
    assert opened(envelope, COMPLETION_SERVED) == completion()
    assert isinstance(opened(envelope, FEEDBACK_RECEIVED), Unopened)


@pytest.mark.parametrize("value", [thumb(), {}, [], None, "specversion", 3])
def test_what_is_no_envelope_is_left_as_it_is(value: object) -> None:
    assert opened(value, FEEDBACK_RECEIVED) is value


@pytest.mark.parametrize(
    ("envelope", "field"),
    [
        (event(specversion="0.3", data={}), "specversion"),
        (event(specversion=1.0, data={}), "specversion"),
        (event(type="feedback.accepted.v1", data={}), "type"),
        (event(type="xfeedback.received.v1", data={}), "type"),
        (event(id="", data={}), "id"),
        ({"specversion": "1.0"}, "id"),
        (event(source=3, data={}), "source"),
        (event(datacontenttype="application/xml", data="<a/>"), "datacontenttype"),
        (event(datacontenttype=3, data={}), "datacontenttype"),
        (event(), "data"),
        (event(data={}, data_base64=packed({})), "data_base64"),
        (event(data_base64="%%%"), "data_base64"),
        (event(data_base64=base64.b64encode(b"{").decode()), "data_base64"),
        (event(data_base64=base64.b64encode(b'{"value": NaN}').decode()), "data_base64"),
        (event(data_base64=base64.b64encode(b"[" * 100_000).decode()), "data_base64"),
        (event(data_base64=3), "data"),
    ],
)
def test_what_cannot_be_opened_names_the_attribute(envelope: dict[str, Any], field: str) -> None:
    found = opened(envelope, FEEDBACK_RECEIVED)
    assert isinstance(found, Unopened)
    assert (found.field, bool(found.rule)) == (field, True)


values = (
    st.none() | st.booleans() | st.text(max_size=4) | st.sampled_from(["1.0", "feedback.received.v1", packed(thumb())])
)
NAMES = ["id", "source", "specversion", "type", "datacontenttype", "data", "data_base64"]


@given(envelope=st.dictionaries(st.sampled_from(NAMES), values))
def test_nothing_in_an_envelope_raises_and_what_is_published_as_valid_opens(envelope: dict[str, Any]) -> None:
    found = opened(envelope, FEEDBACK_RECEIVED)
    if FITS.is_valid(envelope):
        assert not isinstance(found, Unopened) or found.field == "data_base64"  # a schema does not look into base64


def arrived(envelope: dict[str, Any]) -> Any:
    (one,) = record(FEEDBACK_RECEIVED.name, 0, envelope)
    return arrivals.feedback(one, AT, LIMITS, PRIVACY)


def test_the_worker_takes_an_envelopes_message_as_if_it_had_come_alone() -> None:
    alone = arrived(thumb(tenant="clinic"))
    for envelope in (event(data=thumb(tenant="clinic")), event(data_base64=packed(thumb(tenant="clinic")))):
        assert arrived(envelope).judged == alone.judged
        assert (arrived(envelope).tenant, arrived(envelope).kept) == ("clinic", alone.kept)


def test_a_message_that_is_refused_is_kept_without_its_envelope() -> None:
    found = arrived(event(data=thumb(kind="wink")))
    assert found.judged.reason == Reason.UNKNOWN_KIND
    assert json.loads(found.kept.text) == thumb(kind="wink")


def test_what_an_envelope_hides_in_base64_is_redacted_like_all_else() -> None:
    said = thumb(tenant="clinic", kind="comment", value=None, text="write to ann@example.org")
    for envelope in (event(data_base64=packed(said), type="other"), event(data_base64=packed(said), specversion="2.0")):
        found = arrived(envelope)
        assert (found.judged.reason, found.tenant) == (Reason.UNKNOWN_ENVELOPE, "clinic")
        kept = json.loads(found.kept.text)
        assert "ann@example.org" not in found.kept.text
        assert ("data_base64" in kept, kept["data"]["kind"]) == (False, "comment")


def test_nothing_is_kept_of_a_closed_envelope_without_consent() -> None:
    assert arrived(event(data=thumb(consent=False), type="other")).kept.text == ""


def test_an_envelope_of_an_unknown_version_counts_towards_a_run_that_stops_the_stream() -> None:
    assert arrived(event(specversion="0.3")).judged.reason in UNDECODABLE


def test_no_depth_of_nesting_stops_the_worker() -> None:
    for depth in (*range(300, 1000, 10), 5000):
        deep = "[" * depth + "]" * depth
        inner = base64.b64encode(f'{{"data": {deep}}}'.encode()).decode()
        plain = json.dumps(event(data=0)).replace('"data": 0', f'"data": {deep}')
        for body in (plain, json.dumps(event(data_base64=inner))):
            (one,) = record(FEEDBACK_RECEIVED.name, 0, body.encode())
            assert isinstance(arrivals.feedback(one, AT, LIMITS, PRIVACY).judged, DeadLetter)
