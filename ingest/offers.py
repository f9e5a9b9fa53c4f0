"""A checked request becomes an offer: the ids that it is known by, and the payload as it may leave this process.

Nearly all feedback is a thumb, a rating, a click or a sentence, and is written out at once; what is not certain to be
one goes the long way over FeedbackEvent, which decides what fits and says what does not. That the two never differ
is held by tests/ingest/test_feedback_offers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple, TypeGuard

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from ingest.consent import feedback_without_words
from ingest.privacy import Privacy
from ingest.steps import Key
from ingest.tensorzero import METRICS, FeedbackRequest, to_event
from matrix.messages.base import FIRST_YEAR, LAST_YEAR, MAX_IDENTIFIER, unstorable
from matrix.messages.feedback import MAX_TAG, MAX_TAGS, MAX_TEXT, FeedbackEvent, FeedbackKind

BIG_CHARACTERS = 4_000  # of a text: redacting it is done in a thread
SAYS_NOTHING = frozenset({FeedbackKind.REGENERATE, FeedbackKind.COPY, FeedbackKind.ABANDON})
SAYS_TEXT = frozenset({FeedbackKind.EDIT, FeedbackKind.COMMENT, FeedbackKind.FOLLOW_UP})
COMMON = frozenset({"metric_name", "inference_id", "value", "tags", "id", "user_id", "occurred_at"})  # fields
OTHERS: Mapping[str, object] = {"episode_id": None, "text": None, "category": None, "consent": True, "dryrun": False}
MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
SHORT_TAG, MOST_TAGS = 48, 20_000  # characters of a tag that may recur, and how many are remembered


class Offer(NamedTuple):
    """An event that can be taken."""

    key: Key  # what the event is looked up by
    completion_key: Key  # what its completion is looked up by
    is_named: bool  # its sender chose the id; one that the gateway has just made cannot be taken
    payload: bytes  # redacted

    @property
    def event_id(self) -> str:
        """As its sender knows it."""
        return self.key[1]


def is_big(request: FeedbackRequest) -> bool:
    """Whether making the offer would hold up others."""
    said = request.value
    return (isinstance(said, str) and len(said) > BIG_CHARACTERS) or len(request.text or "") > BIG_CHARACTERS


class Offers:
    """Makes offers for one gateway."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._tags: dict[tuple[str, str, str], str] = {}  # as written, by tenant, name and value

    def make(self, request: FeedbackRequest, key: Key, now: datetime, *, is_named: bool) -> Offer:
        """`key` is the tenant and the event's id. InvalidInput names the field that does not fit."""
        payload = self.quick(vars(request), key, written(now))
        if payload is None:
            payload = self.slow(request, key, now)
        return Offer(key, (key[0], request.inference_id), is_named, payload)

    def slow(self, request: FeedbackRequest, key: Key, now: datetime) -> bytes:
        """The payload of any request that fits."""
        event = to_event(request, key[1], now, tenant=key[0])
        return (self._privacy.feedback(event) if event.consent else feedback_without_words(event)).to_payload()

    def quick(self, said: Mapping[str, Any], key: Key, now: str) -> bytes | None:
        """The payload of a common one; None where it is not certain to fit.

        `said` is a request's fields, or a JSON object as it was sent: a value is of any type, and a field may be none.
        """
        tenant, completion_id, tags = key[0], said.get("inference_id"), said.get("tags", NO_TAGS)
        if not is_plain_id(completion_id) or not (said.keys() <= COMMON or _are_usual(said)) or type(tags) is not dict:
            return None
        person = said.get("user_id")
        person = tags.get("user_id") if person is None else person
        content, told_tags, at = self._content(said), self._written(tenant, tags), _moment(said.get("occurred_at"), now)
        if content is None or told_tags is None or at is None or not (person is None or is_plain_id(person)):
            return None
        user = "" if person is None else f'"user_id":{quoted(self._privacy.person(tenant, person))},'
        told = f'{{"tenant":"{tenant}","event_id":{quoted(key[1])},"completion_id":{quoted(completion_id)},'
        return f'{told}{content},{user}"occurred_at":"{at}","tags":{{{told_tags}}}}}'.encode()

    def _content(self, said: Mapping[str, Any]) -> str | None:
        """Kind and content as JSON; None where they may not fit together."""
        value, metric = said.get("value"), said.get("metric_name")
        kind = METRICS[metric][0] if type(metric) is str and metric in METRICS else None
        if kind is FeedbackKind.THUMB:
            return THUMBS.get(value) if type(value) is bool else None
        if kind is FeedbackKind.RATING and (type(value) is int or type(value) is float):
            return f'"kind":"rating","value":{value!r}' if 1 <= value <= 5 else None
        if kind in SAYS_NOTHING and value is None:
            return f'"kind":"{kind}"'
        if kind in SAYS_TEXT and type(value) is str and 0 < len(value) <= MAX_TEXT and unstorable(value) is None:
            return f'"kind":"{kind}","text":{quoted(self._privacy.fitted(value, MAX_TEXT))}'
        return None

    def _written(self, tenant: str, tags: Mapping[str, Any]) -> str | None:
        """Redacted and as JSON; None where one is not certain to fit."""
        if len(tags) > MAX_TAGS:
            return None
        parts = []
        for name, value in tags.items():
            if type(value) is not str:
                return None
            part = self._tags.get((tenant, name, value)) or self._tag(tenant, name, value)
            if part is None:
                return None
            parts.append(part)
        return ",".join(parts)

    def _tag(self, tenant: str, name: str, value: str) -> str | None:
        if not is_plain_id(name) or len(value) > MAX_TAG or not value.isprintable():
            return None
        ((redacted, kept),) = self._privacy.tags(tenant, {name: value}).items()
        if redacted != name:  # two of these could become one
            return None
        part = f"{quoted(name)}:{quoted(kept)}"
        if len(name) + len(value) <= SHORT_TAG:
            if len(self._tags) >= MOST_TAGS:
                self._tags.clear()
            self._tags[tenant, name, value] = part
        return part


NO_TAGS: dict[str, str] = {}
THUMBS = {True: '"kind":"thumb","value":true', False: '"kind":"thumb","value":false'}


def is_plain_id(value: object) -> TypeGuard[str]:
    """Certainly an identifier; what cannot be printed may be one as well."""
    return type(value) is str and 0 < len(value) <= MAX_IDENTIFIER and value.isprintable()


def written(moment: datetime) -> str:
    """As it stands in a payload."""
    return moment.astimezone(UTC).isoformat()


def _are_usual(said: Mapping[str, Any]) -> bool:
    """Fields beside the common ones, each as if it were not there."""
    return all(name in COMMON or (name in OTHERS and said[name] is OTHERS[name]) for name in said)


def _moment(value: object, now: str) -> str | None:
    """As written; None where it may not fit."""
    if value is None:
        return now
    if type(value) is str:
        try:
            value = MOMENT.validate_python(value)
        except ValidationError:
            return None
    return written(value) if isinstance(value, datetime) and FIRST_YEAR + 1 < value.year < LAST_YEAR - 1 else None


def event_of(payload: bytes) -> FeedbackEvent:
    """The event in a payload that was made here."""
    return FeedbackEvent.model_validate_json(payload)
