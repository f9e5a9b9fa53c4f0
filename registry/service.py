"""From a trained candidate to a judged version: one use case per function, one transaction each.

Every transaction that changes something appends to the audit log and leaves its messages in the outbox. Everything a
stream delivers is keyed by digests, so a second delivery changes nothing. What is refused for good is audited too.
People's decisions are decisions.py; moving the champion is promotion.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from infra.database import Database
from infra.outbox import add_command, add_message
from matrix.alignment.dimensions import Matrix
from matrix.digests import digest_bytes
from matrix.errors import (
    ArtifactCorrupt,
    IllegalTransition,
    InvalidInput,
    NotFound,
    Permanent,
)
from matrix.messages.gate import GateReport, RouteChanged, Verdict
from matrix.messages.run import CandidateEvaluated, CandidateTrained, Evaluation
from matrix.ports import Clock, ObjectStore
from matrix.topics import ROUTE_CHANGED
from registry import repository
from registry.gate.rules import judge
from registry.serving import NamedServer
from registry.tables import GateReportRow, VersionRow

log = logging.getLogger(__name__)

STAGE = "registry"
EVALUATE = "trainer.evaluate_adapter"
CHAMPION, CANDIDATE, PREVIOUS, ANCHOR = "champion", "candidate", "previous", "anchor"
SYSTEM = "system:registry"
STATUS_OF = {
    Verdict.PASS: "gate_passed",
    Verdict.FAIL: "gate_failed",
    Verdict.INCONCLUSIVE: "gate_inconclusive",
    Verdict.INVALID: "gate_invalid",
}


@dataclass(frozen=True, slots=True)
class Registry:
    """What the use cases need from outside."""

    database: Database
    objects: ObjectStore
    matrix: Matrix
    clock: Clock
    servers: tuple[NamedServer, ...] = ()
    probe_tolerance: float = 0.02
    gate_prompts: Callable[[], str] = field(default=lambda: "")  # uri of the gate's prompts, as of now
    wake: Callable[[], None] = field(default=lambda: None)  # the outbox relay, after a commit


@contextmanager
def change(registry: Registry) -> Iterator[Session]:
    """One transaction; the relay is told once it has committed."""
    with registry.database.unit_of_work() as session:
        yield session
    registry.wake()


@contextmanager
def refusals_audited(registry: Registry, *, actor: str, action: str, subject: str) -> Iterator[None]:
    """What is refused for good leaves an entry too, in a transaction of its own: nothing else of it was kept."""
    try:
        yield
    except Permanent as error:
        detail = {"error": type(error).__name__, "reason": str(error)[:500]}
        with registry.database.unit_of_work() as session:
            audit(registry, session, actor=actor, action=f"{action}.refused", subject=subject, detail=detail)
        raise


def audit(
    registry: Registry, session: Session, *, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> None:
    """Append to the log in this transaction; last, since it waits for other writers of the log."""
    repository.append_audit(
        session, at=registry.clock.now(), actor=actor, action=action, subject=subject, detail=detail
    )


def announce_route(registry: Registry, session: Session, version: VersionRow) -> None:
    """Tell gateways where policy@champion leads."""
    route = RouteChanged(
        policy=version.policy,
        alias=CHAMPION,
        version=version.number,
        served_name=version.name,
        adapter_digest=version.adapter_digest,
        at=registry.clock.now(),
    )
    add_message(session, STAGE, ROUTE_CHANGED, f"{version.policy}@{CHAMPION}", route)


def register_policy(
    registry: Registry, *, policy: str, base_digest: str, base_uri: str, served_name: str, actor: str
) -> None:
    """Version 0, the base model, becomes champion and frozen anchor. Again with the same bytes: nothing changes."""
    with refusals_audited(registry, actor=actor, action="policy.register", subject=policy), change(registry) as session:
        repository.lock_policy(session, policy)
        present = repository.versions(session, policy)
        if present:
            if (present[0].adapter_digest, present[0].name) != (base_digest, served_name):
                raise IllegalTransition(what=f"policy {policy}", current="registered", wanted="on another base model")
            return
        base = VersionRow.model_validate(
            {
                "policy": policy,
                "number": 0,
                "name": served_name,
                "adapter_digest": base_digest,
                "adapter_uri": "",
                "run_id": "",
                "author": actor,
                "snapshot_uri": "",
                "snapshot_sha256": "",
                "recipe_sha256": "",
                "status": "base",
                "created_at": registry.clock.now(),
            }
        )
        session.add(base)
        for alias in (CHAMPION, ANCHOR):
            repository.point(session, policy, alias, 0, registry.clock.now())
        announce_route(registry, session, base)
        audit(
            registry,
            session,
            actor=actor,
            action="policy.registered",
            subject=policy,
            detail={"base_digest": base_digest, "base_uri": base_uri, "served_name": served_name},
        )


def take_candidate(registry: Registry, trained: CandidateTrained) -> None:
    """A version, the alias candidate, and the command to evaluate it. A version that exists is left as it is."""
    subject = f"{trained.policy}@{trained.adapter_digest[:12]}"
    with refusals_audited(registry, actor=SYSTEM, action="candidate.take", subject=subject):
        prompts_uri = registry.gate_prompts()
        with change(registry) as session:
            repository.lock_policy(session, trained.policy)
            repository.aliased(session, trained.policy, CHAMPION)  # NotFound: no such policy is registered
            if repository.version_of_digest(session, trained.policy, trained.adapter_digest):
                return
            row = _version_of(registry, trained, repository.next_number(session, trained.policy))
            session.add(row)
            session.flush()
            repository.point(session, trained.policy, CANDIDATE, row.number, registry.clock.now())
            _ask_for_evaluation(session, row, prompts_uri)
            audit(
                registry,
                session,
                actor=SYSTEM,
                action="version.registered",
                subject=f"{row.policy}/{row.number}",
                detail={"adapter_digest": row.adapter_digest, "run_id": row.run_id, "author": row.author},
            )


def _version_of(registry: Registry, trained: CandidateTrained, number: int) -> VersionRow:
    return VersionRow.model_validate(
        {
            "policy": trained.policy,
            "number": number,
            "name": trained.adapter_name,
            "adapter_digest": trained.adapter_digest,
            "adapter_uri": trained.adapter_uri,
            "run_id": trained.run_id,
            "author": trained.author,
            "snapshot_uri": trained.snapshot_uri,
            "snapshot_sha256": trained.snapshot_sha256,
            "recipe_sha256": trained.recipe_sha256,
            "status": "evaluating",
            "created_at": registry.clock.now(),
        }
    )


def evaluate_again(registry: Registry, *, policy: str, number: int, actor: str) -> None:
    """Ask for an evaluation against today's champion; needed once the champion has moved."""
    subject = f"{policy}/{number}"
    with refusals_audited(registry, actor=actor, action="evaluation.request", subject=subject):
        prompts_uri = registry.gate_prompts()
        with change(registry) as session:
            repository.lock_policy(session, policy)
            row = repository.version(session, policy, number)
            if not row.adapter_uri:
                raise IllegalTransition(what=f"version {subject}", current="the base model", wanted="evaluated")
            _ask_for_evaluation(session, row, prompts_uri)
            audit(registry, session, actor=actor, action="evaluation.requested", subject=subject, detail={})


def _ask_for_evaluation(session: Session, row: VersionRow, prompts_uri: str) -> None:
    champion = repository.aliased(session, row.policy, CHAMPION)
    anchor = repository.aliased(session, row.policy, ANCHOR)
    arguments = {
        "policy": row.policy,
        "candidate_uri": row.adapter_uri,
        "candidate_digest": row.adapter_digest,
        "champion_uri": champion.adapter_uri,
        "champion_digest": champion.adapter_digest,
        "anchor_uri": anchor.adapter_uri,
        "anchor_digest": anchor.adapter_digest,
        "gate_prompts_uri": prompts_uri,
        "snapshot_uri": row.snapshot_uri,
    }
    add_command(session, STAGE, EVALUATE, arguments)


def take_evaluation(registry: Registry, evaluated: CandidateEvaluated) -> None:
    """Judge the numbers and keep the report; the same report twice is one."""
    subject = f"{evaluated.policy}@{evaluated.candidate[:12]}"
    with refusals_audited(registry, actor=SYSTEM, action="evaluation.take", subject=subject):
        evaluation = load_evaluation(registry.objects, evaluated)
        report = judge(evaluation, registry.matrix)
        with change(registry) as session:
            repository.lock_policy(session, report.policy)
            row = repository.version_of_digest(session, report.policy, report.candidate)
            if row is None:
                raise NotFound(what="version", name=subject)
            if repository.report_exists(session, report.digest()):
                return
            session.add(_report_row(registry, session, row, report, evaluated, evaluation))
            if row.status not in ("promoted", "rolled_back"):
                row.status = STATUS_OF[report.verdict]
            audit(
                registry,
                session,
                actor=SYSTEM,
                action="gate.judged",
                subject=f"{row.policy}/{row.number}",
                detail={
                    "report_digest": report.digest(),
                    "verdict": report.verdict.value,
                    "failed_cells": list(report.failed_cells()),
                },
            )


def load_evaluation(objects: ObjectStore, evaluated: CandidateEvaluated) -> Evaluation:
    """The numbers, if their bytes and subject are what the message says."""
    content = objects.read(evaluated.evaluation_uri)
    if (found := digest_bytes(content)) != evaluated.evaluation_sha256:
        raise ArtifactCorrupt(evaluated.evaluation_uri, expected=evaluated.evaluation_sha256, found=found)
    evaluation = parse_evaluation(content, source=evaluated.evaluation_uri)
    if (evaluation.policy, evaluation.candidate) != (evaluated.policy, evaluated.candidate):
        raise InvalidInput(field="candidate", value=evaluation.candidate, remedy=f"numbers of {evaluated.candidate}")
    return evaluation


def parse_evaluation(content: bytes, *, source: str) -> Evaluation:
    """InvalidInput names the first field that is not an evaluation's."""
    try:
        return Evaluation.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidInput(field=f"{source}: {where}", value=first.get("input"), remedy=first["msg"]) from error


def _report_row(
    registry: Registry,
    session: Session,
    row: VersionRow,
    report: GateReport,
    evaluated: CandidateEvaluated,
    evaluation: Evaluation,
) -> GateReportRow:
    return GateReportRow.model_validate(
        {
            "report_digest": report.digest(),
            "sequence": repository.next_report_sequence(session, row.policy),
            "policy": row.policy,
            "number": row.number,
            "adapter_digest": row.adapter_digest,
            "champion_digest": report.champion,
            "verdict": report.verdict.value,
            "evaluation_uri": evaluated.evaluation_uri,
            "evaluation_sha256": evaluated.evaluation_sha256,
            "report": report.model_dump(mode="json"),
            "probe": evaluation.probe.model_dump(mode="json"),
            "judged_at": registry.clock.now(),
        }
    )
