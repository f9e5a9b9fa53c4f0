"""Preferences as Adaptive's `feedback.log_preference` takes them: `{feedback_key, preferred_completion,
other_completion}` (docs.adaptive-ml.com, core/feedback), completions by their ids.

Left out: a tie, which prefers neither; metrics, which POST /v1/feedback takes as ratings and thumbs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.connectors.items import Delivery, Message, Outcome, at, each, first_text, labels, needed, said
from matrix.errors import InvalidInput
from matrix.messages.feedback import FeedbackKind

NAMES = {
    "completion_id": "preferred_completion",
    "rejected_completion_id": "other_completion",
    "user_id": "user",
    "occurred_at": "created_at",
    "tags": "feedback_key",
}


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A preference, or a list of them."""
    return each(payload, delivery, _preference)


def _preference(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    if item.get("tied") not in (None, False):
        raise InvalidInput(field="tied", value=item["tied"], remedy="a tie prefers neither completion")
    fields = {
        "completion_id": needed(item, "preferred_completion"),
        "rejected_completion_id": needed(item, "other_completion"),
        "kind": FeedbackKind.PREFERENCE,
        "user_id": first_text(item, "user", "user_id"),
        "occurred_at": at(item, "created_at") or delivery.now,
        "tags": labels({"feedback_key": needed(item, "feedback_key")}),
    }
    yield said(delivery, "adaptive", at(item, "created_at"), fields, NAMES)
