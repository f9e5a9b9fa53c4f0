"""What a decision leaves behind: rows, and messages that leave through the outbox. Always inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from infra.outbox import add_message
from ingest import repository, repository_letters, steps
from ingest.repository import DeliveryKey
from ingest.steps import Arrival, Duplicate, First, Kept, Placed
from ingest.tables import CompletionRow, DeadLetterRow, DeliveryRow, FeedbackRow
from matrix.digests import digest_bytes
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import MAX_TEXT, DeadFeedback, FeedbackAccepted, FeedbackEvent, Position
from matrix.results import DeadLetter
from matrix.topics import COMPLETION_ACCEPTED, FEEDBACK_ACCEPTED, FEEDBACK_DEAD

STAGE = "ingest"
WAITING = "waiting"
ID_CHARACTERS = 16  # of a dead letter's id


@dataclass(frozen=True, slots=True)
class SetAside:
    """A dead letter with where it lay and what is kept of it."""

    letter: DeadLetter
    tenant: str
    position: Position
    digest: str
    kept: Kept
    received_at: datetime


def dead(arrival: Arrival[Any], letter: DeadLetter, now: datetime) -> SetAside:
    """An arrival that is set aside."""
    return SetAside(letter, arrival.tenant, arrival.position, arrival.digest, arrival.kept, now)


def delivery_key(position: Position, digest: str) -> DeliveryKey:
    """What a delivery is known by."""
    return (position.topic, position.partition, position.offset, position.position, digest)


def letter_id(position: Position, digest: str) -> str:
    """What people name a dead letter by."""
    where = f"{position.topic}/{position.partition}@{position.offset}.{position.position}#{digest}"
    return digest_bytes(where.encode())[:ID_CHARACTERS]


def store(session: Session, placed: Sequence[Placed], now: datetime) -> None:
    """A row for each distinct event and one for each delivery."""
    firsts = [feedback_row(one.arrival, one.outcome, now) for one in placed if isinstance(one.outcome, First)]
    repository.add_feedback(session, firsts)
    repository.add_deliveries(session, [_delivery_row(one, now) for one in placed])


def feedback_row(arrival: Arrival[FeedbackEvent], first: First, now: datetime) -> FeedbackRow:
    """A distinct event."""
    event = first.event
    row = {
        "tenant": event.tenant,
        "event_id": event.event_id,
        "completion_id": event.completion_id,
        "kind": event.kind,
        "body": arrival.kept.text,
        "fingerprint": first.fingerprint,
        "state": first.state,
        "payload_sha256": arrival.digest,
        "received_at": now,
    }
    return FeedbackRow.model_validate(row | arrival.position.model_dump())


def completion_row(arrival: Arrival[CompletionServed], completion: CompletionServed, now: datetime) -> CompletionRow:
    """A distinct completion."""
    row = {
        "tenant": completion.tenant,
        "completion_id": completion.completion_id,
        "policy": completion.policy,
        "adapter_digest": completion.adapter_digest,
        "body": arrival.kept.text,
        "fingerprint": steps.fingerprint(completion),
        "served_at": completion.served_at,
        "received_at": now,
    }
    return CompletionRow.model_validate(row)


def accept(session: Session, pairs: Iterable[tuple[FeedbackEvent, str]]) -> None:
    """Tell of events beside the bodies of their completions."""
    for event, body in pairs:
        accepted = FeedbackAccepted(event=event, completion=CompletionServed.model_validate_json(body))
        add_message(session, STAGE, FEEDBACK_ACCEPTED, event.completion_id, accepted)


def tell_of_completions(session: Session, rows: Iterable[CompletionRow]) -> None:
    """Tell of completions as they are stored: readers need not know what may be kept."""
    for row in rows:
        message = CompletionServed.model_validate_json(row.body)
        add_message(session, STAGE, COMPLETION_ACCEPTED, row.completion_id, message)


def set_aside(session: Session, found: Sequence[SetAside], now: datetime, *, again: bool = False) -> None:
    """Each once, however often it is read; `again`: a letter that was replayed may be set aside anew."""
    rows = [_letter_row(one, now) for one in found]
    add = repository_letters.add_again if again else repository_letters.add
    new = add(session, rows)
    for one in found:
        if delivery_key(one.position, one.digest) in new:
            letter = DeadFeedback.model_validate(_said(one, now) | {"payload": one.kept.text[:MAX_TEXT]})
            add_message(session, STAGE, FEEDBACK_DEAD, letter.reason, letter)


def _delivery_row(placed: Placed, now: datetime) -> DeliveryRow:
    row: dict[str, Any]
    match placed.outcome:
        case First(event=event):
            row = {"outcome": "first", "event_id": event.event_id}
        case Duplicate(event_id=event_id):
            row = {"outcome": "duplicate", "event_id": event_id}
        case DeadLetter():
            row = {"outcome": "dead"}
    arrival = placed.arrival
    row |= {"payload_sha256": arrival.digest, "tenant": arrival.tenant, "received_at": now}
    return DeliveryRow.model_validate(row | arrival.position.model_dump())


def _letter_row(one: SetAside, now: datetime) -> DeadLetterRow:
    kept = {"payload": one.kept.text, "whole": one.kept.whole, "event_id": one.kept.event_id}
    named = {"payload_sha256": one.digest, "letter_id": letter_id(one.position, one.digest), "state": WAITING}
    return DeadLetterRow.model_validate(_said(one, now) | kept | named | {"received_at": one.received_at})


def _said(one: SetAside, now: datetime) -> dict[str, Any]:
    letter = one.letter
    said = {"reason": letter.reason, "detail": letter.detail, "step": letter.step, "field": letter.field}
    return said | one.position.model_dump() | {"tenant": one.tenant, "set_aside_at": now}
