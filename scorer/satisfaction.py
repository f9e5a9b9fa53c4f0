"""From all events of one answer to P(satisfied): each event shifts the log odds by what its kind tells.

logit P = logit prior + sum of shifts, where the sum is clipped to ±3, per (user, answer). Of each kind a user's latest
event counts, by its own time: who changes a thumb has changed it. Arrival order and duplicates by event id change
nothing. Natural feedback is useful and noisy (arXiv:2407.10944, arXiv:2507.23158); the shifts are declared defaults.
Left out: who answers at all, delay, position, scale use and trust in users. A comment's text is not read.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from matrix.messages.feedback import FeedbackEvent, FeedbackKind

THUMB_UP, THUMB_DOWN = 1.2, -1.6
RATING = (-1.6, -0.8, 0.0, 0.6, 1.2)  # 1 to 5; ordinal: steps are not equal
EDIT = -0.5  # times the share of words that were changed
REGENERATE = -0.8
REPORT = -3.0
MOST = 3.0


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of an answer from its users."""

    satisfaction: float | None  # mean over users; None where nobody said anything that tells
    reported: bool
    version: int  # 1 + distinct events: an answer without feedback has version 1


def label(events: Iterable[FeedbackEvent], completion: str, *, prior: float = 0.5) -> Label:
    """The label of one answer; every event must speak of it."""
    distinct = {event.event_id: event for event in events}
    by_user: defaultdict[str | None, list[FeedbackEvent]] = defaultdict(list)
    for event in distinct.values():
        by_user[event.user_id].append(event)
    told = [p for said in by_user.values() if (p := _of_one_user(said, completion, prior)) is not None]
    satisfaction = math.fsum(told) / len(told) if told else None
    reported = any(event.kind is FeedbackKind.REPORT for event in distinct.values())
    return Label(satisfaction, reported, 1 + len(distinct))


def shift(event: FeedbackEvent, completion: str) -> float | None:
    """By how much an event moves the log odds; None where its kind tells nothing."""
    match event.kind:
        case FeedbackKind.THUMB:
            return THUMB_UP if event.value else THUMB_DOWN
        case FeedbackKind.RATING:
            return _rating(float(event.value or 0))
        case FeedbackKind.EDIT:
            return EDIT * changed_share(completion, event.text or "")
        case FeedbackKind.REGENERATE:
            return REGENERATE
        case FeedbackKind.REPORT:
            return REPORT
        case _:
            return None


def changed_share(before: str, after: str) -> float:
    """Share of words that are not in both, whatever their order: linear in length, unlike an alignment."""
    old, new = Counter(before.split()), Counter(after.split())
    words = old.total() + new.total()
    return 1.0 - 2.0 * (old & new).total() / words if words else 0.0


def _of_one_user(events: list[FeedbackEvent], completion: str, prior: float) -> float | None:
    latest: dict[FeedbackKind, FeedbackEvent] = {}
    for event in sorted(events, key=lambda one: (one.occurred_at, one.event_id)):
        latest[event.kind] = event
    shifts = [moved for event in latest.values() if (moved := shift(event, completion)) is not None]
    if not shifts:
        return None
    told = min(max(math.fsum(shifts), -MOST), MOST)
    return 1.0 / (1.0 + math.exp(-(math.log(prior / (1.0 - prior)) + told)))


def _rating(value: float) -> float:
    low = min(int(value), len(RATING) - 1)
    return RATING[low - 1] + (value - low) * (RATING[low] - RATING[low - 1])
