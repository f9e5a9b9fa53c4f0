"""POST /v1/connect/{connector}: feedback and completions in the shapes that other services send (ingest.connectors).

What can be taken is acknowledged once Kafka has it, and what cannot is named by its place, field and rule; neither
costs the other. An answer that does not come is no loss: ids come from what was said, so the sender sends again.
Whose it is comes from the key. Feedback goes the way of all feedback (ingest.intake): an id that is known to have
another body is refused. Left out: what became of an event; GET /v1/feedback/{id} says it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse

from infra.access import Principal, Scope
from infra.http import problem, require
from ingest.connectors.items import Connector, Delivery, Message, Outcome, Refused, Taken
from ingest.consent import completion_without_words, feedback_without_words
from ingest.feedback_schema import problems
from ingest.gateway import Gateway
from ingest.intake import Intake
from ingest.offers import Offer
from ingest.privacy import Privacy
from matrix.errors import IdConflict, NotFound, PlumblineError, Transient
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.ports import OutgoingMessage
from matrix.topics import COMPLETION_SERVED

ACCEPTED, NOTHING_TAKEN = 202, 422
MOST_ITEMS = 1000  # of one request
ID_RULE = "not taken by another body"
SHOWN_FIELD = 200  # characters; a path may hold names that the sender made up
PolicyQuery = Annotated[
    str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="What completions are credited to.")
]
EXAMPLE = {"traceId": "chatcmpl-8f0c", "name": "user-feedback", "value": 1, "dataType": "BOOLEAN", "id": "score-1"}


def add_routes(api: FastAPI, gateway: Gateway, intake: Intake, connectors: Mapping[str, Connector]) -> None:
    """Put the route to the gateway's application."""

    described = f"Take one item or a list, as its service sends them. Connectors: {', '.join(connectors)}."

    refusals = problems(400, 401, 403, 404, 413, 422, 429, 503)

    @api.post(
        "/v1/connect/{connector}", status_code=ACCEPTED, tags=["connect"], description=described, responses=refusals
    )
    async def connect(
        request: Request,
        connector: str,
        payload: Annotated[Any, Body(openapi_examples={"langfuse": {"value": EXAMPLE}})],
        principal: Annotated[Principal, Depends(require(Scope.FEEDBACK))],
        policy: PolicyQuery = None,
    ) -> JSONResponse:
        if connector not in connectors:
            raise NotFound(what="connector", name=connector)
        keyed = partial(gateway.privacy.person, principal.tenant)
        delivery = Delivery(now=gateway.clock.now(), keyed=keyed, policy=policy, most_items=MOST_ITEMS)
        outcomes = await asyncio.to_thread(
            _read, connectors[connector], payload, delivery, gateway.privacy, principal.tenant
        )
        messages = [(one.index, message) for one in outcomes if isinstance(one, Taken) for message in one.messages]
        if request.app.state.limits is not None and len(messages) > 1:  # the request itself took one already
            request.app.state.limits.take_more(principal.key_id, len(messages) - 1, tenant=principal.tenant)
        late = await _sent(gateway, intake, messages)
        refused = [*(one for one in outcomes if isinstance(one, Refused)), *late.values()]
        accepted = [message for place, (_, message) in enumerate(messages) if place not in late]
        return _answer(accepted, sorted(refused, key=lambda one: one.index), gateway.privacy)


def _read(connector: Connector, payload: object, delivery: Delivery, privacy: Privacy, tenant: str) -> list[Outcome]:
    """Off the event loop: redacting a thousand comments takes longer than others may wait."""
    return [
        replace(one, messages=tuple(_owned(message, privacy, tenant) for message in one.messages))
        if isinstance(one, Taken)
        else one
        for one in connector(payload, delivery)
    ]


def _owned(message: Message, privacy: Privacy, tenant: str) -> Message:
    owned = message.model_copy(update={"tenant": tenant})
    if isinstance(owned, FeedbackEvent):
        return privacy.feedback(owned) if owned.consent else feedback_without_words(owned)
    return privacy.completion(owned) if owned.consent else completion_without_words(owned)


async def _sent(gateway: Gateway, intake: Intake, messages: Sequence[tuple[int, Message]]) -> dict[int, Refused]:
    """What was not taken after all, by its place among the messages; Transient where any is not acknowledged."""
    served = [one for _, one in messages if isinstance(one, CompletionServed)]
    if served:
        await gateway.publisher.publish(
            [OutgoingMessage(COMPLETION_SERVED.name, one.completion_id, one.to_payload()) for one in served]
        )
    offers = {place: _offer(one) for place, (_, one) in enumerate(messages) if isinstance(one, FeedbackEvent)}
    late = {}
    for place, result in zip(offers, await intake.take(list(offers.values())), strict=True):
        if isinstance(result, Transient):
            raise result
        if isinstance(result, IdConflict):
            late[place] = Refused(messages[place][0], result.field, None, ID_RULE)
        elif isinstance(result, PlumblineError):
            late[place] = Refused(messages[place][0], "body", None, str(result))
    return late


def _offer(event: FeedbackEvent) -> Offer:
    key, completion_key = (event.tenant, event.event_id), (event.tenant, event.completion_id)
    return Offer(key, completion_key, is_named=True, payload=event.to_payload())


def _answer(messages: Sequence[Message], refused: Sequence[Refused], privacy: Privacy) -> JSONResponse:
    accepted = [one.event_id if isinstance(one, FeedbackEvent) else one.completion_id for one in messages]
    named = [{"index": one.index, "field": privacy.text(one.field)[:SHOWN_FIELD], "rule": one.rule} for one in refused]
    content: dict[str, Any] = {"accepted": accepted, "refused": named}
    if accepted:
        return JSONResponse(content, ACCEPTED)
    errors = [{"field": f"{one['index']}.{one['field']}", "rule": one["rule"], "value": ""} for one in named]
    told = problem(NOTHING_TAKEN, "InvalidInput", "no item could be taken", errors)
    return JSONResponse(json.loads(bytes(told.body)) | content, NOTHING_TAKEN, media_type=told.media_type)
