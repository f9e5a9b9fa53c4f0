"""The registry over HTTP: who may do what is said here, what it means in service.py, decisions.py and promotion.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import Field, StringConstraints

from infra.access import Principal, Scope
from infra.http import require
from matrix.messages.base import Message
from matrix.messages.completion import Digest, PolicyName
from registry import decisions, promotion, service, views
from registry.service import Registry

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Viewer = Annotated[Principal, Depends(require(Scope.VIEW))]
Looker = Annotated[Principal, Depends(require(Scope.VIEW, Scope.OPERATE))]  # who rolls back must know from where
Requester = Annotated[Principal, Depends(require(Scope.REQUEST))]
Approver = Annotated[Principal, Depends(require(Scope.APPROVE))]
Operator = Annotated[Principal, Depends(require(Scope.OPERATE))]
Admin = Annotated[Principal, Depends(require(Scope.ADMIN))]


class _Body(Message):
    """A body that any store can hold."""


class PolicyBody(_Body):
    """A policy by its base model."""

    policy: PolicyName
    base_digest: Digest
    base_uri: Annotated[str, StringConstraints(max_length=1000)] = ""
    served_name: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "base"


class PromotionBody(_Body):
    """What should be served, and why."""

    policy: PolicyName
    version: Number
    reason: Reason


class DecisionBody(_Body):
    """A person's word; a reason is part of it."""

    decision: Literal["approve", "reject"]
    reason: Reason


class RollbackBody(_Body):
    """Why what is served must go; with the version that it is, asking again does nothing more."""

    reason: Reason
    from_version: Number | None = None


def add_routes(app: FastAPI, registry: Registry) -> None:
    """All of them."""
    _add_views(app, registry)
    _add_people(app, registry)
    _add_operations(app, registry)


def _add_views(app: FastAPI, registry: Registry) -> None:
    @app.get("/v1/policies/{policy}/versions")
    def versions(policy: PolicyName, _: Viewer) -> dict[str, Any]:
        return views.versions(registry, policy)

    @app.get("/v1/policies/{policy}/aliases")
    def aliases(policy: PolicyName, _: Looker) -> dict[str, Any]:
        return views.aliases(registry, policy)

    @app.get("/v1/policies/{policy}/versions/{number}")
    def version(policy: PolicyName, number: Number, _: Viewer) -> dict[str, Any]:
        return views.version(registry, policy, number)

    @app.get("/v1/policies/{policy}/versions/{number}/gate-report")
    def gate_report(policy: PolicyName, number: Number, _: Viewer) -> dict[str, Any]:
        return views.gate_report(registry, policy, number)

    @app.get("/v1/promotions")
    def promotions(_: Viewer, policy: PolicyName | None = None) -> dict[str, Any]:
        return {"requests": views.requests(registry, policy)}

    @app.get("/v1/promotions/{request_id}")
    def one_promotion(request_id: RequestId, _: Viewer) -> dict[str, Any]:
        return views.request(registry, request_id)

    @app.get("/v1/audit")
    def audit(_: Viewer, limit: Annotated[int | None, Query(ge=1, le=100_000)] = None) -> dict[str, Any]:
        return views.audit_log(registry, limit=limit)


def _add_people(app: FastAPI, registry: Registry) -> None:
    @app.post("/v1/promotions", status_code=201)
    def request_promotion(body: PromotionBody, caller: Requester) -> dict[str, Any]:
        request_id = decisions.request_promotion(
            registry, policy=body.policy, number=body.version, reason=body.reason, actor=caller.actor
        )
        return views.request(registry, request_id)

    @app.post("/v1/promotions/{request_id}/decisions")
    def decide(request_id: RequestId, body: DecisionBody, caller: Approver) -> dict[str, Any]:
        decisions.decide(registry, request_id=request_id, word=body.decision, reason=body.reason, actor=caller.actor)
        return views.request(registry, request_id)


def _add_operations(app: FastAPI, registry: Registry) -> None:
    @app.post("/v1/policies", status_code=201)
    def register_policy(body: PolicyBody, caller: Admin) -> dict[str, Any]:
        service.register_policy(
            registry,
            policy=body.policy,
            base_digest=body.base_digest,
            base_uri=body.base_uri,
            served_name=body.served_name,
            actor=caller.actor,
        )
        return views.version(registry, body.policy, 0)

    @app.post("/v1/policies/{policy}/versions/{number}/evaluations", status_code=202)
    def evaluate(policy: PolicyName, number: Number, caller: Operator) -> dict[str, Any]:
        service.evaluate_again(registry, policy=policy, number=number, actor=caller.actor)
        return views.version(registry, policy, number)

    @app.post("/v1/promotions/{request_id}/promote")
    def promote(request_id: RequestId, caller: Operator) -> dict[str, Any]:
        return _shown(promotion.promote(registry, request_id=request_id, actor=caller.actor))

    @app.post("/v1/policies/{policy}/rollback")
    def rollback(policy: PolicyName, body: RollbackBody, caller: Operator) -> dict[str, Any]:
        moved = promotion.roll_back(
            registry, policy=policy, reason=body.reason, actor=caller.actor, from_version=body.from_version
        )
        return _shown(moved)


def _shown(moved: promotion.Moved) -> dict[str, Any]:
    shown = moved.model_dump(mode="json")
    return shown | {"proof": {"artifact_sha256": moved.adapter_digest, "servers": shown["proof"]}}
