"""Exports of other services as recordings: the items of the connectors, with rows, ids that repeat and times."""

from __future__ import annotations

import json

import pytest

from ingest import recording
from ingest.connectors import CONNECTORS
from ingest.formats import FORMATS
from ingest.formats.rows import EPOCH, Source
from matrix.messages.completion import CompletionServed
from tests.fakes.foreign import RECORDED, Recorded

exports = pytest.mark.parametrize(
    "one",
    [one for one in RECORDED if one.connector in CONNECTORS],
    ids=lambda one: f"{one.connector}-{one.payload.__name__}",
)


def load(form: str, text: str) -> recording.Recording:
    return recording.load(Source("export.json", text, "clinic-assistant"), FORMATS[form])


def test_every_connector_is_a_format() -> None:
    assert set(CONNECTORS) <= set(FORMATS)


@exports
@pytest.mark.parametrize("shape", ["object", "list", "lines"])
def test_an_export_is_read_in_every_shape(one: Recorded, shape: str) -> None:
    item = json.dumps(one.payload())
    text = {"object": item, "list": f"[{item}, {{}}]", "lines": f"{item}\n\n{{}}\nnot json"}[shape]
    found = load(one.connector, text)
    assert len(found.items) == len(one.gives)
    assert {bad.line for bad in found.bad_rows} == {"object": set(), "list": {2}, "lines": {3, 4}}[shape]


@exports
def test_an_export_that_is_read_again_is_the_same_messages(one: Recorded) -> None:
    text = json.dumps([one.payload()])
    assert load(one.connector, text) == load(one.connector, text)


def test_completions_are_credited_to_the_policy_that_is_named() -> None:
    for one in RECORDED:
        if one.connector in ("openai", "open-webui"):
            found = [item.message for item in load(one.connector, json.dumps(one.payload())).items]
            served = [message for message in found if isinstance(message, CompletionServed)]
            assert {message.policy for message in served} == {"clinic-assistant"}


def test_what_states_no_time_is_put_in_the_order_of_its_rows() -> None:
    body = {"metric_name": "thumbs", "value": True}
    found = load("tensorzero", json.dumps([body | {"inference_id": name} for name in "abc"]))
    assert [(event.occurred_at - EPOCH).total_seconds() for event in found.events()] == [1, 2, 3]
    assert not FORMATS["tensorzero"].has_times
