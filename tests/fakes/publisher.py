"""An in-memory topic log that can be away."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.errors import BrokerUnavailable, Transient
from matrix.ports import OutgoingMessage


class FakePublisher:
    """For threads."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []
        self.away = False
        self.refused: set[str] = set()

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
