"""The whole local stack: every process of the product started, found again, mended after kill -9, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from infra.access import Scope
from infra.local import children, parts
from infra.local.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


def plumbline(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    command = (sys.executable, "-m", "infra.cli", "stack", *words)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "cache").symlink_to(ROOT / ".plumbline" / "cache")
    yield folder
    Stack(folder).down()


def started(home: Path) -> dict[str, object]:
    done = plumbline("up", "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def pids(home: Path) -> dict[str, int | None]:
    return {part.name: part.pid for part in Stack(home).status()}


def test_up_starts_every_process_once_mends_a_killed_one_and_shows_keys_once(home: Path) -> None:
    first = started(home)
    assert set(pids(home)) == {*parts.SERVERS, *parts.PROCESSES}
    keys = first["keys"]
    assert isinstance(keys, dict)
    assert set(keys) == {scope.value for scope in Scope}
    served = Stack(home).variables()["PLUMBLINE_REGISTRY_URL"]
    answer = httpx.get(f"{served}/v1/audit", headers={"Authorization": f"Bearer {keys['view']}"})
    assert answer.status_code == 200
    asked = {"model": "clinic-assistant@champion", "messages": [{"role": "user", "content": "Is a cold viral?"}]}
    chat = {"Authorization": f"Bearer {keys['chat']}"}
    gateway = Stack(home).variables()["PLUMBLINE_GATEWAY_URL"]
    assert httpx.post(f"{gateway}/v1/chat/completions", headers=chat, json=asked, timeout=60).status_code == 200

    before = pids(home)
    assert started(home)["keys"] == {}
    assert pids(home) == before

    victim = before["ingest-worker"]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    looked = plumbline("status", "--home", str(home), "--json")
    assert looked.returncode == 1
    assert [part["name"] for part in json.loads(looked.stdout)["parts"] if part["state"] != "running"] == [
        "ingest-worker"
    ]
    started(home)
    after = pids(home)
    assert {name for name in before if before[name] != after[name]} == {"ingest-worker"}

    family = [psutil.Process(pid) for pid in after.values() if pid is not None]
    assert plumbline("down", "--home", str(home)).returncode == 0
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert not any(children.find(children.named(home, name)) for name in parts.names(servers_only=False))
