"""What the worker makes of a delivery before anything of it is stored: judged, and redacted.

Events that were published straight to Kafka are redacted here for the first time, those of the gateway for the
second, which changes nothing. What is set aside keeps its payload, redacted and replayable, unless it was sent without
consent: then only that it came is kept. A message that states no tenant is the default tenant's; what states none
that can be read may be anybody's, so no tenant's key reads it: it is counted under a name of its own, which
`ingest tenants` and `/metrics` show, and stands in feedback.dead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from infra.streams import Incoming
from ingest import envelopes, steps
from ingest.steps import AgeLimits, Arrival, Kept
from matrix.messages.base import DEFAULT_TENANT, NO_TENANT, Message
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.results import DeadLetter, Ok
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED

M = TypeVar("M", FeedbackEvent, CompletionServed)
MOST_KEPT = 200_000  # characters of a dead letter's payload: a completion at its limit
MOST_ID = 128
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TENANT_IN_BYTES = re.compile(rb'"tenant"\s*:\s*"([a-z0-9][a-z0-9-]{0,62})"')
_NO_CONSENT_IN_BYTES = re.compile(rb'"consent"\s*:\s*(?!true)')


class Privacy(Protocol):
    """ingest.privacy.Privacy, as far as it is needed here. Applying it again changes nothing."""

    def text(self, text: str) -> str:
        """The text with placeholders for what was found."""
        ...

    def feedback(self, event: FeedbackEvent) -> FeedbackEvent:
        """The event as it may be stored."""
        ...

    def completion(self, completion: CompletionServed) -> CompletionServed:
        """The completion as it may be stored."""
        ...

    def payload(self, raw: bytes, tenant: str) -> str:
        """A dead letter's payload as it may be stored."""
        ...

    def digest(self, raw: bytes) -> str:
        """A keyed digest of bytes that may hold anything."""
        ...


def feedback(one: Incoming, now: datetime, limits: AgeLimits, privacy: Privacy) -> Arrival[FeedbackEvent]:
    """An event as the worker takes it in."""
    inner, closed = envelopes.unwrapped(one, FEEDBACK_RECEIVED)
    return _arrived(inner, closed or steps.judge(inner.value, now, limits), privacy, privacy.feedback)


def completion(one: Incoming, now: datetime, limits: AgeLimits, privacy: Privacy) -> Arrival[CompletionServed]:
    """A completion as the worker takes it in."""
    inner, closed = envelopes.unwrapped(one, COMPLETION_SERVED)
    return _arrived(inner, closed or steps.judge_completion(inner.value, now, limits), privacy, privacy.completion)


def tenant_of(value: object, raw: bytes) -> str:
    """Whose a delivery is, also where nothing else of it can be read."""
    if isinstance(value, Mapping):
        stated = value.get("tenant", NO_TENANT if "specversion" in value else DEFAULT_TENANT)  # a closed envelope
        return stated if isinstance(stated, str) and TENANT.fullmatch(stated) else NO_TENANT
    found = _TENANT_IN_BYTES.search(raw)
    return found[1].decode() if found else NO_TENANT


def _arrived(one: Incoming, judged: Ok[M] | DeadLetter, privacy: Privacy, redacted: Callable[[M], M]) -> Arrival[M]:
    digest = privacy.digest(one.raw)
    if isinstance(judged, Ok):
        message = redacted(judged.value)
        return Arrival(one.position, digest, message.tenant, Ok(message), kept_of(message))
    tenant = tenant_of(one.value, one.raw)
    # A decision's own words hold none of the sender's; a validator's may name a field that the sender made up.
    field = None if judged.field is None else privacy.text(judged.field)
    letter = replace(judged, detail=privacy.text(judged.detail), field=field) if judged.step == "check" else judged
    return Arrival(one.position, digest, tenant, letter, _kept(one, tenant, privacy))


def kept_of(message: Message) -> Kept:
    """A message that could be read, as its JSON."""
    event_id = message.event_id if isinstance(message, FeedbackEvent) else None
    return Kept(message.to_payload().decode(), event_id=event_id)


def _kept(one: Incoming, tenant: str, privacy: Privacy) -> Kept:
    event_id = _event_id(one.value)
    if _withholds_consent(one):
        return Kept("", event_id=event_id, whole=False)
    text = privacy.payload(one.raw, tenant)
    return Kept(steps.storable(text, MOST_KEPT), event_id=event_id, whole=len(text) <= MOST_KEPT)


def _withholds_consent(one: Incoming) -> bool:
    """Anything but true is no consent, also where the rest cannot be read."""
    if isinstance(one.value, Mapping):
        return one.value.get("consent", True) is not True
    return _NO_CONSENT_IN_BYTES.search(one.raw) is not None


def _event_id(value: object) -> str | None:
    stated = value.get("event_id") if isinstance(value, Mapping) else None
    if not isinstance(stated, str) or not 0 < len(stated) <= MOST_ID:
        return None
    return steps.storable(stated)
