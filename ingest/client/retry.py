"""What an answer of the gateway means, and when to try again: decisions without a clock, a socket or a log.

Backoff with full jitter: a random time up to a bound that doubles (Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015), so that many clients of a gateway that comes back do not all come at once. A key that is
refused is tried again, too: keys are mended by people, and the events are not at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ingest.client.types import Entry, Options, Refusal

TOO_LARGE = 413
CONFLICT = 409
UNREADABLE = frozenset({400, 409, 413, 415, 422})  # the fault is in what was sent
STATES = frozenset({"accepted", "matched", "pending_match", "duplicate"})
MOST_DOUBLINGS = 16
NOT_OURS = "the answer does not name what it took: is this a Plumbline gateway?"  # a proxy's page may say 200, too


@dataclass(frozen=True, slots=True)
class Settled:
    """The gateway has decided on every entry: None where it took it."""

    refusals: tuple[Refusal | None, ...]


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It could not take them now; `after_s` is its own wish."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Halve:
    """It refused them together: smaller parts tell which of them is at fault."""


Verdict = Settled | TryAgain | Halve


def delay_s(attempt: int, options: Options, chance: Callable[[], float]) -> float:
    """Seconds before try number `attempt` (from 1) is followed by another; `chance` draws from [0, 1)."""
    return chance() * min(options.most_backoff_s, options.first_backoff_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS))


def wished_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, as a number or a date (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():  # a superscript is a digit too, and no number
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a zone
        return None


def judge(status: int, told: Any, batch: Sequence[Entry], after_s: float | None) -> Verdict:
    """`told` is the parsed body, None where it is not JSON."""
    if 200 <= status < 300:
        return _taken(told, batch)
    if status not in UNREADABLE:
        return TryAgain(f"status {status}", after_s)
    if len(batch) > 1:
        return Halve()
    return Settled((_refusal(batch[0], told, status),))


def _taken(told: Any, batch: Sequence[Entry]) -> Verdict:
    if batch[0].to == "completion":
        named = isinstance(told, dict) and told.get("completion_id") == batch[0].event_id
        return Settled((None,)) if named else TryAgain(NOT_OURS)
    results = told.get("results") if isinstance(told, dict) else None
    if not isinstance(results, list) or len(results) != len(batch):
        return TryAgain(NOT_OURS)
    return Settled(tuple(_one(entry, result) for entry, result in zip(batch, results, strict=True)))


def _one(entry: Entry, result: Any) -> Refusal | None:
    if isinstance(result, dict) and result.get("status") in STATES:
        return None
    return _refusal(entry, result, None)


def _refusal(entry: Entry, told: Any, status: int | None) -> Refusal:
    """Names and rules only; a refused value is not repeated."""
    found = told if isinstance(told, dict) else {}
    named = [error for error in found.get("errors") or [] if isinstance(error, dict)]
    title = "IdConflict" if status == CONFLICT else f"HTTP {status}" if status else "Refused"
    field = str(named[0].get("field", "")) if named else ""
    rule = str(named[0].get("rule", "")) if named else str(found.get("detail") or "no reason was told")
    return Refusal(entry.event_id, str(found.get("title") or title), field, rule)
