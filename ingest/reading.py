"""What a request to the feedback routes says: bodies and headers in, requests or refusals out; nothing is sent here.

A body is parsed and checked in one pass. What does not fit is gone over again, slower, to say which event, which
field and which rule; so of a thousand events one bad one costs itself and not its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from infra.direct import Headers
from ingest.tensorzero import FeedbackRequest
from matrix.errors import InvalidInput, PlumblineError
from matrix.messages.base import Identifier, Value

MOST_EVENTS = 1000
LIST_RULE = f'a list of at most {MOST_EVENTS} events, or {{"events": [...]}}'
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
_LIST: TypeAdapter[list[FeedbackRequest]] = TypeAdapter(list[FeedbackRequest])


class _Batch(Value):
    events: list[FeedbackRequest] = Field(max_length=MOST_EVENTS)


class Credentials(NamedTuple):
    """What the headers of a request say."""

    key: str | None  # the bearer's
    idempotency_key: str | None


class Unreadable(PlumblineError):
    """A body or an event that does not fit, as pydantic found it."""

    def __init__(self, found: Sequence[dict[str, Any]]) -> None:
        self.found = found
        super().__init__("not accepted")


def credentials(headers: Headers) -> Credentials:
    """The bearer's key and the Idempotency-Key, where they are sent."""
    key = idempotency_key = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, sent = value.decode("latin-1").partition(" ")
            key = sent.strip() if scheme.lower() == "bearer" else None
        elif name == b"idempotency-key":
            idempotency_key = value.decode("latin-1")
    return Credentials(key, idempotency_key)


def event_id(in_body: str | None, header: str | None) -> str | None:
    """The id that the sender gave. InvalidInput where it gave two, or one that is none."""
    if header is None:
        return in_body
    if in_body not in (None, header):
        raise InvalidInput(field="id", value=in_body, remedy="the same as the header Idempotency-Key, or left out")
    try:
        return _IDENTIFIER.validate_python(header)
    except ValidationError:
        raise InvalidInput(field="Idempotency-Key", value=header, remedy="1 to 128 printable characters") from None


def read_one(body: bytes) -> FeedbackRequest:
    """Unreadable says what does not fit."""
    try:
        return FeedbackRequest.model_validate_json(body)
    except ValidationError:
        return _read(parsed(body))


def read_batch(body: bytes) -> list[FeedbackRequest | Unreadable]:
    """In order. InvalidInput where it is no list of events, or too long a one."""
    try:
        fast = _LIST.validate_json(body) if body[:1] == b"[" else _Batch.model_validate_json(body).events
    except ValidationError:
        return [_tried(one) for one in _listed(parsed(body))]
    return list(_listed(fast))


def parsed(body: bytes) -> Any:
    """JSON as Python reads it; Unreadable with the place of the fault where it is none."""
    try:
        return json.loads(body)
    except RecursionError:
        rule = "JSON nested too deep"
    except UnicodeDecodeError:
        rule = "JSON in UTF-8"
    except json.JSONDecodeError as error:
        rule = f"JSON decode error at character {error.pos} ({error.msg})"
    except ValueError:
        rule = "JSON with a number of too many digits"
    raise Unreadable([{"loc": (), "msg": rule, "input": None}])


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict) and value.keys() == {"events"}:
        value = value["events"]
    if not isinstance(value, list) or len(value) > MOST_EVENTS:
        raise InvalidInput(field="events", value=None, remedy=LIST_RULE)
    return value


def _tried(value: Any) -> FeedbackRequest | Unreadable:
    try:
        return _read(value)
    except Unreadable as error:
        return error


def _read(value: Any) -> FeedbackRequest:
    try:
        return FeedbackRequest.model_validate(value)
    except ValidationError as error:
        raise Unreadable(_findings(error)) from None
    except RecursionError:
        raise Unreadable([{"loc": (), "msg": "JSON nested too deep", "input": None}]) from None


def _findings(error: ValidationError) -> list[dict[str, Any]]:
    """One for each field: the members of a union would each say what it is not."""
    found: dict[tuple[int | str, ...], dict[str, Any]] = {}
    for entry in error.errors(include_url=False, include_context=False):
        where = entry["loc"][: 2 if entry["loc"][:1] == ("tags",) else 1]
        rule = "true, false, a number, text or null" if where == ("value",) else entry["msg"]
        found.setdefault(where, {"loc": where, "msg": rule, "input": entry["input"]})
    return list(found.values())
