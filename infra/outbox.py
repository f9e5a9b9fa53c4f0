"""Messages and commands leave after the transaction that decided them, and leave at least once.

A row is written beside the rows it speaks of, sent by the stage's relay thread, and deleted once the broker has
acknowledged it. A relay killed in between sends twice; readers key their effects, so twice is once.
One relay of a stage sends at a time, in the order in which rows were written: transactions that come one after the
other (promotions of a policy, say) are told in their order, and no later one overtakes one that is being sent.
A row that no record can hold is parked where a person finds it and does not hold up the others.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from infra.database import Database
from infra.tables import OutboxRow
from matrix.errors import MessageTooLarge, Transient
from matrix.messages.base import Message
from matrix.ports import OutgoingMessage, Publisher
from matrix.topics import Topic

log = logging.getLogger(__name__)

BATCH = 500  # rows a round; a round is one transaction
POLL_S = 0.5  # what other processes of the stage wrote is found this late; own rows wake the relay
BACKOFF_S = 2.0
CANNOT_GO_ON = 70  # exit code (EX_SOFTWARE): a process that stores but no longer tells would look healthy
PARKED = "parked"


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
            turn = select(func.pg_try_advisory_xact_lock(func.hashtext(f"outbox-{self._stage}")))
            if not session.exec(turn).one():
                return 0  # another worker of this stage is sending
            waiting = OutboxRow.stage == self._stage, OutboxRow.kind != PARKED
            rows = list(session.exec(select(OutboxRow).where(*waiting).order_by(col(OutboxRow.id)).limit(BATCH)).all())
            self._send(rows)
            sent = [row.id for row in rows if row.kind != PARKED]
            session.exec(delete(OutboxRow).where(col(OutboxRow.id).in_(sent)))
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
        """Rows that no record can hold are parked instead."""
        messages = [row for row in rows if row.kind == "message"]
        try:
            if messages:
                self._publisher.publish([_outgoing(row) for row in messages])
        except MessageTooLarge:
            self._send_one_by_one(messages)
        for row in rows:
            if row.kind == "command":
                self._commands.send(row.destination, json.loads(row.payload))

    def _send_one_by_one(self, rows: Sequence[OutboxRow]) -> None:
        """Finds the one that does not fit; those that were sent already are sent twice, in the same order."""
        for row in rows:
            try:
                self._publisher.publish([_outgoing(row)])
            except MessageTooLarge as error:
                row.kind = PARKED
                named = {"stage": self._stage, "outbox_id": row.id, "reason": str(error)}
                log.error("message is too large to send", extra=named)  # noqa: TRY400 - the reason says it all

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
            except Exception:
                log.critical("outbox relay failed", exc_info=True, extra={"stage": self._stage})
                logging.shutdown()
                os._exit(CANNOT_GO_ON)
            if stopping and not more:
                return
            if not more:
                self._woken.wait(POLL_S)


def _outgoing(row: OutboxRow) -> OutgoingMessage:
    return OutgoingMessage(row.destination, row.key, row.payload)
