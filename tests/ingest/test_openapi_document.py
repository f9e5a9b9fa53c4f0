"""The OpenAPI document says what the gateway does: its examples are taken, what it leads to is answered as it says."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from infra.access import Scope
from infra.database import Database
from tests.fakes.chat_door import ROUTE
from tests.fakes.clock import FakeClock
from tests.fakes.door import FeedbackGateway

README = (Path(__file__).parents[2] / "README.md").read_text()
HOT = ("/v1/feedback", "/feedback", "/v1/feedback/batch", "/v1/completions/log")
OPERATIONS = [
    *(("POST", path) for path in HOT),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/v1/counts"),
    ("GET", "/v1/dead-letters"),
    ("GET", "/v1/dead-letters/{letter_id}"),
    ("GET", "/v1/feedback/{event_id}"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/connect/{connector}"),
    ("POST", "/v1/dead-letters/drop"),
    ("POST", "/v1/dead-letters/replay"),
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def gateway(database: Database, clock: FakeClock) -> FeedbackGateway:
    return FeedbackGateway(database, clock)


def operations(gateway: FeedbackGateway) -> dict[str, dict[str, Any]]:
    document = json.loads(json.dumps(gateway.app.openapi()))
    return {path: document["paths"][path]["post"] for path in HOT}


def content(operation: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = operation["requestBody"]["content"]["application/json"]
    return said


def test_every_example_fits_its_schema_and_is_taken(gateway: FeedbackGateway) -> None:
    client = TestClient(gateway.app, headers={"Authorization": f"Bearer {gateway.key()}"})
    for path, operation in operations(gateway).items():
        for name, example in content(operation)["examples"].items():
            Draft202012Validator(content(operation)["schema"]).validate(example["value"])
            answer = client.post(path, json=example["value"])
            assert answer.status_code in (200, 202), (path, name, answer.text)
            told = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            Draft202012Validator(told).validate(answer.json())


def test_the_readmes_bodies_fit_the_document_and_stand_in_it(gateway: FeedbackGateway) -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
    (feedback,) = (body for body in shown if "metric_name" in body)
    (completion,) = (body for body in shown if "completion_id" in body)
    for path, body in (("/v1/feedback", feedback), ("/v1/completions/log", completion)):
        said = content(operations(gateway)[path])
        Draft202012Validator(said["schema"]).validate(body)
        assert body in [example["value"] for example in said["examples"].values()]


def test_every_metric_of_the_readme_has_an_example(gateway: FeedbackGateway) -> None:
    examples = content(operations(gateway)["/v1/feedback"])["examples"]
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) - {"metric_name"} == set(examples)


def test_the_page_shows_every_operation_with_its_examples_and_loads_nothing(gateway: FeedbackGateway) -> None:
    answer = TestClient(gateway.app).get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    shown = html.unescape(answer.text)
    for method, path in OPERATIONS:
        assert f"<code>{method} {path}</code>" in shown
    for operation in operations(gateway).values():
        for example in content(operation)["examples"].values():
            assert json.dumps(example["value"], indent=2) in shown
    assert set(re.findall(r'(?:src|href)="([^#"]*)', answer.text)) == {"openapi.json", ""}
    assert not re.search(r"<script|<link|<img|@import|url\(", answer.text)


def test_no_operation_of_the_document_is_left_out(gateway: FeedbackGateway) -> None:
    found = {(method.upper(), path) for path, said in gateway.app.openapi()["paths"].items() for method in said}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_the_document_leads_to_is_answered_as_it_says(
    gateway: FeedbackGateway, method: str, path: str
) -> None:
    headers = {"Authorization": f"Bearer {gateway.keys.create('everyone', list(Scope))}"}
    gateway.routes.apply(ROUTE)  # without one, every model is away instead of unknown
    document = schemathesis.openapi.from_asgi("/openapi.json", gateway.app)

    @settings(max_examples=40 if path in HOT else 15, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy())
    def holds(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    holds()
