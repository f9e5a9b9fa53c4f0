"""The table of topics: name, key, payload, partitions, retention. `<noun>.<past participle>.v<n>`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from matrix.messages.base import Message
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import DeadFeedback, FeedbackAccepted, FeedbackEvent
from matrix.messages.gate import RouteChanged, VersionPromoted
from matrix.messages.run import CandidateEvaluated, CandidateTrained
from matrix.messages.sample import RiskEscalated, ScoredSample


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table; a record carries one payload or a JSON list of them."""

    name: str
    key: str  # the field that must stay in order
    payload: type[Message]
    partitions: int
    retention: timedelta
    compacted: bool = False


FEEDBACK_RECEIVED = Topic("feedback.received.v1", "completion_id", FeedbackEvent, 4, timedelta(days=7))
COMPLETION_SERVED = Topic("completion.served.v1", "completion_id", CompletionServed, 4, timedelta(days=7))
# What may be stored of completions, each id once: services publish to `served`, everybody else reads this.
COMPLETION_ACCEPTED = Topic("completion.accepted.v1", "completion_id", CompletionServed, 4, timedelta(days=30))
FEEDBACK_ACCEPTED = Topic("feedback.accepted.v1", "completion_id", FeedbackAccepted, 4, timedelta(days=30))
SAMPLE_SCORED = Topic("sample.scored.v1", "completion_id", ScoredSample, 4, timedelta(days=30))
RISK_ESCALATED = Topic("risk.escalated.v1", "dimension", RiskEscalated, 1, timedelta(days=90))
CANDIDATE_TRAINED = Topic("candidate.trained.v1", "policy", CandidateTrained, 1, timedelta(days=90))
CANDIDATE_EVALUATED = Topic("candidate.evaluated.v1", "policy", CandidateEvaluated, 1, timedelta(days=90))
VERSION_PROMOTED = Topic("version.promoted.v1", "policy", VersionPromoted, 1, timedelta(days=90))
ROUTE_CHANGED = Topic("route.changed.v1", "policy@alias", RouteChanged, 1, timedelta(days=3650), compacted=True)
FEEDBACK_DEAD = Topic("feedback.dead.v1", "reason", DeadFeedback, 1, timedelta(days=30))

TOPICS: tuple[Topic, ...] = (
    FEEDBACK_RECEIVED,
    COMPLETION_SERVED,
    COMPLETION_ACCEPTED,
    FEEDBACK_ACCEPTED,
    SAMPLE_SCORED,
    RISK_ESCALATED,
    CANDIDATE_TRAINED,
    CANDIDATE_EVALUATED,
    VERSION_PROMOTED,
    ROUTE_CHANGED,
    FEEDBACK_DEAD,
)
