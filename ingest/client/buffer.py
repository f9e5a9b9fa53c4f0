"""Events that wait in memory: bounded, first in first out, shared by any number of threads.

What is being sent stays at the head until the gateway has decided on it. Nothing is ever dropped to make room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from ingest.client.types import Entry


def first_batch(entries: Iterable[Entry], *, most: int, most_bytes: int) -> list[Entry]:
    """The longest begin that one request carries: completions go one by one, and there is always a first."""
    batch: list[Entry] = []
    room = most_bytes
    for entry in islice(entries, most):
        room -= len(entry.content)
        if batch and (room < 0 or entry.to == "completion"):
            break
        batch.append(entry)
        if entry.to == "completion":
            break
    return batch


class Buffer:
    """A queue with a head that is in flight."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._entries, self._in_flight = capacity, deque[Entry](), 0
        self.changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> bool:
        """False where there is no room."""
        with self.changed:
            if len(self._entries) >= self._capacity:
                return False
            self._entries.append(entry)
            self.changed.notify_all()
            return True

    def take(self, *, most: int, most_bytes: int) -> list[Entry]:
        """What to send next; it stays until `settle`."""
        with self.changed:
            batch = first_batch(self._entries, most=most, most_bytes=most_bytes)
            self._in_flight = len(batch)
            return batch

    def settle(self, decided: Sequence[Entry]) -> None:
        """These, of what was taken, are decided on; the others wait again."""
        with self.changed:
            self._in_flight = 0
        self.remove(decided)

    def waiting(self) -> list[Entry]:
        """What is not in flight, the oldest first."""
        with self.changed:
            return list(islice(self._entries, self._in_flight, None))

    def remove(self, kept: Sequence[Entry]) -> None:
        """These are decided on, or kept elsewhere."""
        gone = set(map(id, kept))
        with self.changed:
            flying = sum(id(entry) in gone for entry in islice(self._entries, self._in_flight))
            self._entries = deque(entry for entry in self._entries if id(entry) not in gone)
            self._in_flight -= flying
            self.changed.notify_all()
