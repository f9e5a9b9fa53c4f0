"""The registry's worker as a process: what the trainer sends twice is done once."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from infra.clock import SystemClock
from infra.objects import FolderObjectStore
from infra.publishing import KafkaPublisher
from matrix.digests import digest_bytes
from matrix.ports import OutgoingMessage
from matrix.topics import CANDIDATE_EVALUATED, CANDIDATE_TRAINED
from registry import service
from registry.service import GatePrompts, Registry
from tests.conftest import StackUnderTest
from tests.fakes.registry import BASE, KNOWLEDGE, MATRIX, ONE, POLICY, World
from tests.fakes.waiting import until

PROMPTS = b'{"prompt_id": "1", "messages": [{"role": "user", "content": "does it hurt?"}]}\n'

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def start(stack: StackUnderTest, prompts: Path, matrix_file: Path) -> subprocess.Popen[bytes]:
    more = {"PLUMBLINE_GATE_PROMPTS_FILE": str(prompts), "PLUMBLINE_MATRIX_FILE": str(matrix_file)}
    return subprocess.Popen([sys.executable, "-m", "infra.cli", "registry", "work"], env=stack.environment | more)


def count(stack: StackUnderTest, table: str) -> int:
    with stack.database.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def commands(stack: StackUnderTest, digest: str) -> list[dict[str, Any]]:
    """What was sent to the trainer about this candidate."""
    client = redis.Redis.from_url(stack.servers.redis_url)
    bodies = [base64.b64decode(json.loads(one)["body"]) for one in client.lrange("trainer", 0, -1)]
    client.close()
    named: list[dict[str, Any]] = [json.loads(body)[1] for body in bodies]
    return [one for one in named if one.get("candidate_digest") == digest]


def test_what_the_trainer_sends_twice_is_taken_once(stack: StackUnderTest, tmp_path: Path) -> None:
    prompts = tmp_path / "gate.jsonl"
    prompts.write_bytes(PROMPTS)
    objects = FolderObjectStore(Path(stack.environment["PLUMBLINE_OBJECTS_DIR"]))
    asked = GatePrompts("", digest_bytes(PROMPTS))
    registry = Registry(stack.database, objects, MATRIX, SystemClock(), KNOWLEDGE, gate_prompts=lambda: asked)
    service.register_policy(registry, policy=POLICY, base_digest=BASE, base_uri="", served_name="base", actor="admin")
    world = World(registry, [])
    trained = world.trained(ONE)
    evaluated = world.evaluated(trained, ONE)
    publisher = KafkaPublisher(stack.servers.kafka)
    worker = start(stack, prompts, Path(__file__).parents[2] / "matrix.toml")
    try:
        publisher.publish([OutgoingMessage(CANDIDATE_TRAINED.name, POLICY, trained.to_payload())] * 2)
        until(lambda: commands(stack, trained.adapter_digest), "the command to evaluate")
        broken = OutgoingMessage(CANDIDATE_EVALUATED.name, POLICY, b"no JSON")
        once = OutgoingMessage(CANDIDATE_EVALUATED.name, POLICY, evaluated.to_payload())
        publisher.publish([broken, once, once])
        until(lambda: count(stack, "registry.gate_reports"), "the gate report")
    finally:
        publisher.close()
        worker.send_signal(signal.SIGTERM)
        ended = worker.wait(60)
    assert ended == 0
    [command] = commands(stack, trained.adapter_digest)
    assert objects.read(command["gate_prompts_uri"]) == PROMPTS
    assert count(stack, "registry.versions") == 2  # the base model and the candidate
    assert count(stack, "registry.evaluation_requests") == 1
    assert count(stack, "registry.gate_reports") == 1
    assert count(stack, "infra.outbox WHERE kind = 'command'") == 0
    assert world.actions() == ["policy.registered", "version.registered", "gate.judged"]
