"""OpenAI's chat completions in front of the policy servers, whole or as a stream, logged before they are answered.

A completion that could not be logged is not answered: nobody could credit feedback to it. So what could not be logged
whatever the policy writes is refused before it is asked, and what cannot be logged is the policy server's fault.
`docs/chat.md` is the user's view. Left out: several completions a request, tools.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header
from fastapi.responses import JSONResponse, Response

from infra.access import Principal, Scope
from infra.event_stream import EventStream
from infra.http import problem, require
from ingest import policy_servers
from ingest.chat_request import ChatRequest
from ingest.exchange import Caller, Exchange, begin
from ingest.feedback_schema import problems
from ingest.gateway import Gateway
from ingest.policy_servers import PolicyServerRefused
from ingest.streaming import StreamedCompletion
from matrix.messages.base import Identifier
from matrix.messages.gate import RouteChanged


def add_routes(api: FastAPI, gateway: Gateway) -> None:
    """POST /v1/chat/completions and GET /v1/models."""

    refusals = problems(401, 403, 429, 503)

    @api.get("/v1/models", dependencies=[Depends(require(Scope.CHAT))], tags=["chat"], responses=refusals)
    async def models() -> dict[str, Any]:
        """Every `policy@alias` with the adapters behind it."""
        return {"object": "list", "data": [_card(name, route) for name, route in gateway.routes.routes().items()]}

    @api.post(
        "/v1/chat/completions",
        response_class=JSONResponse,
        response_model=None,
        tags=["chat"],
        responses=refusals | problems(400, 404, 413, 422),
    )
    async def complete(
        body: ChatRequest,
        principal: Annotated[Principal, Depends(require(Scope.CHAT))],
        x_session_id: Annotated[Identifier | None, Header()] = None,
        x_plumbline_consent: Annotated[bool, Header()] = True,  # noqa: FBT002  # a header
    ) -> Response:
        """Ask a policy; the answer's id is what feedback names as `inference_id`."""
        exchange = begin(gateway, body, Caller(principal.tenant, x_session_id, x_plumbline_consent))
        request = body.for_policy_server(exchange.served_name)
        answered = _streamed if body.stream else _whole
        try:
            return await answered(exchange, request)
        except PolicyServerRefused as refused:
            return problem(refused.status, "PolicyServerRefused", gateway.privacy.text(refused.words))


async def _whole(exchange: Exchange, request: dict[str, Any]) -> Response:
    answer = await policy_servers.ask(exchange.gateway, request, exchange.conversation)
    await exchange.log(answer["choices"][0]["message"]["content"])
    return JSONResponse(exchange.named(answer), headers=exchange.headers())


async def _streamed(exchange: Exchange, request: dict[str, Any]) -> Response:
    source = await policy_servers.stream(exchange.gateway, request, exchange.conversation)
    completion = StreamedCompletion(exchange, source)
    return EventStream(completion.events(), ended=completion.end, headers=exchange.headers())


def _card(name: str, route: RouteChanged) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": int(route.at.timestamp()), "owned_by": "plumbline"}
    card |= {"root": route.served_name, "parent": None, "adapter_digest": route.adapter_digest}
    return card | {"splits": [split.model_dump() for split in route.splits]}
