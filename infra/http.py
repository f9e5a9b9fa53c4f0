"""What the HTTP sides of all stages share: keys, body limits, and errors as problem details (RFC 9457).

A refusal names the field, the value and the rule; nothing that escapes becomes a traceback on the wire.
The table STATUS is the only place where an exception's type becomes a code.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from infra.access import FORM, AccessKeys, Principal, Scope, ensure_scope
from infra.api_page import page
from infra.limits import RateLimits
from matrix import errors
from matrix.validation import named

log = logging.getLogger(__name__)

STATUS: dict[type[errors.PlumblineError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.MessageTooLarge: 413,
    errors.AccessDenied: 403,
    errors.IdConflict: 409,
    errors.Overloaded: 429,
    errors.ApprovalRefused: 403,
    errors.IllegalTransition: 409,
    errors.GateNotPassed: 409,
    errors.ApprovalVoid: 409,
    errors.ServingNotProven: 409,
    errors.Transient: 503,
    errors.Permanent: 500,
}
RETRY_AFTER_S = 2
KEY_PATIENCE_S = 2.0  # whether a key that was good lately still is
NEW_KEY_PATIENCE_S = 10.0  # without an answer nobody can be let in: worth a longer wait than a refusal
SHOWN = 120  # characters of a refused value that the answer repeats


def _shortened(_field: str, value: object) -> str:
    return "" if isinstance(value, dict | list) else repr(value)[:SHOWN]


@dataclass(frozen=True, slots=True)
class Words:
    """What a refusal may repeat of what it was sent: of a field's value, and of a sentence that may hold some."""

    value: Callable[[str, object], str] = _shortened
    sentence: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it is told over HTTP."""

    status: int
    title: str
    detail: str
    errors: list[dict[str, Any]]
    retry_after_s: float | None = None


def refusal_of(error: errors.PlumblineError, words: Words) -> Refusal:
    """Code, title, sentence and findings; nothing that `words` would not repeat."""
    status = 401 if isinstance(error, errors.AccessDenied) and error.scope == "any" else status_of(error)
    found, detail = [], words.sentence(str(error))
    if isinstance(error, errors.InvalidInput):
        field, value = words.sentence(error.field), words.value(error.field, error.value)
        found = [{"field": field, "rule": error.remedy, "value": value}]
        detail = f"{field}: {value}: {error.remedy}" if value else f"{field}: {error.remedy}"
    elif isinstance(error, errors.IdConflict):
        found = [{"field": error.field, "rule": "not taken by another body", "value": ""}]
    after_s = error.retry_after_s if isinstance(error, errors.Overloaded) else None
    return Refusal(status, type(error).__name__, detail, found, after_s)


def status_of(error: errors.PlumblineError) -> int:
    """The code of the nearest listed ancestor."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def make_api(
    title: str,
    *,
    keys: AccessKeys,
    max_body_bytes: int = 1 << 20,
    limits: RateLimits | None = None,
    words: Words = Words(),
) -> FastAPI:
    """An application with /health, keys, a body limit, problem details and, where asked for, limits per key."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None)
    app.state.keys, app.state.limits, app.state.words = keys, limits, words
    app.add_middleware(BodyLimit, max_body_bytes=max_body_bytes)
    app.add_exception_handler(errors.PlumblineError, _on_plumbline_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_anything_else)

    @app.get("/health", tags=["health"])
    async def health() -> dict[str, str]:
        """Ready to answer."""
        return {"status": "ok"}

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    return app


bearer = HTTPBearer(auto_error=False)


def require(scope: Scope, *others: Scope) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the caller, whose key must carry `scope` (or one of the others) and may not send too fast."""

    async def authenticated(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Principal:
        state = request.app.state
        principal = await authenticate(state.keys, credentials.credentials if credentials else None)
        if not principal.scopes.intersection(others):
            ensure_scope(principal, scope)
        if state.limits is not None:
            state.limits.take(principal.key_id, tenant=principal.tenant)
        return principal

    return authenticated


async def authenticate(keys: AccessKeys, key: str | None) -> Principal:
    """Whose key this is; the database is asked in a thread, by one request for all that come with a key seen lately."""
    principal = keys.remembered(key) if key else None
    if principal is not None:
        return principal
    if key is None or FORM.fullmatch(key) is None:
        return keys.authenticate(key)  # which refuses it without asking
    principal = keys.believed(key)
    patience_s = NEW_KEY_PATIENCE_S if principal is None else KEY_PATIENCE_S
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(keys.check_soon(key))), patience_s)
    except (TimeoutError, errors.DatabaseUnavailable) as error:
        if principal is None:
            reason = str(error) or f"no answer about the key within {patience_s:g} s"
            raise errors.DatabaseUnavailable(reason) from None
    return principal


def problem(
    status: int,
    title: str,
    detail: str,
    found: list[dict[str, Any]] | None = None,
    retry_after_s: float | None = None,
) -> JSONResponse:
    """RFC 9457 problem details; `errors` lists field, rule and value."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": found or []}
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(math.ceil(retry_after_s or RETRY_AFTER_S))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _Problem(body, status_code=status, headers=headers)


class _Problem(JSONResponse):
    """In ASCII: a refused body may hold half a surrogate pair, which UTF-8 cannot spell."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True).encode()


async def _on_plumbline_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.PlumblineError):  # registered for this type; Starlette's signature is wider
        raise error
    told = refusal_of(error, request.app.state.words)
    if told.status >= 500:
        log.warning("request failed", extra={"error": told.title, "reason": told.detail})
    return problem(told.status, told.title, told.detail, told.errors, told.retry_after_s)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    told = invalid(error.errors() if isinstance(error, RequestValidationError) else [], request.app.state.words)
    return problem(told.status, told.title, told.detail, told.errors)


def invalid(found: Any, words: Words) -> Refusal:
    """Pydantic's findings as a refusal: 400 for what is not JSON, 422 for JSON that does not fit."""
    rows = validation_errors(found, words)
    where = ", ".join(row["field"] for row in rows) or "body"
    malformed = any(row["rule"].startswith(("JSON", "Invalid JSON")) for row in rows)
    return Refusal(400 if malformed else 422, "InvalidInput", f"not accepted: {where}", rows)


def validation_errors(found: Any, words: Words = Words()) -> list[dict[str, Any]]:
    """Pydantic's findings as field, rule and value."""
    rows = []
    for entry in found:
        place = [part for part in entry["loc"] if part not in ("body", "query", "path", "header")]
        where, rule = named(place, str(entry["msg"]))
        field = ".".join(map(str, where)) or "body"
        rows.append({"field": words.sentence(field), "rule": rule, "value": words.value(field, entry.get("input"))})
    return rows


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, "HTTPError", str(error.detail))


async def _on_anything_else(_: Request, error: Exception) -> JSONResponse:
    log.error("request broke", exc_info=error)
    return problem(500, "InternalError", "this is a fault of the server; its log says more")


class BodyLimit:
    """Refuses a body over the limit before it is read whole; chunked ones as soon as they pass it."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app, self._limit = app, max_body_bytes

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, self._reason())
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await problem(413, "BodyTooLarge", self._reason())(scope, receive, send)

    def _reason(self) -> str:
        return f"the body is over the limit of {self._limit} bytes; send less at once"


class ApiClient:
    """Speaks to one of our HTTP sides from a command; problem details become the exception they name."""

    def __init__(self, base_url: str, key: str | None, *, timeout_s: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def get(self, path: str, **query: str) -> Any:
        """Parsed JSON."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Any = None) -> Any:
        """Parsed JSON."""
        return self._call("POST", path, json=body)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.InvalidURL as error:  # a name that no path can hold
            raise errors.InvalidInput(field="path", value=path, remedy=str(error)) from error
        except httpx.HTTPError as error:
            raise errors.Transient(f"{self._client.base_url}: {error}; is it running?") from error
        if not answer.is_success:
            raise _refusal(answer)
        try:
            return answer.json()
        except ValueError:
            raise Refused(answer.status_code, "NotOurs", f"{self._client.base_url} does not answer in JSON") from None


class Refused(errors.Permanent):
    """The server refused; its own words."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(f"{title}: {detail}")


class RefusedByRule(Refused, errors.Declined):
    """The server understood, and a rule stands against it."""


def _refusal(answer: httpx.Response) -> errors.PlumblineError:
    try:
        body = answer.json()
        title, detail = str(body["title"]), str(body["detail"])
        named = "; ".join(f"{entry['field']}: {entry['rule']}" for entry in body.get("errors", []))
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status_code, f"HTTP {answer.status_code}", answer.text[:200])
    if answer.status_code in (429, 503):
        return errors.Transient(f"{title}: {detail}")
    by_rule = answer.status_code in (403, 409) and title != errors.AccessDenied.__name__  # a wrong key is no verdict
    kind = RefusedByRule if by_rule else Refused
    return kind(answer.status_code, title, f"{detail} ({named})" if named else detail)
