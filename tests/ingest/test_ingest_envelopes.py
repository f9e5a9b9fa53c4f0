"""CloudEvents are opened, everything else is left as it is, and what cannot be opened says why."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingest import schema
from ingest.envelopes import Unopened, opened
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.feedback import completion, thumb

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
