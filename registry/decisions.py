"""A promotion that is asked for, and what people say to it: one use case per function, one transaction each.

A request names digests (registry/approvals.py says why). It is refused unless the report that stands passed against
today's champion, by today's matrix and knowledge and on today's gate prompts, and closed for good once any of that is
another.
A rejection is final for the bytes on that report, whoever asks and however often: other requests for the same are
closed with it and new ones refused. A new report opens the question again.
"""

from __future__ import annotations

import uuid

from sqlmodel import Session

from matrix.errors import ApprovalVoid, GateNotPassed, IllegalTransition
from matrix.messages.gate import GateReport, Verdict
from registry import approvals, repository
from registry.approvals import Binding, Decision, Request, RequestStatus, Word
from registry.service import CHAMPION, Registry, audit, change, refusals_audited
from registry.tables import PromotionRequestRow, VersionRow


def request_promotion(registry: Registry, *, policy: str, number: int, reason: str, actor: str) -> str:
    """A request that names what would be promoted; returns its id. GateNotPassed unless today's gate passed it."""
    subject = f"{policy}/{number}"
    with (
        refusals_audited(registry, actor=actor, action="promotion.request", subject=subject),
        change(registry) as session,
    ):
        repository.lock_policy(session, policy)
        row = repository.version(session, policy, number)
        binding = _passed_binding(registry, session, row)
        if repository.was_rejected(session, policy, binding):
            what = f"version {subject} on report {binding.report_digest[:12]}"
            raise IllegalTransition(what=what, current=RequestStatus.REJECTED, wanted="asked for again")
        request_id = str(uuid.uuid4())
        fields = {
            "request_id": request_id,
            "policy": policy,
            "number": number,
            "requester": actor,
            "author": row.author,
            "reason": reason,
            "approvals_needed": registry.matrix.approvals(),
            "status": RequestStatus.OPEN.value,
            "created_at": registry.clock.now(),
        }
        session.add(PromotionRequestRow.model_validate(fields | binding.model_dump()))
        detail = {"request_id": request_id, "reason": reason} | binding.model_dump()
        audit(registry, session, actor=actor, action="promotion.requested", subject=subject, detail=detail)
    return request_id


def _passed_binding(registry: Registry, session: Session, row: VersionRow) -> Binding:
    shown = f"{row.policy}/{row.number}"
    champion = repository.aliased(session, row.policy, CHAMPION)
    if champion.number == row.number:
        raise IllegalTransition(what=f"version {shown}", current="champion", wanted="promoted again")
    found = repository.newest_report(session, row.policy, row.adapter_digest)
    if found is None:
        raise GateNotPassed(version=shown, verdict="none yet")
    report = GateReport.model_validate(found.report)
    if report.verdict is not Verdict.PASS:
        raise GateNotPassed(version=shown, verdict=report.verdict, cells=report.failed_cells())
    if report.champion != champion.adapter_digest:
        raise GateNotPassed(version=shown, verdict="against a champion that has moved since; evaluate it again")
    binding = current_binding(registry, session, row)
    if report.matrix_sha256 != binding.matrix_sha256:
        raise GateNotPassed(version=shown, verdict="by another matrix than today's; evaluate it again")
    if report.prompts_sha256 != binding.prompts_sha256:
        raise GateNotPassed(version=shown, verdict="on other gate prompts than today's; evaluate it again")
    if report.knowledge_sha256 != binding.knowledge_sha256:
        raise GateNotPassed(version=shown, verdict="with other knowledge than today's; evaluate it again")
    return binding


def current_binding(registry: Registry, session: Session, row: VersionRow) -> Binding:
    """What a promotion of this version would rest on now."""
    found = repository.newest_report(session, row.policy, row.adapter_digest)
    return Binding(
        adapter_digest=row.adapter_digest,
        report_digest=found.report_digest if found else "",
        route=f"{row.policy}@{CHAMPION}",
        champion_digest=repository.aliased(session, row.policy, CHAMPION).adapter_digest,
        matrix_sha256=registry.matrix.digest(),
        prompts_sha256=registry.gate_prompts().sha256,
        knowledge_sha256=registry.knowledge_sha256,
    )


def decide(registry: Registry, *, request_id: str, word: Word, reason: str, actor: str) -> Request:
    """One person's word on a request; ApprovalRefused, ApprovalVoid or IllegalTransition where it does not count."""
    with refusals_audited(registry, actor=actor, action=f"promotion.{word}", subject=request_id):
        void_if_changed(registry, request_id, actor=actor)
        with change(registry) as session:
            named, _ = repository.request(session, request_id)
            repository.lock_policy(session, named.policy)  # before the row, as a promotion takes them
            row, request = repository.request(session, request_id, lock=True)
            binding = current_binding(registry, session, repository.version(session, row.policy, row.number))
            decision = Decision(actor=actor, word=word, reason=reason, binding=binding)
            decided = approvals.decide(request, decision)
            repository.add_decision(session, request_id, decision, registry.clock.now())
            row.status = decided.status.value
            detail = {"request_id": request_id, "reason": reason, "status": decided.status} | binding.model_dump()
            if decided.status is RequestStatus.REJECTED:
                detail["rejected_requests"] = _reject_others(session, row)
            subject = f"{row.policy}/{row.number}"
            action = "promotion.approved" if word == "approve" else "promotion.rejected"
            audit(registry, session, actor=actor, action=action, subject=subject, detail=detail)
    return decided


def _reject_others(session: Session, rejected: PromotionRequestRow) -> list[str]:
    """Ids of the other open requests for the same bytes on the same report."""
    others = [
        row
        for row in repository.open_requests(session, rejected.policy)
        if row.request_id != rejected.request_id
        and (row.adapter_digest, row.report_digest) == (rejected.adapter_digest, rejected.report_digest)
    ]
    for row in others:
        row.status = RequestStatus.REJECTED.value
    return sorted(row.request_id for row in others)


def void_if_changed(registry: Registry, request_id: str, *, actor: str) -> None:
    """A request whose ground has moved is closed for good, in a transaction that the refusal does not undo."""
    with change(registry) as session:
        row, request = repository.request(session, request_id, lock=True)
        if request.status not in (RequestStatus.OPEN, RequestStatus.APPROVED):
            return
        current = current_binding(registry, session, repository.version(session, row.policy, row.number))
        if current != request.binding:
            row.status = RequestStatus.VOID.value
            detail = {"request_id": request_id, "named": request.binding.model_dump(), "now": current.model_dump()}
            audit(registry, session, actor=actor, action="promotion.voided", subject=row.policy, detail=detail)
    if row.status == RequestStatus.VOID.value:
        approvals.ensure_same(request, current)
        raise ApprovalVoid(request_id=request_id, reason="something it named has changed")
