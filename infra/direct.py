"""Hot routes: requests that are answered from the connection, without the ASGI round (infra.direct_protocol).

Two ways to answer one: alone, in a task of its own; or together with all that arrived in the same turn of the loop, in
one plain function, which hands on to the first way what is not plain. The application has the same routes: what is no
hot request there, or is served without the protocol, is slower and answered the same. The table is `app.state.direct`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

JSON = "application/json"
MOST_HEADS, LONGEST_HEAD = 2_000, 1_000  # that are remembered; bytes of one
Headers = list[tuple[bytes, bytes]]  # names in lower case
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a hot route answers."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] | None = None


Answer = Callable[[Headers, bytes], Awaitable[Reply]]  # raises nothing


class Connection(Protocol):
    """Where a call came from."""

    loop: asyncio.AbstractEventLoop

    def write_json(self, call: Call[Any], status: int, body: bytes) -> None:
        """An answer without headers of its own."""
        ...

    def write_reply(self, call: Call[Any], reply: Reply) -> None:
        """Any other."""
        ...

    def keep(self, task: asyncio.Task[None]) -> None:
        """Until it is done; the server waits for it before it ends."""
        ...


class Call(Generic[Said]):
    """A hot request. It stands where uvicorn keeps the cycle of a connection's present request."""

    __slots__ = (
        "_connection", "body", "disconnected", "head", "keep_alive", "more_body", "response_complete",
    )  # fmt: skip

    def __init__(self, connection: Connection, head: Head[Said], body: bytes = b"") -> None:
        self._connection, self.head, self.body = connection, head, body
        self.keep_alive = head.keep_alive
        self.disconnected, self.response_complete, self.more_body = False, False, True

    def reply(self, reply: Reply) -> None:
        """Answer it; a second answer is not sent."""
        if not self.response_complete:
            self._connection.write_reply(self, reply)

    def reply_json(self, status: int, body: bytes) -> None:
        """The same for what nearly every answer is."""
        if not self.response_complete:
            self._connection.write_json(self, status, body)

    def alone(self, answer: Awaitable[Reply]) -> None:
        """Answer it in a task of its own."""
        self._connection.keep(self._connection.loop.create_task(self._answered(answer)))

    def begin_soon(self, work: Callable[[], None]) -> None:
        """Once what has arrived by now is read from all connections."""
        self._connection.loop.call_soon(work)

    async def _answered(self, answer: Awaitable[Reply]) -> None:
        self.reply(await answer)

    @property
    def message_event(self) -> Call[Said]:
        """uvicorn tells a waiting application of each part; a hot route takes the whole."""
        return self

    def set(self) -> None:
        """Nobody waits."""


class Route(Protocol):
    """How calls of a path are answered."""

    def read(self, headers: Headers) -> Any:
        """What the headers say; kept with a head that is remembered."""
        ...

    def take(self, call: Call[Any]) -> None:
        """A whole request."""
        ...


class Head(NamedTuple, Generic[Said]):
    """A request's first line and headers, as parsed."""

    route: Route
    headers: Headers
    said: Said  # by the headers, as the route reads them
    length: int  # bytes of the body
    keep_alive: bool


class Alone:
    """A task for each call."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def read(self, headers: Headers) -> None:
        """The answer reads them itself."""

    def take(self, call: Call[None]) -> None:
        """A whole request."""
        call.alone(self._answer(call.head.headers, bytes(call.body)))


class Together(Generic[Said]):
    """All calls of one turn of the loop at once; `answer` raises nothing and leaves none without an answer."""

    def __init__(self, read: Callable[[Headers], Said], answer: Callable[[list[Call[Said]]], None]) -> None:
        self.read, self._answer = read, answer
        self._calls: list[Call[Said]] = []

    def take(self, call: Call[Said]) -> None:
        """A whole request."""
        if not self._calls:
            call.begin_soon(self._work)
        self._calls.append(call)

    def _work(self) -> None:
        calls, self._calls = self._calls, []
        self._answer(calls)


class Heads:
    """Heads by their bytes: clients that stay connected send the same ones again, so most need not be parsed.

    Only one that made a whole hot request together with exactly its body is remembered, so that the same bytes before
    a body of the same length are the same request. They hold keys, as connections do; they are told to nobody.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Head[Any]] = {}
        self.find = self._known.get

    def remember(self, sent: bytes, head: Head[Any]) -> None:
        """Bounded: when it is full it starts again."""
        if len(sent) > LONGEST_HEAD or not sent.startswith(b"POST ") or sent.count(b"\n") != sent.count(b"\r\n"):
            return
        if len(self._known) >= MOST_HEADS:
            self._known.clear()
        self._known[sent] = head


class Openings:
    """What answers in JSON open with, made anew when uvicorn renews the headers that all answers carry."""

    def __init__(self) -> None:
        self._named: Headers = []
        self._by_status: dict[int, bytes] = {}

    def of(self, status: int, named: Headers) -> bytes:
        """Up to the length of the body."""
        if named is not self._named:
            self._named, self._by_status = named, {}
        opening = self._by_status.get(status)
        if opening is None:
            opening = self._by_status[status] = opening_of(status, [*named, (b"content-type", JSON.encode())])
        return opening


def opening_of(status: int, named: Headers) -> bytes:
    """An answer's first line and headers, up to the length of its body."""
    return b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % one for one in named), b"content-length: "])


class Direct:
    """Hot routes by path, and the application's limit of a body."""

    def __init__(
        self, routes: Mapping[bytes, Answer], max_body_bytes: int, together: Mapping[bytes, Together[Any]] | None = None
    ) -> None:
        alone: dict[bytes, Route] = {path: Alone(answer) for path, answer in routes.items()}
        self.routes: Mapping[bytes, Route] = {**alone, **(together or {})}
        self.max_body_bytes = max_body_bytes
        self.heads, self.openings = Heads(), Openings()
