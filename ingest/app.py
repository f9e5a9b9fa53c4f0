"""Composition root of ingest: the gateway's process and the worker's."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx
import uvicorn
from fastapi import FastAPI

from infra.access import AccessKeys
from infra.clock import SystemClock
from infra.database import Database
from infra.outbox import OutboxRelay
from infra.publishing import AsyncKafkaPublisher, KafkaPublisher
from infra.streams import make_app, run_worker
from ingest import agents, api, chat, routes, service
from ingest.gateway import Gateway
from ingest.settings import IngestSettings
from matrix.errors import BrokerUnavailable

log = logging.getLogger(__name__)

RECONNECT_S = 1.0


def serve(settings: IngestSettings, *, host: str, port: int) -> None:
    """Run the gateway until it is told to end."""
    # One JSON line a request would cost more than the request; what fails is logged by infra.http.
    uvicorn.run(build_gateway(settings), host=host, port=port, log_config=None, access_log=False)


def work(settings: IngestSettings) -> None:
    """Run the ingest worker until it is told to end."""
    database = Database(settings.database_url.get_secret_value())
    publisher = KafkaPublisher(settings.kafka)
    relay = OutboxRelay(database, publisher, _NoCommands(), stage=service.STAGE)
    app = make_app(service.STAGE, settings)
    agents.register(app, database, SystemClock(), settings, relay.wake)
    run_worker(app, name=service.STAGE, start=relay.start, stop=relay.stop)


def build_gateway(settings: IngestSettings) -> FastAPI:
    """The gateway with its connections, which the application's lifespan opens and closes."""
    database = Database(settings.database_url.get_secret_value())
    publisher = AsyncKafkaPublisher(settings.kafka)
    clock = SystemClock()
    gateway = Gateway(
        publisher=publisher,
        database=database,
        clock=clock,
        policy_servers=httpx.AsyncClient(timeout=settings.policy_server_timeout_s),
        policy_server_urls=settings.policy_server_urls,
        random_bytes=secrets.token_bytes,
    )
    application = assemble(gateway, keys=AccessKeys(database, clock), max_body_bytes=settings.max_body_bytes)

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(routes.follow(gateway.routes, settings.kafka))]
        if not await _connect(publisher):
            tasks.append(asyncio.create_task(_connect_until_done(publisher)))
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await publisher.stop()
        await gateway.policy_servers.aclose()
        database.close()

    application.router.lifespan_context = connected
    return application


def assemble(gateway: Gateway, *, keys: AccessKeys, max_body_bytes: int) -> FastAPI:
    """The gateway's application on connections that somebody else opens and closes."""
    application = api.make_gateway(gateway, keys=keys, max_body_bytes=max_body_bytes)
    chat.add_routes(application, gateway)
    return application


async def _connect(publisher: AsyncKafkaPublisher) -> bool:
    try:
        await publisher.start()
    except BrokerUnavailable as error:
        log.warning("gateway waits for the broker", extra={"reason": str(error)})
        return False
    return True


async def _connect_until_done(publisher: AsyncKafkaPublisher) -> None:
    """Until it is done, every event is answered 503."""
    connected = False
    while not connected:
        await asyncio.sleep(RECONNECT_S)
        connected = await _connect(publisher)


class _NoCommands:
    """Ingest sends no Celery commands."""

    def send(self, task: str, arguments: Mapping[str, str]) -> None:
        """Never called by a row of this stage."""
        raise AssertionError(f"ingest sends no commands, not even {task} with {sorted(arguments)}")
