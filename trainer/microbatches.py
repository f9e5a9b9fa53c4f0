"""Concurrent requests for one model are generated as one batch: a thread takes what waits, up to a limit.

The first in line chooses the model; whoever waits for the same model rides along, in order of arrival. Nothing waits
for company: an idle server starts at once, and requests that arrive meanwhile form the next batch.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from matrix.errors import PlumblineError, SamplerUnavailable

log = logging.getLogger(__name__)

Hear = Callable[[int, float], bool]  # a token and its logprob, as drawn; answers whether anybody still listens


@dataclass(frozen=True, slots=True)
class Wanted:
    """One completion that somebody waits for."""

    model: str
    prompt: tuple[int, ...]  # token ids, up to and including the mark that opens the answer
    max_tokens: int
    temperature: float  # 0 is greedy
    seed: int  # of this completion alone
    hear: Hear | None = field(default=None, compare=False)  # called in the thread that generates: may not wait


@dataclass(frozen=True, slots=True)
class Generated:
    """Token ids with their logprobs at temperature 1; the mark that ends the answer is among them if it was drawn."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool  # False where max_tokens cut it off


Generate = Callable[[str, Sequence[Wanted]], Sequence[Generated]]


class MicroBatcher:
    """A queue with one thread that generates."""

    def __init__(self, generate: Generate, *, max_batch: int, max_waiting: int) -> None:
        self._generate, self._max_batch, self._max_waiting = generate, max_batch, max_waiting
        self._waiting: deque[tuple[Wanted, Future[Generated]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)

    def start(self) -> None:
        """Begin to generate."""
        self._thread.start()

    def submit(self, wanted: Sequence[Wanted]) -> list[Future[Generated]]:
        """One future per completion; SamplerUnavailable where too many wait already."""
        entries = [(one, Future[Generated]()) for one in wanted]
        with self._changed:
            if self._closed or len(self._waiting) + len(entries) > self._max_waiting:
                raise SamplerUnavailable("too many completions wait; try again in a moment")
            self._waiting.extend(entries)
            self._changed.notify()
        return [future for _, future in entries]

    def close(self) -> None:
        """End after the batch at hand; whoever still waits is told to try again."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for _, future in self._waiting:
            future.set_exception(SamplerUnavailable("the policy server is shutting down"))

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            taken = [(wanted, future) for wanted, future in batch if future.set_running_or_notify_cancel()]
            if taken:
                self._answer(taken)

    def _next_batch(self) -> list[tuple[Wanted, Future[Generated]]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            model = self._waiting[0][0].model
            batch = [entry for entry in self._waiting if entry[0].model == model][: self._max_batch]
            chosen = {id(entry) for entry in batch}
            self._waiting = deque(entry for entry in self._waiting if id(entry) not in chosen)
            return batch

    def _answer(self, batch: list[tuple[Wanted, Future[Generated]]]) -> None:
        try:
            completions = self._generate(batch[0][0].model, [wanted for wanted, _ in batch])
        except PlumblineError as error:
            _refuse(batch, error)
            return
        except RuntimeError as error:  # torch's, out of memory among them
            log.exception("batch failed", extra={"model": batch[0][0].model, "completions": len(batch)})
            _refuse(batch, SamplerUnavailable(f"generation failed: {error}"))
            return
        for (_, future), completion in zip(batch, completions, strict=True):
            future.set_result(completion)


def _refuse(batch: Sequence[tuple[Wanted, Future[Generated]]], error: PlumblineError) -> None:
    for _, future in batch:
        future.set_exception(error)
