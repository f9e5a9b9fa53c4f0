"""Feedback as TensorZero's clients send it (their field names verbatim), translated to a FeedbackEvent.

A new kind is a row of METRICS. Left out: feedback on an episode; `episode_id` must be null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from matrix.errors import InvalidInput
from matrix.messages.base import DEFAULT_TENANT, Identifier, Value
from matrix.messages.feedback import FeedbackEvent, FeedbackKind
from matrix.validation import first_finding

METRICS: Mapping[str, tuple[FeedbackKind, str]] = {  # metric name -> kind, and the event's field that `value` fills
    "thumbs": (FeedbackKind.THUMB, "value"),
    "rating": (FeedbackKind.RATING, "value"),
    "demonstration": (FeedbackKind.EDIT, "text"),
    "comment": (FeedbackKind.COMMENT, "text"),
    "regenerate": (FeedbackKind.REGENERATE, ""),
    "report": (FeedbackKind.REPORT, "category"),
    "copy": (FeedbackKind.COPY, ""),
    "abandon": (FeedbackKind.ABANDON, ""),
    "preference": (FeedbackKind.PREFERENCE, "rejected_completion_id"),
    "follow_up": (FeedbackKind.FOLLOW_UP, "text"),
}
RENAMED = {"completion_id": "inference_id", "kind": "metric_name", "event_id": "id"}


class FeedbackRequest(Value):
    """The body of POST /v1/feedback."""

    metric_name: str
    inference_id: Identifier
    episode_id: None = None
    value: StrictBool | StrictInt | StrictFloat | StrictStr | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    dryrun: StrictBool = False
    id: Identifier | None = None
    user_id: Identifier | None = None
    occurred_at: AwareDatetime | None = None
    text: str | None = None
    category: str | None = None
    consent: StrictBool = True


def to_event(
    body: FeedbackRequest, event_id: str, now: AwareDatetime, *, tenant: str = DEFAULT_TENANT
) -> FeedbackEvent:
    """InvalidInput names the field of the request that does not fit."""
    if body.metric_name not in METRICS:
        raise InvalidInput(field="metric_name", value=body.metric_name, remedy=f"one of {', '.join(METRICS)}")
    kind, fills = METRICS[body.metric_name]
    fields: dict[str, Any] = {
        "tenant": tenant,
        "event_id": event_id,
        "completion_id": body.inference_id,
        "kind": kind,
        "text": body.text,
        "category": body.category,
        "user_id": body.user_id or body.tags.get("user_id"),
        "occurred_at": body.occurred_at or now,
        "tags": body.tags,
        "consent": body.consent,
    }
    if fills and fields.get(fills) is None:
        fields[fills] = body.value
    elif body.value is not None:
        raise InvalidInput(field="value", value=body.value, remedy=f"{body.metric_name} carries none here")
    try:
        return FeedbackEvent.model_validate(fields)
    except ValidationError as error:
        raise _renamed(error, fills) from None


def to_body(event: FeedbackEvent) -> dict[str, Any]:
    """The request that `to_event` turns into this event."""
    name, fills = next((name, fills) for name, (kind, fills) in METRICS.items() if kind is event.kind)
    said = event.model_dump(
        mode="json", exclude={"schema_version", "tenant", "event_id", "completion_id", "kind"}, exclude_none=True
    )
    if fills:
        said["value"] = said.pop(fills)
    return said | {"metric_name": name, "inference_id": event.completion_id, "id": event.event_id}


def _renamed(error: ValidationError, fills: str) -> InvalidInput:
    first = first_finding(error)
    field = str(first.place[0]) if first.place else ""
    field = "value" if field and field == fills else RENAMED.get(field, field)
    return InvalidInput(field=field or "body", value=first.value, remedy=first.rule)
