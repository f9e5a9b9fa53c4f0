"""The gateway itself over real HTTP, on a real database, with a broker in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from infra.access import AccessKeys, Scope
from infra.clock import SystemClock
from infra.database import Database
from infra.direct_protocol import DirectProtocol
from ingest.app import assemble
from ingest.gateway import Gateway
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served


class FeedbackDoor:
    """Where it is, who may enter, and what it published."""

    def __init__(self, url: str, key: str, publisher: FakeAsyncPublisher) -> None:
        self.url, self.key, self.publisher = url, key, publisher

    def events(self) -> list[FeedbackEvent]:
        sent = [one for one in self.publisher.messages if one.topic == "feedback.received.v1"]
        return [FeedbackEvent.model_validate_json(one.payload) for one in sent]

    def completions(self) -> list[CompletionServed]:
        sent = [one for one in self.publisher.messages if one.topic == "completion.served.v1"]
        return [CompletionServed.model_validate_json(one.payload) for one in sent]


@contextmanager
def feedback_door(database: Database) -> Iterator[FeedbackDoor]:
    """A gateway that is up, and a key of a chat service."""
    publisher, keys = FakeAsyncPublisher(), AccessKeys(database, SystemClock())
    gateway = Gateway(
        publisher=publisher,
        database=database,
        clock=SystemClock(),
        policy_servers=httpx.AsyncClient(),
        policy_server_urls=(),
        random_bytes=secrets.token_bytes,
        privacy=PRIVACY,
    )
    app = assemble(gateway, keys=keys, max_body_bytes=700_000)
    with served(app, DirectProtocol) as url:
        yield FeedbackDoor(url, keys.create("service", [Scope.FEEDBACK]), publisher)
