"""The worker stores nothing raw: not of events sent straight to Kafka, not of what it sets aside."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from infra.access import AccessKeys, Scope
from infra.database import Database
from ingest import arrivals, dead_letters, service, tenants
from ingest.repository_letters import Selection
from ingest.steps import AgeLimits
from matrix.errors import InvalidInput
from matrix.messages.base import NO_TENANT
from matrix.messages.feedback import DeadFeedback
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.clock import FakeClock
from tests.fakes.feedback import AT, completion, record, thumb
from tests.fakes.privacy import PRIVACY

MAIL = "ana.silva@example.org"
SAID: dict[str, Any] = {"kind": "comment", "value": None, "text": f"Write to {MAIL}."}


def say(database: Database, *bodies: object) -> None:
    for offset, body in enumerate(bodies):
        batch = record(FEEDBACK_RECEIVED.name, offset, body)
        service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)


def serve(database: Database, *bodies: object) -> None:
    for offset, body in enumerate(bodies):
        batch = record(COMPLETION_SERVED.name, offset, body)
        service.receive_completions(database, [arrivals.completion(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)


def everything(database: Database) -> str:
    """Every row of every table of ingest and of the outbox, as text."""
    found = []
    with database.engine.connect() as connection:
        tables = ("completions", "feedback", "deliveries", "dead_letters")
        for table in (*(f"ingest.{name}" for name in tables), "infra.outbox"):
            found += [str(tuple(row)) for row in connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(found)


def test_no_row_and_no_message_holds_what_was_redacted(database: Database) -> None:
    serve(
        database,
        completion("c1", completion=f"I wrote to {MAIL}.", user_id=MAIL),
        completion("c2", prompt=[{"role": "user", "content": f"I am {MAIL}"}], mood=MAIL),
    )
    say(
        database,
        thumb("e1", user_id=MAIL, tags={"user_id": MAIL, "note": MAIL}, **SAID),
        thumb("e2", "later", **SAID),
        thumb("e3", mood=MAIL, **SAID),
        thumb("e3") | {MAIL: 1},
        json.dumps(thumb("e4", **SAID))[:-1].encode(),
        [f"a bare text of {MAIL}", thumb("e1", **SAID)],
    )
    assert service.counts(database)["dead"] == 5
    kept = everything(database)
    assert MAIL not in kept
    assert "ana.silva" not in kept


def test_one_person_is_one_person_within_a_tenant_and_another_in_the_next(database: Database) -> None:
    say(
        database, *(thumb(f"e{n}", user_id=MAIL, tenant=tenant) for n, tenant in enumerate(("north", "north", "south")))
    )
    with database.engine.connect() as connection:
        bodies = connection.execute(text("SELECT body FROM ingest.feedback ORDER BY event_id")).scalars()
        first, second, elsewhere = (json.loads(body)["user_id"] for body in bodies)
    assert first == second != elsewhere


@pytest.mark.parametrize(
    ("value", "raw", "tenant"),
    [
        ({"tenant": "north"}, b"", "north"),
        ({}, b"", "default"),
        ({"tenant": "North"}, b"", NO_TENANT),
        ({"tenant": 7}, b"", NO_TENANT),
        ({"specversion": "2.0", "data": "of anybody"}, b"", NO_TENANT),
        (None, b'{"tenant" : "north", ', "north"),
        (None, b"\xff", NO_TENANT),
        ([1], b"[1]", NO_TENANT),
    ],
)
def test_what_cannot_be_read_still_belongs_to_the_tenant_it_states(value: object, raw: bytes, tenant: str) -> None:
    assert arrivals.tenant_of(value, raw) == tenant


def test_what_may_be_anybodys_is_counted_and_read_by_no_tenant(database: Database, clock: FakeClock) -> None:
    say(database, b'{"text": "of the north", "tenant": "No')
    with pytest.raises(InvalidInput, match="tenant"):
        AccessKeys(database, clock).create("eve", [Scope.VIEW], tenant=NO_TENANT)
    assert dead_letters.listed(database, Selection(tenants=("default",))) == []
    assert service.counts(database, "default")["received"] == 0
    admin = AccessKeys(database, clock).authenticate(AccessKeys(database, clock).create("ada", [Scope.ADMIN]))
    assert service.counts(database, *tenants.seen_by(admin))["received"] == 1
    assert len(dead_letters.listed(database, Selection(tenants=tenants.seen_by(admin)))) == 1
    assert [row["tenant"] for row in tenants.listed(database)] == [NO_TENANT]
    with database.engine.connect() as connection:
        (told,) = connection.execute(text("SELECT payload FROM infra.outbox")).scalars()
    assert DeadFeedback.model_validate_json(bytes(told)).tenant == NO_TENANT
    tenants.declare(database, NO_TENANT, AT, retention_days=1)
    tenants.sweep(database, AT + timedelta(days=30))
    assert dead_letters.listed(database, Selection()) == []


def test_without_consent_nothing_is_kept_but_that_it_came(database: Database) -> None:
    serve(database, completion(consent=False, completion="a secret"))
    say(database, thumb(consent=False, user_id="u1", **SAID | {"text": "a secret"}))
    assert service.counts(database)["by_reason"] == {"no_consent": 1}
    assert service.counts(database)["completions"] == {"stored": 0, "dead": 1}
    kept = everything(database)
    assert "secret" not in kept
    assert "u1" not in kept
    found = service.find_feedback(database, "default", "e1") or {}
    assert (found["status"], found["reason"], found["kind"]) == ("set_aside", "no_consent", None)
