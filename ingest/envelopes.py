"""CloudEvents 1.0 around our messages on Kafka: the JSON format in structured mode, one envelope or a list of them
(cloudevents/spec, formats/json-format.md and bindings/kafka-protocol-binding.md).

An object with `specversion` is an envelope; none of our messages has that field. `type` is the topic's name, with or
without a reverse-DNS prefix of the sender's. In binary mode the record's value is the message itself and the attributes
are headers: such a record is read as any other, and its headers are not looked at.
Left out: other data formats than JSON; filling our fields from the envelope's (`data` is a whole message).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from infra.streams import Incoming
from ingest.steps import Reason
from matrix.results import DeadLetter
from matrix.topics import Topic

SPEC_VERSION = "1.0"
REQUIRED = ("id", "source", "specversion", "type")  # spec.md, "REQUIRED Attributes": each a non-empty string


@dataclass(frozen=True, slots=True)
class Unopened:
    """An envelope that cannot be opened: the attribute and the rule it breaks."""

    field: str
    rule: str


def unwrapped(one: Incoming, topic: Topic) -> tuple[Incoming, DeadLetter | None]:
    """A delivery without its envelope, as if its message had come alone; and why not, where it cannot be opened.

    What is kept of an envelope that stays closed shows its data, so that nothing hides from redaction in base64.
    """
    try:
        return _unwrapped(one, opened(one.value, topic))
    except RecursionError:
        deep = DeadLetter(Reason.MALFORMED, "nested too deep", "decode")
        return replace(one, raw=b"", value=None), deep


def _unwrapped(one: Incoming, found: object) -> tuple[Incoming, DeadLetter | None]:
    if found is one.value:
        return one, None
    if not isinstance(found, Unopened):
        return replace(one, raw=_spelt(found), value=found), None
    envelope = dict(one.value) if isinstance(one.value, Mapping) else {}
    hidden = _decoded(envelope.pop("data_base64", None))
    if hidden is not None and envelope.get("data") is None:
        envelope["data"] = hidden
    data = envelope.get("data")
    inner = data if isinstance(data, Mapping) else envelope
    letter = DeadLetter(Reason.UNKNOWN_ENVELOPE, f"{found.field}: {found.rule}", "decode", found.field)
    return replace(one, raw=_spelt(envelope), value=inner), letter


def _spelt(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def opened(value: object, topic: Topic) -> object | Unopened:
    """What an envelope holds; a value that is no envelope as it is."""
    if not isinstance(value, Mapping) or "specversion" not in value:
        return value
    for name in REQUIRED:
        if not isinstance(value.get(name), str) or not value[name]:
            return Unopened(name, "required: text that is not empty")
    if value["specversion"] != SPEC_VERSION:
        return Unopened("specversion", f"only {SPEC_VERSION} is known")
    if value["type"] != topic.name and not value["type"].endswith(f".{topic.name}"):
        return Unopened("type", f"expected {topic.name} on this topic, or a name that ends with .{topic.name}")
    if not _is_json(value.get("datacontenttype")):
        return Unopened("datacontenttype", "only application/json is read")
    return _data(value)


def _is_json(content_type: object) -> bool:
    if content_type is None:  # spec.md: JSON is implied where an event in JSON says nothing
        return True
    essence = content_type.split(";")[0].strip().lower() if isinstance(content_type, str) else ""
    return essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json"))


def _data(value: Mapping[str, Any]) -> object | Unopened:
    if value.get("data") is not None and value.get("data_base64") is not None:
        return Unopened("data_base64", "either data or data_base64")
    if value.get("data") is not None:
        data: object = value["data"]
        return data
    encoded = value.get("data_base64")
    if not isinstance(encoded, str):
        return Unopened("data", "required: data, or data_base64 as text")
    decoded = _decoded(encoded)
    return Unopened("data_base64", "expected JSON in base64") if decoded is None else decoded


def _decoded(encoded: object) -> object:
    """What JSON in base64 says; None where it is none, or says null, which is no message either."""
    if not isinstance(encoded, str):
        return None
    try:
        found: object = json.loads(base64.b64decode(encoded, validate=True), parse_constant=_refuse_constant)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
