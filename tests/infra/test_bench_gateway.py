"""The gateway's benchmark believes no run in which a request was left without an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.gateway import acknowledged
from benchmarks.gateway_load import Load, drive
from matrix.errors import StackFailed

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


async def load_on(server_answers: int, *, rate: float | None) -> dict[str, Any]:
    """A server that answers so many requests and leaves the others without a word."""
    answers = iter(range(server_answers))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            if next(answers, None) is not None:
                writer.write(ANSWER)

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(quietly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await drive(Load(port, "/v1/feedback", "key", clients=4, seconds=0.05, rate=rate, patience_s=0.05))


@pytest.mark.parametrize("rate", [None, 400.0])
async def test_a_request_that_is_never_answered_is_counted_and_refused(rate: float | None) -> None:
    told = await load_on(3, rate=rate)
    assert told["unanswered"] == told["requests"] - 3 > 0
    assert told["statuses"] == {"202": 3}
    with pytest.raises(StackFailed, match=f"{told['unanswered']} unanswered"):
        acknowledged(told)


@pytest.mark.parametrize("rate", [None, 400.0])
async def test_a_run_in_which_all_is_answered_is_believed(rate: float | None) -> None:
    told = await load_on(1_000_000, rate=rate)
    assert acknowledged(told)["requests"] == told["events"] == told["statuses"]["202"]


@pytest.mark.parametrize("change", [{"statuses": {"202": 9, "503": 1}}, {"statuses": {"lost": 1}}, {"events": 0}])
def test_a_run_with_a_refusal_or_without_events_is_not_believed(change: dict[str, Any]) -> None:
    told = {"statuses": {"202": 9}, "unanswered": 0, "events": 9} | change
    with pytest.raises(StackFailed, match="not every request was acknowledged"):
        acknowledged(told)
