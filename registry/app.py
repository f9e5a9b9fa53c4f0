"""Builds the registry's two processes from their settings: the HTTP side, and the worker on the streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from infra.access import AccessKeys
from infra.clock import SystemClock
from infra.database import Database
from infra.http import make_api
from infra.jobs import CelerySender
from infra.objects import FolderObjectStore
from infra.outbox import OutboxRelay
from infra.publishing import KafkaPublisher
from infra.streams import make_app, run_worker
from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.digests import digest_bytes
from matrix.errors import InvalidInput
from matrix.ports import ObjectStore
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import Knowledge, load_knowledge
from registry.agents import add_agents
from registry.api import add_routes
from registry.service import STAGE, GatePrompts, Registry
from registry.serving import HttpPolicyServer, NamedServer
from registry.settings import RegistrySettings
from registry.upkeep import Upkeep

WORKER = "registry"


def read_matrix(path: Path) -> Matrix:
    """The deployment's matrix; InvalidInput where the file cannot be read, InvalidMatrix where it does not hold."""
    return load_matrix(_text(path, "matrix file"), file=str(path), scorers=SCORER_NAMES)


def read_knowledge(path: Path) -> Knowledge:
    """What the deployment's scorers know; the same errors."""
    return load_knowledge(_text(path, "PLUMBLINE_KNOWLEDGE_FILE"), file=str(path))


def _text(path: Path, field: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(field=field, value=str(path), remedy="a readable TOML file") from error


def store_gate_prompts(settings: RegistrySettings, objects: ObjectStore) -> GatePrompts:
    """The gate's prompts as they are now, under their hash: what was judged can be looked at later."""
    path = settings.gate_prompts_file
    remedy = "a readable file of gate prompts (JSON lines) in PLUMBLINE_GATE_PROMPTS_FILE"
    if path is None:
        raise InvalidInput(field="gate prompts", value="not set", remedy=remedy)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(field="gate prompts", value=str(path), remedy=remedy) from error
    sha256 = digest_bytes(content)
    return GatePrompts(objects.write(f"gate-prompts/{sha256}.jsonl", content), sha256)


@contextmanager
def _registry(settings: RegistrySettings) -> Iterator[tuple[Registry, OutboxRelay]]:
    database = Database(settings.database_url.get_secret_value())
    objects = FolderObjectStore(settings.objects_dir)
    clients = [HttpPolicyServer(url, timeout_s=settings.server_timeout_s) for url in settings.policy_server_urls]
    publisher = KafkaPublisher(settings.kafka)
    relay = OutboxRelay(database, publisher, CelerySender(settings.redis_url.get_secret_value()), stage=STAGE)
    registry = Registry(
        database=database,
        objects=objects,
        matrix=read_matrix(settings.matrix_file),
        clock=SystemClock(),
        knowledge_sha256=read_knowledge(settings.knowledge_file).digest(),
        servers=tuple(
            NamedServer(url, client) for url, client in zip(settings.policy_server_urls, clients, strict=True)
        ),
        probe_tolerance=settings.probe_tolerance,
        gate_prompts=lambda: store_gate_prompts(settings, objects),
    )
    try:
        yield replace(registry, wake=relay.wake), relay
    finally:
        for client in clients:
            client.close()
        publisher.close()
        database.close()


def serve(settings: RegistrySettings, *, host: str, port: int) -> None:
    """The HTTP side and the upkeep of policy servers, until SIGTERM."""
    with _registry(settings) as (registry, relay):
        keys = AccessKeys(registry.database, registry.clock)
        api = make_api("Plumbline registry", keys=keys, max_body_bytes=settings.registry_max_body_bytes)
        add_routes(api, registry)
        upkeep = Upkeep(registry, every_s=settings.upkeep_every_s)
        relay.start()
        upkeep.start()
        try:
            uvicorn.run(api, host=host, port=port, log_level="warning", access_log=False)
        finally:
            upkeep.stop()
            relay.stop()


def work(settings: RegistrySettings) -> None:
    """The worker, until SIGTERM."""
    with _registry(settings) as (registry, relay):
        app = make_app(WORKER, settings)
        add_agents(app, registry)
        run_worker(app, name=WORKER, start=relay.start, stop=relay.stop)
