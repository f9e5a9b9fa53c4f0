"""Open WebUI's feedback records: what GET /api/v1/evaluations/feedbacks/all/export answers, or one record as it is made
(backend/open_webui/models/feedbacks.py: type, data, meta, snapshot).

A rating of 1 or -1 is a thumb on `meta.message_id`, the comment an event of its own. The snapshot holds the chat, so
the rated message is also a completion with what was asked; where other models answered beside it, the rating is a
preference over each of them, as in Open WebUI's own leaderboard (won against all, or lost against the only other).
Left out: `data.details.rating` (1 to 10), the same person's judgement once more, which is kept as a tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingest.connectors.items import (
    MOST_BESIDE,
    Delivery,
    Message,
    Outcome,
    at,
    credited,
    each,
    first_at,
    first_text,
    labels,
    made,
    needed,
    said,
    text,
)
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackKind

THUMBS = {"1": True, "-1": False}
MOST_TURNS = 1000  # of a path through a chat; a longer one goes round in a circle
NAMES = {
    "completion_id": "meta.message_id",
    "occurred_at": "updated_at",
    "text": "data.comment",
    "tags": "data",
    "rejected_completion_id": "data.sibling_model_ids",
}
MESSAGE_NAMES = {"policy": "model", "prompt": "parentId", "completion": "content", "served_at": "timestamp"}


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A feedback record, or a list of them."""
    return each(payload, delivery, _record, within=("items",))


def _record(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    if needed(item, "type") != "rating":
        raise InvalidInput(field="type", value=item["type"], remedy="only feedback of type rating is taken")
    rating = at(item, "data.rating")
    up = THUMBS.get(str(rating)) if isinstance(rating, str | int) and not isinstance(rating, bool) else None
    if up is None:
        raise InvalidInput(field="data.rating", value=rating, remedy="required: 1 or -1")
    message_id, key = needed(item, "meta.message_id"), [needed(item, "id"), at(item, "updated_at")]
    common = {
        "completion_id": message_id,
        "user_id": text(item, "user_id"),
        "occurred_at": first_at(item, "updated_at", "created_at") or delivery.now,
        "tags": _tags(item),
    }
    events: list[dict[str, Any]] = [{"kind": FeedbackKind.THUMB, "value": up}]
    if comment := text(item, "data.comment"):
        events.append({"kind": FeedbackKind.COMMENT, "text": comment})
    siblings = _siblings(item, message_id)
    if len(siblings) > MOST_BESIDE:
        remedy = f"{MOST_BESIDE} answers beside the rated one at most; the first are taken"
        yield InvalidInput(field="data.sibling_model_ids", value=len(siblings), remedy=remedy)
        siblings = siblings[:MOST_BESIDE]
    for chosen, rejected in _preferred(siblings, message_id, up=up):
        pair = {"completion_id": chosen, "rejected_completion_id": rejected}
        events.append(pair | {"kind": FeedbackKind.PREFERENCE})
    yield from _served(item, (message_id, *siblings), delivery)
    for fields in events:
        yield said(delivery, "open-webui", key, common | fields, NAMES)


def _tags(item: Mapping[str, Any]) -> dict[str, str]:
    details = at(item, "data.details.rating")
    told = {
        "reason": text(item, "data.reason"),
        "model": text(item, "data.model_id"),
        "chat_id": text(item, "meta.chat_id"),
        "detail_rating": str(details) if isinstance(details, int) and 0 < details <= 10 else None,
    }
    return labels(told)


def _messages(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = first_at(item, "snapshot.chat.chat.history.messages", "snapshot.chat.history.messages")
    return found if isinstance(found, Mapping) else {}


def _siblings(item: Mapping[str, Any], message_id: str) -> list[str]:
    """Answers of other models to the same message, as far as the snapshot holds them."""
    messages, models = _messages(item), at(item, "data.sibling_model_ids")
    parent = at(messages.get(message_id), "parentId")
    if parent is None or not isinstance(models, list):
        return []
    named = {model for model in models if isinstance(model, str)}
    beside = [one for one, message in messages.items() if one != message_id and at(message, "parentId") == parent]
    return [one for one in beside if _is_answer(messages[one]) and _model(messages[one]) in named]


def _model(message: object) -> str | None:
    found = at(message, "model")
    return found if isinstance(found, str) else None


def _is_answer(message: object) -> bool:
    return at(message, "role") == "assistant" and bool(at(message, "content"))


def _preferred(siblings: Sequence[str], message_id: str, *, up: bool) -> list[tuple[str, str]]:
    if up:
        return [(message_id, other) for other in siblings]
    return [(siblings[0], message_id)] if len(siblings) == 1 else []


def _served(item: Mapping[str, Any], ids: Sequence[str], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    """The rated completion and those beside it; one that cannot be read is named and costs no feedback."""
    messages = _messages(item)
    for one in filter(messages.__contains__, ids):
        try:
            yield _completion(item, messages, one, delivery)
        except InvalidInput as error:
            named = f"snapshot.chat.chat.history.messages.{one}.{error.field}"
            yield InvalidInput(field=named, value=error.value, remedy=error.remedy)


def _completion(
    item: Mapping[str, Any], messages: Mapping[str, Any], message_id: str, delivery: Delivery
) -> CompletionServed:
    message = messages[message_id]
    fields = credited(needed(message, "model"), delivery, "open-webui") | {
        "completion_id": message_id,
        "conversation_id": text(item, "meta.chat_id"),
        "user_id": text(item, "user_id"),
        "prompt": _asked(messages, message),
        "completion": needed(message, "content"),
        "served_at": first_at(message, "timestamp") or first_at(item, "created_at", "updated_at") or delivery.now,
    }
    return made(CompletionServed, fields, MESSAGE_NAMES)


def _asked(messages: Mapping[str, Any], message: object) -> list[dict[str, str]]:
    """The turns before a message, from the first."""
    turns: list[dict[str, str]] = []
    parent = first_text(message, "parentId")
    while parent is not None and len(turns) < MOST_TURNS:
        before = messages.get(parent)
        turns.append({"role": needed(before, "role"), "content": text(before, "content") or ""})
        parent = first_text(before, "parentId")
    if parent is not None:
        raise InvalidInput(field="parentId", value=parent, remedy=f"leads through more than {MOST_TURNS} messages")
    return turns[::-1]
