"""The decisions of ingest as plain functions: decode, check, age, and what an event is beside what is already there.

An event is the same as another when its id and what was said agree. When it was said is left out of the comparison:
the gateway stamps the time where a client sends none, so a retry of one click would otherwise contradict itself.
Ids are unique within a tenant: whatever is looked up by id is looked up by tenant and id.
Left out: redaction (ingest.arrivals applies it) and whom to trust (the scorer's business).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from matrix.digests import digest_json
from matrix.messages.base import Message
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, Position
from matrix.results import DeadLetter, Ok
from matrix.validation import first_finding

M = TypeVar("M", bound=Message)
Key = tuple[str, str]  # tenant and id
SHOWN = 300  # characters of a sentence or field name that came from a user
JOIN = "join"  # the step that waits for completions
TIMES = frozenset({"occurred_at", "served_at"})


class Reason(StrEnum):
    """Why an event is set aside; the codes that people count by."""

    MALFORMED = "malformed"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_ENVELOPE = "unknown_envelope"  # a CloudEvent of another version, type or data format
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    NO_CONSENT = "no_consent"
    ID_CONFLICT = "id_conflict"
    UNKNOWN_COMPLETION = "unknown_completion"


UNDECODABLE = frozenset(
    {
        Reason.MALFORMED,
        Reason.UNKNOWN_FIELD,
        Reason.MISSING_FIELD,
        Reason.WRONG_TYPE,
        Reason.UNKNOWN_KIND,
        Reason.UNKNOWN_ENVELOPE,
    }
)


class State(StrEnum):
    """Where a distinct event stands."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """Which times of occurrence are believed."""

    max_age: timedelta = timedelta(days=30)
    max_skew: timedelta = timedelta(minutes=5)


def decode(value: object, model: type[M]) -> Ok[M] | DeadLetter:
    """Parsed JSON (anything else is malformed) in, the message out."""
    if not isinstance(value, dict):
        return DeadLetter(Reason.MALFORMED, "not a JSON object", "decode")
    try:
        return Ok(model.model_validate(value))
    except ValidationError as error:
        return _explained(error)
    except RecursionError:
        return DeadLetter(Reason.MALFORMED, "nested too deep", "decode")


def check_age(field: str, at: datetime, now: datetime, limits: AgeLimits) -> DeadLetter | None:
    """None where the time is believed; a time at a limit is."""
    age = now - at
    if age > limits.max_age:
        detail = f"{field}: {age - limits.max_age} before the oldest that is taken"
        return DeadLetter(Reason.TOO_OLD, detail, "age", field)
    if -age > limits.max_skew:
        detail = f"{field}: {-age - limits.max_skew} later than clocks may differ"
        return DeadLetter(Reason.IN_THE_FUTURE, detail, "age", field)
    return None


def judge(value: object, now: datetime, limits: AgeLimits) -> Ok[FeedbackEvent] | DeadLetter:
    """All that can be said about an event without knowing any other."""
    decoded = decode(value, FeedbackEvent)
    if isinstance(decoded, DeadLetter):
        return decoded
    event = decoded.value
    return _check_consent(event.consent) or check_age("occurred_at", event.occurred_at, now, limits) or decoded


def judge_completion(value: object, now: datetime, limits: AgeLimits) -> Ok[CompletionServed] | DeadLetter:
    """The same of a completion."""
    decoded = decode(value, CompletionServed)
    if isinstance(decoded, DeadLetter):
        return decoded
    served = decoded.value
    return _check_consent(served.consent) or check_age("served_at", served.served_at, now, limits) or decoded


def _check_consent(consent: bool) -> DeadLetter | None:  # noqa: FBT001 - the field itself
    if consent:
        return None
    return DeadLetter(
        Reason.NO_CONSENT, "consent: false, so nothing of it is kept but that it came", "check", "consent"
    )


def fingerprint(message: FeedbackEvent | CompletionServed) -> str:
    """Digest of what was said, without when; of the message as it is stored, that is after redaction."""
    return fingerprint_of(message.model_dump(mode="json", exclude_none=True))


def fingerprint_of(said: Mapping[str, Any]) -> str:
    """The same of a message's fields in JSON's terms, defaults included; a field that is null is as good as absent."""
    return digest_json({name: part for name, part in said.items() if part is not None and name not in TIMES})


@dataclass(frozen=True, slots=True)
class Kept:
    """What may be stored of a delivery."""

    text: str
    event_id: str | None = None  # where it could be read
    whole: bool = True  # False where it was shortened or withheld


@dataclass(frozen=True, slots=True)
class Arrival(Generic[M]):
    """One delivery, judged alone. Nothing in it needs redaction any more."""

    position: Position
    digest: str  # of the bytes as they lay in the broker, keyed: nobody can try out what they said
    tenant: str
    judged: Ok[M] | DeadLetter
    kept: Kept


@dataclass(frozen=True, slots=True)
class First:
    """An event not seen before."""

    event: FeedbackEvent
    fingerprint: str
    state: State


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An event that is already there."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A delivery with what it turned out to be."""

    arrival: Arrival[FeedbackEvent]
    outcome: First | Duplicate | DeadLetter


def event_key(event: FeedbackEvent) -> Key:
    """What an event is looked up by."""
    return event.tenant, event.event_id


def completion_key(message: FeedbackEvent | CompletionServed) -> Key:
    """What a completion is looked up by, or what feedback names it by."""
    return message.tenant, message.completion_id


def place(
    arrivals: Sequence[Arrival[FeedbackEvent]], stored: Mapping[Key, str], served: frozenset[Key]
) -> list[Placed]:
    """What each delivery is, in order, given the fingerprints of stored events and the completions that are there."""
    known = dict(stored)
    placed = []
    for arrival in arrivals:
        outcome = _outcome(arrival.judged, known, served)
        if isinstance(outcome, First):
            known[event_key(outcome.event)] = outcome.fingerprint
        placed.append(Placed(arrival, outcome))
    return placed


def _outcome(
    judged: Ok[FeedbackEvent] | DeadLetter, known: Mapping[Key, str], served: frozenset[Key]
) -> First | Duplicate | DeadLetter:
    if isinstance(judged, DeadLetter):
        return judged
    event = judged.value
    found, present = fingerprint(event), known.get(event_key(event))
    if present is None:
        return First(event, found, State.ACCEPTED if completion_key(event) in served else State.PENDING)
    return Duplicate(event.event_id) if present == found else conflict("event_id")


def conflict(field: str) -> DeadLetter:
    """The first body of an id stands; another under the same id is for a person to look at."""
    return DeadLetter(Reason.ID_CONFLICT, f"{field}: already taken by another body", "attribute", field)


def undecodable_run(judged: Sequence[Ok[Any] | DeadLetter], before: int, limit: int) -> tuple[int, bool]:
    """Length of the run of undecodable events at the end, given the run before; and whether it reached the limit."""
    run = before
    for one in judged:
        run = run + 1 if isinstance(one, DeadLetter) and one.reason in UNDECODABLE else 0
        if run >= limit:
            return run, True
    return run, False


def storable(text: str, most: int = SHOWN) -> str:
    """Text of unknown origin without what PostgreSQL and UTF-8 refuse, shortened."""
    return text[:most].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _explained(error: ValidationError) -> DeadLetter:
    first = first_finding(error)
    field = ".".join(map(str, first.place[: 2 if first.place[:1] == ("tags",) else 1]))
    detail = f"{field}: {first.rule}" if field else first.rule
    return DeadLetter(_reason(first.kind, field), storable(detail), "check", storable(field) or None)


def _reason(kind: str, field: str) -> Reason:
    if kind == "enum" and field == "kind":
        return Reason.UNKNOWN_KIND
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    wrong_type = kind.endswith(("_type", "_parsing", "_from_date_parsing", "_attributes_type"))
    return Reason.WRONG_TYPE if wrong_type else Reason.OUT_OF_RANGE


_BY_TYPE = {
    "extra_forbidden": Reason.UNKNOWN_FIELD,
    "missing": Reason.MISSING_FIELD,
    "timezone_aware": Reason.WRONG_TYPE,
}
