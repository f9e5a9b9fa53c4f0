"""The champion that a run starts from and is held to: named by the routes, its bytes verified.

Routes come from the compacted topic that gateways follow; it is read to its end each time, for a run asks once. The
first version of a policy is its base model, which has no adapter: its uri is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from pydantic import ValidationError

from matrix.digests import digest_files
from matrix.errors import ArtifactCorrupt, BrokerUnavailable
from matrix.messages.gate import RouteChanged
from matrix.ports import ObjectStore
from matrix.topics import ROUTE_CHANGED

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
ALIAS = "champion"
POLL_MS = 1000
SILENT_POLLS = 30  # a broker that says nothing for so long is away


class Routes(Protocol):
    """Where policies lead at the moment."""

    def champion(self, policy: str) -> RouteChanged | None:
        """The policy's champion; None where no route was published. Raises BrokerUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Champion:
    """The adapter that is served; for the base model the uri is empty."""

    digest: str
    uri: str


def find_champion(routes: Routes, policy: str, *, base_digest: str) -> Champion:
    """The policy's champion, which is the base model where nothing is routed yet."""
    route = routes.champion(policy)
    if route is None:
        return Champion(base_digest, "")
    return Champion(route.adapter_digest, "" if route.version == 0 else f"object:adapters/{route.served_name}")


def read_adapter(objects: ObjectStore, uri: str, digest: str) -> dict[str, bytes]:
    """The adapter's files; ArtifactCorrupt where they are not the digest's."""
    files = {name: objects.read(f"{uri}/{name}") for name in ADAPTER_FILES}
    found = digest_files(files)
    if found != digest:
        raise ArtifactCorrupt(uri, expected=digest, found=found)
    return files


class KafkaRoutes:
    """Implements Routes."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def champion(self, policy: str) -> RouteChanged | None:
        """The last route of `policy@champion`."""
        try:
            return self._routes().get(f"{policy}@{ALIAS}")
        except KafkaError as error:
            raise BrokerUnavailable(f"kafka: {error}") from error

    def _routes(self) -> Mapping[str, RouteChanged]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        with closing(consumer):
            partitions = [TopicPartition(ROUTE_CHANGED.name, number) for number in range(ROUTE_CHANGED.partitions)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            return _read_to(consumer, ends)


def _read_to(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[str, RouteChanged]:
    routes: dict[str, RouteChanged] = {}
    silent = 0
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        polled = consumer.poll(timeout_ms=POLL_MS)
        silent = 0 if polled else silent + 1
        if silent > SILENT_POLLS:
            raise BrokerUnavailable("kafka: the routes could not be read to their end")
        for record in (record for records in polled.values() for record in records):
            route = _parsed(record.value)
            if route is not None:
                routes[f"{route.policy}@{route.alias}"] = route
    return routes


def _parsed(payload: bytes | None) -> RouteChanged | None:
    try:
        return None if payload is None else RouteChanged.model_validate_json(payload)
    except ValidationError:
        return None  # a later version's route; the gateway passes it over too
