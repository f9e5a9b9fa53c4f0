"""What a deployment declares of its tenants, and what follows: how fast they may send, and how long ingest keeps.

Retention counts from receipt. A tenant's feedback that still waits for its completion then is given up first; an id
that is sent again after its event was deleted counts as a new one. Deliveries hold no words, only positions and ids,
and outlive the topic's own retention: a record that is read again must find that it was counted.
Left out: what other stages keep (the scorer's samples, snapshots) and the topics, which have retention of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from infra.access import Principal, Scope, tenant_name
from infra.database import Database
from ingest import repository, repository_retention, service
from ingest.tables import TenantRow
from matrix.errors import InvalidInput
from matrix.messages.base import NO_TENANT
from matrix.topics import FEEDBACK_RECEIVED

PRUNE_MOST = 5_000  # rows of a table that one transaction deletes
ROUNDS = 20  # transactions for each table in one sweep; the next sweep goes on
READ_AGAIN = FEEDBACK_RECEIVED.retention + timedelta(days=1)  # deliveries are needed as long as records can be read
LONGEST_DAYS = 36_500


class Unchanged(Enum):
    """A declaration that stays as it is."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of a tenant; None: kept for ever, and the gateway's own rate."""

    tenant: str
    retention_days: int | None = None
    rate_per_s: float | None = None


def seen_by(principal: Principal) -> tuple[str, ...]:
    """Whose events and letters a key sees: its tenant's; who runs the deployment also what states no readable one."""
    return (principal.tenant, NO_TENANT) if Scope.ADMIN in principal.scopes else (principal.tenant,)


def declare(
    database: Database,
    name: str,
    now: datetime,
    *,
    retention_days: int | Unchanged | None = UNCHANGED,
    rate_per_s: float | Unchanged | None = UNCHANGED,
) -> Declared:
    """Set what is given and keep the rest; InvalidInput names what is out of range."""
    if isinstance(retention_days, int) and not 1 <= retention_days <= LONGEST_DAYS:
        raise InvalidInput(field="retention_days", value=retention_days, remedy=f"1 to {LONGEST_DAYS}")
    if isinstance(rate_per_s, float | int) and not 0 < rate_per_s <= 1e6:
        raise InvalidInput(field="rate_per_s", value=rate_per_s, remedy="more than 0, at most a million")
    with database.unit_of_work() as session:
        known = name if name == NO_TENANT else tenant_name(name)  # what states no tenant is not kept for ever either
        present = repository_retention.tenant(session, known)
        row = present.model_dump() if present else {"tenant": name}
        row |= {"retention_days": retention_days} if retention_days is not UNCHANGED else {}
        row |= {"rate_per_s": rate_per_s} if rate_per_s is not UNCHANGED else {}
        kept = TenantRow.model_validate(row | {"changed_at": now})
        repository_retention.put_tenant(session, kept)
    return Declared(kept.tenant, kept.retention_days, kept.rate_per_s)


def declared(database: Database) -> dict[str, Declared]:
    """What is declared, by tenant; one that is missing has the defaults."""
    with database.unit_of_work() as session:
        rows = repository_retention.tenants(session)
    return {row.tenant: Declared(row.tenant, row.retention_days, row.rate_per_s) for row in rows}


class Rates:
    """The rates that tenants have of their own, in the memory of a gateway; somebody refreshes them."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}

    def of(self, tenant: str) -> float | None:
        """None where the tenant has none of its own."""
        return self._rates.get(tenant)

    def refresh(self, database: Database) -> None:
        """Read them anew; DatabaseUnavailable leaves those that were read before."""
        self._rates = {name: one.rate_per_s for name, one in declared(database).items() if one.rate_per_s is not None}


def listed(database: Database) -> list[dict[str, Any]]:
    """Every tenant that has declared or sent anything, with its counts."""
    found = declared(database)
    with database.unit_of_work() as session:
        figures = repository.counts(session, FEEDBACK_RECEIVED.name, None)
    rows = [found.get(name, Declared(name)) for name in sorted(set(found) | set(figures))]
    return [
        {"tenant": row.tenant, "retention_days": row.retention_days, "rate_per_s": row.rate_per_s}
        | service.told_counts(figures.get(row.tenant, {}))
        for row in rows
    ]


def sweep(database: Database, now: datetime) -> int:
    """Delete what tenants no longer want kept; returns how many rows. Counts stay what they were."""
    deleted = 0
    for one in declared(database).values():
        if one.retention_days is not None:
            deleted += _sweep_tenant(database, one.tenant, now, timedelta(days=one.retention_days))
    return deleted


def _sweep_tenant(database: Database, tenant: str, now: datetime, retention: timedelta) -> int:
    service.sweep_waiting(database, now, retention, tenant=tenant)
    deleted = 0
    for table in repository_retention.TABLES:
        age = max(retention, READ_AGAIN) if table == "deliveries" else retention
        for _ in range(ROUNDS):
            with database.unit_of_work() as session:
                repository.take_turn(session)
                gone = repository_retention.prune(session, table, tenant, now - age, PRUNE_MOST)
            deleted += gone
            if gone < PRUNE_MOST:
                break
    return deleted
