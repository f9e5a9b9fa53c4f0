"""Faust as it must be held so that no event is lost.

Faust acknowledges an event whose handler raised, and its offset bookkeeping commits past a hole of one record. So
nothing may escape an agent's loop, events are acknowledged strictly in order after the durable write, what may pass
is retried in the loop, and a worker that cannot go on ends itself: its offsets stay right and a supervisor starts
it again. Redelivery is normal; every effect is keyed.
Left out: Faust tables (caches at best) and exactly-once (loses counts on kill -9, robinhood/faust#340).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust

from infra.outbox import CANNOT_GO_ON
from infra.settings import Settings
from infra.telemetry import mark_ready, mark_starting
from matrix.errors import Transient
from matrix.messages.feedback import Position
from matrix.topics import Topic

log = logging.getLogger(__name__)

MALFORMED: Final = object()  # the value of an Incoming that is not JSON
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event of a record; a record may carry a list."""

    position: Position
    raw: bytes  # as received; of a list's element, its canonical spelling
    value: object  # parsed JSON, or MALFORMED


Handle = Callable[[list[Incoming]], None]


def make_app(name: str, settings: Settings) -> faust.App:
    """A Faust application for one stage's worker; topics must exist before it starts."""
    return faust.App(
        f"plumbline-{name}",
        broker=[f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        store="memory://",
        datadir=str((settings.home / "run" / f"faust-{name}").resolve()),
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        # Static membership: a killed worker is back in under two seconds instead of a session timeout.
        consumer_group_instance_id=f"{name}-{os.environ.get('PLUMBLINE_WORKER_ID', socket.gethostname())}",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_commit_interval=0.5,
        broker_max_poll_records=2000,
        stream_buffer_maxsize=4096,
    )


def batched_agent(
    app: faust.App,
    topics: Sequence[Topic],
    handle: Handle,
    *,
    name: str,
    max_events: int = 2000,
    within_s: float = 0.02,
) -> None:
    """Register one agent per topic that hands batches to `handle`, which writes durably in one transaction.

    `handle` runs in a thread, may see any event again, and raises Transient where trying again can help.
    """
    for topic in topics:
        _register(app, topic, handle, name=f"{name}-{topic.name}", max_events=max_events, within_s=within_s)


def _register(app: faust.App, topic: Topic, handle: Handle, *, name: str, max_events: int, within_s: float) -> None:
    async def agent(stream: faust.StreamT[bytes]) -> None:
        batches: AsyncIterable[Sequence[Any]] = stream.noack_take(max_events, within=within_s)  # type: ignore[attr-defined]
        async for events in batches:
            arrived = [incoming for event in events for incoming in split(event.value or b"", _record(event))]
            for start in range(0, len(arrived), max_events):
                await _until_done(handle, arrived[start : start + max_events])
            for event in events:
                await stream.ack(event)

    app.agent(app.topic(topic.name), name=name)(agent)


def _record(event: Any) -> Position:
    message = event.message
    return Position(topic=message.topic, partition=message.partition, offset=message.offset, position=0)


def split(record: bytes, at: Position) -> Iterator[Incoming]:
    """The events of one record: one object, or the elements of a list."""
    try:
        value = json.loads(record, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        yield Incoming(at, record, MALFORMED)
        return
    if not isinstance(value, list):
        yield Incoming(at, record, value)
        return
    for index, element in enumerate(value):
        raw = json.dumps(element, ensure_ascii=True).encode()
        yield Incoming(at.model_copy(update={"position": index}), raw, element)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


async def _until_done(handle: Handle, batch: list[Incoming]) -> None:
    delay_s = RETRY_FIRST_S
    while True:
        try:
            await asyncio.to_thread(handle, batch)
        except Transient as error:
            log.warning("batch waits", extra={"events": len(batch), "reason": str(error), "delay_s": delay_s})
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_MOST_S)
        except Exception:  # noqa: BLE001 -- whatever escapes here would be acknowledged by Faust and lost
            _end_worker("batch cannot be handled")
        else:
            return


def periodic(app: faust.App, act: Callable[[], None], *, every_s: float) -> None:
    """Run `act` in a thread again and again while the worker lives; Transient waits for the next turn."""

    async def turn() -> None:
        try:
            await asyncio.to_thread(act)
        except Transient as error:
            log.warning("timer waits", extra={"reason": str(error)})
        except Exception:  # noqa: BLE001 -- a timer that died silently would look like one with nothing to do
            _end_worker("timer failed")

    app.timer(every_s)(turn)


def _end_worker(event: str) -> None:
    log.critical(event, exc_info=True)
    logging.shutdown()
    os._exit(CANNOT_GO_ON)


def run_worker(
    app: faust.App, *, name: str, start: Callable[[], None] = lambda: None, stop: Callable[[], None] = lambda: None
) -> None:
    """Run until SIGTERM; `start` and `stop` frame the work (relays). Ready once partitions are assigned."""
    Path(app.conf.datadir).mkdir(parents=True, exist_ok=True)
    mark_starting(name)

    def assigned(_app: Any, /, partitions: Any = (), *_: Any, **__: Any) -> None:
        if partitions:
            mark_ready(name)

    app.on_partitions_assigned.connect(assigned, weak=False)
    app.finalize()
    start()
    try:
        faust.Worker(app, loglevel="WARN", redirect_stdouts=False, override_logging=False).execute_from_commandline()
    finally:
        stop()
