"""LibreChat's message feedback: what PUT /api/messages/{conversationId}/{messageId}/feedback answers, or the stored
message with its `feedback` (packages/data-provider/src/feedback.ts and api/server/routes/messages.js of LibreChat).

The rating is a thumb, the tag its reason, the text a comment. Feedback that was withdrawn is null, which says nothing.
Left out: the message's own text; log completions to credit the feedback to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.connectors.items import Delivery, Message, Outcome, at, each, labels, needed, said, text
from matrix.errors import InvalidInput
from matrix.messages.feedback import FeedbackKind

RATINGS = {"thumbsUp": True, "thumbsDown": False}
NAMES = {
    "completion_id": "messageId",
    "user_id": "user",
    "occurred_at": "updatedAt",
    "text": "feedback.text",
    "tags": "feedback.tag",
}


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A message with feedback, a list of them, or a conversation's `{"messages": [...]}`."""
    return each(payload, delivery, _feedback, within=("messages",))


def _feedback(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    message_id = needed(item, "messageId")
    if not isinstance(at(item, "feedback"), Mapping):
        raise InvalidInput(
            field="feedback", value=at(item, "feedback"), remedy="required: nothing is said, or it was withdrawn"
        )
    rating = needed(item, "feedback.rating")
    if rating not in RATINGS:
        raise InvalidInput(field="feedback.rating", value=rating, remedy=f"one of {', '.join(RATINGS)}")
    reason = text(item, "feedback.tag.key" if isinstance(at(item, "feedback.tag"), Mapping) else "feedback.tag")
    common = {
        "completion_id": message_id,
        "user_id": text(item, "user"),
        "occurred_at": at(item, "updatedAt") or delivery.now,
        "tags": labels({"reason": reason, "conversation_id": text(item, "conversationId")}),
    }
    thumb = {"kind": FeedbackKind.THUMB, "value": RATINGS[rating]}
    yield said(delivery, "librechat", None, common | thumb, NAMES)
    if comment := text(item, "feedback.text"):
        yield said(delivery, "librechat", None, common | {"kind": FeedbackKind.COMMENT, "text": comment}, NAMES)
