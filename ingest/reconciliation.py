"""Holds what was sent against what was counted, line by line; every line is exact but for second tries.

A delivery that was not acknowledged is sent again, and the first try may have arrived after all: then it is counted
twice, once as a duplicate (or, where it is damaged, as a dead letter more). So a line that second tries touch names
the least and the most; without them the two are equal. With them, a duplicate could hide an event that is missing, so
then every event is asked for by its id. It assumes that nobody else sends feedback meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.formats.rows import BadRow
from ingest.stress import REASONS, Damage, Delivery
from matrix.messages.feedback import FeedbackEvent

COUNTED = ("received", "accepted", "duplicate", "dead", "pending")
Counts = dict[str, Any]


@dataclass(slots=True)
class Sent:
    """What happened on the way."""

    events: int = 0  # acknowledged and whole
    completions: int = 0
    damaged_events: Counter[Damage] = field(default_factory=Counter)  # acknowledged although damaged
    damaged_completions: Counter[Damage] = field(default_factory=Counter)
    refused_damage: Counter[Damage] = field(default_factory=Counter)
    retried: int = 0  # second tries of events whose first may have arrived
    retried_damaged: int = 0  # the same of damaged deliveries
    refused: list[BadRow] = field(default_factory=list)  # whole, and refused all the same
    event_ids: set[str] = field(default_factory=set)  # acknowledged and whole

    def acknowledged(self, delivery: Delivery) -> None:
        """It is durable where it was sent to."""
        if delivery.damage is not None:
            (self.damaged_events if delivery.is_event else self.damaged_completions)[delivery.damage] += 1
        elif isinstance(delivery.item.message, FeedbackEvent):
            self.events += 1
            self.event_ids.add(delivery.item.message.event_id)
        else:
            self.completions += 1

    def turned_away(self, delivery: Delivery, reason: str) -> None:
        """The gateway does not take it."""
        if delivery.damage is None:
            self.refused.append(BadRow(delivery.item.line, reason))
        else:
            self.refused_damage[delivery.damage] += 1

    def tried_again(self, delivery: Delivery) -> None:
        """It was not acknowledged and may have arrived."""
        if delivery.is_event and delivery.damage is None:
            self.retried += 1
        elif delivery.damage is not None:
            self.retried_damaged += 1


@dataclass(frozen=True, slots=True)
class Expected:
    """What the deliveries lead to where nothing is lost."""

    damaged: int
    distinct_events: int  # that are sent whole at least once
    orphans: int  # of these, those whose completion is not: they may stay pending


def expected(planned: Sequence[Delivery]) -> Expected:
    """What is known before anything is sent."""
    whole = [one for one in planned if one.damage is None]
    served = {one.item.message.completion_id for one in whole if not one.is_event}
    home = {one.item.message.event_id: one.item.message.completion_id for one in whole if one.is_event}  # type: ignore[union-attr]
    orphans = sum(completion_id not in served for completion_id in home.values())
    return Expected(len(planned) - len(whole), len(home), orphans)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must hold."""

    what: str
    least: int
    most: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether what was found is what was expected."""
        return self.least <= self.found <= self.most

    def __str__(self) -> str:
        wanted = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        return f"{'ok ' if self.holds else 'NOT'} {self.what:58}{wanted:>14} expected{self.found:>9} found"


def lines(sent: Sent, grown: Counts, wanted: Expected, *, through_gateway: bool) -> list[Line]:
    """The whole account; what was damaged is refused by the gateway, and set aside by the worker without one."""
    found = [*_way(sent, wanted, through_gateway=through_gateway), *_counting(sent, grown, wanted)]
    return [*found, *_dead(sent, grown)]


def _way(sent: Sent, wanted: Expected, *, through_gateway: bool) -> Iterator[Line]:
    refused = sent.refused_damage.total()
    if not through_gateway:
        published = sent.damaged_events.total() + sent.damaged_completions.total()
        yield Line("damaged deliveries, published", wanted.damaged, wanted.damaged, published)
    elif wanted.damaged:
        by_kind = ", ".join(f"{kind} {count}" for kind, count in sorted(sent.refused_damage.items()))
        yield Line(f"damaged, refused ({by_kind})", wanted.damaged, wanted.damaged, refused)


def _counting(sent: Sent, grown: Counts, wanted: Expected) -> Iterator[Line]:
    least = sent.events + sent.damaged_events.total()
    yield Line("events received", least, least + sent.retried + sent.retried_damaged, grown["received"])
    parts = sum(grown[name] for name in COUNTED[1:])
    yield Line("accepted + duplicate + dead + pending", grown["received"], grown["received"], parts)
    first = grown["accepted"] + grown["pending"]
    yield Line("events counted for the first time", 0, wanted.distinct_events, first)
    # Completions may also have come for events that waited since an earlier replay.
    waited = -grown["pending_before"]
    yield Line("more waiting for a completion that was not sent", waited, wanted.orphans, grown["pending"])


def _dead(sent: Sent, grown: Counts) -> Iterator[Line]:
    for damage, reason in REASONS.items():
        least = sent.damaged_events[damage]
        if least or grown["by_reason"].get(reason):
            most = least + sent.retried_damaged
            yield Line(f"dead letters: {reason}", least, most, grown["by_reason"].get(reason, 0))
    if damaged := sent.damaged_completions.total():  # others may be set aside for their age
        most = damaged + sent.completions + sent.retried_damaged
        yield Line("completions set aside", damaged, most, grown["completions_dead"])


def known(sent: Sent, unknown: int) -> Line:
    """Whether every event that was acknowledged is there, asked one by one."""
    each = len(sent.event_ids)
    return Line("acknowledged events that are known by their id", each, each, each - unknown)


def difference(after: Counts, before: Counts) -> Counts:
    """By how much each count grew."""
    grown: Counts = {name: after[name] - before[name] for name in COUNTED}
    then, now = before.get("by_reason", {}), after.get("by_reason", {})
    grown["by_reason"] = {name: now[name] - then.get(name, 0) for name in now if now[name] != then.get(name, 0)}
    grown["pending_before"] = before["pending"]
    return grown | {"completions_dead": after["completions"]["dead"] - before["completions"]["dead"]}
