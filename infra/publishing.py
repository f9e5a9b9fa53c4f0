"""Publishing to Kafka, acknowledged by every in-sync replica before it counts as sent.

Two adapters: kafka-python for threads (outbox relays, commands), aiokafka for the gateway's event loop. There, what
arrives within a few milliseconds for one partition becomes one record: a stream worker handles some thousands of
records a second whatever their size, and a producer's cost is by the record and by the request, so a record holds one
payload or a JSON list of them (readers decode either), and the records of all partitions leave together, each after
its partition's last one was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AsyncKafkaError
from aiokafka.errors import MessageSizeTooLargeError as AsyncTooLarge
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.producer.future import FutureRecordMetadata

from infra.partitioning import partition_of
from matrix.errors import BrokerUnavailable, MessageTooLarge, Overloaded, Transient
from matrix.messages.base import MAX_BATCH_BYTES, MAX_RECORD_BYTES
from matrix.ports import Outcome, OutgoingMessage, Settled

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
RECORD_BYTES = 256 << 10  # a record that has reached this takes no more; a single payload may be larger
LINGER_S = 0.002  # for company, where there lately was some
COMPANY = 8  # messages of one flush
BUFFER_BYTES = 32 << 20  # held in memory without acknowledgement
BUFFER_MESSAGES = 50_000
LAST_RESORT_PARTITIONS = 1
ENDING = "the publisher is ending"
FULL = "too much waits for the broker's acknowledgement; send again later"


def _check_sizes(messages: Sequence[OutgoingMessage]) -> None:
    for message in messages:
        if len(message.payload) > MAX_RECORD_BYTES:
            size_bytes = len(message.payload)
            raise MessageTooLarge(topic=message.topic, size_bytes=size_bytes, limit_bytes=MAX_RECORD_BYTES)


def _acknowledged(message: OutgoingMessage, future: FutureRecordMetadata) -> None:
    try:
        future.get(timeout=TIMEOUT_S)
    except MessageSizeTooLargeError:
        size_bytes = len(message.payload)
        raise MessageTooLarge(topic=message.topic, size_bytes=size_bytes, limit_bytes=None) from None


class KafkaPublisher:
    """Implements matrix.ports.Publisher for threads; connects at the first use."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: KafkaProducer | None = None

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Returns when the broker has acknowledged all; BrokerUnavailable otherwise.

        MessageTooLarge comes before any is sent, but where the topic takes less than it was declared with: then
        others may have been sent.
        """
        _check_sizes(messages)
        try:
            if self._producer is None:
                # Without sequence numbers: after a record that is too large an idempotent producer sends nothing more.
                self._producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=False,
                    max_in_flight_requests_per_connection=1,  # keeps a partition's order over retries
                    linger_ms=2,
                    max_request_size=MAX_BATCH_BYTES,
                )
            sent = [self._producer.send(m.topic, key=m.key.encode(), value=m.payload) for m in messages]
            self._producer.flush(timeout=TIMEOUT_S)
            for message, future in zip(messages, sent, strict=True):
                _acknowledged(message, future)
        except KafkaError as error:
            raise BrokerUnavailable(f"kafka at {self._bootstrap}: {error}") from error

    def close(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            self._producer.close(timeout=5)


@dataclass(slots=True)
class _Waiting:
    """Messages of one call for one partition."""

    places: list[int]  # among the call's messages
    payloads: list[bytes]
    size_bytes: int
    settled: Settled


@dataclass(slots=True)
class _Lane:
    """One partition's queue."""

    topic: str
    partition: int
    waiting: list[_Waiting] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None  # the one record that is under way


class _Answers:
    """Collects the outcomes of one call until all are there."""

    def __init__(self, messages: int, answer: asyncio.Future[list[Outcome]]) -> None:
        self._outcomes: list[Outcome] = [None] * messages
        self._left, self._answer = messages, answer

    def settle(self, places: Sequence[int], outcome: Outcome) -> None:
        """As Settled."""
        for place in places:
            self._outcomes[place] = outcome
        self._left -= len(places)
        if not self._left and not self._answer.done():  # its caller may have gone
            self._answer.set_result(self._outcomes)


class AsyncKafkaPublisher:
    """For an event loop. Payloads of one key stay in order: the key decides the partition, and a partition has one
    record under way. Nothing is dropped: a call returns when every in-sync replica has all of it, and a buffer that
    is full refuses the call before any of it is taken.

    Records carry no sequence numbers: one that is given up (its partition's leader was away too long, or it is too
    large) would leave a gap that the broker refuses to go on after. A record that arrives twice counts once.
    """

    def __init__(
        self, bootstrap: str, *, buffer_bytes: int = BUFFER_BYTES, buffer_messages: int = BUFFER_MESSAGES
    ) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._partitions: dict[str, int] = {}
        self._free_bytes, self._free_messages = buffer_bytes, buffer_messages
        self._next_flush: asyncio.TimerHandle | None = None
        self._last_flushed = 0  # messages
        self._alone: set[asyncio.Task[None]] = set()  # that publish one message, and learn of its topic first
        self._ending = False

    async def start(self) -> None:
        """Connect; BrokerUnavailable where no broker answers."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            linger_ms=0,
            max_request_size=MAX_BATCH_BYTES,
            request_timeout_ms=int(TIMEOUT_S * 1000),
        )
        try:
            await producer.start()
        except AsyncKafkaError as error:
            await producer.stop()
            raise BrokerUnavailable(f"kafka at {self._bootstrap}: {error}") from error
        self._producer = producer

    async def stop(self) -> None:
        """Take nothing more, send what is held, disconnect."""
        self._ending = True
        if self._next_flush is not None:
            self._next_flush.cancel()
        self._flush()
        while sending := [lane.sending for lane in self._lanes.values() if lane.sending is not None]:
            await asyncio.wait(sending)
            self._flush()
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Returns when the broker has acknowledged all; BrokerUnavailable otherwise.

        Overloaded comes before anything is taken, as does MessageTooLarge unless the topic takes less than declared.
        """
        failed = next((outcome for outcome in await self.publish_each(messages) if outcome is not None), None)
        if isinstance(failed, MessageTooLarge):
            raise failed
        if failed is not None:
            raise BrokerUnavailable(str(failed))  # the outcome itself is shared by every caller of its record

    async def publish_each(self, messages: Sequence[OutgoingMessage]) -> list[Outcome]:
        """What became of each; raises, before anything is taken, what holds for all."""
        _check_sizes(messages)
        if self._ending:
            raise BrokerUnavailable(ENDING)
        if not messages:
            return []
        for message in messages:
            if message.topic not in self._partitions:
                await self._learn_partitions(message.topic)
        if len(messages) != self._room(messages):
            raise Overloaded(FULL)
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._enqueue(messages, _Answers(len(messages), answer).settle)
        return await answer

    def publish_soon(self, messages: Sequence[OutgoingMessage], settled: Settled) -> None:
        """Each message is a call of its own: what there is no room for is Overloaded, from the first of them on.

        Raises nothing; `settled` is called once for every place, later in the loop. Those of a topic that is not known
        yet, or are too large, go as calls of their own, which others may overtake.
        """
        loop = asyncio.get_running_loop()
        if any(one.topic not in self._partitions or len(one.payload) > MAX_RECORD_BYTES for one in messages):
            for place, message in enumerate(messages):
                task = loop.create_task(self._publish_alone(place, message, settled))
                self._alone.add(task)
                task.add_done_callback(self._alone.discard)
            return
        room = 0 if self._ending else self._room(messages)
        if room < len(messages):
            refusal = BrokerUnavailable(ENDING) if self._ending else Overloaded(FULL)
            loop.call_soon(settled, range(room, len(messages)), refusal)
        self._enqueue(messages[:room], settled)

    async def _publish_alone(self, place: int, message: OutgoingMessage, settled: Settled) -> None:
        try:
            (outcome,) = await self.publish_each([message])
        except (Transient, MessageTooLarge) as error:
            outcome = error
        settled((place,), outcome)

    def _room(self, messages: Sequence[OutgoingMessage]) -> int:
        """How many of them, from the front, may be held."""
        size_bytes, most = 0, min(len(messages), self._free_messages)
        for place in range(most):
            size_bytes += len(messages[place].payload)
            if size_bytes > self._free_bytes:
                return place
        return most

    def _enqueue(self, messages: Sequence[OutgoingMessage], settled: Settled) -> None:
        """In one turn of the loop; there is room for them."""
        found: dict[int, _Waiting] = {}  # by lane
        for place, message in enumerate(messages):
            lane, size_bytes = self._lane(message), len(message.payload)
            waiting = found.get(id(lane))
            if waiting is None:
                waiting = found[id(lane)] = _Waiting([], [], 0, settled)
                lane.waiting.append(waiting)
            waiting.places.append(place)
            waiting.payloads.append(message.payload)
            waiting.size_bytes += size_bytes
            self._free_bytes -= size_bytes
        self._free_messages -= len(messages)
        if messages:
            self._flush_soon()

    def _lane(self, message: OutgoingMessage) -> _Lane:
        topic = message.topic
        partition = partition_of(message.key.encode(), self._partitions[topic])
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        return lane

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailable("the publisher is not started")
        return self._producer

    async def _learn_partitions(self, topic: str) -> None:
        try:
            found = await asyncio.wait_for(self._connected().partitions_for(topic), TIMEOUT_S)
        except (AsyncKafkaError, TimeoutError) as error:
            raise BrokerUnavailable(f"kafka at {self._bootstrap} tells no partitions of {topic}") from error
        self._partitions[topic] = max(len(found), LAST_RESORT_PARTITIONS)

    def _flush_soon(self) -> None:
        """An idle process adds nothing to a request; a busy one waits for company, which it is about to have."""
        if self._next_flush is None and not self._ending:
            delay_s = LINGER_S if self._last_flushed >= COMPANY else 0.0
            self._next_flush = asyncio.get_running_loop().call_later(delay_s, self._flush)

    def _flush(self) -> None:
        """A record for every partition that has something waiting and nothing under way."""
        self._next_flush, self._last_flushed = None, 0
        for lane in self._lanes.values():
            if lane.waiting and lane.sending is None:
                taken = _take(lane.waiting)
                self._last_flushed += sum(len(one.payloads) for one in taken)
                lane.sending = asyncio.get_running_loop().create_task(self._send_taken(lane, taken))
                lane.sending.add_done_callback(_ended)

    async def _send_taken(self, lane: _Lane, taken: list[_Waiting]) -> None:
        outcome: Outcome = BrokerUnavailable("the client of the broker broke; the log says more")
        try:
            outcome = await self._send(lane, [payload for one in taken for payload in one.payloads])
        finally:  # whatever happened, callers are answered and the lane goes on
            self._settle(lane, taken, outcome)

    def _settle(self, lane: _Lane, taken: list[_Waiting], outcome: Outcome) -> None:
        if isinstance(outcome, Transient):  # those behind would wait as long again for the same answer
            taken, lane.waiting = taken + lane.waiting, []
        loop = asyncio.get_running_loop()
        for one in taken:
            self._free_bytes += one.size_bytes
            self._free_messages += len(one.payloads)
            loop.call_soon(one.settled, one.places, outcome)
        lane.sending = None
        if lane.waiting:
            self._flush_soon()

    async def _send(self, lane: _Lane, payloads: Sequence[bytes]) -> Outcome:
        producer = self._connected()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for record in records(payloads):
                    await producer.send_and_wait(lane.topic, record, partition=lane.partition)
        except AsyncTooLarge:
            return MessageTooLarge(topic=lane.topic, size_bytes=len(record), limit_bytes=None)
        except (AsyncKafkaError, TimeoutError) as error:
            return BrokerUnavailable(f"kafka at {self._bootstrap}: {error or 'no answer in time'}")
        return None


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a record was not sent", exc_info=error)


def _take(waiting: list[_Waiting]) -> list[_Waiting]:
    """From the front, as much as fits one record; at least one call's messages."""
    taken, size_bytes = [waiting[0]], waiting[0].size_bytes
    while len(taken) < len(waiting) and size_bytes + waiting[len(taken)].size_bytes <= RECORD_BYTES:
        size_bytes += waiting[len(taken)].size_bytes
        taken.append(waiting[len(taken)])
    del waiting[: len(taken)]
    return taken


def records(payloads: Sequence[bytes]) -> list[bytes]:
    """Each payload alone, or JSON lists of about RECORD_BYTES; in order."""
    groups: list[list[bytes]] = [[]]
    size_bytes = 0
    for payload in payloads:
        if groups[-1] and size_bytes + len(payload) > RECORD_BYTES:
            groups.append([])
            size_bytes = 0
        groups[-1].append(payload)
        size_bytes += len(payload) + 1
    return [group[0] if len(group) == 1 else b"[" + b",".join(group) + b"]" for group in groups if group]
