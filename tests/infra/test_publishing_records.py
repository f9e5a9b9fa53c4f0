"""What becomes a record and where it goes, without a broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from infra.partitioning import murmur2, partition_of
from infra.publishing import RECORD_BYTES, AsyncKafkaPublisher, records
from matrix.errors import BrokerUnavailable, MessageTooLarge, Overloaded
from matrix.messages.base import MAX_RECORD_BYTES
from matrix.ports import Outcome, OutgoingMessage


@given(key=st.binary(max_size=40))
def test_a_key_goes_where_kafkas_own_clients_send_it(key: bytes) -> None:
    assert murmur2(key) == reference(key)
    partitions = list(range(7))
    assert partition_of(key, 7) == DefaultPartitioner()(key, partitions, partitions)


@given(sizes=st.lists(st.sampled_from([1, 100, RECORD_BYTES // 3, RECORD_BYTES, RECORD_BYTES * 2]), max_size=12))
def test_records_hold_every_payload_once_in_order_and_only_a_single_one_is_large(sizes: list[int]) -> None:
    payloads = [json.dumps([number, "x" * size]).encode() for number, size in enumerate(sizes)]
    made = records(payloads)
    read: list[object] = []
    for record in made:
        value = json.loads(record)
        is_single = record in payloads
        read += [value] if is_single else value
        assert is_single or len(record) <= RECORD_BYTES + 2 * len(payloads) + 1
    assert read == [json.loads(payload) for payload in payloads]


class BrokenProducer:
    """aiokafka's producer with a fault of its own, until it is mended."""

    def __init__(self) -> None:
        self.is_broken, self.records = True, list[bytes]()

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    async def send_and_wait(self, topic: str, value: bytes, partition: int) -> None:
        await asyncio.sleep(0)
        if self.is_broken:
            raise ZeroDivisionError
        self.records.append(value)

    async def stop(self) -> None:
        pass


async def test_a_client_that_breaks_answers_every_caller_and_stops_no_lane() -> None:
    producer, publisher = BrokenProducer(), AsyncKafkaPublisher("nowhere", buffer_messages=3)
    publisher._producer = producer
    for _ in range(2):  # the buffer is free again
        sent = (publisher.publish_each([OutgoingMessage("t", "k", b"1")]) for _ in range(3))
        told = await asyncio.wait_for(asyncio.gather(*sent), 20)
        assert [type(outcome) for (outcome,) in told] == [BrokerUnavailable] * 3
    producer.is_broken = False
    await asyncio.wait_for(publisher.publish([OutgoingMessage("t", "k", b"2")]), 20)
    await asyncio.wait_for(publisher.stop(), 20)
    assert producer.records == [b"2"]


class Told:
    """What became of each message that was handed over."""

    def __init__(self, messages: int) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._messages, self._all = messages, asyncio.Event()

    def __call__(self, places: Sequence[int], outcome: Outcome) -> None:
        for place in places:
            assert place not in self.outcomes
            self.outcomes[place] = outcome
        if len(self.outcomes) == self._messages:
            self._all.set()

    async def kinds(self) -> list[type[object]]:
        await asyncio.wait_for(self._all.wait(), 20)
        return [type(self.outcomes[place]) for place in range(self._messages)]


async def handed_over(publisher: AsyncKafkaPublisher, payloads: Sequence[bytes]) -> list[type[object]]:
    told = Told(len(payloads))
    publisher.publish_soon([OutgoingMessage("t", "k", payload) for payload in payloads], told)
    return await told.kinds()


def publisher_on(producer: BrokenProducer, **limits: int) -> AsyncKafkaPublisher:
    publisher = AsyncKafkaPublisher("nowhere", **limits)
    publisher._producer, producer.is_broken = producer, False
    return publisher


async def test_what_is_handed_over_together_is_told_each_once_and_stays_in_order() -> None:
    producer = BrokenProducer()
    publisher = publisher_on(producer)
    sent = [str(number).encode() for number in range(9)]
    for _ in range(2):  # at first the topic is not known
        assert await handed_over(publisher, sent) == [type(None)] * 9
    read = [value for record in producer.records for value in json.loads(b"[%b]" % record.strip(b"[]"))]
    assert read == [*range(9), *range(9)]


async def test_what_there_is_no_room_for_is_refused_from_the_first_of_them_on_and_room_comes_back() -> None:
    publisher = publisher_on(BrokenProducer(), buffer_bytes=10)
    await publisher.publish([OutgoingMessage("t", "k", b"1")])
    sent = [b"1234", b"1234", b"123", b"1"]
    for _ in range(2):
        assert await handed_over(publisher, sent) == [type(None), type(None), Overloaded, Overloaded]
    assert await handed_over(publisher, [b"1" * 10]) == [type(None)]


async def test_one_that_is_too_large_costs_no_neighbour() -> None:
    publisher = publisher_on(BrokenProducer())
    sent = [b"1", b"2" * (MAX_RECORD_BYTES + 1), b"3"]
    assert await handed_over(publisher, sent) == [type(None), MessageTooLarge, type(None)]


async def test_without_a_broker_or_after_the_end_each_is_told_to_try_again() -> None:
    assert await handed_over(AsyncKafkaPublisher("nowhere"), [b"1", b"2"]) == [BrokerUnavailable] * 2
    producer = BrokenProducer()
    publisher = publisher_on(producer)
    await publisher.publish([OutgoingMessage("t", "k", b"1")])
    told = Told(2)
    publisher.publish_soon([OutgoingMessage("t", "k", payload) for payload in (b"2", b"3")], told)
    await publisher.stop()
    assert await told.kinds() == [type(None)] * 2
    assert await handed_over(publisher, [b"4", b"5"]) == [BrokerUnavailable] * 2
    assert producer.records == [b"1", b"[2,3]"]


async def test_who_is_told_and_breaks_harms_no_other() -> None:
    def breaks(places: Sequence[int], outcome: Outcome) -> None:
        raise ZeroDivisionError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    publisher = publisher_on(BrokenProducer(), buffer_messages=2)
    await publisher.publish([OutgoingMessage("t", "k", b"1")])
    publisher.publish_soon([OutgoingMessage("t", "k", b"2")], breaks)
    assert await handed_over(publisher, [b"3"]) == [type(None)]
    assert await handed_over(publisher, [b"4", b"5"]) == [type(None)] * 2
