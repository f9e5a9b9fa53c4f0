"""Connections without sockets: calls of a hot route that arrive in one turn of the loop, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from infra.direct import Call, Direct, Head, Headers, Reply

PATIENCE_S = 20.0  # only ends a test that is broken


class Wire:
    """One connection with one call."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[Reply] = self.loop.create_future()
        self.replies, self.tasks = 0, set[asyncio.Task[None]]()

    def write_json(self, call: Call[Any], status: int, body: bytes) -> None:
        self.write_reply(call, Reply(status, body))

    def write_reply(self, call: Call[Any], reply: Reply) -> None:
        call.response_complete = True
        self.replies += 1
        self.answered.set_result(reply)

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)


async def answers(
    app: FastAPI, bodies: Sequence[bytes], headers: Headers, *, path: bytes = b"/v1/feedback"
) -> list[Reply]:
    """To calls that arrive at once, each on a connection of its own; every one is answered once."""
    direct: Direct = app.state.direct
    route = direct.routes[path]
    wires = []
    for body in bodies:
        wires.append(Wire())
        route.take(Call(wires[-1], Head(route, headers, route.read(headers), len(body), keep_alive=True), body))
    found = await asyncio.wait_for(asyncio.gather(*(wire.answered for wire in wires)), PATIENCE_S)
    await asyncio.gather(*(task for wire in wires for task in wire.tasks))
    assert [wire.replies for wire in wires] == [1] * len(wires)
    return list(found)
