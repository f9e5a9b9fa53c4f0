"""The shorter way through the server: the same answers as the longer one, whatever comes on a connection."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request, Response

from infra.direct import Direct, Headers, Reply
from infra.direct_protocol import HEAD_BYTES, DirectProtocol
from tests.fakes.serving import served

LIMIT = 1_000
LARGE = 64 << 20  # more than the buffers of a connection hold


def application() -> FastAPI:
    api = FastAPI()

    async def direct(headers: Headers, body: bytes) -> Reply:
        named = dict(headers).get(b"x-name", b"").decode()
        return Reply(202, b"direct:" + body, headers={"x-name": named} if named else None)

    @api.post("/hot")
    async def hot(request: Request) -> Response:
        return Response(b"asgi:" + await request.body(), 202)

    async def large(headers: Headers, body: bytes) -> Reply:
        return Reply(200, b"x" * LARGE)

    api.state.direct = Direct({b"/hot": direct, b"/large": large}, LIMIT)
    return api


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with served(application(), DirectProtocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            yield connection


def request(body: bytes = b"x", *, path: str = "/hot", headers: str = "", method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answers(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Status and body of as many answers."""
    stream, found = connection.makefile("rb"), []
    for _ in range(count):
        status, length = int(stream.readline().split()[1]), 0
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b": ")
            length = int(value) if name.lower() == b"content-length" else length
        found.append((status, stream.read(length)))
    return found


def test_a_small_whole_request_takes_the_short_way_and_the_connection_goes_on(connection: socket.socket) -> None:
    for body in (b"one", b"", b"three"):
        connection.sendall(request(body))
        assert answers(connection, 1) == [(202, b"direct:" + body)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request(path="/hot?x=1"), (202, b"asgi:x")),
        (request(b"x" * (LIMIT + 1)), (202, b"asgi:" + b"x" * (LIMIT + 1))),
        (b"POST /hot HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", (202, b"asgi:x")),
        (request(method="PUT"), (405, b'{"detail":"Method Not Allowed"}')),
        (request(path="/none"), (404, b'{"detail":"Not Found"}')),
    ],
)
def test_everything_else_takes_the_long_way_and_comes_back(
    connection: socket.socket, sent: bytes, expected: tuple[int, bytes]
) -> None:
    connection.sendall(sent)
    assert answers(connection, 1) == [expected]
    connection.sendall(request(b"again"))
    assert answers(connection, 1) == [(202, b"direct:again")]


def test_a_body_in_parts_is_one_request(connection: socket.socket) -> None:
    whole = request(b"in two parts")
    connection.sendall(whole[:-5])
    connection.sendall(whole[-5:])
    assert answers(connection, 1) == [(202, b"direct:in two parts")]


def test_requests_in_a_row_are_answered_in_order(connection: socket.socket) -> None:
    connection.sendall(b"".join(request(str(number).encode()) for number in range(5)))
    found = answers(connection, 5)
    assert [body.partition(b":")[2] for _, body in found] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_client_that_hangs_up_or_talks_nonsense_harms_no_other(connection: socket.socket) -> None:
    host, port = connection.getpeername()
    with socket.create_connection((host, port), timeout=20) as gone:
        gone.sendall(request(b"whole")[:-2])
    with socket.create_connection((host, port), timeout=20) as nonsense:
        nonsense.sendall(b"POST /hot HTTP/1.1\r\nContent-Length: minus one\r\n\r\n")
        assert nonsense.recv(100).startswith(b"HTTP/1.1 400")
    connection.sendall(request(headers="Connection: close\r\n"))
    assert answers(connection, 1) == [(202, b"direct:x")]
    assert connection.recv(1) == b""


def test_while_a_client_does_not_read_its_answers_requests_take_the_way_that_waits(connection: socket.socket) -> None:
    connection.sendall(request(path="/large"))
    stream = connection.makefile("rb")
    assert b"200" in stream.readline()  # it is on its way, and most of it is still to be read
    connection.sendall(request(b"second"))
    while stream.readline().strip():
        pass
    assert len(stream.read(LARGE)) == LARGE
    assert b"202" in stream.readline()
    while stream.readline().strip():
        pass
    assert stream.read(len(b"asgi:second")) == b"asgi:second"
    stream.close()
    connection.sendall(request(b"third"))
    assert answers(connection, 1) == [(202, b"direct:third")]


def heads() -> Iterator[tuple[str, bytes]]:
    """Of more than a head may take."""
    most = b"x" * HEAD_BYTES
    yield "whole", b"POST /hot HTTP/1.1\r\nHost: h\r\nX-Name: " + most + b"\r\nContent-Length: 0\r\n\r\n"
    yield "many headers", b"POST /hot HTTP/1.1\r\n" + b"X-Name: 1\r\n" * HEAD_BYTES
    yield "a value without an end", b"GET / HTTP/1.1\r\nX-Name: " + most * 8
    yield "a path without an end", b"GET /" + most * 8


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in heads()])
def test_a_head_that_is_too_large_is_refused_and_ends_the_connection(connection: socket.socket, sent: bytes) -> None:
    connection.sendall(request(b"before"))
    assert answers(connection, 1) == [(202, b"direct:before")]
    with contextlib.suppress(ConnectionError):
        connection.sendall(sent)
    assert connection.recv(100).startswith(b"HTTP/1.1 431")


def test_a_large_body_beside_a_small_head_is_not_taken_for_one(connection: socket.socket) -> None:
    body = b"x" * (2 * HEAD_BYTES)
    connection.sendall(
        request(body) + request(body) + request(b"last", headers=f"X-Long: {'x' * (HEAD_BYTES - 500)}\r\n")
    )
    found = answers(connection, 3)
    assert [text.partition(b":")[2] for _, text in found] == [body, body, b"last"]
