"""What happens to an offer until it is acknowledged, for one event or a thousand at once.

Its id is looked up; the same id with another body is refused, and only then is anything published. An event is
acknowledged once Kafka's in-sync replicas have it. A duplicate is published as well: the worker alone counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from ingest import steps
from ingest.gateway import AsyncPublisher
from ingest.known import Lookup, Recent
from ingest.offers import Offer, event_of
from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import IdConflict, PlumblineError
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED

NOTHING = Known({}, frozenset())


class Status(StrEnum):
    """What is known of an event when it is acknowledged."""

    ACCEPTED = "accepted"  # durable; whether it was there before was not to be found out
    MATCHED = "matched"  # its completion is there
    PENDING_MATCH = "pending_match"  # it waits for its completion
    DUPLICATE = "duplicate"  # it was there before, with the same body


class Intake:
    """Takes offers; one for a process."""

    def __init__(self, publisher: AsyncPublisher, lookup: Lookup, recent: Recent) -> None:
        self._publisher, self._lookup, self._recent = publisher, lookup, recent

    async def take(self, offers: Sequence[Offer]) -> list[Status | PlumblineError]:
        """What became of each. IdConflict: not taken; Transient: not acknowledged, send it again under its id."""
        known = await self._known(offers)
        found: list[Status | PlumblineError] = []
        claimed: dict[Key, bytes] = {}  # within this call, an id's first body stands
        for offer in offers:
            status = self._status(offer, claimed, known)
            found.append(status)
            if isinstance(status, Status):
                claimed.setdefault(offer.key, offer.payload)
        taken = [index for index, one in enumerate(found) if isinstance(one, Status)]
        topic = FEEDBACK_RECEIVED.name
        messages = [OutgoingMessage(topic, offers[i].completion_id, offers[i].payload) for i in taken]
        for index, outcome in zip(taken, await self._publisher.publish_each(messages), strict=True):
            if outcome is None:
                self._recent.remember(offers[index].key, offers[index].payload)
            else:
                found[index] = outcome
        return found

    async def _known(self, offers: Sequence[Offer]) -> Known | None:
        recent = self._recent
        events = [offer.key for offer in offers if offer.is_named and recent.payload(offer.key) is None]
        completions = [offer.completion_key for offer in offers if not recent.has_completion(offer.completion_key)]
        if not events and not completions:
            return NOTHING
        known = await self._lookup.ask(events, completions)
        if known is not None and known.completions:
            for completion in known.completions.intersection(completions):
                recent.remember_completion(completion)
        return known

    def _status(self, offer: Offer, claimed: dict[Key, bytes], known: Known | None) -> Status | PlumblineError:
        present = claimed.get(offer.key) or self._recent.payload(offer.key)
        stored = None if known is None else known.fingerprints.get(offer.key)
        if present is not None or stored is not None:
            if present is not None and present != offer.payload:
                stored = steps.fingerprint(event_of(present))
            is_same = stored is None or stored == steps.fingerprint(event_of(offer.payload))
            return Status.DUPLICATE if is_same else IdConflict(field="id")
        if self._recent.has_completion(offer.completion_key):
            return Status.MATCHED
        return Status.ACCEPTED if known is None else Status.PENDING_MATCH
