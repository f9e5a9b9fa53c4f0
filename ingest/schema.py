"""JSON Schema (2020-12) of what a Kafka record of a topic may hold: one message, a list of them, or CloudEvents.

Made from the models, with what they check in code beside the types: which kind of feedback carries what, the years that
are believed, no NUL. Left out, because JSON Schema cannot say it: a preference is between two different completions,
the size of prompt and completion together, half surrogate pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from matrix.messages.base import MAX_RECORD_BYTES, Message
from matrix.messages.feedback import CARRIES, FeedbackKind
from matrix.topics import COMPLETION_SERVED, FEEDBACK_DEAD, FEEDBACK_RECEIVED, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: Mapping[str, Topic] = {"feedback": FEEDBACK_RECEIVED, "completion": COMPLETION_SERVED}
OURS: Mapping[str, Topic] = {"dead-letter": FEEDBACK_DEAD}  # read by others, written by the worker alone
NAMES = (*PUBLISHED, *OURS)
# FIRST_YEAR and LAST_YEAR of matrix.messages.base, then RFC 3339 with a zone: `format` alone is only a note.
MOMENT = (
    r"^2(0(0[1-9]|[1-9][0-9])|1[0-9][0-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
NO_NUL = r"^[^\u0000]*$"


def of(name: str) -> dict[str, Any]:
    """The schema of a record: `feedback` and `completion` as publishers may send them, `dead-letter` as it is read."""
    topic = PUBLISHED.get(name) or OURS[name]
    payload = topic.payload.__name__
    definitions = _definitions(topic.payload)
    head = {"$schema": DIALECT, "$id": f"urn:plumbline:{topic.name}", "title": f"A record of {topic.name}"}
    message: dict[str, Any] = {"$ref": f"#/$defs/{payload}"}
    if name in OURS:
        return head | message | {"$defs": definitions}
    definitions |= {"CloudEvent": _cloud_event(topic, message), "Entry": {"anyOf": [message, _ref("CloudEvent")]}}
    entries = {"type": "array", "items": _ref("Entry"), "minItems": 1}
    limit = f"UTF-8 JSON, {MAX_RECORD_BYTES} bytes at most, keyed by {topic.key}."
    return head | {"description": limit, "anyOf": [_ref("Entry"), entries], "$defs": definitions}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _definitions(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema()
    definitions: dict[str, Any] = schema.pop("$defs", {})
    if model is FEEDBACK_RECEIVED.payload:
        schema["allOf"] = [_rule(kind) for kind in FeedbackKind]
    definitions[model.__name__] = schema
    stricter: dict[str, Any] = _stricter(definitions)
    return stricter


def _stricter(schema: Any) -> Any:
    """What pydantic checks in code, said in the schema."""
    if isinstance(schema, list):
        return [_stricter(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _stricter(part) for name, part in schema.items() if name != "patternProperties"}
    if schema.get("format") == "date-time":
        found["pattern"] = MOMENT
    elif schema.get("type") == "string" and not {"pattern", "enum", "const"} & schema.keys():
        found["pattern"] = NO_NUL
    if "patternProperties" in schema:  # of a mapping whose keys have one pattern: other keys would pass unseen
        ((pattern, values),) = schema["patternProperties"].items()
        found |= {"additionalProperties": _stricter(values), "propertyNames": schema["propertyNames"]}
        found["propertyNames"] |= {"pattern": pattern}
    return found


def _rule(kind: FeedbackKind) -> dict[str, Any]:
    carried = CARRIES[kind]._asdict()
    needed = [name for name, needs in carried.items() if needs]
    properties: dict[str, Any] = {
        name: {"not": {"type": "null"}} if needs else {"type": "null"} for name, needs in carried.items()
    }
    if kind is FeedbackKind.THUMB:
        properties["value"] = {"type": "boolean"}
    elif kind is FeedbackKind.RATING:
        properties["value"] = {"type": "number", "minimum": 1, "maximum": 5}
    elif kind is FeedbackKind.REPORT:
        del properties["text"]  # a report may say more in words
    then = {"properties": properties} | ({"required": needed} if needed else {})
    return {"if": {"properties": {"kind": {"const": kind.value}}, "required": ["kind"]}, "then": then}


def _cloud_event(topic: Topic, message: dict[str, Any]) -> dict[str, Any]:
    said = {"type": "string", "minLength": 1}
    packed = {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/json"}
    return {
        "title": "CloudEvent",
        "description": "CloudEvents 1.0 in structured mode; extension attributes are not looked at.",
        "type": "object",
        "properties": {
            "id": said,
            "source": said,
            "specversion": {"const": "1.0"},
            "type": {"type": "string", "pattern": rf"^(.+\.)?{re.escape(topic.name)}$"},
            "datacontenttype": {"type": "string", "pattern": r"^application/([^;]+\+)?json *(;.*)?$"},
            "data": message,
            "data_base64": packed | {"contentSchema": message},
        },
        "required": ["id", "source", "specversion", "type"],
        "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    }
