"""The gateway's HTTP side for feedback, logged completions and counts; ingest.chat is the chat proxy.

An event is acknowledged once Kafka's in-sync replicas have it, and not before: a broker that is away answers 503
with Retry-After, and the client, which knows its event's id, sends again.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, Query
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError

from infra.access import AccessKeys, Scope
from infra.http import make_api, require
from ingest import service, steps
from ingest.gateway import Gateway
from ingest.steps import Reason
from ingest.tensorzero import FeedbackRequest, to_event
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import Identifier
from matrix.results import DeadLetter
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

ACCEPTED = 202
MOST_LETTERS = 1000
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def make_gateway(gateway: Gateway, *, keys: AccessKeys, max_body_bytes: int) -> FastAPI:
    """The application without its chat side and without a lifespan; app.py puts both to it."""
    api = make_api("Plumbline gateway", keys=keys, max_body_bytes=max_body_bytes)
    _add_feedback(api, gateway)
    _add_completions(api, gateway)
    _add_views(api, gateway)
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
        await gateway.send(FEEDBACK_RECEIVED, event.completion_id, event)
        return JSONResponse({"feedback_id": event_id, "status": "accepted"}, status_code=ACCEPTED)


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
    @api.get("/v1/counts", dependencies=[Depends(require(Scope.VIEW))], tags=["views"])
    def counts() -> dict[str, Any]:
        """What became of all feedback: received = accepted + duplicate + dead + pending."""
        return service.counts(gateway.database)

    @api.get("/v1/dead-letters", dependencies=[Depends(require(Scope.VIEW))], tags=["views"])
    def dead_letters(
        reason: Reason | None = None, limit: Annotated[int, Query(ge=1, le=MOST_LETTERS)] = 100
    ) -> dict[str, Any]:
        """What was set aside, the newest first."""
        return {"dead_letters": service.dead_letters(gateway.database, reason=reason, limit=limit)}
