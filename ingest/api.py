"""The gateway's HTTP side: hot routes (ingest.feedback_api), logged completions, and what became of things.

What is sent is acknowledged once Kafka's in-sync replicas have it, and not before; people's words are redacted before
they leave this process. ingest.chat is the chat proxy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI
from fastapi.responses import JSONResponse

from infra.access import AccessKeys, Principal, Scope
from infra.http import make_api, require
from infra.limits import RateLimits
from ingest import dead_letters_api, feedback_api, metrics, service, steps
from ingest.consent import completion_without_words
from ingest.feedback_api import FeedbackDoor
from ingest.feedback_schema import inlined, json_body, problems
from ingest.gateway import Gateway
from ingest.hot import Singles
from ingest.intake import Intake
from ingest.known import Lookup, Recent
from ingest.offers import BIG_CHARACTERS, event_of
from ingest.repository_known import KnownReader
from ingest.tenants import seen_by
from ingest.words import words_of
from matrix.errors import InvalidInput, NotFound
from matrix.messages.base import DEFAULT_TENANT, Identifier
from matrix.messages.completion import CompletionServed
from matrix.results import DeadLetter
from matrix.topics import COMPLETION_SERVED

ACCEPTED = 202
UNLIMITED = 1e9  # events a second
LOGGED = {
    "completion_id": "chatcmpl-8f0c",
    "policy": "clinic-assistant",
    "adapter_digest": "0" * 64,
    "prompt": [{"role": "user", "content": "May I take ibuprofen with food?"}],
    "completion": "Yes, with food is better for your stomach.",
    "served_at": "2026-01-01T09:00:00Z",
}


def make_gateway(
    gateway: Gateway, *, keys: AccessKeys, max_body_bytes: int, limits: RateLimits | None = None
) -> FastAPI:
    """The application without its chat side and its connections, which app.py puts to it."""
    limits, words = limits or RateLimits(UNLIMITED, time.monotonic), words_of(gateway.privacy)
    api = make_api("Plumbline gateway", keys=keys, max_body_bytes=max_body_bytes, limits=limits, words=words)
    recent = Recent()
    known = KnownReader(gateway.database)
    lookup = Lookup(known)
    intake = api.state.intake = Intake(gateway.publisher, lookup, recent)  # connectors' feedback goes through it too
    door = FeedbackDoor(gateway, intake, keys, limits, words)
    singles = Singles(gateway, door, intake, keys, limits)
    feedback_api.add_routes(api, door, singles, max_body_bytes=max_body_bytes)
    _add_completions(api, gateway)
    _add_views(api, gateway, recent)
    dead_letters_api.add_routes(api, gateway)
    metrics.add_routes(api, gateway)

    @asynccontextmanager
    async def asking(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            lookup.close()
            known.close()

    api.router.lifespan_context = asking
    return api


def _add_completions(api: FastAPI, gateway: Gateway) -> None:
    @api.post(
        "/v1/completions/log",
        status_code=ACCEPTED,
        tags=["completions"],
        responses=problems(400, 401, 403, 413, 422, 429, 503),
        openapi_extra={"requestBody": json_body(inlined(CompletionServed), {"completion": LOGGED})},
    )
    async def log_completion(
        body: Annotated[Any, Body()], principal: Annotated[Principal, Depends(require(Scope.FEEDBACK))]
    ) -> JSONResponse:
        """Log a completion that a service's own model wrote, so that feedback can be credited."""
        completion = await _redacted(gateway, _completion(body, principal.tenant))
        await gateway.send(COMPLETION_SERVED, completion.completion_id, completion)
        return JSONResponse({"completion_id": completion.completion_id}, ACCEPTED)


def _completion(body: Any, tenant: str) -> CompletionServed:
    match steps.decode(body, CompletionServed):
        case DeadLetter(detail=detail, field=field):
            raise InvalidInput(field=field or "body", value=None, remedy=detail.removeprefix(f"{field}: "))
        case decoded:
            completion = decoded.value
    if completion.tenant not in (tenant, DEFAULT_TENANT):
        raise InvalidInput(field="tenant", value=completion.tenant, remedy="left out: it is the key's")
    return completion.model_copy(update={"tenant": tenant})


async def _redacted(gateway: Gateway, completion: CompletionServed) -> CompletionServed:
    if not completion.consent:
        return completion_without_words(completion)
    characters = len(completion.completion) + sum(len(message.content) for message in completion.prompt)
    if characters <= BIG_CHARACTERS:
        return gateway.privacy.completion(completion)
    return await asyncio.to_thread(gateway.privacy.completion, completion)


def _add_views(api: FastAPI, gateway: Gateway, recent: Recent) -> None:
    @api.get("/v1/counts", tags=["views"], responses=problems(401, 403, 429, 503))
    def counts(principal: Annotated[Principal, Depends(require(Scope.VIEW))]) -> dict[str, Any]:
        """What became of all feedback of the key's tenant: received = accepted + duplicate + dead + pending.

        A key with the scope admin counts what states no tenant that can be read, too.
        """
        return service.counts(gateway.database, *seen_by(principal))

    @api.get("/v1/feedback/{event_id:path}", tags=["feedback"], responses=problems(401, 403, 404, 422, 429, 503))
    def feedback_status(
        event_id: Identifier, principal: Annotated[Principal, Depends(require(Scope.VIEW, Scope.FEEDBACK))]
    ) -> dict[str, Any]:
        """What became of an event: received, matched, pending, or set aside with the reason.

        `received` is known to the gateway that took it; another answers 404 until the worker has read the event.
        """
        found = service.find_feedback(gateway.database, principal.tenant, event_id)
        return found or _received(recent, principal.tenant, event_id)


def _received(recent: Recent, tenant: str, event_id: str) -> dict[str, Any]:
    """Of an event that this gateway has lately taken and the worker has not read yet."""
    payload = recent.payload((tenant, event_id))
    if payload is None:
        raise NotFound(what="feedback", name=event_id)
    event = event_of(payload)
    told = {"feedback_id": event_id, "status": "received", "completion_id": event.completion_id}
    return told | {"kind": event.kind, "received_at": None}
