"""Where events wait: in memory first, in the spill file where there is one and memory or the gateway asks for it.

The disk may refuse anything at any time; then memory keeps what it has, the log says why, and sending goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from ingest.client.buffer import Buffer
from ingest.client.spill import Spill
from ingest.client.types import Entry, Options, Place

log = logging.getLogger(__name__)


class Waiting:
    """Memory and disk as one queue: while there is something on disk, that goes first."""

    def __init__(self, place: Place, options: Options) -> None:
        self._options = options
        self.memory = Buffer(options.capacity)
        self._spill = Spill(place.spill, most_bytes=options.spill_most_bytes) if place.spill else None
        self._moving = threading.Lock()

    def __len__(self) -> int:
        return len(self.memory)

    def is_empty(self) -> bool:
        """Neither in memory nor on disk; what another process left on disk counts."""
        return not len(self.memory) and not self.spilled_bytes()

    def spilled_bytes(self) -> int:
        """What lies on disk."""
        try:
            return self._spill.waits() if self._spill is not None else 0
        except OSError:
            return 0

    def goes_from_disk(self) -> bool:
        """Whether there is something on disk that no other process is sending."""
        if self._spill is None:
            return False
        try:
            if self._spill.waits():
                return self._spill.drains()
            self._spill.close()
        except OSError as error:
            _warn("the spill file cannot be opened", error)
        return False

    def take(self, *, from_disk: bool, most: int) -> list[Entry]:
        """What to send next; it stays until `settle`."""
        if not from_disk or self._spill is None:
            return self.memory.take(most=most, most_bytes=self._options.batch_bytes)
        try:
            return self._spill.head(most=most, most_bytes=self._options.batch_bytes)
        except OSError as error:
            _warn("the spill file cannot be read", error)
            return []

    def settle(self, decided: Sequence[Entry], *, from_disk: bool) -> None:
        """These, of what was taken, are decided on; the others wait again."""
        if from_disk and self._spill is not None:
            try:
                self._spill.settle(len(decided))
            except OSError as error:  # sent again, then: the ids are the same
                _warn("the spill file cannot be written", error)
            decided = []
        self.memory.settle(decided)

    def to_disk(self) -> bool:
        """Whether anything that waited in memory lies in the file now."""
        if self._spill is None:
            return False
        with self._moving:
            waiting = self.memory.waiting()
            try:
                kept = self._spill.append(waiting) if waiting else 0
            except OSError as error:
                _warn("the spill file cannot be written", error)
                return False
            self.memory.remove(waiting[:kept])
            return kept > 0

    def close(self) -> list[Entry]:
        """What neither the gateway nor the disk took."""
        self.memory.settle([])  # what a hanging request carries may arrive all the same; its id makes that harmless
        self.to_disk()
        left = self.memory.waiting()
        self.memory.remove(left)
        if self._spill is not None:
            self._spill.close()
        return left

    def forked(self) -> None:
        """In a forked child: what waits in memory is the parent's."""
        self.memory, self._moving = Buffer(self._options.capacity), threading.Lock()
        if self._spill is not None:
            self._spill.forked()


def _warn(what: str, error: OSError) -> None:
    log.warning(what, extra={"reason": error.strerror or type(error).__name__})
