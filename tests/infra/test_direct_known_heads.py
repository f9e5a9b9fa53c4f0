"""Requests behind heads that were parsed before, and those that are answered together with others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from infra import direct
from infra.direct import Call, Direct, Headers, Heads, Openings, Reply, Together
from infra.direct_protocol import DirectProtocol
from tests.fakes.serving import served
from tests.fakes.waiting import until

LIMIT = 1_000


class Application:
    """Answers a body with itself; what says `wait` waits until it is let go; what says `alone` goes that way."""

    def __init__(self) -> None:
        self.turns: list[int] = []
        self.held: list[Call[str]] = []
        self.read_heads = 0
        self.api = FastAPI()

        @self.api.post("/hot")
        async def hot(request: Request) -> Response:
            return Response(b"asgi:" + await request.body(), 202)

        self.direct = self.api.state.direct = Direct({}, LIMIT, {b"/hot": Together(self._read, self._answer)})

    def _read(self, headers: Headers) -> str:
        self.read_heads += 1
        return dict(headers).get(b"x-name", b"").decode()

    def _answer(self, calls: list[Call[str]]) -> None:
        self.turns.append(len(calls))
        for call in calls:
            if call.body == b"wait":
                self.held.append(call)
            elif call.body == b"alone":
                call.alone(self._alone(call))
            else:
                call.reply_json(202, call.head.said.encode() + b":" + call.body)
                call.reply_json(500, b"a second answer")

    async def _alone(self, call: Call[str]) -> Reply:
        return Reply(200, b"by itself", headers={"x-more": "1"})


def tell(call: Call[str], body: bytes) -> None:
    """Answer it from this thread."""
    call._connection.loop.call_soon_threadsafe(call.reply_json, 202, body)


@pytest.fixture
def application() -> Application:
    return Application()


@contextmanager
def connected(application: Application, connections: int = 1) -> Iterator[list[socket.socket]]:
    with served(application.api, DirectProtocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        made = [socket.create_connection((host, int(port)), timeout=20) for _ in range(connections)]
        try:
            yield made
        finally:
            for one in made:
                one.close()


def request(body: bytes, *, name: str = "n", headers: str = "") -> bytes:
    head = f"POST /hot HTTP/1.1\r\nHost: h\r\nX-Name: {name}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(connection: socket.socket) -> tuple[int, bytes]:
    stream = connection.makefile("rb")
    status, length = int(stream.readline().split()[1]), 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b": ")
        length = int(value) if name.lower() == b"content-length" else length
    return status, stream.read(length)


def test_a_head_is_read_once_for_all_connections_and_every_length_is_its_own(application: Application) -> None:
    with connected(application, 3) as connections:
        for body in (b"one", b"two", b"longer", b"x" * 9, b"three!"):
            for connection in connections:
                connection.sendall(request(body))
                assert answer(connection) == (202, b"n:" + body)
        assert application.read_heads == 3
        connections[0].sendall(request(b"one", name="m"))
        assert answer(connections[0]) == (202, b"m:one")


def test_a_body_that_looks_like_a_head_is_a_body(application: Application) -> None:
    inner = request(b"12")
    with connected(application) as (connection,):
        for _ in range(2):
            for sent in (inner, b"\r\n\r\n", b"12"):
                connection.sendall(request(sent))
                assert answer(connection) == (202, b"n:" + sent)


def test_behind_a_known_head_a_body_may_come_in_parts_or_beside_the_next_request(application: Application) -> None:
    with connected(application) as (connection,):
        for _ in range(2):
            connection.sendall(request(b"known"))
            assert answer(connection) == (202, b"n:known")
        whole = request(b"parts")
        for cut in (10, len(whole) - 5, len(whole) - 2):
            connection.sendall(whole[:cut])
            connection.sendall(whole[cut:])
            assert answer(connection) == (202, b"n:parts")
        connection.sendall(request(b"first") + request(b"again"))
        found = connection.makefile("rb")
        seen = b""
        while seen.count(b"first") + seen.count(b"again") < 2:
            seen += found.read1()
        assert seen.index(b"first") < seen.index(b"again")
        connection.sendall(b"\r\n" + request(b"known"))  # an empty line before a request is allowed
        assert answer(connection) == (202, b"n:known")


def test_a_request_behind_one_that_is_not_answered_yet_waits_for_its_turn(application: Application) -> None:
    with connected(application) as (connection,):
        for _ in range(2):
            connection.sendall(request(b"kept"))
            assert answer(connection) == (202, b"n:kept")
        connection.sendall(request(b"wait"))
        until(lambda: application.held, "the call")
        connection.sendall(request(b"kept"))
        tell(application.held[0], b"after all")
        stream = connection.makefile("rb")
        seen = b""
        while b"kept" not in seen:
            seen += stream.read1()
        assert seen.index(b"after all") < seen.index(b"kept")


def test_a_client_that_hangs_up_while_it_waits_harms_no_other(application: Application) -> None:
    with connected(application, 2) as (gone, connection):
        gone.sendall(request(b"wait"))
        until(lambda: application.held, "the call")
        (held,) = application.held
        gone.close()
        until(lambda: held.disconnected, "the end of the connection")
        tell(held, b"to nobody")
        connection.sendall(request(b"here"))
        assert answer(connection) == (202, b"n:here")
        assert held.response_complete


def test_a_call_may_be_answered_in_a_task_of_its_own_with_headers_of_its_own(application: Application) -> None:
    with connected(application) as (connection,):
        for _ in range(2):
            connection.sendall(request(b"alone"))
            assert answer(connection) == (200, b"by itself")


def test_a_connection_that_is_not_kept_is_closed_with_its_answer_each_time(application: Application) -> None:
    for _ in range(2):
        with connected(application) as (connection,):
            connection.sendall(request(b"last", headers="Connection: close\r\n"))
            assert answer(connection) == (202, b"n:last")
            assert connection.recv(1) == b""


def test_other_versions_and_bare_line_ends_are_not_remembered(application: Application) -> None:
    with connected(application, 2) as connections:
        for connection in connections:
            connection.sendall(request(b"old").replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert answer(connection) == (202, b"asgi:old")
    heads = Heads()
    head = direct.Head(application.direct.routes[b"/hot"], [], "", 0, keep_alive=True)
    for sent in (b"POST /hot HTTP/1.1\nHost: h\r\n\r\n", b"\r\nPOST /hot HTTP/1.1\r\n\r\n", b"POST " + b"x" * 1_000):
        heads.remember(sent, head)
        assert heads.find(sent) is None


def test_what_is_remembered_of_heads_is_bounded(monkeypatch: pytest.MonkeyPatch, application: Application) -> None:
    monkeypatch.setattr(direct, "MOST_HEADS", 3)
    with connected(application) as (connection,):
        for number in range(20):
            connection.sendall(request(b"x", name=str(number)))
            assert answer(connection) == (202, f"{number}:x".encode())
    assert len(application.direct.heads._known) <= 3


class Running:
    """A server with settings of its own, on a socket that listens already."""

    def __init__(self, application: Application, **settings: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            application.api,
            http=DirectProtocol,
            proxy_headers=False,
            log_level="error",
            **settings,  # type: ignore[arg-type]
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.listener.close()
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=20)


def test_a_client_that_sends_through_a_connection_keeps_it_and_one_that_idles_loses_it(
    application: Application,
) -> None:
    with Running(application, timeout_keep_alive=1) as running, running.connect() as connection:
        until_s = time.monotonic() + 1.7  # longer than an idle connection is kept
        while time.monotonic() < until_s:
            connection.sendall(request(b"busy"))
            assert answer(connection) == (202, b"n:busy")
        assert connection.recv(1) == b""


def test_a_server_that_ends_answers_first_what_waits(application: Application) -> None:
    with Running(application) as running, running.connect() as connection:
        connection.sendall(request(b"wait"))
        until(lambda: application.held, "the call")
        running.server.should_exit = True
        until(lambda: not application.held[0].keep_alive, "the server's look at its connections")
        tell(application.held[0], b"before the end")
        assert answer(connection) == (202, b"before the end")
        assert connection.recv(1) == b""


def test_answers_open_with_the_headers_of_the_present_second() -> None:
    openings = Openings()
    first, second = [(b"date", b"1")], [(b"date", b"2")]
    assert b"date: 1\r\n" in openings.of(202, first)
    assert openings.of(202, first) is openings.of(202, first)
    assert b"200" in openings.of(200, first)
    assert b"date: 2\r\n" in openings.of(202, second)
