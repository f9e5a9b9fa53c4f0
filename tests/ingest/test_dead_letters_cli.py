"""`plumbline ingest dead-letters` against a gateway: what a person types, sees and gets as exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from click.testing import CliRunner, Result

from infra.access import AccessKeys, Scope
from infra.database import Database
from infra.http import Refused
from ingest import arrivals, service
from ingest.app import assemble
from ingest.dead_letters_cli import commands
from ingest.gateway import Gateway
from ingest.steps import AgeLimits
from matrix.errors import InvalidInput
from matrix.topics import FEEDBACK_RECEIVED
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT, record, thumb
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served

Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command, with a key of a tenant whose one event was set aside."""
    batch = record(FEEDBACK_RECEIVED.name, 0, thumb(mood="good", tenant="north"))
    service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)
    gateway = Gateway(
        publisher=FakeAsyncPublisher(),
        database=database,
        clock=clock,
        policy_servers=httpx.AsyncClient(),
        policy_server_urls=(),
        random_bytes=bytes,
        privacy=PRIVACY,
    )
    keys = AccessKeys(database, clock)
    monkeypatch.setenv("PLUMBLINE_API_KEY", keys.create("ana", [Scope.VIEW, Scope.OPERATE], tenant="north"))
    with served(assemble(gateway, keys=keys, max_body_bytes=100_000)) as url:
        monkeypatch.setenv("PLUMBLINE_GATEWAY_URL", url)
        yield lambda *typed: CliRunner().invoke(commands, typed, catch_exceptions=False, standalone_mode=False)


def listed(run: Run, *typed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run("list", "--json", *typed).stdout.splitlines()]


def test_a_letter_is_listed_shown_mended_and_gone(run: Run) -> None:
    (letter,) = listed(run, "--reason", "unknown_field", "--since", "2025-01-01T00:00:00Z")
    shown = json.loads(run("show", str(letter["id"]), "--json").stdout)
    assert json.loads(shown["payload"])["mood"] == "good"
    refused = run("replay", str(letter["id"]), "--json")
    assert (refused.return_value, json.loads(refused.stdout)["still_dead"]) == (1, 1)
    mended = run("replay", "--reason", "unknown_field", "--set", "mood=null", "--json")
    assert (mended.return_value, json.loads(mended.stdout)["pending"]) == (0, 1)
    assert [one["state"] for one in listed(run)] == ["replayed"]


def test_a_letter_is_dropped(run: Run) -> None:
    (letter,) = listed(run)
    assert json.loads(run("drop", str(letter["id"]), "--json").stdout)["dropped"] == 1
    assert "dropped by ana" in run("list").stdout


def test_people_read_lines(run: Run) -> None:
    (letter,) = listed(run)
    assert str(letter["id"]) in run("list").stdout
    assert "unknown_field" in run("show", str(letter["id"])).stdout
    assert "still refused" in run("replay", "--reason", "unknown_field").stderr


@pytest.mark.parametrize("typed", [["replay"], ["drop"], ["show", "0" * 16], ["replay", "nonsense"]])
def test_what_names_no_letter_is_refused(run: Run, typed: list[str]) -> None:
    with pytest.raises(Refused):
        run(*typed)


@pytest.mark.parametrize(
    "typed", [["list", "--since", "soon"], ["list", "--since", "2026-01-01T00:00:00"], ["replay", "--set", "mood"]]
)
def test_what_cannot_be_read_is_refused_before_the_gateway_is_asked(run: Run, typed: list[str]) -> None:
    with pytest.raises(InvalidInput):
        run(*typed)
