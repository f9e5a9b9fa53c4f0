"""A completion in pieces, in vLLM's chunk shape: the role, then text as its tokens are drawn, then why it ended.

A token's text goes out with the token, except where it ends within a character: bytes of one character may be spread
over tokens, so text is held until it is whole. The pieces of a completion are the text that is sent whole for the same
seed. A completion that waits for its batch sends nothing yet; within its batch it goes token by token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trainer.microbatches import Generated, Hear

CUT = "\ufffd"  # what a decoder shows for a character of which bytes are missing
Chunk = dict[str, Any]
Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token of the completion with this index."""

    index: int
    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The completion with this index is whole, or failed."""

    index: int
    future: Future[Generated]


class Listening:
    """Hears in an event loop what the thread that generates draws."""

    def __init__(self) -> None:
        self._loop, self._heard = asyncio.get_running_loop(), asyncio.Queue[Drawn | Ended]()
        self._futures: list[Future[Generated]] = []
        self._left = False

    def to(self, index: int) -> Hear:
        """What the completion with this index is told by."""

        def hear(token: int, logprob: float) -> bool:
            self._loop.call_soon_threadsafe(self._heard.put_nowait, Drawn(index, token, logprob))
            return not self._left

        return hear

    def follow(self, futures: Sequence[Future[Generated]]) -> None:
        """Hear the end of each too."""
        self._futures = list(futures)
        for index, future in enumerate(futures):
            future.add_done_callback(partial(self._end, index))

    async def next(self) -> Drawn | Ended:
        """What is drawn next; what a completion failed with is raised."""
        heard = await self._heard.get()
        if isinstance(heard, Ended):
            heard.future.result()
        return heard

    async def leave(self) -> None:
        """Nobody listens any more: what still waits is not begun, what runs ends early."""
        self._left = True
        for future in self._futures:
            future.cancel()

    def _end(self, index: int, future: Future[Generated]) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, Ended(index, future))


@dataclass(slots=True)
class Pieces:
    """One completion's text so far."""

    decode: Decode
    tokens: list[int] = field(default_factory=list)
    said: str = ""

    def add(self, token: int) -> str:
        """The text that this token makes whole; empty where it is held."""
        self.tokens.append(token)
        text = self.decode(self.tokens)
        return "" if text.endswith(CUT) else self._rest(text)

    def end(self) -> str:
        """What was held, as the decoder shows it."""
        return self._rest(self.decode(self.tokens))

    def _rest(self, text: str) -> str:
        piece, self.said = text[len(self.said) :], text
        return piece


@dataclass(slots=True)
class ChunkWriter:
    """The chunks of one request; `frame` is what all of them share."""

    frame: Chunk
    decode: Decode
    logprobs: Callable[[int, float], Chunk] | None  # how a token's is shown, where it was asked for
    pieces: dict[int, Pieces] = field(default_factory=dict)
    held: dict[int, list[Chunk]] = field(default_factory=dict)  # logprobs of tokens whose text is held
    written: int = 0  # tokens of all completions

    def chunks(self, heard: Drawn | Ended) -> list[Chunk]:
        """What this adds: nothing where a token's text is held."""
        index = heard.index
        opened = [] if index in self.pieces else [self._chunk(index, {"role": "assistant", "content": ""})]
        pieces = self.pieces.setdefault(index, Pieces(self.decode))
        if isinstance(heard, Ended):
            reason = "stop" if heard.future.result().ended else "length"
            return [*opened, self._chunk(index, {"content": pieces.end()}, reason)]
        self.written += 1
        if self.logprobs is not None:
            self.held.setdefault(index, []).append(self.logprobs(heard.token, heard.logprob))
        text = pieces.add(heard.token)
        return [*opened, self._chunk(index, {"content": text})] if text else opened

    def usage(self, prompt_tokens: int) -> Chunk:
        """The chunk after the last, for those who asked for it."""
        counted = {"prompt_tokens": prompt_tokens, "completion_tokens": self.written}
        return self.frame | {"choices": [], "usage": counted | {"total_tokens": prompt_tokens + self.written}}

    def _chunk(self, index: int, delta: Chunk, reason: str | None = None) -> Chunk:
        shown = self.held.pop(index, None) if "role" not in delta else None
        choice = {"index": index, "delta": delta, "logprobs": {"content": shown} if shown else None}
        return self.frame | {"choices": [choice | {"finish_reason": reason}]}
