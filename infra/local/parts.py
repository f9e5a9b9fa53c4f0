"""The parts of the stack in the order they start: servers, then the product's processes, and what each is told.

The commands are those of docker-compose.yml (tests/architecture/test_compose.py holds the two against each other).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local import kafka, postgres, redis
from infra.local.children import Child
from infra.local.ports import HOST
from infra.local.readiness import answers_http, marked
from infra.local.state import Passwords, State
from infra.telemetry import ready_marker

SERVERS = ("kafka", "postgres", "redis")
PLUMBLINE = (sys.executable, "-m", "infra.cli")
# All parts share this machine's cores: a thread that spins long for another one holds up whoever could run. On two idle
# cores a training step takes 1.40 s with this, 1.33 s with libgomp's fifteenfold, 3.02 s without any (PASSIVE).
SHARING = {"GOMP_SPINCOUNT": "20000"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the product: its command, and the marker it leaves (workers) or the port it serves."""

    command: tuple[str, ...]
    marker: str | None = None  # None: it serves HTTP on the port of its name
    patience_s: float = 120.0  # two cores import torch twice while the others start


PROCESSES: dict[str, Process] = {
    "gateway": Process(("ingest", "serve")),
    "ingest-worker": Process(("ingest", "work"), marker="ingest"),
    "scorer-worker": Process(("scorer", "run"), marker="scorer"),
    "registry": Process(("registry", "serve")),
    "registry-worker": Process(("registry", "work"), marker="registry"),
    "trainer-worker": Process(("trainer", "worker"), marker="trainer"),
    "policy-server": Process(("trainer", "serve")),
}


def ports(*, servers_only: bool) -> tuple[str, ...]:
    """Every name that a port is kept under."""
    served = () if servers_only else tuple(name for name, row in PROCESSES.items() if row.marker is None)
    return (*SERVERS, "kafka-controller", *served)


def names(*, servers_only: bool) -> tuple[str, ...]:
    """Every part of a stack of this size."""
    return SERVERS if servers_only else (*SERVERS, *PROCESSES)


def variables(home: Path, state: State, secret: Passwords) -> dict[str, str]:
    """What every process of the product is told, and what stack.env says."""
    ports = state.ports
    told = {
        "PLUMBLINE_HOME": str(home),
        "PLUMBLINE_DATABASE_URL": postgres.url(ports["postgres"], secret.database),
        "PLUMBLINE_KAFKA": f"{HOST}:{ports['kafka']}",
        "PLUMBLINE_REDIS_URL": redis.url(ports["redis"], secret.redis),
        "PLUMBLINE_OBJECTS_DIR": str(home / "objects"),
        "PLUMBLINE_PSEUDONYM_SECRET": secret.pseudonyms,
    }
    if "gateway" in ports:
        told |= {
            "PLUMBLINE_GATEWAY_URL": _url(ports["gateway"]),
            "PLUMBLINE_REGISTRY_URL": _url(ports["registry"]),
            "PLUMBLINE_POLICY_SERVER_URLS": _url(ports["policy-server"]),
        }
        if state.base_model is not None:
            told["PLUMBLINE_BASE_MODEL"] = str(state.base_model)
    return {**state.settings, **told}


def server(name: str, home: Path, state: State, secret: Passwords, jars: Path) -> Child:
    """Kafka, PostgreSQL or Redis."""
    port = state.ports[name]
    if name == "kafka":
        return kafka.kafka_child(home, jars, port=port)
    if name == "postgres":
        return postgres.postgres_child(home, port=port, password=secret.database)
    return redis.redis_child(home, port=port, password=secret.redis)


def process(name: str, home: Path, state: State, secret: Passwords) -> Child:
    """One of the product's own."""
    row = PROCESSES[name]
    if row.marker is not None:
        listening: tuple[str, ...] = ()
        check, address = marked(ready_marker(row.marker, home)), ""
    else:
        port = state.ports[name]
        listening = ("--host", HOST, "--port", str(port))
        check, address = answers_http(port), _url(port)
    return Child(
        name=name,
        command=(*PLUMBLINE, *row.command, *listening),
        home=home,
        is_ready=check,
        environment=SHARING | variables(home, state, secret),
        folder=state.folder,
        patience_s=row.patience_s,
        address=address,
    )


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
