"""What arrives from the trainer: candidates and their evaluations.

Both may arrive twice; every effect is keyed by digests. What cannot be taken is logged and audited where its subject
is known, and does not stop its neighbours: the numbers stay in the object store and the trainer can send them again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import faust
from pydantic import ValidationError

from infra.streams import MALFORMED, Incoming, batched_agent
from matrix.errors import Permanent
from matrix.messages.run import CandidateEvaluated, CandidateTrained
from matrix.topics import CANDIDATE_EVALUATED, CANDIDATE_TRAINED
from registry import service
from registry.service import Registry

log = logging.getLogger(__name__)

MAX_EVENTS = 50  # candidates are rare and each is a transaction of its own


def add_agents(app: faust.App, registry: Registry) -> None:
    """Register one agent per topic."""

    def trained(batch: list[Incoming]) -> None:
        take_each(batch, lambda value: service.take_candidate(registry, CandidateTrained.model_validate(value)))

    def evaluated(batch: list[Incoming]) -> None:
        take_each(batch, lambda value: service.take_evaluation(registry, CandidateEvaluated.model_validate(value)))

    batched_agent(app, [CANDIDATE_TRAINED], trained, name="candidates", max_events=MAX_EVENTS)
    batched_agent(app, [CANDIDATE_EVALUATED], evaluated, name="evaluations", max_events=MAX_EVENTS)


def take_each(batch: list[Incoming], take: Callable[[object], None]) -> None:
    """Every event by itself; Transient goes up and the batch comes again."""
    for one in batch:
        where = one.position.model_dump()
        if one.value is MALFORMED:
            log.error("event is not JSON", extra=where)
            continue
        try:
            take(one.value)
        except ValidationError as error:
            log.error("event is not understood", extra=where | {"reason": str(error.errors()[0])})  # noqa: TRY400
        except Permanent as error:
            log.error("event refused", extra=where | {"reason": str(error), "error": type(error).__name__})  # noqa: TRY400
