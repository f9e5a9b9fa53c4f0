"""The gateway's HTTP side for feedback, logged completions and counts; ingest.chat is the chat proxy.

An event is acknowledged once Kafka's in-sync replicas have it, and not before: a broker that is away answers 503
with Retry-After, and the client sends again. A retry must carry the event's id (`id` or Idempotency-Key), or the two
may be counted as two events: where the client gave none, the 503 names the one it was given as `feedback_id`.
"""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError

from infra.access import AccessKeys, Principal, Scope
from infra.http import make_api, problem, require
from ingest import dead_letters_api, service, steps
from ingest.gateway import Gateway
from ingest.steps import Reason
from ingest.tensorzero import FeedbackRequest, to_event
from matrix.errors import InvalidInput, Transient
from matrix.messages.base import Identifier
from matrix.messages.completion import CompletionServed
from matrix.results import DeadLetter
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

log = logging.getLogger(__name__)

ACCEPTED = 202
UNAVAILABLE = 503
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def make_gateway(gateway: Gateway, *, keys: AccessKeys, max_body_bytes: int) -> FastAPI:
    """The application without its chat side and without a lifespan; app.py puts both to it."""
    api = make_api("Plumbline gateway", keys=keys, max_body_bytes=max_body_bytes)
    _add_feedback(api, gateway)
    _add_completions(api, gateway)
    _add_views(api, gateway)
    dead_letters_api.add_routes(api, gateway)
    return api


def _add_feedback(api: FastAPI, gateway: Gateway) -> None:
    @api.post("/v1/feedback", status_code=ACCEPTED, dependencies=[Depends(require(Scope.FEEDBACK))], tags=["feedback"])
    @api.post("/feedback", status_code=ACCEPTED, dependencies=[Depends(require(Scope.FEEDBACK))], tags=["feedback"])
    async def give_feedback(
        body: FeedbackRequest, idempotency_key: Annotated[str | None, Header()] = None
    ) -> JSONResponse:
        """Take one thing that one person said about one completion."""
        event_id = _event_id(body.id, idempotency_key) or gateway.new_id()
        event = to_event(body, event_id, gateway.clock.now())
        if body.dryrun:
            return JSONResponse({"feedback_id": event_id, "status": "valid"})
        try:
            await gateway.send(FEEDBACK_RECEIVED, event.completion_id, event)
        except Transient as error:
            return _try_again(event_id, error)
        return JSONResponse({"feedback_id": event_id, "status": "accepted"}, status_code=ACCEPTED)


def _try_again(event_id: str, error: Transient) -> JSONResponse:
    """The event may or may not have arrived; sent again under this id it counts once."""
    log.warning("event is not acknowledged", extra={"error": type(error).__name__, "reason": str(error)})
    told = problem(UNAVAILABLE, type(error).__name__, str(error))
    content = json.loads(bytes(told.body)) | {"feedback_id": event_id}
    return JSONResponse(content, UNAVAILABLE, {"Retry-After": told.headers["Retry-After"]}, told.media_type)


def _event_id(in_body: str | None, header: str | None) -> str | None:
    if header is None:
        return in_body
    if in_body not in (None, header):
        raise InvalidInput(field="id", value=in_body, remedy="the same as the header Idempotency-Key, or left out")
    try:
        return _IDENTIFIER.validate_python(header)
    except ValidationError:
        raise InvalidInput(field="Idempotency-Key", value=header, remedy="1 to 128 printable characters") from None


def _add_completions(api: FastAPI, gateway: Gateway) -> None:
    @api.post(
        "/v1/completions/log",
        status_code=ACCEPTED,
        dependencies=[Depends(require(Scope.FEEDBACK))],
        tags=["completions"],
        openapi_extra={
            "requestBody": {"content": {"application/json": {"schema": CompletionServed.model_json_schema()}}}
        },
    )
    async def log_completion(body: Annotated[Any, Body()]) -> dict[str, str]:
        """Log a completion that a service's own model wrote, so that feedback can be credited."""
        match steps.decode(body, CompletionServed):
            case DeadLetter(reason=Reason.MALFORMED, detail=detail):
                raise InvalidInput(field="body", value="", remedy=detail)
            case DeadLetter(detail=detail, field=field):
                raise InvalidInput(field=field or "body", value="", remedy=detail)
            case completion:
                await gateway.send(COMPLETION_SERVED, completion.value.completion_id, completion.value)
        return {"completion_id": completion.value.completion_id}


def _add_views(api: FastAPI, gateway: Gateway) -> None:
    @api.get("/v1/counts", tags=["views"])
    def counts(principal: Annotated[Principal, Depends(require(Scope.VIEW))]) -> dict[str, Any]:
        """What became of all feedback of the key's tenant: received = accepted + duplicate + dead + pending."""
        return service.counts(gateway.database, principal.tenant)
