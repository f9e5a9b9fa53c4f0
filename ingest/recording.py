"""A recording in memory: its messages in the file's order, the rows that are none, and when they are sent.

Ids come from the recording, so that sending it again changes nothing but the duplicate count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.formats import Format
from ingest.formats.rows import BadRow, Recorded, Source
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent


@dataclass(frozen=True, slots=True)
class Item:
    """One message with its row and the time it was recorded at."""

    line: int
    at: datetime
    message: CompletionServed | FeedbackEvent


@dataclass(frozen=True, slots=True)
class Recording:
    """A file's messages in its own order, and the rows that are none."""

    rows: int
    items: tuple[Item, ...]
    bad_rows: tuple[BadRow, ...]

    def events(self) -> list[FeedbackEvent]:
        """The feedback in it."""
        return [item.message for item in self.items if isinstance(item.message, FeedbackEvent)]


def load(source: Source, form: Format) -> Recording:
    """Read a recording; InvalidInput where it is not of this format at all."""
    found = list(form.read(source))
    rows = [one for one in found if isinstance(one, Recorded)]
    bad = [one for one in found if isinstance(one, BadRow)]
    return Recording(len({one.line for one in found}), tuple(_items(rows)), tuple(bad))


def _items(rows: Sequence[Recorded]) -> Iterator[Item]:
    for row in rows:
        yield from (Item(row.line, completion.served_at, completion) for completion in row.completions)
        yield from (Item(row.line, event.occurred_at, event) for event in row.events)


def moved(recording: Recording, now: datetime, longest: timedelta) -> Recording:
    """The same recording, ending now and squeezed into `longest` where it is longer.

    Old feedback is refused, and what counts in a recording is its order; items keep the times of the recording.
    """
    if not recording.items:
        return recording
    times = [item.at for item in recording.items]
    span = max(times) - min(times)
    scale = min(1.0, longest / span) if span else 1.0
    items = tuple(_moved(item, now - (max(times) - item.at) * scale) for item in recording.items)
    return Recording(recording.rows, items, recording.bad_rows)


def _moved(item: Item, at: datetime) -> Item:
    name = "served_at" if isinstance(item.message, CompletionServed) else "occurred_at"
    return Item(item.line, item.at, item.message.model_copy(update={name: at}))
