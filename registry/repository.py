"""The registry's only queries. Every function takes the session of a unit of work; none commits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from matrix.errors import NotFound
from matrix.messages.gate import Verdict
from registry.approvals import Binding, Decision, Request, RequestStatus
from registry.audit import Entry, chained
from registry.tables import (
    AliasRow,
    AuditRow,
    DecisionRow,
    EvaluationRequestRow,
    GateReportRow,
    PromotionRequestRow,
    PromotionRow,
    VersionRow,
)

AUDIT_LOCK = 0x61756469  # PostgreSQL's advisory locks are numbers; these are this file's
POLICY_LOCK = 0x706F6C69


def lock_policy(session: Session, policy: str) -> None:
    """One change of a policy's versions or aliases at a time, until the transaction ends."""
    session.connection().execute(
        text("SELECT pg_advisory_xact_lock(:space, hashtext(:policy))"), {"space": POLICY_LOCK, "policy": policy}
    )


def version(session: Session, policy: str, number: int) -> VersionRow:
    """NotFound where there is none."""
    row = session.get(VersionRow, (policy, number))
    if row is None:
        raise NotFound(what="version", name=f"{policy}/{number}")
    return row


def version_of_digest(session: Session, policy: str, digest: str) -> VersionRow | None:
    """The version with these bytes."""
    query = select(VersionRow).where(VersionRow.policy == policy, VersionRow.adapter_digest == digest)
    return session.exec(query).one_or_none()


def versions(session: Session, policy: str) -> Sequence[VersionRow]:
    """In order of number."""
    return session.exec(select(VersionRow).where(VersionRow.policy == policy).order_by(col(VersionRow.number))).all()


def next_number(session: Session, policy: str) -> int:
    """Only under lock_policy."""
    newest = session.exec(select(func.max(VersionRow.number)).where(VersionRow.policy == policy)).one()
    return 0 if newest is None else newest + 1


def aliases(session: Session, policy: str) -> dict[str, int]:
    """Alias -> number of the version."""
    rows = session.exec(select(AliasRow).where(AliasRow.policy == policy).order_by(col(AliasRow.alias))).all()
    return {row.alias: row.number for row in rows}


def aliased(session: Session, policy: str, alias: str) -> VersionRow:
    """The version that an alias points at; NotFound where it points nowhere."""
    row = session.get(AliasRow, (policy, alias), populate_existing=True)
    if row is None:
        raise NotFound(what="alias", name=f"{policy}@{alias}")
    return version(session, policy, row.number)


def adapters_under(session: Session, names: Sequence[str]) -> list[tuple[str, VersionRow]]:
    """Alias and version of every policy, where one of these aliases names an adapter; by alias, then policy."""
    query = (
        select(AliasRow.alias, VersionRow)
        .where(col(AliasRow.alias).in_(names), VersionRow.adapter_uri != "")
        .where(AliasRow.policy == VersionRow.policy, AliasRow.number == VersionRow.number)
        .order_by(col(AliasRow.alias), col(AliasRow.policy))
    )
    return [(alias, row) for alias, row in session.exec(query).all()]


def point(session: Session, policy: str, alias: str, number: int | None, at: datetime) -> None:
    """Move an alias, or take it away; only under lock_policy."""
    row = session.get(AliasRow, (policy, alias), populate_existing=True)
    if number is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(AliasRow.model_validate({"policy": policy, "alias": alias, "number": number, "moved_at": at}))
    else:
        row.number, row.moved_at = number, at


def newest_report(
    session: Session, policy: str, digest: str, *, verdict: Verdict | None = None
) -> GateReportRow | None:
    """The report that stands for these bytes; or the newest of its reports with a verdict."""
    query = select(GateReportRow).where(GateReportRow.policy == policy, GateReportRow.adapter_digest == digest)
    if verdict is not None:
        query = query.where(GateReportRow.verdict == verdict.value)
    return session.exec(query.order_by(col(GateReportRow.sequence).desc()).limit(1)).one_or_none()


def newest_reports(session: Session, policy: str) -> dict[str, GateReportRow]:
    """Adapter digest -> the report that stands."""
    query = select(GateReportRow).where(GateReportRow.policy == policy).order_by(col(GateReportRow.sequence))
    return {row.adapter_digest: row for row in session.exec(query).all()}


def report(session: Session, report_digest: str) -> GateReportRow | None:
    """This very report, if it is stored."""
    return session.get(GateReportRow, report_digest)


def was_judged(session: Session, policy: str, evaluation_sha256: str) -> bool:
    """Whether there is a report on these very numbers, by whatever matrix."""
    query = select(GateReportRow.report_digest).where(
        GateReportRow.policy == policy, GateReportRow.evaluation_sha256 == evaluation_sha256
    )
    return session.exec(query.limit(1)).first() is not None


def judged_evaluations(session: Session, policy: str, digest: str) -> dict[str, str]:
    """Uri -> sha256 of the numbers on these bytes that were judged, the latest judged first."""
    query = select(GateReportRow).where(GateReportRow.policy == policy, GateReportRow.adapter_digest == digest)
    rows = session.exec(query.order_by(col(GateReportRow.sequence).desc())).all()
    return {row.evaluation_uri: row.evaluation_sha256 for row in rows}


def evaluation_requests(session: Session, policy: str, number: int) -> Sequence[EvaluationRequestRow]:
    """What was asked for on a version, newest first."""
    query = select(EvaluationRequestRow).where(
        EvaluationRequestRow.policy == policy, EvaluationRequestRow.number == number
    )
    return session.exec(query.order_by(col(EvaluationRequestRow.sequence).desc())).all()


def next_report_sequence(session: Session, policy: str) -> int:
    """Only under lock_policy."""
    query = select(func.max(GateReportRow.sequence)).where(GateReportRow.policy == policy)
    return (session.exec(query).one() or 0) + 1


def request(session: Session, request_id: str, *, lock: bool = False) -> tuple[PromotionRequestRow, Request]:
    """The row and the value with its decisions; NotFound where there is none."""
    row = session.get(PromotionRequestRow, request_id, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise NotFound(what="promotion request", name=request_id)
    return row, _request_of(session, row)


def requests(session: Session, policy: str | None = None) -> list[tuple[PromotionRequestRow, Request]]:
    """Newest first."""
    query = select(PromotionRequestRow).order_by(
        col(PromotionRequestRow.created_at).desc(), col(PromotionRequestRow.request_id).desc()
    )
    if policy is not None:
        query = query.where(PromotionRequestRow.policy == policy)
    return [(row, _request_of(session, row)) for row in session.exec(query).all()]


def was_rejected(session: Session, policy: str, binding: Binding) -> bool:
    """Whether somebody rejected these bytes on this report."""
    query = select(PromotionRequestRow.request_id).where(
        PromotionRequestRow.policy == policy,
        PromotionRequestRow.adapter_digest == binding.adapter_digest,
        PromotionRequestRow.report_digest == binding.report_digest,
        PromotionRequestRow.status == RequestStatus.REJECTED.value,
    )
    return session.exec(query.limit(1)).first() is not None


def open_requests(session: Session, policy: str) -> Sequence[PromotionRequestRow]:
    """Those that could still be promoted, locked."""
    query = select(PromotionRequestRow).where(
        PromotionRequestRow.policy == policy,
        col(PromotionRequestRow.status).in_([RequestStatus.OPEN, RequestStatus.APPROVED]),
    )
    return session.exec(query.with_for_update()).all()


def binding_of(row: PromotionRequestRow | DecisionRow) -> Binding:
    """The digests that a row names."""
    return Binding(
        adapter_digest=row.adapter_digest,
        report_digest=row.report_digest,
        route=row.route,
        champion_digest=row.champion_digest,
        matrix_sha256=row.matrix_sha256,
        prompts_sha256=row.prompts_sha256,
        knowledge_sha256=row.knowledge_sha256,
    )


def _request_of(session: Session, row: PromotionRequestRow) -> Request:
    query = select(DecisionRow).where(DecisionRow.request_id == row.request_id)
    decisions = session.exec(query.order_by(col(DecisionRow.decided_at), col(DecisionRow.actor))).all()
    return Request(
        request_id=row.request_id,
        requester=row.requester,
        author=row.author,
        approvals_needed=row.approvals_needed,
        binding=binding_of(row),
        status=RequestStatus(row.status),
        decisions=tuple(
            Decision.model_validate(
                {"actor": one.actor, "word": one.word, "reason": one.reason, "binding": binding_of(one)}
            )
            for one in decisions
        ),
    )


def add_decision(session: Session, request_id: str, decision: Decision, at: datetime) -> None:
    """One per person and request: the key refuses a second."""
    row = {"request_id": request_id, "actor": decision.actor, "word": decision.word, "reason": decision.reason}
    session.add(DecisionRow.model_validate(row | decision.binding.model_dump() | {"decided_at": at}))


def promotion(session: Session, promotion_id: str) -> PromotionRow | None:
    """The move of this id, if it happened."""
    return session.get(PromotionRow, promotion_id)


def newest_promotion(session: Session, policy: str) -> PromotionRow | None:
    """The last move of the champion, forward or back."""
    query = select(PromotionRow).where(PromotionRow.policy == policy).order_by(col(PromotionRow.sequence).desc())
    return session.exec(query.limit(1)).one_or_none()


def promotion_that_served(session: Session, policy: str, number: int) -> PromotionRow | None:
    """The newest promotion of a version: what it replaced is what was served before it."""
    query = select(PromotionRow).where(
        PromotionRow.policy == policy, PromotionRow.number == number, PromotionRow.action == "promote"
    )
    return session.exec(query.order_by(col(PromotionRow.sequence).desc()).limit(1)).one_or_none()


def next_promotion_sequence(session: Session, policy: str) -> int:
    """Only under lock_policy."""
    query = select(func.max(PromotionRow.sequence)).where(PromotionRow.policy == policy)
    return (session.exec(query).one() or 0) + 1


def append_audit(
    session: Session, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> Entry:
    """The next entry of the chain; one transaction at a time, so call it last."""
    session.connection().execute(text("SELECT pg_advisory_xact_lock(:space, 0)"), {"space": AUDIT_LOCK})
    newest = session.exec(select(AuditRow).order_by(col(AuditRow.number).desc()).limit(1)).one_or_none()
    previous = Entry.model_validate(newest.model_dump()) if newest else None
    entry = chained(previous, at=at, actor=actor, action=action, subject=subject, detail=detail)
    session.add(AuditRow.model_validate(entry.model_dump()))
    session.flush()
    return entry


def audit_entries(session: Session, *, limit: int | None = None) -> list[Entry]:
    """In order; the newest `limit` of them."""
    query = select(AuditRow).order_by(col(AuditRow.number).desc())
    rows = session.exec(query.limit(limit) if limit else query).all()
    return [Entry.model_validate(row.model_dump()) for row in reversed(rows)]
