"""Feedback acknowledged by Kafka, beside a bare ASGI endpoint that only produces the body, on servers of its own.

Both run at once in processes of their own and are loaded in turns, several times, by a third; the medians are told.
The tables hold events and completions already, so that looking ids up is work. Acknowledged means what it means in
production: acks=all, and the gateway's redaction, keys, limits and look at the database are on.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import text

from infra.access import AccessKeys, Scope
from infra.bench import Figure, Profile, Target
from infra.clock import SystemClock
from infra.database import Database
from infra.database_migration import migrate
from infra.local.ports import free_port
from infra.local.servers import Servers, servers
from infra.local.topics import create_topics
from matrix.errors import StackFailed

REPOSITORY = Path(__file__).parents[1]
WORK = REPOSITORY / ".plumbline"
PEER = "bare ASGI endpoint"
STOCKED = 200_000  # events and completions that are there before
ID_SPACE = 2 * STOCKED  # so half of the feedback is matched
ROUNDS, SECONDS = 5, 6.0
CLIENTS, RATE = 64, 500.0
BATCH_CLIENTS, BATCH_EVENTS = 8, 100
MEMORY_RATE, SETTLED = 1_000.0, 0.2  # of the time, before memory is first looked at
STARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server under test."""

    port: int
    process: psutil.Process
    key: str


def measure(profile: Profile) -> list[Figure]:
    """Throughput, latency and memory."""
    with contextlib.ExitStack() as held:
        running = held.enter_context(servers(WORK / "bench" / "stack", cache=WORK / "cache"))
        key = _prepare(running, stocked=1000 if profile.quick else STOCKED)
        gateway = held.enter_context(_gateway(running, key))
        bare = held.enter_context(_bare(running, key))
        figures = _single(gateway, bare, profile) + _latency(gateway, bare, profile) + _batch(gateway, profile)
        return figures + (_memory(gateway, profile) if profile.minutes else [])


def _single(gateway: Served, bare: Served, profile: Profile) -> list[Figure]:
    loads = {"path": "/v1/feedback", "clients": CLIENTS}
    ours, theirs = _in_turns(gateway, bare, loads, profile)
    rate = Figure(
        "one event a request, 64 keep-alive clients",
        "events/s",
        _median(ours, "events_per_s"),
        _median(theirs, "events_per_s"),
        PEER,
        Target(of_ratio=True, at_least=0.7),
    )
    cost = Figure(
        "processor time of the server for one event",
        "microseconds",
        _median(ours, "server_us"),
        _median(theirs, "server_us"),
        PEER,
    )
    # Near 1 the generator is what was measured; server, generator, broker and database share the machine's cores.
    generator = Figure(
        "processor share of the load generator meanwhile",
        "cores",
        _median(ours, "cpu_share"),
        _median(theirs, "cpu_share"),
        PEER,
    )
    return [rate, cost, generator]


def _latency(gateway: Served, bare: Served, profile: Profile) -> list[Figure]:
    loads = {"path": "/v1/feedback", "clients": CLIENTS, "rate": RATE}
    ours, theirs = _in_turns(gateway, bare, loads, profile)
    names = {"p50_ms": None, "p99_ms": Target(of_ratio=True, at_most=2)}
    return [
        Figure(
            f"{name[:3]} acknowledgement at 500 requests/s", "ms", _median(ours, name), _median(theirs, name), PEER, to
        )
        for name, to in names.items()
    ]


def _batch(gateway: Served, profile: Profile) -> list[Figure]:
    loads = {"path": "/v1/feedback/batch", "clients": BATCH_CLIENTS, "batch": BATCH_EVENTS}
    told = [_load(gateway, loads, profile, number) for number in range(_rounds(profile))]
    return [
        Figure(
            f"{BATCH_EVENTS} events a request, {BATCH_CLIENTS} clients",
            "events/s",
            _median(told, "events_per_s"),
            target=Target(at_least=10_000),
        )
    ]


def _memory(gateway: Served, profile: Profile) -> list[Figure]:
    loads = {"path": "/v1/feedback", "clients": CLIENTS, "rate": MEMORY_RATE}
    seconds = profile.minutes * 60
    _load(gateway, loads, profile, 1000, seconds=seconds * SETTLED)
    before = _resident_mib(gateway)
    _load(gateway, loads, profile, 1001, seconds=seconds * (1 - SETTLED))
    after = _resident_mib(gateway)
    named = f"resident memory after {profile.minutes:g} minutes at {MEMORY_RATE:g} events/s"
    settled = f"after {profile.minutes * SETTLED:g} minutes"
    return [Figure(named, "MiB", after, before, settled, Target(of_ratio=True, at_most=1.1))]


def _in_turns(
    gateway: Served, bare: Served, loads: dict[str, Any], profile: Profile
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    told: dict[int, list[dict[str, Any]]] = {gateway.port: [], bare.port: []}
    for number in range(_rounds(profile)):
        for one in (gateway, bare) if number % 2 else (bare, gateway):
            told[one.port].append(_load(one, loads, profile, number))
    return told[gateway.port], told[bare.port]


def _load(
    one: Served, loads: dict[str, Any], profile: Profile, number: int, seconds: float | None = None
) -> dict[str, Any]:
    """One run of the load generator; every answer must be an acknowledgement."""
    asked = loads | {"port": one.port, "key": one.key, "seed": profile.seed + number, "completions": ID_SPACE}
    asked |= {"seconds": seconds or (1.0 if profile.quick else SECONDS), "prefix": secrets.token_hex(4)}
    before_s = _processor_s(one)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gateway_load.py"))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    told = acknowledged(json.loads(done.stdout))
    return told | {"server_us": (_processor_s(one) - before_s) / told["events"] * 1e6}


def acknowledged(told: dict[str, Any]) -> dict[str, Any]:
    """What the load generator told; StackFailed unless every request it made was answered with an acknowledgement."""
    if told["statuses"].keys() - {"200", "202"} or told["unanswered"] or not told["events"]:
        reason = f"not every request was acknowledged: {told['statuses']}, {told['unanswered']} unanswered"
        raise StackFailed(part="server under load", reason=reason, remedy="Try it again on a quieter machine.")
    return told


def _rounds(profile: Profile) -> int:
    return 1 if profile.quick else ROUNDS


def _median(told: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(one[name] for one in told))


def _processor_s(one: Served) -> float:
    times = one.process.cpu_times()
    return float(times.user + times.system)


def _resident_mib(one: Served) -> float:
    return float(one.process.memory_info().rss) / 2**20


def _prepare(running: Servers, *, stocked: int) -> str:
    """Topics, tables with something in them, and a key."""
    create_topics(running.kafka)
    database = Database(running.database_url)
    try:
        migrate(database)
        with database.engine.begin() as connection:
            for statement in STOCK:
                connection.execute(text(statement), {"stocked": stocked})
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE ingest.completions, ingest.feedback"))
        return AccessKeys(database, SystemClock()).create("bench", [Scope.FEEDBACK])
    finally:
        database.close()


STOCK = (
    """
    INSERT INTO ingest.completions (tenant, completion_id, policy, adapter_digest, body, fingerprint, served_at,
                                    received_at)
    SELECT 'default', 'chatcmpl-' || lpad(to_hex(n), 16, '0'), 'bench', repeat('0', 64), repeat('x', 300),
           md5(n::text), now(), now() FROM generate_series(1, :stocked) AS n
    """,
    """
    INSERT INTO ingest.feedback (tenant, event_id, completion_id, kind, body, fingerprint, state, topic, "partition",
                                 "offset", "position", payload_sha256, received_at)
    SELECT 'default', 'before-' || n, 'chatcmpl-' || lpad(to_hex(n), 16, '0'), 'thumb', repeat('x', 300),
           md5(n::text), 'accepted', 'bench', 0, n, 0, md5(n::text), now() FROM generate_series(1, :stocked) AS n
    """,
)


def _gateway(running: Servers, key: str) -> contextlib.AbstractContextManager[Served]:
    told = {
        "PLUMBLINE_HOME": str(running.home),
        "PLUMBLINE_KAFKA": running.kafka,
        "PLUMBLINE_DATABASE_URL": running.database_url,
        "PLUMBLINE_PSEUDONYM_SECRET": secrets.token_urlsafe(32),
        "PLUMBLINE_RATE_PER_S": "1e6",  # one key sends it all
    }
    command = [sys.executable, "-m", "infra.cli", "ingest", "serve", "--host", "127.0.0.1", "--port"]
    return _serving(lambda port: [*command, str(port)], told, key)


def _bare(running: Servers, key: str) -> contextlib.AbstractContextManager[Served]:
    script = str(Path(__file__).with_name("gateway_peer.py"))
    return _serving(lambda port: [sys.executable, script, running.kafka, str(port)], {}, key)


@contextlib.contextmanager
def _serving(command: Callable[[int], list[str]], environment: dict[str, str], key: str) -> Iterator[Served]:
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    process = subprocess.Popen(
        command(port), env=inherited | environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_healthy(process, port)
        yield Served(port, psutil.Process(process.pid), key)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + STARTING_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health").is_success:
                return
        time.sleep(0.1)
    raise StackFailed(part="server under test", reason=f"{process.args!r} does not answer", remedy="Start it by hand.")
