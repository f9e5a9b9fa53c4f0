"""What a chat service may do to a recording on its way: any order, some of it twice, some of it damaged.

Seeded: the same recording, options and seed give the same deliveries. `duplicate` and `corrupt` are shares that are
met exactly (rounded); copies are made first, so that an event and its copy may be damaged independently. A damaged
delivery is one that nobody can take for another event: everywhere it is refused or set aside, never counted as said.
Left out: damage that only a person could see, such as a thumb that was meant the other way.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle
from typing import Any

from ingest.recording import Item
from ingest.steps import Reason
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, FeedbackKind

TOO_LONG = "x" * 129  # an identifier holds 128 characters


class Damage(StrEnum):
    """What may have happened to a body."""

    TRUNCATED = "truncated"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_KIND = "unknown_kind"
    OUT_OF_RANGE = "out_of_range"


REASONS: Mapping[Damage, Reason] = {  # why the worker sets it aside
    Damage.TRUNCATED: Reason.MALFORMED,
    Damage.WRONG_TYPE: Reason.WRONG_TYPE,
    Damage.UNKNOWN_FIELD: Reason.UNKNOWN_FIELD,
    Damage.UNKNOWN_KIND: Reason.UNKNOWN_KIND,
    Damage.OUT_OF_RANGE: Reason.OUT_OF_RANGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """How rough the way is; the default changes nothing."""

    shuffle: bool = False
    duplicate: float = 0.0  # share of the messages that is sent twice
    corrupt: float = 0.0  # share of all deliveries that is damaged
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One sending of one message."""

    item: Item
    is_copy: bool = False
    damage: Damage | None = None

    @property
    def is_event(self) -> bool:
        """Whether it is feedback; else a completion."""
        return isinstance(self.item.message, FeedbackEvent)


def deliveries(items: Sequence[Item], stress: Stress) -> list[Delivery]:
    """Every message once and a share twice, a share of these damaged; a copy never comes before its message."""
    chance = random.Random(stress.seed)  # noqa: S311 - not a secret
    placed = [(float(index), Delivery(item)) for index, item in enumerate(items)]
    twice = chance.sample(range(len(items)), round(stress.duplicate * len(items)))
    placed += [(chance.uniform(index, len(items)), Delivery(items[index], is_copy=True)) for index in twice]
    planned = [delivery for _, delivery in sorted(placed, key=lambda one: one[0])]
    kinds = cycle(Damage)
    for index in chance.sample(range(len(planned)), round(stress.corrupt * len(planned))):
        planned[index] = replace(planned[index], damage=_fitting(planned[index], next(kinds)))
    if stress.shuffle:
        chance.shuffle(planned)
    return planned


def _fitting(delivery: Delivery, damage: Damage) -> Damage:
    """Completions have no kind that could be unknown."""
    return Damage.UNKNOWN_FIELD if damage is Damage.UNKNOWN_KIND and not delivery.is_event else damage


def body(delivery: Delivery, said: Mapping[str, Any], *, kind: str, completion_id: str) -> bytes:
    """The delivery's bytes; `said` is its message as the receiver spells it, with these names for the two fields."""
    spoiled = dict(said)
    match delivery.damage:
        case Damage.TRUNCATED:
            whole = json.dumps(spoiled).encode()
            return whole[: len(whole) // 2]
        case Damage.WRONG_TYPE:
            spoiled[completion_id] = 7
        case Damage.UNKNOWN_FIELD:
            spoiled["mood"] = "good"
        case Damage.UNKNOWN_KIND:
            spoiled[kind] = "wink"
        case Damage.OUT_OF_RANGE:
            spoiled |= _out_of_range(delivery.item.message)
        case None:
            pass
    return json.dumps(spoiled).encode()


def _out_of_range(message: CompletionServed | FeedbackEvent) -> dict[str, Any]:
    if isinstance(message, CompletionServed):
        return {"propensity": 2.0}
    return {"value": 11} if message.kind is FeedbackKind.RATING else {"user_id": TOO_LONG}
