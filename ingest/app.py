"""Composition root of ingest: the gateway's process and the worker's."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from infra.access import AccessKeys
from infra.clock import SystemClock
from infra.database import Database
from infra.direct_protocol import DirectProtocol
from infra.limits import RateLimits
from infra.outbox import CANNOT_GO_ON, OutboxRelay
from infra.publishing import AsyncKafkaPublisher, KafkaPublisher
from infra.streams import make_app, run_worker
from ingest import agents, api, chat, connect_api, routes, service
from ingest.connectors import CONNECTORS, webhook
from ingest.connectors.items import Connector
from ingest.gateway import Gateway
from ingest.privacy import Privacy
from ingest.privacy_memory import RememberingPrivacy
from ingest.redaction.entities import finder
from ingest.settings import IngestSettings
from ingest.tenants import Rates
from matrix.errors import BrokerUnavailable, DatabaseUnavailable

log = logging.getLogger(__name__)

RECONNECT_S = 1.0
ENDING_S = 5  # for what is logged after the last policy server's answer
YOUNG_OBJECTS = 10_000  # between two looks of the collector: some dozen requests', and nearly all are gone by then
# A stream holds its connection for as long as it is read; how many wait is for the policy servers to limit.
POLICY_SERVER_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100)
RATES_EVERY_S = 10.0
STATEMENT_S = 30.0  # nobody waits longer for a view


def serve(settings: IngestSettings, *, host: str, port: int) -> None:
    """Run the gateway until it is told to end."""
    # One JSON line a request would cost more than the request; what fails is logged by infra.http.
    uvicorn.run(
        build_gateway(settings),
        host=host,
        port=port,
        http=DirectProtocol,
        loop="uvloop",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=ending_s(settings),
    )


def ending_s(settings: IngestSettings) -> int:
    """How long what is under way may take when the gateway is told to end: a policy server's whole patience.

    Without a bound, one client that keeps a stream open would hold up the end until somebody kills the process, and
    with it what waits for Kafka.
    """
    return math.ceil(settings.policy_server_timeout_s) + ENDING_S


def work(settings: IngestSettings) -> None:
    """Run the ingest worker until it is told to end."""
    database = Database(settings.database_url.get_secret_value())
    publisher = KafkaPublisher(settings.kafka)
    relay = OutboxRelay(database, publisher, _NoCommands(), stage=service.STAGE)
    app = make_app(service.STAGE, settings)
    privacy = Privacy(settings.required_pseudonym_secret(), finder(settings.entity_model))
    agents.register(app, database, SystemClock(), settings, privacy, relay.wake)
    run_worker(app, name=service.STAGE, start=relay.start, stop=relay.stop)


def build_gateway(settings: IngestSettings) -> FastAPI:
    """The gateway with its connections, which the application's lifespan opens and closes."""
    database = Database(settings.database_url.get_secret_value(), statement_s=STATEMENT_S)
    publisher = AsyncKafkaPublisher(settings.kafka)
    clock = SystemClock()
    gateway = Gateway(
        publisher=publisher,
        database=database,
        clock=clock,
        policy_servers=httpx.AsyncClient(timeout=settings.policy_server_timeout_s, limits=POLICY_SERVER_LIMITS),
        policy_server_urls=settings.policy_server_urls,
        random_bytes=secrets.token_bytes,
        privacy=RememberingPrivacy(settings.required_pseudonym_secret(), finder(settings.entity_model)),
        audit_rate=settings.audit_rate,
        limits=settings.age_limits,
    )
    rates = Rates()
    limits = RateLimits(settings.rate_per_s, time.monotonic, rates.of)
    application = assemble(
        gateway,
        keys=AccessKeys(database, clock),
        max_body_bytes=settings.max_body_bytes,
        limits=limits,
        connectors=_connectors(settings),
    )

    asking = application.router.lifespan_context

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:  # closes in reverse, each whatever became of the others
            opened.callback(database.close)
            await opened.enter_async_context(asking(application))
            opened.push_async_callback(gateway.policy_servers.aclose)
            opened.push_async_callback(publisher.stop)
            await opened.enter_async_context(background(routes.follow(gateway.routes, settings.kafka), end_process))
            await opened.enter_async_context(background(_follow_rates(rates, database), end_process))
            if not await _connect(publisher):
                await opened.enter_async_context(background(_connect_until_done(publisher), end_process))
            # What was made at the start stays: the collector need not go over it while requests wait.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
            yield

    application.router.lifespan_context = connected
    return application


def _connectors(settings: IngestSettings) -> Mapping[str, Connector]:
    """Those of the code, and those that the deployment declares."""
    if settings.webhooks_file is None:
        return CONNECTORS
    return {**CONNECTORS, **webhook.load(settings.webhooks_file, taken=frozenset(CONNECTORS))}


def assemble(
    gateway: Gateway,
    *,
    keys: AccessKeys,
    max_body_bytes: int,
    limits: RateLimits | None = None,
    connectors: Mapping[str, Connector] = CONNECTORS,
) -> FastAPI:
    """The gateway's application on connections that somebody else opens and closes."""
    application = api.make_gateway(gateway, keys=keys, max_body_bytes=max_body_bytes, limits=limits)
    chat.add_routes(application, gateway)
    connect_api.add_routes(application, gateway, application.state.intake, connectors)
    return application


@asynccontextmanager
async def background(work: Coroutine[None, None, None], end: Callable[[], None]) -> AsyncIterator[None]:
    """Run a task beside the application until it is left; `end` is called where the task fails."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a task of the gateway failed", exc_info=error)
            end()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def end_process() -> None:
    """A gateway whose routes stand still would look healthy; a supervisor starts it again."""
    logging.shutdown()
    os._exit(CANNOT_GO_ON)


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


async def _follow_rates(rates: Rates, database: Database) -> None:
    """What is declared of tenants holds in every gateway seconds later; while the database is away, what was."""
    while True:
        try:
            await asyncio.to_thread(rates.refresh, database)
        except DatabaseUnavailable as error:
            log.warning("rates of tenants are not read", extra={"reason": str(error)})
        await asyncio.sleep(RATES_EVERY_S)


class _NoCommands:
    """Ingest sends no Celery commands."""

    def send(self, task: str, arguments: Mapping[str, str]) -> None:
        """Never called by a row of this stage."""
        raise AssertionError(f"ingest sends no commands, not even {task} with {sorted(arguments)}")
