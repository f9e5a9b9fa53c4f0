"""What people and programs are shown; reads only."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from matrix.errors import NotFound
from matrix.messages.gate import GateReport
from registry import repository
from registry.approvals import Request
from registry.audit import first_break
from registry.gate.report import summary
from registry.service import Registry
from registry.tables import GateReportRow, PromotionRequestRow, VersionRow


def versions(registry: Registry, policy: str) -> dict[str, Any]:
    """Every version with its verdict, and the aliases; NotFound for a policy without versions."""
    with registry.database.unit_of_work() as session:
        rows, reports = repository.versions(session, policy), repository.newest_reports(session, policy)
        found = {"aliases": repository.aliases(session, policy)}
    if not rows:
        raise NotFound(what="policy", name=policy)
    return found | {"versions": [_version(row, reports.get(row.adapter_digest)) for row in rows]}


def aliases(registry: Registry, policy: str) -> dict[str, Any]:
    """Alias -> version and digest."""
    with registry.database.unit_of_work() as session:
        found = {alias: repository.aliased(session, policy, alias) for alias in repository.aliases(session, policy)}
    if not found:
        raise NotFound(what="policy", name=policy)
    return {
        alias: {"version": row.number, "name": row.name, "adapter_digest": row.adapter_digest}
        for alias, row in found.items()
    }


def version(registry: Registry, policy: str, number: int) -> dict[str, Any]:
    """One version, with its whole gate report or null."""
    with registry.database.unit_of_work() as session:
        row, found = _with_report(session, policy, number)
    return _version(row, found) | {"gate_report": found.report if found else None}


def gate_report(registry: Registry, policy: str, number: int) -> dict[str, Any]:
    """The report that stands, with its digest and what the policy wrote; NotFound where there is none yet."""
    with registry.database.unit_of_work() as session:
        row, found = _with_report(session, policy, number)
    if found is None:
        raise NotFound(what="gate report of version", name=f"{policy}/{row.number}")
    return found.report | {
        "report_digest": found.report_digest,
        "evaluation_uri": found.evaluation_uri,
        "failed_cells": list(GateReport.model_validate(found.report).failed_cells()),
        "judged_at": found.judged_at.isoformat(),
    }


def requests(registry: Registry, policy: str | None) -> list[dict[str, Any]]:
    """Promotion requests with their decisions, newest first."""
    with registry.database.unit_of_work() as session:
        return [_request(row, value) for row, value in repository.requests(session, policy)]


def request(registry: Registry, request_id: str) -> dict[str, Any]:
    """One request; NotFound where there is none."""
    with registry.database.unit_of_work() as session:
        return _request(*repository.request(session, request_id))


def audit_log(registry: Registry, *, limit: int | None) -> dict[str, Any]:
    """The newest entries in order, and whether the whole chain holds."""
    with registry.database.unit_of_work() as session:
        entries = repository.audit_entries(session)
    broken = first_break(entries)
    shown = entries[-limit:] if limit else entries
    return {
        "entries": [entry.model_dump(mode="json") for entry in shown],
        "count": len(entries),
        "chain": "intact" if broken is None else f"broken at entry {broken}",
    }


def _with_report(session: Session, policy: str, number: int) -> tuple[VersionRow, GateReportRow | None]:
    row = repository.version(session, policy, number)
    return row, repository.newest_report(session, policy, row.adapter_digest)


def _version(row: VersionRow, found: GateReportRow | None) -> dict[str, Any]:
    return {
        "policy": row.policy,
        "version": row.number,
        "name": row.name,
        "adapter_digest": row.adapter_digest,
        "adapter_uri": row.adapter_uri,
        "run_id": row.run_id,
        "author": row.author,
        "status": row.status,
        "gate": summary(GateReport.model_validate(found.report)) if found else None,
        "created_at": row.created_at.isoformat(),
    }


def _request(row: PromotionRequestRow, value: Request) -> dict[str, Any]:
    return {
        "request_id": row.request_id,
        "policy": row.policy,
        "version": row.number,
        "status": row.status,
        "requester": row.requester,
        "author": row.author,
        "reason": row.reason,
        "approvals_needed": row.approvals_needed,
        "approvers": [one.actor for one in value.decisions if one.word == "approve"],
        "decisions": [{"actor": one.actor, "decision": one.word, "reason": one.reason} for one in value.decisions],
        "created_at": row.created_at.isoformat(),
    } | value.binding.model_dump()
