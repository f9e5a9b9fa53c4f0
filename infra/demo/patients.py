"""The patients come: seeded questions, simulated reactions, and what strays onto the topic beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from infra.base_model import SERVED_NAME
from infra.console import progress
from infra.demo import corpus, preferences
from infra.demo.base import Ground
from infra.demo.driver import Product
from infra.demo.people import Cast
from infra.demo.traffic import Remark, Visit, plan_visits, stray_events
from infra.demo.visits import Clinic, Services
from infra.publishing import KafkaPublisher
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED

VISITS_PER_PATIENT = 5


def receive_patients(product: Product, cast: Cast, ground: Ground, *, seed: int, patients: int) -> Clinic:
    """All their visits; the tally says what was sent."""
    prompts = corpus.traffic_prompts(seed, patients * VISITS_PER_PATIENT)
    visits = plan_visits(prompts, patients=patients, seed=seed)
    services = Services(
        gateway_url=product.settings.gateway_url,
        policy_server_url=product.settings.policy_server_urls[0],
        policy=product.settings.policy,
        base_name=SERVED_NAME,
        base_digest=ground.digest,
        clinic_chat=cast.clinic_chat,
        triage_desk=cast.triage_desk,
    )
    with progress() as bar:
        task = bar.add_task("visits", total=len(visits))
        clinic = Clinic(services, react, tell=lambda done: bar.advance(task, done))
        try:
            asyncio.run(clinic.open(visits))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
    _stray(product, clinic)
    return clinic


def react(visit: Visit, completion: str) -> Sequence[Remark]:
    """What this patient says about it."""
    return preferences.react(visit.prompt, completion, visit.seed)


def _stray(product: Product, clinic: Clinic) -> None:
    """What another producer puts straight onto the topic, past the gateway's checks."""
    completion_id = clinic.served[0][1]
    publisher = KafkaPublisher(product.settings.kafka)
    try:
        for payload, malformed, neighbours in stray_events(completion_id):
            publisher.publish([OutgoingMessage(FEEDBACK_RECEIVED.name, completion_id, payload)])
            clinic.tally.malformed += malformed
            clinic.tally.neighbours += neighbours
    finally:
        publisher.close()
