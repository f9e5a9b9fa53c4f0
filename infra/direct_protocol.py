"""Small requests to a few hot routes (infra.direct), answered from uvicorn's connection without the ASGI round.

Of what a bare ASGI endpoint costs, half is the round itself: scope, cycle, messages, header checks (D-016). A hot
request is a POST to a path of the table whose length is declared and small and which is alone on its connection; it
is parsed by the same parser under the same timeouts, but for a head whose bytes were parsed before. Every other
request goes to the application.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from infra.direct import Call, Direct, Head, Headers, Reply, opening_of

SMALL_BYTES = 60_000  # below uvicorn's high-water mark, where it would pause reading
LENGTH_DIGITS = 5
HEAD_BYTES = 64 << 10  # of a request's first line and headers, by either way
HEAD_TOO_LARGE = f"The request's first line and headers are over {HEAD_BYTES} bytes."
HEAD_END = b"\r\n\r\n"


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a shorter way for hot requests; a connection changes freely between the two."""

    _call: Call[Any] | None = None  # the hot request that is being parsed
    _parsed: Call[Any] | None = None  # the one that ended in the present read
    _is_between = True  # the parser has nothing of a request, and may be given one or not
    _idle_since = 0.0  # of the loop's clock: when the last hot answer was written
    _in_head = _is_too_large = False
    _read_bytes = 0  # of the present read
    _first_bytes = _more_bytes = 0  # of the read in which the present head began, and of those after it

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._direct: Direct | None = getattr(getattr(self.app, "state", None), "direct", None)

    def data_received(self, data: bytes) -> None:
        """A whole request behind a head that is known is taken at once."""
        if self._is_between and self._direct is not None:
            end = data.find(HEAD_END) + len(HEAD_END)
            head = self._direct.heads.find(data[:end])
            if head is not None and len(data) - end == head.length and self._is_free():
                call = Call(self, head, data[end:])
                self.cycle = call  # type: ignore[assignment]  # it has what uvicorn looks at
                head.route.take(call)
                return
        self._parse(data)

    def _is_free(self) -> bool:
        """Nothing is under way, and the client reads its answers: else uvicorn waits for it, and reads no more."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _parse(self, data: bytes) -> None:
        """Count what a head takes: the parser would hold any amount of it."""
        was_between, self._parsed = self._is_between, None
        self._read_bytes = len(data)
        if self._in_head:
            self._more_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._more_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._is_too_large = True
            self.send_400_response(HEAD_TOO_LARGE)
        if was_between and self._is_between:
            self._remember(data)

    def _remember(self, data: bytes) -> None:
        """The head of a read that was one whole hot request and nothing else."""
        end = data.find(HEAD_END) + len(HEAD_END)
        if self._direct is not None and self._parsed is not None and len(data) - end == self._parsed.head.length:
            self._direct.heads.remember(data[:end], self._parsed.head)

    def send_400_response(self, msg: str) -> None:
        """The same, or that the head is too large; the connection ends."""
        self._is_between = False
        if not self._is_too_large:
            super().send_400_response(msg)
            return
        head = b"content-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(HEAD_TOO_LARGE)
        self.transport.write(STATUS_LINE[431] + head + HEAD_TOO_LARGE.encode())
        self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_between = False
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
        head = self._hot()
        if head is None:
            self._call = None
            super().on_headers_complete()
        else:
            self._call = Call(self, head)
            self.cycle = self._call  # type: ignore[assignment]  # it has what uvicorn looks at

    def on_message_complete(self) -> None:
        """A request is whole: a hot one is its route's to answer."""
        self._is_between = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        call, self._call = self._call, None
        if call is None:
            super().on_message_complete()
        else:
            self._parsed = call if call.keep_alive else None
            call.head.route.take(call)

    def _hot(self) -> Head[Any] | None:
        direct = self._direct
        route = None if direct is None else direct.routes.get(self.url)
        if direct is None or route is None or self.parser.get_method() != b"POST" or not self._is_free():
            return None
        is_plain = self.parser.get_http_version() == "1.1" and not self.parser.should_upgrade()
        length = _length(self.headers)
        if not is_plain or length is None or length > min(SMALL_BYTES, direct.max_body_bytes):
            return None
        return Head(route, self.headers, route.read(self.headers), length, self.parser.should_keep_alive())

    def write_json(self, call: Call[Any], status: int, body: bytes) -> None:
        """An answer without headers of its own."""
        if self._direct is None or not call.keep_alive:
            self.write_reply(call, Reply(status, body))
        else:
            opening = self._direct.openings.of(status, self.server_state.default_headers)
            self._write(call, b"".join((opening, b"%d\r\n\r\n" % len(body), body)))

    def write_reply(self, call: Call[Any], reply: Reply) -> None:
        """Any other; a connection that is not kept ends with it."""
        named = [(b"content-type", reply.media_type.encode())]
        named += [(name.encode(), value.encode()) for name, value in (reply.headers or {}).items()]
        named += [] if call.keep_alive else [(b"connection", b"close")]
        opening = opening_of(reply.status, [*self.server_state.default_headers, *named])
        self._write(call, b"".join((opening, b"%d\r\n\r\n" % len(reply.body), reply.body)))

    def keep(self, task: asyncio.Task[None]) -> None:
        """Until it is done; the server waits for it before it ends."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _write(self, call: Call[Any], answer: bytes) -> None:
        call.response_complete = True
        if call.disconnected or self.transport.is_closing():
            return
        self.transport.write(answer)
        if not call.keep_alive:
            self.transport.close()
        self._idle_since = self.loop.time()
        if self.pipeline or self.timeout_keep_alive_task is None or self.transport.is_closing():
            self.on_response_complete()
        else:  # the timer is running: it looks at the time when it is due
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle; requests behind a known head let its timer run on."""
        self.timeout_keep_alive_task = None
        if not self._is_between or not (self.cycle is None or self.cycle.response_complete):
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is timed any more."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)


def _length(headers: Headers) -> int | None:
    """Of the body; None where it is not declared plainly."""
    lengths = [value for name, value in headers if name == b"content-length"]
    if any(name in (b"expect", b"transfer-encoding") for name, _ in headers):
        return None
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > LENGTH_DIGITS:
        return None
    return int(lengths[0])
