"""What the client's parts hand to one another, and what it tells its user."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from matrix.errors import Permanent, Transient

Destination = Literal["feedback", "completion"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event or completion on its way; its id is made at the call, so that any number of tries counts once."""

    event_id: str
    to: Destination
    content: bytes  # the request's JSON object, on one line

    def to_line(self) -> bytes:
        """A line of the spill file."""
        head = f'{{"to":"{self.to}","id":{json.dumps(self.event_id)},"body":'
        return head.encode() + self.content + b"}\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event will not be counted. It repeats no value: what people wrote belongs in no log."""

    event_id: str
    error: str  # InvalidInput, IdConflict, ... as the gateway names it; QueueFull and Closed are the client's own
    field: str
    rule: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{self.error}: {where}{self.rule}"


class Refused(Permanent):
    """Raised instead of telling `on_refused`, where the client was made with raise_on_error=True."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


class QueueFull(Transient):
    """The same where memory and spill file are full: the event was not taken."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


@dataclass(slots=True)
class Counts:
    """What became of the calls of this process: given = acknowledged + refused + waiting, once nothing is in flight."""

    given: int = 0
    acknowledged: int = 0  # by the gateway, what was found in the spill file included
    refused: int = 0  # each was told to `on_refused`, or raised
    waiting: int = 0  # in memory
    spilled_bytes: int = 0  # waiting in the file, of this process or another
    trouble: str | None = None  # why the gateway does not take anything at present


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is held and how long is waited; the defaults suit a chat service."""

    capacity: int = 10_000  # events in memory
    batch_events: int = 500  # the gateway takes up to 1,000
    batch_bytes: int = 500_000
    linger_s: float = 0.1  # how long the first event of a batch waits for others
    timeout_s: float = 10.0  # of one request
    first_backoff_s: float = 0.25
    most_backoff_s: float = 30.0
    exit_limit_s: float = 5.0  # how long the interpreter's end may wait for the gateway
    spill_most_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gateway is, and where events wait for it."""

    base_url: str
    api_key: str = field(repr=False)
    spill: Path | None = None
