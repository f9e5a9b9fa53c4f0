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
from registry.gate.rules import Asked, judge
from registry.serving import NamedServer
from registry.tables import EvaluationRequestRow, GateReportRow, VersionRow

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
class GatePrompts:
    """The gate's prompts in the object store, and the digest of their bytes."""

    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Registry:
    """What the use cases need from outside."""

    database: Database
    objects: ObjectStore
    matrix: Matrix
    clock: Clock
    knowledge_sha256: str  # of what the scorers know, as of the process's start
    servers: tuple[NamedServer, ...] = ()
    probe_tolerance: float = 0.02
    gate_prompts: Callable[[], GatePrompts] = field(default=lambda: GatePrompts("", ""))  # as of now
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
        prompts = registry.gate_prompts()
        with change(registry) as session:
            repository.lock_policy(session, trained.policy)
            repository.aliased(session, trained.policy, CHAMPION)  # NotFound: no such policy is registered
            if repository.version_of_digest(session, trained.policy, trained.adapter_digest):
                return
            row = _version_of(registry, trained, repository.next_number(session, trained.policy))
            session.add(row)
            session.flush()
            repository.point(session, trained.policy, CANDIDATE, row.number, registry.clock.now())
            _ask_for_evaluation(registry, session, row, prompts)
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
    """Ask for an evaluation against today's champion, on today's prompts, by today's matrix and knowledge.

    The trainer answers a question once: numbers that are stored and answer this one are judged here and now.
    """
    subject = f"{policy}/{number}"
    with refusals_audited(registry, actor=actor, action="evaluation.request", subject=subject):
        prompts = registry.gate_prompts()
        with change(registry) as session:
            repository.lock_policy(session, policy)
            row = repository.version(session, policy, number)
            if not row.adapter_uri:
                raise IllegalTransition(what=f"version {subject}", current="the base model", wanted="evaluated")
            asked = _ask_for_evaluation(registry, session, row, prompts)
            audit(registry, session, actor=actor, action="evaluation.requested", subject=subject, detail={})
            for uri, sha256 in repository.judged_evaluations(session, policy, row.adapter_digest).items():
                evaluation = read_evaluation(registry.objects, uri, sha256)
                if asked == _asked_of(evaluation) and evaluation.matrix_sha256 == registry.matrix.digest():
                    _judge(registry, session, row, _Numbers(uri, sha256, evaluation), asked)
                    break


def _ask_for_evaluation(registry: Registry, session: Session, row: VersionRow, prompts: GatePrompts) -> Asked:
    """The command, and what its answer will be held to."""
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
        "gate_prompts_uri": prompts.uri,
        "snapshot_uri": row.snapshot_uri,
    }
    add_command(session, STAGE, EVALUATE, arguments)
    asked = {
        "policy": row.policy,
        "number": row.number,
        "sequence": len(repository.evaluation_requests(session, row.policy, row.number)) + 1,
        "adapter_digest": row.adapter_digest,
        "champion_digest": champion.adapter_digest,
        "anchor_digest": anchor.adapter_digest,
        "prompts_uri": prompts.uri,
        "prompts_sha256": prompts.sha256,
        "knowledge_sha256": registry.knowledge_sha256,
        "snapshot_uri": row.snapshot_uri,
        "asked_at": registry.clock.now(),
    }
    stored = EvaluationRequestRow.model_validate(asked)
    session.add(stored)
    session.flush()
    return _asked_in(stored)


def _asked_in(row: EvaluationRequestRow) -> Asked:
    return Asked(
        champion=row.champion_digest,
        anchor=row.anchor_digest,
        prompts_sha256=row.prompts_sha256,
        knowledge_sha256=row.knowledge_sha256,
    )


def _asked_of(evaluation: Evaluation) -> Asked:
    return Asked.model_validate(evaluation.model_dump(include=set(Asked.model_fields)))


@dataclass(frozen=True, slots=True)
class _Numbers:
    uri: str
    sha256: str
    evaluation: Evaluation


def take_evaluation(registry: Registry, evaluated: CandidateEvaluated) -> None:
    """Judge the numbers and keep the report. Numbers that were judged before, by whatever matrix, change nothing.

    They are held to what was asked for last; the late answer to an earlier question is left aside.
    """
    subject = f"{evaluated.policy}@{evaluated.candidate[:12]}"
    with refusals_audited(registry, actor=SYSTEM, action="evaluation.take", subject=subject):
        evaluation = load_evaluation(registry.objects, evaluated)
        with change(registry) as session:
            repository.lock_policy(session, evaluated.policy)
            row = repository.version_of_digest(session, evaluated.policy, evaluated.candidate)
            if row is None:
                raise NotFound(what="version", name=subject)
            if repository.was_judged(session, evaluated.policy, evaluated.evaluation_sha256):
                return
            requests = repository.evaluation_requests(session, row.policy, row.number)
            if not requests:
                raise NotFound(what="evaluation that was asked for on version", name=f"{row.policy}/{row.number}")
            asked, *before = map(_asked_in, requests)
            if _asked_of(evaluation) != asked and _asked_of(evaluation) in before:
                log.warning("evaluation answers an earlier question", extra={"subject": subject})
                return
            numbers = _Numbers(evaluated.evaluation_uri, evaluated.evaluation_sha256, evaluation)
            _judge(registry, session, row, numbers, asked)


def _judge(registry: Registry, session: Session, row: VersionRow, numbers: _Numbers, asked: Asked) -> None:
    """The report that stands from now on; only under lock_policy."""
    report = judge(numbers.evaluation, registry.matrix, asked)
    sequence = repository.next_report_sequence(session, row.policy)
    present = repository.report(session, report.digest())
    if present is not None:
        present.sequence = sequence
    else:
        session.add(_report_row(registry, row, report, numbers, sequence))
    if row.status not in ("promoted", "rolled_back"):
        row.status = STATUS_OF[report.verdict]
    detail = {
        "report_digest": report.digest(),
        "verdict": report.verdict.value,
        "failed_cells": list(report.failed_cells()),
        "reasons": list(report.reasons) if report.verdict is Verdict.INVALID else [],
    }
    subject = f"{row.policy}/{row.number}"
    audit(registry, session, actor=SYSTEM, action="gate.judged", subject=subject, detail=detail)


def load_evaluation(objects: ObjectStore, evaluated: CandidateEvaluated) -> Evaluation:
    """The numbers, if their bytes and subject are what the message says."""
    evaluation = read_evaluation(objects, evaluated.evaluation_uri, evaluated.evaluation_sha256)
    if (evaluation.policy, evaluation.candidate) != (evaluated.policy, evaluated.candidate):
        raise InvalidInput(field="candidate", value=evaluation.candidate, remedy=f"numbers of {evaluated.candidate}")
    return evaluation


def read_evaluation(objects: ObjectStore, uri: str, sha256: str) -> Evaluation:
    """The numbers of these bytes; ArtifactCorrupt where the object holds others."""
    content = objects.read(uri)
    if (found := digest_bytes(content)) != sha256:
        raise ArtifactCorrupt(uri, expected=sha256, found=found)
    return parse_evaluation(content, source=uri)


def parse_evaluation(content: bytes, *, source: str) -> Evaluation:
    """InvalidInput names the first field that is not an evaluation's."""
    try:
        return Evaluation.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidInput(field=f"{source}: {where}", value=first.get("input"), remedy=first["msg"]) from error


def _report_row(
    registry: Registry, row: VersionRow, report: GateReport, numbers: _Numbers, sequence: int
) -> GateReportRow:
    return GateReportRow.model_validate(
        {
            "report_digest": report.digest(),
            "sequence": sequence,
            "policy": row.policy,
            "number": row.number,
            "adapter_digest": row.adapter_digest,
            "champion_digest": report.champion,
            "verdict": report.verdict.value,
            "evaluation_uri": numbers.uri,
            "evaluation_sha256": numbers.sha256,
            "report": report.model_dump(mode="json"),
            "probe": numbers.evaluation.probe.model_dump(mode="json"),
            "judged_at": registry.clock.now(),
        }
    )
