"""The OpenAPI page of the hot routes, which check their bodies themselves: schemas, examples, every answer."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, params
from pydantic import BaseModel

from infra.http import bearer
from ingest.intake import Status
from ingest.reading import MOST_EVENTS
from ingest.tensorzero import FeedbackRequest

THUMB = {
    "metric_name": "thumbs",
    "inference_id": "chatcmpl-8f0c",
    "value": True,
    "id": "click-4711",
    "tags": {"user_id": "u1"},
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "thumbs": THUMB,
    "rating": {"metric_name": "rating", "inference_id": "chatcmpl-8f0c", "value": 4},
    "demonstration": {"metric_name": "demonstration", "inference_id": "chatcmpl-8f0c", "value": "Yes, with food."},
    "comment": {"metric_name": "comment", "inference_id": "chatcmpl-8f0c", "value": "Clear, but too long."},
    "regenerate": {"metric_name": "regenerate", "inference_id": "chatcmpl-8f0c", "value": None},
    "report": {"metric_name": "report", "inference_id": "chatcmpl-8f0c", "value": None, "category": "unsafe_advice"},
    "copy": {"metric_name": "copy", "inference_id": "chatcmpl-8f0c"},
    "abandon": {"metric_name": "abandon", "inference_id": "chatcmpl-8f0c"},
    "preference": {"metric_name": "preference", "inference_id": "chatcmpl-8f0c", "value": "chatcmpl-8f0d"},
    "follow_up": {"metric_name": "follow_up", "inference_id": "chatcmpl-8f0c", "value": "And for children?"},
}
_FINDING = {
    "type": "object",
    "required": ["field", "rule", "value"],
    "properties": {name: {"type": "string"} for name in ("field", "rule", "value")},
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": _FINDING},
        "feedback_id": {"type": ["string", "null"], "description": "send again under this id"},
    },
}
TAKEN: dict[str, Any] = {
    "type": "object",
    "required": ["feedback_id", "status"],
    "properties": {"feedback_id": {"type": "string"}, "status": {"enum": [one.value for one in Status]}},
}
VALID: dict[str, Any] = TAKEN | {"properties": TAKEN["properties"] | {"status": {"const": "valid"}}}
REFUSED: dict[str, Any] = {
    "type": "object",
    "required": ["feedback_id", "status", "code", "title", "detail", "errors"],
    "properties": PROBLEM["properties"] | {"status": {"enum": ["refused", "try_again"]}, "code": {"type": "integer"}},
}
RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": {"anyOf": [TAKEN, VALID, REFUSED]}}},
}
REFUSALS = {
    400: "not JSON",
    401: "no key, or an unknown one",
    403: "a key without the scope",
    404: "nothing has this name",
    409: "the id is taken by another body",
    413: "over the limit of a body",
    422: "a field that does not fit; `errors` names it and the rule",
    429: "too fast, or too much is waiting; Retry-After says for how long",
    503: "not acknowledged: send it again under the same id",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the event's id, where the body has none",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON Schema without references, which would lead elsewhere inside an OpenAPI document."""
    schema = model.model_json_schema()
    return dict(_resolved(schema, schema.pop("$defs", {})))


def _resolved(value: Any, named: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return _resolved(named[value["$ref"].rpartition("/")[2]], named)
        return {name: _resolved(part, named) for name, part in value.items()}
    return [_resolved(part, named) for part in value] if isinstance(value, list) else value


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Responses in problem details (RFC 9457)."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {code: {"description": REFUSALS[code], "content": content} for code in codes}


def json_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """A required body of a route that reads it itself."""
    shown = {name: {"value": example} for name, example in examples.items()}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}


def _answer(schema: dict[str, Any], description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


_REQUEST = inlined(FeedbackRequest)
_KEY: list[params.Depends] = [Depends(bearer)]  # for the document: the routes look for the key themselves
ONE: dict[str, Any] = {
    "status_code": 202,
    "tags": ["feedback"],
    "dependencies": _KEY,
    "responses": {
        200: _answer(VALID, "a dryrun: it would be taken", {"feedback_id": "click-4711", "status": "valid"}),
        202: _answer(TAKEN, "durable", {"feedback_id": "click-4711", "status": "matched"}),
        **problems(400, 401, 403, 409, 413, 422, 429, 503),
    },
    "openapi_extra": {"requestBody": json_body(_REQUEST, EXAMPLES), "parameters": [_IDEMPOTENCY_KEY]},
}
_EVENTS = {"type": "array", "maxItems": MOST_EVENTS, "items": _REQUEST}
_BATCH = {
    "anyOf": [
        _EVENTS,
        {"type": "object", "required": ["events"], "properties": {"events": _EVENTS}, "additionalProperties": False},
    ]
}
BATCH: dict[str, Any] = {
    "status_code": 200,
    "tags": ["feedback"],
    "dependencies": _KEY,
    "responses": {
        200: _answer(
            RESULTS,
            "an answer for each event, in order",
            {"results": [{"feedback_id": "click-4711", "status": "pending_match"}]},
        ),
        **problems(400, 401, 403, 413, 422, 429, 503),
    },
    "openapi_extra": {"requestBody": json_body(_BATCH, {"list": [THUMB], "object": {"events": [THUMB]}})},
}
