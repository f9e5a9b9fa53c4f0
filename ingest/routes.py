"""Where `policy@alias` leads, rebuilt from the compacted topic route.changed.v1.

`policy@7` and `policy@sha256:<digest>` name one adapter among those that are routed: nothing is shared out then.

Every gateway reads the whole topic at its start, outside of any consumer group, and follows it; serving goes on
while the registry is away. Of a key the record with the latest `at` stands, of equals the last: a relay that sends
again after a crash cannot move an alias back.
"""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from matrix.errors import NotFound, SamplerUnavailable
from matrix.messages.gate import RouteChanged
from matrix.topics import ROUTE_CHANGED

log = logging.getLogger(__name__)

DEFAULT_ALIAS = "champion"
PINNED = "sha256:"
RETRY_S = 1.0


class UnknownModel(NotFound):
    """No route has this name; says which have."""

    def __init__(self, *, name: str, known: tuple[str, ...]) -> None:
        super().__init__(what="model", name=name)
        self.known = known

    def __str__(self) -> str:
        """One line with the names that would have worked."""
        return f"{super().__str__()}; known are {', '.join(self.known)}"


class NoRouteYet(SamplerUnavailable):
    """Nothing is routed so far: the registry has not published a route, or the topic is not read yet."""

    def __init__(self) -> None:
        super().__init__("no policy is routed yet; register one, or try again in a moment")


class RouteTable:
    """The present routes of one gateway."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteChanged] = {}

    def apply(self, route: RouteChanged) -> None:
        """The latest word on an alias; one that was said before what is held changes nothing."""
        name = f"{route.policy}@{route.alias}"
        held = self._routes.get(name)
        if held is None or held.at <= route.at:
            self._routes[name] = route

    def routes(self) -> dict[str, RouteChanged]:
        """By `policy@alias`, sorted."""
        return dict(sorted(self._routes.items()))

    def resolve(self, model: str) -> RouteChanged:
        """`policy@alias`, a policy for its champion, or one routed adapter. Raises NoRouteYet or UnknownModel."""
        if not self._routes:
            raise NoRouteYet
        found = self._routes.get(model if "@" in model else f"{model}@{DEFAULT_ALIAS}") or self._pinned(model)
        if found is None:
            raise UnknownModel(name=model, known=tuple(self.routes()))
        return found

    def _pinned(self, model: str) -> RouteChanged | None:
        """The route to the one adapter that `policy@version` or `policy@sha256:<digest>` names."""
        policy, _, which = model.partition("@")
        for adapter in (one for route in self._routes.values() if route.policy == policy for one in _adapters(route)):
            if which in (f"{PINNED}{adapter.adapter_digest}", str(adapter.version)):
                return adapter
        return None


def _adapters(route: RouteChanged) -> list[RouteChanged]:
    """Its adapters, each as a route that leads to it alone."""
    alone = route.model_copy(update={"splits": ()})
    return [alone, *(alone.model_copy(update=split.model_dump(exclude={"share"})) for split in route.splits)]


async def follow(table: RouteTable, bootstrap: str) -> None:
    """Keep the table up to date until cancelled; a broker that is away is tried again."""
    while True:
        try:
            await _read(table, bootstrap)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("routes wait for the broker", extra={"reason": str(error)})
        await asyncio.sleep(RETRY_S)


async def _read(table: RouteTable, bootstrap: str) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        partitions = [TopicPartition(ROUTE_CHANGED.name, number) for number in range(ROUTE_CHANGED.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        async for record in consumer:
            _apply(table, record.value)
    finally:
        await consumer.stop()


def _apply(table: RouteTable, payload: bytes | None) -> None:
    if payload is None:
        return
    try:
        table.apply(RouteChanged.model_validate_json(payload))
    except ValidationError:
        log.exception("a route cannot be read and is passed over")
