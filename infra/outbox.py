"""Messages and commands leave after the transaction that decided them, and leave at least once.

A row is written beside the rows it speaks of, sent by the stage's relay thread, and deleted once the broker has
acknowledged it. A relay killed in between sends twice; readers key their effects, so twice is once.
Order is kept per relay; with several workers of one stage it is not, and no reader may need it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlmodel import Session, col, delete, select

from infra.database import Database
from infra.tables import OutboxRow
from matrix.errors import Transient
from matrix.messages.base import Message
from matrix.ports import OutgoingMessage, Publisher
from matrix.topics import Topic

log = logging.getLogger(__name__)

BATCH = 500  # rows a round; a round is one transaction
POLL_S = 0.5  # what other processes of the stage wrote is found this late; own rows wake the relay
BACKOFF_S = 2.0


class CommandSender(Protocol):
    """Sends a Celery task by its name."""

    def send(self, task: str, arguments: Mapping[str, str]) -> None:
        """Durable once it returns; BrokerUnavailable otherwise."""
        ...


def add_message(session: Session, stage: str, topic: Topic, key: str, message: Message) -> None:
    """Publish a message once this transaction has committed."""
    row = {"stage": stage, "kind": "message", "destination": topic.name, "key": key, "payload": message.to_payload()}
    session.add(OutboxRow.model_validate(row))


def add_command(session: Session, stage: str, task: str, arguments: Mapping[str, str]) -> None:
    """Send a task once this transaction has committed; its arguments are names, never data."""
    payload = json.dumps(dict(arguments)).encode()
    row = {"stage": stage, "kind": "command", "destination": task, "key": "", "payload": payload}
    session.add(OutboxRow.model_validate(row))


class OutboxRelay:
    """A stage's thread that sends what its transactions decided."""

    def __init__(self, database: Database, publisher: Publisher, commands: CommandSender, *, stage: str) -> None:
        self._database, self._publisher, self._commands, self._stage = database, publisher, commands, stage
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"outbox-{stage}", daemon=True)

    def relay_once(self) -> int:
        """Send one round; returns how many rows left. Raises Transient and keeps the rows where a broker is away."""
        with self._database.unit_of_work() as session:
            query = select(OutboxRow).where(OutboxRow.stage == self._stage).order_by(col(OutboxRow.id)).limit(BATCH)
            rows = session.exec(query.with_for_update(skip_locked=True)).all()
            self._send(rows)
            session.exec(delete(OutboxRow).where(col(OutboxRow.id).in_([row.id for row in rows])))
        return len(rows)

    def start(self) -> None:
        """Relay in the background until `stop`."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to send: call after the commit."""
        self._woken.set()

    def stop(self) -> None:
        """Send what is there, then end the thread; rows that could not be sent wait for the next start."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=10)

    def _send(self, rows: Sequence[OutboxRow]) -> None:
        messages = [OutgoingMessage(row.destination, row.key, row.payload) for row in rows if row.kind == "message"]
        if messages:
            self._publisher.publish(messages)
        for row in rows:
            if row.kind == "command":
                self._commands.send(row.destination, json.loads(row.payload))

    def _run(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            self._woken.clear()
            try:
                more = self.relay_once() == BATCH
            except Transient as error:
                log.warning("outbox waits for a broker", extra={"stage": self._stage, "reason": str(error)})
                if stopping or self._stopping.wait(BACKOFF_S):
                    return
                continue
            if stopping and not more:
                return
            if not more:
                self._woken.wait(POLL_S)
