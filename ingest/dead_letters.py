"""What people do with what was set aside: look at it, judge it again after a fix, or drop it for good.

A replay judges the stored payload, with fixes to its fields where there are any, as if it had been read again, and in
one transaction turns the delivery's outcome from dead into what the event is now: so each event counts once. Age is
judged as it was when the letter was set aside, for the wait was not the sender's. What is still refused stays as it
was. A dropped letter loses its payload and stays counted as dead.
Left out: payloads that are not JSON, were shortened, or were sent without consent; they can only be sent again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlmodel import Session

from infra.database import Database
from infra.streams import MALFORMED, Incoming
from ingest import arrivals, outcomes, repository, repository_letters, service, steps
from ingest.arrivals import Privacy
from ingest.repository_letters import Selection
from ingest.steps import AgeLimits, Arrival, Duplicate, First, Key, Placed, Reason, State
from ingest.tables import CompletionRow, DeadLetterRow
from matrix.errors import InvalidInput, NotFound
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, Position
from matrix.results import DeadLetter, Ok
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

M = TypeVar("M", FeedbackEvent, CompletionServed)
MOST = 1000  # letters that one call may handle
SHOWN = 300  # characters of a payload in a list
REPLAYED, DROPPED = "replayed", "dropped"


class LetterTopic(StrEnum):
    """Where letters come from."""

    FEEDBACK = FEEDBACK_RECEIVED.name
    COMPLETIONS = COMPLETION_SERVED.name


NOT_FIXABLE = frozenset({"tenant", "consent"})  # whose an event is, and what its person allowed, are not an operator's
NOT_REPLAYABLE = "its payload was shortened or withheld: it can only be sent again by its sender"


@dataclass(frozen=True, slots=True)
class Replay:
    """How letters are judged again."""

    privacy: Privacy
    limits: AgeLimits
    fixes: Mapping[str, Any]  # field -> value; None takes the field out
    by: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter."""

    letter: DeadLetterRow
    became: str  # accepted, pending, duplicate, stored or dead
    why: DeadLetter | None = None

    def told(self) -> dict[str, Any]:
        """As people and programs read it."""
        why = {"reason": self.why.reason, "detail": self.why.detail} if self.why else {}
        return {"id": self.letter.letter_id, "outcome": self.became, **why}


def listed(database: Database, wanted: Selection) -> list[dict[str, Any]]:
    """The newest first, with the beginning of each payload."""
    with database.unit_of_work() as session:
        return [_told(row, shown=SHOWN) for row in repository_letters.selected(session, wanted)]


def show(database: Database, tenants: tuple[str, ...], letter_id: str) -> dict[str, Any]:
    """One letter with its payload; NotFound in these tenants."""
    with database.unit_of_work() as session:
        rows = repository_letters.selected(session, Selection(tenants=tenants, ids=(letter_id,), limit=1))
    if not rows:
        raise NotFound(what="dead letter", name=letter_id)
    return _told(rows[0], shown=None)


def drop(database: Database, wanted: Selection, now: datetime, *, by: str) -> dict[str, Any]:
    """Forget what was said; that it came stays counted."""
    with database.unit_of_work() as session:
        repository.take_turn(session)
        letters = _waiting(session, wanted)
        for letter in letters:
            _handled(letter, DROPPED, now, by)
    return {"dropped": len(letters), "ids": [letter.letter_id for letter in letters]}


def replay(database: Database, wanted: Selection, how: Replay, now: datetime) -> dict[str, Any]:
    """Judge letters again, completions before the feedback that may wait for them; NotFound names a missing id."""
    refused = NOT_FIXABLE & set(how.fixes)
    if refused:
        raise InvalidInput(field="set", value=sorted(refused)[0], remedy="any field but tenant and consent")
    with database.unit_of_work() as session:
        repository.take_turn(session)
        letters = _waiting(session, wanted)
        whole = [letter for letter in letters if letter.whole]
        if wanted.ids is not None and len(whole) < len(letters):
            short = next(letter for letter in letters if not letter.whole)
            raise InvalidInput(field="ids", value=short.letter_id, remedy=NOT_REPLAYABLE)
        lost = DeadLetter("not_replayable", NOT_REPLAYABLE, "replay")
        done = [Outcome(letter, "dead", lost) for letter in letters if not letter.whole]
        done += _completions(session, [one for one in whole if one.topic != FEEDBACK_RECEIVED.name], how, now)
        done += _events(session, [one for one in whole if one.topic == FEEDBACK_RECEIVED.name], how, now)
        for outcome in done:
            if outcome.became != "dead":
                _handled(outcome.letter, REPLAYED, now, how.by)
    told = Counter(outcome.became for outcome in done)
    still = told.pop("dead", 0)
    return {"replayed": told.total(), "still_dead": still, **told, "letters": [outcome.told() for outcome in done]}


def _waiting(session: Session, wanted: Selection) -> list[DeadLetterRow]:
    """In the order in which they were set aside."""
    letters = repository_letters.selected(session, wanted, waiting=True)
    missing = set(wanted.ids or ()) - {letter.letter_id for letter in letters}
    if missing:
        raise NotFound(what="dead letter that waits", name=min(missing))
    return sorted(letters, key=lambda one: (one.set_aside_at, one.topic, one.partition, one.offset, one.position))


def _handled(letter: DeadLetterRow, state: str, now: datetime, by: str) -> None:
    letter.state, letter.handled_at, letter.handled_by = state, now, by
    letter.payload, letter.whole = "", False


def _completions(session: Session, letters: Sequence[DeadLetterRow], how: Replay, now: datetime) -> list[Outcome]:
    again = [(letter, _again(letter, how, now, arrivals.completion)) for letter in letters]
    keys = {steps.completion_key(one.judged.value) for _, one in again if isinstance(one.judged, Ok)}
    stored = repository.completion_fingerprints(session, sorted(keys))
    new: dict[Key, CompletionRow] = {}
    done = []
    for letter, arrival in again:
        found, dead = service.sort_out([arrival], stored, now)
        stored |= {key: row.fingerprint for key, row in found.items()}
        new |= found
        done.append(
            Outcome(letter, "dead", dead[0].letter) if dead else Outcome(letter, "stored" if found else "duplicate")
        )
    service.store_completions(session, new)
    return done


def _events(session: Session, letters: Sequence[DeadLetterRow], how: Replay, now: datetime) -> list[Outcome]:
    again = [(letter, _again(letter, how, now, arrivals.feedback)) for letter in letters]
    events = [one.judged.value for _, one in again if isinstance(one.judged, Ok)]
    known = repository.known(session, sorted({steps.event_key(event) for event in events}), [])
    served = repository.completion_bodies(session, sorted({steps.completion_key(event) for event in events}))
    joining = [(letter, one) for letter, one in again if letter.step == steps.JOIN]
    counted = [(letter, one) for letter, one in again if letter.step != steps.JOIN]
    placed = steps.place([one for _, one in counted], known.fingerprints, frozenset(served))
    done = [_recounted(session, letter, one, now) for (letter, _), one in zip(counted, placed, strict=True)]
    done += [_joined(session, letter, one, served) for letter, one in joining]
    accepted = [one.outcome.event for one in placed if isinstance(one.outcome, First)]
    outcomes.accept(
        session, [(event, served[key]) for event in accepted if (key := steps.completion_key(event)) in served]
    )
    return done


def _recounted(session: Session, letter: DeadLetterRow, placed: Placed, now: datetime) -> Outcome:
    """A delivery that was dead is the first of its event, or a duplicate."""
    if isinstance(placed.outcome, DeadLetter):
        return Outcome(letter, "dead", placed.outcome)
    delivery = repository_letters.delivery_of(session, letter)
    if delivery is None:
        raise NotFound(what="delivery of dead letter", name=letter.letter_id)
    if isinstance(placed.outcome, Duplicate):
        delivery.outcome, delivery.event_id = "duplicate", placed.outcome.event_id
        return Outcome(letter, "duplicate")
    first = placed.outcome
    delivery.outcome, delivery.event_id = "first", first.event.event_id
    repository_letters.put_feedback(session, outcomes.feedback_row(placed.arrival, first, now))
    return Outcome(letter, first.state.value)


def _joined(
    session: Session, letter: DeadLetterRow, arrival: Arrival[FeedbackEvent], served: Mapping[Key, str]
) -> Outcome:
    """An event that waited in vain is already counted as the first of its id; only its state may change."""
    if isinstance(arrival.judged, DeadLetter):
        return Outcome(letter, "dead", arrival.judged)
    event, row = arrival.judged.value, repository_letters.feedback_of(session, letter)
    if row is None or event.event_id != row.event_id:
        detail = "event_id: an event that was counted keeps its id"
        return Outcome(letter, "dead", DeadLetter(Reason.ID_CONFLICT, detail, "replay", "event_id"))
    body = served.get(steps.completion_key(event))
    if body is None:
        detail = "completion_id: there is still no completion of this id"
        return Outcome(letter, "dead", DeadLetter(Reason.UNKNOWN_COMPLETION, detail, steps.JOIN, "completion_id"))
    row.completion_id, row.kind, row.body = event.completion_id, event.kind, arrival.kept.text
    row.fingerprint, row.state, row.reason = steps.fingerprint(event), State.ACCEPTED, None
    outcomes.accept(session, [(event, body)])
    return Outcome(letter, State.ACCEPTED)


def _again(
    letter: DeadLetterRow,
    how: Replay,
    now: datetime,
    arrive: Callable[[Incoming, datetime, AgeLimits, Privacy], Arrival[M]],
) -> Arrival[M]:
    value, raw = _mended(letter, how.fixes)
    position = Position(topic=letter.topic, partition=letter.partition, offset=letter.offset, position=letter.position)
    incoming = Incoming(position, raw, value)
    arrival = arrive(incoming, letter.set_aside_at, how.limits, how.privacy)
    if isinstance(arrival.judged, DeadLetter) and arrival.judged.reason == Reason.IN_THE_FUTURE:
        arrival = arrive(incoming, now, how.limits, how.privacy)  # its time may have come
    return replace(arrival, digest=letter.payload_sha256)


def _mended(letter: DeadLetterRow, fixes: Mapping[str, Any]) -> tuple[object, bytes]:
    raw = letter.payload.encode()
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return MALFORMED, raw
    if not isinstance(value, dict):
        return value, raw
    changed = value | dict(fixes) | {"tenant": letter.tenant}
    mended = {name: part for name, part in changed.items() if part is not None}
    return mended, json.dumps(mended).encode()


def _told(row: DeadLetterRow, *, shown: int | None) -> dict[str, Any]:
    told = row.model_dump(exclude={"payload_sha256", "letter_id", "whole"})
    replayable = row.whole and row.state == outcomes.WAITING
    return {"id": row.letter_id} | told | {"payload": row.payload[:shown], "replayable": replayable}
