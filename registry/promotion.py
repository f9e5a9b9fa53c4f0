"""Moving the champion: load on every policy server, prove each, and only then one transaction moves the alias.

The transaction compares again: the alias moves only from the champion that the gate judged against, and only for the
bytes that people approved. What an attempt loaded and did not bring into service is unloaded again, so that nothing of
a failed proof remains but its audit entry; a server that cannot be reached then keeps it, under a name that nothing
routes to. A promotion also unloads what no alias names any more. Both are best effort. A promotion is keyed by its
request, which names policy and digest: asking again answers with what was done, after every server has loaded and
proven it anew where it is still the champion.
Rolling back is one operator's decision, audited and proven alike; it needs no gate, since it restores what was served.
It has no request, so a caller names the version that must go: after a lost answer, asking again does not roll back
twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlmodel import Session

from infra.outbox import add_message
from matrix.errors import ApprovalVoid, IllegalTransition, PlumblineError, ServingNotProven
from matrix.messages.base import Value
from matrix.messages.gate import VersionPromoted
from matrix.messages.run import Probe
from matrix.topics import VERSION_PROMOTED
from registry import approvals, repository
from registry.approvals import RequestStatus
from registry.decisions import current_binding, void_if_changed
from registry.service import CHAMPION, PREVIOUS, STAGE, Registry, announce_route, audit, change, refusals_audited
from registry.serving import NamedServer, Proof, listed_root, load, prove, unload
from registry.tables import PromotionRow, VersionRow
from registry.upkeep import artifact_of, bring_back, passed_probe, take_back

Action = Literal["promote", "rollback"]


class Moved(Value):
    """What a promotion or a rollback did."""

    policy: str
    version: int
    name: str
    adapter_digest: str
    action: Action
    proof: tuple[Proof, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be served in place of what; the version numbers are those of one policy."""

    policy: str
    action: Action
    target: VersionRow
    champion: VersionRow
    probe: Probe


def promote(registry: Registry, *, request_id: str, actor: str) -> Moved:
    """Serve what a request names, once enough people approved it."""
    started = time.monotonic()
    with refusals_audited(registry, actor=actor, action="promotion.promote", subject=request_id):
        with registry.database.unit_of_work() as session:
            done = repository.promotion(session, request_id)
        if done is not None:
            return _again(registry, done)
        void_if_changed(registry, request_id, actor=actor)
        plan = _plan_promotion(registry, request_id)
        with _proven(registry, plan) as proofs, change(registry) as session:
            repository.lock_policy(session, plan.policy)
            done = repository.promotion(session, request_id)
            if done is not None:
                return _moved(done)
            row, request = repository.request(session, request_id, lock=True)
            target = repository.version(session, plan.policy, plan.target.number)
            approvals.ensure_approved(request, current_binding(registry, session, target))
            row.status = RequestStatus.PROMOTED.value
            target.status = "promoted"
            repository.point(session, plan.policy, PREVIOUS, plan.champion.number, registry.clock.now())
            move = _Move(request_id, actor, time.monotonic() - started)
            done = _move(registry, session, plan, proofs, move)
    _unload_unnamed(registry, plan.policy, actor=actor)
    return _moved(done)


def _again(registry: Registry, done: PromotionRow) -> Moved:
    """What was done; where it is still what people are served, every server loads and proves it as of now."""
    with registry.database.unit_of_work() as session:
        champion = repository.aliased(session, done.policy, CHAMPION)
    if champion.number != done.number:
        return _moved(done)
    proofs = [bring_back(registry, one, champion, is_champion=True) for one in registry.servers]
    if not proofs:
        raise ServingNotProven(server="(none)", model=champion.name, reason="no policy server is configured")
    return _moved(done).model_copy(update={"proof": tuple(proof for proof in proofs if proof is not None)})


def _plan_promotion(registry: Registry, request_id: str) -> _Plan:
    with registry.database.unit_of_work() as session:
        row, request = repository.request(session, request_id)
        target = repository.version(session, row.policy, row.number)
        approvals.ensure_approved(request, current_binding(registry, session, target))
        champion = repository.aliased(session, row.policy, CHAMPION)
        probe = passed_probe(session, target)
        if not champion.adapter_uri:  # then it is the base, and its logprobs are there already
            probe = probe.model_copy(update={"champion_logprobs": ()})
        return _Plan(row.policy, "promote", target, champion, probe)


def roll_back(registry: Registry, *, policy: str, reason: str, actor: str, from_version: int | None = None) -> Moved:
    """Serve again what was served before; the version that is left behind stays for people to look at.

    Who names the version that must go may ask twice: the second time answers with what was done. IllegalTransition
    where another one is served.
    """
    started = time.monotonic()
    with refusals_audited(registry, actor=actor, action="rollback", subject=policy):
        if from_version is not None and (past := _left_already(registry, policy, from_version)) is not None:
            return _moved(past)
        plan = _plan_rollback(registry, policy)
        with _proven(registry, plan) as proofs, change(registry) as session:
            repository.lock_policy(session, policy)
            champion = repository.aliased(session, policy, CHAMPION)
            if champion.number != plan.champion.number:
                raise ApprovalVoid(request_id="rollback", reason="the champion moved meanwhile; look, then ask again")
            champion.status = "rolled_back"
            before = repository.promotion_that_served(session, policy, plan.target.number)
            previous = before.from_number if before else None
            repository.point(session, policy, PREVIOUS, previous, registry.clock.now())
            move = _Move(str(uuid.uuid4()), actor, time.monotonic() - started, reason)
            done = _move(registry, session, plan, proofs, move)
    return _moved(done)


def _left_already(registry: Registry, policy: str, from_version: int) -> PromotionRow | None:
    """The rollback that left this version, if it was the last move; None where the version is still served."""
    with registry.database.unit_of_work() as session:
        champion = repository.aliased(session, policy, CHAMPION)
        newest = repository.newest_promotion(session, policy)
    if champion.number == from_version:
        return None
    if newest is not None and (newest.action, newest.from_number) == ("rollback", from_version):
        return newest
    now, wanted = f"on version {champion.number}", f"rolled back from version {from_version}"
    raise IllegalTransition(what=f"policy {policy}", current=now, wanted=wanted)


def _plan_rollback(registry: Registry, policy: str) -> _Plan:
    with registry.database.unit_of_work() as session:
        champion = repository.aliased(session, policy, CHAMPION)
        if PREVIOUS not in repository.aliases(session, policy):
            raise IllegalTransition(what=f"policy {policy}", current="without a previous version", wanted="rolled back")
        target = repository.aliased(session, policy, PREVIOUS)
        # The base model has no probe of its own: it is told apart from the adapter that is left behind.
        probe = passed_probe(session, target if target.adapter_uri else champion)
        # What is left behind need not be the champion that the probe was made beside.
        probe = probe.model_copy(update={"champion_logprobs": ()})
        return _Plan(policy, "rollback", target, champion, probe)


@contextmanager
def _proven(registry: Registry, plan: _Plan) -> Iterator[tuple[Proof, ...]]:
    """Load and prove; whatever then goes wrong inside, what was loaded here does not stay."""
    artifact = artifact_of(registry, plan.target)
    loaded: list[NamedServer] = []
    try:
        load(registry.servers, artifact, loaded)
        yield tuple(prove(one, artifact, plan.probe, tolerance=registry.probe_tolerance) for one in registry.servers)
    except PlumblineError:
        with suppress(PlumblineError):
            take_back(registry, plan.target, loaded)
        raise


def _unload_unnamed(registry: Registry, policy: str, *, actor: str) -> None:
    """Policy servers hold few adapters: those of this policy that no alias names make room."""
    with suppress(PlumblineError), registry.database.unit_of_work() as session:
        repository.lock_policy(session, policy)
        named = set(repository.aliases(session, policy).values())
        versions = repository.versions(session, policy)
        unnamed = {row.name for row in versions if row.adapter_uri and row.number not in named}
        unloaded = {one.address: unload(one, unnamed) for one in registry.servers}
        if any(unloaded.values()):
            audit(registry, session, actor=actor, action="adapters.unloaded", subject=policy, detail=unloaded)


@dataclass(frozen=True, slots=True)
class _Move:
    promotion_id: str
    actor: str
    seconds: float
    reason: str = ""


def _move(registry: Registry, session: Session, plan: _Plan, proofs: tuple[Proof, ...], move: _Move) -> PromotionRow:
    """Alias, record, messages and audit entry; only under lock_policy."""
    now, target = registry.clock.now(), plan.target
    if not proofs:
        raise ServingNotProven(server="(none)", model=target.name, reason="nothing was proven")
    for server in registry.servers:  # another attempt that failed may have unloaded it since the proof
        listed_root(server, target.name)
    closed = _close_other_requests(session, plan.policy, move.promotion_id)
    repository.point(session, plan.policy, CHAMPION, target.number, now)
    proof = {"servers": [one.model_dump(mode="json") for one in proofs]}
    row = PromotionRow.model_validate(
        {
            "promotion_id": move.promotion_id,
            "sequence": repository.next_promotion_sequence(session, plan.policy),
            "policy": plan.policy,
            "action": plan.action,
            "number": target.number,
            "adapter_digest": target.adapter_digest,
            "from_number": plan.champion.number,
            "actor": move.actor,
            "proof": proof | {"served_name": target.name},
            "seconds": move.seconds,
            "at": now,
        }
    )
    session.add(row)
    moved = VersionPromoted(
        policy=plan.policy,
        version=target.number,
        adapter_digest=target.adapter_digest,
        previous_digest=plan.champion.adapter_digest,
        actor=move.actor,
        action=plan.action,
        at=now,
    )
    add_message(session, STAGE, VERSION_PROMOTED, plan.policy, moved)
    announce_route(registry, session, target)
    detail: dict[str, Any] = {"from": plan.champion.number, "adapter_digest": target.adapter_digest, "proof": proof}
    detail |= {"promotion_id": move.promotion_id, "reason": move.reason, "voided_requests": closed}
    audit(
        registry,
        session,
        actor=move.actor,
        action="version.promoted" if plan.action == "promote" else "version.rolled_back",
        subject=f"{plan.policy}/{target.number}",
        detail=detail,
    )
    return row


def _close_other_requests(session: Session, policy: str, request_id: str) -> list[str]:
    """Their ids: they were judged against a champion that is no longer served."""
    others = [row for row in repository.open_requests(session, policy) if row.request_id != request_id]
    for row in others:
        row.status = RequestStatus.VOID.value
    return sorted(row.request_id for row in others)


def _moved(row: PromotionRow) -> Moved:
    return Moved.model_validate(
        {
            "policy": row.policy,
            "version": row.number,
            "name": row.proof["served_name"],
            "adapter_digest": row.adapter_digest,
            "action": row.action,
            "proof": tuple(Proof.model_validate(one) for one in row.proof["servers"]),
            "seconds": row.seconds,
        }
    )
