"""Tenants: what is declared of them, and that a key reaches its own tenant's rows and no other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from infra.access import AccessKeys, Scope
from infra.database import Database
from ingest import agents, arrivals, metrics, service, tenants
from ingest.app import assemble
from ingest.gateway import Gateway
from ingest.settings import IngestSettings
from ingest.steps import AgeLimits
from ingest.tenants_cli import commands
from matrix.errors import InvalidInput
from matrix.metrics import METRICS
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT, completion, record, thumb
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served

SCOPES = (Scope.VIEW, Scope.OPERATE, Scope.FEEDBACK)


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> AccessKeys:
    return AccessKeys(database, clock)


@pytest.fixture
def url(database: Database, clock: FakeClock, keys: AccessKeys) -> Iterator[str]:
    gateway = Gateway(
        publisher=FakeAsyncPublisher(),
        database=database,
        clock=clock,
        policy_servers=httpx.AsyncClient(),
        policy_server_urls=(),
        random_bytes=bytes,
        privacy=PRIVACY,
    )
    with served(assemble(gateway, keys=keys, max_body_bytes=100_000)) as url:
        yield url


def of(url: str, keys: AccessKeys, tenant: str, *more: Scope) -> httpx.Client:
    key = keys.create(f"{tenant}-operator", [*SCOPES, *more], tenant=tenant)
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"})


def fill(database: Database, tenant: str, events: int) -> None:
    """Events of equal ids in every tenant, one of them mendable."""
    said: list[object] = [thumb(f"e{number}", tenant=tenant) for number in range(events)]
    said.append(thumb("bad", mood="good", tenant=tenant, kind="comment", value=None, text=f"a word of {tenant}"))
    offset = sum(tenant.encode())
    batch = record(FEEDBACK_RECEIVED.name, offset, said)
    service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)
    served_ = record(COMPLETION_SERVED.name, offset, completion(tenant=tenant))
    service.receive_completions(database, [arrivals.completion(one, AT, AgeLimits(), PRIVACY) for one in served_], AT)


def test_one_sweep_gives_up_on_all_that_waited_too_long(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SWEEP_MOST", 2)
    batch = record(FEEDBACK_RECEIVED.name, 0, [thumb(f"e{number}") for number in range(5)])
    service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)
    clock.advance(AT - clock.now() + timedelta(days=31))
    assert agents.sweep(database, clock, IngestSettings()) == 5
    assert service.counts(database)["by_reason"] == {"unknown_completion": 5}


def test_a_key_counts_and_finds_its_own_tenants_events_alone(database: Database, url: str, keys: AccessKeys) -> None:
    fill(database, "north", 2)
    fill(database, "south", 1)
    with of(url, keys, "north") as north, of(url, keys, "south") as south, of(url, keys, "west") as west:
        assert [one.get("/v1/counts").json()["received"] for one in (north, south, west)] == [3, 2, 0]
        assert [one.get("/v1/feedback/e1").status_code for one in (north, south, west)] == [200, 404, 404]
        bad = south.get("/v1/feedback/bad").json()
    assert (bad["status"], bad["reason"], bad["kind"]) == ("set_aside", "unknown_field", "comment")


def test_a_key_neither_sees_nor_handles_another_tenants_dead_letters(
    database: Database, url: str, keys: AccessKeys
) -> None:
    fill(database, "north", 1)
    fill(database, "south", 1)
    with of(url, keys, "north") as north, of(url, keys, "south") as south:
        (letter,) = north.get("/v1/dead-letters").json()["dead_letters"]
        assert letter["tenant"] == "north"
        theirs = {"ids": [letter["id"]]}
        assert south.get(f"/v1/dead-letters/{letter['id']}").status_code == 404
        assert south.post("/v1/dead-letters/replay", json=theirs).status_code == 404
        assert south.post("/v1/dead-letters/drop", json=theirs).status_code == 404
        everything = {"reason": "unknown_field", "set": {"mood": None}}
        assert south.post("/v1/dead-letters/replay", json=everything).json()["replayed"] == 1
        assert "north" not in south.get("/v1/dead-letters").text
        assert north.get("/v1/counts").json()["by_reason"] == {"unknown_field": 1}
        mended = north.post("/v1/dead-letters/replay", json=theirs | {"set": {"mood": None}}).json()
    assert mended["letters"] == [{"id": letter["id"], "outcome": "accepted"}]


def test_letters_are_handled_by_operators_who_say_which(database: Database, url: str, keys: AccessKeys) -> None:
    viewer = keys.create("eve", [Scope.VIEW])
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {viewer}"}) as client:
        assert client.post("/v1/dead-letters/drop", json={"reason": "malformed"}).status_code == 403
    with of(url, keys, "north") as client:
        refused = client.post("/v1/dead-letters/drop", json={})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "ids")
        refused = client.post("/v1/dead-letters/replay", json={"reason": "malformed", "set": {"tenant": "south"}})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "set")


def samples(text: str) -> dict[tuple[str, ...], float]:
    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for one in found
        if not one.name.endswith("_created")
    }


def test_metrics_hold_the_counts_of_the_keys_tenant_and_of_all_for_an_administrator(
    database: Database, url: str, keys: AccessKeys, clock: FakeClock
) -> None:
    fill(database, "north", 2)
    fill(database, "south", 1)
    with of(url, keys, "north") as north, of(url, keys, "north", Scope.ADMIN) as everywhere:
        own, every = samples(north.get("/metrics").text), samples(everywhere.get("/metrics").text)
    assert own["plumbline_feedback_received_total", "north"] == 3
    assert own["plumbline_feedback_dead", "unknown_field", "north"] == 1
    assert not [key for key in own if "south" in key]
    assert every["plumbline_feedback_accepted_total", "south"] == 1
    assert httpx.get(f"{url}/metrics").status_code == 401


def test_the_oldest_event_that_waits_has_an_age(database: Database) -> None:
    batch = record(FEEDBACK_RECEIVED.name, 0, thumb())
    service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)
    told = samples(metrics.exposed(database, None, AT + timedelta(minutes=5)).decode())
    assert told["plumbline_feedback_unmatched", "default"] == 1
    assert told["plumbline_feedback_unmatched_oldest_seconds", "default"] == 300
    assert {name for name, *_ in told} <= {metric.name for metric in METRICS}


def test_what_is_declared_stays_until_it_is_declared_anew(database: Database) -> None:
    tenants.declare(database, "north", AT, retention_days=30)
    tenants.declare(database, "north", AT, rate_per_s=5.0)
    assert tenants.declared(database)["north"] == tenants.Declared("north", 30, 5.0)
    tenants.declare(database, "north", AT, retention_days=None)
    assert tenants.declared(database)["north"] == tenants.Declared("north", None, 5.0)


@pytest.mark.parametrize("wrong", [{"retention_days": 0}, {"rate_per_s": 0.0}, {"rate_per_s": float("nan")}])
def test_a_declaration_out_of_range_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        tenants.declare(database, "north", AT, **wrong)


def test_tenants_are_declared_and_listed_at_the_command_line(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATABASE_URL", database.engine.url.render_as_string(hide_password=False))
    fill(database, "south", 1)
    run = CliRunner()
    made = run.invoke(commands, ["set", "north", "--retention-days", "90", "--rate", "50", "--json"])
    assert json.loads(made.stdout) == {"tenant": "north", "retention_days": 90, "rate_per_s": 50.0}
    listed = json.loads(run.invoke(commands, ["list", "--json"]).stdout)["tenants"]
    assert [(one["tenant"], one["retention_days"], one["received"]) for one in listed] == [
        ("north", 90, 0),
        ("south", None, 2),
    ]
    for wrong in (["--retention-days", "soon"], ["--rate", "fast"], ["--retention-days", "0"]):
        with pytest.raises(InvalidInput):
            run.invoke(commands, ["set", "north", *wrong], catch_exceptions=False)
