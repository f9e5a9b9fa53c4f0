"""What a set of people's decisions allows: values in, verdict out.

A decision names what was seen: adapter digest, gate report digest, route, the champion that the report compared
with, and the matrix, the gate prompts and the knowledge (red flags, doses) that it was judged by. Once any of these is
another, it is void. The author of a version and the person who asked for its promotion do not decide on it; a person
decides once; one refusal is final for the request, and for its bytes on that report (registry/decisions.py). How many
must approve was fixed when the request was made, by the matrix that it names.
Left out: expiry, and roles beyond the scopes of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from matrix.errors import ApprovalRefused, ApprovalVoid, IllegalTransition
from matrix.messages.base import Value

Word = Literal["approve", "reject"]


class RequestStatus(StrEnum):
    """Where a promotion request stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    VOID = "void"
    PROMOTED = "promoted"


class Binding(Value):
    """What exactly is decided on."""

    adapter_digest: str
    report_digest: str
    route: str  # policy@alias
    champion_digest: str  # what the report compared with; the alias moves only from there
    matrix_sha256: str  # today's declaration; it also says how many must approve
    prompts_sha256: str  # today's gate prompts
    knowledge_sha256: str  # today's knowledge file: what the hard cells call a violation


class Decision(Value):
    """One person's word."""

    actor: str
    word: Word
    reason: str
    binding: Binding


class Request(Value):
    """A promotion that was asked for."""

    request_id: str
    requester: str
    author: str  # of the version: who started the run
    approvals_needed: int
    binding: Binding
    status: RequestStatus = RequestStatus.OPEN
    decisions: tuple[Decision, ...] = ()


def decide(request: Request, decision: Decision) -> Request:
    """The request with one more decision.

    Raises ApprovalRefused for a person who may not decide, ApprovalVoid where something else was decided on,
    IllegalTransition once the request is closed.
    """
    _ensure_may_decide(request, decision.actor)
    if request.status not in (RequestStatus.OPEN, RequestStatus.APPROVED):
        raise IllegalTransition(what=f"request {request.request_id}", current=request.status, wanted=decision.word)
    ensure_same(request, decision.binding)
    decisions = (*request.decisions, decision)
    return request.model_copy(update={"decisions": decisions, "status": standing(request, decisions)})


def standing(request: Request, decisions: Sequence[Decision]) -> RequestStatus:
    """What these decisions add up to; order does not matter."""
    if any(decision.word == "reject" for decision in decisions):
        return RequestStatus.REJECTED
    approvers = {
        decision.actor
        for decision in decisions
        if decision.binding == request.binding and decision.actor not in (request.author, request.requester)
    }
    return RequestStatus.APPROVED if len(approvers) >= request.approvals_needed else RequestStatus.OPEN


def ensure_approved(request: Request, current: Binding) -> None:
    """Raises unless the decisions allow to promote exactly what would be promoted now."""
    if request.status is RequestStatus.VOID:
        raise ApprovalVoid(request_id=request.request_id, reason="something it named has changed")
    ensure_same(request, current)
    found = standing(request, request.decisions)
    if found is not RequestStatus.APPROVED or request.status is not RequestStatus.APPROVED:
        current_status = found if request.status is RequestStatus.APPROVED else request.status
        raise IllegalTransition(what=f"request {request.request_id}", current=current_status, wanted="promoted")


def ensure_same(request: Request, current: Binding) -> None:
    """Raises ApprovalVoid naming the first thing that is not what the request named."""
    for name, asked in request.binding.model_dump().items():
        now = getattr(current, name)
        if now != asked:
            what = name.replace("_", " ")
            raise ApprovalVoid(request_id=request.request_id, reason=f"{what} was {asked[:19]}, is {now[:19]}")


def _ensure_may_decide(request: Request, actor: str) -> None:
    if actor == request.author:
        raise ApprovalRefused(actor=actor, reason="is the author of this version")
    if actor == request.requester:
        raise ApprovalRefused(actor=actor, reason="asked for this promotion")
    if any(decision.actor == actor for decision in request.decisions):
        raise ApprovalRefused(actor=actor, reason="has already decided on this request")
