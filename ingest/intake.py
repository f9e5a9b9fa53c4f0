"""What happens to an offer until it is acknowledged, for one event or a thousand at once.

Its id is looked up; the same id with another body is refused, and only then is anything published. An event is
acknowledged once Kafka's in-sync replicas have it. A duplicate is published as well: the worker alone counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial

from ingest import steps
from ingest.gateway import AsyncPublisher
from ingest.known import Lookup, Recent
from ingest.offers import Offer, event_of
from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import IdConflict, PlumblineError
from matrix.ports import Outcome, OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED

NOTHING = Known({}, frozenset())


class Status(StrEnum):
    """What is known of an event when it is acknowledged."""

    ACCEPTED = "accepted"  # durable; whether it was there before was not to be found out
    MATCHED = "matched"  # its completion is there
    PENDING_MATCH = "pending_match"  # it waits for its completion
    DUPLICATE = "duplicate"  # it was there before, with the same body


Taken = Status | PlumblineError
Told = Callable[[int, Status | Exception], None]  # what became of the offer at this place; raises nothing


class Intake:
    """Takes offers; one for a process."""

    def __init__(self, publisher: AsyncPublisher, lookup: Lookup, recent: Recent) -> None:
        self._publisher, self._lookup, self._recent = publisher, lookup, recent

    async def take(self, offers: Sequence[Offer]) -> list[Taken]:
        """What became of each. IdConflict: not taken; Transient: not acknowledged, send it again under its id."""
        events, completions = self._unknown(offers)
        known = await self._lookup.ask(events, completions) if events or completions else NOTHING
        found = self._decided(offers, known)
        taken, messages = _outgoing(offers, found)
        for index, outcome in zip(taken, await self._publisher.publish_each(messages), strict=True):
            if outcome is None:
                self._recent.remember(offers[index].key, offers[index].payload)
            else:
                found[index] = outcome
        return found

    def take_soon(self, offers: Sequence[Offer], told: Told) -> None:
        """The same for offers that came at once, each for itself; `told` is called once for every place."""
        events, completions = self._unknown(offers)
        if events or completions:
            self._lookup.ask_soon(events, completions, partial(self._go_on, offers, told))
        else:
            self._go_on(offers, told, NOTHING)

    def _go_on(self, offers: Sequence[Offer], told: Told, known: Known | None) -> None:
        try:
            found = self._decided(offers, known)
            taken, messages = _outgoing(offers, found)
            self._publisher.publish_soon(messages, partial(self._settled, offers, found, taken, told))
        except Exception as error:  # noqa: BLE001 - nobody else could tell those that wait
            for place in range(len(offers)):
                told(place, error)
            return
        for place, one in enumerate(found):
            if isinstance(one, PlumblineError):
                told(place, one)

    def _settled(
        self,
        offers: Sequence[Offer],
        found: Sequence[Taken],
        taken: Sequence[int],
        told: Told,
        places: Sequence[int],
        outcome: Outcome,
    ) -> None:
        remember = self._recent.remember
        for place in places:
            index = taken[place]
            if outcome is None:
                remember(offers[index].key, offers[index].payload)
            told(index, found[index] if outcome is None else outcome)

    def _unknown(self, offers: Sequence[Offer]) -> tuple[list[Key], list[Key]]:
        """The events and completions that memory does not know."""
        payload, has_completion = self._recent.payload, self._recent.has_completion
        events = [offer.key for offer in offers if offer.is_named and payload(offer.key) is None]
        return events, [offer.completion_key for offer in offers if not has_completion(offer.completion_key)]

    def _decided(self, offers: Sequence[Offer], known: Known | None) -> list[Taken]:
        """Status or refusal of each; among them, an id's first body stands."""
        recent, there = self._recent, NOTHING.completions if known is None else known.completions
        stored = NOTHING.fingerprints if known is None else known.fingerprints
        unmatched = Status.ACCEPTED if known is None else Status.PENDING_MATCH
        claimed: dict[Key, bytes] = {}
        found: list[Taken] = []
        for key, completion, _, payload in offers:
            if completion in there:
                recent.remember_completion(completion)
            present = claimed.get(key) or recent.payload(key)
            if present is not None or key in stored:
                status = _again(payload, present, stored.get(key))
            else:
                status = Status.MATCHED if recent.has_completion(completion) else unmatched
            found.append(status)
            if isinstance(status, Status):
                claimed.setdefault(key, payload)
        return found


def _again(payload: bytes, present: bytes | None, stored: str | None) -> Taken:
    """Of an event whose id is known, with its body or by its fingerprint."""
    if present is not None and present != payload:
        stored = steps.fingerprint(event_of(present))
    is_same = stored is None or stored == steps.fingerprint(event_of(payload))
    return Status.DUPLICATE if is_same else IdConflict(field="id")


def _outgoing(offers: Sequence[Offer], found: Sequence[Taken]) -> tuple[list[int], list[OutgoingMessage]]:
    """Which are taken, and what is published of them."""
    taken = [index for index, one in enumerate(found) if isinstance(one, Status)]
    topic = FEEDBACK_RECEIVED.name
    return taken, [OutgoingMessage(topic, offers[i].completion_key[1], offers[i].payload) for i in taken]
