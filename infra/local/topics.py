"""Every topic of matrix.topics on the broker, with partitions, retention and size of records; safe to repeat.

A worker that starts before its topics exist idles without a word, so they are made first. Of a topic that exists,
records may become larger, since a message that its topic refuses would be lost; retention stays what a deployment
has made of it, and another number of partitions is reported: records would leave the order of their key.
"""

from __future__ import annotations

from typing import Any

from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from matrix.errors import BrokerUnavailable, IllegalTransition
from matrix.messages.base import MAX_BATCH_BYTES
from matrix.topics import TOPICS, Topic

LARGEST = "max.message.bytes"


def create_topics(bootstrap: str, *, replication: int = 1) -> list[str]:
    """Make the topics that are missing; their names. BrokerUnavailable where Kafka does not answer."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(f"Kafka does not answer at {bootstrap}") from error
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        _check_partitions(admin, [topic for topic in TOPICS if topic.name in present])
        _enlarge(admin, [topic.name for topic in TOPICS if topic.name in present])
        if missing:
            declared = {topic.name: _declared(topic, replication) for topic in missing}
            admin.create_topics(declared, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return []  # another command was faster
    except KafkaError as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap} did not make the topics: {error}") from error
    finally:
        admin.close()
    return [topic.name for topic in missing]


def _declared(topic: Topic, replication: int) -> dict[str, Any]:
    kept_ms = int(topic.retention.total_seconds() * 1000)
    policy = {"cleanup.policy": "compact"} if topic.compacted else {"retention.ms": str(kept_ms)}
    configs = policy | {LARGEST: str(MAX_BATCH_BYTES)}
    return {"num_partitions": topic.partitions, "replication_factor": replication, "configs": configs}


def _enlarge(admin: KafkaAdminClient, topics: list[str]) -> None:
    wanted = [ConfigResource("TOPIC", name, [LARGEST]) for name in topics]
    if not wanted:
        return
    found = admin.describe_configs(wanted, config_filter="all")["topic"]
    small = [name for name in topics if int(found[name][LARGEST]["value"]) < MAX_BATCH_BYTES]
    if not small:
        return
    told = admin.alter_configs([ConfigResource("TOPIC", name, {LARGEST: str(MAX_BATCH_BYTES)}) for name in small])
    for name, answer in told["topic"].items():
        if answer != "OK":
            raise IllegalTransition(what=f"{LARGEST} of topic {name}", current=answer, wanted=str(MAX_BATCH_BYTES))


def _check_partitions(admin: KafkaAdminClient, topics: list[Topic]) -> None:
    if not topics:
        return
    found = {row["name"]: len(row["partitions"]) for row in admin.describe_topics([topic.name for topic in topics])}
    for topic in topics:
        if found[topic.name] != topic.partitions:
            partitions = f"{found[topic.name]} partitions"
            raise IllegalTransition(what=f"topic {topic.name}", current=partitions, wanted=str(topic.partitions))
