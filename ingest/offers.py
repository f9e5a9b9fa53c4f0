"""A checked request becomes an offer: the ids that it is known by, and the payload as it may leave this process.

Nearly all feedback is a thumb, a rating, a click or a sentence, and is written out at once; what is not certain to be
one goes the long way over FeedbackEvent, which decides what fits and says what does not. That the two never differ
is held by tests/ingest/test_feedback_offers.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from ingest.consent import feedback_without_words
from ingest.privacy import Privacy
from ingest.steps import Key
from ingest.tensorzero import METRICS, FeedbackRequest, to_event
from matrix.messages.base import FIRST_YEAR, LAST_YEAR, MAX_IDENTIFIER, unstorable
from matrix.messages.feedback import MAX_TAG, MAX_TAGS, MAX_TEXT, FeedbackEvent, FeedbackKind

BIG_CHARACTERS = 4_000  # of a text: redacting it is done in a thread
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # with halves of surrogate pairs, which nothing stores
SAYS_NOTHING = frozenset({FeedbackKind.REGENERATE, FeedbackKind.COPY, FeedbackKind.ABANDON})
SAYS_TEXT = frozenset({FeedbackKind.EDIT, FeedbackKind.COMMENT, FeedbackKind.FOLLOW_UP})


class Offer(NamedTuple):
    """An event that can be taken."""

    tenant: str
    event_id: str
    completion_id: str
    is_named: bool  # its sender chose the id; one that the gateway has just made cannot be taken
    payload: bytes  # redacted

    @property
    def key(self) -> Key:
        """What the event is looked up by."""
        return self.tenant, self.event_id

    @property
    def completion_key(self) -> Key:
        """What its completion is looked up by."""
        return self.tenant, self.completion_id


def is_big(request: FeedbackRequest) -> bool:
    """Whether making the offer would hold up others."""
    said = request.value
    return (isinstance(said, str) and len(said) > BIG_CHARACTERS) or len(request.text or "") > BIG_CHARACTERS


class Offers:
    """Makes offers for one gateway."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy

    def make(self, request: FeedbackRequest, key: Key, now: datetime, *, is_named: bool) -> Offer:
        """`key` is the tenant and the event's id. InvalidInput names the field that does not fit."""
        payload = self.quick(request, key, now)
        if payload is None:
            payload = self.slow(request, key, now)
        return Offer(key[0], key[1], request.inference_id, is_named, payload)

    def slow(self, request: FeedbackRequest, key: Key, now: datetime) -> bytes:
        """The payload of any request that fits."""
        event = to_event(request, key[1], now, tenant=key[0])
        return (self._privacy.feedback(event) if event.consent else feedback_without_words(event)).to_payload()

    def quick(self, request: FeedbackRequest, key: Key, now: datetime) -> bytes | None:
        """The payload of a common one; None where it is not certain to fit."""
        tenant, event_id = key
        said = self._said(request)
        at = now if request.occurred_at is None else request.occurred_at
        person = request.user_id or request.tags.get("user_id")
        is_common = request.consent and FIRST_YEAR + 1 < at.year < LAST_YEAR - 1 and _fit(request.tags)
        if said is None or not is_common or not (person is None or 0 < len(person) <= MAX_IDENTIFIER):
            return None
        tags = json.dumps(self._privacy.tags(tenant, request.tags)) if request.tags else "{}"
        user = "" if person is None else f'"user_id":{quoted(self._privacy.person(tenant, person))},'
        told = f'{{"tenant":"{tenant}","event_id":{quoted(event_id)},"completion_id":{quoted(request.inference_id)},'
        told += f'{said},{user}"occurred_at":"{at.astimezone(UTC).isoformat()}","tags":{tags}}}'
        return told.encode()

    def _said(self, request: FeedbackRequest) -> str | None:
        """Kind and content as JSON; None where they may not fit together."""
        value, metric = request.value, METRICS.get(request.metric_name)
        if metric is None or request.text is not None or request.category is not None:
            return None
        kind = metric[0]
        if kind is FeedbackKind.THUMB and isinstance(value, bool):
            return f'"kind":"thumb","value":{"true" if value else "false"}'
        if kind is FeedbackKind.RATING and not isinstance(value, bool) and isinstance(value, int | float):
            return f'"kind":"rating","value":{value!r}' if 1 <= value <= 5 else None
        if kind in SAYS_NOTHING and value is None:
            return f'"kind":"{kind.value}"'
        if kind in SAYS_TEXT and isinstance(value, str) and 0 < len(value) <= MAX_TEXT and unstorable(value) is None:
            return f'"kind":"{kind.value}","text":{quoted(self._privacy.fitted(value, MAX_TEXT))}'
        return None


def _fit(tags: Mapping[str, str]) -> bool:
    if len(tags) > MAX_TAGS:
        return False
    for name, value in tags.items():
        if not 0 < len(name) <= MAX_IDENTIFIER or len(value) > MAX_TAG:
            return False
        if CONTROL.search(name) is not None or CONTROL.search(value) is not None:
            return False
    return True


def event_of(payload: bytes) -> FeedbackEvent:
    """The event in a payload that was made here."""
    return FeedbackEvent.model_validate_json(payload)
