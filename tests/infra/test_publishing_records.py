"""What becomes a record and where it goes, without a broker."""

from __future__ import annotations

import asyncio
import json

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from infra.partitioning import murmur2, partition_of
from infra.publishing import RECORD_BYTES, AsyncKafkaPublisher, records
from matrix.errors import BrokerUnavailable
from matrix.ports import OutgoingMessage


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
