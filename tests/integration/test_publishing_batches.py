"""The gateway's publisher on a real broker: nothing is lost, nothing is out of order, and few records carry much."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient

from infra.local.topics import LARGEST, create_topics
from infra.publishing import AsyncKafkaPublisher, KafkaPublisher
from matrix.errors import BrokerUnavailable, MessageTooLarge, Overloaded
from matrix.messages.base import MAX_BATCH_BYTES, MAX_RECORD_BYTES
from matrix.ports import Outcome, OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED
from tests.conftest import StackUnderTest

pytestmark = pytest.mark.stack
CALLS, KEYS = 400, 7


def message(number: int, size: int = 100) -> OutgoingMessage:
    payload = json.dumps({"n": number, "text": "x" * size}).encode()
    return OutgoingMessage(FEEDBACK_RECEIVED.name, f"c{number % KEYS}", payload)


def read(kafka: str) -> list[list[int]]:
    """The numbers in each record, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(FEEDBACK_RECEIVED.name, number) for number in range(FEEDBACK_RECEIVED.partitions)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found = []
    while any(consumer.position(one) < ends[one] for one in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                value = json.loads(record.value)
                found.append([one["n"] for one in (value if isinstance(value, list) else [value])])
    consumer.close()
    return found


async def test_concurrent_calls_share_records_and_every_key_stays_in_order(stack: StackUnderTest) -> None:
    publisher = AsyncKafkaPublisher(stack.servers.kafka)
    await publisher.start()
    outcomes = await asyncio.gather(
        *(publisher.publish_each([message(3 * call + part) for part in range(3)]) for call in range(CALLS))
    )
    await publisher.stop()
    assert {outcome for call in outcomes for outcome in call} == {None}
    found = read(stack.servers.kafka)
    numbers = [number for record in found for number in record]
    assert Counter(numbers) == Counter(range(3 * CALLS))
    for key in range(KEYS):
        assert [number for number in numbers if number % KEYS == key] == list(range(key, 3 * CALLS, KEYS))
    assert len(found) < CALLS / 4


async def test_a_full_buffer_refuses_a_call_before_anything_of_it_is_taken(stack: StackUnderTest) -> None:
    publisher = AsyncKafkaPublisher(stack.servers.kafka, buffer_bytes=2_000)
    await publisher.start()
    await publisher.publish([message(0)])
    held = asyncio.create_task(publisher.publish([message(1, size=1_500)]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await publisher.publish([message(2), message(3, size=1_000)])
    await held
    await publisher.publish([message(4, size=1_500)])
    with pytest.raises(MessageTooLarge):
        await publisher.publish([message(5), message(6, size=MAX_RECORD_BYTES)])
    await publisher.stop()
    assert sorted(number for record in read(stack.servers.kafka) for number in record) == [0, 1, 4]


async def test_what_is_held_leaves_before_the_publisher_ends(stack: StackUnderTest) -> None:
    publisher = AsyncKafkaPublisher(stack.servers.kafka)
    await publisher.start()
    await publisher.publish([message(0)])
    held = [asyncio.create_task(publisher.publish([message(number)])) for number in range(1, 50)]
    await asyncio.sleep(0)
    await publisher.stop()
    await asyncio.gather(*held)
    with pytest.raises(BrokerUnavailable):
        await publisher.publish([message(99)])
    assert sorted(number for record in read(stack.servers.kafka) for number in record) == list(range(50))


async def test_a_failure_reaches_every_caller_and_frees_the_buffer(stack: StackUnderTest) -> None:
    publisher = AsyncKafkaPublisher(stack.servers.kafka, buffer_messages=60)
    await publisher.start()
    await publisher.publish([message(0)])
    await publisher._connected().stop()  # the connection goes from under it
    for _ in range(3):
        failed = await asyncio.gather(
            *(publisher.publish_each([message(number)]) for number in range(50)), return_exceptions=True
        )
        assert [type(one[0]) if isinstance(one, list) else one for one in failed] == [BrokerUnavailable] * 50


async def test_what_is_handed_over_by_many_turns_arrives_once_and_in_order(stack: StackUnderTest) -> None:
    publisher, outcomes = AsyncKafkaPublisher(stack.servers.kafka), list[Outcome]()
    await publisher.start()
    done = asyncio.Event()

    def settled(places: Sequence[int], outcome: Outcome) -> None:
        outcomes.extend([outcome] * len(places))
        if len(outcomes) == 3 * CALLS:
            done.set()

    await publisher.publish([message(-KEYS)])  # it learns of the topic
    for call in range(CALLS):
        publisher.publish_soon([message(3 * call + part) for part in range(3)], settled)
        await asyncio.sleep(0)
    await asyncio.wait_for(done.wait(), 60)
    await publisher.stop()
    assert set(outcomes) == {None}
    numbers = [number for record in read(stack.servers.kafka) for number in record if number >= 0]
    assert Counter(numbers) == Counter(range(3 * CALLS))
    for key in range(KEYS):
        assert [number for number in numbers if number % KEYS == key] == list(range(key, 3 * CALLS, KEYS))


def limit_records(kafka: str, largest_bytes: int) -> None:
    """As a topic has it that somebody else made."""
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.alter_configs([ConfigResource("TOPIC", FEEDBACK_RECEIVED.name, {LARGEST: str(largest_bytes)})])
    admin.close()


async def test_the_largest_messages_go_through_and_are_read(stack: StackUnderTest) -> None:
    publisher = AsyncKafkaPublisher(stack.servers.kafka)
    await publisher.start()
    await publisher.publish([message(1, size=3 << 19)])
    await publisher.stop()
    relayed = KafkaPublisher(stack.servers.kafka)
    await asyncio.to_thread(
        relayed.publish, [message(2, size=3 << 19), message(3), message(4, size=MAX_RECORD_BYTES - 99)]
    )
    relayed.close()
    assert sorted(number for record in read(stack.servers.kafka) for number in record) == [1, 2, 3, 4]
    reader = AIOKafkaConsumer(  # as the workers read
        FEEDBACK_RECEIVED.name, bootstrap_servers=stack.servers.kafka, auto_offset_reset="earliest"
    )
    await reader.start()
    found = [json.loads((await asyncio.wait_for(reader.getone(), 20)).value)["n"] for _ in range(4)]
    await reader.stop()
    assert sorted(found) == [1, 2, 3, 4]


async def test_what_a_topic_does_not_take_is_too_large_and_fails_no_other(stack: StackUnderTest) -> None:
    limit_records(stack.servers.kafka, 400_000)
    publisher, relayed = AsyncKafkaPublisher(stack.servers.kafka), KafkaPublisher(stack.servers.kafka)
    await publisher.start()
    outcomes = await asyncio.gather(
        *(publisher.publish([message(number * KEYS, size=size)]) for number, size in enumerate((9, 500_000, 9))),
        return_exceptions=True,
    )
    await publisher.publish([message(3 * KEYS)])
    await publisher.stop()
    assert [type(outcome) for outcome in outcomes] == [type(None), MessageTooLarge, type(None)]
    with pytest.raises(MessageTooLarge):
        await asyncio.to_thread(relayed.publish, [message(4 * KEYS, size=500_000)])
    await asyncio.to_thread(relayed.publish, [message(5 * KEYS)])
    relayed.close()
    assert [number // KEYS for record in read(stack.servers.kafka) for number in record] == [0, 2, 3, 5]


def test_topics_that_exist_take_larger_records_once_they_are_declared_again(stack: StackUnderTest) -> None:
    limit_records(stack.servers.kafka, 400_000)
    assert create_topics(stack.servers.kafka) == []
    admin = KafkaAdminClient(bootstrap_servers=stack.servers.kafka)
    found = admin.describe_configs([ConfigResource("TOPIC", FEEDBACK_RECEIVED.name, [LARGEST])])
    admin.close()
    assert found["topic"][FEEDBACK_RECEIVED.name][LARGEST]["value"] == str(MAX_BATCH_BYTES)
