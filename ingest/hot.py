"""Single events, all that arrived in one turn of the loop at once: one look at the clock, at the key, at what is known,
and one handing over to the publisher, without a task or a future for each of them.

It decides nothing of its own: an event that is not plain (a key that must be looked up, a field or a text that needs
a second look, a dryrun) is the door's, as if it had come alone. That both answer alike is held by
tests/ingest/test_feedback_together.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic_core import from_json

from infra.access import AccessKeys, Principal, Scope
from infra.direct import Call
from infra.limits import RateLimits
from ingest.feedback_api import ACCEPTED, FeedbackDoor, told
from ingest.gateway import Gateway
from ingest.intake import Intake, Status
from ingest.offers import BIG_CHARACTERS, Offer, Offers, is_plain_id, written
from ingest.reading import Credentials

Calls = list[Call[Credentials]]


class Singles:
    """Answers POST /v1/feedback for the calls of one turn; raises nothing."""

    def __init__(
        self, gateway: Gateway, door: FeedbackDoor, intake: Intake, keys: AccessKeys, limits: RateLimits
    ) -> None:
        self._gateway, self._door, self._intake, self._keys, self._limits = gateway, door, intake, keys, limits
        self._offers = Offers(gateway.privacy)

    def __call__(self, calls: Calls) -> None:
        """Each call is answered once, now or later."""
        try:
            self._take(calls)
        except Exception as error:  # noqa: BLE001 - what is hot is outside of the application's own net
            for call in calls:
                call.reply(self._door.failed(error, None))

    def _take(self, calls: Calls) -> None:
        now = written(self._gateway.clock.now())
        offers: list[Offer] = []
        taken: Calls = []
        for key, sent in _by_key(calls).items():
            principal, passed = self._let_through(key, len(sent))
            for place, call in enumerate(sent):
                if principal is None or place >= passed:
                    call.alone(self._door.one(call.head.headers, call.body))
                elif (offer := self._offer(call, principal.tenant, now)) is None:
                    call.alone(self._door.of(principal, call.head.said.idempotency_key, call.body))
                else:
                    offers.append(offer)
                    taken.append(call)
        if offers:
            self._intake.take_soon(offers, partial(self._told, taken, offers))

    def _let_through(self, key: str | None, requests: int) -> tuple[Principal | None, int]:
        """Whose key it is, where that is known without asking, and how many requests may pass."""
        principal = self._keys.remembered(key) if key else None
        if principal is None or Scope.FEEDBACK not in principal.scopes:
            return None, 0
        return principal, self._limits.let_through(principal.key_id, requests, tenant=principal.tenant)

    def _offer(self, call: Call[Credentials], tenant: str, now: str) -> Offer | None:
        """None where a second look is needed."""
        body, named = call.body, call.head.said.idempotency_key
        if len(body) > BIG_CHARACTERS:
            return None
        try:
            said = from_json(body, cache_strings="keys")
        except ValueError:
            return None
        if type(said) is not dict:
            return None
        event_id = said.get("id")
        if named is not None and event_id is None:
            event_id = named
        is_named = event_id is not None
        if not is_named:
            event_id = self._gateway.new_id()
        if not is_plain_id(event_id) or named not in (None, event_id):
            return None
        key = tenant, event_id
        payload = self._offers.quick(said, key, now)
        return None if payload is None else Offer(key, (tenant, said["inference_id"]), is_named, payload)

    def _told(self, calls: Calls, offers: Sequence[Offer], place: int, result: Status | Exception) -> None:
        event_id = offers[place].event_id
        if isinstance(result, Status):
            calls[place].reply_json(ACCEPTED, told(event_id, result))
        else:
            calls[place].reply(self._door.failed(result, event_id))


def _by_key(calls: Calls) -> dict[str | None, Calls]:
    found: dict[str | None, Calls] = {}
    for call in calls:
        found.setdefault(call.head.said.key, []).append(call)
    return found
