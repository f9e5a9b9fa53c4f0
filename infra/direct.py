"""Small requests to a few hot routes, answered from uvicorn's connection without the ASGI round.

Of what a bare ASGI endpoint costs, half is the round itself: scope, cycle, messages, header checks (D-016). A hot
request is a POST to a path of the table whose length is declared and small and which is alone on its connection; it
is parsed by the same parser under the same timeouts. Every other request goes to the application, which has the same
routes: without this protocol it is slower and answers the same. The table is `app.state.direct`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

log = logging.getLogger(__name__)

SMALL_BYTES = 60_000  # below uvicorn's high-water mark, where it would pause reading
LENGTH_DIGITS = 5
HEAD_BYTES = 64 << 10  # of a request's first line and headers, by either way
HEAD_TOO_LARGE = f"The request's first line and headers are over {HEAD_BYTES} bytes."
JSON = "application/json"
Headers = list[tuple[bytes, bytes]]  # names in lower case


@dataclass(frozen=True, slots=True)
class Reply:
    """What a hot route answers."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] | None = None


Answer = Callable[[Headers, bytes], Awaitable[Reply]]  # raises nothing


@dataclass(frozen=True, slots=True)
class Direct:
    """Hot routes by path, and the application's limit of a body."""

    routes: Mapping[bytes, Answer]
    max_body_bytes: int


class _Turn:
    """Stands where uvicorn keeps the cycle of a connection's present request."""

    __slots__ = ("answer", "body", "disconnected", "keep_alive", "more_body", "response_complete")

    def __init__(self, answer: Answer, *, keep_alive: bool) -> None:
        self.answer, self.keep_alive = answer, keep_alive
        self.body = bytearray()
        self.disconnected, self.response_complete, self.more_body = False, False, True

    @property
    def message_event(self) -> _Turn:
        """uvicorn tells a waiting application of each part; a hot route takes the whole."""
        return self

    def set(self) -> None:
        """Nobody waits."""


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a shorter way for hot requests; a connection changes freely between the two."""

    _turn: _Turn | None = None
    _in_head = _is_too_large = False
    _read_bytes = 0  # of the present read
    _first_bytes = _more_bytes = 0  # of the read in which the present head began, and of those after it

    def data_received(self, data: bytes) -> None:
        """Count what a head takes: the parser would hold any amount of it."""
        self._read_bytes = len(data)
        if self._in_head:
            self._more_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._more_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._is_too_large = True
            self.send_400_response(HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """The same, or that the head is too large; the connection ends."""
        if not self._is_too_large:
            super().send_400_response(msg)
            return
        head = b"content-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(HEAD_TOO_LARGE)
        self.transport.write(STATUS_LINE[431] + head + HEAD_TOO_LARGE.encode())
        self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._first_bytes, self._more_bytes = True, self._read_bytes, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Decide which way this request takes."""
        self._in_head = False
        if self._first_bytes + self._more_bytes > HEAD_BYTES:  # with what was read beside it
            size_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            self._is_too_large = size_bytes > HEAD_BYTES
            if self._is_too_large:
                raise ValueError(HEAD_TOO_LARGE)  # which the parser tells as a request that it cannot read
        answer = self._hot()
        if answer is None:
            self._turn = None
            super().on_headers_complete()
        else:
            self._turn = _Turn(answer, keep_alive=self.parser.should_keep_alive())
            self.cycle = self._turn  # type: ignore[assignment]  # it has what uvicorn looks at

    def on_message_complete(self) -> None:
        """A hot request is complete: answer it in a task of its own."""
        if self._turn is None:
            super().on_message_complete()
            return
        task = self.loop.create_task(self._answer(self._turn, self.headers))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _hot(self) -> Answer | None:
        direct: Direct | None = getattr(getattr(self.app, "state", None), "direct", None)
        answer = None if direct is None else direct.routes.get(self.url)
        if direct is None or answer is None or self.parser.get_method() != b"POST":
            return None
        if self.flow.write_paused:
            return None  # the client does not read its answers: uvicorn waits for it, and reads no more until it does
        alone = self.cycle is None or self.cycle.response_complete
        plain = self.parser.get_http_version() == "1.1" and not self.parser.should_upgrade()
        return answer if alone and plain and _is_small(self.headers, direct.max_body_bytes) else None

    async def _answer(self, turn: _Turn, headers: Headers) -> None:
        reply = await turn.answer(headers, bytes(turn.body))
        turn.response_complete = True
        if turn.disconnected or self.transport.is_closing():
            return
        named = [*self.server_state.default_headers, (b"content-type", reply.media_type.encode())]
        named += [(name.encode(), value.encode()) for name, value in (reply.headers or {}).items()]
        content = [STATUS_LINE[reply.status]]
        for name, value in named:
            content += [name, b": ", value, b"\r\n"]
        if not turn.keep_alive:
            content.append(b"connection: close\r\n")
        content += [b"content-length: %d\r\n\r\n" % len(reply.body), reply.body]
        self.transport.write(b"".join(content))
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _is_small(headers: Headers, max_body_bytes: int) -> bool:
    lengths = [value for name, value in headers if name == b"content-length"]
    if any(name in (b"expect", b"transfer-encoding") for name, _ in headers):
        return False
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > LENGTH_DIGITS:
        return False
    return int(lengths[0]) <= min(SMALL_BYTES, max_body_bytes)
