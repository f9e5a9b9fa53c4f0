"""An in-memory topic log that can be away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from matrix.errors import BrokerUnavailable, Overloaded, Transient
from matrix.ports import OutgoingMessage, Settled


class FakePublisher:
    """For threads."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []
        self.away = False
        self.refused: set[str] = set()
        self.room = 1_000_000  # messages of one call

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.away:
            raise BrokerUnavailable("the fake broker is away")
        self.messages += messages


class FakeAsyncPublisher(FakePublisher):
    """For an event loop."""

    async def publish(self, messages: Sequence[OutgoingMessage]) -> None:  # type: ignore[override]  # the async port
        super().publish(messages)

    async def publish_each(self, messages: Sequence[OutgoingMessage]) -> Sequence[Transient | None]:
        """`refused` completion ids stand for a partition without a leader."""
        if self.away:
            raise BrokerUnavailable("the fake broker is away")
        self.messages += [message for message in messages if message.key not in self.refused]
        lost = BrokerUnavailable("the fake partition has no leader")
        return [lost if message.key in self.refused else None for message in messages]

    def publish_soon(self, messages: Sequence[OutgoingMessage], settled: Settled) -> None:
        """As publish_each, once the loop goes on."""
        asyncio.get_running_loop().call_soon(self._publish_now, messages, settled)

    def _publish_now(self, messages: Sequence[OutgoingMessage], settled: Settled) -> None:
        for place, message in enumerate(messages):
            if self.away:
                settled([place], BrokerUnavailable("the fake broker is away"))
            elif place >= self.room:
                settled([place], Overloaded("the fake buffer is full"))
            elif message.key in self.refused:
                settled([place], BrokerUnavailable("the fake partition has no leader"))
            else:
                self.messages.append(message)
                settled([place], None)
