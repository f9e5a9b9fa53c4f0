"""Sends a recording through the gateway or straight to Kafka, and waits until what was sent is counted.

What fails in a way that may pass is sent again; where the first try had arrived after all, that is a duplicate more,
and the reconciliation (ingest.reconciliation) allows for as many as there were second tries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from ingest.reconciliation import Counts, Expected, Sent, difference
from ingest.stress import Delivery, body
from ingest.tensorzero import to_body
from matrix.errors import InvalidInput, Permanent, Transient
from matrix.messages.completion import CompletionServed
from matrix.ports import OutgoingMessage, Publisher
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

IN_FLIGHT = 16
FIRST_BACKOFF_S, MOST_BACKOFF_S, GIVE_UP_S = 0.2, 5.0, 120.0
POLL_S = 0.2
MOST_TRIES = 100


class RowRefused(Permanent):
    """The gateway does not take this row; its own words."""


class NotTaken(Transient):
    """The gateway has no room at present: nothing of this arrived."""

    def __init__(self, reason: str, *, after_s: float) -> None:
        self.after_s = after_s
        super().__init__(reason)


class Sender(Protocol):
    """Where a recording goes."""

    async def send(self, delivery: Delivery) -> None:
        """Durable once it returns. Transient where trying again can help, RowRefused where it cannot."""
        ...


def due_times(planned: Sequence[Delivery], *, rate: float | None, speed: float | None) -> list[tuple[float, Delivery]]:
    """Seconds after the start at which each delivery is due: `rate` a second, or as recorded, `speed` times as fast."""
    if rate is not None:
        return [(index / rate, one) for index, one in enumerate(planned)]
    if speed is None or not planned:
        return [(0.0, one) for one in planned]
    ordered = sorted(planned, key=lambda one: one.item.at)
    return [((one.item.at - ordered[0].item.at).total_seconds() / speed, one) for one in ordered]


async def send_all(due: Sequence[tuple[float, Delivery]], sender: Sender, advance: Callable[[], None]) -> Sent:
    """Send everything when it is due, a few at a time; `advance` is called after each."""
    sent, queue, started = Sent(), iter(due), time.monotonic()

    async def sending() -> None:
        for after_s, delivery in queue:
            await asyncio.sleep(max(0.0, started + after_s - time.monotonic()))
            await _send_one(delivery, sender, sent)
            advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(sending())
    return sent


async def _send_one(delivery: Delivery, sender: Sender, sent: Sent) -> None:
    delay_s, first = FIRST_BACKOFF_S, time.monotonic()
    while True:
        try:
            await sender.send(delivery)
        except RowRefused as error:
            sent.turned_away(delivery, str(error))
            return
        except NotTaken as error:
            first = time.monotonic()  # a gateway that answers so is there
            await asyncio.sleep(error.after_s)
        except Transient:
            if time.monotonic() - first > GIVE_UP_S:
                raise
            sent.tried_again(delivery)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MOST_BACKOFF_S)
        else:
            sent.acknowledged(delivery)
            return


async def settled(
    read: Callable[[], Awaitable[Counts]], before: Counts, sent: Sent, wanted: Expected, *, most_s: float
) -> Counts:
    """The growth once all that was sent is counted and waits for nothing, or after `most_s` as it is."""
    give_up_at = time.monotonic() + most_s
    events, letters = sent.events + sent.damaged_events.total(), sent.damaged_completions.total()
    while True:
        grown = difference(await read(), before)
        arrived = grown["received"] >= events and grown["completions_dead"] >= letters
        if (arrived and grown["pending"] <= wanted.orphans) or time.monotonic() > give_up_at:
            return grown
        await asyncio.sleep(POLL_S)


class GatewaySender:
    """Sends over HTTP, as a chat service would."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, delivery: Delivery) -> None:
        """Acknowledged by the gateway once it returns."""
        message = delivery.item.message
        if isinstance(message, CompletionServed):
            path, said = "/v1/completions/log", message.model_dump(mode="json", exclude_none=True)
            content = body(delivery, said, kind="", completion_id="completion_id")
        else:
            path, said = "/v1/feedback", to_body(message)
            content = body(delivery, said, kind="metric_name", completion_id="inference_id")
        await self._checked("POST", path, content)

    async def counts(self) -> Counts:
        """The gateway's counts; a gateway that is away is waited for."""
        first = time.monotonic()
        while True:
            try:
                answer: Counts = (await self._checked("GET", "/v1/counts")).json()
            except Transient:
                if time.monotonic() - first > GIVE_UP_S:
                    raise
                await asyncio.sleep(FIRST_BACKOFF_S)
            else:
                return answer

    async def unknown(self, event_ids: Iterable[str]) -> int:
        """How many of these events the worker has not seen."""
        queue, missing = iter(event_ids), 0

        async def asking() -> None:
            nonlocal missing
            for event_id in queue:
                missing += not await self._is_known(event_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(asking())
        return missing

    async def _is_known(self, event_id: str) -> bool:
        path, tries = f"/v1/feedback/{quote(event_id, safe='')}", 0
        while True:
            try:
                told: Any = (await self._checked("GET", path)).json()
            except InvalidInput:  # nothing has this id
                return False
            except Transient as error:
                tries += 1
                if tries > MOST_TRIES:
                    raise
                await asyncio.sleep(error.after_s if isinstance(error, NotTaken) else FIRST_BACKOFF_S)
            else:
                return bool(told["status"] != "received")

    async def _checked(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            response = await self._client.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            raise Transient(f"gateway {self._client.base_url}: {error or type(error).__name__}") from error
        if response.is_success:
            return response
        reason = f"gateway {self._client.base_url}: status {response.status_code}"
        if response.status_code == 429:
            raise NotTaken(reason, after_s=_retry_after_s(response))
        if response.status_code >= 500:
            raise Transient(reason)
        if response.status_code in (401, 403, 404):  # no row's fault, and the same for every row
            raise InvalidInput(field="PLUMBLINE_API_KEY or gateway", value=path, remedy=_words(response))
        raise RowRefused(_words(response))


def _retry_after_s(response: httpx.Response) -> float:
    told = response.headers.get("Retry-After", "")
    return min(float(told), MOST_BACKOFF_S) if told.isdigit() else FIRST_BACKOFF_S


def _words(response: httpx.Response) -> str:
    try:
        told: Any = response.json()
        named = "; ".join(f"{entry['field']}: {entry['rule']}" for entry in told["errors"])
        return named or str(told["detail"])
    except (ValueError, LookupError, TypeError):
        return f"status {response.status_code}"


class KafkaSender:
    """Sends straight to the topics, as a service with its own broker connection would: each message a record.

    The gateway's publisher puts several into one record, where one that is cut short would take the others with it.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def send(self, delivery: Delivery) -> None:
        """Acknowledged by the broker once it returns."""
        message = delivery.item.message
        topic = COMPLETION_SERVED if isinstance(message, CompletionServed) else FEEDBACK_RECEIVED
        said = message.model_dump(mode="json", exclude_none=True)
        payload = body(delivery, said, kind="kind", completion_id="completion_id")
        outgoing = OutgoingMessage(topic.name, message.completion_id, payload)
        await asyncio.to_thread(self._publisher.publish, [outgoing])
