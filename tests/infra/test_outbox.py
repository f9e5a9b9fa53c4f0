"""What a transaction decided leaves once it committed, at least once, and not before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest
from sqlmodel import select

from infra.database import Database
from infra.outbox import CANNOT_GO_ON, OutboxRelay, add_command, add_message
from infra.tables import OutboxRow
from matrix.errors import BrokerUnavailable, MessageTooLarge
from matrix.messages.base import MAX_RECORD_BYTES
from matrix.messages.sample import RiskEscalated
from matrix.ports import OutgoingMessage
from matrix.topics import RISK_ESCALATED
from tests.fakes.clock import FakeClock


class Broker:
    """Remembers what it acknowledged; can be away."""

    def __init__(self) -> None:
        self.away = False
        self.largest_bytes = 2 * MAX_RECORD_BYTES  # that a topic takes
        self.sent: list[str] = []

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.away:
            raise BrokerUnavailable("away")
        for message in messages:
            if len(message.payload) > self.largest_bytes:
                raise MessageTooLarge(topic=message.topic, size_bytes=len(message.payload), limit_bytes=None)
            self.sent.append(message.key)

    def send(self, task: str, arguments: Mapping[str, str]) -> None:
        self.sent.append(f"{task} {dict(arguments)}")


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def relay(database: Database, broker: Broker) -> OutboxRelay:
    return OutboxRelay(database, broker, broker, stage="scorer")


def escalated(clock: FakeClock) -> RiskEscalated:
    figures = {"risk": 0.5, "upper_bound": 0.2, "exposures": 10.0, "incidents": 1.0}
    return RiskEscalated(dimension="escalation_missed", slice="all", at=clock.now(), **figures)


def test_a_committed_message_and_command_leave_in_order_and_once(
    database: Database, relay: OutboxRelay, broker: Broker, clock: FakeClock
) -> None:
    with database.unit_of_work() as session:
        add_message(session, "scorer", RISK_ESCALATED, "first", escalated(clock))
        add_command(session, "scorer", "trainer.train_adapter", {"snapshot_uri": "object:s"})
    assert relay.relay_once() == 2
    assert relay.relay_once() == 0
    assert broker.sent == ["first", "trainer.train_adapter {'snapshot_uri': 'object:s'}"]


def test_a_transaction_that_failed_sends_nothing(database: Database, relay: OutboxRelay, clock: FakeClock) -> None:
    def fail_after_adding() -> None:
        with database.unit_of_work() as session:
            add_message(session, "scorer", RISK_ESCALATED, "never", escalated(clock))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_adding()
    assert relay.relay_once() == 0


def test_rows_wait_while_the_broker_is_away(
    database: Database, relay: OutboxRelay, broker: Broker, clock: FakeClock
) -> None:
    with database.unit_of_work() as session:
        add_message(session, "scorer", RISK_ESCALATED, "waits", escalated(clock))
    broker.away = True
    with pytest.raises(BrokerUnavailable):
        relay.relay_once()
    broker.away = False
    assert relay.relay_once() == 1
    assert broker.sent == ["waits"]


def test_a_message_that_no_record_can_hold_is_parked_and_holds_up_nobody(
    database: Database, relay: OutboxRelay, broker: Broker, clock: FakeClock
) -> None:
    with database.unit_of_work() as session:
        add_message(session, "scorer", RISK_ESCALATED, "too large", escalated(clock))
        session.flush()
        row = session.exec(select(OutboxRow)).one()
        row.payload = b" " * (MAX_RECORD_BYTES + 1)
        add_message(session, "scorer", RISK_ESCALATED, "good", escalated(clock))
        add_command(session, "scorer", "trainer.train_adapter", {})
    broker.largest_bytes = MAX_RECORD_BYTES
    relay.relay_once()
    assert broker.sent == ["good", "trainer.train_adapter {}"]
    with database.unit_of_work() as session:
        assert [(row.kind, row.key) for row in session.exec(select(OutboxRow)).all()] == [("parked", "too large")]
    assert relay.relay_once() == 0


def test_while_one_worker_sends_no_other_of_its_stage_overtakes_it(
    database: Database, relay: OutboxRelay, broker: Broker, clock: FakeClock
) -> None:
    class SlowBroker(Broker):
        def publish(self, messages: Sequence[OutgoingMessage]) -> None:
            with database.unit_of_work() as session:
                add_message(session, "scorer", RISK_ESCALATED, "later", escalated(clock))
            assert relay.relay_once() == 0
            super().publish(messages)

    slow = SlowBroker()
    with database.unit_of_work() as session:
        add_message(session, "scorer", RISK_ESCALATED, "earlier", escalated(clock))
    OutboxRelay(database, slow, slow, stage="scorer").relay_once()
    assert (slow.sent, broker.sent) == (["earlier"], [])
    assert relay.relay_once() == 1


def test_a_relay_that_cannot_go_on_ends_its_process(database: Database) -> None:
    script = (
        "from infra.database import Database\n"
        "from infra.outbox import OutboxRelay\n"
        "class Broken:\n"
        "    def unit_of_work(self): raise ZeroDivisionError\n"
        "relay = OutboxRelay(Broken(), None, None, stage='scorer')\n"
        "relay.start()\n"
        "relay._thread.join()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == CANNOT_GO_ON


def test_a_stage_relays_only_its_own_rows(database: Database, relay: OutboxRelay, clock: FakeClock) -> None:
    with database.unit_of_work() as session:
        add_message(session, "registry", RISK_ESCALATED, "other", escalated(clock))
    assert relay.relay_once() == 0
    with database.unit_of_work() as session:
        assert len(session.exec(select(OutboxRow)).all()) == 1


def test_a_stopped_relay_has_sent_what_was_there(
    database: Database, relay: OutboxRelay, broker: Broker, clock: FakeClock
) -> None:
    relay.start()
    with database.unit_of_work() as session:
        add_message(session, "scorer", RISK_ESCALATED, "last", escalated(clock))
    relay.stop()
    assert broker.sent == ["last"]
