"""An in-memory topic log that can be away."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.errors import BrokerUnavailable
from matrix.ports import OutgoingMessage


class FakePublisher:
    """For threads."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []
        self.away = False

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.away:
            raise BrokerUnavailable("the fake broker is away")
        self.messages += messages


class FakeAsyncPublisher(FakePublisher):
    """For an event loop."""

    async def publish(self, messages: Sequence[OutgoingMessage]) -> None:  # type: ignore[override]  # the async port
        super().publish(messages)
