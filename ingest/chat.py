"""OpenAI's chat completions in front of the policy servers, logged before they are answered.

`model` is `policy@alias`, or a policy for its champion. The adapter's digest is the one of the route at dispatch
(an alias that moves meanwhile does not change who wrote the answer). A completion that could not be logged is not
answered: nobody could credit feedback to it. So what could not be logged whatever the answer is refused before it is
asked, and an answer that cannot be logged is the policy server's fault.
Left out: streaming, several completions a request, tools.
"""

from __future__ import annotations

import json
import zlib
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.access import Scope
from infra.http import problem, require
from ingest.gateway import Gateway
from matrix.errors import InvalidInput, SamplerUnavailable
from matrix.messages.base import Identifier, unstorable
from matrix.messages.completion import ChatMessage, CompletionServed
from matrix.messages.gate import RouteChanged
from matrix.topics import COMPLETION_SERVED

ADAPTER_HEADER = "X-Plumbline-Adapter"
ID_BYTES = 16
SHOWN = 300
BAD_REQUEST = 400


class ChatRequest(BaseModel):
    """OpenAI's body, as far as policy servers take it; what is sent is handed on, what is not is left to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    messages: tuple[ChatMessage, ...] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    n: int = 1
    stream: bool = False
    user: Identifier | None = None


class _PolicyServerRefused(Exception):
    """The policy server's own 4xx; its words are the client's business."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words


def add_routes(api: FastAPI, gateway: Gateway) -> None:
    """POST /v1/chat/completions and GET /v1/models."""

    @api.get("/v1/models", dependencies=[Depends(require(Scope.CHAT))], tags=["chat"])
    async def models() -> dict[str, Any]:
        """Every `policy@alias` with the adapter behind it."""
        return {"object": "list", "data": [_card(name, route) for name, route in gateway.routes.routes().items()]}

    @api.post("/v1/chat/completions", dependencies=[Depends(require(Scope.CHAT))], tags=["chat"])
    async def complete(body: ChatRequest, x_session_id: Annotated[Identifier | None, Header()] = None) -> JSONResponse:
        """Ask a policy; the answer's id is what feedback names as `inference_id`."""
        if body.stream or body.n != 1:
            field = "stream" if body.stream else "n"
            found = [{"field": field, "rule": "one whole completion a request", "value": str(getattr(body, field))}]
            return problem(
                BAD_REQUEST, "NotSupported", f"{field}: only one whole completion a request is served", found
            )
        _check_storable(body)
        route = gateway.routes.resolve(body.model)
        completion_id = f"chatcmpl-{gateway.random_bytes(ID_BYTES).hex()}"
        asked = _asked(gateway, body, route, (completion_id, x_session_id))
        try:
            answer = await _ask(gateway, body, route, x_session_id)
        except _PolicyServerRefused as refused:
            return problem(refused.status, "PolicyServerRefused", refused.words)
        await gateway.send(COMPLETION_SERVED, completion_id, _served(gateway, asked, answer))
        headers = {ADAPTER_HEADER: route.adapter_digest}
        return JSONResponse(answer | {"id": completion_id, "model": route.served_name}, headers=headers)


async def _ask(gateway: Gateway, body: ChatRequest, route: RouteChanged, session_id: str | None) -> dict[str, Any]:
    request = body.model_dump(mode="json", exclude_unset=True, exclude={"n", "stream", "user"}, exclude_none=True)
    request["model"] = route.served_name
    urls = gateway.policy_server_urls
    first = zlib.crc32((session_id or "").encode()) % max(len(urls), 1)  # a conversation stays with one server's cache
    failures = []
    for url in urls[first:] + urls[:first]:
        try:
            response = await gateway.policy_servers.post(f"{url}/v1/chat/completions", json=request)
        except httpx.HTTPError as error:
            failures.append(f"{url}: {error or type(error).__name__}")
            continue
        if response.status_code < 400:
            return _parsed(url, response)
        if response.status_code < 500 and response.status_code != 404:
            raise _PolicyServerRefused(response.status_code, response.text[:SHOWN])
        # A server that was restarted may not have loaded this adapter yet; another one may.
        failures.append(f"{url}: status {response.status_code}")
    raise SamplerUnavailable("; ".join(failures) or "no policy server is configured")


def _parsed(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = response.json()
        # What JSON or UTF-8 cannot spell (NaN, half a surrogate pair) could not be handed on.
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        if isinstance(answer["choices"][0]["message"]["content"], str):
            return answer
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise SamplerUnavailable(f"{url}: its answer is not a chat completion")


def _check_storable(body: ChatRequest) -> None:
    where = unstorable(body.model_dump())
    if where is not None:
        rule = "holds a NUL or half a surrogate pair, which no text store accepts"
        raise InvalidInput(field=where, value="", remedy=rule)


def _asked(gateway: Gateway, body: ChatRequest, route: RouteChanged, ids: tuple[str, str | None]) -> CompletionServed:
    """What will be logged, without its answer."""
    fields = {
        "completion_id": ids[0],
        "policy": route.policy,
        "adapter_digest": route.adapter_digest,
        "conversation_id": ids[1],
        "user_id": body.user,
        "prompt": [message.model_dump() for message in body.messages],
        "completion": "",
        "served_at": gateway.clock.now(),
    }
    try:
        return CompletionServed.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(field="messages", value="", remedy=_rule(error)) from None


def _served(gateway: Gateway, asked: CompletionServed, answer: dict[str, Any]) -> CompletionServed:
    said = {"completion": answer["choices"][0]["message"]["content"], "served_at": gateway.clock.now()}
    try:
        return CompletionServed.model_validate(asked.model_dump() | said)
    except ValidationError as error:
        raise SamplerUnavailable(f"the policy server's answer cannot be logged: {_rule(error)}") from None


def _rule(error: ValidationError) -> str:
    rule = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return rule.removeprefix("prompt: ")


def _card(name: str, route: RouteChanged) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": int(route.at.timestamp()), "owned_by": "plumbline"}
    return card | {"root": route.served_name, "parent": None, "adapter_digest": route.adapter_digest}
