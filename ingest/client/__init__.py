"""Feedback from a chat service: `Plumbline` for threads, `AsyncPlumbline` for event loops.

Needs httpx and pydantic alone. Events wait in memory and, where a `spill` file is named, on disk while the gateway is
away; each has its id from the call on, so that however often it is sent, it counts once. See docs/client.md.
"""

from ingest.client.awaitable import AsyncPlumbline
from ingest.client.blocking import Plumbline
from ingest.client.types import Counts, Options, QueueFull, Refusal, Refused

__all__ = ["AsyncPlumbline", "Counts", "Options", "Plumbline", "QueueFull", "Refusal", "Refused"]
