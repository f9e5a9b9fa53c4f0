"""The policy servers behind the gateway: one is asked after the other until one answers.

A conversation begins with the same server each time, whose cache knows it. A server's own 4xx is the client's
business, except that a server which was restarted may not have loaded an adapter yet: another one may, and within
seconds the registry loads it there again (registry/upkeep.py). A stream counts as answered with its first chunk; from
then on nobody else is asked, since part of the completion is served.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from infra.event_stream import DONE, EventReader
from ingest.gateway import Gateway
from matrix.errors import SamplerUnavailable
from matrix.messages.base import unstorable

SHOWN = 300
NOT_FOUND = 404
T = TypeVar("T")


class PolicyServerRefused(Exception):
    """The policy server's own 4xx; its words are the client's business."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a stream, and what it says."""

    chunk: dict[str, Any]
    text: str
    is_last: bool  # says why the completion ended; only a count of tokens may follow


class CompletionStream:
    """A completion as it is being written; closed by whoever reads it."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        self._events = self._read()
        self._first: Piece | None = None

    async def begin(self) -> CompletionStream:
        """Wait for the first chunk."""
        self._first = await anext(self._events, None)
        if self._first is None:
            raise SamplerUnavailable(f"{self._url}: its stream is empty")
        return self

    async def pieces(self) -> AsyncIterator[Piece]:
        """All of it. SamplerUnavailable where it breaks or is no stream of chunks."""
        if self._first is not None:
            yield self._first
        async for piece in self._events:
            yield piece

    async def close(self) -> None:
        """The server stops writing where it has not ended."""
        await self._response.aclose()

    async def _read(self) -> AsyncIterator[Piece]:
        reader = EventReader()
        try:
            async for received in self._response.aiter_bytes():
                for event in reader.read(received):
                    if event == DONE:
                        return
                    yield _piece(self._chunk(event))
        except httpx.HTTPError as error:
            raise SamplerUnavailable(f"{self._url}: {error or type(error).__name__}") from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise SamplerUnavailable(f"{self._url}: its stream is not chunks of a chat completion") from error
        raise SamplerUnavailable(f"{self._url}: its stream ended before its completion")

    def _chunk(self, event: str) -> dict[str, Any]:
        chunk: dict[str, Any] = json.loads(event)
        if "error" in chunk:
            # Its words may repeat the prompt, and what is raised here is logged.
            raise SamplerUnavailable(f"{self._url}: its stream ended with an error")
        return chunk


async def ask(gateway: Gateway, request: Mapping[str, Any], conversation: str) -> dict[str, Any]:
    """The whole completion. SamplerUnavailable, or PolicyServerRefused."""
    return await _first_answer(gateway, request, conversation, _whole)


async def stream(gateway: Gateway, request: Mapping[str, Any], conversation: str) -> CompletionStream:
    """The completion from its first chunk on. SamplerUnavailable, or PolicyServerRefused."""
    return await _first_answer(gateway, request, conversation, _begun)


async def _first_answer(
    gateway: Gateway,
    request: Mapping[str, Any],
    conversation: str,
    read: Callable[[str, httpx.Response], Awaitable[T]],
) -> T:
    urls = gateway.policy_server_urls
    first = zlib.crc32(conversation.encode()) % max(len(urls), 1)
    failures = []
    for url in urls[first:] + urls[:first]:
        try:
            asked = gateway.policy_servers.build_request("POST", f"{url}/v1/chat/completions", json=dict(request))
            response = await gateway.policy_servers.send(asked, stream=True)
        except httpx.HTTPError as error:
            failures.append(f"{url}: {error or type(error).__name__}")
            continue
        try:
            await _ensure_taken(url, response)
            return await read(url, response)
        except SamplerUnavailable as error:
            failures.append(str(error))
            await response.aclose()
        except BaseException:
            await response.aclose()
            raise
    raise SamplerUnavailable("; ".join(failures) or "no policy server is configured")


async def _ensure_taken(url: str, response: httpx.Response) -> None:
    if response.is_success:
        return
    words = (await _body(url, response)).decode("utf-8", "replace")
    if response.is_client_error and response.status_code != NOT_FOUND:
        raise PolicyServerRefused(response.status_code, words[:SHOWN])
    raise SamplerUnavailable(f"{url}: status {response.status_code}")


async def _begun(url: str, response: httpx.Response) -> CompletionStream:
    return await CompletionStream(url, response).begin()


async def _whole(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(await _body(url, response))
        # What JSON or UTF-8 cannot spell (NaN, half a surrogate pair) could not be handed on.
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        if isinstance(answer["choices"][0]["message"]["content"], str):
            return answer
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise SamplerUnavailable(f"{url}: its answer is not a chat completion")


async def _body(url: str, response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    except httpx.HTTPError as error:
        raise SamplerUnavailable(f"{url}: {error or type(error).__name__}") from error
    finally:
        await response.aclose()


def _piece(chunk: dict[str, Any]) -> Piece:
    """ValueError and its like where this is no chunk of one completion."""
    text, is_last = "", False
    for choice in chunk["choices"]:
        said = choice["delta"].get("content") or ""
        if choice["index"] != 0 or not isinstance(said, str) or unstorable(said):
            raise ValueError("one completion, of text that can be stored")
        text += said
        is_last = is_last or choice["finish_reason"] is not None
    # What JSON or UTF-8 cannot spell could not be handed on.
    json.dumps(chunk, ensure_ascii=False, allow_nan=False).encode()
    return Piece(chunk, text, is_last)
