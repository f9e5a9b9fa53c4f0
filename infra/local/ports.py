"""Ports on the loopback address: a free one by default, the one a person asked for, or one line why not."""

from __future__ import annotations

import socket

from matrix.errors import StackFailed

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether somebody holds the port; one in TIME_WAIT counts as free, as it does for servers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def claim(part: str, port: int) -> int:
    """The asked port if it is free; StackFailed names who wanted it."""
    if is_taken(port):
        raise StackFailed(
            part=part,
            reason=f"port {port} on {HOST} is taken",
            remedy=f"Stop what holds it, or choose another with --port {part}=N (by default a free one is used).",
        )
    return port
