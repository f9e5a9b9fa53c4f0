"""The local stack's servers, really started: found again, mended after kill -9, and gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from infra.local import parts
from infra.local.settling import Wishes
from infra.local.stack import Stack
from infra.local.topics import create_topics
from matrix.errors import StackFailed
from matrix.topics import TOPICS

pytestmark = [pytest.mark.stack, pytest.mark.slow]
SERVERS = Wishes(servers_only=True)
CACHE = Path(__file__).parents[2] / ".plumbline" / "cache"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "home with a space", cache=CACHE)
    yield made
    made.down()


def pids(stack: Stack) -> dict[str, int | None]:
    return {part.name: part.pid for part in stack.status()}


def states(stack: Stack) -> dict[str, str]:
    return {part.name: part.state for part in stack.status()}


def database(stack: Stack) -> str:
    return stack.variables()["PLUMBLINE_DATABASE_URL"].replace("+psycopg", "")


def test_a_second_up_finds_the_running_servers(stack: Stack) -> None:
    stack.up(SERVERS)
    first = pids(stack)
    stack.up(SERVERS)
    assert pids(stack) == first
    assert set(first) == set(parts.SERVERS)
    assert json.loads((stack.home / "stack.json").read_text())["parts"][0]["pid"] == first["kafka"]


def test_killed_servers_come_back_with_what_they_held(stack: Stack) -> None:
    stack.up(SERVERS)
    told = stack.variables()
    create_topics(told["PLUMBLINE_KAFKA"])
    with psycopg.connect(database(stack), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with Redis.from_url(told["PLUMBLINE_REDIS_URL"]) as client:
        client.set("kept", "42")
    for pid in pids(stack).values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [])
    assert states(stack) == dict.fromkeys(parts.SERVERS, "died")
    stack.up(SERVERS)
    assert set(states(stack).values()) == {"running"}
    assert create_topics(stack.variables()["PLUMBLINE_KAFKA"]) == []
    with psycopg.connect(database(stack)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_one_killed_server_is_mended_and_the_others_are_left_alone(stack: Stack) -> None:
    stack.up(SERVERS)
    before = pids(stack)
    assert before["redis"] is not None
    os.kill(before["redis"], signal.SIGKILL)
    stack.up(SERVERS)
    after = pids(stack)
    assert {name for name in before if before[name] != after[name]} == {"redis"}


def test_up_goes_on_where_a_killed_up_stopped(stack: Stack) -> None:
    script = (
        "import os, signal; from pathlib import Path; from infra.local import children, stack, settling\n"
        "children.wait_ready = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"stack.Stack(Path({str(stack.home)!r}), cache=Path({str(CACHE)!r})).up(settling.Wishes(servers_only=True))"
    )
    killed = subprocess.run((sys.executable, "-c", script), check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    begun = {name: pid for name, pid in pids(stack).items() if pid is not None}
    stack.up(SERVERS)
    assert set(states(stack).values()) == {"running"}
    assert begun.items() <= pids(stack).items()
    assert begun


def test_servers_that_a_killed_up_had_no_time_to_note_are_ended_by_the_next(stack: Stack) -> None:
    script = (
        "import os, signal; from pathlib import Path; from infra.local import children, stack, settling\n"
        "children._note = lambda child, pid: child.name == 'redis' and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"stack.Stack(Path({str(stack.home)!r}), cache=Path({str(CACHE)!r})).up(settling.Wishes(servers_only=True))"
    )
    killed = subprocess.run((sys.executable, "-c", script), check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert set(stack.down()) == set(parts.SERVERS)


def test_down_leaves_no_process_and_no_address(stack: Stack) -> None:
    stack.up(SERVERS)
    family = [
        member
        for pid in pids(stack).values()
        for member in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    ]
    assert set(stack.down()) == set(parts.SERVERS)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert not (stack.home / "stack.env").exists()
    assert set(states(stack).values()) == {"stopped"}


def test_an_open_connection_does_not_hold_up_the_end(stack: Stack) -> None:
    stack.up(SERVERS)
    with psycopg.connect(database(stack)):
        assert "postgres" in stack.down()


def test_restart_changes_one_pid(stack: Stack) -> None:
    stack.up(SERVERS)
    before = pids(stack)
    stack.restart("redis")
    after = pids(stack)
    assert {name for name in before if before[name] != after[name]} == {"redis"}


def test_servers_refuse_a_client_without_the_password(stack: Stack) -> None:
    stack.up(SERVERS)
    told = stack.variables()
    secret = told["PLUMBLINE_DATABASE_URL"].split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database(stack).replace(secret, "wrong")).close()
    for process in (psutil.Process(pid) for pid in pids(stack).values()):
        assert secret not in " ".join(process.cmdline())


def test_a_second_command_at_the_same_time_is_refused(stack: Stack) -> None:
    with stack._alone(), pytest.raises(StackFailed, match="another command is at work"):
        stack.up(SERVERS)


def test_topics_have_their_declared_partitions_and_are_made_once(stack: Stack) -> None:
    stack.up(SERVERS)
    bootstrap = stack.variables()["PLUMBLINE_KAFKA"]
    assert create_topics(bootstrap) == [topic.name for topic in TOPICS]
    assert create_topics(bootstrap) == []
