"""A gateway's chat side and its policy servers, each over real HTTP, since only that streams."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from infra.access import AccessKeys
from infra.access import Scope as KeyScope
from infra.database import Database
from infra.direct_protocol import DirectProtocol
from ingest.app import assemble
from ingest.gateway import Gateway
from ingest.routes import RouteTable
from matrix.messages.completion import CompletionServed
from matrix.messages.gate import RouteChanged
from matrix.ports import OutgoingMessage
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT
from tests.fakes.privacy import PRIVACY
from tests.fakes.publisher import FakeAsyncPublisher
from tests.fakes.serving import served

ROUTE = RouteChanged(
    policy="clinic-assistant",
    alias="champion",
    version=3,
    served_name="clinic-assistant-abc",
    adapter_digest="a" * 64,
    at=AT,
)


class ChatDoor:
    """What stands behind the gateway, and what it sent to whom."""

    def __init__(self) -> None:
        self.publisher, self.routes = _Watchful(self), RouteTable()
        self.servers: list[FakeChatServer] = []
        self.sent = b""  # to clients, of all bodies
        self.sent_when_logged = b""
        self.key = ""
        self.client: httpx.Client

    @property
    def server(self) -> FakeChatServer:
        return self.servers[0]

    def completions(self) -> list[CompletionServed]:
        return [CompletionServed.model_validate_json(one.payload) for one in self.publisher.messages]


@contextmanager
def chat_door(
    database: Database,
    clock: FakeClock,
    *,
    audit_rate: float = 0.0,
    servers: int = 1,
    url: str | None = None,
    tenant: str = "default",
) -> Iterator[ChatDoor]:
    """A gateway that is up with one route and a client that may chat; in front of fakes, or of the server at `url`."""
    door, keys, numbers = ChatDoor(), AccessKeys(database, clock), itertools.count(1)
    door.routes.apply(ROUTE)
    door.servers = [FakeChatServer() for _ in range(servers)]
    door.key = keys.create("service", [KeyScope.CHAT], tenant=tenant)
    with ExitStack() as opened:
        fakes = tuple(opened.enter_context(served(server.app)) for server in door.servers)
        gateway = Gateway(
            publisher=door.publisher,
            database=database,
            clock=clock,
            policy_servers=httpx.AsyncClient(timeout=30),
            policy_server_urls=fakes if url is None else (url,),
            random_bytes=lambda size: next(numbers).to_bytes(size),
            privacy=PRIVACY,
            audit_rate=audit_rate,
            routes=door.routes,
        )
        app = assemble(gateway, keys=keys, max_body_bytes=700_000)
        app.router.lifespan_context = _closing(gateway)
        base_url = opened.enter_context(served(_Watched(app, door), DirectProtocol))
        headers = {"Authorization": f"Bearer {door.key}"}
        door.client = opened.enter_context(httpx.Client(base_url=base_url, headers=headers, timeout=30))
        for server in door.servers:
            opened.callback(server.go_on.set)
        yield door


def _closing(gateway: Gateway):  # type: ignore[no-untyped-def]  # Starlette's own type is private
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await gateway.policy_servers.aclose()

    return lifespan


class _Watched:
    """Remembers what was sent to clients."""

    def __init__(self, app: FastAPI, door: ChatDoor) -> None:
        self._app, self._door = app, door
        self.state = app.state  # where the gateway's protocol looks for hot routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            self._door.sent += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, watched)


class _Watchful(FakeAsyncPublisher):
    """Remembers what clients had been sent when something was published."""

    def __init__(self, door: ChatDoor) -> None:
        super().__init__()
        self._door = door

    async def publish(self, messages: Sequence[OutgoingMessage]) -> None:  # type: ignore[override]  # the async port
        self._door.sent_when_logged = self._door.sent
        await super().publish(messages)
