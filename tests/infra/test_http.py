"""Refusals over HTTP: problem details that name field and rule, limits that hold, and no traceback on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from infra.access import AccessKeys, Principal, Scope
from infra.database import Database
from infra.http import ApiClient, Refused, make_api, require
from matrix.errors import ApprovalRefused, BrokerUnavailable, Declined, GateNotPassed, InvalidInput, NotFound, Transient
from matrix.messages.base import Value
from tests.fakes.clock import FakeClock
from tests.fakes.serving import served

LIMIT_BYTES = 1000


class Body(Value):
    number: int


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> AccessKeys:
    return AccessKeys(database, clock)


@pytest.fixture
def server(keys: AccessKeys) -> Iterator[str]:
    app = make_api("test", keys=keys, max_body_bytes=LIMIT_BYTES)
    add_routes(app)
    with served(app) as url:
        yield url


def add_routes(app: FastAPI) -> None:
    @app.post("/numbers")
    def numbers(body: Body, caller: Annotated[Principal, Depends(require(Scope.FEEDBACK))]) -> dict[str, object]:
        return {"number": body.number, "actor": caller.actor}

    raised = {
        "invalid": InvalidInput(field="rate", value=-1, remedy="a number above 0"),
        "missing": NotFound(what="version", name="7"),
        "away": BrokerUnavailable("kafka"),
        "gate": GateNotPassed(version="1", verdict="fail", cells=("sycophancy×all",)),
        "approval": ApprovalRefused(actor="ann", reason="the author of a candidate"),
        "fault": ZeroDivisionError("secret detail"),
    }

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        raise raised[name]


@pytest.fixture
def client(server: str, keys: AccessKeys) -> Iterator[httpx.Client]:
    key = keys.create("service", [Scope.FEEDBACK])
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def test_a_good_request_knows_its_caller(client: httpx.Client) -> None:
    assert client.post("/numbers", json={"number": 1}).json() == {"number": 1, "actor": "service"}


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        (b"{", 400, "1"),
        (b'{"number": "x"}', 422, "number"),
        (b'{"number": 1, "colour": 2}', 422, "colour"),
        (b"{}", 422, "number"),
        (b"[]", 422, "body"),
    ],
)
def test_a_bad_body_is_refused_by_field(client: httpx.Client, content: bytes, status: int, field: str) -> None:
    answer = client.post("/numbers", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [entry["field"] for entry in answer.json()["errors"]]
    assert all(entry["rule"] for entry in answer.json()["errors"])


def test_a_body_over_the_limit_is_refused_declared_or_not(client: httpx.Client) -> None:
    big = b" " * (LIMIT_BYTES + 1)
    assert client.post("/numbers", content=big).status_code == 413
    assert client.post("/numbers", content=iter([big])).status_code == 413


@pytest.mark.parametrize(
    ("name", "status"), [("invalid", 422), ("missing", 404), ("away", 503), ("gate", 409), ("fault", 500)]
)
def test_an_error_type_decides_the_code_and_no_traceback_leaves(server: str, name: str, status: int) -> None:
    answer = httpx.get(f"{server}/raise/{name}")
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert "secret detail" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


def test_without_a_key_401_and_without_the_scope_403(server: str, keys: AccessKeys) -> None:
    assert httpx.post(f"{server}/numbers", json={"number": 1}).status_code == 401
    viewer = {"Authorization": f"Bearer {keys.create('eve', [Scope.VIEW])}"}
    assert httpx.post(f"{server}/numbers", json={"number": 1}, headers=viewer).status_code == 403


def test_an_unknown_path_is_a_problem_too(server: str) -> None:
    assert httpx.get(f"{server}/nothing").json()["status"] == 404


def test_the_client_raises_what_the_server_says(server: str, keys: AccessKeys) -> None:
    client = ApiClient(server, keys.create("service", [Scope.FEEDBACK]))
    with pytest.raises(Refused, match="number"):
        client.post("/numbers", {"number": "x"})
    with pytest.raises(Transient, match="kafka"):
        client.get("/raise/away")
    client.close()


@pytest.mark.parametrize(
    ("name", "declined"), [("gate", True), ("approval", True), ("invalid", False), ("missing", False)]
)
def test_the_client_tells_a_rules_verdict_from_what_was_asked_wrongly(server: str, name: str, declined: bool) -> None:
    with closing(ApiClient(server, None)) as client, pytest.raises(Refused) as refused:
        client.get(f"/raise/{name}")
    assert isinstance(refused.value, Declined) == declined


def test_a_key_without_the_scope_is_no_verdict(server: str, keys: AccessKeys) -> None:
    with closing(ApiClient(server, keys.create("eve", [Scope.VIEW]))) as client, pytest.raises(Refused) as refused:
        client.post("/numbers", {"number": 1})
    assert (refused.value.status, isinstance(refused.value, Declined)) == (403, False)


def test_a_path_that_no_address_can_hold_is_bad_input() -> None:
    with pytest.raises(InvalidInput, match="path"):
        ApiClient("http://127.0.0.1:9", None).get("/v1/policies/a\x00b/versions")


def test_a_server_that_is_away_is_transient() -> None:
    with pytest.raises(Transient, match="is it running"):
        ApiClient("http://127.0.0.1:9", None).get("/")
