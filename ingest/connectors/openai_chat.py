"""OpenAI-style chat logs: what was asked and what was answered, as a completion that feedback can be credited to.

Taken are a stored chat completion with its messages (GET /v1/chat/completions/{id} and .../messages, joined), a pair
`{"request": ..., "response": ...}` as proxies log it, and lists of either. The first choice has the response's id, the
others `<id>-<index>`. The model is known by name alone, so a digest of the name stands for its adapter.
Left out: tools and images, which a completion here cannot hold: such an item is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.connectors.items import (
    MOST_BESIDE,
    Delivery,
    Message,
    Outcome,
    at,
    credited,
    each,
    first_text,
    made,
    needed,
    text,
)
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
NAMES = {
    "completion_id": "id",
    "policy": "model",
    "user_id": "user",
    "conversation_id": "metadata.conversation_id",
    "prompt": "messages",
    "completion": "choices",
    "served_at": "created",
}


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A log entry, a list of them, or `{"object": "list", "data": [...]}`."""
    return each(payload, delivery, _entry, within=("data",))


def _entry(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    request, response = (item["request"], item["response"]) if {"request", "response"} <= item.keys() else (item, item)
    completion_id, model = needed(response, "id"), needed(response, "model")
    if at(response, "created") is None:
        raise InvalidInput(field="created", value=None, remedy="required")
    common = credited(model, delivery, "openai") | {
        "prompt": [_turn(message, f"messages.{n}") for n, message in enumerate(_list(request, "messages"))],
        "user_id": first_text(request, "user", "safety_identifier") or first_text(item, "metadata.user_id"),
        "conversation_id": first_text(request, "metadata.conversation_id", "metadata.session_id"),
        "served_at": at(response, "created"),
    }
    choices = _list(response, "choices")
    if len(choices) > MOST_BESIDE:
        remedy = f"{MOST_BESIDE} choices of one completion at most; the first are taken"
        yield InvalidInput(field="choices", value=len(choices), remedy=remedy)
    for number, choice in enumerate(choices[:MOST_BESIDE]):
        try:
            yield _completion(choice, number, completion_id, common)
        except InvalidInput as error:
            yield error


def _completion(choice: object, number: int, completion_id: str, common: Mapping[str, Any]) -> CompletionServed:
    where = f"choices.{number}.message"
    message = at(choice, "message")
    if not isinstance(message, Mapping):
        raise InvalidInput(field=where, value=message, remedy="required")
    content = message.get("content") if message.get("content") is not None else text(message, "refusal")
    index = at(choice, "index")
    place = index if isinstance(index, int) and not isinstance(index, bool) and 0 < index < 10_000 else number
    named = {"completion_id": f"{completion_id}-{place}" if number else completion_id}
    turn = _turn({"role": "assistant", "content": content}, where)
    return made(CompletionServed, dict(common) | named | {"completion": turn["content"]}, NAMES)


def _list(item: object, name: str) -> list[Any]:
    found = at(item, name)
    if not isinstance(found, list) or not found:
        raise InvalidInput(field=name, value=found, remedy="required: a list with at least one element")
    return found


def _turn(message: object, where: str) -> dict[str, str]:
    role = at(message, "role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidInput(field=f"{where}.role", value=role, remedy=f"one of {', '.join(ROLES)}")
    content = at(message, "content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{where}.content.{n}") for n, part in enumerate(content))
    if not isinstance(content, str):
        raise InvalidInput(field=f"{where}.content", value=content, remedy="expected text; tool calls are not taken")
    return {"role": ROLES[role], "content": content}


def _part(part: object, where: str) -> str:
    if at(part, "type") != "text" or not isinstance(at(part, "text"), str):
        raise InvalidInput(field=f"{where}.type", value=at(part, "type"), remedy="only parts of text are taken")
    return str(at(part, "text"))
