"""Server-sent events as chat services use them: written one event at a time, read by the specification's rules.

Lines end in LF, CR or CRLF and in nothing else (WHATWG HTML, 9.2.6): a reader that splits at every Unicode line break
tears JSON that holds U+2028. Left out: named events, ids and retry times, which chat completions do not use.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

DONE = "[DONE]"  # the data of the last event of a completion that is whole
MEDIA_TYPE = "text/event-stream"
# Proxies between here and the person would otherwise collect events until a page is full.
UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
MAX_EVENT_BYTES = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Legal within JSON's strings, but many readers split lines at them.
_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}


class EventTooLarge(ValueError):
    """A sender that never ends its event."""


def written(data: Mapping[str, Any] | str) -> bytes:
    """One event on one line. ValueError for what JSON or UTF-8 cannot spell."""
    text = data if isinstance(data, str) else _spelt(data)
    return f"data: {text.translate(_ESCAPED)}\n\n".encode()


def _spelt(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class EventReader:
    """Bytes in, as they come off the wire; the data of whole events out."""

    def __init__(self) -> None:
        self._rest, self._data, self._size = b"", list[str](), 0

    def read(self, received: bytes) -> list[str]:
        """Events that these bytes complete. EventTooLarge, or UnicodeDecodeError, which is a ValueError too."""
        *lines, self._rest = self._lines(self._rest + received)
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
        return events

    def _lines(self, received: bytes) -> list[bytes]:
        # A CR at the end may be the first half of a CRLF.
        held = b"\r" if received.endswith(b"\r") else b""
        *whole, last = _LINE_END.split(received.removesuffix(held) if held else received)
        return [*whole, last + held]

    def _line(self, line: bytes) -> str | None:
        """The event that this line ends."""
        if not line:
            event, self._data, self._size = "\n".join(self._data), [], 0
            return event or None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode())
            self._size += len(value)
        return None


class EventStream(StreamingResponse):
    """Events to one client, each sent before the next is asked for.

    `ended` is awaited once afterwards, also where the client has left: what must not be cut short belongs there, since
    a client that leaves cancels the events at whatever they wait for.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        ended: Callable[[], Awaitable[None]],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(events, headers={**UNBUFFERED, **(headers or {})}, media_type=MEDIA_TYPE)
        self._events, self._ended = events, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            pass
        finally:
            await self._events.aclose()
            await self._ended()
