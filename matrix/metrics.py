"""Every metric the product exposes: name, kind, unit, and what an operator should conclude.

Names follow Prometheus: counters end in `_total`, units are base units and part of the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    labels: tuple[str, ...]
    conclude: str


FEEDBACK_RECEIVED = Metric(
    "plumbline_feedback_received_total",
    "counter",
    "events",
    ("tenant",),
    "Events read from the feedback topic, each delivery once. Standing still while people chat: look at the gateway, "
    "the broker and the worker's offsets.",
)
FEEDBACK_ACCEPTED = Metric(
    "plumbline_feedback_accepted_total",
    "counter",
    "events",
    ("tenant",),
    "Distinct events beside their completion. Received always equals accepted + duplicate + dead + unmatched.",
)
FEEDBACK_DUPLICATE = Metric(
    "plumbline_feedback_duplicate_total",
    "counter",
    "events",
    ("tenant",),
    "Deliveries of events that were there already. A rising share means that clients retry: acknowledgements are slow.",
)
FEEDBACK_DEAD = Metric(
    "plumbline_feedback_dead",
    "gauge",
    "events",
    ("tenant", "reason"),
    "Events set aside and not replayed, by reason. A jump in one reason after a deploy is that deploy's fault: mend "
    "it, then `plumbline ingest dead-letters replay --reason ...`.",
)
FEEDBACK_UNMATCHED = Metric(
    "plumbline_feedback_unmatched",
    "gauge",
    "events",
    ("tenant",),
    "Events that wait for their completion. Rising without end: a service sends feedback but does not log completions.",
)
FEEDBACK_UNMATCHED_AGE = Metric(
    "plumbline_feedback_unmatched_oldest_seconds",
    "gauge",
    "seconds",
    ("tenant",),
    "How long the oldest event has waited, 0 where none does. At the limit (PLUMBLINE_PENDING_TTL_S) it is set aside.",
)
COMPLETIONS_STORED = Metric(
    "plumbline_completions_stored_total",
    "counter",
    "completions",
    ("tenant",),
    "Distinct completions. Standing still while people chat: completions are not logged, and feedback will not match.",
)
COMPLETIONS_DEAD = Metric(
    "plumbline_completions_dead",
    "gauge",
    "completions",
    ("tenant",),
    "Completions set aside and not replayed. Feedback on them waits in vain.",
)

METRICS: tuple[Metric, ...] = (
    FEEDBACK_RECEIVED,
    FEEDBACK_ACCEPTED,
    FEEDBACK_DUPLICATE,
    FEEDBACK_DEAD,
    FEEDBACK_UNMATCHED,
    FEEDBACK_UNMATCHED_AGE,
    COMPLETIONS_STORED,
    COMPLETIONS_DEAD,
)
