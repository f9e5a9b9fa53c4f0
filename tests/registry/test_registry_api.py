"""Who may do what, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from infra.access import AccessKeys, Scope
from infra.database import Database
from infra.http import make_api
from infra.objects import FolderObjectStore
from registry.api import add_routes
from registry.service import Registry
from tests.fakes.clock import FakeClock
from tests.fakes.evaluations import hard, matrix_of, soft
from tests.fakes.registry import KNOWLEDGE
from tests.fakes.serving import served

POLICY = {"policy": "clinic-assistant", "base_digest": "a" * 64}


@pytest.fixture
def server(database: Database, objects: FolderObjectStore, clock: FakeClock) -> Iterator[str]:
    api = make_api("registry", keys=AccessKeys(database, clock))
    add_routes(api, Registry(database, objects, matrix_of(soft(), hard()), clock, KNOWLEDGE))
    with served(api) as url:
        yield url


def test_every_route_asks_for_its_own_scope(server: str, database: Database, clock: FakeClock) -> None:
    keys = AccessKeys(database, clock)
    everyone = {scope: {"Authorization": f"Bearer {keys.create(scope.value, [scope])}"} for scope in Scope}
    routes = [
        ("POST", "/v1/policies", POLICY, Scope.ADMIN, 201),
        ("GET", "/v1/policies/clinic-assistant/versions/0", None, Scope.VIEW, 200),
        ("GET", "/v1/policies/clinic-assistant/versions/0/gate-report", None, Scope.VIEW, 404),
        ("GET", "/v1/policies/nobody/versions", None, Scope.VIEW, 404),
        ("POST", "/v1/promotions", {"policy": "clinic-assistant", "version": 7, "reason": "r"}, Scope.REQUEST, 404),
        ("POST", "/v1/promotions/x/decisions", {"decision": "approve", "reason": "r"}, Scope.APPROVE, 404),
        ("POST", "/v1/promotions/x/promote", None, Scope.OPERATE, 404),
        ("POST", "/v1/policies/clinic-assistant/rollback", {"reason": "r"}, Scope.OPERATE, 409),
        ("POST", "/v1/policies/clinic-assistant/rollback", {"reason": "r", "from_version": 3}, Scope.OPERATE, 409),
        ("POST", "/v1/promotions", {"policy": "clinic-assistant", "version": 0, "reason": ""}, Scope.REQUEST, 422),
        ("GET", "/v1/audit", None, Scope.VIEW, 200),
    ]
    with httpx.Client(base_url=server) as client:
        for method, path, body, scope, status in routes:
            for other in set(Scope) - {scope}:
                assert client.request(method, path, json=body, headers=everyone[other]).status_code == 403
            assert client.request(method, path, json=body, headers=everyone[scope]).status_code == status


ODD = ("%00", "a%00b", "%ED%A0%80", "%F0%9F%92%8A", "x" * 300, "%0A", "a%20b", "..%2F..")


@pytest.mark.parametrize("odd", ODD, ids=lambda one: one[:12])
def test_odd_names_in_a_path_are_refused_and_break_nothing(
    server: str, database: Database, clock: FakeClock, odd: str
) -> None:
    key = AccessKeys(database, clock).create("all", list(Scope))
    decision, reason = {"decision": "approve", "reason": "r"}, {"reason": "r"}
    routes = [
        ("GET", f"/v1/promotions/{odd}", None),
        ("GET", f"/v1/promotions?policy={odd}", None),
        ("POST", f"/v1/promotions/{odd}/decisions", decision),
        ("POST", f"/v1/promotions/{odd}/promote", None),
        ("GET", f"/v1/policies/{odd}/versions", None),
        ("GET", f"/v1/policies/{odd}/aliases", None),
        ("GET", f"/v1/policies/{odd}/versions/0", None),
        ("GET", f"/v1/policies/{odd}/versions/0/gate-report", None),
        ("GET", f"/v1/policies/clinic-assistant/versions/{odd}", None),
        ("POST", f"/v1/policies/{odd}/versions/0/evaluations", None),
        ("POST", f"/v1/policies/{odd}/rollback", reason),
    ]
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {key}"}) as client:
        for method, path, body in routes:
            assert client.request(method, path, json=body).status_code in (404, 422)
