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
from tests.fakes.serving import served

POLICY = {"policy": "clinic-assistant", "base_digest": "a" * 64}


@pytest.fixture
def server(database: Database, objects: FolderObjectStore, clock: FakeClock) -> Iterator[str]:
    api = make_api("registry", keys=AccessKeys(database, clock))
    add_routes(api, Registry(database, objects, matrix_of(soft(), hard()), clock))
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
        ("POST", "/v1/promotions", {"policy": "clinic-assistant", "version": 0, "reason": ""}, Scope.REQUEST, 422),
        ("GET", "/v1/audit", None, Scope.VIEW, 200),
    ]
    with httpx.Client(base_url=server) as client:
        for method, path, body, scope, status in routes:
            for other in set(Scope) - {scope}:
                assert client.request(method, path, json=body, headers=everyone[other]).status_code == 403
            assert client.request(method, path, json=body, headers=everyone[scope]).status_code == status
