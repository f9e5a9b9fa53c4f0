"""The queries of tenants and of retention: what is deleted is added to `pruned_counts` in the same statement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session, col, select

from ingest.repository import run
from ingest.tables import TenantRow
from matrix.topics import FEEDBACK_RECEIVED


class Pruned(NamedTuple):
    """A table that retention empties: under which figure its rows were counted, and which it must leave."""

    figure: str
    kept: str = "false"


TABLES: Mapping[str, Pruned] = {
    "dead_letters": Pruned(
        f"CASE WHEN state = 'replayed' THEN NULL WHEN topic = '{FEEDBACK_RECEIVED.name}' THEN 'reason.' || reason "
        "ELSE 'completions.dead' END"
    ),
    "feedback": Pruned("'state.' || state", kept="state = 'pending'"),  # it is given up first, and counted as dead
    "completions": Pruned("'completions.stored'"),
    "deliveries": Pruned("'delivery.' || outcome"),
}


def prune(session: Session, table: str, tenant: str, before: datetime, limit: int) -> int:
    """Delete so many rows of a tenant that were received before then; returns how many there were."""
    figure, kept = TABLES[table]
    query = f"""
        WITH gone AS (
            DELETE FROM ingest.{table} WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM ingest.{table}
                WHERE tenant = :tenant AND received_at < :before AND NOT ({kept}) LIMIT :limit))
            RETURNING {figure} AS name
        ), counted AS (
            INSERT INTO ingest.pruned_counts (tenant, name, number)
            SELECT :tenant, name, count(*) FROM gone WHERE name IS NOT NULL GROUP BY name
            ON CONFLICT (tenant, name) DO UPDATE SET number = pruned_counts.number + excluded.number
        )
        SELECT count(*) FROM gone
    """  # noqa: S608 - the table above
    values = {"tenant": tenant, "before": before, "limit": limit}
    return int(run(session, query, values)[0][0])


def tenant(session: Session, name: str) -> TenantRow | None:
    """What is declared of a tenant; locked."""
    return session.get(TenantRow, name, with_for_update=True)


def tenants(session: Session) -> list[TenantRow]:
    """All that is declared."""
    return list(session.exec(select(TenantRow).order_by(col(TenantRow.tenant))))


def put_tenant(session: Session, row: TenantRow) -> None:
    """Insert or replace."""
    session.merge(row)
