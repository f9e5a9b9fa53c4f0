"""What the gateway's routes share: where events go, the clock, randomness and the routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from infra.database import Database
from ingest.ids import RANDOM_BYTES, uuid7
from ingest.privacy import Privacy
from ingest.routes import RouteTable
from ingest.steps import AgeLimits
from matrix.messages.base import Message
from matrix.ports import Clock, Outcome, OutgoingMessage, Settled
from matrix.topics import Topic


class AsyncPublisher(Protocol):
    """matrix.ports.Publisher for an event loop."""

    async def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Returns when the broker has acknowledged all, else raises BrokerUnavailable."""
        ...

    async def publish_each(self, messages: Sequence[OutgoingMessage]) -> Sequence[Outcome]:
        """What became of each; raises, before anything is taken, what holds for all."""
        ...

    def publish_soon(self, messages: Sequence[OutgoingMessage], settled: Settled) -> None:
        """Each for itself; `settled` is told of every place once, at once or later in the loop."""
        ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway process, put together by app.py."""

    publisher: AsyncPublisher
    database: Database
    clock: Clock
    policy_servers: httpx.AsyncClient
    policy_server_urls: tuple[str, ...]
    random_bytes: Callable[[int], bytes]
    privacy: Privacy
    audit_rate: float = 0.0  # share of completions whose user is asked for feedback by lot
    limits: AgeLimits = field(default_factory=AgeLimits)  # by which a replay judges
    routes: RouteTable = field(default_factory=RouteTable)

    def new_id(self) -> str:
        """An event id that sorts by time."""
        return uuid7(self.clock.now(), self.random_bytes(RANDOM_BYTES))

    async def send(self, topic: Topic, key: str, message: Message) -> None:
        """Durable in Kafka once it returns; BrokerUnavailable otherwise."""
        await self.publisher.publish([OutgoingMessage(topic.name, key, message.to_payload())])
