"""Connectors that a deployment declares: which field of a foreign JSON payload is which of ours, in TOML.

    [zendesk]                                   # POST /v1/connect/zendesk
    items = "events"                            # where the list is; left out, the payload is one item or a list
    [zendesk.fields]
    kind = { constant = "thumb" }
    completion_id = { path = "detail.custom_fields.completion_id" }
    value = { path = "event.current", map = { good = true, bad = false } }
    text = { path = "detail.comment", required = false }

A field takes its value from a dotted `path` (a number is a place in a list) or a `constant`. `map` turns listed values
into ours and refuses others; `scale = [0, 10]` brings a number to the rating's 1 to 5. Times are ISO 8601 or seconds
since 1970. Without `event_id` an event is known by what the mapping took. The file is checked whole when it is loaded.
Left out: conditions and computed values; a sender whose payloads need them is a connector in code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from ingest.connectors.items import Connector, Delivery, Message, Outcome, Refused, at, each, made, said
from matrix.errors import InvalidInput
from matrix.messages.feedback import CARRIES, FeedbackEvent, FeedbackKind

Scalar = bool | int | float | str
Path_ = Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=256)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
PLAIN = (
    "event_id", "completion_id", "kind", "value", "text", "category", "rejected_completion_id", "user_id",
    "occurred_at", "consent",
)  # fmt: skip
AS_TEXT = ("event_id", "completion_id", "rejected_completion_id", "user_id")  # others number what we name
LOWEST, HIGHEST = 1, 5
TAG = "tags."


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FieldMapping(_Declared):
    """Where one of our fields comes from."""

    path: Path_ | None = None
    constant: Scalar | None = None
    map: dict[str, Scalar] | None = Field(default=None, min_length=1)
    scale: tuple[float, float] | None = None
    required: bool = True

    @model_validator(mode="before")
    @classmethod
    def _scale_is_a_list_in_toml(cls, found: Any) -> Any:
        if isinstance(found, dict) and isinstance(found.get("scale"), list):
            return found | {"scale": tuple(found["scale"])}
        return found

    @model_validator(mode="after")
    def _has_one_source(self) -> FieldMapping:
        if (self.path is None) == (self.constant is None):
            raise ValueError("either path or constant")
        if self.constant is not None and (self.map or self.scale):
            raise ValueError("a constant takes neither map nor scale")
        if self.map and self.scale:
            raise ValueError("map or scale, not both")
        if self.scale and not self.scale[0] < self.scale[1]:
            raise ValueError("scale: two numbers, the lowest first")
        return self


class WebhookMapping(_Declared):
    """One declared connector."""

    items: Path_ | None = None
    fields: dict[str, FieldMapping]

    @model_validator(mode="after")
    def _names_what_events_have(self) -> WebhookMapping:
        for name, field in self.fields.items():
            if name not in PLAIN and not (name.startswith(TAG) and len(name) > len(TAG)):
                raise ValueError(f"fields.{name}: one of {', '.join(PLAIN)} or tags.<name>")
            if field.scale and name != "value":
                raise ValueError(f"fields.{name}.scale: only value has one")
        for name in ("kind", "completion_id"):
            if name not in self.fields:
                raise ValueError(f"fields.{name}: required")
        self._kinds_exist_and_have_what_they_carry()
        return self

    def _kinds_exist_and_have_what_they_carry(self) -> None:
        kind = self.fields["kind"]
        kinds = [kind.constant] if kind.constant is not None else list((kind.map or {}).values())
        for one in kinds:
            if one not in list(FeedbackKind):
                raise ValueError(f"fields.kind: one of {', '.join(FeedbackKind)}")
            for name, carried in CARRIES[FeedbackKind(one)]._asdict().items():
                if carried and name not in self.fields:
                    raise ValueError(f"fields.{name}: a {one} needs it")


_FILE: TypeAdapter[dict[str, WebhookMapping]] = TypeAdapter(dict[Name, WebhookMapping])


def load(file: Path, *, taken: frozenset[str] = frozenset()) -> dict[str, Connector]:
    """The connectors that a file declares; InvalidInput with file, key and what was expected where it does not hold.

    `taken` are names that stand for something else already.
    """
    try:
        declared = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(field=str(file), value="", remedy=f"expected a readable TOML file ({reason})") from None
    for name in taken & declared.keys():
        raise InvalidInput(field=f"{file}: {name}", value=name, remedy="expected a name that no connector has yet")
    try:
        found = _FILE.validate_python(declared)
    except ValidationError as error:
        raise _misdeclared(file, error) from None
    return {name: partial(_read, name, mapping) for name, mapping in found.items()}


def _misdeclared(file: Path, error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    expected, value = first["msg"].removeprefix("Value error, "), first["input"]
    if expected.startswith(("fields.", "scale: ")):
        more, expected = expected.split(": ", 1)
        key = f"{key}.{more}"
    return InvalidInput(
        field=f"{file}: {key}", value="" if isinstance(value, dict) else value, remedy=f"expected {expected}"
    )


def _read(name: str, mapping: WebhookMapping, payload: object, delivery: Delivery) -> list[Outcome]:
    found = at(payload, mapping.items) if mapping.items else payload
    if mapping.items and found is None:
        return [Refused(0, mapping.items, None, "required")]

    def item(value: Mapping[str, Any], given: Delivery) -> Iterator[Message | InvalidInput]:
        yield _event(name, mapping, value, given)

    return each(found, delivery, item)


def _event(name: str, mapping: WebhookMapping, item: Mapping[str, Any], delivery: Delivery) -> FeedbackEvent:
    told = {ours: _value(ours, field, item) for ours, field in mapping.fields.items()}
    tags = {ours.removeprefix(TAG): str(v) for ours, v in told.items() if ours.startswith(TAG) and v is not None}
    plain = {ours: v for ours, v in told.items() if not ours.startswith(TAG) and v is not None}
    names = {ours: field.path for ours, field in mapping.fields.items() if field.path}
    fields = {"occurred_at": delivery.now} | plain | {"tags": tags}
    if "event_id" in plain:
        return made(FeedbackEvent, fields, names)
    return said(delivery, name, plain.get("occurred_at"), fields, names)


def _value(ours: str, field: FieldMapping, item: Mapping[str, Any]) -> Scalar | None:
    if field.path is None:
        return field.constant
    value = at(item, field.path)
    if value is None:
        if field.required:
            raise InvalidInput(field=field.path, value=None, remedy="required")
        return None
    if not isinstance(value, Scalar):
        raise InvalidInput(field=field.path, value=value, remedy="expected text, a number, true or false")
    if field.map is not None:
        return _mapped(field.path, field.map, value)
    if field.scale is not None:
        return _scaled(field.path, field.scale, value)
    return str(value) if ours in AS_TEXT and not isinstance(value, bool) else value


def _mapped(path: str, known: Mapping[str, Scalar], value: Scalar) -> Scalar:
    word = str(value).lower() if isinstance(value, bool) else str(value)
    if word not in known:
        raise InvalidInput(field=path, value=value, remedy=f"one of {', '.join(known)}")
    return known[word]


def _scaled(path: str, scale: tuple[float, float], value: Scalar) -> float:
    low, high = scale
    if isinstance(value, bool | str) or not low <= value <= high:
        raise InvalidInput(field=path, value=value, remedy=f"a number from {low:g} to {high:g}")
    return LOWEST + (HIGHEST - LOWEST) * (value - low) / (high - low)
