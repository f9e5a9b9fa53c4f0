"""What is already known of an event's id and completion, asked of memory first and of the database in few queries.

Every answer here may be missing: whether an event is taken depends on Kafka alone, and the worker decides what was
not seen here. So a database that is away or slow costs a request at most PATIENCE_S, and then nothing for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

PATIENCE_S = 0.5  # for one query
PAUSE_S = 2.0  # before a database that was away is asked again
THREADS = 2  # one asks, the other is for when the first does not come back
REMEMBER_BYTES = 16 << 20  # of payloads of recent events
REMEMBER_COMPLETIONS = 50_000


Query = Callable[[list[Key], list[Key]], Known]  # blocking; event keys and completion keys in


Answered = Callable[[Known | None], None]  # None where the database does not say


@dataclass(slots=True)
class _Question:
    events: set[Key] = field(default_factory=set)
    completions: set[Key] = field(default_factory=set)
    waiting: list[Answered] = field(default_factory=list)


class Lookup:
    """Collects the questions of many requests into one query in a thread; one is under way at a time."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._next = _Question()
        self._is_asking = False
        self._asked_again_at = 0.0  # of the loop's clock

    async def ask(self, events: Collection[Key], completions: Collection[Key]) -> Known | None:
        """None where the database does not say."""
        answer: asyncio.Future[Known | None] = asyncio.get_running_loop().create_future()
        self.ask_soon(events, completions, partial(_answer, answer))
        return await answer

    def ask_soon(self, events: Collection[Key], completions: Collection[Key], answered: Answered) -> None:
        """The same for who does not wait: `answered` is called later in the loop, whatever happens."""
        question = self._next
        question.events.update(events)
        question.completions.update(completions)
        question.waiting.append(answered)
        if not self._is_asking:
            self._is_asking = True
            asyncio.get_running_loop().call_soon(self._ask_next)  # what arrives in this turn of the loop goes along

    def close(self) -> None:
        """Ask nothing more; a query under way is left to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask_next(self) -> None:
        """Question after question until nobody waits."""
        question, self._next = self._next, _Question()
        self._is_asking = bool(question.waiting)
        if not question.waiting:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._asked_again_at:
            self._tell(question, None)
            return
        try:
            asked = loop.run_in_executor(self._threads, self._query, list(question.events), list(question.completions))
        except RuntimeError:  # it is closed
            self._tell(question, None)
            return
        giving_up = loop.call_later(PATIENCE_S, asked.cancel)
        asked.add_done_callback(partial(self._ended, question, giving_up))

    def _ended(self, question: _Question, giving_up: asyncio.TimerHandle, asked: asyncio.Future[Known]) -> None:
        giving_up.cancel()
        error = TimeoutError() if asked.cancelled() else asked.exception()
        if isinstance(error, DatabaseUnavailable | TimeoutError):
            self._asked_again_at = asyncio.get_running_loop().time() + PAUSE_S
            log.warning("events are taken without a look at the database", extra={"reason": type(error).__name__})
        elif error is not None:
            log.error("a lookup broke", exc_info=error)
        self._tell(question, asked.result() if error is None else None)

    def _tell(self, question: _Question, known: Known | None) -> None:
        loop = asyncio.get_running_loop()
        for answered in question.waiting:
            loop.call_soon(answered, known)
        loop.call_soon(self._ask_next)


def _answer(answer: asyncio.Future[Known | None], known: Known | None) -> None:
    if not answer.done():  # whoever asked may have gone
        answer.set_result(known)


class Recent:
    """Payloads of events that were acknowledged lately, and completions that are known to be there; both bounded."""

    def __init__(self, *, most_bytes: int = REMEMBER_BYTES, most_completions: int = REMEMBER_COMPLETIONS) -> None:
        self._most_bytes, self._most_completions = most_bytes, most_completions
        self._payloads: OrderedDict[Key, bytes] = OrderedDict()
        self._completions: OrderedDict[Key, None] = OrderedDict()
        self._held_bytes = 0

    def payload(self, key: Key) -> bytes | None:
        """What was acknowledged under this id."""
        return self._payloads.get(key)

    def remember(self, key: Key, payload: bytes) -> None:
        """The first body of an id stands."""
        if key in self._payloads:
            return
        self._payloads[key] = payload
        self._held_bytes += len(payload)
        while self._held_bytes > self._most_bytes:
            self._held_bytes -= len(self._payloads.popitem(last=False)[1])

    def has_completion(self, key: Key) -> bool:
        """A completion that was there once is there until retention takes it."""
        return key in self._completions

    def remember_completion(self, key: Key) -> None:
        """It is there."""
        self._completions[key] = None
        while len(self._completions) > self._most_completions:
            self._completions.popitem(last=False)
