"""One use case a function, one transaction each. Every effect is keyed, so any batch may come again.

Counting: an event read from Kafka leaves exactly one delivery, keyed by its position and the digest of its bytes (a
broker made anew starts its offsets again); a delivery is the first of its id, a duplicate, or dead. The first of an
id is a feedback row, which is accepted, pending or dead. Hence received = accepted + duplicate + dead + pending, at
every instant, of every tenant, however often a record is read. Dead letters that are replayed and rows that retention
deletes have their own files and keep to this.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from infra.database import Database
from ingest import outcomes, repository, repository_letters, steps
from ingest.outcomes import SetAside, delivery_key
from ingest.repository import DeliveryKey, Known
from ingest.steps import Arrival, First, Kept, Key, Reason, State
from ingest.tables import CompletionRow
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.results import DeadLetter, Ok
from matrix.topics import FEEDBACK_RECEIVED

STAGE = outcomes.STAGE
SWEEP_MOST = 1000  # events that one transaction gives up on
SWEEP_ROUNDS = 20  # transactions of one sweep; the next sweep goes on
STATUS = {State.ACCEPTED: "matched", State.PENDING: "pending", State.DEAD: "set_aside"}


def receive_feedback(database: Database, arrivals: Sequence[Arrival[FeedbackEvent]], now: datetime) -> None:
    """Store, join and count a batch of feedback; what is accepted or set aside leaves through the outbox."""
    events = [arrival.judged.value for arrival in arrivals if isinstance(arrival.judged, Ok)]
    with database.unit_of_work() as session:
        repository.take_turn(session)
        keys = [delivery_key(arrival.position, arrival.digest) for arrival in arrivals]
        new = _new(arrivals, repository.delivered(session, keys))
        stored = repository.feedback_fingerprints(session, sorted({steps.event_key(event) for event in events}))
        served = repository.completion_bodies(session, sorted({steps.completion_key(event) for event in events}))
        placed = steps.place(new, stored, frozenset(served))
        outcomes.store(session, placed, now)
        firsts = [one.outcome for one in placed if isinstance(one.outcome, First)]
        matched = [one.event for one in firsts if one.state is State.ACCEPTED]
        outcomes.accept(session, ((event, served[steps.completion_key(event)]) for event in matched))
        dead = [outcomes.dead(one.arrival, one.outcome, now) for one in placed if isinstance(one.outcome, DeadLetter)]
        outcomes.set_aside(session, dead, now)


def receive_completions(database: Database, arrivals: Sequence[Arrival[CompletionServed]], now: datetime) -> None:
    """Store a batch of completions, tell of them, and accept the feedback that waited for them.

    The first body of a completion id stands; another body under the same id is set aside with reason id_conflict,
    because feedback may already have been credited to the first.
    """
    completions = [arrival.judged.value for arrival in arrivals if isinstance(arrival.judged, Ok)]
    with database.unit_of_work() as session:
        repository.take_turn(session)
        keys = sorted({steps.completion_key(one) for one in completions})
        new, dead = sort_out(arrivals, repository.completion_fingerprints(session, keys), now)
        store_completions(session, new)
        outcomes.set_aside(session, dead, now)


def store_completions(session: Session, new: Mapping[Key, CompletionRow]) -> None:
    """Within a transaction: store and tell of completions, and accept the feedback that waited for them."""
    repository.add_completions(session, list(new.values()))
    outcomes.tell_of_completions(session, new.values())
    waiting = [FeedbackEvent.model_validate_json(one.body) for one in repository.accept_waiting(session, sorted(new))]
    outcomes.accept(session, ((event, new[steps.completion_key(event)].body) for event in waiting))


def sort_out(
    arrivals: Sequence[Arrival[CompletionServed]], stored: Mapping[Key, str], now: datetime
) -> tuple[dict[Key, CompletionRow], list[SetAside]]:
    """Completions that are new, and what is set aside, given the fingerprints of stored ones."""
    new: dict[Key, CompletionRow] = {}
    dead: list[SetAside] = []
    known = dict(stored)
    for arrival in arrivals:
        if isinstance(arrival.judged, DeadLetter):
            dead.append(outcomes.dead(arrival, arrival.judged, now))
            continue
        key = steps.completion_key(arrival.judged.value)
        row = outcomes.completion_row(arrival, arrival.judged.value, now)
        if known.setdefault(key, row.fingerprint) != row.fingerprint:
            dead.append(outcomes.dead(arrival, steps.conflict("completion_id"), now))
        elif key not in stored:
            new.setdefault(key, row)
    return new, dead


def give_up_waiting(database: Database, now: datetime, ttl: timedelta, *, tenant: str | None = None) -> int:
    """Set aside feedback whose completion has not come within the limit; returns how many events."""
    letter = DeadLetter(
        Reason.UNKNOWN_COMPLETION, f"no completion of this id came within {ttl}", steps.JOIN, "completion_id"
    )
    with database.unit_of_work() as session:
        repository.take_turn(session)
        given_up = repository.give_up_waiting(session, now - ttl, Reason.UNKNOWN_COMPLETION, SWEEP_MOST, tenant=tenant)
        dead = [
            SetAside(letter, one.tenant, one.position, one.digest, Kept(one.body, one.event_id), one.received_at)
            for one in given_up
        ]
        outcomes.set_aside(session, dead, now, again=True)
    return len(given_up)


def sweep_waiting(database: Database, now: datetime, ttl: timedelta, *, tenant: str | None = None) -> int:
    """The same while there is more than one transaction gives up on; returns how many events."""
    given_up = 0
    for _ in range(SWEEP_ROUNDS):
        found = give_up_waiting(database, now, ttl, tenant=tenant)
        given_up += found
        if found < SWEEP_MOST:
            break
    return given_up


def known(database: Database, events: Sequence[Key], completions: Sequence[Key]) -> Known:
    """Fingerprints of these events (tenant and id) that are stored, and which of these completions are."""
    with database.unit_of_work() as session:
        return repository.known(session, events, completions)


def find_feedback(database: Database, tenant: str, event_id: str) -> dict[str, Any] | None:
    """What became of an event of this tenant; None where the worker has read none of this id."""
    with database.unit_of_work() as session:
        row = repository.event(session, (tenant, event_id))
        letter = None
        if row is None or row["state"] == State.DEAD:
            letter = repository_letters.of_event(session, tenant, event_id, FEEDBACK_RECEIVED.name)
    why = {"reason": letter.reason, "detail": letter.detail} if letter is not None else {}
    if row is not None:
        told = {name: row[name] for name in ("completion_id", "kind", "received_at")}
        why = why or ({"reason": row["reason"]} if row["reason"] else {})
        return {"feedback_id": event_id, "status": STATUS[State(row["state"])], **why, **told}
    if letter is None:
        return None
    said = _readable(letter.payload)
    told = {name: said.get(name) for name in ("completion_id", "kind")} | {"received_at": letter.received_at}
    return {"feedback_id": event_id, "status": STATUS[State.DEAD], **why, **told}


def counts(database: Database, *tenants: str) -> dict[str, Any]:
    """What became of all that was received, of these tenants or of all: accepted + duplicate + dead + pending."""
    with database.unit_of_work() as session:
        found = [repository.counts(session, FEEDBACK_RECEIVED.name, tenant) for tenant in tenants or (None,)]
    figures: Counter[str] = Counter()
    for one in (named for by_tenant in found for named in by_tenant.values()):
        figures.update(one)
    return told_counts(figures)


def told_counts(figures: Mapping[str, int]) -> dict[str, Any]:
    """Figures as the repository names them, as people do."""
    by_outcome = {name: figures.get(f"delivery.{name}", 0) for name in ("first", "duplicate", "dead")}
    by_state = {state.value: figures.get(f"state.{state.value}", 0) for state in State}
    reasons = {name.removeprefix("reason."): n for name, n in sorted(figures.items()) if name.startswith("reason.")}
    return {
        "received": sum(by_outcome.values()),
        "accepted": by_state["accepted"],
        "duplicate": by_outcome["duplicate"],
        "dead": by_outcome["dead"] + by_state["dead"],
        "pending": by_state["pending"],
        "by_reason": reasons,
        "completions": {"stored": figures.get("completions.stored", 0), "dead": figures.get("completions.dead", 0)},
    }


def _new(arrivals: Sequence[Arrival[FeedbackEvent]], seen: set[DeliveryKey]) -> list[Arrival[FeedbackEvent]]:
    """Deliveries without effect so far; a batch may hold one twice."""
    by_key = {delivery_key(arrival.position, arrival.digest): arrival for arrival in reversed(arrivals)}
    return [by_key[key] for key in sorted(by_key) if key not in seen]


def _readable(payload: str) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return {name: part for name, part in said.items() if isinstance(part, str)} if isinstance(said, dict) else {}
