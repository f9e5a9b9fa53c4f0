"""What the HTTP sides of all stages share: keys, body limits, and errors as problem details (RFC 9457).

A refusal names the field, the value and the rule; nothing that escapes becomes a traceback on the wire.
The table STATUS is the only place where an exception's type becomes a code.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from infra.access import AccessKeys, Principal, Scope, ensure_scope
from matrix import errors

log = logging.getLogger(__name__)

STATUS: dict[type[errors.PlumblineError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.MessageTooLarge: 413,
    errors.AccessDenied: 403,
    errors.ApprovalRefused: 403,
    errors.IllegalTransition: 409,
    errors.GateNotPassed: 409,
    errors.ApprovalVoid: 409,
    errors.ServingNotProven: 409,
    errors.Transient: 503,
    errors.Permanent: 500,
}
RETRY_AFTER_S = 2
SHOWN = 120  # characters of a refused value that the answer repeats


def status_of(error: errors.PlumblineError) -> int:
    """The code of the nearest listed ancestor."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def make_api(title: str, *, keys: AccessKeys, max_body_bytes: int = 1 << 20) -> FastAPI:
    """An application with /health, keys, a body limit and problem details."""
    app = FastAPI(title=title, docs_url="/docs", redoc_url=None)
    app.state.keys = keys
    app.add_middleware(BodyLimit, max_body_bytes=max_body_bytes)
    app.add_exception_handler(errors.PlumblineError, _on_plumbline_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_anything_else)

    @app.get("/health", tags=["health"])
    async def health() -> dict[str, str]:
        """Ready to answer."""
        return {"status": "ok"}

    return app


_bearer = HTTPBearer(auto_error=False)


def require(scope: Scope) -> Callable[..., Principal]:
    """A dependency: the caller, whose key must carry `scope`."""

    def authenticated(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        keys: AccessKeys = request.app.state.keys
        principal = keys.authenticate(credentials.credentials if credentials else None)
        ensure_scope(principal, scope)
        return principal

    return authenticated


def problem(status: int, title: str, detail: str, found: list[dict[str, Any]] | None = None) -> JSONResponse:
    """RFC 9457 problem details; `errors` lists field, rule and value."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": found or []}
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _Problem(body, status_code=status, headers=headers)


class _Problem(JSONResponse):
    """In ASCII: a refused body may hold half a surrogate pair, which UTF-8 cannot spell."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True).encode()


async def _on_plumbline_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.PlumblineError):  # registered for this type; Starlette's signature is wider
        raise error
    status = 401 if isinstance(error, errors.AccessDenied) and error.scope == "any" else status_of(error)
    found = []
    if isinstance(error, errors.InvalidInput):
        found = [{"field": error.field, "rule": error.remedy, "value": repr(error.value)[:SHOWN]}]
    if status >= 500:
        log.warning("request failed", extra={"error": type(error).__name__, "reason": str(error)})
    return problem(status, type(error).__name__, str(error), found)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    found = validation_errors(error.errors() if isinstance(error, RequestValidationError) else [])
    where = ", ".join(entry["field"] for entry in found) or "body"
    malformed = any(entry["rule"].startswith("JSON") for entry in found)
    return problem(400 if malformed else 422, "InvalidInput", f"not accepted: {where}", found)


def validation_errors(found: Any) -> list[dict[str, Any]]:
    """Pydantic's findings as field, rule and value."""
    rows = []
    for entry in found:
        where = [str(part) for part in entry["loc"] if part not in ("body", "query", "path", "header")]
        rule, field = str(entry["msg"]).removeprefix("Value error, "), ".".join(where)
        if not field and ": " in rule:  # our own validators name the field themselves
            field, rule = rule.split(": ", 1)
        value = entry.get("input")
        shown = "" if isinstance(value, dict | list) else repr(value)[:SHOWN]
        rows.append({"field": field or "body", "rule": rule, "value": shown})
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


def _refusal(answer: httpx.Response) -> errors.PlumblineError:
    try:
        body = answer.json()
        title, detail = str(body["title"]), str(body["detail"])
        named = "; ".join(f"{entry['field']}: {entry['rule']}" for entry in body.get("errors", []))
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status_code, f"HTTP {answer.status_code}", answer.text[:200])
    if answer.status_code == 503:
        return errors.Transient(f"{title}: {detail}")
    return Refused(answer.status_code, title, f"{detail} ({named})" if named else detail)
