"""Whether a snapshot is due and why, and which samples enter it. Pure.

Unlabelled samples enter too: training generates its own answers, so their prompts teach. Labelled ones go first where a
user has more than the cap.
Left out: novelty, over-sampling of risky cells, near-duplicates, replay of older snapshots, leaks into gate prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from matrix.messages.sample import ScoredSample


@dataclass(frozen=True, slots=True)
class DuePolicy:
    """When a snapshot is due."""

    min_samples: int
    max_age: timedelta
    risk: float
    risk_min_samples: int


@dataclass(frozen=True, slots=True)
class Since:
    """What has come since the last snapshot, or since the beginning."""

    new_labels: int  # newly labelled samples
    began: datetime | None  # time of the last snapshot, else of the first sample; None where there is nothing


def due(since: Since, risks: Mapping[str, float], now: datetime, policy: DuePolicy) -> str | None:
    """Why a snapshot is due, in words; None where it is not. Nothing new is never due."""
    if since.new_labels <= 0 or since.began is None:
        return None
    cell, risk = max(risks.items(), key=lambda one: (one[1], one[0]), default=("", 0.0))
    if risk >= policy.risk and since.new_labels >= policy.risk_min_samples:
        return f"cell {cell}: risk {risk:.2f}, {since.new_labels} newly labelled samples"
    if since.new_labels >= policy.min_samples:
        return f"{since.new_labels} newly labelled samples (due at {policy.min_samples})"
    if now - since.began >= policy.max_age:
        return f"{since.new_labels} newly labelled samples have waited {now - since.began} (due at {policy.max_age})"
    return None


def enter(samples: Sequence[ScoredSample], *, user_cap: int) -> list[ScoredSample]:
    """Samples of a snapshot, ordered by completion id: at most so many of one user, labelled and late ones first."""
    preferred = sorted(samples, key=lambda one: (one.satisfaction is not None, one.served_at, one.completion_id))
    taken: Counter[str] = Counter()
    kept: list[ScoredSample] = []
    for sample in reversed(preferred):
        if sample.user_id is not None:
            taken[sample.user_id] += 1
        if sample.user_id is None or taken[sample.user_id] <= user_cap:
            kept.append(sample)
    return sorted(kept, key=lambda one: one.completion_id)
