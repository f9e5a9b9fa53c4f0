"""What a chat service can say, one method a kind; both clients share them and differ in how they hand on an entry.

An event is checked here by the gateway's own rules, so that a mistake is told at the call and not a batch later.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from pydantic import ValidationError

from ingest.client.types import Destination, Entry, Refusal
from ingest.ids import RANDOM_BYTES, uuid7
from ingest.tensorzero import to_body
from matrix.messages.base import Message, unstorable
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, FeedbackKind
from matrix.validation import first_finding

R_co = TypeVar("R_co", covariant=True)


class Said(TypedDict, total=False):
    """What may be told with every event."""

    user_id: str
    occurred_at: datetime  # with a zone; the time of the call where it is left out
    tags: Mapping[str, str]
    consent: bool  # false: the event is counted, and nothing of it is kept
    event_id: str  # where the service has one of its own; said twice, it counts once


class Served(TypedDict, total=False):
    """What may be told of a completion besides its text."""

    conversation_id: str
    user_id: str
    served_at: datetime  # with a zone; the time of the call where it is left out
    propensity: float  # probability with which this adapter was chosen
    consent: bool


class Verbs(ABC, Generic[R_co]):
    """Every method answers with the event's id."""

    def thumb(self, completion_id: str, up: bool, **said: Unpack[Said]) -> R_co:  # noqa: FBT001 - a thumb is one
        """Up or down."""
        return self._say(FeedbackKind.THUMB, completion_id, {"value": up}, said)

    def rating(self, completion_id: str, value: float, **said: Unpack[Said]) -> R_co:
        """How good, from 1 to 5."""
        return self._say(FeedbackKind.RATING, completion_id, {"value": value}, said)

    def edit(self, completion_id: str, text: str, **said: Unpack[Said]) -> R_co:
        """What the completion should have been."""
        return self._say(FeedbackKind.EDIT, completion_id, {"text": text}, said)

    def comment(self, completion_id: str, text: str, **said: Unpack[Said]) -> R_co:
        """Anything else, in words."""
        return self._say(FeedbackKind.COMMENT, completion_id, {"text": text}, said)

    def report(self, completion_id: str, category: str, text: str | None = None, **said: Unpack[Said]) -> R_co:
        """This must not happen; `category` in lower case, as `unsafe_advice`."""
        return self._say(FeedbackKind.REPORT, completion_id, {"category": category, "text": text}, said)

    def regenerate(self, completion_id: str, **said: Unpack[Said]) -> R_co:
        """They asked for another completion."""
        return self._say(FeedbackKind.REGENERATE, completion_id, {}, said)

    def copy(self, completion_id: str, **said: Unpack[Said]) -> R_co:
        """They took the completion along."""
        return self._say(FeedbackKind.COPY, completion_id, {}, said)

    def abandon(self, completion_id: str, **said: Unpack[Said]) -> R_co:
        """They left without one that helped."""
        return self._say(FeedbackKind.ABANDON, completion_id, {}, said)

    def preference(self, chosen_id: str, rejected_id: str, **said: Unpack[Said]) -> R_co:
        """This completion rather than that one."""
        return self._say(FeedbackKind.PREFERENCE, chosen_id, {"rejected_completion_id": rejected_id}, said)

    def follow_up(self, completion_id: str, text: str, **said: Unpack[Said]) -> R_co:
        """What they said next."""
        return self._say(FeedbackKind.FOLLOW_UP, completion_id, {"text": text}, said)

    def log_completion(
        self,
        completion_id: str,
        *,
        policy: str,
        adapter_digest: str,
        prompt: Sequence[Mapping[str, str]],
        completion: str,
        **served: Unpack[Served],
    ) -> R_co:
        """What the service's own model wrote, so that feedback can be credited; answers with `completion_id`.

        `prompt` is a list of {"role", "content"}; `adapter_digest` the SHA-256 of the weights that wrote it.
        """
        told = {"completion_id": completion_id, "policy": policy, "adapter_digest": adapter_digest}
        turns = list(prompt) if isinstance(prompt, Iterable) else prompt
        told |= {"prompt": turns, "completion": completion}  # type: ignore[dict-item]  # checked below
        made = _made(CompletionServed, {"served_at": datetime.now(UTC)} | told | served, completion_id)
        if isinstance(made, Refusal):
            return self._give(made)
        body = made.model_dump(mode="json", exclude_none=True, exclude={"tenant", "schema_version"})
        return self._give(_entry(made.completion_id, "completion", body))

    def _say(self, kind: FeedbackKind, completion_id: str, carried: dict[str, Any], said: Said) -> R_co:
        now = datetime.now(UTC)
        event_id = said.get("event_id") or uuid7(now, token_bytes(RANDOM_BYTES))
        told = {"occurred_at": now} | said | {"event_id": event_id, "completion_id": completion_id, "kind": kind}
        made = _made(FeedbackEvent, told | carried, event_id)
        return self._give(made if isinstance(made, Refusal) else _entry(made.event_id, "feedback", to_body(made)))

    @abstractmethod
    def _give(self, made: Entry | Refusal) -> R_co: ...


M = TypeVar("M", bound=Message)


def _made(model: type[M], told: Mapping[str, Any], event_id: object) -> M | Refusal:
    named = str(event_id) if isinstance(event_id, str | int | None) else ""
    try:
        return model.model_validate(told)
    except ValidationError as error:
        first = first_finding(error)
        where = first.place if first.place[:1] == ("prompt",) else first.place[:1]
        return Refusal(named, "InvalidInput", ".".join(map(str, where)), first.rule)
    except RecursionError:
        return Refusal(named, "InvalidInput", _deepest(told), "nested too deep")


def _deepest(told: Mapping[str, Any]) -> str:
    return next((name for name, value in told.items() if _is_too_deep(value)), "")


def _is_too_deep(value: object) -> bool:
    try:
        unstorable(value)
    except RecursionError:
        return True
    return False


def _entry(event_id: str, to: Destination, body: Mapping[str, Any]) -> Entry:
    return Entry(event_id, to, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
