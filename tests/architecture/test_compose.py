"""docker-compose.yml, pre-commit and CI name what exists: commands, variables, ports, health paths, make targets."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import uvicorn
import yaml
from pydantic import SecretStr

from infra.cli import root
from infra.http import make_api
from infra.local import parts
from infra.local.kafka import jars_folder
from infra.settings import Settings
from ingest.app import serve
from ingest.settings import IngestSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PRODUCT = {name: row for name, row in SERVICES.items() if row["image"].startswith("plumbline:")}
SERVING = {name: row for name, row in PRODUCT.items() if "--port" in row["command"]}
WORKERS = {name: row for name, row in parts.PROCESSES.items() if row.marker is not None}
SETTINGS = ("infra.settings", *(f"{stage}.settings" for stage in ("ingest", "scorer", "trainer", "registry")))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def port_of(service: str) -> str:
    command = SERVICES[service]["command"]
    return str(command[command.index("--port") + 1])


def resolve(words: list[str]) -> None:
    """Walk the command line as click would; raises for a command or an option that is not there."""
    command: click.Command = root
    context = click.Context(root, **root.context_settings)  # click keeps the help option that it first makes
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, name
        command, context = found, click.Context(found, parent=context)
    command.make_context(command.name, words, parent=context.parent)


@pytest.mark.parametrize("service", PRODUCT)
def test_every_command_exists_with_its_options(service: str) -> None:
    resolve(PRODUCT[service]["command"])


def test_every_command_that_the_head_of_compose_shows_exists() -> None:
    shown = re.findall(r"docker compose run --rm (?:-e \S+ )?registry (.+)", (ROOT / "docker-compose.yml").read_text())
    assert [words.split()[:2] for words in shown] == [["keys", "create"], ["registry", "register"]]
    for words in shown:
        resolve(words.split())


def test_an_unknown_command_or_option_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        resolve(["ingest", "fly"])
    with pytest.raises(click.NoSuchOption):
        resolve(["stack", "topics", "--fly"])


def test_the_local_stack_and_compose_run_the_same_processes() -> None:
    listening = ["--host", "0.0.0.0", "--port"]
    for name, process in parts.PROCESSES.items():
        expected = list(process.command)
        expected += [] if process.marker is not None else [*listening, port_of(name)]
        assert PRODUCT[name]["command"] == expected
    assert set(PRODUCT) == {*parts.PROCESSES, "migrations", "topics"}


@pytest.mark.parametrize("service", PRODUCT)
def test_every_variable_is_a_setting(service: str) -> None:
    known = {name for module in SETTINGS for name in fields_of(module)}
    used = {name.removeprefix("PLUMBLINE_").lower() for name in PRODUCT[service]["environment"]}
    assert used - known == set()


def fields_of(module: str) -> set[str]:
    classes = [value for value in vars(import_module(module)).values() if isinstance(value, type)]
    return {name for found in classes if issubclass(found, Settings) for name in found.model_fields}


@pytest.mark.parametrize("service", SERVING)
def test_published_port_health_check_and_address_agree_with_the_command(service: str) -> None:
    port = port_of(service)
    assert f"http://127.0.0.1:{port}/health'" in SERVING[service]["healthcheck"]["test"][-1]
    assert [f"127.0.0.1:{port}:{port}"] == SERVING[service].get("ports", [f"127.0.0.1:{port}:{port}"])
    told = " ".join(SERVING[service]["environment"].values())
    assert f"http://{service}:{port}" in told


async def test_the_health_path_is_served_without_a_key() -> None:
    api = make_api("health", keys=None)  # type: ignore[arg-type]  # asking them would show that they are used
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://gateway") as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("service", WORKERS)
def test_a_workers_health_check_is_its_ready_marker(service: str) -> None:
    home = PRODUCT[service]["environment"]["PLUMBLINE_HOME"]
    marker = f"{home}/run/{WORKERS[service].marker}.ready"
    assert PRODUCT[service]["healthcheck"]["test"] == ["CMD", "test", "-e", marker]


def test_a_gateway_that_ends_waits_for_its_completions_and_is_given_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: given.update(options))
    settings = IngestSettings(pseudonym_secret=SecretStr("pseudonyms of tests, always the same"))
    serve(settings, host="127.0.0.1", port=0)
    assert given["timeout_graceful_shutdown"] > settings.policy_server_timeout_s
    assert float(PRODUCT["gateway"]["stop_grace_period"].removesuffix("s")) > given["timeout_graceful_shutdown"]


def test_servers_that_load_adapters_are_not_published() -> None:
    assert "ports" not in SERVICES["policy-server"]
    assert "ports" not in SERVICES["vllm"]


def test_everything_waits_for_what_it_needs() -> None:
    for name in parts.PROCESSES.keys() - {"policy-server"}:
        waits = PRODUCT[name]["depends_on"]
        assert waits["migrations"]["condition"] == "service_completed_successfully"
        assert waits["topics"]["condition"] == "service_completed_successfully"
    for service in SERVICES.values():
        for needed, condition in service.get("depends_on", {}).items():
            assert condition["condition"] != "service_healthy" or "healthcheck" in SERVICES[needed]


def test_secrets_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|KEY|SECRET)[A-Z_]*)(.*?)\}", text)
    assert secrets
    assert all(rest.startswith(":?") for _name, rest in secrets)


def test_compose_runs_the_kafka_that_the_local_stack_runs() -> None:
    version = jars_folder(Path()).name.removeprefix("kafka-")
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_the_image_copies_every_package_and_uses_the_locks() -> None:
    text = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert [name for name in copied.split() if not (ROOT / name).exists()] == []
    for package in ("matrix", "ingest", "scorer", "trainer", "registry", "infra"):
        assert f"COPY {package}/ {package}/" in text
    assert "--require-hashes requirements/product.txt" in text


def test_pre_commit_and_continuous_integration_call_make_targets() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert steps == [".ci/run"]
    script = (ROOT / ".ci" / "run").read_text()
    called = set(re.findall(r"\bmake (?:--\S+ )*([a-z-]+)", script + " ".join(hook["entry"] for hook in hooks)))
    assert called == {"static", "test", "check"}
    assert called <= TARGETS
    assert re.search(r"^check: install\n\t@\$\(MAKE\) .* fast-tests static$", MAKEFILE, re.MULTILINE)
