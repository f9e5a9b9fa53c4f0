"""What people decide: a promotion asked for, the author's own approval refused, two approvals, promotion, rollback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.demo.driver import Person, Product
from infra.demo.facts import Served, Trial
from infra.demo.people import Cast
from infra.demo.trials import StoryDiffers
from infra.http import Refused

FORBIDDEN = 403
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Request:
    """A promotion that was asked for."""

    request_id: str


def must_not_be_promotable(product: Product, cast: Cast, trial: Trial) -> str:
    """Asking for the refused candidate's promotion is refused; returns the registry's words."""
    try:
        _ask(product, cast.engineer, trial, "users will like it more")
    except Refused as refused:
        if refused.status == CONFLICT:
            return str(refused)
        raise
    raise StoryDiffers(expected=f"no promotion of run {trial.label} to be asked for", seen="the request was taken")


def ask_for_promotion(product: Product, cast: Cast, trial: Trial) -> Request:
    """The engineer asks for what the gate passed."""
    answer = _ask(product, cast.engineer, trial, "passes the gate; fewer missed escalations than what is served")
    return Request(str(answer["request_id"]))


def must_not_approve_own(product: Product, cast: Cast, request: Request) -> str:
    """The author approves and is refused with 403; returns the registry's words."""
    try:
        _approve(product, cast.engineer, request, "it is mine and it is good")
    except Refused as refused:
        if refused.status == FORBIDDEN:
            return refused.args[0] if refused.args else str(refused)
        raise
    raise StoryDiffers(expected="the author's own approval to be refused", seen="it was taken")


def approve_by_two(product: Product, cast: Cast, request: Request) -> tuple[str, ...]:
    """The safety lead and a clinician approve."""
    _approve(product, cast.safety_lead, request, "no red flag of the gate's set is missed")
    _approve(product, cast.clinician, request, "read the completions side by side")
    return cast.safety_lead.actor, cast.clinician.actor


def promote(product: Product, cast: Cast, request: Request, trial: Trial) -> Served:
    """The operator promotes; StoryDiffers unless the candidate's own bytes are proven to be served."""
    answer = product.registry(cast.operator).post(f"/v1/promotions/{request.request_id}/promote")
    return as_served("promote", answer, expected=trial.digest, by=cast.operator)


def roll_back(product: Product, cast: Cast, *, to: str) -> Served:
    """The operator rolls back; StoryDiffers unless what was served before is proven to be served again.

    It is the last decision of the story, so the log of all of them is checked here too.
    """
    path = f"/v1/policies/{product.settings.policy}/rollback"
    registry = product.registry(cast.operator)
    answer = registry.post(path, {"reason": "a drill: what is served must come back at once"})
    served = as_served("rollback", answer, expected=to, by=cast.operator)
    must_be_intact(registry.get("/v1/audit", limit="1")["chain"])
    return served


def must_be_intact(chain: str) -> None:
    """The audit log's hash chain, in the registry's words."""
    if chain != "intact":
        raise StoryDiffers(expected="the audit log's chain to be intact", seen=chain)


def must_be_same(before: str, again: str) -> None:
    """The same question, greedily: the bytes of before write the words of before."""
    if before != again:
        raise StoryDiffers(expected=f"the completion of before, {before!r}", seen=repr(again))


def as_served(action: str, answer: dict[str, Any], *, expected: str, by: Person) -> Served:
    """What the registry says of a move; StoryDiffers unless every server proves the expected bytes by its tokens."""
    shown = answer["proof"].get("servers", [])
    proven = bool(shown) and all(one["artifact_sha256"] == expected and one["tokens"] > 0 for one in shown)
    if answer["adapter_digest"] != expected or not proven:
        seen = f"digest {answer['adapter_digest']}, proof {answer['proof']}"
        raise StoryDiffers(expected=f"the {action} to prove digest {expected}", seen=seen)
    return Served(action, answer["version"], answer["adapter_digest"], answer["seconds"], answer["proof"], by.actor)


def _ask(product: Product, person: Person, trial: Trial, reason: str) -> dict[str, Any]:
    body = {"policy": product.settings.policy, "version": trial.version, "reason": reason}
    answer: dict[str, Any] = product.registry(person).post("/v1/promotions", body)
    return answer


def _approve(product: Product, person: Person, request: Request, reason: str) -> None:
    path = f"/v1/promotions/{request.request_id}/decisions"
    product.registry(person).post(path, {"decision": "approve", "reason": reason})
