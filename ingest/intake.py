"""What happens to an event between its check and its acknowledgement, for one event or a thousand at once.

Redacted first: nothing leaves this process, not even to the database, with a person in it. Then its id is looked up;
the same id with another body is refused, and only then is anything published. An event is acknowledged once Kafka's
in-sync replicas have it. A duplicate is published as well: the worker alone counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest import steps
from ingest.consent import feedback_without_words
from ingest.gateway import AsyncPublisher
from ingest.known import Lookup, Recent
from ingest.privacy import Privacy
from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import IdConflict, PlumblineError
from matrix.messages.feedback import FeedbackEvent
from matrix.ports import OutgoingMessage
from matrix.topics import FEEDBACK_RECEIVED

BIG_CHARACTERS = 4_000  # of text in a call: redacting more is done in a thread


class Status(StrEnum):
    """What is known of an event when it is acknowledged."""

    ACCEPTED = "accepted"  # durable; whether it was there before was not to be found out
    MATCHED = "matched"  # its completion is there
    PENDING_MATCH = "pending_match"  # it waits for its completion
    DUPLICATE = "duplicate"  # it was there before, with the same body


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked event; an id that the gateway has just made cannot be taken."""

    event: FeedbackEvent
    is_named: bool  # its sender chose the id


class Intake:
    """Takes events; one for a process."""

    def __init__(self, publisher: AsyncPublisher, privacy: Privacy, lookup: Lookup, recent: Recent) -> None:
        self._publisher, self._privacy, self._lookup, self._recent = publisher, privacy, lookup, recent

    async def take(self, offers: Sequence[Offer]) -> list[Status | PlumblineError]:
        """What became of each. IdConflict: not taken; Transient: not acknowledged, send it again under its id."""
        events = await self._redacted([offer.event for offer in offers])
        payloads = [event.to_payload() for event in events]
        known = await self._known(offers)
        found: list[Status | PlumblineError] = []
        claimed: dict[Key, bytes] = {}  # within this call, an id's first body stands
        for event, payload in zip(events, payloads, strict=True):
            found.append(self._status(event, payload, claimed, known))
            if isinstance(found[-1], Status):
                claimed.setdefault((event.tenant, event.event_id), payload)
        taken = [index for index, one in enumerate(found) if isinstance(one, Status)]
        messages = [OutgoingMessage(FEEDBACK_RECEIVED.name, events[i].completion_id, payloads[i]) for i in taken]
        for index, outcome in zip(taken, await self._publisher.publish_each(messages), strict=True):
            if outcome is None:
                self._recent.remember((events[index].tenant, events[index].event_id), payloads[index])
            else:
                found[index] = outcome
        return found

    async def _redacted(self, events: Sequence[FeedbackEvent]) -> list[FeedbackEvent]:
        if sum(len(event.text) for event in events if event.text is not None) > BIG_CHARACTERS:
            return await asyncio.to_thread(self._redact, events)
        return self._redact(events)

    def _redact(self, events: Sequence[FeedbackEvent]) -> list[FeedbackEvent]:
        return [self._privacy.feedback(event) if event.consent else feedback_without_words(event) for event in events]

    async def _known(self, offers: Sequence[Offer]) -> Known | None:
        events, completions = [], []
        for offer in offers:
            key = offer.event.tenant, offer.event.event_id
            if offer.is_named and self._recent.payload(key) is None:
                events.append(key)
            completion = offer.event.tenant, offer.event.completion_id
            if not self._recent.has_completion(completion):
                completions.append(completion)
        if not events and not completions:
            return Known({}, frozenset())
        known = await self._lookup.ask(events, completions)
        if known is not None:
            for completion in completions:
                if completion in known.completions:
                    self._recent.remember_completion(completion)
        return known

    def _status(
        self, event: FeedbackEvent, payload: bytes, claimed: dict[Key, bytes], known: Known | None
    ) -> Status | PlumblineError:
        key = event.tenant, event.event_id
        present = claimed.get(key) or self._recent.payload(key)
        if present is not None and present != payload:
            present_print: str | None = steps.fingerprint(FeedbackEvent.model_validate_json(present))
        else:
            present_print = None if known is None else known.fingerprints.get(key)
        if present_print is not None and present_print != steps.fingerprint(event):
            return IdConflict(field="id")
        if present is not None or present_print is not None:
            return Status.DUPLICATE
        if self._recent.has_completion((event.tenant, event.completion_id)):
            return Status.MATCHED
        return Status.ACCEPTED if known is None else Status.PENDING_MATCH
