"""How to see that a child does its work: it answers HTTP, accepts a connection, or says so in a marker file."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from pathlib import Path

from infra.local.ports import HOST

Check = Callable[[int], bool]  # the child's pid in
ANSWER_S = 2.0


def answers_http(port: int, path: str = "/health") -> Check:
    """Ready when GET answers 200."""

    def check(_pid: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def accepts(port: int) -> Check:
    """Ready when a connection is accepted."""

    def check(_pid: int) -> bool:
        try:
            with socket.create_connection((HOST, port), timeout=ANSWER_S):
                return True
        except OSError:
            return False

    return check


def marked(marker: Path) -> Check:
    """Ready when the worker has left its marker; one by another pid is an earlier worker's."""

    def check(pid: int) -> bool:
        try:
            return marker.read_text().strip() == str(pid)
        except OSError:
            return False

    return check
