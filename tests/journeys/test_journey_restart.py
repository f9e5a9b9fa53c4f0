"""A policy server that is restarted after a promotion: the champion answers again, and nobody has to do anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.demo import champion
from infra.demo.driver import Person, Product, wait_for

pytestmark = [pytest.mark.journey, pytest.mark.stack]

QUESTION, PATIENCE_S = "May I take ibuprofen with food?", 60.0


def answered_by(product: Product, service: Person, digest: str) -> str:
    """The champion's completion, once it is the work of that adapter."""
    return wait_for(
        f"an answer of {digest[:12]}",
        lambda: champion.is_served(champion.ask(product, service, QUESTION), digest),
        patience_s=PATIENCE_S,
    ).completion


@pytest.fixture
def promoted(told: Any, product: Product, service: Person) -> Iterator[str]:
    """The digest that the story promoted and rolled back, promoted once more; afterwards all is as it was."""
    digest, policy = told.answer["promoted"]["digest"], product.settings.policy
    registry = product.registry(product.employ("journey-lead", "request", "operate", "view"))
    versions = registry.get(f"/v1/policies/{policy}/versions")["versions"]
    [number] = [one["version"] for one in versions if one["adapter_digest"] == digest]
    request = registry.post("/v1/promotions", {"policy": policy, "version": number, "reason": "once more"})
    for actor in ("journey-doctor", "journey-nurse"):
        approver = product.registry(product.employ(actor, "approve"))
        approver.post(f"/v1/promotions/{request['request_id']}/decisions", {"decision": "approve", "reason": "seen"})
    registry.post(f"/v1/promotions/{request['request_id']}/promote")
    yield digest
    registry.post(f"/v1/policies/{policy}/rollback", {"reason": "the journey is over"})
    answered_by(product, service, told.answer["rolled_back"]["to"])


def test_after_a_restart_of_the_policy_server_the_promoted_champion_answers_again(
    promoted: str, product: Product, service: Person
) -> None:
    before = answered_by(product, service, promoted)
    product.command("stack", "restart", "policy-server")
    assert answered_by(product, service, promoted) == before
