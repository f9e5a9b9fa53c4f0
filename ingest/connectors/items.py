"""What connectors share: the items of a payload, what became of each, and how a wrong field is named.

A connector is a pure function. An item that cannot be taken is named and costs no neighbour; one item may give several
messages, since what others put into one record (a thumb with a comment) is several events here. Ids come from what the
item says, so that a payload that is delivered again is the same events again, while a changed mind is a new event. They
are keyed: ids are stored as they are, and a plain digest would let one check guesses at words that were redacted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from matrix.digests import digest_json
from matrix.errors import InvalidInput
from matrix.messages.base import MAX_IDENTIFIER, unstorable
from matrix.messages.completion import MAX_POLICY, CompletionServed
from matrix.messages.feedback import MAX_TAG, FeedbackEvent
from matrix.validation import first_finding

MOST_BESIDE = 16  # completions beside one another in an item: each repeats what was asked

Message = FeedbackEvent | CompletionServed
Names = Mapping[str, str]  # our name of a field to the sender's
M = TypeVar("M", FeedbackEvent, CompletionServed)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a payload may not say of itself."""

    now: datetime  # when things happened, where an item does not say
    keyed: Callable[[str], str]  # a keyed digest, at most 100 characters; the same text and key give the same digest
    policy: str | None = None  # what completions are credited to; else the model's name
    most_items: int | None = None  # of one payload; a file may hold any number


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that became messages."""

    index: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """An item, or a part of one, that is no feedback: the field as the sender calls it, and the rule it breaks."""

    index: int
    field: str
    value: object
    rule: str


Outcome = Taken | Refused
Connector = Callable[[object, Delivery], list[Outcome]]
ReadItem = Callable[[Mapping[str, Any], Delivery], Iterator[Message | InvalidInput]]


def each(payload: object, delivery: Delivery, read_item: ReadItem, *, within: Sequence[str] = ()) -> list[Outcome]:
    """Read item after item: a list, the list under one of the names `within`, or one object.

    `read_item` raises InvalidInput where the whole item cannot be taken and yields one for a part that cannot.
    InvalidInput where there are more items than are taken at once.
    """
    items, where = _items(payload, within)
    if delivery.most_items is not None and len(items) > delivery.most_items:
        remedy = f"{delivery.most_items} items at most; send less at once"
        raise InvalidInput(field=where, value=len(items), remedy=remedy)
    if not items:
        return [Refused(0, where, None, "holds no item")]
    return [outcome for index, item in enumerate(items) for outcome in _outcomes(index, item, delivery, read_item)]


def _items(payload: object, within: Sequence[str]) -> tuple[list[Any], str]:
    if isinstance(payload, list):
        return payload, "body"
    for name in within:
        if isinstance(payload, Mapping) and isinstance(payload.get(name), list):
            return payload[name], name
    return [payload], "body"


def _outcomes(index: int, item: object, delivery: Delivery, read_item: ReadItem) -> Iterator[Outcome]:
    if not isinstance(item, Mapping):
        yield Refused(index, "body", item, "expected a JSON object")
        return
    try:
        found = list(read_item(item, delivery))
    except InvalidInput as error:
        found = [error]
    except RecursionError:  # JSON may go deeper than what walks it here
        found = [InvalidInput(field="body", value="", remedy="JSON nested too deep")]
    messages = tuple(one for one in found if not isinstance(one, InvalidInput))
    if messages:
        yield Taken(index, messages)
    yield from (Refused(index, one.field, one.value, one.remedy) for one in found if isinstance(one, InvalidInput))


def at(item: object, path: str) -> Any:
    """What lies at a dotted path (a number is a place in a list); None where nothing does."""
    found = item
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and len(part) < 10:
            found = found[int(part)] if int(part) < len(found) else None
        else:
            return None
    return found


def text(item: object, path: str) -> str | None:
    """Text at a path; None where it is absent, null or empty; InvalidInput for anything else."""
    value = at(item, path)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(field=path, value=value, remedy="expected text")
    if unstorable(value):
        raise InvalidInput(field=path, value="", remedy="holds a NUL or half a surrogate pair")
    return value


def first_at(item: object, *paths: str) -> Any:
    """What lies at the first path where something does."""
    return next((found for path in paths if (found := at(item, path)) is not None), None)


def needed(item: object, path: str) -> str:
    """Text that must be there."""
    found = text(item, path)
    if found is None:
        raise InvalidInput(field=path, value=None, remedy="required")
    return found


def first_text(item: object, *paths: str) -> str | None:
    """Text at the first path that has any."""
    return next((found for path in paths if (found := text(item, path)) is not None), None)


def labels(said: Mapping[str, str | None]) -> dict[str, str]:
    """Tags: what was not said is left out, what is too long is cut."""
    return {name: value[:MAX_TAG] for name, value in said.items() if value}


def credited(model: str, delivery: Delivery, connector: str) -> dict[str, str]:
    """Policy and digest of a completion whose model is known by its name alone."""
    named = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:MAX_POLICY]
    return {"policy": delivery.policy or named, "adapter_digest": digest_json(["recorded", connector, model])}


def said(delivery: Delivery, connector: str, key: object, fields: Mapping[str, Any], names: Names) -> FeedbackEvent:
    """An event with an id from the record's key and from all that it says but when: one id never has two bodies.

    `names` are the sender's names of our fields.
    """
    told = {name: value for name, value in fields.items() if value is not None and name != "occurred_at"}
    spelt = json.dumps([key, told], sort_keys=True)  # in ASCII, which spells half a surrogate pair too
    event_id = f"{connector}-{delivery.keyed(spelt)}"[:MAX_IDENTIFIER]
    return made(FeedbackEvent, dict(fields) | {"event_id": event_id}, names)


def made(model: type[M], fields: Mapping[str, Any], names: Names) -> M:
    """The message; InvalidInput with the sender's name of the field that does not fit."""
    try:
        return model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise _named(error, names) from None


def _named(error: ValidationError, names: Names) -> InvalidInput:
    first = first_finding(error)
    outer, *inner = first.place or ("body",)
    head, *rest = re.split(r"[.\[]", str(outer), maxsplit=1)  # a validator of the whole may name what lies deeper
    place = [names.get(head, head), *rest, *map(str, inner)] if head in ("tags", "prompt") else [names.get(head, head)]
    return InvalidInput(field=".".join(place), value=first.value, remedy=first.rule)
