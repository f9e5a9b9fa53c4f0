"""One use case a function, one transaction each. Every effect is keyed, so any batch may come again.

Counting: an event read from Kafka leaves exactly one delivery, keyed by its position and the digest of its bytes (a
broker made anew starts its offsets again); a delivery is the first of its id, a duplicate, or dead. The first of an
id is a feedback row, which is accepted, pending or dead. Hence received = accepted + duplicate + dead + pending, at
every instant, however often a record is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from infra.database import Database
from infra.outbox import add_message
from ingest import repository, steps
from ingest.steps import Arrival, Duplicate, First, Placed, Reason, State
from ingest.tables import CompletionRow, DeadLetterRow, DeliveryRow, FeedbackRow
from matrix.digests import digest_bytes
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import DeadFeedback, FeedbackAccepted, FeedbackEvent, Position
from matrix.results import DeadLetter, Ok
from matrix.topics import FEEDBACK_ACCEPTED, FEEDBACK_DEAD, FEEDBACK_RECEIVED

STAGE = "ingest"
SWEEP_MOST = 1000  # events that one transaction gives up on


@dataclass(frozen=True, slots=True)
class SetAside:
    """A dead letter with where it lay."""

    letter: DeadLetter
    position: Position
    payload: str


def receive_feedback(database: Database, arrivals: Sequence[Arrival[FeedbackEvent]], now: datetime) -> None:
    """Store, join and count a batch of feedback; what is accepted or set aside leaves through the outbox."""
    events = [arrival.judged.value for arrival in arrivals if isinstance(arrival.judged, Ok)]
    with database.unit_of_work() as session:
        repository.take_turn(session)
        seen = repository.delivered(session, [_key(arrival.position, arrival.raw) for arrival in arrivals])
        stored = repository.feedback_fingerprints(session, sorted({event.event_id for event in events}))
        served = repository.completion_bodies(session, sorted({event.completion_id for event in events}))
        placed = steps.place(_new(arrivals, seen), stored, frozenset(served))
        _store(session, placed, now)
        firsts = [one.outcome for one in placed if isinstance(one.outcome, First)]
        _accept(session, ((f.event, served[f.event.completion_id]) for f in firsts if f.state is State.ACCEPTED))
        _set_aside(
            session, [_dead(one.arrival, one.outcome) for one in placed if isinstance(one.outcome, DeadLetter)], now
        )


def receive_completions(database: Database, arrivals: Sequence[Arrival[CompletionServed]], now: datetime) -> None:
    """Store a batch of completions and accept the feedback that waited for them.

    The first body of a completion id stands; another body under the same id is set aside with reason id_conflict,
    because feedback may already have been credited to the first.
    """
    completions = [arrival.judged.value for arrival in arrivals if isinstance(arrival.judged, Ok)]
    with database.unit_of_work() as session:
        repository.take_turn(session)
        known = repository.completion_fingerprints(session, sorted({one.completion_id for one in completions}))
        new, dead = _sorted_out(arrivals, known)
        repository.add_completions(session, list(new.values()))
        waiting = repository.accept_waiting(session, sorted(new))
        events = [FeedbackEvent.model_validate_json(one.body) for one in waiting]
        _accept(session, ((event, new[event.completion_id].body) for event in events))
        _set_aside(session, dead, now)


def give_up_waiting(database: Database, now: datetime, ttl: timedelta) -> int:
    """Set aside feedback whose completion has not come within the limit; returns how many events."""
    letter = DeadLetter(
        Reason.UNKNOWN_COMPLETION, f"no completion of this id came within {ttl}", "join", "completion_id"
    )
    with database.unit_of_work() as session:
        repository.take_turn(session)
        given_up = repository.give_up_waiting(session, now - ttl, Reason.UNKNOWN_COMPLETION, SWEEP_MOST)
        _set_aside(session, [SetAside(letter, one.position, one.body) for one in given_up], now)
    return len(given_up)


def counts(database: Database) -> dict[str, Any]:
    """What became of everything received; received = accepted + duplicate + dead + pending."""
    with database.unit_of_work() as session:
        found = repository.counts(session, FEEDBACK_RECEIVED.name)
    by_outcome = {name: found.get(f"delivery.{name}", 0) for name in ("first", "duplicate", "dead")}
    by_state = {state.value: found.get(f"state.{state.value}", 0) for state in State}
    return {
        "received": sum(by_outcome.values()),
        "accepted": by_state["accepted"],
        "duplicate": by_outcome["duplicate"],
        "dead": by_outcome["dead"] + by_state["dead"],
        "pending": by_state["pending"],
        "by_reason": {
            name.removeprefix("reason."): n for name, n in sorted(found.items()) if name.startswith("reason.")
        },
        "completions": {"stored": found["completions.stored"], "dead": found["completions.dead"]},
    }


def dead_letters(database: Database, *, reason: str | None, limit: int) -> list[dict[str, Any]]:
    """What was set aside, the newest first."""
    with database.unit_of_work() as session:
        return repository.dead_letters(session, reason=reason, limit=limit)


def _sorted_out(
    arrivals: Sequence[Arrival[CompletionServed]], stored: Mapping[str, str]
) -> tuple[dict[str, CompletionRow], list[SetAside]]:
    new: dict[str, CompletionRow] = {}
    dead: list[SetAside] = []
    known = dict(stored)
    for arrival in arrivals:
        if isinstance(arrival.judged, DeadLetter):
            dead.append(_dead(arrival, arrival.judged))
            continue
        row = _completion_row(arrival.judged.value)
        present = known.setdefault(row.completion_id, row.fingerprint)
        if present != row.fingerprint:
            dead.append(_dead(arrival, steps.conflict("completion_id")))
        elif row.completion_id not in stored:
            new.setdefault(row.completion_id, row)
    return new, dead


def _new(arrivals: Sequence[Arrival[FeedbackEvent]], seen: set[repository.Key]) -> list[Arrival[FeedbackEvent]]:
    """Deliveries without effect so far; a batch may hold one twice."""
    by_key = {_key(arrival.position, arrival.raw): arrival for arrival in reversed(arrivals)}
    return [by_key[key] for key in sorted(by_key) if key not in seen]


def _key(position: Position, payload: bytes) -> repository.Key:
    return (position.topic, position.partition, position.offset, position.position, digest_bytes(payload))


def _store(session: Session, placed: Sequence[Placed], now: datetime) -> None:
    rows = [_feedback_row(one, one.outcome, now) for one in placed if isinstance(one.outcome, First)]
    repository.add_feedback(session, rows)
    repository.add_deliveries(session, [_delivery_row(one) for one in placed])


def _feedback_row(placed: Placed, first: First, now: datetime) -> FeedbackRow:
    row = {
        "event_id": first.event.event_id,
        "completion_id": first.event.completion_id,
        "kind": first.event.kind,
        "body": first.event.to_payload().decode(),
        "fingerprint": first.fingerprint,
        "state": first.state,
        "received_at": now,
    }
    return FeedbackRow.model_validate(row | placed.arrival.position.model_dump())


def _delivery_row(placed: Placed) -> DeliveryRow:
    match placed.outcome:
        case First(event=event):
            row = {"outcome": "first", "event_id": event.event_id}
        case Duplicate(event_id=event_id):
            row = {"outcome": "duplicate", "event_id": event_id}
        case DeadLetter():
            row = {"outcome": "dead"}
    arrival = placed.arrival
    return DeliveryRow.model_validate(
        row | arrival.position.model_dump() | {"payload_sha256": digest_bytes(arrival.raw)}
    )


def _completion_row(completion: CompletionServed) -> CompletionRow:
    row = {
        "completion_id": completion.completion_id,
        "policy": completion.policy,
        "adapter_digest": completion.adapter_digest,
        "body": completion.to_payload().decode(),
        "fingerprint": steps.fingerprint(completion),
        "served_at": completion.served_at,
    }
    return CompletionRow.model_validate(row)


def _accept(session: Session, pairs: Iterable[tuple[FeedbackEvent, str]]) -> None:
    for event, body in pairs:
        accepted = FeedbackAccepted(event=event, completion=CompletionServed.model_validate_json(body))
        add_message(session, STAGE, FEEDBACK_ACCEPTED, event.completion_id, accepted)


def _dead(arrival: Arrival[Any], letter: DeadLetter) -> SetAside:
    return SetAside(letter, arrival.position, steps.shown(arrival.raw))


def _set_aside(session: Session, dead: Sequence[SetAside], now: datetime) -> None:
    rows = [
        DeadLetterRow.model_validate(_letter(one, now) | {"payload_sha256": digest_bytes(one.payload.encode())})
        for one in dead
    ]
    new = repository.add_dead_letters(session, rows)
    for one in dead:
        if _key(one.position, one.payload.encode()) in new:
            letter = DeadFeedback.model_validate(_letter(one, now))
            add_message(session, STAGE, FEEDBACK_DEAD, letter.reason, letter)


def _letter(one: SetAside, now: datetime) -> dict[str, Any]:
    letter = one.letter
    said = {"reason": letter.reason, "detail": letter.detail, "step": letter.step, "field": letter.field}
    return said | one.position.model_dump() | {"payload": one.payload, "set_aside_at": now}
