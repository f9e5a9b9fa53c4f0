"""Sends a recording through the gateway or straight to Kafka, then holds what was sent against what was counted.

Ids come from the recording, so that sending it again changes nothing but the duplicate count. What fails in a way
that may pass is sent again; where the first try had arrived after all, that is a duplicate more, and the
reconciliation allows for as many as there were second tries. It assumes that nobody else sends feedback meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx

from ingest.formats import Format
from ingest.formats.rows import BadRow, Recorded, Source
from ingest.gateway import AsyncPublisher
from ingest.tensorzero import to_body
from matrix.errors import InvalidInput, Permanent, Transient
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.ports import OutgoingMessage
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

IN_FLIGHT = 16
FIRST_BACKOFF_S, MOST_BACKOFF_S, GIVE_UP_S = 0.2, 5.0, 120.0
POLL_S = 0.2
COUNTED = ("received", "accepted", "duplicate", "dead", "pending")

Counts = dict[str, Any]


class RowRefused(Permanent):
    """The gateway does not take this row; its own words."""


class Sender(Protocol):
    """Where a recording goes."""

    async def send(self, message: CompletionServed | FeedbackEvent) -> None:
        """Durable once it returns. Transient where trying again can help, RowRefused where it cannot."""
        ...


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

    def orphans(self) -> int:
        """Events whose completion is not in the recording: they may stay pending."""
        served = {item.message.completion_id for item in self.items if isinstance(item.message, CompletionServed)}
        return sum(event.completion_id not in served for event in self.events())


@dataclass(slots=True)
class Sent:
    """What happened on the way."""

    completions: int = 0
    events: int = 0
    retried: int = 0
    refused: list[BadRow] = field(default_factory=list)


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


def due_times(recording: Recording, *, rate: float | None, speed: float | None) -> list[tuple[float, Item]]:
    """Seconds after the start at which each message is due: `rate` a second, or as recorded, `speed` times as fast."""
    if rate is not None:
        return [(index / rate, item) for index, item in enumerate(recording.items)]
    if speed is None or not recording.items:
        return [(0.0, item) for item in recording.items]
    ordered = sorted(recording.items, key=lambda item: item.at)
    return [((item.at - ordered[0].at).total_seconds() / speed, item) for item in ordered]


async def send_all(due: Sequence[tuple[float, Item]], sender: Sender, advance: Callable[[], None]) -> Sent:
    """Send every message when it is due, a few at a time; `advance` is called after each."""
    sent, queue, started = Sent(), iter(due), time.monotonic()

    async def sending() -> None:
        for after_s, item in queue:
            await asyncio.sleep(max(0.0, started + after_s - time.monotonic()))
            await _send_one(item, sender, sent)
            advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(sending())
    return sent


async def _send_one(item: Item, sender: Sender, sent: Sent) -> None:
    delay_s, first = FIRST_BACKOFF_S, time.monotonic()
    while True:
        try:
            await sender.send(item.message)
        except RowRefused as error:
            sent.refused.append(BadRow(item.line, str(error)))
            return
        except Transient:
            if time.monotonic() - first > GIVE_UP_S:
                raise
            sent.retried += isinstance(item.message, FeedbackEvent)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MOST_BACKOFF_S)
        else:
            sent.completions += isinstance(item.message, CompletionServed)
            sent.events += isinstance(item.message, FeedbackEvent)
            return


async def settled(
    read: Callable[[], Awaitable[Counts]], before: Counts, *, events: int, orphans: int, most_s: float
) -> Counts:
    """The counts once all that was sent is counted and waits for nothing, or after `most_s` as they are."""
    give_up_at = time.monotonic() + most_s
    while True:
        grown = difference(await read(), before)
        done = grown["received"] >= events and grown["pending"] <= orphans
        if done or time.monotonic() > give_up_at:
            return grown
        await asyncio.sleep(POLL_S)


def difference(after: Counts, before: Counts) -> Counts:
    """By how much each count grew."""
    return {name: after[name] - before[name] for name in COUNTED}


def discrepancies(sent: Sent, grown: Counts) -> list[str]:
    """What does not add up, in words; none where every event is accounted for."""
    found = []
    if not sent.events <= grown["received"] <= sent.events + sent.retried:
        again = f" ({sent.retried} of them tried again)" if sent.retried else ""
        found.append(f"sent {sent.events} events{again}, but {grown['received']} were received")
    parts = sum(grown[name] for name in COUNTED[1:])
    if parts != grown["received"]:
        found.append(f"accepted + duplicate + dead + pending is {parts}, but {grown['received']} were received")
    return found


class GatewaySender:
    """Sends over HTTP, as a chat service would."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, message: CompletionServed | FeedbackEvent) -> None:
        """Acknowledged by the gateway once it returns."""
        if isinstance(message, CompletionServed):
            await self._post("/v1/completions/log", message.model_dump(mode="json", exclude_none=True))
        else:
            await self._post("/v1/feedback", to_body(message))

    async def counts(self) -> Counts:
        """The gateway's counts; a gateway that is away is waited for."""
        first = time.monotonic()
        while True:
            try:
                answer: Counts = (await self._checked("GET", "/v1/counts", None)).json()
            except Transient:
                if time.monotonic() - first > GIVE_UP_S:
                    raise
                await asyncio.sleep(FIRST_BACKOFF_S)
            else:
                return answer

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        await self._checked("POST", path, body)

    async def _checked(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise Transient(f"gateway {self._client.base_url}: {error or type(error).__name__}") from error
        if response.is_success:
            return response
        if response.status_code == 429 or response.status_code >= 500:
            raise Transient(f"gateway {self._client.base_url}: status {response.status_code}")
        if response.status_code in (401, 403, 404):  # no row's fault, and the same for every row
            raise InvalidInput(field="PLUMBLINE_API_KEY or gateway", value=path, remedy=_words(response))
        raise RowRefused(_words(response))


def _words(response: httpx.Response) -> str:
    try:
        body = response.json()
        named = "; ".join(f"{entry['field']}: {entry['rule']}" for entry in body["errors"])
        return named or str(body["detail"])
    except (ValueError, LookupError, TypeError):
        return f"status {response.status_code}"


class KafkaSender:
    """Sends straight to the topics, as a service with its own broker connection would."""

    def __init__(self, publisher: AsyncPublisher) -> None:
        self._publisher = publisher

    async def send(self, message: CompletionServed | FeedbackEvent) -> None:
        """Acknowledged by the broker once it returns."""
        topic = COMPLETION_SERVED if isinstance(message, CompletionServed) else FEEDBACK_RECEIVED
        await self._publisher.publish([OutgoingMessage(topic.name, message.completion_id, message.to_payload())])
