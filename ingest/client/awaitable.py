"""The client for services that run in an event loop: the same background, and no call ever blocks the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from ingest.client.blocking import DEFAULTS, FLUSH_LIMIT_S, settle, tell_nobody
from ingest.client.sender import Sender
from ingest.client.types import Counts, Entry, Options, Place, Refusal
from ingest.client.verbs import Verbs


class AsyncPlumbline(Verbs[Coroutine[Any, Any, str]]):
    """Plumbline for `await`; belongs to no particular loop, and sends on where a loop is busy.

    `on_refused` may be called from the background's thread.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        spill: Path | str | None = None,
        raise_on_error: bool = False,
        on_refused: Callable[[Refusal], None] = tell_nobody,
        options: Options = DEFAULTS,
    ) -> None:
        place = Place(base_url, api_key, Path(spill) if spill is not None else None)
        self._sender, self._raises = Sender(place, options, on_refused), raise_on_error

    async def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Whether the gateway has decided on everything given so far, within the limit."""
        return await asyncio.to_thread(self._sender.flush, limit_s)

    async def close(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Flush and end; what the gateway did not take lies in the spill file, or is told as refused."""
        return await asyncio.to_thread(self._sender.close, limit_s)

    def counts(self) -> Counts:
        """What became of this process's calls."""
        return self._sender.counts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _give(self, made: Entry | Refusal) -> str:
        if isinstance(made, Refusal) or self._sender.has_room():
            return settle(self._sender, made, raises=self._raises)
        return await asyncio.to_thread(settle, self._sender, made, raises=self._raises)  # what waits goes to disk
