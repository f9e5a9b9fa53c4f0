"""A completion handed on chunk by chunk, and logged before its last chunk is.

Nobody can credit feedback to what is not logged, so the last chunk and [DONE] wait for the log. What else may happen:

- the log cannot be written: the stream ends with an error event, without its last chunk and without [DONE];
- the policy server breaks half-way: what was served is logged as `interrupted`, then comes an error event;
- the client leaves: the policy server is told to stop, and what was served is logged as `interrupted`.

An error event is `data: {"error": {...}}`, as OpenAI's and vLLM's are, which official clients raise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from infra.event_stream import DONE, written
from infra.http import status_of
from ingest.exchange import Exchange
from ingest.policy_servers import CompletionStream, Piece
from matrix.errors import PlumblineError, SamplerUnavailable
from matrix.messages.completion import MAX_CHARACTERS, MAX_CONTENT, CompletionServed

log = logging.getLogger(__name__)


class StreamedCompletion:
    """One completion between a policy server and a client."""

    def __init__(self, exchange: Exchange, source: CompletionStream) -> None:
        self._exchange, self._source = exchange, source
        self._served: list[str] = []
        self._room = _room(exchange.asked)
        self._logging: asyncio.Task[None] | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What the client gets."""
        held: list[Piece] = []
        try:
            async for piece in self._source.pieces():
                self._make_room(piece)
                if held or piece.is_last:
                    held.append(piece)
                else:
                    self._served.append(piece.text)
                    yield self._event(piece)
        except SamplerUnavailable as error:
            if not held:  # else the completion is whole, and only what follows it is missing
                yield await self._broken(error)
                return
        if not held:
            yield await self._broken(SamplerUnavailable("the policy server ended its stream without saying why"))
            return
        try:
            await self._log("".join([*self._served, *(piece.text for piece in held)]))
        except PlumblineError as error:
            yield self._error(error)
            return
        for piece in held:
            yield self._event(piece)
        yield written(DONE)

    async def end(self) -> None:
        """After the last event, or the client's leaving: nothing that was served stays unlogged."""
        await self._source.close()
        try:
            await self._log("".join(self._served), interrupted=True)
        except PlumblineError as error:
            log.warning("a completion is not logged", extra={"error": type(error).__name__, "reason": str(error)})

    def _make_room(self, piece: Piece) -> None:
        self._room -= len(piece.text)
        if self._room < 0:
            raise SamplerUnavailable("the policy server's answer is longer than what can be logged")

    async def _broken(self, error: SamplerUnavailable) -> bytes:
        try:
            await self._log("".join(self._served), interrupted=True)
        except PlumblineError as unlogged:
            return self._error(unlogged)
        return self._error(error)

    async def _log(self, text: str, *, interrupted: bool = False) -> None:
        """Once: a second log under one id would be a conflict. A client that leaves does not cut it short."""
        if self._logging is None:
            self._logging = asyncio.create_task(self._exchange.log(text, interrupted=interrupted))
        await asyncio.shield(self._logging)

    def _event(self, piece: Piece) -> bytes:
        return written(self._exchange.named(piece.chunk))

    def _error(self, error: PlumblineError) -> bytes:
        log.warning("a stream ended early", extra={"error": type(error).__name__, "reason": str(error)})
        told = {"message": str(error), "type": type(error).__name__, "param": None, "code": status_of(error)}
        return written({"error": told})


def _room(asked: CompletionServed) -> int:
    """Characters that the completion may have."""
    return min(MAX_CONTENT, MAX_CHARACTERS - sum(len(message.content) for message in asked.prompt))
