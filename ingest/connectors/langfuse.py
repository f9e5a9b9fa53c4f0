"""Langfuse scores: bodies of POST /api/public/scores, `score-create` events of POST /api/public/ingestion, and lists of
GET /api/public/scores (langfuse.com/docs/api, score.yml and ingestion.yml of its published API definition).

A score's name says what it means, and only names that stand for what people say are taken: 1 for `hallucination` is no
praise, and an evaluator's score is nobody's word. The completion is the observation, else the trace. A score's `id` is
Langfuse's key for updates: the same score twice is one event, another value under the id is a changed mind.
Left out: scores on sessions and dataset runs, which speak of no single completion; score configs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.connectors.items import (
    Delivery,
    Message,
    Outcome,
    at,
    each,
    first_text,
    labels,
    needed,
    said,
    text,
)
from matrix.errors import InvalidInput
from matrix.messages.feedback import FeedbackKind

KINDS: Mapping[str, FeedbackKind] = {  # a score's name, in lower case with "_" between words
    "thumbs": FeedbackKind.THUMB,
    "thumb": FeedbackKind.THUMB,
    "thumbs_up": FeedbackKind.THUMB,
    "feedback": FeedbackKind.THUMB,
    "user_feedback": FeedbackKind.THUMB,
    "helpful": FeedbackKind.THUMB,
    "rating": FeedbackKind.RATING,
    "user_rating": FeedbackKind.RATING,
    "stars": FeedbackKind.RATING,
    "csat": FeedbackKind.RATING,
    "comment": FeedbackKind.COMMENT,
    "user_comment": FeedbackKind.COMMENT,
    "correction": FeedbackKind.EDIT,
    "demonstration": FeedbackKind.EDIT,
    "report": FeedbackKind.REPORT,
}
FILLS = {
    FeedbackKind.THUMB: "value",
    FeedbackKind.RATING: "value",
    FeedbackKind.COMMENT: "text",
    FeedbackKind.EDIT: "text",
    FeedbackKind.REPORT: "category",
}
UP, DOWN = (
    {"thumbs_up", "up", "positive", "good", "like", "yes", "true"},
    {"thumbs_down", "down", "negative", "bad", "dislike", "no", "false"},
)
DATA_TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION")
NAMES = {"event_id": "id", "completion_id": "traceId", "text": "value", "category": "value", "occurred_at": "timestamp"}


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A score or an ingestion event, a list of them, `{"batch": [...]}` or `{"data": [...]}`."""
    return each(payload, delivery, _score, within=("batch", "data"))


def _score(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    body = _body(item)
    value, kind = _said(body)
    comment, about = text(body, "comment"), "observationId" if text(body, "observationId") else "traceId"
    common = {
        "completion_id": needed(body, about),
        "user_id": first_text(body, "metadata.userId", "metadata.user_id", "authorUserId"),
        "occurred_at": at(item, "timestamp") or at(body, "timestamp") or delivery.now,
        "tags": labels({"score": text(body, "name"), "trace_id": text(body, "traceId")}),
    }
    key, names = first_text(body, "id") or text(item, "id"), NAMES | {"completion_id": about}
    fields = common | {"kind": kind, FILLS[kind]: value}
    if kind is FeedbackKind.REPORT:  # the only kind beside which words fit
        yield said(delivery, "langfuse", key, fields | {"text": comment}, names | {"text": "comment"})
        return
    yield said(delivery, "langfuse", key, fields, names)
    if comment and kind is not FeedbackKind.COMMENT:
        fields = common | {"kind": FeedbackKind.COMMENT, "text": comment}
        yield said(delivery, "langfuse", key, fields, names | {"text": "comment"})


def _body(item: Mapping[str, Any]) -> Mapping[str, Any]:
    if "body" not in item:
        return item
    if item.get("type") != "score-create":
        raise InvalidInput(
            field="type", value=item.get("type"), remedy="of ingestion events, only score-create is taken"
        )
    body = item["body"]
    if not isinstance(body, Mapping):
        raise InvalidInput(field="body", value=body, remedy="expected a JSON object")
    return body


def _said(body: Mapping[str, Any]) -> tuple[object, FeedbackKind]:
    if text(body, "source") == "EVAL":
        raise InvalidInput(field="source", value="EVAL", remedy="an evaluator's score is not what a person said")
    kind = KINDS.get(needed(body, "name").lower().replace("-", "_").replace(" ", "_"))
    if kind is None:
        remedy = f"not known as what people say; known are {', '.join(KINDS)}; a webhook mapping can declare others"
        raise InvalidInput(field="name", value=body["name"], remedy=remedy)
    data_type = text(body, "dataType")
    if data_type not in (None, *DATA_TYPES):
        raise InvalidInput(field="dataType", value=data_type, remedy=f"one of {', '.join(DATA_TYPES)}")
    value = at(body, "stringValue") if data_type == "CATEGORICAL" and at(body, "stringValue") else at(body, "value")
    if value is None:
        raise InvalidInput(field="value", value=None, remedy="required")
    return (_thumb(value) if kind is FeedbackKind.THUMB else value), kind


def _thumb(value: object) -> bool:
    if isinstance(value, str) and (word := value.lower().replace("-", "_").replace(" ", "_")) in UP | DOWN:
        return word in UP
    if isinstance(value, bool | int | float) and value in (-1, 0, 1):
        return value == 1
    raise InvalidInput(field="value", value=value, remedy="a thumb is 1 or 0, or a word like thumbs_up")
