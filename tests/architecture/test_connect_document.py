"""docs/connect.md does what it says: every example is sent and becomes what is shown, every declared file is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ingest import arrivals, schema
from ingest.connectors import CONNECTORS, langfuse, webhook
from ingest.connectors.items import Taken
from ingest.steps import AgeLimits
from matrix.results import Ok
from matrix.topics import FEEDBACK_RECEIVED
from tests.fakes.feedback import AT, record
from tests.fakes.foreign import DELIVERY
from tests.fakes.privacy import PRIVACY

TEXT = (Path(__file__).parents[2] / "docs" / "connect.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```([^\n]+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PAIRS = [
    (info.removeprefix("json connector="), json.loads(block), json.loads(BLOCKS[place + 1][1]))
    for place, (info, block) in enumerate(BLOCKS)
    if info.startswith("json connector=")
]
RECORDS = [json.loads(block) for info, block in BLOCKS if info == "json record=feedback"]
LIMITS = AgeLimits(max_age=(AT - AT.replace(year=2025)), max_skew=(AT.replace(year=2027) - AT))


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    (block,) = (block for info, block in BLOCKS if info == "toml webhooks")
    file = tmp_path_factory.mktemp("declared") / "webhooks.toml"
    file.write_text(block)
    return {**CONNECTORS, **webhook.load(file, taken=frozenset(CONNECTORS))}


@pytest.mark.parametrize(("name", "payload", "becomes"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_an_example_becomes_what_is_shown(
    declared: dict[str, Any], name: str, payload: object, becomes: list[dict[str, Any]]
) -> None:
    outcomes = declared[name](payload, DELIVERY)
    assert all(isinstance(one, Taken) for one in outcomes)
    found = [json.loads(message.to_payload()) for one in outcomes for message in one.messages]
    assert [{key: message.get(key) for key in shown} for message, shown in zip(found, becomes, strict=True)] == becomes


def test_every_connector_has_a_section_and_every_declared_one_an_example(declared: dict[str, Any]) -> None:
    assert set(re.findall(r"^## `([\w-]+)`", TEXT, re.MULTILINE)) == set(CONNECTORS)
    assert {name for name, _, _ in PAIRS} == set(declared)


def test_the_table_of_score_names_is_the_codes() -> None:
    rows = re.findall(r"^\| (`.*?) \| (\w+):", TEXT, re.MULTILINE)
    shown = {name: kind for names, kind in rows for name in re.findall(r"`([a-z_]+)`", names)}
    assert shown == {name: kind.value for name, kind in langfuse.KINDS.items()}


@pytest.mark.parametrize("body", RECORDS)
def test_a_kafka_record_fits_its_schema_and_is_taken(body: object) -> None:
    assert Draft202012Validator(schema.of("feedback")).is_valid(body)
    found = [arrivals.feedback(one, AT, LIMITS, PRIVACY) for one in record(FEEDBACK_RECEIVED.name, 0, body)]
    assert found
    assert all(isinstance(one.judged, Ok) for one in found)
