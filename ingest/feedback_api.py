"""The hot routes: feedback one at a time and in batches, acknowledged by Kafka before they are answered.

They are written on bytes and headers alone, so that `infra.direct` can answer them without the ASGI round; the same
functions answer them as ordinary routes, which also gives them their page in the OpenAPI document. A broker that is
away answers 503 with Retry-After and the client sends again: under the id that it gave, or that the answer names as
`feedback_id`, an event counts once however often it is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from infra.access import AccessKeys, Principal, Scope, ensure_scope
from infra.direct import Call, Direct, Headers, Reply, Together
from infra.http import Refusal, Words, authenticate, invalid, problem, refusal_of
from infra.limits import RateLimits
from ingest import reading
from ingest.feedback_schema import BATCH, ONE
from ingest.gateway import Gateway
from ingest.intake import Intake, Status
from ingest.offers import Offer, Offers, is_big
from ingest.reading import Unreadable
from ingest.steps import Key
from ingest.tensorzero import FeedbackRequest
from matrix.errors import PlumblineError, Transient

log = logging.getLogger(__name__)

OK, ACCEPTED, FAULT = 200, 202, 500
VALID = "valid"  # a dryrun
AT_ONCE = 25  # events of a batch between two looks at other requests
Singles = Callable[[list[Call[reading.Credentials]]], None]  # answers what arrived in one turn of the loop
Result = Status | PlumblineError | None  # None: a dryrun that is valid


class FeedbackDoor:
    """Answers the hot routes; raises nothing."""

    def __init__(self, gateway: Gateway, intake: Intake, keys: AccessKeys, limits: RateLimits, words: Words) -> None:
        self._gateway, self._intake, self._keys, self._limits, self._words = gateway, intake, keys, limits, words
        self._offers = Offers(gateway.privacy)

    async def one(self, headers: Headers, body: bytes) -> Reply:
        """POST /v1/feedback."""
        key, idempotency_key = reading.credentials(headers)
        try:
            principal = await self._admitted(key)
            self._limits.take(principal.key_id, tenant=principal.tenant)
        except Exception as error:  # noqa: BLE001 - what is hot is outside of the application's own net
            return self.failed(error, None)
        return await self.of(principal, idempotency_key, body)

    async def of(self, principal: Principal, idempotency_key: str | None, body: bytes) -> Reply:
        """The same of a principal that was let in."""
        event_id = None
        try:
            request = reading.read_one(body)
            named = reading.event_id(request.id, idempotency_key)
            event_id = named or self._gateway.new_id()
            offer = await self._offer(request, (principal.tenant, event_id), is_named=named is not None)
            result: Result = None if request.dryrun else (await self._intake.take([offer]))[0]
        except Exception as error:  # noqa: BLE001 - as above
            return self.failed(error, event_id)
        if isinstance(result, PlumblineError):
            return self.failed(result, event_id)
        return Reply(OK, told(event_id, VALID)) if result is None else Reply(ACCEPTED, told(event_id, result))

    def failed(self, error: Exception, event_id: str | None) -> Reply:
        """What is answered for one event that is not acknowledged."""
        if isinstance(error, PlumblineError):
            return self._refused(error, {} if event_id is None else {"feedback_id": event_id})
        log.error("request broke", exc_info=error)
        return _reply(problem(FAULT, "InternalError", "this is a fault of the server; its log says more"), {})

    async def batch(self, headers: Headers, body: bytes) -> Reply:
        """POST /v1/feedback/batch."""
        try:
            principal = await self._admitted(reading.credentials(headers)[0])
            self._limits.take(principal.key_id, tenant=principal.tenant)  # what cannot be read costs work as well
            requests = reading.read_batch(body)
            self._limits.take_more(principal.key_id, max(len(requests) - 1, 0), tenant=principal.tenant)
            ids, results = await self._take_all(requests, principal)
        except Exception as error:  # noqa: BLE001 - as above
            return self.failed(error, None)
        rows = {"results": [self._result(*one) for one in zip(ids, results, strict=True)]}
        # One that is not acknowledged makes the whole be sent again: what is acknowledged counts once all the same.
        lost = next((result for result in results if isinstance(result, Transient)), None)
        return Reply(OK, json.dumps(rows).encode()) if lost is None else self._refused(lost, rows)

    async def _take_all(
        self, requests: Sequence[FeedbackRequest | Unreadable], principal: Principal
    ) -> tuple[list[str | None], list[Result]]:
        ids: list[str | None] = []
        results: list[Result] = []
        offers: dict[int, Offer] = {}
        for index, request in enumerate(requests):
            event_id: str | None = None
            result: Result = None
            if isinstance(request, Unreadable):
                result = request
            else:
                event_id = request.id or self._gateway.new_id()
                try:
                    offer = await self._offer(request, (principal.tenant, event_id), is_named=request.id is not None)
                    if not request.dryrun:
                        offers[index] = offer
                except PlumblineError as error:
                    result = error
            ids.append(event_id)
            results.append(result)
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        for index, taken in zip(offers, await self._intake.take(list(offers.values())), strict=True):
            results[index] = taken
        return ids, results

    async def _admitted(self, key: str | None) -> Principal:
        principal = await authenticate(self._keys, key)
        ensure_scope(principal, Scope.FEEDBACK)
        return principal

    async def _offer(self, request: FeedbackRequest, key: Key, *, is_named: bool) -> Offer:
        now = self._gateway.clock.now()
        if is_big(request):
            return await asyncio.to_thread(self._offers.make, request, key, now, is_named=is_named)
        return self._offers.make(request, key, now, is_named=is_named)

    def _refusal(self, error: PlumblineError) -> Refusal:
        return invalid(error.found, self._words) if isinstance(error, Unreadable) else refusal_of(error, self._words)

    def _refused(self, error: PlumblineError, more: dict[str, Any]) -> Reply:
        told = self._refusal(error)
        if told.status >= FAULT:
            log.warning("event is not acknowledged", extra={"error": told.title, "reason": told.detail})
        return _reply(problem(told.status, told.title, told.detail, told.errors, told.retry_after_s), more)

    def _result(self, event_id: str | None, result: Result) -> dict[str, Any]:
        if not isinstance(result, PlumblineError):
            return _row(event_id, result)
        told = self._refusal(result)
        status = "try_again" if isinstance(result, Transient) else "refused"
        said = {"code": told.status, "title": told.title, "detail": told.detail, "errors": told.errors}
        return {"feedback_id": event_id, "status": status} | said


def _row(event_id: str | None, result: Status | None) -> dict[str, Any]:
    return {"feedback_id": event_id, "status": VALID if result is None else result.value}


def _reply(response: JSONResponse, more: dict[str, Any]) -> Reply:
    body = bytes(response.body)
    if more:
        body = json.dumps(json.loads(body) | more).encode()
    headers = {name: response.headers[name] for name in ("retry-after", "www-authenticate") if name in response.headers}
    return Reply(response.status_code, body, str(response.media_type), headers)


def told(event_id: str, status: str) -> bytes:
    """What is answered for one event that fits."""
    return f'{{"feedback_id":{encode_basestring_ascii(event_id)},"status":"{status}"}}'.encode()


def add_routes(api: FastAPI, door: FeedbackDoor, singles: Singles, *, max_body_bytes: int) -> None:
    """As hot routes and as ordinary ones."""

    @api.post("/v1/feedback", **ONE)
    @api.post("/feedback", **ONE)
    async def give_feedback(request: Request) -> Response:
        """Take one thing that one person said about one completion.

        The names are TensorZero's. `id`, or the header Idempotency-Key, makes a repeated send harmless; the same id
        with another body is refused. Feedback may come before the completion that it speaks of, and waits for it.
        """
        return _response(await door.one(request.scope["headers"], await request.body()))

    @api.post("/v1/feedback/batch", **BATCH)
    async def give_feedback_batch(request: Request) -> Response:
        """Take up to 1,000 events; each is answered for itself, in order, and a bad one costs no other.

        503 where any of them is not acknowledged: send the whole batch again, each event counts once under its id.
        """
        return _response(await door.batch(request.scope["headers"], await request.body()))

    together = Together(reading.credentials, singles)
    singly = {b"/v1/feedback": together, b"/feedback": together}
    api.state.direct = Direct({b"/v1/feedback/batch": door.batch}, max_body_bytes, singly)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers or {}), reply.media_type)
