"""A gateway on fakes for whoever sends it feedback: what it published, and how it is reached."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI

from infra.access import AccessKeys, Scope
from infra.database import Database
from infra.direct_protocol import DirectProtocol
from infra.limits import RateLimits
from ingest.app import assemble
from ingest.gateway import Gateway
from ingest.routes import RouteTable
from matrix.messages.feedback import FeedbackEvent
from tests.fakes.clock import FakeClock
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served

LIMIT_BYTES = 700_000


class FeedbackGateway:
    """The application with a publisher that keeps what it is given."""

    def __init__(self, database: Database, clock: FakeClock, limits: RateLimits | None = None) -> None:
        self.publisher, self.keys, self.routes = FakeAsyncPublisher(), AccessKeys(database, clock), RouteTable()
        numbers = itertools.count(1)
        gateway = Gateway(
            publisher=self.publisher,
            database=database,
            clock=clock,
            policy_servers=httpx.AsyncClient(),
            policy_server_urls=(),
            random_bytes=lambda size: next(numbers).to_bytes(size),
            privacy=PRIVACY,
            routes=self.routes,
        )
        self.app: FastAPI = assemble(gateway, keys=self.keys, max_body_bytes=LIMIT_BYTES, limits=limits)

    def events(self) -> list[FeedbackEvent]:
        """As published."""
        return [FeedbackEvent.model_validate_json(one.payload) for one in self.publisher.messages]

    def key(self, tenant: str = "default") -> str:
        """Of a service that sends feedback."""
        return self.keys.create("service", [Scope.FEEDBACK], tenant=tenant)

    @contextmanager
    def client(self, *, tenant: str = "default", direct: bool = True) -> Iterator[httpx.Client]:
        """A service of this tenant, over real HTTP."""
        headers = {"Authorization": f"Bearer {self.key(tenant)}"}
        with (
            served(self.app, DirectProtocol if direct else "auto") as url,
            httpx.Client(base_url=url, headers=headers, timeout=60) as client,
        ):
            yield client
