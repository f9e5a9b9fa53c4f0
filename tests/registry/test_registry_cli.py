"""The commands that people look with, against a served API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI, Response

from infra.access import AccessKeys, Scope
from infra.cli import main
from infra.http import Refused, make_api, problem
from matrix.errors import InvalidInput, Transient
from registry import decisions, views
from registry.api import add_routes
from registry.cli import commands
from tests.fakes.registry import ONE, POLICY, TWO, World
from tests.fakes.serving import served


@pytest.mark.slow
def test_rolling_back_names_the_champion_and_needs_no_other_scope(make_world: Callable[..., World]) -> None:
    world = make_world()
    for weights in (ONE, TWO):
        world.promote(world.approved(world.candidate(weights)))
    keys = AccessKeys(world.registry.database, world.registry.clock)
    api = make_api("registry", keys=keys)
    add_routes(api, world.registry)
    with served(api) as url:
        key = keys.create("olga", [Scope.OPERATE])
        environment = os.environ | {"PLUMBLINE_REGISTRY_URL": url, "PLUMBLINE_API_KEY": key, "PLUMBLINE_POLICY": POLICY}
        code, moved = asked(environment, "rollback", "--reason", "harm")
        assert (code, moved["version"]) == (0, 1)
        code, again = asked(environment, "rollback", "--reason", "harm", "--from-version", "2")
        assert (code, again) == (0, moved)
    assert world.champion() == 1


def test_a_lost_answer_to_a_rollback_says_how_to_repeat_it_without_rolling_back_twice() -> None:
    api = FastAPI()

    @api.get("/v1/policies/clinic-assistant/aliases")
    def aliases() -> dict[str, Any]:
        return {"champion": {"version": 7}}

    @api.post("/v1/policies/clinic-assistant/rollback")
    def rollback(body: dict[str, Any]) -> Response:
        assert body == {"reason": "harm", "from_version": 7}
        return problem(503, "SamplerUnavailable", "the policy server does not answer")

    with served(api) as url:
        told = {"PLUMBLINE_REGISTRY_URL": url, "PLUMBLINE_POLICY": POLICY}
        done = CliRunner().invoke(commands, ["rollback", "--reason", "harm"], env=told)
    assert isinstance(done.exception, Transient)
    assert "repeat it with --from-version 7" in str(done.exception)


def asked(environment: dict[str, str], *arguments: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "infra.cli", "registry", *arguments, "--json"]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    return ended.returncode, json.loads(ended.stdout)


@pytest.mark.slow
def test_commands_that_look_answer_with_one_json_object(make_world: Callable[..., World]) -> None:
    world = make_world()
    request, refused = world.approved(world.candidate(ONE)), world.candidate(b"bad weights", harms=30)
    keys = AccessKeys(world.registry.database, world.registry.clock)
    api = make_api("registry", keys=keys)
    add_routes(api, world.registry)
    with served(api) as url:
        key = keys.create("vera", [Scope.VIEW])
        environment = os.environ | {"PLUMBLINE_REGISTRY_URL": url, "PLUMBLINE_API_KEY": key, "PLUMBLINE_POLICY": POLICY}
        code, versions = asked(environment, "versions")
        assert (code, [one["version"] for one in versions["versions"]]) == (0, [0, 1, 2])
        code, passed = asked(environment, "gate", "1")
        assert (code, passed["verdict"]) == (0, "pass")
        code, failed = asked(environment, "gate", str(refused))
        assert (code, failed["verdict"], failed["failed_cells"]) == (1, "fail", ["harm×all"])
        code, requests = asked(environment, "requests")
        assert (code, [one["request_id"] for one in requests["requests"]]) == (0, [request])
        code, audit = asked(environment, "audit")
        assert (code, audit["chain"]) == (0, "intact")


@pytest.fixture
def world(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A served registry that the commands of this process reach with an administrator's key."""
    world = make_world()
    keys = AccessKeys(world.registry.database, world.registry.clock)
    api = make_api("registry", keys=keys)
    add_routes(api, world.registry)
    with served(api) as url:
        monkeypatch.setenv("PLUMBLINE_REGISTRY_URL", url)
        monkeypatch.setenv("PLUMBLINE_API_KEY", keys.create("ada", list(Scope)))
        monkeypatch.setenv("PLUMBLINE_POLICY", "triage")
        yield world


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, standalone_mode=False)


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["plumbline", "registry", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_what_a_rule_stands_against_ends_with_1_and_a_wrong_name_with_2(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, passed = world.candidate(b"bad weights", harms=30), world.candidate(ONE)
    own = decisions.request_promotion(world.registry, policy=POLICY, number=passed, reason="r", actor="ada")
    asked = ("request", str(refused), "--policy", POLICY, "--reason", "r")
    assert exit_code(monkeypatch, *asked) == 1
    assert exit_code(monkeypatch, "approve", own, "--reason", "mine") == 1
    assert exit_code(monkeypatch, "promote", own) == 1
    assert exit_code(monkeypatch, "approve", "no-such-request", "--reason", "r") == 2
    monkeypatch.setenv("PLUMBLINE_API_KEY", "plb_unknown")
    assert exit_code(monkeypatch, *asked) == 2


def base_model(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_register_makes_the_base_model_champion_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_BASE_MODEL", str(base_model(tmp_path / "base", b"weights")))
    first, again = run("register", "--json"), run("register", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert json.loads(first.stdout) == json.loads(again.stdout)
    champion = views.aliases(world.registry, "triage")["champion"]
    assert champion == {"version": 0, "name": "base", "adapter_digest": json.loads(first.stdout)["adapter_digest"]}
    assert world.actions().count("policy.registered") == 2


def test_register_takes_a_digest_where_the_model_is_elsewhere(world: World) -> None:
    assert run("register", "--policy", "far", "--base-digest", "f" * 64, "--served-name", "big").exit_code == 0
    assert views.aliases(world.registry, "far")["anchor"]["name"] == "big"


def test_register_on_another_base_model_is_refused(world: World) -> None:
    assert run("register", "--base-digest", "f" * 64).exit_code == 0
    assert isinstance(run("register", "--base-digest", "e" * 64).exception, Refused)


def test_register_without_a_base_model_names_what_to_set(world: World, tmp_path: Path) -> None:
    missing = run("register").exception
    assert isinstance(missing, InvalidInput)
    assert "PLUMBLINE_BASE_MODEL" in str(missing)
