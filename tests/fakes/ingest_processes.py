"""The gateway, the ingest worker and `ingest replay` as processes of a test, which may kill them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from infra.access import AccessKeys, Scope
from infra.clock import SystemClock
from tests.conftest import StackUnderTest
from tests.fakes.waiting import until


def plumbline(stack: StackUnderTest, *arguments: str, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infra.cli", "ingest", *arguments]
    return subprocess.Popen(command, env=stack.environment | more, stdout=subprocess.PIPE, text=True)


class GatewayProcess:
    """One address at which a gateway answers, or does not."""

    def __init__(self, stack: StackUnderTest, **more: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.key = AccessKeys(stack.database, SystemClock()).create("test", [Scope.FEEDBACK, Scope.CHAT, Scope.VIEW])
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)
        self._stack, self._more = stack, more
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = plumbline(self._stack, "serve", "--port", str(self.port), **self._more)
        until(lambda: answers(self.client), "the gateway")

    def kill(self) -> None:
        """As kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(20) in (0, -signal.SIGTERM)
        self.client.close()


@contextmanager
def gateway_process(stack: StackUnderTest, **more: str) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(stack, **more)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.end()


@contextmanager
def gateway(stack: StackUnderTest, **more: str) -> Iterator[httpx.Client]:
    with gateway_process(stack, **more) as process:
        yield process.client


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def worker(stack: StackUnderTest, **more: str) -> Iterator[subprocess.Popen[str]]:
    process = plumbline(stack, "work", **more)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def rows(stack: StackUnderTest, query: str) -> list[tuple[Any, ...]]:
    with stack.database.unit_of_work() as session:
        return [tuple(row) for row in session.connection().execute(text(query))]


def replay(
    stack: StackUnderTest, client: httpx.Client, file: Path, *more: str, form: str = "jsonl"
) -> subprocess.Popen[str]:
    arguments = ("replay", str(file), "--format", form, "--json", *more)
    key = client.headers["Authorization"].removeprefix("Bearer ")
    return plumbline(stack, *arguments, PLUMBLINE_GATEWAY_URL=str(client.base_url), PLUMBLINE_API_KEY=key)


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told
    found: dict[str, Any] = json.loads(told)
    return found
