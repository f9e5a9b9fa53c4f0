"""The background of a client: one thread that takes what waits, sends it, and keeps it where nobody takes it.

While the gateway is away, what is given goes to the spill file at once, and goes from there, in order, when the
gateway is back. Without a file it waits in memory. What fits neither is refused, told and counted, never dropped in
silence. A thread rather than the caller's event loop: it also sends where a loop is busy or gone, at exit too.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from ingest.client.retry import Halve, Settled, TryAgain, Verdict, delay_s
from ingest.client.types import Counts, Entry, Options, Place, Refusal
from ingest.client.waiting import Waiting
from ingest.client.wire import Wire

log = logging.getLogger(__name__)

LOOK_S = 5.0  # how often an idle client looks for what another process left in the file
FLUSH_RETRY_S = 0.25  # somebody waits: try more often
STOP_LIMIT_S = 1.0  # for the thread to notice that it is to end

OnRefused = Callable[[Refusal], None]
_SENDERS: weakref.WeakSet[Sender] = weakref.WeakSet()


class Sender:
    """Shared by all threads of a process; a forked child starts with an empty one of its own."""

    def __init__(self, place: Place, options: Options, on_refused: OnRefused) -> None:
        self._options, self._on_refused = options, on_refused
        self._wire = Wire(place.base_url, place.api_key, timeout_s=options.timeout_s)
        self._waiting = Waiting(place, options)
        self._chance = random.Random().random  # noqa: S311 - jitter is no secret
        self._begin()
        _SENDERS.add(self)

    def _begin(self) -> None:
        self._changed = self._waiting.memory.changed
        self._counts, self._starting = Counts(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._attempt, self._most, self._flushing = 0, self._options.batch_events, 0
        self._closed = self._stopped = False

    def forked(self) -> None:
        """What the parent was given is the parent's to send."""
        self._waiting.forked()
        self._wire.forked()
        self._begin()

    def give(self, entry: Entry) -> Refusal | None:
        """Taken, or why not; waits for nothing but, where memory is full, the disk."""
        with self._changed:
            self._counts.given += 1
        if self._put(entry):
            return None
        if self._closed:
            return self._refused(Refusal(entry.event_id, "Closed", "", "the client is closed"))
        self._waiting.to_disk()
        if self._put(entry):
            return None
        rule = f"{self._options.capacity} events wait and there is no room for more"
        return self._refused(Refusal(entry.event_id, "QueueFull", "", rule))

    def refuse(self, refusal: Refusal) -> Refusal:
        """An event that never was one: counted, and handed back."""
        with self._changed:
            self._counts.given += 1
        return self._refused(refusal)

    def tell(self, refusal: Refusal) -> None:
        """Call the user's callback; whatever it raises stays in the log."""
        try:
            self._on_refused(refusal)
        except Exception as error:  # noqa: BLE001 - foreign code must not end the thread that sends
            log.error("on_refused raised", extra={"error": type(error).__name__})  # noqa: TRY400 - no values in logs

    def has_room(self) -> bool:
        """Whether `give` would wait for nothing."""
        return len(self._waiting) < self._options.capacity

    def counts(self) -> Counts:
        """As they are now."""
        with self._changed:
            now = self._counts
            found = Counts(now.given, now.acknowledged, now.refused, len(self._waiting), trouble=now.trouble)
        found.spilled_bytes = self._waiting.spilled_bytes()
        return found

    def flush(self, limit_s: float) -> bool:
        """Whether nothing waits any more, in memory or on disk, within the limit."""
        deadline = time.monotonic() + limit_s
        self._start()
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
        try:
            while not self._waiting.is_empty():
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                with self._changed:
                    self._changed.wait(min(left_s, FLUSH_RETRY_S))
        finally:
            with self._changed:
                self._flushing -= 1
        return True

    def close(self, limit_s: float | None = None) -> bool:
        """Flush; what is left goes to disk, and where there is none it is told as refused."""
        with self._changed:
            was_closed, self._closed = self._closed, True
        if was_closed:
            return self._waiting.is_empty()
        limit_s = self._options.exit_limit_s if limit_s is None else limit_s
        done = self._waiting.is_empty() or self.flush(limit_s)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)
        for entry in self._waiting.close():
            rule = "the client was closed before the gateway acknowledged it"
            self.tell(self._refused(Refusal(entry.event_id, "Closed", "", rule)))
        self._wire.close()
        return done

    def _put(self, entry: Entry) -> bool:
        with self._changed:
            if self._closed or not self._waiting.memory.put(entry):
                return False
        self._start()
        return True

    def _refused(self, refusal: Refusal) -> Refusal:
        with self._changed:
            self._counts.refused += 1
        return refusal

    def _start(self) -> None:
        with self._starting:
            if not self._stopped and (self._thread is None or not self._thread.is_alive()):
                thread = threading.Thread(target=self._run, name="plumbline-client", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter ends: what waits goes to disk
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        was_idle = True
        while not self._stopped:
            from_disk = self._waiting.goes_from_disk()
            if was_idle and not from_disk:
                self._linger()
            batch = self._waiting.take(from_disk=from_disk, most=self._most)
            was_idle = not batch
            if batch:
                verdict = self._wire.send(batch)
                if not self._stopped:
                    self._follow(verdict, batch, from_disk=from_disk)
            else:
                self._rest()

    def _follow(self, verdict: Verdict, batch: Sequence[Entry], *, from_disk: bool) -> None:
        match verdict:
            case Settled(refusals):
                self._count(refusals)
                self._waiting.settle(batch, from_disk=from_disk)
            case Halve():
                self._most = max(1, len(batch) // 2)
                self._waiting.settle([], from_disk=from_disk)
            case TryAgain(reason, after_s):
                self._waiting.settle([], from_disk=from_disk)
                self._note_trouble(reason)
                self._attempt += 1
                wished_s = min(after_s or 0.0, self._options.most_backoff_s)
                self._wait(wished_s, delay_s(self._attempt, self._options, self._chance))

    def _count(self, refusals: Sequence[Refusal | None]) -> None:
        found = [refusal for refusal in refusals if refusal is not None]
        with self._changed:
            self._counts.acknowledged += len(refusals) - len(found)
        self._attempt, self._most = 0, min(2 * self._most, self._options.batch_events)
        self._note_trouble(None)
        for refusal in found:
            log.warning("an event was refused", extra={"error": refusal.error, "field": refusal.field})
            self.tell(self._refused(refusal))

    def _note_trouble(self, reason: str | None) -> None:
        if self._counts.trouble is None and reason is not None:
            log.warning("the gateway takes nothing at present", extra={"reason": reason})
        elif self._counts.trouble is not None and reason is None:
            log.info("the gateway takes feedback again")
        self._counts.trouble = reason

    def _linger(self) -> None:
        """More may come within a moment, and go in the same request."""
        with self._changed:
            if len(self._waiting):
                self._changed.wait_for(
                    lambda: self._flushing or self._stopped or len(self._waiting) >= self._most, self._options.linger_s
                )

    def _rest(self) -> None:
        """Until something is given, somebody flushes, or it is time to look at the disk."""
        with self._changed:
            if not self._stopped and not len(self._waiting):
                self._changed.wait(FLUSH_RETRY_S if self._flushing else LOOK_S)

    def _wait(self, wished_s: float, jitter_s: float) -> None:
        """Before the next try, as long as the gateway wishes and a little; what is given meanwhile goes to disk."""
        earliest = time.monotonic() + wished_s
        until = earliest + jitter_s
        while not self._stopped:
            moved = self._waiting.to_disk()
            with self._changed:
                if self._flushing:
                    until = min(until, max(earliest, time.monotonic() + FLUSH_RETRY_S))
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return
                if not moved:
                    self._changed.wait(left_s)


def _close_all() -> None:
    for sender in list(_SENDERS):
        sender.close()


def _forked() -> None:
    for sender in list(_SENDERS):
        sender.forked()


# At import, because a process that makes its first client may already be about to fork or to end.
atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked)
